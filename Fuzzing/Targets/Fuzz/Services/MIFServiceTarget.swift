import Messages
import Platform
import Provisioning
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
      [11, 0, $0, 0x13, 11, 6, $0, 0x0F, 12, 1, $0, 0x3A, 0, 12, 1, $0, 0x31, 0, 13, 3, $0, 1]
    }
    let leave: [UInt8] = (0..<4).flatMap { [11, 6, $0, 0x0E, 11, 0, $0, 0x10] }
    let follow: [UInt8] =
      [0, 0, 0, 0] + (0..<5).flatMap { [1, 0, 3, $0] }
      + (0..<11).flatMap { [2, 0, 6, $0, 3, 0, 9, $0, 4, 0, 12, $0, 0] }
    let sleepOrWake: [UInt8] = [9, 0]
    let flap = (0..<6).flatMap { _ in [11, 0, 0, 0x10, 11, 0, 0, 0x13] as [UInt8] }
    return [
      ("everything", [0] + arrive + follow + leave),
      ("as-it-comes", [0] + follow + arrive + follow + leave + follow),
      ("asleep", [3] + arrive + follow + sleepOrWake + leave + arrive + flap + flap + sleepOrWake + follow),
    ]
  }

  func run(_ bytes: RawSpan) {
    let descriptor = World.nextDescriptor
    var program = Program(bytes)
    do {
      let run = MIFServiceRun(program.byte())
      run.execute(&program)
      run.finish()
    }
    check(World.nextDescriptor == descriptor, "a descriptor was left open")
  }
}

private final class MIFServiceRun: ServiceRun<MIFPeer> {
  init(_ choice: UInt8) {
    var settings = Subscribers.Settings()
    settings.limit = 4
    settings.queueLimit = choice & 1 == 0 ? 64 * 1024 : 1024
    settings.sendBuffer = choice & 2 == 0 ? 64 * 1024 : 4096
    super.init(World(settings, NetworkEvent.limits), queueLimit: settings.queueLimit)
  }

  override func connect(_ choice: UInt8) -> MIFPeer? {
    guard let connection = world.connect(to: "mif.sock") else { return nil }
    return MIFPeer(connection)
  }

  override func request(_ program: inout Program) -> [UInt8] {
    MIFRequests.any(&program, sequence: nextSequence())
  }

  /// What a client knows of what it follows is what there is.
  override func checkEnd() {
    let lost = (open + former).reduce(0) { $0 + $1.lost }
    check(lost <= world.counter("subscribers.news-dropped"), "\(lost) news are missing that were not dropped")
    for peer in open where peer.isWhole {
      if peer.wantsInterfaces {
        let links = Set(world.state.links.map { $0.index })
        check(peer.interfaces == links, "knows interfaces \(peer.interfaces) of \(links)")
      }
      // A subscription to what is gone ends by itself, of which only those hear who follow what it belonged to.
      for interface in peer.pvdsOf {
        let domains = need(world.state.domains(of: interface), "follows interface \(interface), which is gone")
        let known = Set(peer.pvds.filter { $0.value == interface }.keys)
        check(known == Set(domains.map { $0.id }), "knows PvDs \(known) of \(domains.map { $0.id })")
      }
      for pvd in peer.elementsOf {
        let known = Set(peer.elements.filter { $0.pvd == pvd }.map { $0.type })
        let there = Set(world.state.domain(pvd)?.elementTypes ?? [])
        check(known == there, "knows elements \(known) of \(there)")
      }
      for pvd in peer.addressesOf {
        let known = Set(peer.addresses.filter { $0.pvd == pvd }.map { IPPrefix($0.address, $0.length) })
        let there = Set(world.state.domain(pvd)?.addresses.map { $0.address.prefix } ?? [])
        check(known == there, "knows addresses \(known) of \(there)")
      }
    }
  }
}
