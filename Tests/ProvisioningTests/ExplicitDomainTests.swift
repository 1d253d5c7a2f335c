import Messages
import PacketBuilders
import Testing
import Wire

@testable import Provisioning

/// Explicit PvDs (RFC 8801) beside implicit ones, on several links, and over a restart of the agent.
@Suite struct ExplicitDomainTests {
  private let one = "up0/ra/fe80::1"
  private let isp = Build.name("isp.example.com")
  private let address = IPPrefix(v6(0x10), 64)

  private func explicit(_ name: String = "isp.example.com", net: UInt64 = 1, sequence: Int = 1) -> [[UInt8]] {
    [Build.pvd(Build.name(name), sequence: sequence, [Build.pio(prefix(net), valid: 1000, preferred: 1000)])]
  }

  private func ra(_ options: [[UInt8]], from router: UInt64 = 1, lifetime: Int = 1800) -> [UInt8] {
    Build.ra(options, source: fe80(router), lifetime: lifetime)
  }

  @Test func `A router from implicit to explicit and back takes its addresses along (3.4)`() {
    let host = Host.withLink()
    let implicit = ra([Build.pio(prefix(1), valid: 1000, preferred: 1000)])
    host.hear(implicit)
    host.address(address)
    host.told()
    host.hear(ra(explicit()))
    #expect(host.told().contains("ADDRESS isp.example.com \(text(address))"))
    host.hear(implicit)
    #expect(host.items(.defaultRouter, of: .routerAdvertisement, in: one).count == 1)
    // What the explicit PvD had runs out at its own time.
    host.wait(1000)
    host.hear(implicit)
    host.told()
    host.wait(800)
    #expect(host.state.domains(of: Host.up0)!.map { String(decoding: $0.name, as: UTF8.self) } == [one])
  }

  @Test func `Several explicit PvDs of one link are apart, each with its own addresses`() {
    let host = Host.withLink()
    host.hear(ra(explicit()))
    host.hear(ra(explicit("other.example.net", net: 2), from: 2))
    host.told()
    let second = IPPrefix(v6(0x10, net: 2), 64)
    host.address(address)
    host.address(second)
    #expect(
      host.toldDomains() == [
        "ADDRESS isp.example.com \(text(address))", "ADDRESS other.example.net \(text(second))",
      ])
  }

  /// RFC 8801, 3.4: a PvD is of one interface, until somebody says otherwise.
  @Test func `An explicit PvD on two interfaces is two`() {
    let host = Host.withLink()
    host.link(Host.up1)
    host.told()
    host.hear(ra(explicit()))
    host.hear(ra(explicit()), on: Host.up1)
    #expect(host.told().count { $0 == "PVD isp.example.com" } == 2)
    let ids = [Host.up0, Host.up1].map { host.state.domains(of: $0)!.map(\.id) }
    #expect(ids[0].count == 1 && ids[1].count == 1 && ids[0] != ids[1])
    host.link(Host.up1, isUp: false)
    #expect(host.told().count { $0 == "NO_PVD isp.example.com" } == 1)
    #expect(host.state.domains(of: Host.up0)!.map(\.id) == ids[0])
  }

  @Test func `A sequence number that changes, wraps around even, keeps the PvD (3.1)`() {
    let host = Host.withLink()
    host.hear(ra(explicit(sequence: 65_535)))
    host.told()
    let id = host.state.domains(of: Host.up0)!.map(\.id)
    host.hear(ra(explicit(sequence: 0)))
    #expect(host.told() == ["ELEMENT isp.example.com RA"])
    #expect(host.state.domains(of: Host.up0)!.map(\.id) == id)
  }

  /// The kernel's addresses come first then, with what is left of their lifetimes; who brought them is known again with
  /// the next advertisement, or with the next answer to the DHCP client.
  @Test func `After a restart each address finds the PvD that brought it`() {
    let host = Host.withLink()
    let leased = IPPrefix(v4(10), 24)
    let byHand = IPPrefix(v6(0x99, net: 9), 64)
    host.address(address, .advertised, preferred: 500, valid: 900)
    host.address(leased, valid: 1800)
    host.address(byHand, .permanent)
    host.told()
    host.hear(ra(explicit()))
    host.hear(
      Build.udp4(Build.dhcpv4Message([53, 1, 3, 255], operation: 1, yourAddress: .unspecified), to: 67), outgoing: true)
    host.hear(Build.ack([1, 4, 255, 255, 255, 0]))
    let told = host.told()
    #expect(told.contains("ADDRESS isp.example.com \(text(address))"))
    #expect(told.contains("ADDRESS up0/dhcpv4/192.0.2.1 \(text(leased))"))
    let kernel = host.state.domains(of: Host.up0)!.first { $0.name == Array("up0/kernel".utf8) }
    #expect(kernel?.addresses.map { $0.address.prefix } == [byHand])
    // What the kernel says is left counts, not what was heard.
    let mine = host.state.domains(of: Host.up0)!.first { $0.name == Array("isp.example.com".utf8) }
    #expect(mine?.addresses.first?.remaining(at: host.moment.instant).validLifetime == 900)
  }

  /// IFA_PROTO and a route's protocol tell that a router was there before the agent was: it is worth asking.
  @Test func `Routers that were there before the agent are known by what the kernel has from them`() {
    func isUnheard(_ host: Host) -> Bool? { host.state.condition(of: Host.up0)?.hasUnheardRouter }
    let host = Host.withLink()
    host.address(IPPrefix(v6(0x99, net: 9), 64), .permanent)
    host.apply(.defaultRoute(Host.route(.v6(fe80(1)), .v6)))
    #expect(isUnheard(host) == false, "by hand")
    host.address(address, .advertised, preferred: 500, valid: 900)
    #expect(isUnheard(host) == true, "an address")
    host.hear(ra(explicit()))
    #expect(isUnheard(host) == false)
    var other = Host.route(.v6(fe80(2)), .v6)
    other.origin = RoutingProtocol.advertisement
    host.apply(.defaultRoute(other))
    #expect(isUnheard(host) == true, "another router's default route")
    host.hear(ra(explicit("other.example.net", net: 2), from: 2))
    #expect(isUnheard(host) == false)
    host.told()
  }

  /// Of several PvDs the path is through the one whose router the kernel prefers (RFC 4191, 3.2 by the route's metric).
  @Test func `Of two routers the preferred one's PvD is the path's`() {
    let host = Host.withLink()
    host.hear(ra(explicit()))
    host.hear(ra(explicit("other.example.net", net: 2), from: 2))
    host.address(address)
    host.address(IPPrefix(v6(0x10, net: 2), 64))
    host.apply(.defaultRoute(Host.route(.v6(fe80(1)), .v6, metric: 1024)))
    host.apply(.defaultRoute(Host.route(.v6(fe80(2)), .v6, metric: 512)))
    host.told()
    #expect(
      host.state.domain(host.trigger(.connectionEstablished)!.origin.pvd)?.name == Array("other.example.net".utf8))
  }
}
