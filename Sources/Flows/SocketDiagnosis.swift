import CLinux
import Platform
import Wire

/// Exact look-ups of one TCP or UDP socket over NETLINK_SOCK_DIAG (sock_diag(7)), for which no privilege is needed.
///
/// The kernel answers within send(2), so nothing waits: an answer that isn't there is none. It looks where it would
/// look itself for whom to tell of an ICMP error: connected sockets first, then for UDP those bound to the port.
@safe struct SocketDiagnosis: ~Copyable {
  enum Transport {
    case tcp, udp
  }

  /// A flow as this host sees it; ports in host order.
  struct Ends: Equatable {
    var local: IPAddress
    var remote: IPAddress
    var localPort: UInt16
    var remotePort: UInt16
  }

  private struct Request {
    var header = nlmsghdr()
    var body = inet_diag_req_v2()
  }

  /// As much of an answer as is looked at; the kernel's is longer, and cut.
  private struct Answer {
    var header = nlmsghdr()
    var body = inet_diag_msg()
  }

  private let descriptor: Descriptor
  private var sequence: UInt32 = 0
  /// What this kernel has: TCP and UDP of both families.
  private var known: (tcpV4: Bool, tcpV6: Bool, udpV4: Bool, udpV6: Bool) = (false, false, false, false)

