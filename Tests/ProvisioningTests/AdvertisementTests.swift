import Messages
import PacketBuilders
import Testing
import Wire

@testable import Provisioning

/// Router Advertisements as PvDs (RFC 4861, 6.3.4; RFC 4862, 5.5.3; RFC 7556; RFC 8106; RFC 8801).
@Suite struct AdvertisementTests {
  private static let one = "up0/ra/fe80::1"
  private static let two = "up0/ra/fe80::2"
  private let one = AdvertisementTests.one
  private let two = AdvertisementTests.two
  private let address = IPPrefix(v6(0x10), 64)
  private let isp = Build.name("isp.example.com")
  private let dns1 = IPv6Address(0x2001_0db8_0001_0000, 0x53)
  private let dns2 = IPv6Address(0x2001_0db8_0001_0000, 0x54)

  private func ra(
    _ options: [[UInt8]], from router: UInt64 = 1, flags: UInt8 = 0, lifetime: Int = 1800
  ) -> [UInt8] {
    Build.ra(options, source: fe80(router), flags: flags, lifetime: lifetime)
  }

  // MARK: PvD, element, address

  @Test func `An advertisement is a PvD, then its element, then the address that the kernel made of it`() {
    let host = Host.withLink()
    host.hear(ra([Build.pio(prefix(1))]))
    #expect(host.told() == ["PVD \(one)", "ELEMENT \(one) RA"])
    host.address(address)
    #expect(host.told() == ["ADDRESS \(one) \(text(address))", "ADD IF_ADDRCHANGED \(text(address))"])
  }

  @Test func `What arrives at a port is its master's, and a VRF's port keeps it`() {
    let host = Host.withLink()
    host.link(Host.up1, master: Host.up0, handsFramesOn: true)
    host.told()
    host.hear(ra([Build.pio(prefix(1))]), on: Host.up1)
    // Not decoded: what is wrong with it is counted where it ends.
    host.hear([0x60], on: Host.up1)
    #expect(host.told() == [])
    #expect(host.state.value(.heardOnPort) == 2)
    #expect(host.state.value(.ipTruncated) == 0)
    host.hear(ra([Build.pio(prefix(1))]))
    #expect(host.toldDomains() == ["PVD \(one)", "ELEMENT \(one) RA"])

    host.link(Host.up1, master: Host.up0, routingTable: 10)
    host.hear(ra([Build.pio(prefix(1))]), on: Host.up1)
    #expect(host.toldDomains() == ["PVD up1/ra/fe80::1", "ELEMENT up1/ra/fe80::1 RA"])
    host.link(Host.up1, master: Host.up0, handsFramesOn: true)
    host.hear(ra([Build.pio(prefix(1))]), on: Host.up1)
    host.apply(.linkRemoved(index: Host.up1))
    host.link(Host.up1)
    host.told()
    host.hear(ra([Build.pio(prefix(1))]), on: Host.up1)
    #expect(host.toldDomains() == ["PVD up1/ra/fe80::1", "ELEMENT up1/ra/fe80::1 RA"])
    #expect(host.state.value(.heardOnPort) == 3)
  }

