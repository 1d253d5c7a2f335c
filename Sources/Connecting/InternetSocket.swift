import CLinux
import Platform
import Wire

/// A TCP or UDP socket, bound to an interface and to one of its addresses: the system calls of connecting.
struct InternetSocket {
  let descriptor: PassedDescriptor
  private let source: IPAddress
  private let transport: ConnectOrder.Transport

  var number: Int32 { descriptor.descriptor.number }

  /// Does all up to connect(2). A UDP socket is connected then; a TCP socket doesn't wait for its handshake, and
  /// `outcome` has it later.
  init(_ order: ConnectOrder) throws(ConnectFailure) {
    try InternetSocket.check(order)
    source = order.source
    transport = order.transport
    do throws(Errno) {
      let domain = source.family == .v4 ? AF_INET : AF_INET6
      // A UDP socket is connected at once in any case.
      let kind =
        transport == .tcp
        ? Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue) : Int32(SOCK_DGRAM.rawValue)
      let number = try valueOrErrno { socket(domain, kind | Int32(SOCK_CLOEXEC.rawValue), 0) }
      descriptor = PassedDescriptor(Descriptor(taking: number))
    } catch {
      throw ConnectFailure(error, .local)
    }
    do throws(Errno) {
      try bind(order)
    } catch {
      throw ConnectFailure(error, .local)
    }
    do throws(Errno) {
      if transport == .tcp { try setErrorQueue(true) }
      var destination = sockaddr_storage()
      let length = fill(&destination, order.destination, order.port, interface: order.interface)
      _ = try valueOrErrno { unsafe clinux_connect(number, &destination, length) }
    } catch {
      // On a host's own addresses the answer is sometimes there already.
      if error.rawValue != EINPROGRESS { throw failure(error) }
    }
  }

  /// What the kernel would take to mean something else.
  private static func check(_ order: ConnectOrder) throws(ConnectFailure) {
    if order.source.family != order.destination.family || isMapped(order.source) || isMapped(order.destination) {
      throw ConnectFailure(.addressFamilyNotSupported, .local)
    }
    // No interface would be any.
    if order.interface == 0 { throw ConnectFailure(.noDevice, .local) }
    // Unspecified it would be this host itself.
    if order.destination.isUnspecified || order.port == 0 { throw ConnectFailure(.invalidArgument, .local) }
    // Bound to a real interface, the kernel would send it out there (RFC 1122 3.2.1.3 (g), RFC 4291 2.5.3).
    if order.destination.isLoopback && !order.source.isLoopback { throw ConnectFailure(.networkUnreachable, .local) }
    // Unspecified or a group, the kernel would choose the source by itself.
    if order.source.isUnspecified || isMulticast(order.source) {
      throw ConnectFailure(.addressNotAvailable, .local)
    }
  }

  private static func isMapped(_ address: IPAddress) -> Bool {
    if case .v6(let v6) = address { v6.mapped != nil } else { false }
  }

  private static func isMulticast(_ address: IPAddress) -> Bool {
    switch address {
    case .v4(let v4): v4.isMulticast
    case .v6(let v6): v6.isMulticast
    }
  }

  /// SO_BINDTOIFINDEX, which is SO_BINDTODEVICE without the chance that the interface was renamed meanwhile (an
  /// ordinary user may, once a socket, since Linux 5.7), and bind(2).
  private func bind(_ order: ConnectOrder) throws(Errno) {
    try descriptor.descriptor.setOption(level: SOL_SOCKET, SO_BINDTOIFINDEX, Int32(truncatingIfNeeded: order.interface))
    var source = sockaddr_storage()
    let length = fill(&source, order.source, order.sourcePort, interface: order.interface)
    let sharesPorts = transport == .tcp && order.sourcePort == 0
    // connect(2) then finds a port that is free towards this one destination, of which there are more.
    if sharesPorts { try descriptor.descriptor.setOption(level: Int32(IPPROTO_IP), IP_BIND_ADDRESS_NO_PORT, 1) }
    _ = try valueOrErrno { unsafe clinux_bind(number, &source, length) }
  }

  /// IP_RECVERR or IPV6_RECVERR. Off it is emptied.
  private func setErrorQueue(_ isOn: Bool) throws(Errno) {
    let (level, name) =
      source.family == .v4
      ? (Int32(IPPROTO_IP), IP_RECVERR) : (Int32(IPPROTO_IPV6), IPV6_RECVERR)
    try descriptor.descriptor.setOption(level: level, name, isOn ? 1 : 0)
  }

  // MARK: What came of it

  /// Whether the handshake is through; throws if it failed.
  func isConnected() throws(ConnectFailure) -> Bool {
    // The kernel fails the handshake by itself unless the error came while connect(2) was still at work, as that of a
    // router next door may. In the queue it is in any case.
    if let error = nextICMPError() { throw error }
    let error = takeError()
    if error.rawValue != 0 { throw failure(error) }
    return hasPeer
  }

  /// Makes it what the program expects that it is handed to.
  func prepareToPass() throws(ConnectFailure) {
    do throws(Errno) {
      if transport == .udp { return }
      try setErrorQueue(false)
      // An ICMP error since then is for TCP to judge; a reset takes the peer away.
      let error = takeError()
      if !hasPeer { throw error.rawValue != 0 ? error : Errno(rawValue: ECONNRESET) }
      try descriptor.descriptor.setOption(level: Int32(IPPROTO_IP), IP_BIND_ADDRESS_NO_PORT, 0)
      _ = try valueOrErrno { clinux_fcntl(number, F_SETFL, 0) }
    } catch {
      throw failure(error)
    }
  }

  /// getpeername(2).
  private var hasPeer: Bool {
    var peer = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    return unsafe clinux_getpeername(number, &peer, &length) == 0
  }

  /// getsockopt(2), SO_ERROR.
  private func takeError() -> Errno {
    var error: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    if unsafe getsockopt(number, SOL_SOCKET, SO_ERROR, &error, &length) != 0 { return .current }
    return Errno(rawValue: error)
  }

  /// An error number with what the queue knows of where it came from.
  private func failure(_ error: Errno) -> ConnectFailure {
    if let error = nextICMPError() { return error }
    switch error.rawValue {
    case ECONNREFUSED, ECONNRESET: return ConnectFailure(error, .peer)
    case ETIMEDOUT: return ConnectFailure(error, .timeOut)
    default: return ConnectFailure(error, .local)
    }
  }

  private func nextICMPError() -> ConnectFailure? {
    var error = sock_extended_err()
    var offender = sockaddr_storage()
    while unsafe clinux_receive_error(number, &error, &offender, nil, 0) >= 0 {
      let origin: ConnectFailure.Origin
      switch Int32(error.ee_origin) {
      case SO_EE_ORIGIN_ICMP: origin = .icmp
      case SO_EE_ORIGIN_ICMP6: origin = .icmpv6
      default: continue
      }
      let offender = address(in: offender)
      let number = Errno(rawValue: Int32(bitPattern: error.ee_errno))
      // This host's own: its neighbour does not answer, or its packet filter rejects.
      if offender == source { return ConnectFailure(number, .local) }
      var failure = ConnectFailure(number, origin)
      failure.icmpType = error.ee_type
      failure.icmpCode = error.ee_code
      failure.offender = offender
      return failure
    }
    return nil
  }
}
