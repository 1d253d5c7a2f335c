import Messages
import Testing
import Wire

@testable import Provisioning

/// What clients do to the TDB (docs/protocol.md), and the replay.
@Suite struct TriggerDatabaseTests {
  private let addresses = Trigger.Addresses(TriggerAddress(v4(10), prefixLength: 24))

  private func refusal(_ body: () throws(TriggerRefusal) -> Void) -> TriggerRefusal? {
    do throws(TriggerRefusal) {
      try body()
      return nil
    } catch {
      return error
    }
  }

  @Test func `Ids count up from 1 and do not come back`() throws {
    let host = Host()
    for id in 1...10 as ClosedRange<UInt32> {
      let trigger = try host.state.addTrigger(.addressChanged, addresses: addresses, user: 5, at: host.moment)
      #expect(trigger.id == id)
      #expect(trigger.origin.source == .client)
      _ = try host.state.deleteTrigger(id, user: 5, at: host.moment)
    }
    #expect(host.told().count == 20)
    #expect(host.state.triggers.count == 0)
  }

  struct Access: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let owner: UInt32
    let user: UInt32
    let refusal: TriggerRefusal?
  }

  @Test(arguments: [
    Access(testDescription: "the owner", owner: 5, user: 5, refusal: nil),
    Access(testDescription: "root", owner: 5, user: 0, refusal: nil),
    Access(testDescription: "another user", owner: 5, user: 6, refusal: .notOwner),
    Access(testDescription: "another user, of root's", owner: 0, user: 6, refusal: .notOwner),
  ])
  func `A trigger is changed and deleted by whoever added it, or root`(_ access: Access) throws {
    let host = Host()
    let id = try host.state.addTrigger(.addressChanged, addresses: addresses, user: access.owner, at: host.moment).id
    let modified = refusal { () throws(TriggerRefusal) in
      _ = try host.state.modifyTrigger(
        id, type: .connectionLost, addresses: Trigger.Addresses(), user: access.user, at: host.moment)
    }
    #expect(modified == access.refusal)
    let deleted = refusal { () throws(TriggerRefusal) in
      _ = try host.state.deleteTrigger(id, user: access.user, at: host.moment)
    }
    #expect(deleted == access.refusal)
    #expect(host.state.triggers.count == (access.refusal == nil ? 0 : 1))
    #expect(host.count(.triggersRefused) == (access.refusal == nil ? 0 : 2))
    host.told()
  }

  @Test(arguments: [0 as UInt32, 5])
  func `The agent's own triggers are nobody's to change, nor root's`(_ user: UInt32) {
    let host = Host.withLink()
    let id = host.trigger(.interfaceAdded)!.id
    let refused = refusal { () throws(TriggerRefusal) in
      _ = try host.state.deleteTrigger(id, user: user, at: host.moment)
    }
    #expect(refused == .notOwner)
  }

  @Test func `No such id is told as such`() {
    let host = Host()
    for id in [0, 1, .max] as [UInt32] {
      let refused = refusal { () throws(TriggerRefusal) in
        _ = try host.state.deleteTrigger(id, user: 0, at: host.moment)
      }
      #expect(refused == .noSuchTrigger)
    }
  }

  @Test func `With no address a MODIFY keeps the stored ones`() throws {
    let host = Host()
    let id = try host.state.addTrigger(.addressChanged, addresses: addresses, user: 5, at: host.moment).id
    let other = TriggerType(rawValue: 777)
    var trigger = try host.state.modifyTrigger(
      id, type: other, addresses: Trigger.Addresses(), user: 5, at: host.moment)
    #expect(trigger.type == other)
    #expect(trigger.addresses.map { $0.address } == [v4(10)])
    trigger = try host.state.modifyTrigger(
      id, type: other, addresses: Trigger.Addresses(TriggerAddress(v4(11), prefixLength: 24)), user: 5, at: host.moment)
    #expect(trigger.addresses.map { $0.address } == [v4(11)])
    #expect(
      host.told() == [
        "ADD IF_ADDRCHANGED 192.0.2.10/24", "MODIFY TYPE_777 192.0.2.10/24", "MODIFY TYPE_777 192.0.2.11/24",
      ])
  }

  @Test func `The quota is the clients', not the agent's`() throws {
    var limits = Limits()
    limits.clientTriggers = 3
    let host = Host.withLink(limits: limits)
    for _ in 0..<3 { _ = try host.state.addTrigger(.addressChanged, addresses: addresses, user: 5, at: host.moment) }
    let full = refusal { () throws(TriggerRefusal) in
      _ = try host.state.addTrigger(.addressChanged, addresses: addresses, user: 0, at: host.moment)
    }
    #expect(full == .full)
    host.address(IPPrefix(v4(10), 24))
    #expect(host.toldTriggers().count == 4)
    _ = try host.state.deleteTrigger(2, user: 5, at: host.moment)
    _ = try host.state.addTrigger(.addressChanged, addresses: addresses, user: 5, at: host.moment)
    #expect(host.state.triggers.count == 5)
    host.told()
  }

  @Test func `A client's trigger of the agent's types is nothing to the agent`() throws {
    let host = Host.withLink()
    for type in [TriggerType.interfaceRemoved, .connectionLost, .destinationUnreachable] {
      _ = try host.state.addTrigger(type, addresses: addresses, user: 5, at: host.moment)
    }
    host.apply(.linkRemoved(index: Host.up0))
    host.link()
    host.wait(100)
    #expect(host.standing.count == 4)
    for id in 2...4 as ClosedRange<UInt32> { _ = try host.state.deleteTrigger(id, user: 5, at: host.moment) }
    host.told()
  }

  @Test func `A trigger keeps up to sixteen addresses`() {
    var addresses = Trigger.Addresses()
    for low in 0..<20 as Range<UInt32> {
      #expect(addresses.append(TriggerAddress(v4(low), prefixLength: 32)) == (low < 16))
    }
    #expect(addresses.map { $0.address } == (0..<16).map { v4($0) })
    #expect(Trigger.Addresses(addresses.payloads).map { $0.address } == addresses.map { $0.address })
  }

  // MARK: Ids that wrap

  @Test func `After the wrap ids begin at 1 again and skip what is in use`() {
    var table = TriggerTable()
    let blank = Trigger(
      type: .addressChanged, owner: .agent, addresses: Trigger.Addresses(), origin: Origin(source: .kernel))
    #expect(table.add(blank).id == 1)
    #expect(table.add(blank).id == 2)
    table.pass(to: UInt64(UInt32.max) - 1)
    #expect(table.add(blank).id == .max)
    #expect(table.add(blank).id == 3)
    #expect(table.remove(1) != nil)
    #expect(table.add(blank).id == 4)
    var cursor = TriggerTable.Cursor()
    var ids: [UInt32] = []
    while let trigger = table.next(&cursor) { ids.append(trigger.id) }
    #expect(ids == [2, .max, 3, 4])
  }

  // MARK: Replay

  /// Whatever happens while a replay walks, its subscriber ends with exactly the table: it applies what the walk meets,
  /// and the news of what the walk has passed.
  @Test(arguments: 0..<200 as Range<UInt64>)
  func `A replay neither misses nor doubles anything`(_ seed: UInt64) {
    var random = Random(seed)
    var table = TriggerTable()
    var ids: [UInt32] = []
    var known: [UInt32: UInt32] = [:]
    var cursor = TriggerTable.Cursor()
    var version: UInt32 = 0
    var faults = 0

    func blank() -> Trigger {
      version += 1
      return Trigger(
        type: .addressChanged, owner: .agent, addresses: Trigger.Addresses(),
        origin: Origin(source: .kernel, count: version))
    }
    func news(_ change: TriggerChange, _ trigger: Trigger) {
      guard cursor.hasPassed(trigger) else { return }
      switch change {
      case .added: if known.updateValue(trigger.origin.count, forKey: trigger.id) != nil { faults += 1 }
      case .modified, .turned: if known.updateValue(trigger.origin.count, forKey: trigger.id) == nil { faults += 1 }
      case .removed: if known.removeValue(forKey: trigger.id) == nil { faults += 1 }
      }
    }
    func change() {
      switch random.below(3) {
      case 0:
        let trigger = table.add(blank())
        ids.append(trigger.id)
        news(.added, trigger)
      case 1 where !ids.isEmpty:
        version += 1
        if let update = table.update(ids[random.below(ids.count)], { $0.origin.count = version }) {
          news(.modified, update.after)
        }
      case 2 where !ids.isEmpty:
        if let trigger = table.remove(ids.remove(at: random.below(ids.count))) { news(.removed, trigger) }
      default: break
      }
    }
    for _ in 0..<random.below(60) { change() }
    while !cursor.isAtEnd {
      for _ in 0..<random.below(4) { change() }
      if let trigger = table.next(&cursor) {
        if known.updateValue(trigger.origin.count, forKey: trigger.id) != nil { faults += 1 }
      }
      if random.below(500) == 0 { for _ in 0..<50 { change() } }
    }
    for _ in 0..<20 { change() }
    #expect(faults == 0)
    #expect(Set(known.keys) == Set(ids))
    for (id, count) in known { #expect(table[id]?.origin.count == count) }
  }
}

