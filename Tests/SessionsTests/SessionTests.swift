import CLinux
import Glibc
import Messages
import Platform
import Sessions
import Subscribers
import Testing
import Wire

/// The client's side of the TDB against the agent's: whatever is lost or restarted, the news are one unbroken story.
@Suite struct SessionTests {
  let agent: Agent

  init() throws {
    agent = try Agent()
    try agent.start()
  }

  /// Reads what has come, as words.
  func told(_ session: inout TriggerSession) throws -> [String] {
    var words: [String] = []
    for _ in 0..<100 {
      try agent.run()
      guard let happening = try session.next() else {
        try agent.run()
        guard let late = try session.next() else { break }
        words.append(word(late))
        continue
      }
      words.append(word(happening))
    }
    return words
  }

  private func word(_ happening: TriggerHappening) -> String {
    func name(_ record: TriggerRecord) -> String {
      "\(record.type.rawValue) \(record.origin.map { String(decoding: $0.interfaceName.bytes, as: UTF8.self) } ?? "?")"
    }
    switch happening {
    case .answer(let message): return "answer \(message.header.sequence) errno \(message.header.error.rawValue)"
    case .refused(let error): return "refused \(error.rawValue)"
    case .news(.added(let record)): return "added \(name(record))"
    case .news(.modified(let record, let former)):
      return "modified \(name(record))" + (former == record.id ? "" : " renumbered")
    case .news(.deleted(let record)): return "deleted \(name(record))"
    case .news(.inStep): return "in step"
    case .news(.disconnected): return "disconnected"
    }
  }

  @Test func `what exists, then that this is all, then news`() throws {
    try agent.link(3, "up0")
    var session = try TriggerSession(path: agent.path)
    try session.register(TriggerInterest())
    #expect(try told(&session) == ["added 1 up0", "in step"])
    try agent.link(4, "up1")
    try agent.unlink(3)
    #expect(try told(&session) == ["added 1 up1", "deleted 1 up0", "added 2 up0"])
  }

  @Test func `answers come under their seq, in order and between the news`() throws {
    var session = try TriggerSession(path: agent.path)
    let seqs = [
      try session.submit(.add(TriggerType(rawValue: 9), [])), try session.submit(.get(1)), try session.submit(.get(99)),
      try session.submit(.modify(1, TriggerType(rawValue: 10), [])), try session.submit(.delete(1)),
    ]
    let expected = geteuid() == 0 ? [0, 0, 2, 0, 0] : [1, 2, 2, 1, 1]
    #expect(try told(&session) == zip(seqs, expected).map { "answer \($0) errno \($1)" })
  }

  @Test func `a restarted agent: only what changed meanwhile is told`() throws {
    try agent.link(3, "up0")
    try agent.link(4, "up1")
    var session = try TriggerSession(path: agent.path)
    try session.register(TriggerInterest())
    #expect(try told(&session) == ["added 1 up0", "added 1 up1", "in step"])
    agent.stop()
    #expect(try told(&session) == ["disconnected"])
    #expect(throws: TriggerFailure.notConnected) { _ = try session.submit(.get(1)) }
    try agent.start()
    // up1 is the first there now; up0 is gone and up2 is new.
    try agent.link(4, "up1")
    try agent.link(5, "up2")
    _ = try waitReadable(session.descriptor)
    #expect(try told(&session) == ["deleted 1 up0", "modified 1 up1 renumbered", "added 1 up2", "in step"])
    try agent.link(6, "up3")
    #expect(try told(&session) == ["added 1 up3"])
    // Nothing changed: nothing but that it is in step is told.
    agent.stop()
    #expect(try told(&session) == ["disconnected"])
    try agent.start()
    for (index, name) in [(4, "up1"), (5, "up2"), (6, "up3")] as [(UInt32, String)] { try agent.link(index, name) }
    _ = try waitReadable(session.descriptor)
    #expect(try told(&session) == ["in step"])
  }

  @Test(
    arguments: [
      [3, 4], [4, 3], [4, 5, 3], [5, 3, 4], [4, 3, 6, 5], [8, 7, 6, 5, 4, 3], [4, 5, 6, 7, 8, 3, 9], [9, 8, 3], [6],
    ] as [[UInt32]])
  func `a restarted agent that numbers otherwise: no id is ever of two triggers`(order: [UInt32]) throws {
    for index in 3...8 as ClosedRange<UInt32> { try agent.link(index, "up\(index)") }
    var session = try TriggerSession(path: agent.path)
    try session.register(TriggerInterest())
    var known: [UInt32: UInt32] = [:]
    func read() throws {
      while true {
        try agent.run()
        guard let happening = try session.next(), case .news(let news) = happening else { return }
        switch news {
        case .added(let record):
          #expect(known[record.id] == nil)
          known[record.id] = record.origin?.interface
        case .modified(let record, let former):
          #expect(known.removeValue(forKey: former) == record.origin?.interface)
          #expect(known[record.id] == nil)
          known[record.id] = record.origin?.interface
        case .deleted(let record):
          #expect(known.removeValue(forKey: record.id) == record.origin?.interface)
        case .inStep, .disconnected: break
        }
      }
    }
    for _ in 0..<10 { try read() }
    #expect(known.values.sorted() == Array(3...8))
    agent.stop()
    #expect(try told(&session) == ["disconnected"])
    try agent.start()
    for index in order { try agent.link(index, "up\(index)") }
    _ = try waitReadable(session.descriptor)
    for _ in 0..<10 { try read() }
    #expect(known.values.sorted() == order.sorted())
  }

