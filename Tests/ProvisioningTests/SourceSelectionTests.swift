import PacketBuilders
import Testing
import Wire

@testable import Provisioning

/// Which of a PvD's addresses are sent from (RFC 6724 5): the rules themselves are WireTests'.
@Suite struct SourceSelectionTests {
  private let far = v6(9, net: 0xFFFF)
  private let far4 = IPAddress("198.51.100.7")!

  private func domain(_ name: String, on index: UInt32 = Host.up0, _ host: Host) throws -> ProvisioningDomain {
    try #require(host.state.domains(of: index)?.first { String(decoding: $0.name, as: UTF8.self) == name })
  }

  private func source(_ destination: IPAddress, _ name: String, _ host: Host, on index: UInt32 = Host.up0) throws
    -> IPAddress?
  {
    host.state.source(for: destination, of: try domain(name, on: index, host))
  }

  /// Two routers, each a PvD with a prefix of its own, and a link-local address.
  private func twoRouters() -> Host {
    let host = Host.withLink()
    for router in 1...2 as ClosedRange<UInt64> {
      host.hear(Build.ra([Build.pio(prefix(router))], source: fe80(router)))
      host.address(IPPrefix(v6(0x10, net: router), 64))
    }
    host.address(IPPrefix(.v6(fe80(0x10)), 64))
    host.told()
    return host
  }

  @Test func onlyItsOwn() throws {
    let host = twoRouters()
    #expect(try source(far, "up0/ra/fe80::1", host) == v6(0x10, net: 1))
    #expect(try source(far, "up0/ra/fe80::2", host) == v6(0x10, net: 2))
    // Where another PvD's address would be the better one too.
    #expect(try source(v6(9, net: 1), "up0/ra/fe80::2", host) == v6(0x10, net: 2))
    #expect(try source(far4, "up0/ra/fe80::1", host) == nil)
    #expect(host.state.usableAddresses(of: try domain("up0/ra/fe80::1", host)) == [v6(0x10, net: 1)])
  }

  @Test func theLinksOwnAddressIsForTheLink() throws {
    let host = twoRouters()
    for name in ["up0/ra/fe80::1", "up0/ra/fe80::2"] {
      #expect(try source(.v6(fe80(1)), name, host) == .v6(fe80(0x10)))
      #expect(try source(IPAddress("ff02::fb")!, name, host) == .v6(fe80(0x10)))
      let known = try domain(name, host)
      #expect(host.state.usableAddresses(of: known, linkLocal: true).last == .v6(fe80(0x10)))
      #expect(!host.state.usableAddresses(of: known).contains(.v6(fe80(0x10))))
    }
    // Never beyond it, whatever else goes.
    host.removeAddress(IPPrefix(v6(0x10, net: 1), 64))
    #expect(try source(far, "up0/ra/fe80::1", host) == nil)
    // Nor while it is tentative.
    host.address(IPPrefix(.v6(fe80(0x10)), 64), [.tentative])
    #expect(try source(.v6(fe80(1)), "up0/ra/fe80::2", host) == v6(0x10, net: 2))
  }

  @Test func deprecatedAndTemporary() throws {
    let host = Host.withLink()
    host.hear(Build.ra([Build.pio(prefix(1))], source: fe80(1)))
    host.address(IPPrefix(v6(0x10), 64))
    host.address(IPPrefix(v6(0x20), 64), [.temporary])
    host.address(IPPrefix(v6(0x30), 64), [.deprecated])
    let name = "up0/ra/fe80::1"
    #expect(try source(far, name, host) == v6(0x20))
    #expect(try source(v6(0x30), name, host) == v6(0x30))
    #expect(host.state.usableAddresses(of: try domain(name, host)) == [v6(0x20), v6(0x10), v6(0x30)])
    host.address(IPPrefix(v6(0x20), 64), [.temporary, .deprecated])
    #expect(try source(far, name, host) == v6(0x10))
    host.removeAddress(IPPrefix(v6(0x10), 64))
    host.removeAddress(IPPrefix(v6(0x20), 64))
    #expect(try source(far, name, host) == v6(0x30))
  }

  /// Rule 5.5: two routers of one explicit PvD, each with a prefix of its own.
  @Test func ofTheNextHop() throws {
    let host = Host.withLink()
    for router in 1...2 as ClosedRange<UInt64> {
      let option = Build.pvd(Build.name("isp.example.com"), [Build.pio(prefix(router))])
      host.hear(Build.ra([option], source: fe80(router)))
      host.address(IPPrefix(v6(0x10, net: router), 64))
    }
    let name = "isp.example.com"
    #expect(try domain(name, host).addresses.count == 2)
    for router in 1...2 as ClosedRange<UInt64> {
      host.apply(.defaultRoute(Host.route(.v6(fe80(router)), .v6, metric: UInt32(10 - router))))
      #expect(try source(far, name, host) == v6(0x10, net: router))
    }
    // What is on the link has no next hop.
    #expect(try source(v6(9, net: 1), name, host) == v6(0x10, net: 1))
    // A router that does not answer is none.
    host.apply(.neighbour(interface: Host.up0, .v6(fe80(2)), .failed))
    #expect(try source(far, name, host) == v6(0x10, net: 1))
  }

  @Test func ofTwoSubnets() throws {
    let host = Host.withLink()
    host.address(IPPrefix(v4(1, net: 0xC612_0000), 15))
    host.address(IPPrefix(v4(10), 24))
    host.address(IPPrefix(v4(11), 24), [.secondary])
    host.apply(.defaultRoute(Host.route(v4(1))))
    let name = "up0/kernel"
    // 198.51.100.7 has more in common with 198.18.0.1, which the gateway is not in.
    #expect(try source(far4, name, host) == v4(10))
    #expect(try source(v4(99, net: 0xC612_0000), name, host) == v4(1, net: 0xC612_0000))
    #expect(try source(v4(99), name, host) == v4(10))
    // The route's own word.
    host.apply(.defaultRouteRemoved(Host.route(v4(1))))
    host.apply(.defaultRoute(Host.route(v4(1), preferredSource: v4(11))))
    #expect(try source(far4, name, host) == v4(11))
    #expect(try source(v4(99), name, host) == v4(10))
    #expect(host.state.usableAddresses(of: try domain(name, host)).first == v4(11))
  }

  /// 192.168.1.10/24 on both uplinks is two addresses.
  @Test func overlapping() throws {
    let host = Host.withLink()
    host.link(Host.up1)
    let address = IPPrefix(v4(10, net: 0xC0A8_0100), 24)
    for link in [Host.up0, Host.up1] { host.address(address, on: link) }
    #expect(try source(far4, "up0/kernel", host) == address.address)
    #expect(try source(far4, "up1/kernel", host, on: Host.up1) == address.address)
    host.removeAddress(address)
    #expect(try source(far4, "up1/kernel", host, on: Host.up1) == address.address)
  }

  @Test func aDomainThatIsGone() throws {
    let host = twoRouters()
    let gone = try domain("up0/ra/fe80::1", host)
    host.apply(.linkRemoved(index: Host.up0))
    #expect(host.state.source(for: far, of: gone) == nil)
    #expect(host.state.usableAddresses(of: gone, linkLocal: true) == [])
  }
}