/// The index by type and address against a search through everything.
@Suite struct TriggerIndexTests {
  @Test(arguments: 0..<20) func `finds what a search finds, in the order of the ids`(_ seed: UInt64) {
    var random = Random(seed)
    var table = TriggerTable()
    var ids: [UInt32] = []
    // Few of each, so that chains are long and a trigger has the same address twice now and then.
    let types = [TriggerType.addressChanged, .destinationUnreachable]
    let addresses = (0..<6).map { $0 < 3 ? v4(UInt32($0)) : v6(UInt64($0)) }
    func some() -> Trigger.Addresses {
      var list = Trigger.Addresses()
      for _ in 0..<random.below(4) { list.append(TriggerAddress(addresses[random.below(6)], prefixLength: 24)) }
      return list
    }
    for _ in 0..<400 {
      let isFull = ids.count > 120
      switch random.below(isFull ? 8 : 4) {
      case 0, 1:
        let trigger = Trigger(
          type: types[random.below(2)], owner: .agent, addresses: some(), origin: Origin(source: .kernel))
        ids.append(table.add(trigger).id)
      case 2 where !ids.isEmpty:
        let (type, list) = (types[random.below(2)], some())
        _ = table.update(ids[random.below(ids.count)]) { trigger in
          trigger.type = type
          trigger.addresses = list
        }
      default:
        if !ids.isEmpty { _ = table.remove(ids.remove(at: random.below(ids.count))) }
      }
      let (type, address) = (types[random.below(2)], addresses[random.below(6)])
      let expected = ids.filter { id in
        table[id]!.type == type && table[id]!.addresses.contains { $0.address == address }
      }
      var found: [UInt32] = []
      var cursor = TriggerTable.Cursor()
      while let trigger = table.next(&cursor, type, address) { found.append(trigger.id) }
      #expect(found == expected.sorted())
      #expect(table.first(type, address)?.id == expected.min())
    }
  }

