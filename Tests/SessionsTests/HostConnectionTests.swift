import CLinux
import Messages
import Platform
import Sessions
import Testing
import Wire

/// Connecting to a host over an agent whose network is written here.
@Suite(.serialized) struct HostConnectionTests {
  let agent: ScriptedAgent

  init() throws { agent = try ScriptedAgent() }

  private func order(
    _ host: String = "host.example.com", _ change: (inout HostConnection.Order) -> Void = { _ in }
  ) -> HostConnection.Order {
    var order = HostConnection.Order(host: Array(host.utf8), port: 80)
    order.settings.attemptDelay = 20_000_000
    order.settings.minimumAttemptDelay = 20_000_000
    order.timeout = 5_000_000_000
    change(&order)
    return order
  }

  private func begin(_ order: HostConnection.Order) throws -> Attempt {
    let connection = try Attempt(path: agent.path, order)
    try agent.accept()
    return connection
  }

  /// Lets both go on until there is a result.
  private func run(
    _ connection: Attempt, _ network: inout ScriptedNetwork, socket: Int32 = -1
  ) throws -> HostConnection.Progress {
    for _ in 0..<2000 {
      let progress = connection.step()
      guard progress == .underWay else { return progress }
      try network.answer(agent, socket: socket)
      try connection.wait(milliseconds: 10)
    }
    Issue.record("no end")
    return connection.step()
  }

  private static let twoUplinks = ScriptedNetwork(
    interfaces: [(1, "eth0"), (2, "wa0")],
    domains: [
      1: .init(interface: 1, addresses: ["10.0.0.2", "2001:db8:1::10"], found: ["203.0.113.1", "2001:db8:80::1"]),
      2: .init(interface: 2, addresses: ["10.0.1.2"], found: ["203.0.113.2"]),
    ])