  @Test func `An address that was there before its advertisement moves to its PvD`() {
    let host = Host.withLink()
    host.address(address)
    let ofKernel = host.state.domains(of: Host.up0)?.first?.id
    #expect(
      host.toldDomains() == ["PVD up0/kernel", "ELEMENT up0/kernel KERNEL", "ADDRESS up0/kernel \(text(address))"])
    // Its trigger names the PvD that it is of, now and then.
    #expect(host.state.triggers.first(.addressChanged, address.address)?.origin.pvd == ofKernel)
    host.hear(ra([Build.pio(prefix(1))]))
    let ofRouter = host.state.domains(of: Host.up0)?.first?.id
    #expect(ofRouter != ofKernel && host.state.triggers.first(.addressChanged, address.address)?.origin.pvd == ofRouter)
    #expect(
      host.told() == [
        "NO_ADDRESS up0/kernel \(text(address))", "NO_ELEMENT up0/kernel KERNEL", "NO_PVD up0/kernel",
        "PVD \(one)", "ELEMENT \(one) RA", "ADDRESS \(one) \(text(address))",
      ])
  }

  @Test func `An advertisement that only extends lifetimes is no news`() {
    let host = Host.withLink()
    let packet = ra([Build.pio(prefix(1)), Build.rdnss([dns1]), Build.dnssl(Build.name("example.com"))])
    host.hear(packet)
    host.told()
    for _ in 0..<10 {
      host.wait(600)
      host.hear(packet)
      #expect(host.told() == [])
    }
    #expect(host.items(.dnsServers, of: .routerAdvertisement, in: one).map { $0.validLifetime } == [1200])
  }

  struct Change: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let before: [[UInt8]]
    let after: [[UInt8]]
    var flags: UInt8 = 0
  }

  @Test(arguments: [
    Change(
      testDescription: "another DNS server (RFC 8106, 5.1)", before: [Build.rdnss([v6Server(1)])],
      after: [Build.rdnss([v6Server(2)])]),
    Change(
      testDescription: "a DNS server withdrawn (RFC 8106, 5.1)", before: [Build.rdnss([v6Server(1)])],
      after: [Build.rdnss([v6Server(1)], lifetime: 0)]),
    Change(
      testDescription: "a search list (RFC 8106, 5.2)", before: [], after: [Build.dnssl(Build.name("example.net"))]),
    Change(
      testDescription: "a search domain withdrawn (RFC 8106, 5.2)", before: [Build.dnssl(Build.name("example.net"))],
      after: [Build.dnssl(Build.name("example.net"), lifetime: 0)]),
    Change(
      testDescription: "a NAT64 prefix withdrawn (RFC 8781, 4)", before: [nat64(600)], after: [nat64(0)]),
    Change(
      testDescription: "another MTU (RFC 4861, 4.6.4)", before: [Build.option(5, [0, 0] + Build.u32(1500))],
      after: [Build.option(5, [0, 0] + Build.u32(1400))]),
    Change(
      testDescription: "a prefix that is no longer on-link (RFC 4861, 4.6.2)", before: [Build.pio(prefix(2))],
      after: [Build.pio(prefix(2), flags: 0x40)]),
    Change(
      testDescription: "a route with another preference (RFC 4191, 2.3)",
      before: [Build.rio(prefix(9), 64, units: 2)], after: [Build.rio(prefix(9), 64, units: 2, preference: 1)]),
    Change(
      testDescription: "a route withdrawn (RFC 4191, 2.3)", before: [Build.rio(prefix(9), 64, units: 2)],
      after: [Build.rio(prefix(9), 64, units: 2, lifetime: 0)]),
    Change(testDescription: "DHCPv6 is to be asked (RFC 4861, 4.2)", before: [], after: [], flags: 0x40),
    Change(
      testDescription: "a captive portal (RFC 8910, 2.3)", before: [Build.option(37, Array("https://a/".utf8))],
      after: [Build.option(37, Array("https://b/".utf8))]),
  ])
  func `What changes is told as the element`(_ change: Change) {
    let host = Host.withLink()
    host.hear(ra(change.before))
    host.told()
    host.hear(ra(change.after, flags: change.flags))
    #expect(host.told() == ["ELEMENT \(one) RA"])
    host.hear(ra(change.after, flags: change.flags))
    #expect(host.told() == [])
  }

  @Test func `A router has one captive portal (RFC 8910, 2)`() {
    let host = Host.withLink()
    for letter in ["a", "b", "c"] { host.hear(ra([Build.option(37, Array("https://\(letter)/".utf8))])) }
    #expect(
      host.items(.captivePortal, of: .routerAdvertisement, in: one).map { $0.value } == [
        .text(Array("https://c/".utf8))
      ])
    host.told()
  }

  @Test func `An MTU above the link's is ignored (RFC 4861, 6.3.4)`() {
    let host = Host.withLink()
    host.hear(ra([Build.option(5, [0, 0] + Build.u32(9000))]))
    #expect(host.items(.mtu, of: .routerAdvertisement, in: one).isEmpty)
    host.told()
  }

  @Test func `Fields of value 0 are unspecified: what was said before stays (RFC 4861, 6.3.4)`() {
    let host = Host.withLink()
    host.hear(ra([]))
    host.told()
    var silent = Array(Build.raHeader())
    silent[4] = 0
    host.hear(Build.icmpv6(silent, source: fe80(1)))
    #expect(host.told() == [])
    #expect(host.items(.hopLimit, of: .routerAdvertisement, in: one).map { $0.value } == [.number(64)])
  }

  // MARK: Lifetimes

  @Test func `Router Lifetime 0 ends the default router and nothing else (RFC 4861, 6.3.4)`() {
    let host = Host.withLink()
    host.hear(ra([Build.pio(prefix(1)), Build.rdnss([dns1])]))
    host.told()
    host.hear(ra([], lifetime: 0))
    #expect(host.told() == ["ELEMENT \(one) RA"])
    #expect(host.items(.defaultRouter, of: .routerAdvertisement, in: one).isEmpty)
    #expect(host.items(.dnsServers, of: .routerAdvertisement, in: one).count == 1)
    #expect(host.items(.prefixes, of: .routerAdvertisement, in: one).count == 1)
  }

  @Test func `Router Lifetime 0 alone ends the PvD`() {
    let host = Host.withLink()
    host.hear(ra([]))
    host.told()
    host.hear(ra([], lifetime: 0))
    #expect(host.told() == ["NO_ELEMENT \(one) RA", "NO_PVD \(one)"])
    #expect(host.state.nextDeadline == .never)
  }

  @Test func `Everything runs out at its own time, in that order`() {
    let host = Host.withLink()
    host.hear(
      ra(
        [
          Build.pio(prefix(1), valid: 50, preferred: 50), Build.rdnss([dns1], lifetime: 20),
          Build.dnssl(Build.name("example.com"), lifetime: 40), Build.rio(prefix(9), 64, units: 2, lifetime: 10),
        ], lifetime: 30))
    host.told()
    let remaining = { (host: Host) in
      host.items(.all, of: .routerAdvertisement, in: Self.one).map { $0.identifier.rawValue }.filter { $0 != 4 }
        .sorted()
    }
    let identifiers: [InformationIdentifier] = [.routes, .dnsServers, .defaultRouter, .searchList]
    var left: Set<UInt32> = [2, 1, 5, 6, 7]
    for identifier in identifiers {
      host.wait(9.999)
      #expect(host.told() == [])
      #expect(remaining(host) == left.sorted())
      host.wait(0.001)
      #expect(host.told() == ["ELEMENT \(one) RA"])
      left.remove(identifier.rawValue)
      #expect(remaining(host) == left.sorted())
    }
    host.wait(10)
    #expect(host.told() == ["NO_ELEMENT \(one) RA", "NO_PVD \(one)"])
    #expect(host.state.nextDeadline == .never)
  }

  @Test func `After a sleep, what ran out meanwhile goes in the order in which it did`() {
    let host = Host.withLink()
    host.hear(ra([Build.rdnss([dns1], lifetime: 10), Build.rdnss([dns2], lifetime: 50)], lifetime: 5))
    host.hear(ra([Build.rdnss([dns1], lifetime: 30)], from: 2, lifetime: 5))
    host.told()
    host.sleep(1000)
    #expect(
      host.told() == [
        "ELEMENT \(one) RA", "ELEMENT \(two) RA", "ELEMENT \(one) RA", "NO_ELEMENT \(two) RA", "NO_PVD \(two)",
        "NO_ELEMENT \(one) RA", "NO_PVD \(one)",
      ])
  }

  @Test func `A lifetime of 0xFFFFFFFF never ends (RFC 4861, 4.6.2)`() {
    let host = Host.withLink()
    host.hear(ra([Build.pio(prefix(1), valid: .max, preferred: .max)], lifetime: 10))
    host.wait(4_000_000_000)
    #expect(host.items(.prefixes, of: .routerAdvertisement, in: one).map { $0.validLifetime } == [.max])
    host.told()
  }

  struct TwoHours: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// Valid lifetimes in seconds: what is known, what comes, what is so then.
    let known: UInt32
    let heard: UInt32
    let result: UInt32
  }

  @Test(arguments: [
    TwoHours(testDescription: "more than remains is taken", known: 100, heard: 200, result: 200),
    TwoHours(testDescription: "more than two hours is taken", known: 90_000, heard: 7201, result: 7201),
    TwoHours(testDescription: "two hours or less remain: ignored", known: 7200, heard: 10, result: 7200),
    TwoHours(testDescription: "two hours or less remain: 0 is ignored", known: 600, heard: 0, result: 600),
    TwoHours(testDescription: "else two hours", known: 90_000, heard: 10, result: 7200),
    TwoHours(testDescription: "else two hours, for 0 too", known: .max, heard: 0, result: 7200),
  ])
  func `No advertisement ends a prefix of addresses before two hours (RFC 4862, 5.5.3 e)`(_ rule: TwoHours) {
    let host = Host.withLink()
    host.hear(ra([Build.pio(prefix(1), valid: rule.known, preferred: 0)]))
    host.hear(ra([Build.pio(prefix(1), valid: rule.heard, preferred: 0)]))
    #expect(host.items(.prefixes, of: .routerAdvertisement, in: one).map { $0.validLifetime } == [rule.result])
    host.told()
  }

  @Test(arguments: [
    (flags: UInt8(0x80), preferred: UInt32(0)),  // without A: 5.5.3 a
    (flags: 0x00, preferred: 0),
    (flags: 0xC0, preferred: 1),  // preferred past valid: 5.5.3 c
  ])
  func `Nor does one that says nothing of addresses (RFC 4862, 5.5.3 a and c)`(
    _ option: (flags: UInt8, preferred: UInt32)
  ) {
    let host = Host.withLink()
    host.hear(ra([Build.pio(prefix(1), valid: 5000, preferred: 4000)]))
    host.address(address)
    host.told()
    host.hear(ra([Build.pio(prefix(1), flags: option.flags, valid: 0, preferred: option.preferred)]))
    let items = host.items(.prefixes, of: .routerAdvertisement, in: one)
    #expect(items.map { $0.validLifetime } == [5000])
    #expect(items.map { $0.preferredLifetime } == [4000])
    #expect(!host.told().contains { $0.hasPrefix("NO_ADDRESS") })
  }

  @Test func `The preferred lifetime always follows (RFC 4862, 5.5.3 e)`() {
    let host = Host.withLink()
    host.hear(ra([Build.pio(prefix(1), valid: 7000, preferred: 7000)]))
    host.hear(ra([Build.pio(prefix(1), valid: 100, preferred: 0)]))
    let items = host.items(.prefixes, of: .routerAdvertisement, in: one)
    #expect(items.map { [$0.preferredLifetime, $0.validLifetime] } == [[0, 7000]])
    host.told()
  }

  @Test func `A prefix that nobody makes addresses of goes as it is told (RFC 4861, 6.3.4)`() {
    let host = Host.withLink()
    host.hear(ra([Build.pio(prefix(1), flags: 0x80)]))
    host.hear(ra([Build.pio(prefix(1), flags: 0x80, valid: 0, preferred: 0)]))
    #expect(host.items(.prefixes, of: .routerAdvertisement, in: one).isEmpty)
    host.told()
  }

  // MARK: Routers

  @Test func `Two routers of one link are two PvDs, and nothing of one is the other's (RFC 7556)`() {
    let host = Host.withLink()
    host.hear(ra([Build.pio(prefix(1)), Build.rdnss([dns1])]))
    host.hear(ra([Build.pio(prefix(2)), Build.rdnss([dns2])], from: 2))
    host.address(address)
    host.address(IPPrefix(v6(0x10, net: 2), 64))
    #expect(
      host.toldDomains() == [
        "PVD \(one)", "ELEMENT \(one) RA", "PVD \(two)", "ELEMENT \(two) RA", "ADDRESS \(one) \(text(address))",
        "ADDRESS \(two) 2001:db8:2::10/64",
      ])
    #expect(host.items(.dnsServers, of: .routerAdvertisement, in: one).map { $0.value } == [.address(.v6(dns1))])
    #expect(host.items(.dnsServers, of: .routerAdvertisement, in: two).map { $0.value } == [.address(.v6(dns2))])
  }

  @Test func `A prefix that two routers advertise makes the address one of both PvDs`() {
    let host = Host.withLink()
    host.hear(ra([Build.pio(prefix(1))]))
    host.hear(ra([Build.pio(prefix(1))], from: 2))
    host.told()
    host.address(address)
    #expect(host.toldDomains() == ["ADDRESS \(one) \(text(address))", "ADDRESS \(two) \(text(address))"])
  }

  @Test func `A shorter prefix takes nobody's address`() {
    let host = Host.withLink()
    host.hear(ra([Build.pio(prefix(1))]))
    host.address(address)
    host.told()
    host.hear(ra([Build.pio(.unspecified, 0, flags: 0x80)], from: 2))
    #expect(host.told() == ["PVD \(two)", "ELEMENT \(two) RA"])
  }

  @Test func `Of two addresses the one of the next hop's prefix is preferred (RFC 6724, 5.5)`() {
    let host = Host.withLink()
    let other = IPPrefix(v6(0x10, net: 2), 64)
    host.address(address)
    host.address(other)
    host.apply(.defaultRoute(Host.route(.v6(fe80(2)), .v6)))
    host.hear(ra([Build.pio(prefix(1))]))
    #expect(host.told().contains("ADD CONN_ESTABLISHED \(text(address))"))
    host.hear(ra([Build.pio(prefix(2), valid: 100, preferred: 100)], from: 2))
    #expect(host.toldTriggers() == ["MODIFY CONN_ESTABLISHED \(text(other))"])
    #expect(host.state.domain(host.trigger(.connectionEstablished)!.origin.pvd)?.name == Array(two.utf8))
    host.wait(100)
    #expect(host.toldTriggers() == ["MODIFY CONN_ESTABLISHED \(text(address))"])
  }

  @Test func `A flood of routers changes nothing for the established one`() {
    let host = Host.withLink()
    host.hear(ra([Build.pio(prefix(1)), Build.rdnss([dns1])]))
    host.address(address)
    host.told()
    for router in 2..<5000 as Range<UInt64> { host.hear(ra([Build.pio(prefix(router))], from: router)) }
    let lines = host.told()
    #expect(lines.count == 2 * 15)
    #expect(host.state.interfaces[0].sources.count == 16)
    #expect(host.count(.routersFull) == 4998 - 15)
    #expect(!lines.contains { $0.contains("\(one) ") || $0.hasSuffix(one) })
    host.hear(ra([Build.rdnss([dns1, dns2])]))
    #expect(host.told() == ["ELEMENT \(one) RA"])
    // The strangers run out.
    host.wait(7200)
    host.told()
    host.hear(ra([], from: 6000))
    #expect(host.told().contains("PVD up0/ra/fe80::1770"))
  }

  /// The same against the agent itself, with as many as one likes: test_overload.py.
  @Test func `A hundred thousand advertisements of random routers and prefixes: bounded, the real one's intact`() {
    let host = Host.withLink()
    let real = ra([Build.pio(prefix(1)), Build.rdnss([dns1])])
    host.hear(real)
    host.address(address)
    host.told()
    var forged = ra([Build.pio(prefix(2)), Build.rdnss([dns2])], from: 2)
    let arrival = Arrival(interface: Host.up0, checksum: .notReady)
    for number in 0..<100_000 as Range<UInt32> {
      // The low half of the source, and the second quarter of the prefix (RFC 4861, 4.2 and 4.6.2).
      let low = Build.u32(number &* 2_654_435_761 | 0x8000_0000)
      forged.replaceSubrange(20..<24, with: low)
      forged.replaceSubrange(76..<80, with: low)
      unsafe host.state.hear(forged.span.bytes, .v6, arrival, at: host.moment.instant)
      if number % 1000 == 0 { host.told() }
    }
    host.told()
    #expect(host.state.interfaces[0].sources.count == 16)
    #expect(host.state.interfaces[0].sources.allSatisfy { $0.items.count <= 64 })
    #expect(host.count(.routersFull) >= 100_000 - 15 * 2)
    #expect(host.items(.dnsServers, of: .routerAdvertisement, in: one).map { $0.value } == [.address(.v6(dns1))])
    let domain = host.state.domains(of: Host.up0)?.first { $0.name == Array(one.utf8) }
    #expect(domain?.addresses.map { $0.address.prefix } == [address])
    host.hear(real)
    #expect(host.told() == [])
  }

  @Test func `A flood of options of one router is bounded`() {
    let host = Host.withLink()
    for round in 0..<300 as Range<UInt64> { host.hear(ra([Build.rdnss([IPv6Address(1, round)])])) }
    #expect(host.state.interfaces[0].sources[0].items.count == 64)
    #expect(host.count(.itemsFull) == 300 - 62)
    host.told()
  }

  // MARK: The PvD option (RFC 8801)

  @Test func `A PvD option makes an explicit PvD by its name, whatever the case`() {
    let host = Host.withLink()
    host.hear(ra([Build.pvd(Build.name("ISP.example.com"), [Build.pio(prefix(1)), Build.rdnss([dns1])])]))
    #expect(host.told() == ["PVD isp.example.com", "ELEMENT isp.example.com RA"])
    host.address(address)
    #expect(host.toldDomains() == ["ADDRESS isp.example.com \(text(address))"])
    host.hear(ra([Build.pvd(Build.name("isp.EXAMPLE.com"), [Build.pio(prefix(1)), Build.rdnss([dns1])])]))
    #expect(host.told() == [])
    #expect(host.items(.defaultRouter, of: .routerAdvertisement, in: "isp.example.com").count == 1)
    #expect(
      host.items(.pvdOption, of: .routerAdvertisement, in: "isp.example.com").map { $0.value }
        == [.pvd(flags: 0, sequence: 1)])
  }

  @Test func `Options outside of the PvD option are the implicit PvD's (RFC 8801, 3.4)`() {
    let host = Host.withLink()
    host.hear(ra([Build.rdnss([dns1]), Build.pvd(isp, [Build.rdnss([dns2])])]))
    #expect(host.told() == ["PVD isp.example.com", "ELEMENT isp.example.com RA", "PVD \(one)", "ELEMENT \(one) RA"])
    let servers = { host.items(.dnsServers, of: .routerAdvertisement, in: $0).map { $0.value } }
    #expect(servers("isp.example.com") == [.address(.v6(dns2))])
    #expect(servers(one) == [.address(.v6(dns1))])
    // Without R the header is the explicit PvD's alone.
    #expect(host.items(.defaultRouter, of: .routerAdvertisement, in: "isp.example.com").count == 1)
    #expect(host.items(.defaultRouter, of: .routerAdvertisement, in: one).isEmpty)
  }

  @Test func `With R the header inside is the explicit PvD's, the one outside the implicit PvD's (RFC 8801, 3.1)`() {
    let host = Host.withLink()
    let inner = Build.raHeader(flags: 0x08, lifetime: 600)
    host.hear(ra([Build.pvd(isp, flags: 0x2000, header: inner, [Build.rdnss([dns2])])]))
    #expect(host.told() == ["PVD isp.example.com", "ELEMENT isp.example.com RA", "PVD \(one)", "ELEMENT \(one) RA"])
    let routers = { host.items(.defaultRouter, of: .routerAdvertisement, in: $0) }
    #expect(routers("isp.example.com").map { $0.validLifetime } == [600])
    #expect(routers("isp.example.com").map { $0.value } == [.router(.v6(fe80(1)), preference: 1)])
    #expect(routers(one).map { $0.validLifetime } == [1800])
  }

  @Test
  func `With R and Router Lifetime 0 outside, hosts that don't know PvDs get nothing, and there is no implicit PvD`() {
    let host = Host.withLink()
    let packet = ra([Build.pvd(isp, flags: 0x2000, header: Build.raHeader(lifetime: 600))], lifetime: 0)
    host.hear(packet)
    host.hear(packet)
    #expect(host.told() == ["PVD isp.example.com", "ELEMENT isp.example.com RA"])
  }

  @Test func `A router that begins to name its PvD is no longer the implicit one's default router`() {
    let host = Host.withLink()
    host.hear(ra([Build.rdnss([dns1], lifetime: 100)]))
    host.told()
    host.hear(ra([Build.pvd(isp, [Build.rdnss([dns1])])]))
    #expect(host.told() == ["PVD isp.example.com", "ELEMENT isp.example.com RA", "ELEMENT \(one) RA"])
    #expect(host.items(.defaultRouter, of: .routerAdvertisement, in: one).isEmpty)
    host.wait(100)
    #expect(host.told() == ["NO_ELEMENT \(one) RA", "NO_PVD \(one)"])
  }

  @Test func `Several routers of one PvD: the first one's end is a change of the element, the last one's its end`() {
    let host = Host.withLink()
    host.hear(ra([Build.pvd(isp, [Build.pio(prefix(1), valid: 7200, preferred: 7200)])], lifetime: 100))
    host.hear(ra([Build.pvd(isp, [Build.rdnss([dns2], lifetime: 300)])], from: 2, lifetime: 300))
    #expect(host.told() == ["PVD isp.example.com", "ELEMENT isp.example.com RA", "ELEMENT isp.example.com RA"])
    host.wait(100)
    #expect(host.told() == ["ELEMENT isp.example.com RA"])
    host.wait(200)
    #expect(host.told() == ["ELEMENT isp.example.com RA"])
    host.wait(7000)
    #expect(host.told() == ["NO_ELEMENT isp.example.com RA", "NO_PVD isp.example.com"])
  }

  @Test func `Another sequence number or flag of the PvD option is a change (RFC 8801, 3.1)`() {
    let host = Host.withLink()
    host.hear(ra([Build.pvd(isp)]))
    host.told()
    host.hear(ra([Build.pvd(isp, sequence: 2)]))
    #expect(host.told() == ["ELEMENT isp.example.com RA"])
    host.hear(ra([Build.pvd(isp, flags: 0x8003, sequence: 2)]))
    #expect(host.told() == ["ELEMENT isp.example.com RA"])
  }

  @Test func `What is malformed inside the PvD option is counted as it is outside`() {
    let host = Host.withLink()
    host.hear(ra([Build.pvd(isp, [Build.pvd(Build.name("a.b"))]), Build.option(5, [0, 0] + Build.u32(100))]))
    #expect(host.count(.routerAdvertisementOptionsRefused) == 2)
    #expect(host.state.value(Refusal.pvdNested) == 1)
    host.told()
  }

  // MARK: The link

  @Test func `Link down ends what routers advertised, addresses and elements before the PvD`() {
    let host = Host.withLink()
    host.hear(ra([Build.pio(prefix(1))]))
    host.address(address)
    host.told()
    host.link(isUp: false)
    #expect(
      host.told() == ["INTERFACE up0", "NO_ADDRESS \(one) \(text(address))", "NO_ELEMENT \(one) RA", "NO_PVD \(one)"])
    #expect(host.state.nextDeadline == .never)
  }

  @Test func `An advertisement on an unknown interface is counted`() {
    let host = Host.withLink()
    host.hear(ra([]), on: 77)
    #expect(host.count(.unknownInterface) == 1)
    #expect(host.told() == [])
  }
}

/// PREF64 with 64:ff9b::/96 for these seconds, a multiple of 8.
private func nat64(_ seconds: Int) -> [UInt8] {
  Build.option(38, Build.u16(seconds) + [0, 0x64, 0xff, 0x9b] + [UInt8](repeating: 0, count: 8))
}

private func v6Server(_ low: UInt64) -> IPv6Address { IPv6Address(0x2001_0db8_0053_0000, low) }