  /// An address that was there twice, and so once in the index, makes way for another one: the index may grow, and looks at
  /// the addresses that stay.
  @Test(arguments: 50..<300) func `grows in the middle of a change`(_ others: Int) {
    var table = TriggerTable()
    func trigger(_ addresses: [UInt64]) -> Trigger {
      var list = Trigger.Addresses()
      for address in addresses { list.append(TriggerAddress(v6(address), prefixLength: 128)) }
      return Trigger(type: .addressChanged, owner: .agent, addresses: list, origin: Origin(source: .kernel))
    }
    for other in 0..<others { table.add(trigger([UInt64(other)])) }
    let changed = table.add(trigger([1000, 1000, 1002, 1003])).id
    _ = table.update(changed) { $0.addresses = trigger([1000, 2000, 1002, 1003]).addresses }
    for address in [1000, 2000, 1002, 1003] as [UInt64] {
      #expect(table.first(.addressChanged, v6(address))?.id == changed)
    }
    for other in 0..<others { #expect(table.first(.addressChanged, v6(UInt64(other)))?.id == UInt32(other + 1)) }
    _ = table.remove(changed)
    for address in [1000, 2000, 1002, 1003] as [UInt64] {
      #expect(table.first(.addressChanged, v6(address)) == nil)
    }
  }

  /// A stranger who can make triggers for one address must not make the others slow: 65,536 of them, and each step of a
  /// walk through another key's chain looks at its own only.
  @Test func `many triggers of one address`() {
    var table = TriggerTable()
    for number in 0..<65_536 {
      let addresses = Trigger.Addresses(
        TriggerAddress(v4(1), prefixLength: 32),
        TriggerAddress(v4(UInt32(1000 + number), net: 0x0A00_0000), prefixLength: 32))
      _ = table.add(
        Trigger(type: .destinationUnreachable, owner: .agent, addresses: addresses, origin: Origin(source: .icmp)))
    }
    for number in stride(from: 0, to: 65_536, by: 7) {
      #expect(
        table.first(.destinationUnreachable, v4(UInt32(1000 + number), net: 0x0A00_0000))?.id == UInt32(number + 1))
    }
    var cursor = TriggerTable.Cursor()
    var count = 0
    while table.next(&cursor, .destinationUnreachable, v4(1)) != nil { count += 1 }
    #expect(count == 65_536)
    for id in 1...65_536 as ClosedRange<UInt32> { _ = table.remove(id) }
    #expect(table.first(.destinationUnreachable, v4(1)) == nil && table.count == 0)
  }
}

/// splitmix64: the same sequence for a seed everywhere.
struct Random {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed &* 0x2545_F491_4F6C_DD1D &+ 0x9E37_79B9_7F4A_7C15 }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return z ^ z >> 31
  }

  /// 0 to `bound` - 1.
  mutating func below(_ bound: Int) -> Int { bound <= 0 ? 0 : Int(next() % UInt64(bound)) }
  mutating func isTrue(_ percent: Int) -> Bool { below(100) < percent }
}

extension TriggerTable {
  /// Adds a trigger, and gives it with its id.
  @discardableResult
  fileprivate mutating func add(_ trigger: Trigger) -> Trigger {
    var trigger = trigger
    add(&trigger)
    return trigger
  }
}