  /// draft-ietf-mif-api-extension-05, section 3.3, in its order. Its figure has lost a few lines to the page; its
  /// addresses are those that it prints.
  @Test func `the draft's example, message by message`() throws {
    let connection = try begin(order())
    func asked() throws -> [(header: FrameHeader, request: MIFRequest)] {
      connection.step()
      return try agent.requests()
    }
    func interface(_ index: UInt32, _ name: String) -> InterfaceDescription {
      InterfaceDescription(identifier: index, name: InterfaceName(name.utf8), flags: [.up, .carrier])
    }
    let eth0 = interface(1, "eth0")
    let wa0 = interface(2, "wa0")
    let name = NodeName(Array("host.example.com".utf8))

    // Announce Interfaces; Interface 1, eth0.
    let announceInterfaces = try asked()
    #expect(announceInterfaces.map(\.request) == [.announceInterfaces])
    try agent.announce(.interface(eth0), to: announceInterfaces[0].header)
    // Announce PDs on Interface 1; PD 1.
    let announce1 = try asked()
    #expect(announce1.map(\.request) == [.announcePvDs(interface: 1)])
    try agent.announce(.pvd(interface: eth0, PvDDescription(identifier: 1)), to: announce1[0].header)
    // The name is looked up in PD 1 as soon as it is known.
    let domain1 = try asked()
    #expect(domain1.count == 3)
    #expect(domain1[0].request == .announceAddresses(pvd: 1))
    #expect(domain1[2].request == .translateName(pvd: 1, Transaction(identifier: 1), name))
    // Interface 2, wa0; PD 2.
    try agent.announce(.interface(wa0), to: announceInterfaces[0].header)
    try agent.end(announceInterfaces[0].header)
    try agent.announce(.pvd(interface: eth0, PvDDescription(identifier: 2)), to: announce1[0].header)
    try agent.end(announce1[0].header)
    // Announce PDs on Interface 2; DNS query in PD 2; PD 3; DNS query in PD 3.
    let second = try asked()
    #expect(second.contains { $0.request == .announcePvDs(interface: 2) })
    #expect(second.contains { $0.request == .translateName(pvd: 2, Transaction(identifier: 2), name) })
    let announce2 = try #require(second.first { $0.request == .announcePvDs(interface: 2) }).header
    let domain2 = second.filter { $0.request != .announcePvDs(interface: 2) }
    try agent.announce(.pvd(interface: wa0, PvDDescription(identifier: 3)), to: announce2)
    try agent.end(announce2)
    let domain3 = try asked()
    #expect(domain3.last?.request == .translateName(pvd: 3, Transaction(identifier: 3), name))
    // Each domain's addresses, which the example leaves out.
    for (requests, pvd, addresses) in [
      (domain1, 1, ["14.15.0.2", "2001::2"]), (domain2, 2, ["192.168.1.2"]), (domain3, 3, ["2001::3"]),
    ] as [(_, UInt32, _)] {
      for address in addresses {
        try agent.announce(.address(pvd: pvd, ScriptedNetwork.announced(address)), to: requests[0].header)
      }
      try agent.end(requests[0].header)
    }
    // The responses: 2001::1 A and AAAA, the other 2001::1 AAAA, 192.168.1.1 A.
    for (header, transaction, found) in [
      (domain1[2].header, 1, "14.15.16.17"), (domain1[2].header, 1, "2001:192:321::1"),
      (domain3[2].header, 3, "2001:192:321::1"), (domain2[2].header, 2, "192.168.1.1"),
    ] as [(_, UInt32, _)] {
      try agent.say { writer throws(MessageOverflow) in
        let address = IPAddress(found)!
        try writer.nameTranslation(
          to: header, Transaction(identifier: transaction),
          AnnouncedAddress(address, prefixLength: address.family.width))
      }
    }
    // SYN to each of the four, IF1 and IF2.
    var attempts: [(header: FrameHeader, request: MIFRequest)] = []
    for _ in 0..<200 where attempts.count < 4 {
      attempts += try asked()
      try connection.wait(milliseconds: 10)
    }
    let ways = attempts.map { attempt -> String in
      guard case .connect(let pvd, _, let to, nil) = attempt.request else { return "\(attempt.request)" }
      return "\(to.socketAddress.address) in PD \(pvd)"
    }
    #expect(
      Set(ways) == [
        "14.15.16.17 in PD 1", "2001:192:321::1 in PD 1", "2001:192:321::1 in PD 3", "192.168.1.1 in PD 2",
      ])
    // SYN+ACK of 192.168.1.1 first, then of 2001:192:321::1: the first is it.
    for way in ["192.168.1.1 in PD 2", "2001:192:321::1 in PD 1"] {
      let attempt = attempts[try #require(ways.firstIndex(of: way))]
      guard case .connect(_, let transaction, _, _) = attempt.request else { continue }
      try agent.say(beside: 0) { writer throws(MessageOverflow) in
        try writer.connected(to: attempt.header, transaction)
      }
    }
    guard case .connected(let winner) = connection.step() else {
      Issue.record("not connected")
      return
    }
    #expect(winner.domain.pvd.identifier == 2)
    #expect(winner.destination == SocketAddress(IPAddress("192.168.1.1")!, port: 80))
    #expect(connection.takeSocket() != nil)
    #expect(agent.isLeft, "the losers are left to the agent to close")
  }

  @Test func `an unreachable uplink costs nothing: its error starts the other one`() throws {
    var network = Self.twoUplinks
    network.servers = ["2001:db8:80::1@1": 113, "203.0.113.1@1": 113, "203.0.113.2@2": 0]
    let connection = try begin(order { $0.settings.attemptDelay = 2_000_000_000 })
    let before = Clock.bootTime()
    guard case .connected(let winner) = try run(connection, &network, socket: 0) else {
      Issue.record("\(connection.reports)")
      return
    }
    #expect(winner.domain.pvd == PvDDescription(identifier: 2, name: Array("pd2".utf8)))
    #expect(Clock.bootTime() - before < 1_000_000_000)
  }

