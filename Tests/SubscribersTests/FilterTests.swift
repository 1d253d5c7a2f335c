import Messages
import Platform
import Provisioning
import Subscribers
import Testing
import Wire

/// FILTER, docs/protocol.md, "Extensions": a view of the database.
@Suite struct FilterTests {
  let server: Server
  let writer: Client
  let reader: Client

  init() throws {
    server = try Server()
    writer = try server.triggerClient()
    reader = try server.triggerClient()
  }

  /// Cause and trigger id of what the reader was told.
  private func told() throws -> [String] {
    try reader.triggerMessages().filter { $0.type == .notify }.map { message in
      message.trigger.map { "\(message.cause!) \($0.identifier)" } ?? "end"
    }
  }

  @Test func `the answer repeats the filter and grants it`() throws {
    let request = TDB.register(0x17, TDB.filter([6], interface: 3, in: (192, 168, 16)), 9)
    reader.send(request)
    try server.run()
    #expect(reader.receiveAll().first == request)
  }

  @Test(
    arguments: [
      ("by type", TDB.filter([7]), [1, 2]),
      ("by several types", TDB.filter([7, 9]), [1, 2, 4]),
      ("by a prefix", TDB.filter(in: (192, 168, 16)), [2, 3, 4]),
      ("by type and prefix", TDB.filter([7], in: (192, 168, 16)), [2]),
      ("by one address", TDB.filter([8], in: (192, 168, 32)), [3]),
      ("by an interface: nothing of clients is known to be there", TDB.filter(interface: 3), []),
      ("by nothing: everything", TDB.filter(), [1, 2, 3, 4]),
      ("by any IPv4 address", TDB.filter(in: (0, 0, 0)), [2, 3, 4]),
    ] as [(String, [UInt8], [Int])])
  func `replay and news are what matches`(_ name: String, _ filter: [UInt8], _ ids: [Int]) throws {
    func add() -> [[UInt8]] {
      [
        TDB.add(type: 7), TDB.add(type: 7, addresses: TDB.address(192, 168, 1, 1)),
        TDB.add(type: 8, addresses: TDB.address(10, 0, 0, 1) + TDB.address(192, 168, 0, 0)),
        TDB.add(type: 9, addresses: TDB.address(192, 168, 0, 0, prefix: 24)),
      ]
    }
    for message in add() { _ = try writer.ask(server, message) }
    _ = reader.send(TDB.register(TDB.cause | TDB.replay | TDB.filtered, filter))
    try server.run()
    #expect(try told() == ids.map { "add \($0)" } + ["end"])
    for message in add() { _ = try writer.ask(server, message) }
    for id in 1...8 { _ = try writer.ask(server, TDB.delete(UInt32(id))) }
    #expect(
      try told() == ids.map { "add \($0 + 4)" } + ids.map { "delete \($0)" } + ids.map { "delete \($0 + 4)" })
  }

  @Test func `by the interface`() throws {
    for (index, name) in [(3, "up0"), (4, "up1")] as [(UInt32, String)] {
      try server.apply(.link(Link(index: index, name: InterfaceName(name.utf8), isUp: true, hasCarrier: true)))
    }
    _ = reader.send(TDB.register(TDB.cause | TDB.replay | TDB.filtered, TDB.filter(interface: 4)))
    try server.run()
    #expect(try told() == ["add 2", "end"])
    try server.apply(.linkRemoved(index: 3), .linkRemoved(index: 4))
    #expect(try told() == ["delete 2", "add 4"])
  }

  @Test func `a MODIFY that enters the view is an addition, one that leaves it a deletion`() throws {
    _ = try writer.ask(server, TDB.add(type: 7, addresses: TDB.address(10, 0, 0, 1)))
    _ = reader.send(TDB.register(TDB.cause | TDB.origin | TDB.filtered, TDB.filter([8], in: (10, 0, 8))))
    try server.run()
    #expect(try told() == [])
    _ = try writer.ask(server, TDB.modify(1, type: 8))
    _ = try writer.ask(server, TDB.modify(1, type: 8))
    #expect(try told() == ["add 1", "modify 1"])
    _ = try writer.ask(server, TDB.modify(1, type: 8, addresses: TDB.address(11, 0, 0, 1)))
    let left = try #require(reader.triggerMessages().first)
    #expect(left.cause == .delete && left.origin?.reason == .unmatched, "as it was told")
    #expect(left.addresses[0].address == .v4(IPv4Address(0x0A00_0001)))
    _ = try writer.ask(server, TDB.modify(1, type: 8, addresses: TDB.address(10, 9, 9, 9)), TDB.delete(1))
    #expect(try told() == ["add 1", "delete 1"])
    // Who asked for everything is told what happened.
    let all = try server.triggerClient()
    _ = try all.ask(server, TDB.register(TDB.cause))
    _ = try writer.ask(server, TDB.add(type: 7), TDB.modify(2, type: 8), TDB.modify(2, type: 9))
    #expect(try all.triggerMessages().map { $0.cause } == [.add, .modify, .modify])
  }

  @Test func `a second REGISTER without the bit hears everything again`() throws {
    _ = try reader.ask(server, TDB.register(TDB.cause | TDB.filtered, TDB.filter([9])), TDB.register(TDB.cause))
    _ = try writer.ask(server, TDB.add(type: 7))
    #expect(try told() == ["add 1"])
  }

  /// Whatever clients do, and whenever the socket is full, whoever applies what it was told has the view.
  @Test(arguments: 0..<8) func `replay and news together are the view`(_ seed: UInt64) throws {
    var settings = Subscribers.Settings()
    settings.sendBuffer = 4096
    settings.queueLimit = 1 << 20
    let server = try Server(settings)
    let (writer, reader) = (try server.triggerClient(), try server.triggerClient())
    var state = seed &+ 0x9E37_79B9_7F4A_7C15
    func random(_ bound: UInt64) -> UInt64 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return state % bound
    }
    func address() -> [UInt8] { TDB.address(10, UInt8(random(2)), 0, 0) }
    // By one address it is the index that is walked.
    let filter =
      [TDB.filter([7]), TDB.filter([7], in: (10, 1, 32)), TDB.filter([7, 8], in: (10, 0, 16)), TDB.filter()][
        Int(seed % 4)]
    var known: [UInt32: [TriggerAddress]] = [:]
    var isComplete = false
    func read() throws {
      for message in try reader.triggerMessages() where message.type == .notify {
        guard let trigger = message.trigger else {
          isComplete = true
          continue
        }
        let addresses = (0..<message.addresses.count).map { message.addresses[$0] }
        switch message.cause {
        case .add: #expect(known.updateValue(addresses, forKey: trigger.identifier) == nil, "told twice")
        case .modify: #expect(known.updateValue(addresses, forKey: trigger.identifier) != nil, "not told before")
        default: #expect(known.removeValue(forKey: trigger.identifier) != nil, "not told before")
        }
      }
    }
    for step in 0..<600 {
      if step == 300 { reader.send(TDB.register(TDB.cause | TDB.replay | TDB.origin | TDB.filtered, filter)) }
      let id = UInt32(random(200)) + 1
      switch random(4) {
      case 0, 1:
        writer.send(TDB.add(type: UInt16(7 + random(2)), addresses: address() + (random(2) == 0 ? address() : [])))
      case 2: writer.send(TDB.modify(id, type: UInt16(7 + random(2)), addresses: random(2) == 0 ? address() : []))
      default: writer.send(TDB.delete(id))
      }
      try server.turn()
      _ = writer.receiveAll()
      if random(40) == 0 { try read() }
    }
    for _ in 0..<100 {
      try server.run()
      _ = writer.receiveAll()
      try read()
    }
    #expect(isComplete)
    let decoded = try TriggerRequest(unsafe TDB.register(TDB.filtered, filter).span.bytes)
    guard case .register(_, let view?) = decoded else { return }
    var expected: [UInt32: [TriggerAddress]] = [:]
    for id in 1...1000 as ClosedRange<UInt32> {
      guard let trigger = server.state.triggers[id] else { continue }
      if view.matches(trigger.type, interface: 0, addresses: trigger.addresses) {
        expected[id] = Array(trigger.addresses)
      }
    }
    #expect(!expected.isEmpty && known == expected)
  }
}
