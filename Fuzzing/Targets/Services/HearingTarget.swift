import Fuzzing
import Messages
import Platform
import Provisioning
import Subscribers
import Wire

/// Packets of strangers through the whole engine: decoded, applied, told. Whoever follows everything knows at each moment
/// what there is, and every item of configuration can be had and read.
///
/// An input is a row of packets, each with a byte that says how it arrives, or that time passes, and its length.
struct HearingTarget: FuzzTarget {
  static let name = "hearing"
  static let maximumLength = 2048
  static let vectors = ""

  static var seeds: [(name: String, input: [UInt8])] {
    let each = GoldenPacket.all.map { golden in
      (golden.description.filter { $0 != " " }, step(golden, isOutgoing: false) + step(golden, isOutgoing: true))
    }
    let leases =
      step(.request, isOutgoing: true) + step(.acknowledgement) + step(.informationRequest, isOutgoing: true)
      + step(.reply)
    let routers = step(.routerAdvertisement) + step(.routerAdvertisement)
    let ends = [("leases-that-end", leases + wait(200) + leases), ("routers-that-end", routers + wait(200) + routers)]
    return each + ends
  }

  private static func step(_ golden: GoldenPacket, isOutgoing: Bool = false) -> [UInt8] {
    let bytes = golden.bytes.prefix(1000)
    let way = Way(family(of: golden.bytes)).byte | (isOutgoing ? 2 : 0)
    return [way, UInt8(bytes.count >> 8), UInt8(bytes.count & 0xFF)] + bytes
  }

  /// Tens of seconds.
  private static func wait(_ time: UInt8) -> [UInt8] { [0x80, time] }

  func run(_ bytes: RawSpan) {
    let descriptors = World.descriptors
    do {
      var program = Program(bytes)
      let run = HearingRun()
      while !program.isAtEnd { run.step(&program) }
      run.finish()
    }
    check(World.descriptors == descriptors, "a descriptor was left open")
  }

  func mend(_ input: UnsafeMutableBufferPointer<UInt8>) { unsafe mendPackets(input, otherStep: 2) }
}

private final class HearingRun {
  private static let interfaces: [UInt32] = [1, 2]

  private let world: World
  private let peer: MIFPeer
  private var sequence: UInt32 = 0

  init() {
    let world = World(Subscribers.Settings(), NetworkEvent.limits)
    self.world = world
    let connection = need(world.connect(to: "mif.sock"), "no connection")
    peer = MIFPeer(connection, world, isManager: false, transactions: 0)
    ask(1)
    for index in HearingRun.interfaces {
      let link = Link(index: index, name: InterfaceName("up\(index)".utf8), isUp: true, hasCarrier: true)
      world.happen { $0.apply(.link(link), at: $1) }
      for prefix in HearingRun.addresses {
        let address = InterfaceAddress(
          interface: index, prefix: prefix, flags: [], isHostScope: false, preferredLifetime: .max, validLifetime: .max)
        world.happen { $0.apply(.address(address), at: $1) }
      }
      ask(5, payload(1, number(index) + zeros(24)))
    }
    follow()
  }

  /// Those that the golden packets are sent to or about.
  private static let addresses: [IPPrefix] = [
    IPPrefix(.v4(IPv4Address(0xC000_020A)), 24), IPPrefix(.v6(IPv6Address(0xFE80_0000_0000_0000, 2)), 64),
    IPPrefix(.v6(IPv6Address(0x2001_0DB8_0001_0000, 0x100)), 64),
  ]

  private func ask(_ type: UInt8, _ payloads: [UInt8] = []) {
    sequence += 1
    peer.request(message(type, sequence: sequence, payloads))
  }

  func step(_ program: inout Program) {
    let way = Way(byte: program.byte())
    if way.byte & 0x80 != 0 {
      world.pass(nanoseconds: UInt64(program.byte()) * 10_000_000_000)
    } else {
      let length = Int(program.byte()) << 8 | Int(program.byte())
      let packet = program.bytes(length)
      let interface = HearingRun.interfaces[Int(way.byte >> 4 & 1)]
      world.happen { state, moment in
        let arrival = way.arrival(on: interface, timestamp: moment.timestamp)
        state.hear(packet.rawSpan, way.family, arrival, at: moment.instant)
      }
    }
    follow()
  }

  /// Asks for everything of the PvDs that it has heard of, and for all configuration.
  private func follow() {
    settle()
    for pvd in peer.pvds.keys.sorted() {
      let named = payload(2, number(pvd) + zeros(8))
      if !peer.elementsOf.contains(pvd) {
        ask(9, named)
        ask(13, named)
      }
      for element: UInt16 in 1...4 { ask(17, named + payload(3, number(element) + zeros(10))) }
    }
    settle()
    peer.checkKnowledge()
  }

  private func settle() {
    for _ in 0..<20_000 {
      let hasTurned = world.turn()
      if peer.read() == 0, !hasTurned { return }
    }
    check(false, "the loop never rests")
  }

  func finish() {
    check(peer.isOpen && !peer.isWaiting && peer.lost == 0, "somebody who reads at once has lost something")
    peer.close()
    settle()
  }
}