  @Test func `no descriptor is left open, whoever wins`() throws {
    let won = try Pipe()
    do {
      var network = Self.twoUplinks
      network.servers = ["2001:db8:80::1@1": 0, "203.0.113.2@2": 0, "203.0.113.1@1": 0]
      let connection = try begin(order())
      _ = try run(connection, &network, socket: won.end)
      won.closeEnd()
      #expect(won.isOpenElsewhere)
      #expect(connection.takeSocket() != nil)
      #expect(connection.takeSocket() == nil)
    }
    #expect(!won.isOpenElsewhere)
    // Two were handed over, and nobody has looked.
    let cancelled = try Pipe()
    let connection = try begin(order())
    var network = Self.twoUplinks
    network.servers = ["2001:db8:80::1@1": 0, "203.0.113.2@2": 0]
    for _ in 0..<100 where !network.said.contains(where: { $0.hasPrefix("Connected") }) {
      connection.step()
      try network.answer(agent, socket: cancelled.end)
      try connection.wait(milliseconds: 10)
    }
    cancelled.closeEnd()
    connection.cancel()
    #expect(connection.step() == .failed(Errno(rawValue: ECANCELED)))
    #expect(connection.takeSocket() == nil)
    #expect(agent.isLeft)
  }

  @Test func `one domain, one interface or one family alone`() throws {
    for (change, way) in [
      ({ $0.pvd = 2 }, "203.0.113.2"), ({ $0.interface = 2 }, "203.0.113.2"), ({ $0.family = .v4 }, "203.0.113.1"),
    ] as [((inout HostConnection.Order) -> Void, String)] {
      var network = Self.twoUplinks
      network.servers = ["2001:db8:80::1@1": 0, "203.0.113.2@2": 0, "203.0.113.1@1": 0]
      let connection = try begin(order("host.example.com", change))
      guard case .connected(let winner) = try run(connection, &network, socket: 0) else {
        Issue.record("\(connection.reports)")
        continue
      }
      #expect(winner.destination.address == IPAddress(way)!)
    }
  }

  @Test func `a router's preference puts its domain first`() throws {
    var network = Self.twoUplinks
    network.domains[1]?.addresses = ["10.0.0.2"]
    network.domains[2]?.preference = 1
    network.servers = ["203.0.113.2@2": 0]
    let connection = try begin(order())
    _ = try run(connection, &network, socket: 0)
    #expect(network.said.first { $0.hasPrefix("Connect to") } == "Connect to 203.0.113.2 in PD 2")
  }

  @Test func `an IPv4 address from a network of IPv6 and a NAT64 (RFC 8305 7.1)`() throws {
    var network = ScriptedNetwork()
    network.interfaces = [(1, "eth0")]
    network.domains[1] = .init(interface: 1, addresses: ["2001:db8:1::2"], translator: "64:ff9b::")
    network.servers = ["64:ff9b::808:808@1": 0]
    let connection = try begin(order("8.8.8.8"))
    guard case .connected(let winner) = try run(connection, &network, socket: 0) else {
      Issue.record("\(connection.reports)")
      return
    }
    #expect(winner.destination.address == IPAddress("64:ff9b::808:808")!)
    // A name that a server without DNS64 has an A record of (7.3).
    network.domains[1]?.found = ["8.8.8.8"]
    let named = try begin(order("host.example.com"))
    guard case .connected = try run(named, &network, socket: 0) else {
      Issue.record("\(named.reports)")
      return
    }
    // Without one there is no way.
    network.domains[1]?.translator = nil
    let lost = try begin(order("8.8.8.8"))
    #expect(try run(lost, &network, socket: 0) == .failed(Errno(rawValue: EADDRNOTAVAIL)))
  }

