import MIF
import Messages
import Subscribers
import Testing

/// The synchronous client of the trigger database against an agent that plays golden vectors.
@Suite struct TriggerConnectionTests {
  @Test("what exists, then news")
  func news() throws {
    let agent = try FakeAgent()
    defer { agent.remove() }
    let connection = try TriggerConnection(runtimeDirectory: agent.directory)
    try connection.register()

    guard case .exists(let trigger)? = try connection.next(timeout: .seconds(5)) else {
      Issue.record("not what exists")
      return
    }
    #expect(trigger.identifier == 42)
    #expect(trigger.kind == .destinationUnreachable)
    #expect(trigger.addresses.map { $0.description } == ["192.0.2.10/24", "198.51.100.7/32"])
    #expect(trigger.origin?.interfaceName == "wan0")
    #expect(trigger.origin?.icmp?.description == "host unreachable")
    #expect(trigger.origin?.removal == nil)
    #expect(try connection.next(timeout: .seconds(5)) == .inStep)
    #expect(try connection.next(timeout: .zero) == nil)

    // #17, changed before it was ever told, and then again; #42, gone.
    agent.trigger.push(FakeAgent.news("notify-modify-deprecated"))
    agent.trigger.push(FakeAgent.news("notify-modify-deprecated"))
    agent.trigger.push(FakeAgent.news("notify-delete"))
    guard case .added(let address)? = try connection.next(timeout: .seconds(5)) else {
      Issue.record("what had not been told is not new")
      return
    }
    #expect(address.origin?.addressState == [.deprecated, .advertised])
    #expect(
      try connection.next(timeout: .seconds(5)) == .modified(address, former: address.identifier))
    guard case .deleted(let gone)? = try connection.next(timeout: .seconds(5)) else {
      Issue.record("not deleted")
      return
    }
    #expect(gone.origin?.removal == .expired)
    #expect(gone.origin?.icmp?.description == "no route to destination")
  }

  @Test("after a gap in the seq of news it asks again, and tells what is different")
  func gap() throws {
    let agent = try FakeAgent()
    defer { agent.remove() }
    let connection = try TriggerConnection(runtimeDirectory: agent.directory)
    try connection.register()
    guard case .exists(let trigger)? = try connection.next(timeout: .seconds(5)) else {
      Issue.record("not what exists")
      return
    }
    #expect(try connection.next(timeout: .seconds(5)) == .inStep)
    // Its deletion is told, and that it is back is not: the replay tells.
    agent.trigger.push(FakeAgent.news("notify-delete", 3))
    guard case .deleted? = try connection.next(timeout: .seconds(5)) else {
      Issue.record("not deleted")
      return
    }
    agent.trigger.push(FakeAgent.news("notify-modify-deprecated", 5))
    guard case .added(let other)? = try connection.next(timeout: .seconds(5)) else {
      Issue.record("what came with the gap is lost")
      return
    }
    let differences = try (0..<3).map { _ in try connection.next(timeout: .seconds(5)) }
    #expect(differences == [.added(trigger), .deleted(other), .inStep])
    #expect(try connection.next(timeout: .zero) == nil)
  }

  @Test("answers are told from news that come in between")
  func answers() throws {
    let agent = try FakeAgent(trigger: { header, request in
      [FakeAgent.news("notify-cause-origin")] + FakeAgent.trigger(header, request)
    })
    defer { agent.remove() }
    let connection = try TriggerConnection(runtimeDirectory: agent.directory)
    let trigger = try connection.get(41)
    #expect(trigger.identifier == 41)
    #expect(trigger.origin?.source == .client)
    #expect(throws: ClientError.refused(request: "DELETE", .notFound)) { try connection.delete(99) }
    #expect(throws: ClientError.refused(request: "MODIFY", .notPermitted)) {
      try connection.modify(41, .connectionLost)
    }
    #expect(try connection.add(.destinationUnreachable, addresses: trigger.addresses).identifier == 41)
    // Nobody has asked for news: what came was for GET's origin.
    #expect(try connection.next(timeout: .milliseconds(50)) == nil)
  }

  @Test("news may be asked for after requests, and otherwise later")
  func registration() throws {
    let agent = try LiveAgent()
    defer { agent.remove() }
    let connection = try TriggerConnection(runtimeDirectory: agent.directory)
    let address = try connection.add(.addressChanged, addresses: [IPPrefix("192.0.2.1")!])
    #expect(try connection.get(address.identifier).origin?.source == .client)
    #expect(try connection.next(timeout: .milliseconds(20)) == nil)
    try connection.register()
    #expect(try connection.next(timeout: .seconds(5)) == .exists(connection.get(address.identifier)))
    #expect(try connection.next(timeout: .seconds(5)) == .inStep)
    try connection.register(matching: MIF.TriggerFilter(kinds: [.connectionLost]))
    guard case .deleted(let gone)? = try connection.next(timeout: .seconds(5)) else {
      Issue.record("what no longer passes is not deleted")
      return
    }
    #expect(gone.identifier == address.identifier)
    #expect(try connection.next(timeout: .seconds(5)) == .inStep)
  }

  @Test("an agent that is restarted is found again")
  func restart() throws {
    let agent = try FakeAgent()
    defer { agent.remove() }
    let connection = try TriggerConnection(runtimeDirectory: agent.directory)
    let descriptor = connection.fileDescriptor
    try connection.register()
    _ = try connection.next(timeout: .seconds(5))
    #expect(try connection.next(timeout: .seconds(5)) == .inStep)
    agent.stop()
    #expect(try connection.next(timeout: .seconds(5)) == .disconnected)
    #expect(!connection.isConnected)
    #expect(throws: ClientError.disconnected(path: agent.directory + "/trigger.sock")) { try connection.get(1) }
    let next = try FakeAgent(directory: agent.directory)
    defer { next.stop() }
    // It has the same trigger: nothing is different.
    #expect(try connection.next(timeout: .seconds(5)) == .inStep)
    #expect(connection.isConnected)
    #expect(connection.fileDescriptor == descriptor)
  }

  @Test("nobody there, nobody there yet, gone away, not answering, talking nonsense")
  func failures() throws {
    let directory = "/nonexistent"
    #expect(throws: ClientError.noAgent(path: directory + "/trigger.sock")) {
      try TriggerConnection(runtimeDirectory: directory)
    }
    let early = try TriggerConnection(runtimeDirectory: directory, waitsForAgent: true)
    #expect(!early.isConnected)
    try early.register()
    #expect(try early.next(timeout: .milliseconds(20)) == nil)
    #expect(throws: ClientError.disconnected(path: directory + "/trigger.sock")) { try early.add(.addressChanged) }
    let long = "/" + String(repeating: "x", count: 120)
    #expect(throws: ClientError.unusablePath(long + "/trigger.sock")) { try TriggerConnection(runtimeDirectory: long) }

    let agent = try FakeAgent(trigger: { header, _ in
      header.type == 1 ? [] : [[UInt8](repeating: 0xFF, count: 24)]
    })
    defer { agent.remove() }
    let path = agent.directory + "/trigger.sock"
    let connection = try TriggerConnection(runtimeDirectory: agent.directory)
    #expect(throws: ClientError.timedOut(path: path)) {
      try connection.add(.addressChanged, timeout: .milliseconds(50))
    }
    #expect(throws: ClientError.timedOut(path: path)) { try connection.get(1, timeout: .milliseconds(50)) }
    #expect(throws: ClientError.self) {
      try connection.add(.addressChanged, addresses: [IPPrefix](repeating: IPPrefix("192.0.2.1")!, count: 17))
    }
    agent.trigger.stop()
    #expect(throws: ClientError.disconnected(path: path)) { try connection.delete(1) }
  }

  @Test("a quota of connections is told from an agent that ends")
  func quota() throws {
    var settings = Subscribers.Settings()
    settings.limit = 1
    let agent = try LiveAgent(settings: settings)
    defer { agent.remove() }
    let first = try TriggerConnection(runtimeDirectory: agent.directory)
    _ = try first.add(.addressChanged)
    for _ in 0..<20 {
      let second = try TriggerConnection(runtimeDirectory: agent.directory)
      #expect(throws: ClientError.tooManyConnections(path: agent.directory + "/trigger.sock")) {
        try second.register()
      }
    }
    try first.register()
  }

  @Test(
    "each errno has its case",
    arguments: [
      (1, .notPermitted), (2, .notFound), (17, .exists), (22, .invalid), (28, .noSpace), (90, .messageSize),
      (93, .versionNotSupported), (95, .notSupported), (97, .addressFamilyNotSupported), (5, .other(5)),
    ] as [(UInt8, Refusal)])
  func refusals(_ errno: UInt8, _ refusal: Refusal) throws {
    let agent = try FakeAgent(trigger: { header, _ in [FakeAgent.refusal(errno, to: header)] })
    defer { agent.remove() }
    let connection = try TriggerConnection(runtimeDirectory: agent.directory)
    #expect(refusal.errno == Int32(errno))
    let error = #expect(throws: ClientError.refused(request: "ADD", refusal)) { try connection.add(.addressChanged) }
    #expect(error?.errno == Int32(errno))
    #expect(throws: ClientError.refused(request: "REGISTER", refusal)) { try connection.register() }
  }
}
