import CAres
import CLinux
import Platform

/// What c-ares calls instead of socket(2) and its kin: every socket is bound to interface and source address, and
/// errors that came for an earlier datagram are told apart from those of the present one. Each answers as its system
/// call does, with -1 and `errno`.
enum LaneSockets {
  static var functions: ares_socket_functions {
    unsafe ares_socket_functions(
      asocket: { family, type, _, data in
        guard let lane = unsafe Lane.at(data) else { return fail(EBADF) }
        return lane.openSocket(family, type)
      },
      aclose: { number, data in
        unsafe Lane.at(data)?.closeSocket(number)
        return 0
      },
      aconnect: { number, _, _, data in
        guard let lane = unsafe Lane.at(data) else { return fail(EBADF) }
        return lane.connectSocket(number)
      },
      arecvfrom: { number, buffer, size, _, from, length, data in
        guard let lane = unsafe Lane.at(data) else { return Int(fail(EBADF)) }
        return unsafe lane.receive(number, UnsafeMutableRawBufferPointer(start: buffer, count: size), from, length)
      },
      asendv: { number, parts, count, data in
        guard let lane = unsafe Lane.at(data) else { return Int(fail(EBADF)) }
        return unsafe lane.send(number, parts, Int(count))
      })
  }
}

private func fail(_ number: Int32) -> Int32 {
  cares_set_errno(number)
  return -1
}

extension Lane {
  func want(_ number: Int32, readable: Bool, writable: Bool) {
    for index in sockets.indices where sockets[index].number == number {
      sockets[index].wanted = readable ? (writable ? [.read, .write] : .read) : (writable ? .write : [])
    }
  }

  fileprivate func openSocket(_ family: Int32, _ type: Int32) -> Int32 {
    do throws(Errno) {
      let flags = Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
      let number = try valueOrErrno { socket(family, type | flags, 0) }
      do throws(Errno) {
        try bind(number, family)
      } catch {
        closeDescriptor(number)
        throw error
      }
      sockets.append(Socket(number: number))
      hasAnswered = false
      return number
    } catch {
      lastError = error.rawValue
      return fail(error.rawValue)
    }
  }

  private func bind(_ number: Int32, _ family: Int32) throws(Errno) {
    if endpoint.interface != 0 {
      // Where nothing is bound yet this takes no privilege (Linux 5.7). Not by name: that may change.
      try set(number, SOL_SOCKET, SO_BINDTOIFINDEX, Int32(bitPattern: endpoint.interface))
    }
    if !endpoint.isStream {
      // Without it "host unreachable" and "net unreachable" are not told to a datagram socket.
      if family == AF_INET {
        try set(number, Int32(IPPROTO_IP), IP_RECVERR, 1)
      } else {
        try set(number, Int32(IPPROTO_IPV6), IPV6_RECVERR, 1)
      }
    }
    // Room for many answers at once; the kernel gives less without a word where less is allowed.
    if !endpoint.isStream { try set(number, SOL_SOCKET, SO_RCVBUF, 1 << 20) }
    guard let source = endpoint.source else { return }
    _ = try valueOrErrno {
      unsafe withSocketAddress(source, port: 0, interface: endpoint.interface) {
        unsafe clinux_bind(number, $0, $1)
      }
    }
  }

  private func set(_ number: Int32, _ level: Int32, _ name: Int32, _ value: Int32) throws(Errno) {
    var value = value
    _ = try valueOrErrno { unsafe setsockopt(number, level, name, &value, socklen_t(MemoryLayout<Int32>.size)) }
  }

  fileprivate func closeSocket(_ number: Int32) {
    for index in sockets.indices where sockets[index].number == number {
      if let token = sockets[index].token { closedTokens.append(token) }
      sockets.remove(at: index)
      break
    }
    // Which takes it out of the poller too.
    closeDescriptor(number)
  }

