import CLinux
import Connecting
import Platform
import Testing
import Wire

/// Real kernels at both ends.
@Suite(.serialized, .enabled(if: canMakeNamespaces, "needs root, unshare and iproute2"))
struct ConnectorTests {
  static let servers = ["198.51.100.1", "2001:db8:ffff::1", "192.168.1.1", "fe80::1"]

  @Test(arguments: servers) func tcp(_ server: String) throws {
    let network = try Network()
    let bench = try Bench(network)
    // Both uplinks lead to an address of this name; only the interface tells them apart.
    let listeners = try network.isps.map { isp in try isp.inside { try Peer(.tcp, port: 80) } }
    for uplink in [1, 0, 1] {
      let key = try bench.connect(server, 80, uplink: uplink)
      if bench.results[key] == nil { try bench.run() }
      let socket = try bench.socket(key)
      let peer = try #require(try listeners[uplink].accept())
      #expect(try listeners[1 - uplink].accept(milliseconds: 0) == nil)
      try peer.say("hello")
      #expect(try hear(socket.descriptor) == "hello")
      try say("ready for TLS", socket.descriptor.number)
      #expect(try peer.hear() == "ready for TLS")
    }
    #expect(bench.counter("connector.connected") == 3)
    #expect(bench.counter("connector.under-way") == 0)
    #expect(bench.deadline == nil)
    bench.drop()
    #expect(try network.sockets(expected: 0) == 0)
  }

  @Test(arguments: servers) func udp(_ server: String) throws {
    let network = try Network()
    let bench = try Bench(network)
    let echoes = try network.isps.map { isp in try isp.inside { try Peer(.udp, port: 443) } }
    for uplink in [0, 1] {
      let key = try bench.connect(server, 443, .udp, uplink: uplink)
      let socket = try bench.socket(key)
      try say("datagram", socket.descriptor.number)
      // A server that has several addresses answers from the one that was asked only if it takes care; UDP to the
      // router's own address on the link needs none.
      if server == "192.168.1.1" || server == "fe80::1" {
        #expect(try echoes[uplink].echo())
        #expect(try hear(socket.descriptor) == "datagram")
      } else {
        #expect(try echoes[uplink].hear() == "datagram")
      }
      #expect(try echoes[1 - uplink].hear(milliseconds: 0) == nil)
    }
    bench.drop()
    #expect(try network.sockets(expected: 0) == 0)
  }

  /// The same four-tuple on both uplinks is two connections.
  @Test func aSourcePortOfOnesOwn() throws {
    let network = try Network()
    let bench = try Bench(network)
    let listeners = try network.isps.map { isp in try isp.inside { try Peer(.tcp, port: 80) } }
    var keys: [UInt64] = []
    for uplink in [0, 1] { keys.append(try bench.connect("198.51.100.1", 80, uplink: uplink, sourcePort: 4711)) }
    if bench.results.count < 2 { try bench.run(2 - bench.results.count) }
    for uplink in [0, 1] {
      try say("\(uplink)", try bench.socket(keys[uplink]).descriptor.number)
      #expect(try #require(try listeners[uplink].accept()).hear() == "\(uplink)")
    }
    // Taken.
    #expect(try bench.failing("198.51.100.1", sourcePort: 4711) == ConnectFailure(EADDRINUSE, .local))
  }

  // MARK: Refusals

  @Test(arguments: servers) func refusedByThePeer(_ server: String) throws {
    let bench = try Bench(try Network())
    for uplink in [0, 1] {
      #expect(try bench.failing(server, 81, uplink: uplink) == ConnectFailure(ECONNREFUSED, .peer))
    }
    #expect(bench.counter("connector.refused-by-peer") == 2)
  }

  /// What routers really answer.
  static let routers: [(String, ConnectFailure)] = [
    ("203.0.113.1", ConnectFailure(EHOSTUNREACH, .icmp, 3, 1, by: "192.168.1.1")),
    ("203.0.113.2", ConnectFailure(EHOSTUNREACH, .icmp, 3, 13, by: "192.168.1.1")),
    ("203.0.113.4", ConnectFailure(ENETUNREACH, .icmp, 3, 0, by: "192.168.1.1")),
    ("2001:db8:bad::1", ConnectFailure(ENETUNREACH, .icmpv6, 1, 0, by: "2001:db8:0::1")),
    ("2001:db8:bad::2", ConnectFailure(EACCES, .icmpv6, 1, 1, by: "2001:db8:0::1")),
    ("2001:db8:bad::4", ConnectFailure(ENETUNREACH, .icmpv6, 1, 0, by: "2001:db8:0::1")),
  ]

