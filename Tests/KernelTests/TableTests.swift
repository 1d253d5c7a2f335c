import Messages
import Provisioning
import Testing
import Wire

@testable import Kernel

/// The tables without a kernel: bounds, and what can't be made to happen on demand.
@Suite("Kernel tables")
struct TableTests {
  static let second: UInt64 = 1_000_000_000

  final class Box<Table> {
    var table: Table
    private var lines: [String] = []
    init(_ table: Table) { self.table = table }

    func change<Result>(_ body: (inout Table) -> Result) -> Result { body(&table) }

    func note(_ event: KernelEvent) {
      switch event {
      case .link(let link): lines.append("link \(link.index)\(link.isUp ? "" : " down")")
      case .linkRemoved(let index): lines.append("-link \(index)")
      case .address(let address): lines.append("address \(address.interface) \(text(address.prefix.address))")
      case .addressRemoved(let index, let prefix): lines.append("-address \(index) \(text(prefix.address))")
      case .defaultRoute(let route): lines.append("route \(route.interface) \(route.gateway.map(text) ?? "-")")
      case .defaultRouteRemoved(let route): lines.append("-route \(route.interface) \(route.gateway.map(text) ?? "-")")
      case .neighbour(let index, let address, let state): lines.append("neighbour \(index) \(text(address)) \(state)")
      case .snapshotComplete: lines.append("snapshot")
      }
    }
    func take() -> [String] {
      defer { lines = [] }
      return lines
    }
  }

  static func link(_ index: UInt32, up: Bool = true) -> Link {
    Link(index: index, name: InterfaceName("up\(index)".utf8), isUp: up, hasCarrier: up)
  }

  static func v4(_ last: UInt32) -> IPAddress { .v4(IPv4Address(0xC000_0200 + last)) }
  static func v6(_ last: UInt64) -> IPAddress { .v6(IPv6Address(0x2001_0DB8_0000_0000, last)) }

  static func route(
    _ hops: [(UInt32, IPAddress?)], family: Family = .v4, metric: UInt32 = 0, source: IPAddress? = nil,
    origin: UInt8 = 3
  ) -> Route {
    let any: IPAddress = family == .v4 ? .v4(.unspecified) : .v6(.unspecified)
    return Route(
      key: RouteKey(family: family, table: 254, metric: metric, source: IPPrefix(any, 0)), isUnicast: true,
      origin: origin, preferredSource: source, hops: hops.map { Hop(interface: $0.0, gateway: $0.1) })
  }

  // MARK: Routes

  @Test("a route before its link is told with it")
  func parkedRoute() {
    let box = Box(DefaultRoutes())
    _ = box.table.add(Self.route([(1, Self.v4(254)), (2, Self.v4(253))]), cycle: 1, box.note)
    #expect(box.take() == [])
    box.table.link(2, isUp: true, box.note)
    #expect(box.take() == ["route 2 192.0.2.253"])
    box.table.link(2, isUp: true, box.note)
    #expect(box.take() == [])
    box.table.link(1, isUp: true, box.note)
    #expect(box.take() == ["route 1 192.0.2.254"])
    box.table.linkRemoved(2, box.note)
    #expect(box.take() == ["-route 2 192.0.2.253"])
    // The index is another link's now.
    box.table.link(2, isUp: true, box.note)
    #expect(box.take() == [])
  }

  @Test("routes that differ in nothing that is told are one until the last goes")
  func twins() {
    let box = Box(DefaultRoutes())
    box.table.link(1, isUp: true, box.note)
    var second = Self.route([(1, Self.v6(0xFE))], family: .v6)
    second.key.source = IPPrefix(Self.v6(0), 64)
    let first = Self.route([(1, Self.v6(0xFE))], family: .v6)
    _ = box.table.add(first, cycle: 1, box.note)
    _ = box.table.add(second, cycle: 1, box.note)
    #expect(box.take() == ["route 1 2001:db8::fe"])
    _ = box.table.remove(first, box.note)
    #expect(box.take() == [])
    _ = box.table.remove(second, box.note)
    #expect(box.take() == ["-route 1 2001:db8::fe"])
  }

  @Test("full, the table refuses, and tells of what it holds as before")
  func routeLimit() {
    let box = Box(DefaultRoutes(limit: 2))
    box.table.link(1, isUp: true, box.note)
    #expect(box.change { $0.add(Self.route([(1, Self.v4(1))], metric: 1), cycle: 1, box.note) } == .applied)
    #expect(box.change { $0.add(Self.route([(1, Self.v4(2))], metric: 2), cycle: 1, box.note) } == .applied)
    #expect(box.change { $0.add(Self.route([(1, Self.v4(3))], metric: 3), cycle: 1, box.note) } == .refused)
    _ = box.take()
    #expect(box.change { $0.remove(Self.route([(1, Self.v4(3))], metric: 3), box.note) } == .applied)
    #expect(box.take() == [])
    _ = box.table.remove(Self.route([(1, Self.v4(1))], metric: 1), box.note)
    #expect(box.take() == ["-route 1 192.0.2.1"])
    #expect(box.change { $0.add(Self.route([(1, Self.v4(3))], metric: 3), cycle: 1, box.note) } == .applied)
  }

