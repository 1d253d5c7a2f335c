import Fuzzing
import Glibc
import Messages
import Platform
import Provisioning
import Subscribers
import Wire

/// The Trigger Database's whole request handler: a program of requests, right and wrong, of several clients that read or
/// don't, come and go, and of what happens to the network meanwhile.
struct TriggerServiceTarget: FuzzTarget {
  static let name = "trigger-service"
  static let maximumLength = 512
  static let vectors = "trigger.txt"

  /// A program that registers, sends the vector and reads.
  static func seed(of vector: [UInt8]) -> [UInt8] {
    [0] + register(0) + [0x0E, 0, UInt8(truncatingIfNeeded: vector.count)] + vector.prefix(255)
  }

  static var seeds: [(name: String, input: [UInt8])] {
    let wide: UInt8 = 0xF0
    let flood = (0..<6).flatMap { burst(1, 40, type: $0, addresses: wide) }
    let changes = (0..<12).flatMap { modify(1, id: $0 &* 7, type: 6 + $0 % 4, addresses: 1 + $0 % 2) }
    let network: [UInt8] = (0..<5).flatMap {
      [11, 0, $0, 0x13, 12, 1, $0, 0x38, 0, 13, 3, $0, 1, 11, 5, $0, 0x0C, 1, 2, 0]
    }
    return [
      ("asleep", [0x03] + register(0) + sleepOrWake(0) + flood + sleepOrWake(0) + register(0)),
      ("asleep-in-replay", [0x03] + flood + sleepOrWake(0) + register(0) + changes + sleepOrWake(0)),
      ("its-answers-unread", [0x03] + sleepOrWake(1) + flood + sleepOrWake(1)),
      ("views", [0] + register(0) + register(2, flags: 2) + register(3, flags: 3) + flood + changes),
      ("somebody", [0x3C] + register(0x12) + flood + burst(0x13, 20, type: 7, addresses: 1) + changes),
      // It stops reading, writes, and asks for a replay: the loop was kept busy by this once.
      ("reads-no-more", [0, 8, 0, 0, 10, 0, 0, 0, 0, 0, 0, 6, 0] + register(0)),
      ("network", [0] + register(0) + network + register(2) + network + [0x0F, 0xFF, 11, 7, 3]),
    ]
  }

  // Steps, as `TriggerServiceRun.step` reads them.

  private static func register(_ slot: UInt8, flags: UInt8 = 0) -> [UInt8] {
    [0, slot, 5, 0, flags] + (flags < 2 ? [] : [0x05, 6, 0, 1])
  }
  private static func burst(_ slot: UInt8, _ times: UInt8, type: UInt8, addresses: UInt8) -> [UInt8] {
    [6, times - 1, slot, 0, 0, 6 + type % 4, addresses]
      + [UInt8](repeating: type, count: addresses < 0xF0 ? Int(addresses & 3) : 16)
  }
  private static func modify(_ slot: UInt8, id: UInt8, type: UInt8, addresses: UInt8) -> [UInt8] {
    [1, slot, 6, id, type, addresses] + [UInt8](repeating: id, count: Int(addresses))
  }
  private static func sleepOrWake(_ slot: UInt8) -> [UInt8] { [9, slot] }

  func run(_ bytes: RawSpan) {
    let descriptors = World.descriptors
    var program = Program(bytes)
    do {
      let run = TriggerServiceRun(program.byte())
      run.execute(&program)
      run.finish()
    }
    check(World.descriptors == descriptors, "a descriptor was left open")
  }
}

private final class TriggerServiceRun: ServiceRun<TriggerPeer> {
  private static let somebody: UInt32 = 1000
  private static let everything: [ClosedRange<UInt16>] = [0...UInt16.max]
  private static let isRoot = geteuid() == 0

  /// What somebody who is not root may read.
  private let readable: [ClosedRange<UInt16>]
  /// Reads everything at once and is told everything.
  private let observer: TriggerPeer

