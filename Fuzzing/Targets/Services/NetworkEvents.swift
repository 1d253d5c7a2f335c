import Fuzzing
import Messages
import Provisioning
import Wire

/// What happens to the network in a program: few interfaces and addresses, so that events meet.
enum NetworkEvent {
  /// So low that they are met.
  static var limits: Limits {
    var limits = Limits()
    limits.interfaces = 4
    limits.addressesPerInterface = 6
    limits.routersPerInterface = 2
    limits.unreachablePaths = 4
    return limits
  }

  static func happen(_ program: inout Program, in world: World) {
    switch program.number(below: 10) {
    case 0: link(&program, world)
    case 1, 2: address(&program, world)
    case 3: route(&program, world)
    case 4: neighbour(&program, world)
    case 5: error(&program, world)
    case 6: advertisement(&program, world)
    case 8, 9: packet(&program, world)
    default: world.pass(nanoseconds: program.choice([10_000_000, 100_000_000, 1_000_000_000, 61_000_000_000]))
    }
  }

  private static func interface(_ program: inout Program) -> UInt32 { UInt32(1 + program.number(below: 5)) }
  private static func subnet(_ interface: UInt32) -> IPv6Address {
    IPv6Address(0x2001_0DB8_0000_0000 | UInt64(interface), 0)
  }

  private static func link(_ program: inout Program, _ world: World) {
    let index = interface(&program)
    let choice = program.byte()
    if choice & 0x0F == 0 { return world.happen { $0.apply(.linkRemoved(index: index), at: $1) } }
    let name = InterfaceName("up\(choice & 0x10 == 0 ? index : index % 3)".utf8)
    let link = Link(index: index, name: name, isUp: choice & 1 != 0, hasCarrier: choice & 2 != 0)
    world.happen { $0.apply(.link(link), at: $1) }
  }

  static func address(_ interface: UInt32, _ choice: UInt8) -> IPPrefix {
    let host = UInt64(choice & 3)
    switch choice >> 2 & 3 {
    case 0: return IPPrefix(.v4(IPv4Address(0xC000_0200 + UInt32(host))), 24)
    case 1: return IPPrefix(.v6(IPv6Address(0xFE80_0000_0000_0000, host + 1)), 64)
    default: return IPPrefix(.v6(IPv6Address(subnet(interface).high, host)), 64)
    }
  }

  private static func address(_ program: inout Program, _ world: World) {
    let index = interface(&program)
    let choice = program.byte()
    let prefix = address(index, choice)
    if choice & 0x30 == 0 { return world.happen { $0.apply(.addressRemoved(interface: index, prefix), at: $1) } }
    let flags = InterfaceAddress.Flags(rawValue: choice & 0x40 == 0 ? 0 : program.byte())
    let lifetime = program.choice([UInt32.max, 0, 1, 60, 7200])
    let address = InterfaceAddress(
      interface: index, prefix: prefix, flags: flags, isHostScope: choice & 0x80 != 0, preferredLifetime: lifetime,
      validLifetime: lifetime)
    world.happen { $0.apply(.address(address), at: $1) }
  }

  private static func gateway(_ interface: UInt32, _ choice: UInt8) -> IPAddress {
    choice & 1 == 0
      ? .v4(IPv4Address(0xC000_02FE)) : .v6(IPv6Address(0xFE80_0000_0000_0000, 0x100 + UInt64(choice >> 1 & 1)))
  }

  private static func route(_ program: inout Program, _ world: World) {
    let index = interface(&program)
    let choice = program.byte()
    let gateway = gateway(index, choice)
    let route = DefaultRoute(
      interface: index, family: gateway.family, gateway: choice & 0x40 == 0 ? gateway : nil,
      metric: UInt32(choice >> 2 & 1), preferredSource: choice & 0x20 == 0 ? nil : address(index, choice >> 2).address)
    world.happen { $0.apply(choice & 0x80 == 0 ? .defaultRoute(route) : .defaultRouteRemoved(route), at: $1) }
  }

  private static func neighbour(_ program: inout Program, _ world: World) {
    let index = interface(&program)
    let choice = program.byte()
    let reachability = need(Reachability(rawValue: choice >> 4 % 3), "three of them")
    world.happen { $0.apply(.neighbour(interface: index, gateway(index, choice), reachability), at: $1) }
  }

  /// An ICMP error about a path from one of the addresses that there may be.
  private static func error(_ program: inout Program, _ world: World) {
    let index = interface(&program)
    let local = address(index, program.byte()).address
    let code = program.byte() & 0x0F
    let packet = error(to: local, about: UInt8(program.number(below: 8)), code)
    for _ in 0...program.number(below: 4) {
      world.happen { state, moment in
        let arrival = Arrival(interface: index, checksum: .notReady, timestamp: moment.timestamp)
        state.hear(unsafe packet.span.bytes, local.family, arrival, at: moment.instant)
      }
    }
  }

