import BroadcastRing
import Glibc
import Messages
import Platform
import Provisioning
import Subscribers
import Testing
import Wire

/// docs/protocol.md, "Ring".
@Suite struct RingTests {
  let server: Server
  let writer: Client

  init() throws {
    server = try Server()
    writer = try server.triggerClient()
  }

  private func add(_ type: UInt16, addresses: [UInt8] = []) throws {
    _ = try writer.ask(server, TDB.add(type: type, addresses: addresses))
  }

  @Test func `the answer brings three descriptors, and news are on the ring alone`() throws {
    let listener = try RingListener(server, TDB.ring)
    #expect(listener.answer.header.flags == TDB.ring)
    #expect(listener.answer.ring?.position == 1)
    try add(7, addresses: TDB.address(192, 0, 2, 1))
    try server.run()
    let news = try listener.records()
    #expect(news.map { $0.cause } == [.add])
    #expect(news.map { $0.trigger?.type.rawValue } == [7])
    #expect(news.map { $0.header.sequence } == [1])
    #expect(news[0].header.pid == UInt32(bitPattern: getpid()))
    #expect(news[0].origin?.source == .client && news[0].addresses.count == 1)
    #expect(try listener.client.triggerMessages().isEmpty)
    #expect(server.counter("ring.records") == 1)
  }

  @Test func `a change is on the ring once, and on each socket`() throws {
    let listeners = try (0..<3).map { _ in try RingListener(server, TDB.ring) }
    let plain = try server.triggerClient()
    _ = try plain.ask(server, TDB.register())
    try add(7)
    _ = try writer.ask(server, TDB.modify(1, type: 8), TDB.delete(1))
    #expect(server.counter("ring.records") == 3)
    for listener in listeners {
      let news = try listener.records()
      #expect(news.map { $0.cause } == [.add, .modify, .delete])
      #expect(news.map { $0.header.sequence } == [1, 2, 3])
      #expect(news.last?.origin?.reason == .deleted)
    }
    #expect(try plain.triggerMessages().map { $0.header.flags } == [0, 0, 0], "as the bare draft has it")
  }

  @Test func `a trigger with all its addresses takes three places`() throws {
    let listener = try RingListener(server, TDB.ring)
    let addresses = (1...16).flatMap { TDB.address6($0) }
    try add(7, addresses: addresses)
    try add(8)
    let news = try listener.records()
    #expect(news.map { $0.header.sequence } == [1, 4])
    #expect(news[0].addresses.count == 16)
  }

  @Test func `who lies down is woken once`() throws {
    let listener = try RingListener(server, TDB.ring)
    #expect(listener.lieDown())
    try add(7)
    #expect(try listener.isRinging())
    try add(8)
    #expect(server.counter("ring.wakes") == 1)
    listener.rise()
    #expect(try !listener.isRinging())
    #expect(try listener.records().count == 2)
    #expect(listener.lieDown())
    // What others are told wakes nobody.
    _ = try writer.ask(server, TDB.get(1))
    #expect(try !listener.isRinging())
    #expect(server.counter("ring.wakes") == 1)
  }

  @Test func `a replay stays on the socket, and its mark says where the ring goes on`() throws {
    try add(7)
    try add(8)
    let first = try RingListener(server, TDB.ring)
    try add(9)
    let listener = try RingListener(server, TDB.ring | TDB.replay | TDB.cause | TDB.origin)
    let told = try listener.client.triggerMessages()
    #expect(told.map { $0.trigger?.type.rawValue } == [7, 8, 9, nil])
    #expect(told.map { $0.header.sequence } == [1, 2, 3, 4])
    let mark = try #require(told.last)
    #expect(mark.isReplayEnd && mark.header.flags == 0 && mark.ring?.position == 2)
    listener.reader.move(to: 2)
    try add(10)
    #expect(try listener.records().map { $0.trigger?.type.rawValue } == [10])
    #expect(try first.records().map { $0.trigger?.type.rawValue } == [9, 10])
  }