  /// c-ares' own sockaddr has no scope.
  fileprivate func connectSocket(_ number: Int32) -> Int32 {
    do throws(Errno) {
      return try valueOrErrno {
        unsafe withSocketAddress(endpoint.server, port: port, interface: endpoint.interface) {
          unsafe clinux_connect(number, $0, $1)
        }
      }
    } catch {
      if error.rawValue != EINPROGRESS { lastError = error.rawValue }
      return fail(error.rawValue)
    }
  }

  fileprivate func receive(
    _ number: Int32, _ buffer: UnsafeMutableRawBufferPointer, _ from: UnsafeMutablePointer<sockaddr>?,
    _ length: UnsafeMutablePointer<ares_socklen_t>?
  ) -> Int {
    if !forgery.isEmpty, let from = unsafe from {
      return unsafe deliverForgery(buffer, from)
    }
    if error != 0 {
      lastError = error
      error = 0
      return Int(fail(lastError))
    }
    if !endpoint.isStream {
      if budget == 0 { return Int(fail(EAGAIN)) }
      budget -= 1
    }
    // Twice, for a packet that was too big on its way: none of ours is worth an answer to that.
    for attempt in 0..<2 {
      let count = unsafe CLinux.recv(number, buffer.baseAddress, buffer.count, 0)
      if count > 0 || count == 0 && !endpoint.isStream {
        // The socket is connected: the kernel lets nobody else's datagrams through.
        if let from = unsafe from { unsafe nameServer(from) }
        return count
      }
      if count == 0 {
        lastError = ECONNRESET
        return 0
      }
      let reason = Errno.current
      if attempt == 0, reason == .interrupted || reason == .messageTooLong { continue }
      if reason != .wouldBlock { lastError = reason.rawValue }
      return Int(fail(reason.rawValue))
    }
    return Int(fail(EAGAIN))
  }

  private func deliverForgery(_ buffer: UnsafeMutableRawBufferPointer, _ from: UnsafeMutablePointer<sockaddr>) -> Int {
    let count = min(forgery.count, buffer.count)
    for index in 0..<count { unsafe buffer[index] = forgery[index] }
    unsafe nameServer(from)
    forgery = []
    return count
  }

  /// c-ares compares the sender's address with the server's. It gives room for one of the server's family.
  private func nameServer(_ from: UnsafeMutablePointer<sockaddr>) {
    unsafe withSocketAddress(endpoint.server, port: port, interface: 0) {
      _ = unsafe memcpy(from, $0, Int($1))
    }
  }

  fileprivate func send(_ number: Int32, _ parts: UnsafePointer<iovec>?, _ count: Int) -> Int {
    var message = unsafe msghdr()
    unsafe message.msg_iov = UnsafeMutablePointer(mutating: parts)
    unsafe message.msg_iovlen = count
    // Twice, because the first error of a datagram socket may be one that an earlier datagram met.
    for attempt in 0..<2 {
      let sent = unsafe sendmsg(number, &message, Int32(MSG_NOSIGNAL))
      if sent >= 0 { return sent }
      let reason = Errno.current
      if endpoint.isStream {
        if reason == .interrupted, attempt == 0 { continue }
        if reason != .wouldBlock { lastError = reason.rawValue }
        return Int(fail(reason.rawValue))
      }
      if reason == .wouldBlock || reason == .noBufferSpace {
        unsent += 1
        return unsafe size(parts, count)
      }
      if attempt == 0 {
        if reason != .messageTooLong, reason != .interrupted { error = reason.rawValue }
        continue
      }
      lastError = reason.rawValue
      return Int(fail(reason.rawValue))
    }
    return Int(fail(EAGAIN))
  }

  private func size(_ parts: UnsafePointer<iovec>?, _ count: Int) -> Int {
    guard let parts = unsafe parts else { return 0 }
    var size = 0
    for index in 0..<count { unsafe size += parts[index].iov_len }
    return size
  }

  /// Takes what waits in a datagram socket's queue of errors, which keeps it ready otherwise.
  func drainErrors(_ number: Int32) {
    var byte: UInt8 = 0
    for _ in 0..<64 {
      if unsafe recv(number, &byte, 1, Int32(MSG_ERRQUEUE | MSG_DONTWAIT)) < 0 { return }
    }
  }
}
