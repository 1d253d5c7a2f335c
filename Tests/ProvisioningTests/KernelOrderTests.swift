import Messages
import Testing
import Wire

@testable import Provisioning

/// The kernel's word in every order in which it may come (docs/architecture.md, "Kernel").
@Suite struct KernelOrderTests {
  private let address = IPPrefix(v4(10), 24)

  @Test func `What comes before its link is parked, not lost`() {
    let host = Host()
    host.address(address)
    host.apply(.defaultRoute(Host.route(v4(1))))
    #expect(host.told() == [])
    #expect(host.count(.parked) == 2)
    host.link()
    #expect(host.standing == ["IF_ADDED", "IF_ADDRCHANGED 192.0.2.10/24", "CONN_ESTABLISHED 192.0.2.10/24"])
    host.told()
  }

  @Test func `What is parked for one link stays parked when another comes`() {
    let host = Host()
    host.address(address, on: Host.up1)
    host.link(Host.up0)
    #expect(host.standing == ["IF_ADDED"])
    host.link(Host.up1)
    #expect(host.standing.contains("IF_ADDRCHANGED 192.0.2.10/24"))
    host.told()
  }

  @Test func `What is parked and then taken away does not come back with the link`() {
    let host = Host()
    host.address(address)
    host.address(IPPrefix(v4(11), 24))
    host.apply(.defaultRoute(Host.route(v4(1))))
    host.removeAddress(address)
    host.apply(.defaultRouteRemoved(Host.route(v4(1))))
    host.link()
    #expect(host.standing == ["IF_ADDED", "IF_ADDRCHANGED 192.0.2.11/24"])
    host.told()
    host.address(address, on: Host.up1)
    host.apply(.linkRemoved(index: Host.up1))
    host.link(Host.up1)
    #expect(host.standing.count { $0.hasPrefix("IF_ADDRCHANGED") } == 1)
    host.told()
  }

  @Test func `Parking is bounded, and the same thing parked again takes no more room`() {
    var limits = Limits()
    limits.parked = 4
    let host = Host(limits: limits)
    for _ in 0..<10 { host.address(address) }
    #expect(host.state.parked.count == 1)
    for low in 20..<40 as Range<UInt32> { host.address(IPPrefix(v4(low), 24)) }
    #expect(host.state.parked.count == 4)
    #expect(host.count(.parkedFull) == 17)
    host.link()
    #expect(host.state.parked.isEmpty)
    host.told()
  }

  @Test func `Events for links that never were are counted`() {
    let host = Host()
    host.apply(.linkRemoved(index: 9))
    host.removeAddress(address, on: 9)
    host.apply(.defaultRouteRemoved(Host.route(nil, on: 9)))
    #expect(host.count(.unknownInterface) == 3)
    #expect(host.told() == [])
  }

  @Test func `The same word twice is told once`() {
    let host = Host()
    for _ in 0..<2 {
      host.link()
      host.address(address)
      host.apply(.defaultRoute(Host.route(v4(1))))
    }
    #expect(
      host.told() == [
        "INTERFACE up0", "ADD IF_ADDED", "PVD up0/kernel", "ELEMENT up0/kernel KERNEL",
        "ADDRESS up0/kernel 192.0.2.10/24", "ADD IF_ADDRCHANGED 192.0.2.10/24",
        "ADD CONN_ESTABLISHED 192.0.2.10/24", "ELEMENT up0/kernel KERNEL",
      ])
  }

  @Test func `Tables of an interface are bounded and say so`() {
    var limits = Limits()
    limits.interfaces = 2
    limits.addressesPerInterface = 3
    limits.routesPerInterface = 3
    let host = Host(limits: limits)
    for index in 2..<6 as Range<UInt32> { host.link(index) }
    for low in 10..<20 as Range<UInt32> { host.address(IPPrefix(v4(low), 24)) }
    for low in 1..<10 as Range<UInt32> { host.apply(.defaultRoute(Host.route(v4(low)))) }
    #expect(host.count(.interfacesFull) == 2)
    #expect(host.count(.addressesFull) == 7)
    #expect(host.count(.routesFull) == 6)
    host.told()
    for low in 10..<20 as Range<UInt32> { host.removeAddress(IPPrefix(v4(low), 24)) }
    host.told()
    #expect(host.state.localAddresses.isEmpty)
  }

  @Test func `An address that two interfaces have is ours until the last of them has lost it`() {
    let host = Host()
    host.link(Host.up0)
    host.link(Host.up1)
    host.address(address, on: Host.up0)
    host.address(address, on: Host.up1)
    host.removeAddress(address, on: Host.up0)
    #expect(host.state.localAddresses[v4(10).asIPv6] == 1)
    host.apply(.linkRemoved(index: Host.up1))
    #expect(host.state.localAddresses.isEmpty)
    host.told()
  }

  @Test func `The interface that takes the place of a removed one keeps its own data`() {
    let host = Host()
    for index in 2..<7 as Range<UInt32> {
      host.link(index)
      host.address(IPPrefix(v4(index), 24), on: index)
    }
    host.apply(.linkRemoved(index: 3))
    host.apply(.linkRemoved(index: 2))
    host.apply(.defaultRoute(Host.route(nil, on: 6)))
    host.told()
    #expect(host.standing.last == "CONN_ESTABLISHED 192.0.2.6/24")
    #expect(host.state.interface(holding: v4(5)) == 5)
    #expect(host.state.domains(of: 2) == nil)
    #expect(host.state.domains(of: 4)?.first?.addresses.first?.address.prefix == IPPrefix(v4(4), 24))
  }

  @Test func `What is configured by hand is the KERNEL element, and its default routers are part of it`() {
    let host = Host.withLink()
    host.address(address)
    host.told()
    let route = Host.route(v4(1))
    host.apply(.defaultRoute(route))
    #expect(host.toldDomains() == ["ELEMENT up0/kernel KERNEL"])
    #expect(
      host.items(.defaultRouter, of: .kernel, in: "up0/kernel").map { $0.value } == [.router(v4(1), preference: 0)])
    host.apply(.defaultRouteRemoved(route))
    #expect(host.toldDomains() == ["ELEMENT up0/kernel KERNEL"])
    host.apply(.neighbour(interface: Host.up0, v4(1), .failed))
    #expect(host.told() == [])
  }

  @Test func `An address is told with what is left of its lifetime`() {
    let host = Host.withLink()
    host.address(address, preferred: 1000, valid: 1000)
    host.told()
    host.link(isUp: false)
    host.wait(400)
    host.told()
    host.link()
    var lifetimes: [UInt32] = []
    for case .address(_, let address) in host.state.announcements { lifetimes.append(address.validLifetime) }
    #expect(lifetimes == [600])
    host.told()
  }

  @Test func `New lifetimes and flags of an address are told in the MIF API, the same ones are not`() {
    let host = Host.withLink()
    host.address(address, preferred: 1000, valid: 2000)
    host.told()
    host.wait(500)
    host.address(address, preferred: 500, valid: 1500)
    #expect(host.told() == [])
    host.address(address, preferred: 1000, valid: 2000)
    #expect(host.told() == ["ADDRESS up0/kernel 192.0.2.10/24"])
    host.wait(1000)
    host.address(address, .deprecated, preferred: 0, valid: 1000)
    #expect(host.toldDomains() == ["ADDRESS up0/kernel 192.0.2.10/24"])
  }
}