  @Test(arguments: 1...4) func `what changes while a replay stands is told once, here or there`(_ seed: UInt64) throws {
    var random = Generator(state: seed)
    var known: [UInt32] = []
    for number in 1...1500 as ClosedRange<UInt32> {
      writer.send(TDB.add())
      known.append(number)
      if number % 50 == 0 {
        try server.run()
        _ = writer.receiveAll()
      }
    }
    // So that there is a ring whose position counts.
    let other = try RingListener(server, TDB.ring)
    let listener = try RingListener(server, TDB.ring | TDB.replay | TDB.cause)
    var model: [UInt32: UInt16] = [:]
    func apply(_ message: TriggerMessage) {
      guard let trigger = message.trigger else { return }
      switch message.cause {
      case .add: #expect(model.updateValue(trigger.type.rawValue, forKey: trigger.identifier) == nil, "told twice")
      case .modify: #expect(model.updateValue(trigger.type.rawValue, forKey: trigger.identifier) != nil)
      case .delete: #expect(model.removeValue(forKey: trigger.identifier) != nil)
      default: Issue.record("no cause")
      }
    }
    var isOnRing = false
    for _ in 0..<10_000 {
      for _ in 0..<2 {
        let place = Int(random.next() % UInt64(known.count))
        if random.next() % 2 == 0 {
          writer.send(TDB.modify(known[place], type: UInt16(8 + random.next() % 9)))
        } else {
          writer.send(TDB.delete(known.remove(at: place)))
        }
      }
      try server.run()
      _ = writer.receiveAll()
      for _ in 0..<30 {
        guard let bytes = listener.client.receive() else { break }
        let message = try TriggerMessage(unsafe bytes.span.bytes)
        apply(message)
        if let place = message.ring, message.isReplayEnd {
          listener.reader.move(to: place.position)
          isOnRing = true
        }
      }
      if isOnRing {
        for message in try listener.records() { apply(message) }
        #expect(listener.client.receive() == nil, "nothing comes on both")
        break
      }
    }
    #expect(isOnRing)
    #expect(model.count == known.count)
    for id in known { #expect(model[id] == server.state.triggers[id]?.type.rawValue) }
    #expect(try !other.records().isEmpty)
  }

  @Test func `REGISTER again keeps the seat, or gives the socket back its news`() throws {
    let listener = try RingListener(server, TDB.ring)
    try add(7)
    listener.client.send(TDB.register(TDB.ring | TDB.cause, 2))
    try server.run()
    let (again, passed) = try listener.client.receiveWithDescriptors()
    #expect(again.header.flags == TDB.ring | TDB.cause && passed.isEmpty)
    #expect(again.ring?.position == 2 && again.ring?.offset == listener.answer.ring?.offset)
    _ = try listener.client.ask(server, TDB.register(TDB.cause, 3))
    try add(8)
    #expect(try listener.records().map { $0.trigger?.type.rawValue } == [7])
    #expect(try listener.client.triggerMessages().map { $0.trigger?.type.rawValue } == [8])
    _ = try listener.client.ask(server, TDB.register(TDB.ring, 4))
    try add(9)
    #expect(try listener.records().map { $0.trigger?.type.rawValue } == [9])
  }

  @Test func `who asks for a FILTER is told on the socket`() throws {
    let client = try server.triggerClient()
    client.send(TDB.register(TDB.ring | TDB.filtered | TDB.cause, TDB.filter([7])))
    try server.run()
    let (answer, passed) = try client.receiveWithDescriptors()
    #expect(answer.header.flags == TDB.filtered | TDB.cause && answer.ring == nil && passed.isEmpty)
    try add(7)
    try add(8)
    #expect(try client.triggerMessages().map { $0.trigger?.type.rawValue } == [7])
    #expect(server.counter("ring.refused") == 1 && server.counter("ring.records") == 0)
  }

  @Test func `who may read only some is told on the socket`() async {
    await #expect(processExitsWith: .success) {
      guard geteuid() == 0 else { return }
      var settings = Subscribers.Settings()
      settings.triggerReaders = [AccessRule(.anybody, TriggerTypes([7...7]))]
      let server = try Server(settings)
      let client = try AccessTests.connect(server, 1000, 100, [])
      client.send(TDB.register(TDB.ring | TDB.origin))
      try server.run()
      let (answer, passed) = try client.receiveWithDescriptors()
      guard answer.header.flags == TDB.origin, answer.header.error == .none, passed.isEmpty else { exit(1) }
    }
  }

