import Connecting
import Fuzzing
import Glibc
import Messages
import Platform
import Provisioning
import Resolving
import Subscribers
import Wire

/// The MIF API's whole request handler, in programs like those of `TriggerServiceTarget`.
struct MIFServiceTarget: FuzzTarget {
  static let name = "mif-service"
  static let maximumLength = 512
  static let vectors = "mif.txt"

  /// A program that sends the vector and reads.
  static func seed(of vector: [UInt8]) -> [UInt8] {
    [0, 0x0E, 0, UInt8(truncatingIfNeeded: vector.count)] + vector.prefix(255)
  }

  static var seeds: [(name: String, input: [UInt8])] {
    // Links, addresses, routes and advertisements on interfaces 1 to 4, and the links away again.
    let arrive: [UInt8] = (0..<4).flatMap {
      [11, 0, $0, 0x13, 11, 6, $0, 0x1E, 12, 1, $0, 0x3A, 0, 12, 1, $0, 0x31, 0, 13, 3, $0, 1]
    }
    let leave: [UInt8] = (0..<4).flatMap { [11, 6, $0, 0x1F, 11, 0, $0, 0x10] }
    let follow: [UInt8] =
      [0, 0, 0, 0] + (0..<5).flatMap { [1, 0, 3, $0] }
      + (0..<11).flatMap { [2, 0, 6, $0, 3, 0, 9, $0, 4, 0, 12, $0, 0] }
    let first: [UInt8] = [11, 0, 0, 0x13, 11, 6, 0, 0x1E, 12, 1, 0, 0x39, 0, 12, 1, 0, 0x31, 0]
    let translate = (0..<11).flatMap { [5, 0, 16, 1, $0, $0 & 3] as [UInt8] }
    let stop = (0..<4).flatMap { [5, 0, 19, 0, $0] as [UInt8] }
    let places: [UInt8] = [0x10, 0x50, 0x90, 0x15, 0x55, 0x95, 0x1A, 0x5C]
    let connect = places.flatMap { [5, 0, 21, 1, $0 & 3, $0, 5, 0, 0x35, 1, $0 >> 4 & 3, $0] as [UInt8] }
    let bind: [UInt8] = [5, 0, 24, 1, 0, 0x20, 0x10, 5, 0, 25, 1, 1, 0x25, 0x15, 5, 0, 0x38, 1, 2, 0x10, 0x20]
    let manage: [UInt8] = [5, 0, 26, 0, 5, 0, 27, 1, 5, 0, 28, 0, 5, 0, 29, 1, 5, 0, 0x3D, 1, 9]
    let select: [UInt8] = [5, 0, 20, 1, 5, 0, 16, 0, 0, 0, 5, 0, 6, 0, 5, 0, 21, 0, 0, 0x10, 5, 0, 20, 0, 5, 0, 20, 9]
    let wait: [UInt8] = [11, 7, 3]
    let sleepOrWake: [UInt8] = [9, 0]
    let flap = (0..<6).flatMap { _ in [11, 0, 0, 0x10, 11, 0, 0, 0x13] as [UInt8] }
    return [
      ("everything", [0] + arrive + follow + leave),
      ("as-it-comes", [0] + follow + arrive + follow + leave + follow),
      ("names", [4] + first + follow + translate + wait + stop + translate + wait),
      ("names-of-a-pvd-that-goes", [4] + first + follow + translate + leave + translate),
      ("connections", [4] + first + follow + connect + bind + connect + wait + leave),
      ("connections-at-the-bound", [0x10] + first + connect + connect + bind + [10, 0, 3] + connect),
      ("asleep-with-transactions", [3] + first + [9, 0] + translate + connect + bind + translate + connect + [9, 0]),
      ("clients-that-leave", [0x84] + first + follow + translate + connect + bind + [10, 0, 3] + translate + connect),
      ("the-selected-pvd", [0] + first + select + leave + select),
      ("connectivity", [0x40] + first + follow + manage + connect + manage + wait + [10, 0, 3] + manage),
      ("nobody-in-particular", [0x40] + first + [5, 0x11] + manage.dropFirst(2)),
      ("asleep", [3] + arrive + follow + sleepOrWake + leave + arrive + flap + flap + sleepOrWake + follow),
    ]
  }

