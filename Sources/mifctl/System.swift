import CLinux

/// Standard output has no reader any more: nothing is left to do.
struct OutputClosed: Error {}

/// Standard output can't be written to.
struct OutputFailed: Error, CustomStringConvertible {
  let number: Int32
  var description: String { "standard output: \(System.message(of: number))" }
}

/// What the command line calls of the C library, here and in RelaySystem.swift.
enum System {
  /// Writes a whole line at once, so that whoever reads the other end has it now.
  static func write(line: String) throws {
    var bytes = Array((line + "\n").utf8)
    while !bytes.isEmpty { bytes.removeFirst(try write(bytes[...])) }
  }

  /// Writes what standard output takes, and gives how much that is.
  static func write(_ bytes: ArraySlice<UInt8>) throws -> Int {
    let count = unsafe bytes.withUnsafeBytes { unsafe CLinux.write(1, $0.baseAddress, $0.count) }
    if count >= 0 { return count }
    switch clinux_errno() {
    case EPIPE: throw OutputClosed()
    case EINTR: return 0
    case let number: throw OutputFailed(number: number)
    }
  }

  /// strerror(3).
  static func message(of number: Int32) -> String {
    guard let text = unsafe strerror(number) else { return "error \(number)" }
    return unsafe String(cString: text)
  }

  /// Writes a line to standard error.
  static func complain(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = unsafe bytes.withUnsafeBytes { unsafe CLinux.write(2, $0.baseAddress, $0.count) }
  }

  /// The user as the agent sees it.
  static var user: UInt32 { geteuid() }

  /// A write to a closed pipe is an error and no signal.
  static func ignoreBrokenPipes() { _ = clinux_ignore_signal(SIGPIPE) }

  /// A descriptor that is readable once SIGINT or SIGTERM came, which then no longer end the process.
  static func terminationSignals() -> Int32 {
    var set = sigset_t()
    unsafe sigemptyset(&set)
    unsafe sigaddset(&set, SIGINT)
    unsafe sigaddset(&set, SIGTERM)
    unsafe sigprocmask(SIG_BLOCK, &set, nil)
    return unsafe signalfd(-1, &set, Int32(SFD_CLOEXEC))
  }

  /// Waits until one of the descriptors is readable (or standard output's reader is gone), at most `milliseconds`;
  /// -1 waits for ever. Gives for each descriptor whether it is readable, and whether standard output is closed.
  static func wait(for descriptors: [Int32], milliseconds: Int32 = -1) -> (readable: [Bool], outputClosed: Bool) {
    var entries = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    // Nothing is asked for: POLLERR and POLLHUP come by themselves.
    entries.append(pollfd(fd: 1, events: 0, revents: 0))
    let count = unsafe entries.withUnsafeMutableBufferPointer {
      unsafe poll($0.baseAddress, nfds_t($0.count), milliseconds)
    }
    guard count > 0 else { return (descriptors.map { _ in false }, false) }
    let gone = Int16(POLLERR) | Int16(POLLHUP)
    return (entries.dropLast().map { $0.revents != 0 }, entries.last!.revents & gone != 0)
  }

  /// Nanoseconds since 1970.
  static var now: UInt64 {
    var time = timespec()
    unsafe clock_gettime(CLOCK_REALTIME, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  /// An instant in local time: date "2026-11-21", time "14:02:11.532841", offset "+0100".
  static func local(_ nanoseconds: UInt64) -> (date: String, time: String, offset: String) {
    var seconds = time_t(nanoseconds / 1_000_000_000)
    var parts = unsafe tm()
    unsafe localtime_r(&seconds, &parts)
    let micro = String(nanoseconds % 1_000_000_000 / 1000)
    return (
      unsafe format("%Y-%m-%d", &parts),
      unsafe format("%H:%M:%S", &parts) + "." + String(repeating: "0", count: 6 - micro.count) + micro,
      unsafe format("%z", &parts)
    )
  }

  private static func format(_ format: String, _ parts: UnsafePointer<tm>) -> String {
    var buffer = [CChar](repeating: 0, count: 32)
    let count = unsafe strftime(&buffer, buffer.count, format, parts)
    return String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