  private static func error(to local: IPAddress, about far: UInt8, _ code: UInt8) -> [UInt8] {
    switch local {
    case .v4(let host):
      let quote = ipv4(17, udp, from: host, to: IPv4Address(0xC633_6400 + UInt32(far)))
      return ipv4(1, icmp([3, code, 0, 0, 0, 0, 0, 0] + quote), from: IPv4Address(0xCB00_7101), to: host)
    case .v6(let host):
      let quote = ipv6(17, udp, from: host, to: IPv6Address(0x2001_0DB8_FFFF_0000, UInt64(far)))
      let message = [1, code % 7, 0, 0, 0, 0, 0, 0] + quote
      return ipv6(58, message, from: IPv6Address(0x2001_0DB8_0000_0000, 1), to: host)
    }
  }

  /// Of those there may be, on interface 1 the second and third answer.
  private static func server(_ interface: UInt32, _ choice: UInt8) -> IPv6Address {
    IPv6Address(subnet(interface).high, UInt64(choice & 3))
  }

  /// A packet of the program's own making: an advertisement's options, or what DHCP has behind UDP's ports.
  private static func packet(_ program: inout Program, _ world: World) {
    let index = interface(&program)
    let way = Way(byte: program.byte())
    let kind = program.byte()
    let body = program.bytes(Int(program.byte()))
    let ports: [UInt8]
    switch (way.family, way.isOutgoing) {
    case (.v4, false): ports = [0, 67, 0, 68]
    case (.v4, true): ports = [0, 68, 0, 67]
    case (.v6, false): ports = [2, 35, 2, 34]
    case (.v6, true): ports = [2, 34, 2, 35]
    }
    let udp = ports + number(UInt16(8 + body.count).byteSwapped) + [0, 0] + body
    let router = IPv6Address(0xFE80_0000_0000_0000, 0x100)
    let group = IPv6Address(0xFF02_0000_0000_0000, 1)
    let packet: [UInt8] =
      switch way.family {
      case .v4: ipv4(17, udp, from: IPv4Address(0xC000_02FE), to: IPv4Address(0xC000_0201))
      case .v6 where kind & 1 == 0: ipv6(17, udp, from: router, to: group)
      case .v6:
        ipv6(58, [134, 0, 0, 0, 64, kind, 0, 200] + zeros(8) + body, from: router, to: group, hopLimit: 255)
      }
    world.happen { state, moment in
      let arrival = way.arrival(on: index, timestamp: moment.timestamp)
      state.hear(unsafe packet.span.bytes, way.family, arrival, at: moment.instant)
    }
  }

  private static func advertisement(_ program: inout Program, _ world: World) {
    let index = interface(&program)
    let choice = program.byte()
    let lifetime: UInt8 = choice & 1 == 0 ? 200 : 0
    var options: [UInt8] = []
    if choice & 2 != 0 {
      options += [3, 4, 64, 0xC0, 0, 0, 0, lifetime, 0, 0, 0, lifetime, 0, 0, 0, 0] + octets(subnet(index))
    }
    if choice & 4 != 0 { options += [25, 3, 0, 0, 0, 0, 0, lifetime] + octets(server(index, choice >> 4)) }
    if choice & 8 != 0 {
      // pvd.example, with what came so far inside as well (RFC 8801, 3.1).
      let name: [UInt8] = [3] + Array("pvd".utf8) + [7] + Array("example".utf8) + [0]
      options += [21, UInt8((24 + options.count) / 8), 0, 0, 0, 1] + name + zeros(5) + options
    }
    let body = [134, 0, 0, 0, 64, 0, 0, lifetime] + zeros(8) + options
    let packet = ipv6(
      58, body, from: IPv6Address(0xFE80_0000_0000_0000, 0x100 + UInt64(choice >> 4 & 1)),
      to: IPv6Address(0xFF02_0000_0000_0000, 1), hopLimit: 255)
    world.happen { state, moment in
      let arrival = Arrival(interface: index, checksum: .notReady, timestamp: moment.timestamp)
      state.hear(unsafe packet.span.bytes, .v6, arrival, at: moment.instant)
    }
  }

  // MARK: Packets

  private static let udp: [UInt8] = [0x11, 0x94, 0x11, 0x94, 0, 16, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]

  private static func octets(_ address: IPv6Address) -> [UInt8] {
    number(address.high.byteSwapped) + number(address.low.byteSwapped)
  }

  private static func icmp(_ message: [UInt8]) -> [UInt8] { message[..<2] + internetChecksum(message) + message[4...] }

  private static func ipv4(
    _ next: UInt8, _ body: [UInt8], from source: IPv4Address, to destination: IPv4Address
  ) -> [UInt8] {
    let ends = number(source.value.byteSwapped) + number(destination.value.byteSwapped)
    let head = [0x45, 0] + number(UInt16(20 + body.count).byteSwapped) + [0, 0, 0, 0, 64, next, 0, 0] + ends
    return head[..<10] + internetChecksum(head) + head[12...] + body
  }

  private static func ipv6(
    _ next: UInt8, _ body: [UInt8], from source: IPv6Address, to destination: IPv6Address, hopLimit: UInt8 = 64
  ) -> [UInt8] {
    [0x60, 0, 0, 0] + number(UInt16(body.count).byteSwapped) + [next, hopLimit] + octets(source) + octets(destination)
      + body
  }
}