  @Test(arguments: routers) func unreachable(_ destination: String, _ expected: ConnectFailure) throws {
    let network = try Network()
    let bench = try Bench(network)
    let start = Clock.bootTime()
    #expect(try bench.failing(destination) == expected)
    // Long before the first SYN is sent again.
    #expect(Clock.bootTime() - start < 500_000_000)
    #expect(bench.counter("connector.refused-by-icmp") == 1)
    #expect(try network.sockets(expected: 0) == 0)
  }

  /// Every code that ends a handshake: RFC 792, RFC 1122 3.2.2.1, RFC 1812 5.2.7.1; RFC 4443 3.1.
  static let codes4: [(UInt8, UInt8, Int32)] = [
    (3, 0, ENETUNREACH), (3, 1, EHOSTUNREACH), (3, 2, ENOPROTOOPT), (3, 3, ECONNREFUSED), (3, 5, EOPNOTSUPP),
    (3, 6, ENETUNREACH), (3, 7, EHOSTDOWN), (3, 8, ENONET), (3, 9, ENETUNREACH), (3, 10, EHOSTUNREACH),
    (3, 11, ENETUNREACH), (3, 12, EHOSTUNREACH), (3, 13, EHOSTUNREACH), (3, 14, EHOSTUNREACH), (3, 15, EHOSTUNREACH),
    (11, 0, EHOSTUNREACH), (12, 0, EPROTO),
  ]
  static let codes6: [(UInt8, UInt8, Int32)] = [
    (1, 0, ENETUNREACH), (1, 1, EACCES), (1, 2, EHOSTUNREACH), (1, 3, EHOSTUNREACH), (1, 4, ECONNREFUSED),
    (1, 5, EACCES), (1, 6, EACCES), (3, 0, EHOSTUNREACH), (3, 1, EHOSTUNREACH), (4, 0, EPROTO),
  ]

  @Test(arguments: [Family.v4, .v6]) func everyError(_ family: Family) throws {
    let network = try Network()
    let bench = try Bench(network)
    let router = try network.isps[1].inside { try ErrorSource(family) }
    let (destination, offender, origin, codes) =
      family == .v4
      ? ("203.0.113.3", "192.168.1.1", ConnectFailure.Origin.icmp, Self.codes4)
      : ("2001:db8:bad::3", "2001:db8:1::1", .icmpv6, Self.codes6)
    for (index, (type, code, errno)) in codes.enumerated() {
      let port = UInt16(1000 + index)
      let start = Clock.bootTime()
      let key = try bench.connect(destination, port, uplink: 1)
      try router.send(type: type, code: code, about: try router.packet(to: port))
      try bench.run()
      #expect(try bench.failure(key) == ConnectFailure(errno, origin, type, code, by: offender), "\(type)/\(code)")
      #expect(Clock.bootTime() - start < 500_000_000)
    }
  }

  /// What is no reason to give up: packets that are too big or came in pieces, and whatever doesn't quote our packet.
  @Test(arguments: [Family.v4, .v6]) func errorsThatAreNone(_ family: Family) throws {
    let network = try Network()
    let bench = try Bench(network)
    let router = try network.isps[0].inside { try ErrorSource(family) }
    let key = try bench.connect(family == .v4 ? "203.0.113.3" : "2001:db8:bad::3", 1000, seconds: 0.6)
    let packet = try router.packet(to: 1000)
    if family == .v4 {
      try router.send(type: 3, code: 4, parameter: [0, 0, 5, 0], about: packet)
      try router.send(type: 4, code: 0, about: packet)
      try router.send(type: 11, code: 1, about: packet)
    } else {
      try router.send(type: 2, code: 0, parameter: [0, 0, 5, 0], about: packet)
    }
    let header = family == .v4 ? 20 : 40
    for offset in [header, header + 4] {
      // Another port; a sequence number that was never sent (RFC 5927 4.1).
      var other = packet
      other[offset] ^= 0x40
      try router.send(type: family == .v4 ? 3 : 1, code: 1, about: other)
    }
    try bench.run()
    #expect(try bench.failure(key) == ConnectFailure(ETIMEDOUT, .timeOut))
  }

  /// An error for one of two uplinks' connections of the same four-tuple ends that one alone.
  @Test func anErrorIsOfItsInterface() throws {
    let network = try Network()
    let bench = try Bench(network)
    let router = try network.isps[1].inside { try ErrorSource(.v4) }
    let keys = try [0, 1].map { try bench.connect("203.0.113.3", 80, uplink: $0, sourcePort: 4711, seconds: 0.6) }
    try router.send(type: 3, code: 1, about: try router.packet(to: 80))
    try bench.run(2)
    #expect(try bench.failure(keys[0]) == ConnectFailure(ETIMEDOUT, .timeOut))
    #expect(try bench.failure(keys[1]) == ConnectFailure(EHOSTUNREACH, .icmp, 3, 1, by: "192.168.1.1"))
  }

