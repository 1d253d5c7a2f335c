import Messages
import PacketBuilders
import Testing
import Wire

@testable import Provisioning

/// Redirects from who is this host's first hop, and from others (RFC 4861, 8.1; RFC 1122, 3.2.2.2).
@Suite struct RedirectTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let packet: [UInt8]
    let isForeign: Bool
  }

  private static func v4(target: UInt32, from source: UInt32 = 0xC000_0201) -> [UInt8] {
    Build.redirect4(
      target: IPv4Address(target), Build.quote4(6, Build.tcp, source: Build.host4), source: IPv4Address(source))
  }

  @Test(arguments: [
    Case(
      testDescription: "from the default router",
      packet: Build.redirect6(target: Build.host, for: Build.far, source: fe80(1)), isForeign: false),
    Case(
      testDescription: "from an advertising router",
      packet: Build.redirect6(target: Build.host, for: Build.far, source: fe80(7)), isForeign: false),
    Case(
      testDescription: "from another neighbour",
      packet: Build.redirect6(target: Build.host, for: Build.far, source: fe80(2)), isForeign: true),
    Case(testDescription: "IPv4, from the default router", packet: v4(target: 0xC000_0203), isForeign: false),
    Case(
      testDescription: "IPv4, from another neighbour", packet: v4(target: 0xC000_0203, from: 0xC000_0204),
      isForeign: true),
    Case(testDescription: "IPv4, towards another network", packet: v4(target: 0xC633_6401), isForeign: true),
  ])
  func `A redirect is counted and changes nothing, and apart if it is not the first hop's`(_ redirect: Case) {
    let host = Host.withLink()
    host.address(IPPrefix(.v4(Build.host4), 24))
    host.apply(.defaultRoute(Host.route(.v4(Build.server4))))
    host.apply(.defaultRoute(Host.route(.v6(fe80(1)), .v6)))
    host.hear(Build.ra([], source: fe80(7)))
    host.told()
    host.hear(redirect.packet)
    #expect(host.told() == [])
    #expect(host.count(.redirects) == 1)
    #expect(host.count(.redirectsForeign) == (redirect.isForeign ? 1 : 0))
  }
}
