import CLinux
import CNetlink
import Wire

/// The one netlink route socket. Notifications and dumps share it, so that the kernel's own order between them
/// is kept.
@usableFromInline
@safe struct RouteSocket: ~Copyable {
  @usableFromInline let socket: OpaquePointer
  let descriptor: Int32
  let port: UInt32
  @usableFromInline var buffer: UnsafeMutableRawBufferPointer
  private var nextSequence: UInt32 = 1

  /// What the kernel makes a dump's datagrams at most (net/netlink/af_netlink.c).
  private static let datagram = 32_768

  /// Opens it, sets the filter, then subscribes, so that nothing comes in unfiltered. `receiveBuffer` in bytes.
  static func open(receiveBuffer: Int32, filter: [sock_filter]) throws(KernelError) -> RouteSocket {
    let socket = try unsafe RouteSocket(connected: connect())
    try socket.configure(receiveBuffer: receiveBuffer, filter: filter)
    return socket
  }

  private func configure(receiveBuffer: Int32, filter: [sock_filter]) throws(KernelError) {
    // Beyond net.core.rmem_max where CAP_NET_ADMIN allows it.
    if setOption(SOL_SOCKET, SO_RCVBUFFORCE, receiveBuffer) != 0 {
      _ = setOption(SOL_SOCKET, SO_RCVBUF, receiveBuffer)
    }
    // The kernel then refuses what it doesn't know instead of ignoring it; older ones don't know this.
    _ = setOption(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
    try setFilter(filter)
    for group in [
      RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_NEIGH,
    ] {
      try subscribe(Int32(group.rawValue))
    }
  }

  private init(connected socket: OpaquePointer) {
    unsafe self.socket = socket
    descriptor = unsafe nl_socket_get_fd(socket)
    port = unsafe nl_socket_get_local_port(socket)
    unsafe buffer = .allocate(byteCount: Self.datagram, alignment: 16)
  }

  private static func connect() throws(KernelError) -> OpaquePointer {
    let socket = unsafe try connectToKernel()
    guard unsafe nl_socket_set_nonblocking(socket) == 0 else {
      let code = lastError
      unsafe nl_socket_free(socket)
      throw KernelError(.open, code)
    }
    return unsafe socket
  }

  @inlinable deinit { unsafe free(socket, buffer) }

  private func setOption(_ level: Int32, _ name: Int32, _ value: Int32) -> Int32 {
    var value = value
    return unsafe setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
  }

  /// Replaces the filter, in one step.
  func setFilter(_ filter: [sock_filter]) throws(KernelError) {
    var instructions = filter
    let result = unsafe instructions.withUnsafeMutableBufferPointer { buffer in
      var program = unsafe sock_fprog(len: UInt16(buffer.count), filter: buffer.baseAddress)
      return unsafe setsockopt(
        descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &program, socklen_t(MemoryLayout<sock_fprog>.size))
    }
    if result != 0 { throw KernelError(.filter, lastError) }
  }

  func subscribe(_ group: Int32) throws(KernelError) {
    if setOption(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group) != 0 { throw KernelError(.subscribe, lastError) }
  }

  // MARK: Requests

  /// Asks for a table. The sequence number that its parts will bear, nil if the kernel had no room for the request.
  mutating func request(_ dump: Dump) -> UInt32? {
    switch dump {
    case .links:
      // Nobody reads the statistics, half of each message.
      return send(Int32(RTM_GETLINK), NLM_F_DUMP, ifinfomsg(), attribute: (Int32(IFLA_EXT_MASK), .host(1 << 3)))
    case .addresses: return send(Int32(RTM_GETADDR), NLM_F_DUMP, ifaddrmsg(), attribute: nil)
    case .routes4, .routes6:
      var header = rtmsg()
      header.rtm_family = UInt8(dump == .routes4 ? AF_INET : AF_INET6)
      return send(Int32(RTM_GETROUTE), NLM_F_DUMP, header, attribute: nil)
    case .neighbours: return send(Int32(RTM_GETNEIGH), NLM_F_DUMP, ndmsg(), attribute: nil)
    }
  }

  /// Asks for one neighbour: it comes as if it had changed, or an error comes.
  mutating func request(_ neighbour: NeighbourKey) {
    var header = ndmsg()
    header.ndm_family = UInt8(neighbour.address.family == .v4 ? AF_INET : AF_INET6)
    header.ndm_ifindex = Int32(bitPattern: neighbour.interface)
    _ = send(Int32(RTM_GETNEIGH), 0, header, attribute: (Int32(NDA_DST), .address(neighbour.address)))
  }

  private enum Value {
    case host(UInt32)
    case address(IPAddress)
  }

  private mutating func send<Header: BitwiseCopyable>(
    _ type: Int32, _ flags: Int32, _ header: Header, attribute: (type: Int32, value: Value)?
  ) -> UInt32? {
    let sequence = nextSequence
    // 0 would let libnl choose.
    nextSequence = sequence == .max ? 1 : sequence + 1
    guard var request = Request(type, flags, sequence, header) else { return nil }
    switch attribute {
    case (let type, .host(let value))?: request.put(type, value)
    case (let type, .address(let address))?: request.put(type, address)
    case nil: break
    }
    guard request.isWhole, unsafe request.send(over: socket) else { return nil }
    return sequence
  }

  // MARK: Receiving

  enum Received {
    case nothing
    /// Messages were dropped, or a dump broke: ENOBUFS and the like.
    case lost
    /// Not from the kernel.
    case foreign
    /// Longer than the buffer, which has grown: cut off, and to be asked for again.
    case truncated
    /// So many bytes, in `messages`.
    case datagram(Int)
  }

  mutating func receive() throws(KernelError) -> Received {
    var sender = sockaddr_nl()
    var vector = unsafe iovec(iov_base: buffer.baseAddress, iov_len: buffer.count)
    var header = unsafe msghdr()
    let count = unsafe withUnsafeMutablePointer(to: &sender) { sender in
      unsafe withUnsafeMutablePointer(to: &vector) { vector in
        unsafe header.msg_name = UnsafeMutableRawPointer(sender)
        unsafe header.msg_namelen = socklen_t(MemoryLayout<sockaddr_nl>.size)
        unsafe header.msg_iov = vector
        unsafe header.msg_iovlen = 1
        while true {
          // MSG_TRUNC: the whole length, even if it doesn't fit.
          let count = unsafe recvmsg(descriptor, &header, Int32(MSG_DONTWAIT) | Int32(MSG_TRUNC))
          if count >= 0 || lastError != EINTR { return count }
        }
      }
    }
    if count < 0 {
      switch lastError {
      case EAGAIN: return .nothing
      case EBADF, ENOTSOCK, EFAULT, EINVAL: throw KernelError(.receive, lastError)
      default: return .lost
      }
    }
    if sender.nl_pid != 0 { return .foreign }
    if unsafe count > buffer.count {
      unsafe buffer.deallocate()
      unsafe buffer = .allocate(byteCount: count, alignment: 16)
      return .truncated
    }
    return .datagram(count)
  }

  /// Calls `body` with each message of the datagram that was received last. False if its bytes don't make whole ones.
  func messages(_ count: Int, _ body: (Message) -> Void) -> Bool {
    unsafe Message.walk(unsafe: buffer, count, body)
  }
}

/// errno, which is a macro.
private var lastError: Int32 { unsafe __errno_location().pointee }

@usableFromInline
func free(_ socket: OpaquePointer, _ buffer: UnsafeMutableRawBufferPointer) {
  unsafe nl_socket_free(socket)
  unsafe buffer.deallocate()
}