  // MARK: This host

  static let ours: [(String, UInt16, String?, ConnectFailure)] = [
    // Families.
    ("198.51.100.1", 80, "2001:db8:0::10", ConnectFailure(EAFNOSUPPORT, .local)),
    ("2001:db8:ffff::1", 80, "192.168.1.10", ConnectFailure(EAFNOSUPPORT, .local)),
    ("::ffff:198.51.100.1", 80, "::ffff:192.168.1.10", ConnectFailure(EAFNOSUPPORT, .local)),
    ("::ffff:198.51.100.1", 80, "2001:db8:0::10", ConnectFailure(EAFNOSUPPORT, .local)),
    // Sources that are not ours.
    ("198.51.100.1", 80, "192.168.1.11", ConnectFailure(EADDRNOTAVAIL, .local)),
    ("2001:db8:ffff::1", 80, "2001:db8:0::11", ConnectFailure(EADDRNOTAVAIL, .local)),
    ("fe80::1", 80, "fe80::11", ConnectFailure(EADDRNOTAVAIL, .local)),
    ("198.51.100.1", 80, "0.0.0.0", ConnectFailure(EADDRNOTAVAIL, .local)),
    ("2001:db8:ffff::1", 80, "::", ConnectFailure(EADDRNOTAVAIL, .local)),
    ("198.51.100.1", 80, "224.0.0.1", ConnectFailure(EADDRNOTAVAIL, .local)),
    ("2001:db8:ffff::1", 80, "ff02::1", ConnectFailure(EADDRNOTAVAIL, .local)),
    // Destinations that are none.
    ("0.0.0.0", 80, nil, ConnectFailure(EINVAL, .local)),
    ("::", 80, nil, ConnectFailure(EINVAL, .local)),
    ("198.51.100.1", 0, nil, ConnectFailure(EINVAL, .local)),
    ("224.0.0.251", 80, nil, ConnectFailure(ENETUNREACH, .local)),
    ("ff02::fb", 80, "fe80::10", ConnectFailure(ENETUNREACH, .local)),
    ("255.255.255.255", 80, nil, ConnectFailure(ENETUNREACH, .local)),
    // The host itself is on no network.
    ("127.0.0.1", 80, nil, ConnectFailure(ENETUNREACH, .local)),
    ("::1", 80, "2001:db8:0::10", ConnectFailure(ENETUNREACH, .local)),
  ]

  @Test(arguments: ours) func here(_ destination: String, port: UInt16, source: String?, expected: ConnectFailure)
    throws
  {
    let network = try Network()
    let bench = try Bench(network)
    let failure = try bench.failing(destination, port, from: source, seconds: 3)
    #expect(failure == expected)
    #expect(bench.counter("connector.failed-locally") == 1)
    #expect(try network.sockets(expected: 0) == 0)
  }

  @Test func ownRoutes() throws {
    let network = try Network()
    let bench = try Bench(network)
    try network.host.inside {
      try shell(
        """
        ip route add unreachable 203.0.113.1
        ip route add prohibit 203.0.113.2
        ip route del default via 192.168.1.1 dev up1
        """)
    }
    // Routes without an interface are of every interface.
    #expect(try bench.failing("203.0.113.1").origin == .local)
    #expect(try bench.failing("203.0.113.2").origin == .local)
  }

  /// The kernel tells of a neighbour that doesn't answer by an ICMP error of its own. That is looped back, by another
  /// interface as the kernel sees it, so that a bound socket hears it only of IPv4 on the first interface with its
  /// address; elsewhere it waits.
  @Test(arguments: [("192.168.1.77", 0), ("192.168.1.77", 1), ("2001:db8:0::77", 0), ("fe80::77", 0), ("fe80::77", 1)])
  func nobodyAnswersOnTheLink(_ destination: String, uplink: Int) throws {
    let bench = try Bench(try Network())
    let failure = try bench.failing(destination, uplink: uplink, seconds: 1)
    let told = ConnectFailure(EHOSTUNREACH, .local)
    if destination == "192.168.1.77", uplink == 0 {
      #expect(failure == told)
    } else {
      #expect(failure == told || failure == ConnectFailure(ETIMEDOUT, .timeOut))
    }
  }

  @Test func anInterfaceThatIsGone() throws {
    let network = try Network()
    let bench = try Bench(network)
    let index = try network.index(1)
    try network.host.inside { try shell("ip link del up1") }
    #expect(try bench.failing("198.51.100.1", interface: index) == ConnectFailure(ENODEV, .local))
    #expect(try bench.failing("198.51.100.1", interface: 0) == ConnectFailure(ENODEV, .local))
  }
}
