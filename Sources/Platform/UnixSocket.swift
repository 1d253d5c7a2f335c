package import CLinux

/// Who is at the other end of a Unix socket, as the kernel saw it when it connected (SO_PEERCRED).
package struct PeerCredentials: Hashable, Sendable {
  /// 0 for a process whose pid can't be seen from here (another pid namespace).
  package var pid: Int32
  package var uid: UInt32
  package var gid: UInt32

  package init(pid: Int32, uid: UInt32, gid: UInt32) {
    self.pid = pid
    self.uid = uid
    self.gid = gid
  }
}

/// A listening SOCK_SEQPACKET socket in the file system.
package struct Listener: ~Copyable {
  package let descriptor: Descriptor
  package let path: [UInt8]

  /// socket(2), bind(2), listen(2). A socket that a dead instance left at `path` is removed first (hold the
  /// `InstanceLock`); anything else there is left alone and refused with EEXIST. The file is born without any
  /// permission and gets `group` and `mode` before anyone can connect, whatever the umask.
  package init(
    path: [UInt8], mode: UInt32, group: UInt32? = nil, backlog: Int32 = 128
  ) throws(SystemFailure) {
    self.path = path
    try Listener.removeStaleSocket(path)
    let descriptor = Descriptor(
      taking: try valueOrFailure("create a socket for", path) {
        socket(AF_UNIX, unixSocket(SOCK_SEQPACKET), 0)
      })
    var address = sockaddr_un()
    let length = unsafe path.withUnsafeBytes { unsafe clinux_unix_address(&address, $0.baseAddress, $0.count) }
    if length == 0 || path.contains(0) {
      throw SystemFailure("bind", path, .nameTooLong, hint: "at most 107 bytes fit into a socket's path")
    }
    // The file takes the socket's own mode (less the umask): none, until it is ready.
    _ = try valueOrFailure("bind", path) { fchmod(descriptor.number, 0) }
    _ = try valueOrFailure("bind", path) { unsafe clinux_bind(descriptor.number, &address, length) }
    do throws(SystemFailure) {
      try unsafe withPath(path, orThrow: { SystemFailure("bind", path, $0) }) { name throws(SystemFailure) in
        if let group {
          _ = try valueOrFailure("give its group to", path) { unsafe chown(name, uid_t.max, group) }
        }
        _ = try valueOrFailure("set the mode of", path) { unsafe chmod(name, mode_t(mode)) }
      }
      _ = try valueOrFailure("listen on", path) { listen(descriptor.number, backlog) }
    } catch {
      removeFile(path)
      throw error
    }
    self.descriptor = descriptor
  }

  /// accept4(2): the next connection, nonblocking and closed on exec; nil if none waits (any more). EMFILE, ENFILE,
  /// ENOBUFS and ENOMEM leave it waiting and the listener readable: stop polling it until something was closed.
  package func accept() throws(Errno) -> Connection? {
    while true {
      let number: Int32
      do throws(Errno) {
        number = try valueOrErrno {
          clinux_accept(descriptor.number, Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue))
        }
      } catch {
        if error == .wouldBlock { return nil }
        if error.rawValue == ECONNABORTED { continue }
        throw error
      }
      return try Connection(taking: Descriptor(taking: number))
    }
  }

  /// Removes the socket from the file system and closes it.
  package consuming func remove() { removeFile(path) }

  private static func removeStaleSocket(_ path: [UInt8]) throws(SystemFailure) {
    try unsafe withPath(path, orThrow: { SystemFailure("bind", path, $0) }) { name throws(SystemFailure) in
      var status = stat()
      if unsafe lstat(name, &status) != 0 { return }
      if clinux_is_socket(status.st_mode) == 0 {
        throw SystemFailure("bind", path, .exists, hint: "what is there is not a socket")
      }
      _ = try valueOrFailure("remove the stale socket", path) { unsafe unlink(name) }
    }
  }
}

/// Where one of several messages lies in their memory, in bytes.
package struct MessagePlace: Sendable {
  package let offset: UInt32
  package var length: UInt32

  package init(offset: Int, length: Int) {
    self.offset = UInt32(offset)
    self.length = UInt32(length)
  }
}