  @Test func `an agent that is not there yet`() throws {
    agent.stop()
    #expect(throws: SystemFailure.self) { _ = try TriggerSession(path: agent.path) }
    var session = try TriggerSession(path: agent.path, waitsForAgent: true)
    try session.register(TriggerInterest())
    #expect(try told(&session) == [])
    try agent.start()
    try agent.link(3, "up0")
    _ = try waitReadable(session.descriptor)
    #expect(try told(&session) == ["added 1 up0", "in step"])
  }

  // Without a ring, and with a small one.
  @Test(arguments: [0, 4096]) func `news that were lost come as differences`(_ ringSize: Int) throws {
    var settings = Subscribers.Settings()
    settings.sendBuffer = 4096
    settings.queueLimit = 4096
    settings.ringSize = ringSize
    let agent = try Agent(settings)
    try agent.start()
    for index in 1...20 as ClosedRange<UInt32> { try agent.link(index, "if\(index)") }
    var session = try TriggerSession(path: agent.path)
    try session.register(TriggerInterest())
    var known: Set<String> = []
    var steps = 0
    func read() throws {
      for _ in 0..<100_000 {
        guard let happening = try session.next() else { return }
        switch happening {
        case .news(.added(let record)):
          if record.type == .interfaceAdded {
            #expect(known.insert(String(decoding: record.origin!.interfaceName.bytes, as: UTF8.self)).inserted)
          }
        case .news(.deleted(let record)):
          if record.type == .interfaceAdded {
            #expect(known.remove(String(decoding: record.origin!.interfaceName.bytes, as: UTF8.self)) != nil)
          }
        case .news(.inStep): steps += 1
        default: break
        }
      }
    }
    for _ in 0..<20 {
      try agent.run()
      try read()
    }
    #expect(known.count == 20 && steps == 1)
    // It sleeps through far more than its queue holds.
    for round in 0..<50 as Range<UInt32> {
      for index in 1...20 as ClosedRange<UInt32> {
        try agent.unlink(100 * round + index)
        try agent.link(100 * (round + 1) + index, "if\(round)-\(index)")
      }
    }
    for _ in 0..<200 {
      try agent.run()
      try read()
    }
    #expect(known == Set((1...20).map { "if49-\($0)" }))
    #expect(steps >= 2)
  }

  @Test func `a second REGISTER replaces the filter: what it keeps back is deleted`() throws {
    try agent.link(3, "up0")
    try agent.link(4, "up1")
    var session = try TriggerSession(path: agent.path)
    try session.register(TriggerInterest())
    #expect(try told(&session) == ["added 1 up0", "added 1 up1", "in step"])
    try session.register(TriggerInterest(filter: TriggerFilter(interface: 4)))
    #expect(try told(&session) == ["deleted 1 up0", "in step"])
    try session.register(TriggerInterest(filter: TriggerFilter(types: [.interfaceAdded], interface: 3)))
    #expect(try told(&session) == ["added 1 up0", "deleted 1 up1", "in step"])
  }

  @Test func `a refused REGISTER`() async {
    await #expect(processExitsWith: .success) {
      guard geteuid() == 0 else { return }
      var settings = Subscribers.Settings()
      settings.triggerReaders = []
      let agent = try Agent(settings)
      try agent.start()
      var directory = agent.path.dropLast("/trigger.sock".utf8.count).map { CChar(bitPattern: $0) }
      directory.append(0)
      _ = unsafe chmod(directory, 0o755)
      _ = seteuid(1000)
      var session = try TriggerSession(path: agent.path)
      _ = seteuid(0)
      try session.register(TriggerInterest())
      try agent.run()
      guard case .refused(.notPermitted)? = try session.next() else { exit(1) }
    }
  }

  @Test func `more addresses than there may be are refused here`() throws {
    var session = try TriggerSession(path: agent.path)
    let address = TriggerAddress(.v4(IPv4Address(1)), prefixLength: 32)
    _ = try session.submit(.add(.addressChanged, Array(repeating: address, count: 16)))
    #expect(throws: TriggerFailure.tooMany) {
      _ = try session.submit(.add(.addressChanged, Array(repeating: address, count: 17)))
    }
    let types = (0..<65).map { TriggerType(rawValue: $0) }
    #expect(throws: TriggerFailure.tooMany) {
      try session.register(TriggerInterest(filter: TriggerFilter(types: types)))
    }
  }

  @Test func `the descriptor is readable only while there is something`() throws {
    var session = try TriggerSession(path: agent.path)
    try session.register(TriggerInterest())
    #expect(try told(&session) == ["in step"])
    #expect(try !waitReadable(session.descriptor, milliseconds: 20))
    try agent.link(3, "up0")
    #expect(try waitReadable(session.descriptor))
    #expect(try told(&session) == ["added 1 up0"])
    #expect(try !waitReadable(session.descriptor, milliseconds: 20))
  }

  func waitReadable(_ descriptor: Int32, milliseconds: Int32 = 2000) throws -> Bool {
    var question = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return unsafe poll(&question, 1, milliseconds) > 0
  }
}
