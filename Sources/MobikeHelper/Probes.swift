import CLinux
import Connecting
import PathSelection
import Platform
import Wire

/// The probes on their way, each on a UDP socket of its own: bound to the path's interface and address, and connected to
/// the peer, so that the kernel hands over the answer and the ICMP errors that are about it.
struct Probes: ~Copyable {
  private final class Socket {
    let descriptor: Descriptor
    let probe: IKEProbe
    let peer: IPAddress
    init(_ descriptor: consuming Descriptor, _ probe: IKEProbe, _ peer: IPAddress) {
      self.descriptor = descriptor
      self.probe = probe
      self.peer = peer
    }
  }

  /// Datagrams and errors read from one socket in a turn: more than a probe and its repetition cause are a stranger's.
  private static let bite = 64
  private static let roomForQuote = 64

  private var sockets: [UInt32: Socket] = [:]
  /// Of those that have one.
  private var marks: [UInt32: UInt32] = [:]

  /// Sends a probe. What became of it where that is known at once: a failure of ours says nothing about the path, and the
  /// probe stays unanswered.
  /// - Parameter mark: by which a rule knows the path; 0 where the interface says enough.
  mutating func send(
    _ number: UInt32, to peer: IPAddress, port: UInt16, _ path: Path, mark: UInt32, in poller: borrowing Poller,
    token: UInt64
  ) -> ProbeOutcome {
    if mark != 0 { marks[number] = mark }
    do throws(Errno) {
      let socket = try Probes.open(peer, port, path, mark)
      try poller.add(socket.descriptor.number, token: token, .read)
      sockets[number] = socket
      return Probes.send(socket)
    } catch {
      return error.isLocal ? .unsendable(errno: error.rawValue) : .waiting
    }
  }

  func sendAgain(_ number: UInt32) -> ProbeOutcome { sockets[number].map(Probes.send) ?? .waiting }

  /// - Returns: its mark, which is used no longer; nil for none.
  mutating func forget(_ number: UInt32) -> UInt32? {
    sockets[number] = nil
    return marks.removeValue(forKey: number)
  }

  /// What came for a probe, to be called when its socket is readable or has an error.
  func receive(_ number: UInt32) -> ProbeOutcome {
    guard let socket = sockets[number] else { return .waiting }
    var datagram = [UInt8](repeating: 0, count: 128)
    for _ in 0..<Probes.bite {
      let count = unsafe datagram.withUnsafeMutableBytes {
        unsafe recv(socket.descriptor.number, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT))
      }
      if count >= 0 {
        if socket.probe.isAnswered(by: datagram[..<count]) { return .answered(0) }
      } else if Errno.current == .wouldBlock {
        break
      }
    }
    return Probes.error(socket)
  }

  private static func open(
    _ peer: IPAddress, _ port: UInt16, _ path: Path, _ mark: UInt32
  ) throws(Errno) -> Socket {
    let (domain, level, name) =
      peer.family == .v4 ? (AF_INET, Int32(IPPROTO_IP), IP_RECVERR) : (AF_INET6, Int32(IPPROTO_IPV6), IPV6_RECVERR)
    let kind = Int32(SOCK_DGRAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    let number = try valueOrErrno { CLinux.socket(domain, kind, 0) }
    let descriptor = Descriptor(taking: number)
    try descriptor.setOption(level: SOL_SOCKET, SO_BINDTOIFINDEX, Int32(truncatingIfNeeded: path.interface))
    if mark != 0 { try descriptor.setOption(level: SOL_SOCKET, SO_MARK, Int32(bitPattern: mark)) }
    try descriptor.setOption(level: level, name, 1)
    var address = sockaddr_storage()
    let own = fill(&address, path.source, 0, interface: path.interface)
    _ = try valueOrErrno { unsafe clinux_bind(descriptor.number, &address, own) }
    let others = fill(&address, peer, port, interface: path.interface)
    _ = try valueOrErrno { unsafe clinux_connect(descriptor.number, &address, others) }
    return Socket(descriptor, IKEProbe(cookie: try cookie(), port: port), peer)
  }

  /// getrandom(2).
  private static func cookie() throws(Errno) -> [16 of UInt8] {
    var cookie = [16 of UInt8](repeating: 0)
    var span = cookie.mutableSpan
    _ = try valueOrErrno {
      unsafe span.withUnsafeMutableBytes { unsafe getrandom($0.baseAddress, $0.count, UInt32(GRND_NONBLOCK)) }
    }
    return cookie
  }

  private static func send(_ socket: Socket) -> ProbeOutcome {
    let bytes = socket.probe.bytes
    // An error that waits on the socket is told by the first attempt, which then sends nothing.
    for _ in 0..<2 {
      let sent = unsafe bytes.withUnsafeBytes {
        unsafe CLinux.send(socket.descriptor.number, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL))
      }
      if sent >= 0 { return .waiting }
      let failure = Errno.current
      let told = error(socket)
      if told != .waiting { return told }
      if failure.isLocal { return .unsendable(errno: failure.rawValue) }
    }
    return .waiting
  }

  /// The first ICMP error in the socket's queue that proves that whoever sent it saw the probe.
  private static func error(_ socket: Socket) -> ProbeOutcome {
    var error = sock_extended_err()
    var offender = sockaddr_storage()
    var quoted = [UInt8](repeating: 0, count: roomForQuote)
    for _ in 0..<bite {
      let count = unsafe quoted.withUnsafeMutableBytes {
        unsafe clinux_receive_error(socket.descriptor.number, &error, &offender, $0.baseAddress, $0.count)
      }
      if count < 0 { break }
      let origin = Int32(error.ee_origin)
      // "Packet too big" is no failure of a path.
      guard origin == SO_EE_ORIGIN_ICMP || origin == SO_EE_ORIGIN_ICMP6, error.ee_errno != UInt32(EMSGSIZE),
        socket.probe.isQuoted(by: quoted[..<count])
      else { continue }
      // The peer itself, which takes no IKE there: the path to it lives.
      if error.isAboutPort, address(in: offender) == socket.peer { return .answered(0) }
      return .unreachable(type: error.ee_type, code: error.ee_code)
    }
    return .waiting
  }
}

extension Errno {
  /// Nothing was sent, and no later attempt will be: no route, no such address, or the link is down.
  var isLocal: Bool {
    switch rawValue {
    case ENETUNREACH, EHOSTUNREACH, ENETDOWN, EADDRNOTAVAIL, ENODEV, ENXIO, EINVAL, EACCES, EPERM: true
    default: false
    }
  }
}

extension sock_extended_err {
  /// Port unreachable (RFC 792: type 3, code 3; RFC 4443: type 1, code 4).
  fileprivate var isAboutPort: Bool {
    Int32(ee_origin) == SO_EE_ORIGIN_ICMP ? ee_type == 3 && ee_code == 3 : ee_type == 1 && ee_code == 4
  }
}