  init() throws(SystemFailure) {
    self.init(
      taking: Descriptor(
        taking: try valueOrFailure("ask the kernel for sockets") {
          socket(
            AF_NETLINK, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), NETLINK_SOCK_DIAG)
        }))
  }

  /// Asks whoever is at the other end.
  init(taking descriptor: consuming Descriptor) {
    self.descriptor = descriptor
    known = (isKnown(.tcp, .v4), isKnown(.tcp, .v6), isKnown(.udp, .v4), isKnown(.udp, .v6))
  }

  /// Whether a kind of socket can be asked for. Without its module the kernel answers as if there were no such socket.
  func canAsk(_ transport: Transport, _ family: Family) -> Bool {
    switch (transport, family) {
    case (.tcp, .v4): known.tcpV4
    case (.tcp, .v6): known.tcpV6
    case (.udp, .v4): known.udpV4
    case (.udp, .v6): known.udpV6
    }
  }

  /// - Parameter interface: sockets bound to it are meant beside those bound to none.
  mutating func find(_ transport: Transport, _ ends: Ends, interface: UInt32) -> FlowAnswer {
    if !canAsk(transport, ends.local.family) { return .unaskable }
    var request = SocketDiagnosis.request(transport, ends.local.family, flags: NLM_F_REQUEST)
    request.body.idiag_states = .max
    // A single look-up of UDP takes the ends as a packet from the peer has them (net/ipv4/udp_diag.c).
    let isSwapped = transport == .udp
    let (source, destination) = isSwapped ? (ends.remote, ends.local) : (ends.local, ends.remote)
    let (sourcePort, destinationPort) =
      isSwapped ? (ends.remotePort, ends.localPort) : (ends.localPort, ends.remotePort)
    request.body.id.idiag_src = SocketDiagnosis.words(source)
    request.body.id.idiag_dst = SocketDiagnosis.words(destination)
    request.body.id.idiag_sport = sourcePort.bigEndian
    request.body.id.idiag_dport = destinationPort.bigEndian
    request.body.id.idiag_if = interface
    // INET_DIAG_NOCOOKIE: whichever socket it is.
    request.body.id.idiag_cookie = (.max, .max)
    guard let answer = ask(&request) else { return .unknown }
    switch Int32(answer.header.nlmsg_type) {
    case SOCK_DIAG_BY_FAMILY:
      let isFlow =
        transport == .udp
        || SocketDiagnosis.isOpen(answer.body.idiag_state) && answer.body.id.idiag_dport == destinationPort.bigEndian
      return isFlow ? .live : .none
    case NLMSG_ERROR: return SocketDiagnosis.status(answer) == -ENOENT ? .none : .unknown
    default: return .unknown
    }
  }

  /// Asks for sockets in no state at all: none, or an error where the module is missing.
  private mutating func isKnown(_ transport: Transport, _ family: Family) -> Bool {
    var request = SocketDiagnosis.request(transport, family, flags: NLM_F_REQUEST | NLM_F_DUMP)
    guard let answer = ask(&request), Int32(answer.header.nlmsg_type) == NLMSG_DONE else { return false }
    return SocketDiagnosis.status(answer) >= 0
  }

  private static func request(_ transport: Transport, _ family: Family, flags: Int32) -> Request {
    var request = Request()
    request.header.nlmsg_len = UInt32(MemoryLayout<Request>.size)
    request.header.nlmsg_type = UInt16(SOCK_DIAG_BY_FAMILY)
    request.header.nlmsg_flags = UInt16(flags)
    request.body.sdiag_family = UInt8(family == .v4 ? AF_INET : AF_INET6)
    request.body.sdiag_protocol = UInt8(transport == .tcp ? IPPROTO_TCP : IPPROTO_UDP)
    return request
  }

  /// nil if there is no answer.
  private mutating func ask(_ request: inout Request) -> Answer? {
    sequence &+= 1
    request.header.nlmsg_seq = sequence
    let size = MemoryLayout<Request>.size
    guard unsafe send(descriptor.number, &request, size, Int32(MSG_DONTWAIT)) == size else { return nil }
    var answer = Answer()
    // Behind late answers to earlier questions, should there ever be any.
    for _ in 0..<4 {
      let count = unsafe recv(descriptor.number, &answer, MemoryLayout<Answer>.size, Int32(MSG_DONTWAIT))
      if count < MemoryLayout<nlmsghdr>.size + MemoryLayout<Int32>.size { return nil }
      if answer.header.nlmsg_seq == sequence { return answer }
    }
    return nil
  }

  /// NLMSG_ERROR and NLMSG_DONE begin with an error number, negative, or 0.
  private static func status(_ answer: Answer) -> Int32 {
    var body = answer.body
    return unsafe withUnsafeBytes(of: &body) { unsafe $0.loadUnaligned(as: Int32.self) }
  }

  /// The states of tcp(7) in which a connection sends: not TIME_WAIT, CLOSE, LISTEN, which an exact look-up finds too
  /// (include/net/tcp_states.h).
  private static func isOpen(_ state: UInt8) -> Bool {
    switch state {
    case 1...5, 8, 9, 11, 12: true
    default: false
    }
  }

  /// The address in network order, as the kernel keeps either family.
  static func words(_ address: IPAddress) -> (UInt32, UInt32, UInt32, UInt32) {
    switch address {
    case .v4(let v4): (v4.value.bigEndian, 0, 0, 0)
    case .v6(let v6):
      (
        UInt32(truncatingIfNeeded: v6.high >> 32).bigEndian, UInt32(truncatingIfNeeded: v6.high).bigEndian,
        UInt32(truncatingIfNeeded: v6.low >> 32).bigEndian, UInt32(truncatingIfNeeded: v6.low).bigEndian
      )
    }
  }

  /// What the kernel keeps as these words. Sockets of IPv6 that speak IPv4 have mapped addresses.
  static func address(_ words: (UInt32, UInt32, UInt32, UInt32), _ family: Family) -> IPAddress {
    if family == .v4 { return .v4(IPv4Address(UInt32(bigEndian: words.0))) }
    let high = UInt64(UInt32(bigEndian: words.0)) << 32 | UInt64(UInt32(bigEndian: words.1))
    let low = UInt64(UInt32(bigEndian: words.2)) << 32 | UInt64(UInt32(bigEndian: words.3))
    let v6 = IPv6Address(high, low)
    return v6.mapped.map { .v4($0) } ?? .v6(v6)
  }
}
