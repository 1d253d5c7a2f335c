import Messages
import Platform
import Provisioning
import Subscribers
import Testing
import Wire

/// docs/protocol.md, "Extensions", REPLAY: nothing is missed and nothing doubled between snapshot and stream.
@Suite struct ReplayTests {
  let server: Server
  let writer: Client

  init() throws {
    server = try Server()
    writer = try server.triggerClient()
  }

  private func fill(_ count: Int) throws { try fill(count, server, writer) }

  private func fill(_ count: Int, _ server: Server, _ writer: Client) throws {
    for start in stride(from: 1, through: count, by: 50) {
      for number in start..<min(start + 50, count + 1) { writer.send(TDB.add(UInt32(number))) }
      try server.run()
      _ = writer.receiveAll()
    }
  }

  @Test func `every trigger, then the mark`() throws {
    try fill(3)
    let client = try server.triggerClient()
    let messages = try client.ask(server, TDB.register(TDB.replay | TDB.cause, 8), TDB.get(1, 9))
    #expect(messages.map { $0.type } == [.register, .notify, .notify, .notify, .notify, .get])
    #expect(messages.map { $0.header.sequence } == [8, 1, 2, 3, 4, 9])
    #expect(messages.map { $0.header.pid } == [4711, 0, 0, 0, 0, 4711])
    #expect(messages.map { $0.header.flags } == [3, 1, 1, 1, 0, 0])
    #expect(messages.map { $0.trigger?.identifier } == [nil, 1, 2, 3, nil, 1])
    let news = try client.ask(server, TDB.add())
    #expect(news.last?.header.sequence == 5)
  }

  @Test func `an empty database has its mark too`() throws {
    let client = try server.triggerClient()
    let messages = try client.ask(server, TDB.register(TDB.replay))
    #expect(messages.count == 2 && messages.last?.isReplayEnd == true && messages.last?.header.sequence == 1)
  }

  @Test func `goes on as the socket takes it, and keeps nobody waiting`() throws {
    try fill(5000)
    let slow = try server.triggerClient()
    slow.send(TDB.register(TDB.replay))
    try server.run()
    // It stands; others are served.
    #expect(try writer.ask(server, TDB.get(5000)).first?.header.error == .some(.none))
    var replayed: [UInt32] = []
    var turns = 0
    while turns < 1000 {
      let messages = try slow.triggerMessages()
      if messages.isEmpty { break }
      #expect(messages.count < 2000, "no more than the socket's buffer holds")
      replayed += messages.compactMap { $0.trigger?.identifier }
      turns += 1
      try server.run()
      if messages.last?.isReplayEnd == true { break }
    }
    #expect(replayed == (1...5000).map { $0 })
    #expect(turns > 3)
  }

  @Test func `a subscriber that reads as fast as it is told keeps nobody waiting either`() throws {
    var settings = Subscribers.Settings()
    settings.sendBuffer = 4 << 20
    let server = try Server(settings)
    try fill(5000, server, try server.triggerClient())
    let greedy = try server.triggerClient()
    let other = try server.triggerClient()
    try server.run()
    greedy.send(TDB.register(TDB.replay))
    try server.turn()
    other.send(TDB.get(1))
    try server.turn()
    #expect(try other.triggerMessages().count == 1, "answered in the next turn")
    let told = try greedy.triggerMessages()
    #expect(told.count < 2000, "a replay goes in bites")
    let rest = try readAll(greedy, server)
    #expect((told + rest).compactMap { $0.trigger?.identifier } == (1...5000).map { $0 })
    #expect(rest.last?.isReplayEnd == true)
  }

  @Test func `REGISTER again begins anew`() throws {
    try fill(2000)
    let client = try server.triggerClient()
    client.send(TDB.register(TDB.replay, 1))
    client.send(TDB.register(TDB.replay, 2))
    let messages = try readAll(client, server)
    let second = try #require(messages.firstIndex { $0.type == .register && $0.header.sequence == 2 })
    #expect(messages[second...].compactMap { $0.trigger?.identifier } == (1...2000).map { $0 })
    #expect(messages.last?.isReplayEnd == true)
    let news = messages.filter { $0.type == .notify }
    #expect(news.map { $0.header.sequence } == (1...UInt32(news.count)).map { $0 })
  }

  @Test func `REGISTER without REPLAY ends a replay, and everything is news`() throws {
    try fill(2000)
    let client = try server.triggerClient()
    client.send(TDB.register(TDB.replay, 1))
    client.send(TDB.register(TDB.cause, 2))
    client.send(TDB.delete(2000, 3))
    let messages = try readAll(client, server)
    let second = try #require(messages.firstIndex { $0.type == .register && $0.header.sequence == 2 })
    let rest = messages[second...].dropFirst()
    #expect(rest.map { $0.type } == [.delete, .notify])
    #expect(rest.last?.cause == .delete && rest.last?.trigger?.identifier == 2000)
  }