  @Test func `a subscriber whose queue waits is told on the socket`() throws {
    var settings = Subscribers.Settings()
    settings.sendBuffer = 4096
    let server = try Server(settings)
    let client = try server.triggerClient()
    _ = try client.ask(server, TDB.register(0))
    for number in 0..<100 {
      try server.happen { state, moment in
        _ = try? state.addTrigger(
          TriggerType(rawValue: UInt16(100 + number)), addresses: Trigger.Addresses(), user: 0, at: moment)
      }
    }
    client.send(TDB.register(TDB.ring, 2))
    try server.run()
    var all: [TriggerMessage] = []
    for _ in 0..<100 where all.last?.type != .register {
      all += try client.triggerMessages()
      try server.run()
    }
    #expect(all.last?.header.flags == 0 && all.last?.ring == nil)
  }

  @Test func `the ring is there as long as somebody sits at it`() throws {
    var listener: RingListener? = try RingListener(server, TDB.ring)
    try add(7)
    #expect(server.counter("ring.records") == 1)
    _ = listener?.client
    listener = nil
    try server.run(untilConnected: 1)
    try add(8)
    #expect(server.counter("ring.records") == 1, "nobody reads")
    let next = try RingListener(server, TDB.ring)
    #expect(next.answer.ring?.position == 1, "a new one")
    #expect(next.lieDown())
    try add(9)
    #expect(try next.isRinging())
    #expect(try next.records().map { $0.trigger?.type.rawValue } == [9])
  }

  @Test func `a listener that never reads keeps nobody waiting`() throws {
    var settings = Subscribers.Settings()
    settings.ringSize = 4096
    let server = try Server(settings)
    let slow = try RingListener(server, TDB.ring)
    let quick = try RingListener(server, TDB.ring)
    let writer = try server.triggerClient()
    for number in 0..<100 as Range<UInt32> {
      _ = try writer.ask(server, TDB.add(number))
      #expect(try quick.records().map { $0.trigger?.identifier } == [number + 1])
    }
    #expect(throws: RingListener.Lapped.self) { _ = try slow.records() }
  }
}

/// A subscriber that was granted RING.
final class RingListener {
  struct Lapped: Error {}

  let client: Client
  let answer: TriggerMessage
  var reader: RingReader
  private var sleep: RingSleep

  init(_ server: Server, _ extensions: UInt8) throws {
    client = try server.triggerClient()
    client.send(TDB.register(extensions))
    try server.run()
    let passed: [PassedDescriptor]
    (answer, passed) = try client.receiveWithDescriptors()
    try #require(answer.type == .register && passed.count == 3)
    let place = try #require(answer.ring)
    reader = try RingReader(passed[0].descriptor, from: place.position)
    sleep = try RingSleep(
      page: passed[1].descriptor, offset: Int(place.offset),
      bell: .duplicate(of: passed[2].descriptor.number))
  }

  func lieDown() -> Bool { sleep.lieDown(reader) }
  func rise() { sleep.rise() }
  func isRinging() throws -> Bool { try sleep.bell.wait(for: .read, milliseconds: 0) }

  /// What is on the ring now.
  func records() throws -> [TriggerMessage] {
    var messages: [TriggerMessage] = []
    var buffer = [UInt8](repeating: 0, count: RingLayout.longestRecord)
    while true {
      var span = buffer.mutableSpan
      var bytes = unsafe span.mutableBytes
      switch reader.read(into: &bytes) {
      case .record(let length):
        let message = Array(buffer.prefix(length))
        messages.append(try TriggerMessage(unsafe message.span.bytes))
      case .nothing: return messages
      case .lapped: throw Lapped()
      }
    }
  }
}