/// One end of a SOCK_SEQPACKET connection: a datagram is a message, order is kept, nothing is lost.
package struct Connection: ~Copyable {
  package enum Sent: Hashable, Sendable {
    case sent
    /// The socket's buffer is full, or the peer's queue: try again when it is writable.
    case wouldBlock
    /// The message alone is larger than the socket's buffer (EMSGSIZE): it can never be sent.
    case tooLong
    /// The peer is gone (EPIPE, ECONNRESET), or something worse; the connection is of no use any more.
    case failed(Errno)
  }

  package enum Received: Hashable, Sendable {
    /// A message of `length` bytes; what of it fitted is in the buffer. Longer than the buffer: it was cut.
    case message(length: Int)
    /// None is waiting.
    case nothing
    /// The peer has closed its end.
    case closed
    case failed(Errno)
  }

  package let descriptor: Descriptor
  package let peer: PeerCredentials

  /// Takes over a connected Unix socket and asks who is at the other end: getsockopt(2), SO_PEERCRED.
  package init(taking descriptor: consuming Descriptor) throws(Errno) {
    var credentials = ucred()
    var length = socklen_t(MemoryLayout<ucred>.size)
    let number = descriptor.number
    _ = try valueOrErrno { unsafe getsockopt(number, SOL_SOCKET, SO_PEERCRED, &credentials, &length) }
    self.descriptor = descriptor
    peer = PeerCredentials(pid: credentials.pid, uid: credentials.uid, gid: credentials.gid)
  }

  /// socket(2), connect(2): the client's end, nonblocking.
  package init(to path: [UInt8]) throws(SystemFailure) {
    let descriptor = try Descriptor(connectedTo: path, SOCK_SEQPACKET)
    do throws(Errno) {
      try self.init(taking: descriptor)
    } catch {
      throw SystemFailure("connect to", path, error)
    }
  }

  /// The supplementary groups of whoever is at the other end, when it connected: getsockopt(2), SO_PEERGROUPS.
  package func peerGroups() throws(Errno) -> [UInt32] {
    var groups = [gid_t](repeating: 0, count: 64)
    while true {
      var length = socklen_t(groups.count * MemoryLayout<gid_t>.size)
      let result = unsafe groups.withUnsafeMutableBytes {
        unsafe getsockopt(descriptor.number, SOL_SOCKET, SO_PEERGROUPS, $0.baseAddress, &length)
      }
      let count = Int(length) / MemoryLayout<gid_t>.size
      if result == 0 { return Array(groups.prefix(count)) }
      // It says how many there are.
      guard Errno.current.rawValue == ERANGE, count > groups.count else { throw .current }
      groups = [gid_t](repeating: 0, count: count)
    }
  }

  /// SO_SNDBUF: how much the kernel holds for a peer that does not read. The kernel doubles the number for its
  /// own bookkeeping, caps it at net.core.wmem_max and charges each message with its overhead.
  package func setSendBuffer(bytes: Int) throws(Errno) {
    try descriptor.setOption(level: SOL_SOCKET, SO_SNDBUF, Int32(clamping: bytes))
  }

  /// send(2), MSG_DONTWAIT | MSG_NOSIGNAL: the whole message or nothing.
  package func send(_ message: RawSpan) -> Sent {
    Connection.sent {
      unsafe message.withUnsafeBytes {
        unsafe CLinux.send(descriptor.number, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL))
      }
    }
  }

  /// How many messages one `send(_:at:)` takes.
  package static var mostAtOnce: Int { Int(clinux_most_messages) }

  /// sendmmsg(2): messages that lie in one memory, in order. What comes after the last one sent could not be sent now, or
  /// ever: to send it by itself says which.
  ///
  /// - Returns: how many were sent, 0 to `mostAtOnce`.
  package func send(_ memory: RawSpan, at places: Span<MessagePlace>) -> Int {
    let sent = unsafe memory.withUnsafeBytes { bytes in
      unsafe places.withUnsafeBufferPointer {
        unsafe clinux_send_messages(
          descriptor.number, bytes.baseAddress, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT))
      }
    }
    return max(0, Int(sent))
  }

  /// sendmsg(2) with a copy of `passed` beside the message (SCM_RIGHTS): both or neither. The message is not empty,
  /// or it couldn't be told from the end. ETOOMANYREFS: peers have left too many descriptors unread.
  package func send(_ message: RawSpan, passing passed: borrowing Descriptor) -> Sent {
    let number = passed.number
    return Connection.sent {
      unsafe message.withUnsafeBytes {
        unsafe clinux_send_descriptor(descriptor.number, $0.baseAddress, $0.count, number, Int32(MSG_DONTWAIT))
      }
    }
  }

  /// sendmsg(2) with copies of three descriptors beside the message: all or nothing.
  package func send(_ message: RawSpan, passing numbers: [3 of Int32]) -> Sent {
    Connection.sent {
      unsafe message.withUnsafeBytes { bytes in
        unsafe numbers.span.withUnsafeBufferPointer {
          unsafe clinux_send_descriptors(
            descriptor.number, bytes.baseAddress, bytes.count, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT))
        }
      }
    }
  }

  private static func sent(_ call: () -> Int) -> Sent {
    do throws(Errno) {
      _ = try valueOrErrno(call)
      return .sent
    } catch {
      switch error {
      // A SOCK_SEQPACKET sender waits for the peer's queue length too: the same EAGAIN. ENOBUFS passes.
      case .wouldBlock, .noBufferSpace: return .wouldBlock
      case .messageTooLong: return .tooLong
      default: return .failed(error)
      }
    }
  }

  /// recv(2), MSG_DONTWAIT | MSG_TRUNC: one message, with its true length even where that is more than `buffer`.
  /// Descriptors that come beside it the kernel closes.
  package func receive(into buffer: inout MutableRawSpan) -> Received {
    received {
      unsafe buffer.withUnsafeMutableBytes {
        unsafe recv(descriptor.number, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT | MSG_TRUNC))
      }
    }
  }

  /// recvmsg(2): the same, and the descriptor that came beside the message (SCM_RIGHTS), closed on exec. nil if none
  /// came, or this process may open no more. Of several it is the first; those after it, and that of a message
  /// which was cut, are closed. What `passed` held before is closed as well.
  package func receive(into buffer: inout MutableRawSpan, descriptor passed: inout Descriptor?) -> Received {
    passed = nil
    var number: Int32 = -1
    let received = received {
      unsafe buffer.withUnsafeMutableBytes {
        unsafe clinux_receive_descriptor(
          descriptor.number, $0.baseAddress, $0.count, &number, Int32(MSG_DONTWAIT | MSG_TRUNC))
      }
    }
    if number >= 0 { passed = Descriptor(taking: number) }
    if case .message(let length) = received, length > buffer.byteCount { passed = nil }
    return received
  }

  /// recvmsg(2): the same with up to three descriptors, in their order. What `passed` held before it lets go of.
  package func receive(into buffer: inout MutableRawSpan, descriptors passed: inout [PassedDescriptor]) -> Received {
    passed.removeAll()
    var numbers: [3 of Int32] = [-1, -1, -1]
    var span = numbers.mutableSpan
    let received = received {
      unsafe buffer.withUnsafeMutableBytes { bytes in
        unsafe span.withUnsafeMutableBufferPointer {
          unsafe clinux_receive_descriptors(
            descriptor.number, bytes.baseAddress, bytes.count, $0.baseAddress, $0.count,
            Int32(MSG_DONTWAIT | MSG_TRUNC))
        }
      }
    }
    for index in 0..<3 where numbers[index] >= 0 {
      passed.append(PassedDescriptor(Descriptor(taking: numbers[index])))
    }
    return received
  }

  private func received(_ call: () -> Int) -> Received {
    let length: Int
    do throws(Errno) {
      length = try valueOrErrno(call)
    } catch {
      return error == .wouldBlock ? .nothing : .failed(error)
    }
    if length > 0 { return .message(length: length) }
    // 0 is an empty message, which is the peer's right, or the end.
    return hasHungUp ? .closed : .message(length: 0)
  }

  /// shutdown(2), both ways: from now on it is readable, and there is only the end to be read.
  package func shutDown() { _ = shutdown(descriptor.number, Int32(SHUT_RDWR)) }

  /// poll(2), POLLRDHUP.
  private var hasHungUp: Bool {
    var question = pollfd(fd: descriptor.number, events: Int16(POLLRDHUP), revents: 0)
    return unsafe poll(&question, 1, 0) > 0 && Int32(question.revents) & (POLLRDHUP | POLLHUP) != 0
  }
}

extension Descriptor {
  /// socket(2), connect(2): the client's end of a Unix socket of a type, nonblocking and closed on exec.
  package init(connectedTo path: [UInt8], _ type: __socket_type) throws(SystemFailure) {
    let descriptor = Descriptor(
      taking: try valueOrFailure("create a socket for", path) { socket(AF_UNIX, unixSocket(type), 0) })
    var address = sockaddr_un()
    let length = unsafe path.withUnsafeBytes { unsafe clinux_unix_address(&address, $0.baseAddress, $0.count) }
    if length == 0 || path.contains(0) { throw SystemFailure("connect to", path, .nameTooLong) }
    _ = try valueOrFailure("connect to", path) { unsafe clinux_connect(descriptor.number, &address, length) }
    self = descriptor
  }
}

private func unixSocket(_ type: __socket_type) -> Int32 {
  Int32(type.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
}
