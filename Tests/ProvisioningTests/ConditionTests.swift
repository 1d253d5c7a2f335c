import Messages
import PacketBuilders
import Testing
import Wire

@testable import Provisioning

/// The conditions that the agent keeps in the TDB, row by row (docs/protocol.md, "conditions").
@Suite struct ConditionTests {
  private let address4 = IPPrefix(v4(10), 24)
  private let address6 = IPPrefix(v6(0x10), 64)
  private let gateway4 = Host.route(v4(1))
  private let gateway6 = Host.route(.v6(fe80(1)), .v6)

  /// Carrier, usable addresses and default routers of both families.
  private func connected() -> Host {
    let host = Host.withLink()
    host.address(address4)
    host.address(address6)
    host.apply(.defaultRoute(gateway4))
    host.apply(.defaultRoute(gateway6))
    #expect(host.state.triggers.count == 5)
    host.told()
    return host
  }

  // MARK: IF_ADDED, IF_REMOVED

  @Test func `IF_ADDED stands while the interface exists`() {
    let host = Host()
    host.link()
    #expect(host.told() == ["INTERFACE up0", "ADD IF_ADDED"])
    host.link(isUp: false)
    #expect(host.told() == ["INTERFACE up0"])
    host.apply(.linkRemoved(index: Host.up0))
    #expect(host.told() == ["DELETE IF_ADDED contradicted", "ADD IF_REMOVED", "NO_INTERFACE up0"])
  }

  @Test func `IF_REMOVED goes after the hold time`() {
    let host = Host.withLink()
    host.apply(.linkRemoved(index: Host.up0))
    host.told()
    host.wait(59.999)
    #expect(host.standing == ["IF_REMOVED"])
    host.wait(0.001)
    #expect(host.told() == ["DELETE IF_REMOVED expired"])
    #expect(host.state.nextDeadline == .never)
  }

  @Test func `IF_REMOVED goes when the interface is back, under whatever index`() {
    let host = Host.withLink()
    host.apply(.linkRemoved(index: Host.up0))
    host.told()
    host.link(17, name: "up0")
    #expect(host.told() == ["DELETE IF_REMOVED contradicted", "INTERFACE up0", "ADD IF_ADDED"])
    host.wait(120)
    #expect(host.told() == [])
  }

  @Test func `IF_REMOVED goes when another interface takes the name`() {
    let host = Host.withLink()
    host.link(17, name: "new")
    host.apply(.linkRemoved(index: Host.up0))
    host.told()
    host.link(17, name: "up0")
    #expect(host.toldTriggers().contains("DELETE IF_REMOVED contradicted"))
  }

  @Test func `IF_REMOVED names the addresses that the interface last had, each once`() {
    let host = connected()
    // The kernel's order for a link that is deleted: down, the addresses one by one, the link.
    host.link(isUp: false)
    host.removeAddress(address6)
    host.removeAddress(address4)
    host.address(address4)
    host.removeAddress(address4)
    host.apply(.linkRemoved(index: Host.up0))
    #expect(host.standing.contains("IF_REMOVED \(text(address6)) \(text(address4))"))
    host.told()
  }

  @Test func `IF_REMOVED names addresses that the kernel did not take away before the link`() {
    let host = connected()
    host.apply(.linkRemoved(index: Host.up0))
    #expect(host.standing.contains("IF_REMOVED \(text(address4)) \(text(address6))"))
    host.told()
  }

  @Test func `IF_REMOVED names no addresses of an earlier time that the link was up`() {
    let host = connected()
    host.link(isUp: false)
    host.removeAddress(address6)
    host.link()
    host.removeAddress(address4)
    host.apply(.linkRemoved(index: Host.up0))
    #expect(host.standing.contains("IF_REMOVED"))
    host.told()
  }

  @Test func `IF_REMOVED names at most as many addresses as a message carries`() {
    let host = Host.withLink()
    for low in 1...40 { host.address(IPPrefix(v6(UInt64(low)), 64)) }
    host.apply(.linkRemoved(index: Host.up0))
    #expect(host.trigger(.interfaceRemoved)?.addresses.count == 16)
    host.told()
  }

  @Test func `A renamed interface is the same one under its new name`() {
    let host = Host.withLink()
    host.link(name: "wan")
    #expect(host.told() == ["INTERFACE wan", "MODIFY IF_ADDED"])
    #expect(host.trigger(.interfaceAdded)?.origin.interfaceName == InterfaceName("wan".utf8))
  }