  /// Reads until the loop has nothing more to say.
  private func readAll(_ client: Client, _ server: Server) throws -> [TriggerMessage] {
    var all: [TriggerMessage] = []
    for _ in 0..<1000 {
      try server.run()
      let messages = try client.triggerMessages()
      if messages.isEmpty { break }
      all += messages
    }
    return all
  }

  /// What a subscriber makes of what it is told.
  private struct Model {
    var triggers: [UInt32: TriggerType] = [:]
    var last: UInt32 = 0
    var isReplayed = false

    mutating func take(_ message: TriggerMessage) {
      guard message.type == .notify else { return }
      #expect(message.header.sequence == last + 1, "no gap")
      last = message.header.sequence
      guard let trigger = message.trigger else {
        isReplayed = true
        return
      }
      switch message.cause {
      case .add:
        #expect(triggers[trigger.identifier] == nil, "told twice")
        triggers[trigger.identifier] = trigger.type
      case .modify:
        #expect(triggers[trigger.identifier] != nil, "a change of what it was not told")
        triggers[trigger.identifier] = trigger.type
      case .delete:
        #expect(triggers[trigger.identifier] != nil, "the end of what it was not told")
        triggers[trigger.identifier] = nil
      default: Issue.record("no cause")
      }
    }
  }

  @Test(arguments: 1...12) func `what is changed while a replay stands is told once`(_ seed: UInt64) throws {
    var random = Generator(state: seed)
    try fill(1500)
    var known = (1...1500).map { UInt32($0) }
    var highest: UInt32 = 1500
    let client = try server.triggerClient()
    client.send(TDB.register(TDB.replay | TDB.cause))
    try server.run()
    var model = Model()
    for _ in 0..<200 {
      // Some changes, a few messages read, so that the cursor creeps; what it stands on is deleted often.
      for _ in 0..<Int(random.next() % 6) {
        switch random.next() % 4 {
        case 0:
          highest += 1
          known.append(highest)
          writer.send(TDB.add(type: 7))
        case 1 where !known.isEmpty:
          writer.send(TDB.modify(known[Int(random.next() % UInt64(known.count))], type: UInt16(8 + random.next() % 9)))
        case 2 where !known.isEmpty:
          writer.send(TDB.delete(known.remove(at: Int(random.next() % UInt64(known.count)))))
        default:
          // Around the cursor: what was told last, and what comes next.
          let near = model.triggers.keys.max() ?? 1
          for id in near..<near + 3 {
            if let place = known.firstIndex(of: id) { writer.send(TDB.delete(known.remove(at: place))) }
          }
        }
      }
      try server.run()
      _ = writer.receiveAll()
      for _ in 0..<Int(random.next() % 40) {
        guard let message = client.receive() else { break }
        model.take(try TriggerMessage(unsafe message.span.bytes))
      }
      try server.run()
    }
    for message in try readAll(client, server) { model.take(message) }
    #expect(model.isReplayed)
    #expect(model.triggers.count == known.count)
    for id in known { #expect(model.triggers[id] == server.state.triggers[id]?.type) }
  }

  @Test func `what a subscriber lost, a replay brings back`() throws {
    var settings = Subscribers.Settings()
    settings.queueLimit = 4096
    let server = try Server(settings)
    let client = try server.triggerClient()
    _ = try client.ask(server, TDB.register(TDB.cause))
    for number in 0..<2000 {
      try server.happen { state, moment in
        _ = try? state.addTrigger(
          TriggerType(rawValue: UInt16(100 + number)), addresses: Trigger.Addresses(), user: 0, at: moment)
      }
    }
    #expect(server.counter("subscribers.news-dropped") > 0)
    client.send(TDB.register(TDB.cause | TDB.replay, 2))
    var all: [TriggerMessage] = []
    while all.last?.isReplayEnd != true, all.count < 10_000 {
      try server.run()
      all += try client.triggerMessages()
    }
    let second = try #require(all.firstIndex { $0.type == .register })
    #expect(all[..<second].count < 1999)
    #expect(all[second...].compactMap { $0.trigger?.identifier } == (1...2000).map { $0 })
  }
}

/// xorshift64*: the same numbers for the same seed everywhere.
struct Generator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    return (state &* 2_685_821_657_736_338_717) >> 16
  }
}