  @Test("advertised IPv6 routes of one metric: a replacement doesn't say which one went")
  func advertised() {
    let box = Box(DefaultRoutes())
    box.table.link(1, isUp: true, box.note)
    for last in [1, 2] as [UInt64] {
      _ = box.table.add(Self.route([(1, Self.v6(last))], family: .v6, origin: 9), cycle: 1, box.note)
    }
    _ = box.take()
    let third = Self.route([(1, Self.v6(3))], family: .v6)
    #expect(box.change { $0.add(third, replaces: true, cycle: 1, box.note) } == .ambiguous)
    #expect(box.take() == ["route 1 2001:db8::3"])
    // The dump that follows brings two of the three.
    _ = box.table.add(third, cycle: 2, box.note)
    _ = box.table.add(Self.route([(1, Self.v6(2))], family: .v6, origin: 9), cycle: 2, box.note)
    box.table.sweep(.v6, cycle: 2, box.note)
    #expect(box.take() == ["-route 1 2001:db8::1"])
  }

  @Test("a dump sweeps its own family only")
  func sweep() {
    let box = Box(DefaultRoutes())
    box.table.link(1, isUp: true, box.note)
    _ = box.table.add(Self.route([(1, Self.v4(1))]), cycle: 1, box.note)
    _ = box.table.add(Self.route([(1, Self.v6(1))], family: .v6), cycle: 1, box.note)
    _ = box.take()
    box.table.sweep(.v4, cycle: 2, box.note)
    #expect(box.take() == ["-route 1 192.0.2.1"])
  }

  @Test("IPv4 routes go with the source that they prefer, if they are in their link's table")
  func sourceGoes() {
    let box = Box(DefaultRoutes())
    box.table.link(1, isUp: true, box.note)
    _ = box.table.add(Self.route([(1, Self.v4(1))], source: Self.v4(9)), cycle: 1, box.note)
    _ = box.take()
    box.table.sourceRemoved(Self.v4(9), on: 1, table: 10, box.note)
    #expect(box.take() == [])
    box.table.sourceRemoved(Self.v4(9), on: 1, table: RoutingTable.main, box.note)
    #expect(box.take() == ["-route 1 192.0.2.1"])
  }

  // MARK: Links and addresses

  @Test("an address before its link is told with it, and not at all if it went before")
  func parkedAddress() {
    let box = Box(Interfaces())
    for last in [1, 2] as [UInt32] {
      _ = box.table.setAddress(
        InterfaceAddress(interface: 7, prefix: IPPrefix(Self.v4(last), 24)), peer: nil, isDump: false, cycle: 1, at: 0,
        box.note)
    }
    _ = box.table.removeAddress(IPPrefix(Self.v4(1), 24), peer: nil, on: 7, box.note)
    #expect(box.take() == [])
    _ = box.table.setLink(Self.link(7), cycle: 1, box.note)
    #expect(box.take() == ["link 7", "address 7 192.0.2.2"])
  }

