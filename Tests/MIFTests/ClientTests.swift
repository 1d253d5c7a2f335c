import MIF
import Messages
import Synchronization
import Testing

/// The client library against an agent that plays golden vectors.
@Suite struct ClientTests {
  @Test("questions to the MIF API")
  func questions() throws {
    let agent = try FakeAgent()
    defer { agent.remove() }
    let connection = try MIFConnection(runtimeDirectory: agent.directory)
    let interfaces = try connection.interfaces()
    #expect(interfaces.map { $0.name } == ["wan0"])
    #expect(interfaces[0].isUp && interfaces[0].hasCarrier && !interfaces[0].isLoopback)
    let domains = try connection.domains(on: interfaces[0])
    #expect(domains.map { $0.name } == ["pvd.example.org", "wan0-dhcpv4-192.0.2.1"])
    #expect(domains.map { $0.isExplicit } == [true, false])
    #expect(try connection.elements(of: domains[0]) == [.routerAdvertisement])
    #expect(try connection.elements(of: domains[1]).isEmpty)
    #expect(try connection.addresses(of: domains[1]).map { $0.prefix.description } == ["192.0.2.10/24"])
    #expect(try connection.addresses(of: domains[0])[0].preferredLifetime == .seconds(14400))
    let data = try connection.configuration(of: domains[0], from: .routerAdvertisement)
    #expect(
      data.map { $0.key.description } == [
        "dns", "search", "mtu", "prefix", "route", "route", "router", "pvd-option", "lease", "option-252",
      ])
    #expect(try connection.configuration(of: domains[1], from: .dhcpv4, key: .dnsServers).isEmpty)
    #expect(try connection.statistics().map { $0.name } == ["a", "capture.control.received"])
  }

  @Test("an interface that has gone is ENOENT")
  func noEntry() throws {
    let agent = try FakeAgent(mif: { header, request in
      MIFMessageType(rawValue: header.type) == .announcePvDs
        ? [FakeAgent.answer("announce-pvds-no-such-interface", to: header)] : FakeAgent.mif(header, request)
    })
    defer { agent.remove() }
    let connection = try MIFConnection(runtimeDirectory: agent.directory)
    let interface = try connection.interfaces()[0]
    #expect(throws: ClientError.refused(request: "ANNOUNCE_PVDS", .notFound)) {
      try connection.domains(on: interface)
    }
  }

  @Test("nobody there, gone away, not answering, talking nonsense")
  func failures() throws {
    #expect(throws: ClientError.noAgent(path: "/nonexistent/mif.sock")) {
      try MIFConnection(runtimeDirectory: "/nonexistent")
    }
    let long = "/" + String(repeating: "x", count: 120)
    #expect(throws: ClientError.unusablePath(long + "/mif.sock")) { try MIFConnection(runtimeDirectory: long) }

    let agent = try FakeAgent(mif: { _, _ in [] })
    defer { agent.remove() }
    let path = agent.directory + "/mif.sock"
    let silent = try MIFConnection(runtimeDirectory: agent.directory)
    silent.timeout = .milliseconds(50)
    #expect(throws: ClientError.timedOut(path: path)) { try silent.interfaces() }
    agent.mif.stop()
    #expect(throws: ClientError.disconnected(path: path)) { try silent.interfaces() }
    #expect(throws: ClientError.noAgent(path: path)) { try MIFConnection(runtimeDirectory: agent.directory) }
  }

  @Test("everything is followed, and asked for again after an overrun")
  func network() throws {
    let agent = try FakeAgent()
    defer { agent.remove() }
    let monitor = try NetworkMonitor(runtimeDirectory: agent.directory)
    func next() throws -> NetworkEvent? { try monitor.next(timeout: .seconds(5)) }
    func snapshot() throws -> [String] {
      var lines: [String] = []
      while let event = try next(), event != .complete { lines.append(ClientTests.describe(event)) }
      return lines
    }
    let everything = [
      "exists wan0", "exists pvd.example.org", "exists wan0-dhcpv4-192.0.2.1", "exists RA of pvd.example.org",
      "exists 2001:db8:1::10/64 of pvd.example.org", "exists 192.0.2.10/24 of wan0-dhcpv4-192.0.2.1",
    ]
    #expect(try snapshot() == everything)

    agent.mif.push(FakeAgent.news("address-ipv6", 1, flags: 0))
    agent.mif.push(FakeAgent.news("no-pvd", 2))
    agent.mif.push(FakeAgent.news("no-interface", 3))
    #expect(try ClientTests.describe(next()!) == "changed 2001:db8:1::10/64 of pvd.example.org")
    #expect(try ClientTests.describe(next()!) == "gone wan0-dhcpv4-192.0.2.1")
    #expect(try ClientTests.describe(next()!) == "gone wan0")

    // An overrun after 38 lost news.
    agent.mif.push(FakeAgent.news("overrun", 42))
    #expect(try next() == .lost(38))
    #expect(try snapshot() == everything)

    // A gap without one.
    agent.mif.push(FakeAgent.news("interface-news", 45))
    #expect(try next() == .lost(2))
    #expect(try ClientTests.describe(next()!) == "new abcdefghijklmno")
    #expect(try snapshot() == everything)

    // What is found in a domain that is new is new.
    agent.mif.push(FakeAgent.news("no-pvd", 46))
    agent.mif.push(FakeAgent.news("pvd-implicit", 47))
    #expect(try ClientTests.describe(next()!) == "gone wan0-dhcpv4-192.0.2.1")
    #expect(try ClientTests.describe(next()!) == "new wan0-dhcpv4-192.0.2.1")
    #expect(try ClientTests.describe(next()!) == "new 192.0.2.10/24 of wan0-dhcpv4-192.0.2.1")

    agent.mif.stop()
    #expect(throws: ClientError.disconnected(path: agent.directory + "/mif.sock")) { try next() }
  }

  @Test("everything is followed by a task, until it is cancelled or the agent ends", .timeLimit(.minutes(1)))
  func events() async throws {
    let agent = try FakeAgent()
    defer { agent.remove() }
    let (told, teller) = AsyncStream.makeStream(of: String.self)
    func follow() -> Task<Void, any Error> {
      Task {
        for try await event in NetworkEvents(runtimeDirectory: agent.directory) {
          teller.yield(ClientTests.describe(event))
        }
        teller.yield("end")
      }
    }
    var lines = told.makeAsyncIterator()
    let first = follow()
    while let line = await lines.next(), line != "complete" {}
    agent.mif.push(FakeAgent.news("no-pvd", 1))
    #expect(await lines.next() == "gone wan0-dhcpv4-192.0.2.1")
    first.cancel()
    #expect(await lines.next() == "end")
    try await first.value
    #expect(try await until { agent.mif.left == 1 })

    let second = follow()
    while let line = await lines.next(), line != "complete" {}
    agent.mif.stop()
    await #expect(throws: ClientError.disconnected(path: agent.directory + "/mif.sock")) { try await second.value }
    await #expect(throws: ClientError.noAgent(path: "/nonexistent/mif.sock")) {
      for try await _ in NetworkEvents(runtimeDirectory: "/nonexistent") {}
    }
  }

  @Test("what goes away while it is asked about is no error")
  func race() throws {
    let agent = try FakeAgent(mif: { header, request in
      switch MIFMessageType(rawValue: header.type) {
      case .announceAddresses:
        // The answer to an ANNOUNCE_ADDRESSES whose domain went meanwhile.
        [FakeAgent.answer("announce-pvds-no-such-interface", to: header, type: header.type)]
      default: FakeAgent.mif(header, request)
      }
    })
    defer { agent.remove() }
    let monitor = try NetworkMonitor(runtimeDirectory: agent.directory)
    var events = 0
    while let event = try monitor.next(timeout: .seconds(5)), event != .complete { events += 1 }
    #expect(events == 4)
  }

  @Test("only so many requests are on their way at a time")
  func window() throws {
    let most = Mutex(0)
    let agent = try FakeAgent(mif: { header, _ in
      switch MIFMessageType(rawValue: header.type) {
      case .announceInterfaces:
        return (1...500).map { index in
          var bytes = FakeAgent.answer("interface-snapshot", to: header)
          bytes[20] = UInt8(truncatingIfNeeded: index)
          bytes[21] = UInt8(index >> 8)
          return bytes
        } + [FakeAgent.answer("snapshot-end", to: header)]
      default:
        most.withLock { $0 += 1 }
        return [FakeAgent.answer("snapshot-end", to: header)]
      }
    })
    defer { agent.remove() }
    let monitor = try NetworkMonitor(runtimeDirectory: agent.directory)
    var interfaces = 0
    while let event = try monitor.next(timeout: .seconds(5)), event != .complete { interfaces += 1 }
    #expect(interfaces == 500)
    #expect(most.withLock { $0 } == 500)
  }

  static func describe(_ event: NetworkEvent) -> String {
    switch event {
    case .interface(let change, let interface): "\(change) \(interface.name)"
    case .domain(let change, let domain, _): "\(change) \(domain.name)"
    case .element(let change, let element, let domain, _): "\(change) \(element) of \(domain.name)"
    case .address(let change, let address, let domain, _): "\(change) \(address.prefix) of \(domain.name)"
    case .complete: "complete"
    case .lost(let count): "lost \(count)"
    }
  }
}