  init() { LoopbackNetwork.listen() }

  func run(_ bytes: RawSpan) {
    let descriptors = World.descriptors
    var program = Program(bytes)
    do {
      let run = MIFServiceRun(program.byte())
      run.execute(&program)
      run.finish()
    }
    LoopbackNetwork.hangUp()
    check(World.descriptors == descriptors, "a descriptor was left open")
  }
}

private final class MIFServiceRun: ServiceRun<MIFPeer> {
  private static let somebody: UInt32 = 1000
  private static let isRoot = geteuid() == 0

  private let transactions: Int
  /// Whether its clients leave before their transactions are through.
  private let isAbrupt: Bool
  /// Whether somebody who is not root may manage connectivity.
  private let isManaged: Bool

  init(_ choice: UInt8) {
    var settings = Subscribers.Settings()
    settings.limit = 4
    settings.queueLimit = choice & 1 == 0 ? 64 * 1024 : 1024
    settings.sendBuffer = choice & 2 == 0 ? 64 * 1024 : 4096
    transactions = choice & 4 == 0 ? 4 : 1024
    settings.transactionsPerSubscriber = transactions
    settings.resolver.translations = choice & 8 == 0 ? 4096 : 3
    settings.resolver.channels = choice & 8 == 0 ? 64 : 2
    settings.connector.limit = choice & 0x10 == 0 ? 4096 : 2
    isManaged = choice & 0x20 != 0
    isAbrupt = choice & 0x80 != 0
    if isManaged { settings.connectivityManagers = [AccessRule(.user(Self.somebody))] }
    if !Self.isRoot { settings.connectivityManagers.append(AccessRule(.user(geteuid()))) }
    settings.connectivity.interfaces = [need(InterfacePattern(Array("up*".utf8)[...]), "a pattern")]
    settings.connectivity.hooks = choice & 0x40 == 0 ? [] : [.connectHook, .idleHook, .breakHook]
    let servers = LoopbackNetwork.serverAddresses.map { NameServer(at: $0, NameScript.answer) }
    super.init(World(settings, NetworkEvent.limits, nameServers: servers), queueLimit: settings.queueLimit)
  }

  /// With its credentials: the kernel takes them from whoever connects.
  override func connect(_ choice: UInt8) -> MIFPeer? {
    let isSomebody = choice & 0x10 != 0 && Self.isRoot
    if isSomebody { _ = seteuid(Self.somebody) }
    defer { if isSomebody { _ = seteuid(0) } }
    guard let connection = world.connect(to: "mif.sock") else { return nil }
    return MIFPeer(connection, world, isManager: !isSomebody || isManaged, transactions: transactions)
  }

  override func request(_ program: inout Program) -> [UInt8] {
    MIFRequests.any(&program, sequence: nextSequence())
  }

  /// Every transaction ends by itself, in time, and with the client that asked for it.
  override func complete() {
    if open.allSatisfy({ $0.isWhole }) {
      let waited = open.reduce(0) { $0 + $1.underWay }
      let count = world.counter("mif.under-way")
      check(count == UInt64(waited), "\(count) transactions are under way, of which \(waited) are waited for")
    }
    if isAbrupt {
      for peer in open { peer.close() }
      settle()
    }
    for _ in 0..<2000 {
      if isAbrupt || world.counter("mif.under-way") == 0 { break }
      world.passToDeadline()
      settle()
    }
    for counter in ["mif.under-way", "resolver.under-way", "connector.under-way"] {
      check(world.counter(counter) == 0, "\(counter) is \(world.counter(counter)) and stays so")
    }
  }

  /// What a client knows of what it follows is what there is.
  override func checkEnd() {
    let lost = (open + former).reduce(0) { $0 + $1.lost }
    check(lost <= world.counter("subscribers.news-dropped"), "\(lost) news are missing that were not dropped")
    for peer in open where peer.isWhole { peer.checkKnowledge() }
  }
}
