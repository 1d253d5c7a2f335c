import CLinux
import Messages

/// The client's end of one of the agent's sockets: the only file here that calls the C library.
struct AgentSocket: ~Copyable {
  let path: String
  let fileDescriptor: Int32

  /// socket(2), connect(2).
  init(path: String) throws(ClientError) {
    var address = sockaddr_un()
    var text = path
    let length = text.withUTF8 { unsafe clinux_unix_address(&address, $0.baseAddress, $0.count) }
    guard length > 0 else { throw .unusablePath(path) }
    let descriptor = socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw .system("socket", errorNumber, path: path) }
    var result: Int32
    repeat {
      result = unsafe clinux_connect(descriptor, &address, length)
    } while result != 0 && errorNumber == EINTR
    guard result == 0 else {
      let number = errorNumber
      close(descriptor)
      switch number {
      // ENOTCONN and EAGAIN: its backlog is full or it is on its way out.
      case ENOENT, ECONNREFUSED, ENOTDIR, EAGAIN, ENOTCONN: throw .noAgent(path: path)
      case EACCES, EPERM: throw .notAllowed(path: path)
      default: throw .system("connect", number, path: path)
      }
    }
    self.path = path
    fileDescriptor = descriptor
  }

  deinit { close(fileDescriptor) }

  /// send(2) of one message. Few are on their way at a time, so that this does not wait.
  func send(_ message: RawSpan) throws(ClientError) {
    while true {
      let count = unsafe message.withUnsafeBytes {
        unsafe CLinux.send(fileDescriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count == message.byteCount { return }
      switch errorNumber {
      case EINTR: continue
      case EPIPE, ECONNRESET, ENOTCONN: throw .disconnected(path: path)
      default: throw .system("send", errorNumber, path: path)
      }
    }
  }

  /// recv(2) of one message into `buffer`, not waiting: its length, or nil where there is none.
  func receive(into buffer: inout [UInt8]) throws(ClientError) -> Int? {
    while true {
      let flags = Int32(MSG_DONTWAIT | MSG_TRUNC)
      let count = unsafe buffer.withUnsafeMutableBytes {
        unsafe recv(fileDescriptor, $0.baseAddress, $0.count, flags)
      }
      if count > buffer.count { throw .malformed(path: path, "longer than a message may be") }
      if count > 0 { return count }
      if count == 0 { throw .disconnected(path: path) }
      switch errorNumber {
      case EINTR: continue
      case EAGAIN: return nil
      case ECONNRESET, ENOTCONN: throw .disconnected(path: path)
      default: throw .system("recv", errorNumber, path: path)
      }
    }
  }

  /// poll(2): whether there is something to receive before `deadline`; nil waits for ever.
  func waitUntilReadable(deadline: ContinuousClock.Instant?) throws(ClientError) -> Bool {
    while true {
      var timeout: Int32 = -1
      if let deadline {
        let left = ContinuousClock.now.duration(to: deadline).components
        guard left.seconds >= 0, left.attoseconds >= 0 else { return false }
        // Rounded up: with 0 this would spin through the last millisecond.
        timeout = Int32(clamping: left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000 + 1)
      }
      var descriptor = pollfd(fd: fileDescriptor, events: Int16(POLLIN), revents: 0)
      let count = unsafe poll(&descriptor, 1, timeout)
      if count > 0 { return true }
      if count < 0 && errorNumber != EINTR { throw .system("poll", errorNumber, path: path) }
    }
  }
}

private var errorNumber: Int32 { clinux_errno() }

/// getsockname(2); nil where it is not a socket of the Internet.
func localAddress(of descriptor: Int32) -> SocketAddress? {
  var bytes = [UInt8](repeating: 0, count: MemoryLayout<sockaddr_storage>.size)
  var length = socklen_t(bytes.count)
  guard unsafe clinux_getsockname(descriptor, &bytes, &length) == 0 else { return nil }
  return try? SocketAddress(bytes.prefixBytes(min(Int(length), bytes.count)), at: 0)
}

/// getpid(2).
var ownProcess: UInt32 { UInt32(bitPattern: getpid()) }

/// strerror(3).
func message(ofError number: Int32) -> String {
  guard let text = unsafe strerror(number) else { return "error \(number)" }
  return unsafe String(cString: text)
}

extension [UInt8] {
  /// The first `count` bytes, to be decoded.
  @_lifetime(borrow self)
  func prefixBytes(_ count: Int) -> RawSpan {
    unsafe span.bytes.extracting(first: count)
  }

  /// Writes a message over the array's begin.
  mutating func write<Failure: Error>(
    _ body: (inout MessageWriter) throws(Failure) -> Int
  ) throws(Failure) -> Int {
    var bytes = mutableSpan
    var writer = MessageWriter(unsafe bytes.mutableBytes)
    return try body(&writer)
  }
}
