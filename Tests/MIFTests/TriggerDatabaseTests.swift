import MIF
import Messages
import Platform
import Provisioning
import Subscribers
import Synchronization
import Testing

/// The trigger database for Swift concurrency, against the agent's own code and against one that plays vectors.
@Suite(.timeLimit(.minutes(1))) struct TriggerDatabaseTests {
  private typealias Filter = MIF.TriggerFilter

  /// The next `count` events, as words.
  private static func told(_ events: inout TriggerNotifications.Iterator, _ count: Int) async throws -> [String] {
    var words: [String] = []
    for _ in 0..<count { words.append(word(try await events.next())) }
    return words
  }

  private static func word(_ event: TriggerEvent?) -> String {
    func name(_ trigger: MIF.Trigger) -> String {
      "\(trigger.kind.rawValue)" + trigger.addresses.map { " \($0.address)" }.joined()
    }
    return switch event {
    case .exists(let trigger): "exists \(name(trigger))"
    case .added(let trigger): "added \(name(trigger))"
    case .modified(let trigger, let former):
      "modified \(name(trigger))" + (former == trigger.identifier ? "" : " renumbered")
    case .deleted(let trigger): "deleted \(name(trigger))"
    case .inStep: "in step"
    case .disconnected: "disconnected"
    case nil: "end"
    }
  }

  /// Waits until something holds.
  private static func until(
    _ what: Comment, _ location: SourceLocation = #_sourceLocation, _ condition: () -> Bool
  ) async throws {
    for _ in 0..<2000 {
      if condition() { return }
      try await Task.sleep(for: .milliseconds(2))
    }
    Issue.record(what, sourceLocation: location)
  }

  @Test("the example of the documentation")
  func example() async throws {
    let agent = try LiveAgent()
    defer { agent.remove() }
    let database = try TriggerDatabase(runtimeDirectory: agent.directory)
    let path = [IPPrefix("192.0.2.1")!, IPPrefix("198.51.100.7")!]
    let trigger = try await database.add(.destinationUnreachable, addresses: path)

    var known: [UInt32: MIF.Trigger] = [:]
    for try await event in database.notifications(matching: Filter(kinds: [.destinationUnreachable])) {
      switch event {
      case .exists(let trigger), .added(let trigger): known[trigger.identifier] = trigger
      case .modified(let trigger, let former):
        known[former] = nil
        known[trigger.identifier] = trigger
      case .deleted(let trigger): known[trigger.identifier] = nil
      case .inStep: print("that is all:", known.count)
      case .disconnected: print("the agent is away")
      }
      if event == .inStep { break }
    }
    #expect(known.values.map { $0.addresses } == [path])
    #expect(known[trigger.identifier]?.origin?.source == .client)
  }

  @Test("a trigger's life: the answers, and what is told of it")
  func life() async throws {
    let agent = try LiveAgent()
    defer { agent.remove() }
    agent.link(3, "up0")
    let database = try TriggerDatabase(runtimeDirectory: agent.directory)
    var events = database.notifications().makeAsyncIterator()
    #expect(try await Self.told(&events, 2) == ["exists 1", "in step"])

    let added = try await database.add(TriggerKind(rawValue: 200), addresses: [IPPrefix("2001:db8::1/64")!])
    #expect(added.identifier == 2)
    #expect(added.origin == nil)
    let got = try await database.get(2)
    #expect(got.addresses == added.addresses)
    #expect(got.origin?.source == .client)
    #expect(try await database.modify(2, .addressChanged).addresses == [])
    #expect(try await database.delete(2).kind == .addressChanged)
    #expect(
      try await Self.told(&events, 3) == ["added 200 2001:db8::1", "modified 3 2001:db8::1", "deleted 3 2001:db8::1"])
    await #expect(throws: ClientError.refused(request: "GET", .notFound)) { try await database.get(2) }
    await #expect(throws: ClientError.refused(request: "DELETE", .notPermitted)) { try await database.delete(1) }
    await #expect(throws: ClientError.refused(request: "ADD", .invalid)) {
      try await database.add(TriggerKind(rawValue: 0))
    }
    let error = await #expect(throws: ClientError.self) {
      try await database.add(.addressChanged, addresses: [IPPrefix](repeating: added.addresses[0], count: 17))
    }
    guard case .tooMany? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test("a hundred tasks each have their own answers")
  func tasks() async throws {
    let agent = try LiveAgent()
    defer { agent.remove() }
    let database = try TriggerDatabase(runtimeDirectory: agent.directory)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 1...100 {
        group.addTask {
          let kind = TriggerKind(rawValue: UInt16(1000 + number))
          let address = IPPrefix("10.0.0.\(number)")!
          for _ in 0..<20 {
            let added = try await database.add(kind, addresses: [address])
            #expect(added.kind == kind && added.addresses == [address])
            let got = try await database.get(added.identifier)
            #expect(got.kind == kind && got.addresses == [address] && got.identifier == added.identifier)
            #expect(try await database.modify(added.identifier, .addressChanged).identifier == added.identifier)
            #expect(try await database.delete(added.identifier).identifier == added.identifier)
          }
        }
      }
      try await group.waitForAll()
    }
  }

  @Test("one task's requests are carried out in order, and many at a time go out without waiting")
  func pipeline() async throws {
    let agent = try LiveAgent()
    defer { agent.remove() }
    let database = try TriggerDatabase(runtimeDirectory: agent.directory)
    var events = database.notifications().makeAsyncIterator()
    #expect(try await Self.told(&events, 1) == ["in step"])
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<2000 { group.addTask { _ = try await database.add(.connectionLost) } }
      try await group.waitForAll()
    }
    var seen = Set<UInt32>()
    while seen.count < 2000, let event = try await events.next() {
      if case .added(let trigger) = event { seen.insert(trigger.identifier) }
    }
    #expect(seen == Set(1...2000))
  }

  @Test("a cancelled request ends at once, and its late answer bothers nobody")
  func cancelledRequest() async throws {
    let late = Mutex<FrameHeader?>(nil)
    let agent = try FakeAgent(trigger: { header, request in
      if header.type == TriggerMessageType.add.rawValue {
        late.withLock { $0 = header }
        return []
      }
      return FakeAgent.trigger(header, request)
    })
    defer { agent.remove() }
    let database = try TriggerDatabase(runtimeDirectory: agent.directory)
    let task = Task { try await database.add(.addressChanged) }
    try await Self.until("the request goes out") { late.withLock { $0 } != nil }
    task.cancel()
    await #expect(throws: ClientError.cancelled) { try await task.value }
    agent.trigger.push(FakeAgent.answer("add-unreachable-ipv4-answer", to: late.withLock { $0! }))
    #expect(try await database.get(41).identifier == 41)

    let early = Task {
      unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
      return try await database.get(41)
    }
    await #expect(throws: ClientError.cancelled) { try await early.value }
    #expect(try await database.get(41).identifier == 41)
  }

  @Test("a cancelled wait for news ends at once", .timeLimit(.minutes(1)))
  func cancelledWait() async throws {
    let agent = try LiveAgent()
    defer { agent.remove() }
    let database = try TriggerDatabase(runtimeDirectory: agent.directory)
    for _ in 0..<50 {
      let (started, report) = AsyncStream.makeStream(of: Void.self)
      let task = Task {
        var count = 0
        for try await _ in database.notifications() {
          count += 1
          report.yield()
        }
        return count
      }
      for await _ in started { break }
      task.cancel()
      #expect(try await task.value == 1)
    }
    // Nothing of them is left but the database's own.
    try await Self.until("their connections are closed") { agent.counter("subscribers.connected") == 1 }
  }

  @Test("what is released is closed, also while somebody waits")
  func release() async throws {
    let agent = try LiveAgent()
    defer { agent.remove() }
    var database: TriggerDatabase? = try TriggerDatabase(runtimeDirectory: agent.directory)
    var notifications = database?.notifications().makeAsyncIterator()
    #expect(try await notifications?.next() == .inStep)
    try await Self.until("both are connected") { agent.counter("subscribers.connected") == 2 }
    weak let released = database
    database = nil
    #expect(released == nil)
    try await Self.until("the database is closed") { agent.counter("subscribers.connected") == 1 }
    agent.link(3, "up0")
    #expect(try await Self.word(notifications?.next()) == "added 1")
    notifications = nil
    try await Self.until("the notifications are closed") { agent.counter("subscribers.connected") == 0 }
  }

  @Test("an agent that is restarted: requests fail, then go on; differences are told")
  func restart() async throws {
    let agent = try LiveAgent()
    defer { agent.remove() }
    agent.link(3, "up0")
    agent.link(4, "up1")
    let database = try TriggerDatabase(runtimeDirectory: agent.directory)
    _ = try await database.add(.addressChanged, addresses: [IPPrefix("192.0.2.1")!])
    var events = database.notifications().makeAsyncIterator()
    #expect(try await Self.told(&events, 4) == ["exists 1", "exists 1", "exists 3 192.0.2.1", "in step"])
    agent.stop()
    #expect(try await Self.told(&events, 1) == ["disconnected"])
    await #expect(throws: ClientError.disconnected(path: agent.directory + "/trigger.sock")) {
      // The database's own socket ends a moment before or after.
      while true { _ = try await database.get(1) }
    }

    let next = try LiveAgent(directory: agent.directory)
    defer { next.stop() }
    next.link(4, "up1")
    next.link(5, "up2")
    // up1 has another id; up0 and the client's trigger are gone.
    var differences = try await Set(Self.told(&events, 1))
    while !differences.contains("in step") { differences.formUnion(try await Self.told(&events, 1)) }
    #expect(
      differences == ["added 1", "modified 1 renumbered", "deleted 1", "deleted 3 192.0.2.1", "in step"])
    var answer: MIF.Trigger?
    for _ in 0..<200 where answer == nil {
      answer = try? await database.get(1)
      if answer == nil { try await Task.sleep(for: .milliseconds(10)) }
    }
    #expect(answer?.origin?.source == .kernel)
  }

  @Test("nobody there; nobody there yet")
  func waiting() async throws {
    #expect(throws: ClientError.noAgent(path: "/nonexistent/trigger.sock")) {
      try TriggerDatabase(runtimeDirectory: "/nonexistent")
    }
    let agent = try LiveAgent()
    agent.stop()
    defer { agent.remove() }
    let database = try TriggerDatabase(runtimeDirectory: agent.directory, waitsForAgent: true)
    let first = Task {
      var events = database.notifications().makeAsyncIterator()
      return try await events.next()
    }
    await #expect(throws: ClientError.disconnected(path: agent.directory + "/trigger.sock")) {
      try await database.get(1)
    }
    let next = try LiveAgent(directory: agent.directory)
    defer { next.stop() }
    #expect(try await first.value == .inStep)
  }

  @Test("a quota of connections is told to whoever asks")
  func quota() async throws {
    var settings = Subscribers.Settings()
    settings.limit = 1
    let agent = try LiveAgent(settings: settings)
    defer { agent.remove() }
    let first = try TriggerDatabase(runtimeDirectory: agent.directory)
    let trigger = try await first.add(.addressChanged)
    let second = try TriggerDatabase(runtimeDirectory: agent.directory)
    for _ in 0..<20 {
      await #expect(throws: ClientError.tooManyConnections(path: agent.directory + "/trigger.sock")) {
        try await second.get(trigger.identifier)
      }
    }
    try await first.delete(trigger.identifier)
  }

  @Test("a filter is a view")
  func filter() async throws {
    let agent = try LiveAgent()
    defer { agent.remove() }
    let database = try TriggerDatabase(runtimeDirectory: agent.directory)
    let own = TriggerKind(rawValue: 200)
    _ = try await database.add(.connectionLost, addresses: [IPPrefix("192.0.2.1")!])
    _ = try await database.add(own, addresses: [IPPrefix("198.51.100.1")!])
    let first = try await database.add(own, addresses: [IPPrefix("192.0.2.2/24")!])
    let filter = Filter(kinds: [own, .connectionEstablished], prefix: IPPrefix("192.0.2.0/24")!)
    var events = database.notifications(matching: filter).makeAsyncIterator()
    #expect(try await Self.told(&events, 2) == ["exists 200 192.0.2.2", "in step"])
    _ = try await database.add(own)
    try await database.modify(first.identifier, .connectionLost)
    try await database.modify(first.identifier, own, addresses: [IPPrefix("192.0.2.3")!])
    try await database.modify(first.identifier, .connectionEstablished)
    #expect(try await Self.word(events.next()).hasPrefix("deleted"))
    #expect(try await Self.told(&events, 2) == ["added 200 192.0.2.3", "modified 4 192.0.2.3"])

    agent.link(3, "up0")
    agent.link(4, "up1")
    var ofInterface = database.notifications(matching: Filter(interface: 4)).makeAsyncIterator()
    #expect(try await Self.told(&ofInterface, 2).contains("in step"))
    let error = await #expect(throws: ClientError.self) {
      let kinds = Set((1...65).map { TriggerKind(rawValue: $0) })
      var events = database.notifications(matching: Filter(kinds: kinds)).makeAsyncIterator()
      _ = try await events.next()
    }
    guard case .tooMany? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test("who may not read is told so, once")
  func refused() async throws {
    let agent = try FakeAgent(trigger: { header, _ in [FakeAgent.refusal(1, to: header)] })
    defer { agent.remove() }
    let database = try TriggerDatabase(runtimeDirectory: agent.directory)
    var events = database.notifications().makeAsyncIterator()
    await #expect(throws: ClientError.refused(request: "REGISTER", .notPermitted)) { try await events.next() }
    #expect(try await events.next() == nil)
    await #expect(throws: ClientError.refused(request: "GET", .notPermitted)) { try await database.get(1) }
  }

  // Without a ring, and with a small one.
  @Test("a consumer that does not iterate holds nothing, and catches up by differences", arguments: [0, 4096])
  func backPressure(ringSize: Int) async throws {
    var settings = Subscribers.Settings()
    settings.queueLimit = 4096
    settings.sendBuffer = 4096
    settings.ringSize = ringSize
    let agent = try LiveAgent(settings: settings)
    defer { agent.remove() }
    let database = try TriggerDatabase(runtimeDirectory: agent.directory)
    let lasting = try await database.add(.addressChanged, addresses: [IPPrefix("192.0.2.1")!])
    var events = database.notifications().makeAsyncIterator()
    #expect(try await Self.told(&events, 2) == ["exists 3 192.0.2.1", "in step"])

    // It looks away while four thousand triggers come and go, and a few stay.
    for _ in 0..<40 {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for _ in 0..<50 {
          group.addTask {
            let trigger = try await database.add(.connectionLost)
            try await database.delete(trigger.identifier)
          }
        }
        try await group.waitForAll()
      }
    }
    try await database.delete(lasting.identifier)
    let last = try await database.add(.connectionEstablished)
    #expect(agent.counter(ringSize == 0 ? "subscribers.news-dropped" : "ring.records") > 1000)

    var known: Set<UInt32> = [lasting.identifier]
    var count = 0
    while known != [last.identifier] {
      count += 1
      switch try await events.next() {
      case .added(let trigger): #expect(known.insert(trigger.identifier).inserted)
      case .deleted(let trigger): #expect(known.remove(trigger.identifier) != nil)
      case .inStep: continue
      case let other:
        Issue.record("\(String(describing: other))")
        return
      }
    }
    #expect(count < 1000)
  }
}