  @Test func `used again it asks for nothing that it knows`() throws {
    var network = Self.twoUplinks
    network.servers = ["2001:db8:80::1@1": 0]
    let connection = try begin(order { $0.isKept = true })
    #expect(throws: SystemFailure.self) {
      try connection.connect(order())
    }
    for turn in 1...3 {
      guard case .connected(let winner) = try run(connection, &network, socket: 0) else {
        Issue.record("turn \(turn): \(connection.reports)")
        return
      }
      #expect(winner.domain.pvd.identifier == 1 && connection.takeSocket() != nil)
      // What was told meanwhile counts: it takes the other way.
      if turn == 2 {
        try agent.announce(.noAddress(pvd: 1, ScriptedNetwork.announced("2001:db8:1::10")))
        try agent.announce(.noAddress(pvd: 1, ScriptedNetwork.announced("10.0.0.2")))
        network.servers = ["203.0.113.2@2": 0]
        break
      }
      let before = network.said.count
      try connection.connect(order { $0.isKept = true })
      _ = try run(connection, &network, socket: 0)
      #expect(!network.said[before...].contains { $0.hasPrefix("Announce") || $0.hasPrefix("PD") })
    }
    try connection.connect(order())
    guard case .connected(let winner) = try run(connection, &network, socket: 0) else {
      Issue.record("\(connection.reports)")
      return
    }
    #expect(winner.domain.pvd.identifier == 2)
    #expect(agent.isLeft)
  }

  @Test func `used again over another network, or with an agent of later, it begins anew`() throws {
    var network = Self.twoUplinks
    network.servers = ["2001:db8:80::1@1": 0, "203.0.113.2@2": 0]
    let connection = try begin(order { $0.isKept = true })
    _ = try run(connection, &network, socket: 0)
    try connection.connect(order { $0.pvd = 2 })
    try agent.accept()
    guard case .connected(let winner) = try run(connection, &network, socket: 0) else {
      Issue.record("\(connection.reports)")
      return
    }
    #expect(winner.domain.pvd.identifier == 2)
  }

  @Test func `the verdict: refused, unknown, nowhere, too late, an agent of before`() throws {
    var refused = Self.twoUplinks
    refused.servers = ["2001:db8:80::1@1": 111, "203.0.113.2@2": 111, "203.0.113.1@1": 111]
    var unknown = Self.twoUplinks
    for pvd in unknown.domains.keys { unknown.domains[pvd]?.found = [] }
    var silent = Self.twoUplinks
    for pvd in silent.domains.keys { silent.domains[pvd]?.found = nil }
    for (network, error) in [
      (refused, ECONNREFUSED), (unknown, ENOENT), (ScriptedNetwork(), ENETUNREACH), (silent, ETIMEDOUT),
    ] {
      var network = network
      let connection = try begin(order { $0.timeout = 300_000_000 })
      #expect(try run(connection, &network) == .failed(Errno(rawValue: error)))
      // And again, as often as it is asked.
      #expect(try connection.wait(milliseconds: 0))
      #expect(connection.step() == .failed(Errno(rawValue: error)))
      #expect(connection.reports.count == network.domains.count)
    }
  }

  @Test func `the agent ends`() throws {
    let connection = try begin(order())
    agent.close()
    #expect(connection.step() == .failed(Errno(rawValue: ECONNRESET)))
  }

  @Test func `after an OVERRUN it asks again, and what is not told again is gone`() throws {
    var network = Self.twoUplinks
    for pvd in network.domains.keys { network.domains[pvd]?.found = nil }
    let connection = try begin(order())
    for _ in 0..<10 {
      connection.step()
      try network.answer(agent)
    }
    try agent.say { writer throws(MessageOverflow) in try writer.overrun(sequence: 7) }
    network.domains[1] = nil
    for _ in 0..<10 {
      connection.step()
      try network.answer(agent)
    }
    #expect(connection.reports.map(\.isGone) == [true, false])
    #expect(network.said.filter { $0 == "Announce Interfaces" }.count == 2)
    #expect(network.said.filter { $0.hasPrefix("Translate") }.count == 2, "what runs goes on")
  }

  @Test func `hosts that are none`() throws {
    for host in ["", String(repeating: "x", count: 256), "a\0b"] {
      let error = #expect(throws: SystemFailure.self) { _ = try Attempt(path: agent.path, order(host)) }
      #expect(error?.errno == .invalidArgument)
    }
  }
}
