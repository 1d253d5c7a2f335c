import CLinux
import Foundation
import Messages
import Synchronization
import Testing

@testable import MIF

/// Connecting to a host, against an agent that plays a network.
@Suite(.timeLimit(.minutes(1))) struct ConnectTests {
  private static let v6 = "2001:db8:80::1"
  private static let v4 = "198.51.100.7"
  private static let host = "host.example.org"

  /// Both domains know the name, each with an address of its family.
  private static func network(_ change: (inout FakeNetwork) -> Void = { _ in }) -> FakeNetwork {
    var network = FakeNetwork(
      names: [1: ([v6], .good), 2: ([v4], .good)], hosts: [v6: .good, v4: .good])
    change(&network)
    return network
  }

  private static func agent(_ network: FakeNetwork, _ pairs: TCPPairs = TCPPairs()) throws -> FakeAgent {
    try FakeAgent(mif: { network.answer($0, $1) }, passing: { pairs.next() })
  }

  private static func connect(_ agent: FakeAgent, _ options: ConnectOptions = .init()) async throws -> ConnectedSocket {
    try await MIF.connect(toHost: host, port: 443, options: options, runtimeDirectory: agent.directory)
  }

  @Test("a connection, the way that it goes, and what closes it")
  func connected() async throws {
    let pairs = TCPPairs()
    let agent = try Self.agent(Self.network(), pairs)
    defer { agent.remove() }
    var connection: ConnectedSocket? = try await Self.connect(agent)
    #expect(connection?.domain.name == "pvd.example.org")
    #expect(connection?.domain.interface == 3)
    #expect(connection?.remoteEndpoint.description == "[2001:db8:80::1]:443")
    #expect(connection?.localEndpoint.address == IPAddress("127.0.0.1"))
    #expect(connection?.transport == .tcp)
    pairs.send("hello")
    #expect(TCPPairs.receive(from: connection!.fileDescriptor) == "hello")
    #expect(pairs.count == 1)
    connection = nil
    #expect(pairs.receive() == "")
    #expect(try await until { agent.mif.left == 1 })
  }

  @Test("what is taken stays open")
  func taken() async throws {
    let pairs = TCPPairs()
    let agent = try Self.agent(Self.network(), pairs)
    defer { agent.remove() }
    let descriptor = try await Self.connect(agent).takeDescriptor()
    pairs.send("hello")
    #expect(TCPPairs.receive(from: descriptor) == "hello")
    close(descriptor)
    #expect(pairs.receive() == "")
    let connection = try await Self.connect(agent)
    close(connection.takeDescriptor())
    #expect(connection.takeDescriptor() == -1)
    #expect(connection.fileDescriptor == -1)
  }

  @Test("where one domain fails another one leads there")
  func second() async throws {
    let agent = try Self.agent(Self.network { $0.hosts[Self.v6] = .failure(FakeNetwork.refusal) })
    defer { agent.remove() }
    let connection = try await Self.connect(agent)
    #expect(connection.domain.name == "wan0-dhcpv4-192.0.2.1")
    #expect(connection.remoteEndpoint == Endpoint(IPAddress(Self.v4)!, port: 443))
  }

  @Test("what was tried is told, domain by domain")
  func failures() async throws {
    let agent = try Self.agent(
      Self.network {
        $0.hosts[Self.v6] = .failure(FakeNetwork.refusal)
        $0.hosts[Self.v4] = .failure(Failure(error: UInt16(EHOSTUNREACH), from: .icmp, icmpType: 3, icmpCode: 1))
      })
    defer { agent.remove() }
    let error = await #expect(throws: ClientError.self) { try await Self.connect(agent) }
    guard case .notConnected(Self.host, ECONNREFUSED, let attempts)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(attempts.map(\.domain.identifier) == [1, 2])
    #expect(attempts.map(\.outcome).first == .failed(NetworkFailure(errno: ECONNREFUSED, .peer)))
    #expect(error?.errno == ECONNREFUSED)
    #expect(
      error?.description == "cannot connect to host.example.org: Connection refused ("
        + "pvd.example.org: [2001:db8:80::1]:443: Connection refused; "
        + "wan0-dhcpv4-192.0.2.1: 198.51.100.7:443: ICMP host unreachable)")
  }

  @Test("a name that leads nowhere")
  func noName() async throws {
    let agent = try Self.agent(
      Self.network {
        $0.names[1] = ([], .failure(FakeNetwork.noSuchName))
        $0.names[2] = ([], .failure(Failure(error: UInt16(ETIMEDOUT), from: .timeOut)))
      })
    defer { agent.remove() }
    let error = await #expect(throws: ClientError.self) { try await Self.connect(agent) }
    #expect(
      error?.description == "cannot connect to host.example.org: No such file or directory ("
        + "pvd.example.org: the name: no such name (NXDOMAIN); wan0-dhcpv4-192.0.2.1: the name: no answer in time)")
  }

  @Test("only the domain, interface, family and transport that are wanted")
  func options() async throws {
    let asked = Mutex<[MIFRequest]>([])
    let network = Self.network()
    let pairs = TCPPairs()
    let agent = try FakeAgent(
      mif: { header, request in
        if let request = try? unsafe MIFRequest(request.span.bytes) { asked.withLock { $0.append(request) } }
        return network.answer(header, request)
      }, passing: { pairs.next() })
    defer { agent.remove() }
    #expect(try await Self.connect(agent, ConnectOptions(domain: 2)).domain.identifier == 2)
    #expect(try await Self.connect(agent, ConnectOptions(family: .ipv4)).domain.identifier == 2)
    #expect(try await Self.connect(agent, ConnectOptions(transport: .udp, interface: 3)).transport == .udp)
    let transports = asked.withLock { $0 }.compactMap {
      if case .connect(_, _, let destination, _) = $0 { destination.transport } else { nil }
    }
    #expect(transports == [.tcp, .tcp, .udp])
    for options in [ConnectOptions(domain: 9), ConnectOptions(interface: 9)] {
      await #expect(throws: ClientError.notConnected(host: Self.host, ENETUNREACH, [])) {
        try await Self.connect(agent, options)
      }
    }
  }

  @Test("the time-out", arguments: [Duration.milliseconds(50), .zero])
  func timeout(_ timeout: Duration) async throws {
    let agent = try Self.agent(Self.network { $0.hosts = [:] })
    defer { agent.remove() }
    let start = ContinuousClock.now
    let error = await #expect(throws: ClientError.self) { try await Self.connect(agent, .init(timeout: timeout)) }
    #expect(error?.errno == ETIMEDOUT)
    #expect(ContinuousClock.now - start >= timeout)
  }

  @Test("a cancelled task goes on at once, and everything is closed")
  func cancellation() async throws {
    let agent = try Self.agent(Self.network { $0.hosts = [:] })
    defer { agent.remove() }
    for count in 1...20 {
      let task = Task { try await Self.connect(agent, .init(timeout: nil)) }
      #expect(try await until { agent.mif.connected == count })
      if count % 2 == 0 { try await Task.sleep(for: .milliseconds(count)) }
      task.cancel()
      await #expect(throws: ClientError.cancelled) { try await task.value }
    }
    #expect(try await until { agent.mif.left == 20 })
    let early = Task {
      unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
      return try await Self.connect(agent, .init(timeout: nil))
    }
    await #expect(throws: ClientError.cancelled) { try await early.value }
  }

  @Test("nobody there, gone away, full, no name")
  func agents() async throws {
    await #expect(throws: ClientError.noAgent(path: "/nonexistent/mif.sock")) {
      try await MIF.connect(toHost: Self.host, port: 80, runtimeDirectory: "/nonexistent")
    }
    for host in ["", String(repeating: "x", count: 256), "a\0b"] {
      await #expect(throws: ClientError.unusableName(host)) { try await MIF.connect(toHost: host, port: 80) }
    }
    let agent = try Self.agent(Self.network { $0.hosts = [:] })
    defer { agent.remove() }
    let task = Task { try await Self.connect(agent) }
    #expect(try await until { agent.mif.connected == 1 })
    agent.mif.stop()
    await #expect(throws: ClientError.disconnected(path: agent.directory + "/mif.sock")) { try await task.value }

    let full = try FakeAgent(mif: { _, _ in
      [FakeAgent.refusal(UInt8(ENOSPC), to: FrameHeader(type: 0, sequence: 0, pid: 0))]
    })
    defer { full.remove() }
    let other = Task { try await Self.connect(full) }
    #expect(try await until { full.mif.connected == 1 })
    try await Task.sleep(for: .milliseconds(20))
    full.mif.stop()
    await #expect(throws: ClientError.tooManyConnections(path: full.directory + "/mif.sock")) { try await other.value }
  }

  @Test("a poll loop of one's own")
  func connector() async throws {
    let pairs = TCPPairs()
    let agent = try Self.agent(Self.network(), pairs)
    defer { agent.remove() }
    let connector = try Connector(toHost: Self.host, port: 443, runtimeDirectory: agent.directory)
    var connection: ConnectedSocket?
    while connection == nil {
      var question = pollfd(fd: connector.fileDescriptor, events: Int16(POLLIN), revents: 0)
      try #require(unsafe poll(&question, 1, 5000) == 1)
      connection = try connector.wait(timeout: .zero)
    }
    #expect(connector.attempts.map(\.outcome).contains(.connected))
    #expect(try connector.wait() == nil)

    let silent = try Self.agent(Self.network { $0.hosts = [:] })
    defer { silent.remove() }
    var waiting: Connector? = try Connector(toHost: Self.v6, port: 443, runtimeDirectory: silent.directory)
    #expect(try waiting?.wait(timeout: .milliseconds(150)) == nil)
    #expect(waiting?.attempts.map(\.outcome).contains(.underWay) == true)
    #expect(
      waiting?.attempts.map(\.description).contains("pvd.example.org: [2001:db8:80::1]:443: no answer yet") == true)
    waiting = nil
    #expect(try await until { silent.mif.left == 1 })
  }

  @Test("no descriptor is left: connected, failed, cancelled")
  func descriptors() async {
    await #expect(processExitsWith: .success) {
      let pairs = TCPPairs()
      let network = ConnectTests.network()
      let isSilent = Mutex(false)
      let agent = try FakeAgent(
        mif: { header, request in
          var network = network
          if isSilent.withLock({ $0 }) { network.hosts = [:] }
          return network.answer(header, request)
        }, passing: { pairs.next() })
      defer { agent.remove() }
      /// Without the ends that stay in this process: those of the connections, and the fake agent's.
      func open() throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count - pairs.count - agent.mif.connected
      }
      func round() async throws {
        isSilent.withLock { $0 = false }
        _ = try await ConnectTests.connect(agent)
        isSilent.withLock { $0 = true }
        let options = ConnectOptions(timeout: .milliseconds(5))
        guard (try? await ConnectTests.connect(agent, options)) == nil else { exit(1) }
        let task = Task { try await ConnectTests.connect(agent, .init(timeout: nil)) }
        try await Task.sleep(for: .milliseconds(2))
        task.cancel()
        guard (try? await task.value) == nil else { exit(2) }
      }
      /// What is open when the three connections of each round have come and gone.
      func settled(after rounds: Int) async throws -> Int {
        for _ in 0..<5000 where agent.mif.connected < 3 * rounds || agent.mif.left < agent.mif.connected {
          try await Task.sleep(for: .milliseconds(2))
        }
        var least = try open()
        for _ in 0..<50 {
          try await Task.sleep(for: .milliseconds(2))
          least = min(least, try open())
        }
        return least
      }
      // What the runtime itself opens on first use.
      try await round()
      let before = try await settled(after: 1)
      for _ in 0..<20 { try await round() }
      guard try await settled(after: 21) == before else { exit(3) }
    }
  }
}
