import CLinux

/// What `Relay` needs of the C library.
extension System {
  enum Transfer<Value> {
    case bytes(Value)
    /// Not without waiting.
    case nothing
    case failed(Int32)
  }

  struct Readiness {
    var input: Bool
    var socket: Bool
    var output: Bool
    /// Standard output's reader is gone.
    var outputClosed: Bool
  }

  /// poll(2): waits until something of what is asked for can be done; nil where nothing can be in `milliseconds`.
  static func wait(
    input: Bool, socket: Int32, receive: Bool, send: Bool, output: Bool, milliseconds: Int32
  ) -> Readiness? {
    let events = Int16(receive ? POLLIN : 0) | Int16(send ? POLLOUT : 0)
    // A negative descriptor is passed over. Without a question POLLERR and POLLHUP would still come, again and again.
    var entries = [
      pollfd(fd: input ? 0 : -1, events: Int16(POLLIN), revents: 0),
      pollfd(fd: events == 0 ? -1 : socket, events: events, revents: 0),
      pollfd(fd: 1, events: Int16(output ? POLLOUT : 0), revents: 0),
    ]
    var count: Int32
    repeat {
      count = unsafe entries.withUnsafeMutableBufferPointer {
        unsafe poll($0.baseAddress, nfds_t($0.count), milliseconds)
      }
    } while count < 0 && clinux_errno() == EINTR
    guard count > 0 else { return nil }
    let gone = entries[2].revents & (Int16(POLLERR) | Int16(POLLHUP)) != 0
    return Readiness(
      input: entries[0].revents != 0, socket: entries[1].revents != 0,
      output: entries[2].revents & Int16(POLLOUT) != 0, outputClosed: gone)
  }

  /// read(2) of standard input; empty at its end, which an error is as well. nil: nothing now.
  static func read(upTo most: Int) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: most)
    let count = unsafe bytes.withUnsafeMutableBytes { unsafe CLinux.read(0, $0.baseAddress, $0.count) }
    if count < 0, [EINTR, EAGAIN].contains(clinux_errno()) { return nil }
    bytes.removeLast(most - max(0, count))
    return bytes
  }

  /// recv(2), not waiting; no bytes are the end of a stream.
  static func receive(from socket: Int32, upTo most: Int) -> Transfer<[UInt8]> {
    var bytes = [UInt8](repeating: 0, count: most)
    let count = unsafe bytes.withUnsafeMutableBytes {
      unsafe recv(socket, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT))
    }
    if count < 0 { return interrupted(clinux_errno()) }
    bytes.removeLast(most - count)
    return .bytes(bytes)
  }

  /// send(2), not waiting: how much went out.
  static func send(_ bytes: [UInt8], to socket: Int32) -> Transfer<Int> {
    let flags = Int32(MSG_DONTWAIT | MSG_NOSIGNAL)
    let count = unsafe bytes.withUnsafeBytes { unsafe CLinux.send(socket, $0.baseAddress, $0.count, flags) }
    return count < 0 ? interrupted(clinux_errno()) : .bytes(count)
  }

  private static func interrupted<Value>(_ number: Int32) -> Transfer<Value> {
    [EINTR, EAGAIN].contains(number) ? .nothing : .failed(number)
  }

  /// shutdown(2): the other end sees the end of what was sent.
  static func endSending(_ socket: Int32) { shutdown(socket, Int32(SHUT_WR)) }

  static func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }
}
