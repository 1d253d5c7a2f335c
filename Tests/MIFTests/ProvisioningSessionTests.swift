import CLinux
import Dispatch
import Messages
import Synchronization
import Testing

@testable import MIF

/// The MIF API message by message, against an agent that plays golden vectors.
@Suite(.timeLimit(.minutes(1))) struct ProvisioningSessionTests {
  private static let www = "www.example.org"
  private static let there = MIF.Endpoint(MIF.IPAddress("2001:db8:80::1")!, port: 443)
  private static let other = MIF.Endpoint(MIF.IPAddress("198.51.100.7")!, port: 443)
  private static let here = MIF.Endpoint(MIF.IPAddress("192.0.2.10")!, port: 50000)

  /// Vectors of whole requests.
  static let requests: [(String, ProvisioningRequest)] = [
    ("announce-interfaces", .announceInterfaces),
    ("stop-announcing-interfaces", .stopAnnouncingInterfaces),
    ("announce-pvds", .announceDomains(interface: 3)),
    ("stop-announcing-pvds", .stopAnnouncingDomains(interface: 3)),
    ("announce-elements", .announceElements(domain: 1)),
    ("stop-announcing-elements", .stopAnnouncingElements(domain: 1)),
    ("announce-addresses", .announceAddresses(domain: 1)),
    ("stop-announcing-addresses", .stopAnnouncingAddresses(domain: 1)),
    ("get-config-data", .getConfiguration(domain: 1, .routerAdvertisement, key: .dnsServers)),
    ("get-config-data-all", .getConfiguration(domain: 1, .routerAdvertisement)),
    ("translate-name", .translateName(www, domain: 1, transaction: 77)),
    ("stop-translating-name", .stopTranslatingName(transaction: 77)),
    ("connect-to-pvd", .connectToDomain(1)),
    ("connect-to-address", .connectToAddress(there, domain: 1, transaction: 78)),
    (
      "connect-to-address-from-address",
      .connectToAddress(other, from: here, over: .udp, domain: 2, transaction: 79)
    ),
    ("wants-to-connect", .wantsToConnect),
    ("connection-idle", .connectionIdle(domain: 7)),
    ("connection-can-be-broken", .connectionCanBeBroken(domain: 7)),
    ("get-statistics", .getStatistics),
    ("take-interface-down", .takeDown(interface: 3, after: .milliseconds(2000))),
  ]

  @Test("every request is its vector", arguments: requests)
  func post(_ name: String, _ request: ProvisioningRequest) throws {
    let received = Mutex<(FrameHeader, [UInt8])?>(nil)
    let agent = try FakeAgent(mif: { header, request in
      received.withLock { $0 = (header, request) }
      return [FakeAgent.refusal(UInt8(EPERM), to: header)]
    })
    defer { agent.remove() }
    let connection = try ProvisioningConnection(runtimeDirectory: agent.directory)
    let number = try connection.post(request)
    #expect(try connection.next(timeout: .seconds(5))?.request == number)
    let (header, bytes) = try #require(received.withLock { $0 })
    #expect(header.sequence == number && header.pid == UInt32(getpid()))
    #expect(bytes == FakeAgent.answer(name, to: header))
  }

  /// Vectors of whole messages, in words.
  static let messages: [(String, String)] = [
    ("interface-news", "interface abcdefghijklmno"),
    ("no-interface", "no interface 3"),
    ("pvd-explicit", "domain pvd.example.org on wan0"),
    ("no-pvd", "no domain 2"),
    ("element", "RA of 1"),
    ("no-element", "no DHCPv4 of 2"),
    ("address-ipv6", "2001:db8:1::10/64 of 1"),
    ("no-address", "no fe80::10%3/64 of 1"),
    ("interface-going-away", "going away wan0"),
    ("interface-going-up", "going up wan0"),
    ("config-data-dns", "2 of 1"),
    ("no-config-data", "0 of 1"),
    ("name-translation", "2001:db8:80::1 300 for 77"),
    ("name-translation-ended", "no such name (NXDOMAIN) for 77"),
    ("not-connected", "ICMP host unreachable for 79"),
    ("statistics", "2 counters"),
    ("snapshot-end", "complete"),
    ("overrun", "overrun"),
    ("stop-announcing-interfaces", "done"),
    ("announce-pvds-no-such-interface", "refused notFound"),
  ]

  private static func words(_ content: ProvisioningMessage.Content) -> String {
    switch content {
    case .interface(let interface): "interface \(interface.name)"
    case .noInterface(let interface): "no interface \(interface.index)"
    case .domain(let domain, let interface): "domain \(domain.name) on \(interface.name)"
    case .noDomain(let domain, _): "no domain \(domain.identifier)"
    case .element(let element, let domain): "\(element) of \(domain)"
    case .noElement(let element, let domain): "no \(element) of \(domain)"
    case .address(let address, let domain): "\(address.prefix) of \(domain)"
    case .noAddress(let address, let domain): "no \(address.prefix) of \(domain)"
    case .interfaceGoingAway(let interface): "going away \(interface.name)"
    case .interfaceGoingUp(let interface): "going up \(interface.name)"
    case .configuration(let items, let domain): "\(items.count) of \(domain)"
    case .nameTranslation(let address, let lifetime, let transaction):
      "\(address) \(lifetime.seconds ?? 0) for \(transaction)"
    case .nameTranslationEnded(let failure, let transaction): "\(failure?.description ?? "-") for \(transaction)"
    case .connected(let socket, let transaction): "connected \(socket != nil) for \(transaction)"
    case .notConnected(let failure, let transaction): "\(failure) for \(transaction)"
    case .statistics(let counters): "\(counters.count) counters"
    case .complete: "complete"
    case .done: "done"
    case .refused(let refusal): "refused \(refusal == .notFound ? "notFound" : "\(refusal)")"
    case .overrun: "overrun"
    }
  }

  @Test("every message is what its vector says", arguments: messages)
  func next(_ name: String, _ words: String) throws {
    let agent = try FakeAgent(mif: { _, _ in [FakeAgent.news(name, 1)] })
    defer { agent.remove() }
    let connection = try ProvisioningConnection(runtimeDirectory: agent.directory)
    #expect(try connection.next(timeout: .zero) == nil)
    try connection.post(.announceInterfaces)
    let message = try #require(try connection.next(timeout: .seconds(5)))
    #expect(Self.words(message.content) == words)
    // Another one's pid: no answer of this process's.
    #expect(message.request == nil)
  }

  @Test("a link-local address of configuration has its domain's interface")
  func scope() throws {
    let agent = try FakeAgent(mif: { header, request in
      header.type == MIFMessageType.getConfigurationData.rawValue
        ? [FakeAgent.answer("config-data-dns", to: header)] : FakeAgent.mif(header, request)
    })
    defer { agent.remove() }
    let connection = try ProvisioningConnection(runtimeDirectory: agent.directory)
    try connection.post(.announceDomains(interface: 3))
    let request = try connection.post(.getConfiguration(domain: 1, .routerAdvertisement, key: .dnsServers))
    while let message = try connection.next(timeout: .seconds(5)) {
      guard message.request == request, case .configuration(let items, 1) = message.content else { continue }
      #expect(items.map(\.value) == [.address(IPAddress("2001:db8::53")!), .address(IPAddress("fe80::53%3")!)])
      return
    }
    Issue.record("no answer")
  }

  @Test("a socket comes with CONNECTED: it can be taken, else it is closed")
  func sockets() async throws {
    let pairs = TCPPairs()
    let agent = try FakeAgent(
      mif: { header, _ in [FakeAgent.answer("connected", to: header)] }, passing: { pairs.next() })
    defer { agent.remove() }
    let session = try ProvisioningSession(runtimeDirectory: agent.directory)
    let number = try await session.post(.connectToAddress(Self.there, domain: 1, transaction: 78))
    var messages = session.messages.makeAsyncIterator()
    var message = try await messages.next()
    #expect(message?.request == number)
    guard case .connected(let socket?, 78)? = message?.content else {
      Issue.record("no socket")
      return
    }
    message = nil
    let descriptor = socket.take()
    pairs.send("hello")
    #expect(TCPPairs.receive(from: descriptor) == "hello")
    close(descriptor)
    #expect(pairs.receive() == "")

    try await session.post(.connectToAddress(Self.there, domain: 1, transaction: 79))
    _ = try await messages.next()
    #expect(try await until { pairs.count == 2 && pairs.last == "" })
  }

  @Test("no socket where none could be received")
  func noSocket() throws {
    let agent = try FakeAgent(mif: { header, _ in [FakeAgent.answer("connected", to: header)] })
    defer { agent.remove() }
    let connection = try ProvisioningConnection(runtimeDirectory: agent.directory)
    try connection.post(.connectToAddress(Self.there, domain: 1, transaction: 78))
    #expect(try connection.next(timeout: .seconds(5)).map { Self.words($0.content) } == "connected false for 78")
  }

  @Test("the example of the documentation")
  func example() async throws {
    let agent = try FakeAgent()
    defer { agent.remove() }
    let session = try ProvisioningSession(runtimeDirectory: agent.directory)
    try await session.post(.announceInterfaces)
    var told: [String] = []
    for try await message in session.messages {
      switch message.content {
      case .interface(let interface): try await session.post(.announceDomains(interface: interface.index))
      case .domain(let domain, let interface): told.append("\(domain.name) on \(interface.name)")
      case .overrun: try await session.post(.announceInterfaces)
      default: break
      }
      if told.count == 2 { break }
    }
    #expect(told == ["pvd.example.org on wan0", "wan0-dhcpv4-192.0.2.1 on wan0"])
  }

  @Test("many tasks post, one reads")
  func tasks() async throws {
    let agent = try FakeAgent()
    defer { agent.remove() }
    let session = try ProvisioningSession(runtimeDirectory: agent.directory)
    async let answers = Task {
      var numbers: Set<UInt32> = []
      for try await message in session.messages {
        guard case .done = message.content, let request = message.request else { continue }
        numbers.insert(request)
        if numbers.count == 2000 { break }
      }
      return numbers
    }.value
    let posted = try await withThrowingTaskGroup(of: UInt32.self) { group in
      for _ in 0..<2000 { group.addTask { try await session.post(.stopAnnouncingInterfaces) } }
      return try await group.reduce(into: Set<UInt32>()) { $0.insert($1) }
    }
    #expect(try await answers == posted)
  }

  @Test("an agent that reads no further: posting waits, or says so")
  func room() async throws {
    let gate = DispatchSemaphore(value: 0)
    let agent = try FakeAgent(mif: { header, _ in
      gate.wait()
      gate.signal()
      return [FakeAgent.answer("stop-announcing-interfaces", to: header, type: header.type)]
    })
    defer { agent.remove() }
    let session = try ProvisioningSession(runtimeDirectory: agent.directory)
    let count = Mutex(0)
    let poster = Task {
      while true {
        try await session.post(.stopAnnouncingInterfaces)
        count.withLock { $0 += 1 }
      }
    }
    var former = -1
    #expect(
      try await until {
        usleep(20_000)
        defer { former = count.withLock { $0 } }
        return former > 0 && former == count.withLock { $0 }
      })
    poster.cancel()
    await #expect(throws: ClientError.cancelled) { try await poster.value }

    var connection: ProvisioningConnection? = try ProvisioningConnection(runtimeDirectory: agent.directory)
    let error = #expect(throws: ClientError.self) { while true { try connection!.post(.stopAnnouncingInterfaces) } }
    #expect(error?.errno == EAGAIN)
    // The fake agent would wait for it to read.
    connection = nil

    let waiting = Task { try await session.post(.getStatistics) }
    gate.signal()
    let number = try await waiting.value
    for try await message in session.messages where message.request == number { break }
  }

  @Test("what is cancelled and what is released ends at once")
  func cancellation() async throws {
    let agent = try FakeAgent()
    defer { agent.remove() }
    var session: ProvisioningSession? = try ProvisioningSession(runtimeDirectory: agent.directory)
    var messages = session?.messages.makeAsyncIterator()
    for _ in 0..<20 {
      let task = Task { [session] in
        var count = 0
        for try await _ in session!.messages { count += 1 }
        return count
      }
      try await Task.sleep(for: .milliseconds(1))
      task.cancel()
      #expect(try await task.value == 0)
    }
    try await session?.post(.announceInterfaces)
    session = nil
    #expect(try await messages?.next().map { Self.words($0.content) } == "interface wan0")
    #expect(agent.mif.left == 0)
    messages = nil
    #expect(try await until { agent.mif.left == 1 })
  }

  @Test("nobody there; gone away; full; a name too long; nonsense")
  func failures() async throws {
    #expect(throws: ClientError.noAgent(path: "/nonexistent/mif.sock")) {
      try ProvisioningSession(runtimeDirectory: "/nonexistent")
    }
    let agent = try FakeAgent(mif: { _, _ in [[UInt8](repeating: 1, count: 16)] })
    defer { agent.remove() }
    let path = agent.directory + "/mif.sock"
    let long = String(repeating: "x", count: 256)
    let odd = try ProvisioningConnection(runtimeDirectory: agent.directory)
    #expect(throws: ClientError.unusableName(long)) {
      try odd.post(.translateName(long, domain: 1, transaction: 1))
    }
    try odd.post(.announceInterfaces)
    let error = #expect(throws: ClientError.self) { try odd.next(timeout: .seconds(5)) }
    #expect(error?.errno == EPROTO)

    let session = try ProvisioningSession(runtimeDirectory: agent.directory)
    let task = Task {
      for try await _ in session.messages {}
    }
    try await Task.sleep(for: .milliseconds(5))
    agent.mif.stop()
    await #expect(throws: ClientError.disconnected(path: path)) { try await task.value }
    await #expect(throws: ClientError.disconnected(path: path)) { try await session.post(.announceInterfaces) }
  }
}