  // MARK: IF_ADDRCHANGED

  @Test(arguments: [InterfaceAddress.Flags.tentative, .duplicate, [.tentative, .duplicate]])
  func `IF_ADDRCHANGED stands while the address is usable`(_ unusable: InterfaceAddress.Flags) {
    let host = Host.withLink()
    host.address(address6, unusable)
    #expect(host.told() == [])
    host.address(address6)
    #expect(host.toldTriggers() == ["ADD IF_ADDRCHANGED \(text(address6))"])
    host.address(address6, unusable)
    #expect(host.toldTriggers() == ["DELETE IF_ADDRCHANGED \(text(address6)) contradicted"])
    host.address(address6)
    host.removeAddress(address6)
    #expect(
      host.toldTriggers()
        == ["ADD IF_ADDRCHANGED \(text(address6))", "DELETE IF_ADDRCHANGED \(text(address6)) contradicted"])
  }

  @Test func `IF_ADDRCHANGED is modified when the address is deprecated, and when it is preferred again`() {
    let host = Host.withLink()
    host.address(address6, preferred: 100, valid: 200)
    host.told()
    host.wait(100)
    host.address(address6, .deprecated, preferred: 0, valid: 100)
    #expect(host.toldTriggers() == ["MODIFY IF_ADDRCHANGED \(text(address6))"])
    #expect(host.trigger(.addressChanged)?.origin.addressFlags == AddressFlags.deprecated.rawValue)
    host.address(address6, preferred: 100, valid: 200)
    #expect(host.toldTriggers() == ["MODIFY IF_ADDRCHANGED \(text(address6))"])
    #expect(host.trigger(.addressChanged)?.origin.addressFlags == 0)
  }

  @Test func `IF_ADDRCHANGED is not modified for lifetimes: a renewal must not make a peer roam`() {
    let host = Host.withLink()
    host.address(address4, preferred: 300, valid: 300)
    host.told()
    host.wait(150)
    host.address(address4, preferred: 300, valid: 300)
    #expect(host.toldTriggers() == [])
  }

  @Test func `Addresses of the host's own are no news to a peer`() {
    let host = Host.withLink()
    host.apply(
      .address(
        InterfaceAddress(interface: Host.up0, prefix: IPPrefix(.v4(IPv4Address(0x7F00_0001)), 8), isHostScope: true)))
    #expect(host.told() == [])
  }

  @Test func `Link-local addresses name their interface (RFC 4007)`() {
    let host = Host.withLink()
    host.address(IPPrefix(.v6(fe80(9)), 64))
    #expect(host.told() == ["ADD IF_ADDRCHANGED fe80::9/64"])
    #expect(host.trigger(.addressChanged)?.addresses[0].scope == Host.up0)
  }

  // MARK: CONN_ESTABLISHED, CONN_LOST

  struct Family: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let address: IPPrefix
    let other: IPPrefix
    let route: DefaultRoute
    static let both = [
      Family(
        testDescription: "IPv4", address: IPPrefix(v4(10), 24), other: IPPrefix(v4(20), 24), route: Host.route(v4(1))),
      Family(
        testDescription: "IPv6", address: IPPrefix(v6(0x10), 64), other: IPPrefix(v6(0x20), 64),
        route: Host.route(.v6(fe80(1)), .v6)),
    ]
    var established: String { "CONN_ESTABLISHED \(text(address))" }
    var lost: String { "CONN_LOST \(text(address))" }
    func connected() -> Host {
      let host = Host.withLink()
      host.address(address)
      host.apply(.defaultRoute(route))
      host.told()
      return host
    }
  }

  @Test(arguments: Family.both)
  func `CONN_ESTABLISHED wants carrier, a usable address and a default router`(_ family: Family) {
    let host = Host()
    host.link(hasCarrier: false)
    host.address(family.address, .tentative)
    host.apply(.defaultRoute(family.route))
    host.told()
    host.link()
    #expect(host.toldTriggers() == [])
    host.address(family.address)
    #expect(host.toldTriggers() == ["ADD IF_ADDRCHANGED \(text(family.address))", "ADD \(family.established)"])
  }

  @Test(arguments: Family.both)
  func `CONN_LOST when the carrier goes, contradicted when it is back`(_ family: Family) {
    let host = family.connected()
    host.link(hasCarrier: false)
    #expect(host.toldTriggers() == ["DELETE \(family.established) contradicted", "ADD \(family.lost)"])
    host.wait(30)
    host.link()
    #expect(host.toldTriggers() == ["DELETE \(family.lost) contradicted", "ADD \(family.established)"])
    host.wait(100)
    #expect(host.toldTriggers() == [])
  }

  @Test(arguments: Family.both)
  func `CONN_LOST goes after the hold time`(_ family: Family) {
    let host = family.connected()
    host.apply(.defaultRouteRemoved(family.route))
    #expect(host.toldTriggers() == ["DELETE \(family.established) contradicted", "ADD \(family.lost)"])
    host.wait(60)
    #expect(host.toldTriggers() == ["DELETE \(family.lost) expired"])
    host.apply(.defaultRoute(family.route))
    #expect(host.toldTriggers() == ["ADD \(family.established)"])
  }

  @Test(arguments: Family.both)
  func `CONN_LOST when the gateway fails, and its end when it answers again`(_ family: Family) {
    let host = family.connected()
    let gateway = family.route.gateway!
    host.apply(.neighbour(interface: Host.up0, gateway, .failed))
    #expect(host.toldTriggers() == ["DELETE \(family.established) contradicted", "ADD \(family.lost)"])
    // Nothing known is no answer.
    host.apply(.neighbour(interface: Host.up0, gateway, .unknown))
    #expect(host.told() == [])
    host.apply(.neighbour(interface: Host.up0, gateway, .reachable))
    #expect(host.toldTriggers() == ["DELETE \(family.lost) contradicted", "ADD \(family.established)"])
  }

  @Test(arguments: Family.both)
  func `CONN_LOST comes before the last address goes`(_ family: Family) {
    let host = family.connected()
    host.removeAddress(family.address)
    #expect(
      host.toldTriggers() == [
        "DELETE \(family.established) contradicted", "ADD \(family.lost)",
        "DELETE IF_ADDRCHANGED \(text(family.address)) contradicted",
      ])
  }

  @Test(arguments: Family.both)
  func `Another preferred source is a MODIFY`(_ family: Family) {
    let host = family.connected()
    host.address(family.other)
    #expect(host.toldTriggers() == ["ADD IF_ADDRCHANGED \(text(family.other))"])
    host.address(family.address, .deprecated)
    #expect(
      host.toldTriggers() == [
        "MODIFY IF_ADDRCHANGED \(text(family.address))", "MODIFY CONN_ESTABLISHED \(text(family.other))",
      ])
    host.removeAddress(family.address)
    #expect(host.toldTriggers() == ["DELETE IF_ADDRCHANGED \(text(family.address)) contradicted"])
  }

  @Test(arguments: Family.both)
  func `A replaced route, told before the old one goes, loses nothing`(_ family: Family) {
    let host = family.connected()
    var better = family.route
    better.metric = 50
    host.apply(.defaultRoute(better))
    host.apply(.defaultRouteRemoved(family.route))
    #expect(host.toldTriggers() == [])
  }

  @Test(arguments: Family.both)
  func `Routes of other tables are not looked at`(_ family: Family) {
    let host = Host.withLink()
    host.address(family.address)
    host.told()
    var route = family.route
    route.table = 100
    host.apply(.defaultRoute(route))
    #expect(host.told() == [])
  }

  @Test func `A gateway that failed for an old lease is asked anew for the next one`() {
    let host = connected()
    host.apply(.neighbour(interface: Host.up0, v4(1), .failed))
    host.removeAddress(address4)
    host.told()
    host.address(address4)
    host.apply(.defaultRoute(gateway4))
    #expect(host.toldTriggers().last == "ADD CONN_ESTABLISHED \(text(address4))")
  }

  @Test func `A second gateway keeps the path while the first does not answer`() {
    let host = connected()
    host.apply(.defaultRoute(Host.route(v4(2), metric: 10)))
    host.told()
    host.apply(.neighbour(interface: Host.up0, v4(1), .failed))
    #expect(host.told() == [])
    host.apply(.neighbour(interface: Host.up0, v4(2), .failed))
    #expect(host.toldTriggers().last == "ADD CONN_LOST \(text(address4))")
  }

  @Test func `An on-link default route wants no gateway`() {
    let host = Host.withLink()
    host.address(address4)
    host.apply(.defaultRoute(Host.route(nil)))
    #expect(host.toldTriggers().last == "ADD CONN_ESTABLISHED \(text(address4))")
  }

  @Test func `The route's own choice of source comes first (RFC 6724, 5)`() {
    let host = Host.withLink()
    host.address(address4)
    host.address(IPPrefix(v4(20), 24))
    host.apply(.defaultRoute(Host.route(v4(1), preferredSource: v4(20))))
    #expect(host.toldTriggers().last == "ADD CONN_ESTABLISHED 192.0.2.20/24")
  }

  @Test func `The kernel drops IPv4 routes with their preferred source without a word`() {
    let host = Host.withLink()
    host.address(address4)
    host.address(IPPrefix(v4(20), 24))
    host.apply(.defaultRoute(Host.route(v4(1), preferredSource: v4(20))))
    host.told()
    host.removeAddress(IPPrefix(v4(20), 24))
    #expect(host.toldTriggers().contains("ADD CONN_LOST 192.0.2.20/24"))
  }

  @Test func `Link down: CONN_LOST of both families comes before the addresses go`() {
    let host = connected()
    host.link(isUp: false)
    host.removeAddress(address6)
    #expect(
      host.toldTriggers() == [
        "DELETE CONN_ESTABLISHED \(text(address4)) contradicted", "ADD CONN_LOST \(text(address4))",
        "DELETE CONN_ESTABLISHED \(text(address6)) contradicted", "ADD CONN_LOST \(text(address6))",
        "DELETE IF_ADDRCHANGED \(text(address6)) contradicted",
      ])
  }

  @Test func `Link deleted: CONN_LOST, addresses, PvDs, IF_ADDED, IF_REMOVED, interface`() {
    let host = connected()
    host.apply(.linkRemoved(index: Host.up0))
    let lines = host.told()
    #expect(
      lines == [
        "DELETE CONN_ESTABLISHED \(text(address4)) contradicted", "ADD CONN_LOST \(text(address4))",
        "DELETE CONN_ESTABLISHED \(text(address6)) contradicted", "ADD CONN_LOST \(text(address6))",
        "DELETE IF_ADDRCHANGED \(text(address6)) contradicted",
        "NO_ADDRESS up0/kernel \(text(address4))", "NO_ADDRESS up0/kernel \(text(address6))",
        "NO_ELEMENT up0/kernel KERNEL", "NO_PVD up0/kernel",
        "DELETE IF_ADDRCHANGED \(text(address4)) contradicted",
        "DELETE IF_ADDED contradicted", "ADD IF_REMOVED \(text(address4)) \(text(address6))", "NO_INTERFACE up0",
      ])
    host.wait(60)
    #expect(host.state.triggers.count == 0)
    host.told()
  }

  @Test func `A default route counts in its link's table: the main one, or that of the VRF`() {
    let host = Host.withLink()
    host.address(address4)
    host.told()
    host.apply(.defaultRoute(Host.route(v4(1), table: 10)))
    #expect(host.toldTriggers() == [])
    host.link(routingTable: 10)
    host.apply(.defaultRoute(gateway4))
    #expect(host.toldTriggers() == [])
    host.apply(.defaultRoute(Host.route(v4(1), table: 10)))
    #expect(host.toldTriggers() == ["ADD CONN_ESTABLISHED \(text(address4))"])
  }

  @Test func `CONN_LOST of a link that is gone is contradicted when it is back and connected`() {
    let host = connected()
    host.apply(.linkRemoved(index: Host.up0))
    host.link(9, name: "up0")
    host.address(address4, on: 9)
    host.told()
    host.apply(.defaultRoute(Host.route(v4(1), on: 9)))
    #expect(
      host.toldTriggers() == [
        "DELETE CONN_LOST \(text(address4)) contradicted", "ADD CONN_ESTABLISHED \(text(address4))",
      ])
    host.wait(60)
    #expect(host.standing.count { $0.hasPrefix("CONN_LOST") } == 0)
    host.told()
  }

  @Test func `Links that come and go do not pile CONN_LOST up`() {
    var limits = Limits()
    limits.interfaces = 8
    let host = Host(limits: limits)
    for round in 0..<200 as Range<UInt32> {
      let index = round + 2
      host.link(index, name: "ppp\(round)")
      host.address(address4, on: index)
      host.apply(.defaultRoute(Host.route(nil, on: index)))
      host.apply(.linkRemoved(index: index))
    }
    host.told()
    #expect(host.state.triggers.count <= 3 * 8)
    host.wait(60)
    host.told()
    #expect(host.state.triggers.count == 0)
  }
}