  struct Repeat: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var isDump: Bool
    var first: UInt32
    var second: UInt32
    /// Seconds between them.
    var after: UInt64
    var isNews: Bool
  }
  static let repeats = [
    Repeat(testDescription: "for ever, again", isDump: false, first: .max, second: .max, after: 100, isNews: false),
    Repeat(
      testDescription: "a dump: less is left, by as much", isDump: true, first: 100, second: 90, after: 10,
      isNews: false),
    Repeat(testDescription: "a dump, rounded down", isDump: true, first: 100, second: 89, after: 10, isNews: false),
    Repeat(
      testDescription: "a dump: it was renewed meanwhile", isDump: true, first: 100, second: 100, after: 10,
      isNews: true),
    Repeat(
      testDescription: "a notification: it was renewed", isDump: false, first: 100, second: 100, after: 1, isNews: true),
    Repeat(
      testDescription: "a notification: for ever now", isDump: false, first: 100, second: .max, after: 1, isNews: true),
    Repeat(testDescription: "a dump: for ever now", isDump: true, first: 100, second: .max, after: 1, isNews: true),
  ]
  @Test(arguments: repeats)
  func lifetimes(_ repeated: Repeat) {
    let box = Box(Interfaces())
    _ = box.table.setLink(Self.link(1), cycle: 1, box.note)
    var address = InterfaceAddress(interface: 1, prefix: IPPrefix(Self.v4(1), 24))
    address.validLifetime = repeated.first
    _ = box.table.setAddress(address, peer: nil, isDump: false, cycle: 1, at: 0, box.note)
    _ = box.take()
    address.validLifetime = repeated.second
    _ = box.table.setAddress(
      address, peer: nil, isDump: repeated.isDump, cycle: 2, at: repeated.after * Self.second, box.note)
    #expect(box.take().isEmpty == !repeated.isNews)
    // Seen is seen, told or not.
    #expect(box.table.addressesLeft(cycle: 2).isEmpty)
  }

  @Test("the same address with two lengths and two peers")
  func sameBits() {
    let box = Box(Interfaces())
    _ = box.table.setLink(Self.link(1), cycle: 1, box.note)
    let (host, net) = (IPPrefix(Self.v4(1), 32), IPPrefix(Self.v4(1), 24))
    for (prefix, peer) in [(host, Self.v4(2)), (host, Self.v4(3)), (net, nil)] as [(IPPrefix, IPAddress?)] {
      _ = box.table.setAddress(
        InterfaceAddress(interface: 1, prefix: prefix), peer: peer, isDump: false, cycle: 1, at: 0, box.note)
    }
    #expect(box.table.addressCount == 3)
    let first = box.table.removeAddress(host, peer: Self.v4(2), on: 1, box.note)
    #expect(first?.sourceIsGone == false)
    #expect(box.change { $0.removeAddress(host, peer: Self.v4(2), on: 1, box.note) } == nil)
    _ = box.take()
    let second = box.table.removeAddress(host, peer: Self.v4(3), on: 1, box.note)
    #expect(second?.sourceIsGone == false)
    #expect(second?.wasLastIPv4 == false)
    #expect(box.take() == ["-address 1 192.0.2.1"])
    let third = box.table.removeAddress(net, peer: nil, on: 1, box.note)
    #expect(third?.sourceIsGone == true)
    #expect(third?.wasLastIPv4 == true)
    #expect(box.table.addressCount == 0)
  }

  @Test("full, links and addresses are refused")
  func limits() {
    let box = Box(Interfaces(linkLimit: 2, addressLimit: 2))
    #expect(box.change { $0.setLink(Self.link(1), cycle: 1, box.note) })
    #expect(box.change { $0.setLink(Self.link(2), cycle: 1, box.note) })
    #expect(!box.change { $0.setLink(Self.link(3), cycle: 1, box.note) })
    #expect(box.change { $0.setLink(Self.link(2, up: false), cycle: 1, box.note) })
    for (last, expected) in [(1, "new"), (2, "new"), (3, "refused"), (2, "known")] as [(UInt32, String)] {
      let result = box.table.setAddress(
        InterfaceAddress(interface: 1, prefix: IPPrefix(Self.v4(last), 24)), peer: nil, isDump: false, cycle: 1, at: 0,
        box.note)
      #expect("\(result)" == expected)
    }
    #expect(box.take() == ["link 1", "link 2", "link 2 down", "address 1 192.0.2.1", "address 1 192.0.2.2"])
    box.table.removeAddresses(of: 1, box.note)
    box.table.removeLink(1, box.note)
    #expect(box.table.addressCount == 0)
    #expect(box.change { $0.setLink(Self.link(3), cycle: 1, box.note) })
  }

  // MARK: Neighbours

  @Test("a neighbour is followed as long as it is a gateway or a router")
  func neighbours() {
    let box = Box(Neighbours(limit: 2))
    let (gateway, router, other) = (
      NeighbourKey(interface: 1, address: Self.v4(1)), NeighbourKey(interface: 1, address: Self.v6(1)),
      NeighbourKey(interface: 1, address: Self.v4(3))
    )
    #expect(box.change { $0.set(other, .state(.failed), isRouter: false, cycle: 1, box.note) })
    #expect(box.change { $0.setGateways([gateway]) } == [gateway])
    #expect(box.change { $0.setGateways([gateway]) } == [])
    #expect(box.change { $0.set(gateway, .state(.failed), isRouter: false, cycle: 1, box.note) })
    #expect(box.change { $0.set(router, .state(.reachable), isRouter: true, cycle: 1, box.note) })
    #expect(box.take() == ["neighbour 1 192.0.2.1 failed", "neighbour 1 2001:db8::1 reachable"])
    // Asked for again: not a word in its favour yet.
    #expect(box.change { $0.set(gateway, .asking, isRouter: false, cycle: 1, box.note) })
    #expect(box.take() == [])
    let late = NeighbourKey(interface: 1, address: Self.v6(9))
    #expect(!box.change { $0.set(late, .state(.failed), isRouter: true, cycle: 1, box.note) })
    // A router that says it is none any more (RFC 4861, 7.2.5).
    #expect(box.change { $0.set(router, .state(.reachable), isRouter: false, cycle: 1, box.note) })
    #expect(box.take() == ["neighbour 1 2001:db8::1 unknown"])
    box.table.sweep(cycle: 2, box.note)
    #expect(box.take() == ["neighbour 1 192.0.2.1 unknown"])
  }
}