  init(_ choice: UInt8) {
    var settings = Subscribers.Settings()
    settings.limit = 6
    settings.limitPerUser = choice & 0x10 == 0 ? 6 : 2
    settings.queueLimit = choice & 1 == 0 ? 128 * 1024 : 32 * 1024
    settings.ringSize = choice & 0x40 == 0 ? 4096 : 0
    settings.sendBuffer = choice & 2 == 0 ? 64 * 1024 : 4096
    readable = choice & 4 == 0 ? Self.everything : [1...5, 100...101]
    settings.triggerReaders = [AccessRule(.anybody, TriggerTypes(readable))]
    let writable: [ClosedRange<UInt16>] = choice & 8 == 0 ? Self.everything : [6...6, 100...102]
    settings.triggerWriters = [AccessRule(.user(Self.somebody), TriggerTypes(writable))]
    if !Self.isRoot { settings.triggerWriters.append(AccessRule(.user(geteuid()))) }
    var limits = NetworkEvent.limits
    limits.clientTriggers = choice & 0x20 == 0 ? 1000 : 30
    limits.triggersPerUser = choice & 0x20 == 0 ? 1000 : 10
    let world = World(settings, limits)
    observer = need(Self.connect(world, isRoot: true), "no connection")
    super.init(world, queueLimit: settings.queueLimit)
    observer.request(message(4, flags: 0x07, sequence: 0, []))
    settle()
    check(observer.isInStep, "the first one is not in step")
  }

  /// With its credentials: the kernel takes them from whoever connects.
  private static func connect(
    _ world: World, isRoot: Bool, mayRead: [ClosedRange<UInt16>] = everything
  ) -> TriggerPeer? {
    let isSomebody = !isRoot && Self.isRoot
    if isSomebody { _ = seteuid(somebody) }
    defer { if isSomebody { _ = seteuid(0) } }
    guard let connection = world.connect(to: "trigger.sock") else { return nil }
    return TriggerPeer(connection, mayRead: isSomebody ? mayRead : everything, isRoot: Self.isRoot && isRoot)
  }

  override func connect(_ choice: UInt8) -> TriggerPeer? {
    Self.connect(world, isRoot: choice & 0x10 == 0, mayRead: readable)
  }

  override func request(_ program: inout Program) -> [UInt8] {
    TriggerRequests.any(&program, sequence: nextSequence(), last: observer.mirror.keys.max() ?? 0)
  }

  override func readOthers() -> Int { observer.read() }
  override func closeOthers() { observer.close() }

  // MARK: The end

  override func checkEnd() {
    check(!observer.isWaiting && observer.isOpen, "the first one has no answer")
    checkMirrors()
    checkNews()
    checkIndex()
  }

  private var triggers: [Trigger] {
    var triggers: [Trigger] = []
    var cursor = TriggerTable.Cursor()
    while let trigger = world.state.triggers.next(&cursor) { triggers.append(trigger) }
    return triggers
  }

  private func checkMirrors() {
    let triggers = triggers
    check(triggers.count == world.state.triggers.count, "the table's order has another length than the table")
    for peer in [observer] + open where peer.isWhole && peer.isInStep {
      let view = peer.view
      var expected: [UInt32: KnownTrigger] = [:]
      for trigger in triggers where view.holds(trigger) { expected[trigger.id] = KnownTrigger(trigger) }
      check(peer.mirror == expected, "a mirror has \(peer.mirror) where \(expected) stands")
    }
  }

  private func checkNews() {
    let everybody = [observer] + peers.compactMap { $0 } + former
    let lost = everybody.reduce(0) { $0 + $1.lost }
    check(lost <= world.counter("subscribers.news-dropped"), "\(lost) news are missing that were not dropped")
    guard observer.lost == 0 else { return }
    var history = TriggerHistory()
    for told in observer.told {
      guard let cause = told.cause, let timestamp = told.timestamp else { continue }
      history.append(
        TriggerHistory.Change(
          cause: cause, identifier: told.identifier, trigger: told.trigger, timestamp: timestamp))
    }
    for peer in everybody {
      history.holds(peer.told)
      for (identifier, trigger) in peer.gotten {
        let versions = history.versions[identifier] ?? []
        check(versions.contains(trigger), "GET of \(identifier) gave \(trigger), which it never was")
      }
    }
  }

  /// What is found by type and address is what a walk over all finds first.
  private func checkIndex() {
    var first: [TypeAndAddress: UInt32] = [:]
    for trigger in triggers {
      for address in trigger.addresses {
        let key = TypeAndAddress(type: trigger.type, address: address.address)
        if first[key] == nil { first[key] = trigger.id }
      }
    }
    for (key, identifier) in first {
      let found = world.state.triggers.first(key.type, key.address)?.id
      check(found == identifier, "\(key): found \(String(describing: found)), the first is \(identifier)")
    }
  }

  private struct TypeAndAddress: Hashable {
    var type: TriggerType
    var address: IPAddress
  }
}
