import Messages
import PacketBuilders
import Testing
import Wire

@testable import Provisioning

/// GET_CONFIG_DATA's items (draft-ietf-mif-api-extension-05, 3.2.7.17): for every identifier of docs/protocol.md,
/// "Configuration data", what each element that can carry it gives, and the time that is left of it a while later.
@Suite struct ConfigurationDataTests {
  struct Row: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let identifier: InformationIdentifier
    /// As they are sent: options of an advertisement, or of a DHCP reply.
    let options: [[UInt8]]
    let values: [ConfigurationValue]
    /// What is left of the items after ten minutes; nil: what is left of the lease.
    var left: UInt32?
    /// Nothing of it is left when it has run out, or been taken back.
    var preferred: UInt32?
  }

  private func expect(
    _ row: Row, of element: ElementType, in pvd: String, _ host: Host, lease: UInt32,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    let host = host
    host.wait(600)
    let valid = row.left ?? lease
    let expected = row.values.map {
      ConfigurationItem(row.identifier, $0, preferredLifetime: row.preferred ?? valid, validLifetime: valid)
    }
    #expect(host.items(row.identifier, of: element, in: pvd) == expected, sourceLocation: sourceLocation)
    let all = host.items(.all, of: element, in: pvd).filter { $0.identifier == row.identifier }
    #expect(all == expected, "and asked for everything", sourceLocation: sourceLocation)
    host.told(sourceLocation: sourceLocation)
  }

  // MARK: Router Advertisements

  private static let dns6 = IPv6Address(0x2001_0db8_0001_0000, 0x53)
  private static let net64 = IPv6Address(0x0064_FF9B_0000_0000, 0)
  /// RFC 9463, 6.1: priority 1, lifetime 3600, dns.example, no more.
  private static func encrypted(lifetime: UInt32) -> [UInt8] {
    [0, 1] + Build.u32(lifetime) + Build.u16(13) + Build.name("dns.example") + [0]
  }

  @Test(arguments: [
    Row(
      testDescription: "DNS servers", identifier: .dnsServers, options: [Build.rdnss([dns6], lifetime: 1200)],
      values: [.address(.v6(dns6))], left: 600),
    Row(
      testDescription: "search list", identifier: .searchList,
      options: [Build.dnssl(Build.name("a.example") + Build.name("b.example"), lifetime: 1200)],
      values: [.text(Array("a.example".utf8)), .text(Array("b.example".utf8))], left: 600),
    Row(
      testDescription: "MTU", identifier: .mtu, options: [Build.option(5, [0, 0] + Build.u32(1400))],
      values: [.number(1400)], left: .max),
    Row(testDescription: "hop limit", identifier: .hopLimit, options: [], values: [.number(64)], left: .max),
    Row(
      testDescription: "prefixes", identifier: .prefixes,
      options: [Build.pio(prefix(1), flags: 0xC0, valid: 7200, preferred: 3600)],
      values: [.prefix(IPPrefix(.v6(prefix(1)), 64), flags: 0xC0)], left: 6600, preferred: 3000),
    Row(
      testDescription: "routes", identifier: .routes,
      options: [Build.rio(prefix(9), 64, units: 2, preference: 1, lifetime: 1200)],
      values: [.route(IPPrefix(.v6(prefix(9)), 64), gateway: .v6(fe80(1)), preference: 1)], left: 600),
    Row(
      testDescription: "default router", identifier: .defaultRouter, options: [],
      values: [.router(.v6(fe80(1)), preference: 0)], left: 1200),
    Row(
      testDescription: "captive portal (RFC 8910)", identifier: .captivePortal,
      options: [Build.option(37, Array("https://p.example/".utf8))],
      values: [.text(Array("https://p.example/".utf8))], left: .max),
    Row(
      testDescription: "PREF64 (RFC 8781)", identifier: .pref64,
      options: [Build.option(38, Build.u16(1200) + Array(Build.bytes(net64).prefix(12)))],
      values: [.prefix(IPPrefix(.v6(net64), 96), flags: 0)], left: 600),
    Row(
      testDescription: "encrypted DNS (RFC 9463)", identifier: .encryptedDNS,
      options: [Build.option(144, encrypted(lifetime: 3600))], values: [.bytes(encrypted(lifetime: 0))], left: 3000),
    Row(
      testDescription: "an option by its number", identifier: .rawOption(200),
      options: [Build.option(200, [1, 2, 3, 4, 5, 6]), Build.option(200, [6, 5, 4, 3, 2, 1])],
      values: [.bytes([1, 2, 3, 4, 5, 6]), .bytes([6, 5, 4, 3, 2, 1])], left: .max),
  ])
  func `from a Router Advertisement`(_ row: Row) {
    let host = Host.withLink()
    host.hear(Build.ra(row.options, lifetime: 1800))
    expect(row, of: .routerAdvertisement, in: "up0/ra/fe80::1", host, lease: 0)
  }

  @Test func `the PvD option's own`() {
    let host = Host.withLink()
    host.hear(
      Build.ra([
        Build.pvd(
          Build.name("net.example"), flags: 0xA003, sequence: 7, header: Build.raHeader(lifetime: 1800),
          [Build.rdnss([Self.dns6])])
      ]))
    expect(
      Row(
        testDescription: "", identifier: .pvdOption, options: [], values: [.pvd(flags: 0xA003, sequence: 7)], left: .max
      ), of: .routerAdvertisement, in: "net.example", host, lease: 0)
  }

  @Test func `an encrypted resolver whose lifetime is told anew is the same one, and with 0 it is gone`() {
    let host = Host.withLink()
    host.hear(Build.ra([Build.option(144, Self.encrypted(lifetime: 3600))]))
    host.told()
    host.wait(100)
    host.hear(Build.ra([Build.option(144, Self.encrypted(lifetime: 3500))]))
    #expect(host.told() == [])
    #expect(
      host.items(.encryptedDNS, of: .routerAdvertisement, in: "up0/ra/fe80::1").map { $0.validLifetime } == [3500])
    host.hear(Build.ra([Build.option(144, Self.encrypted(lifetime: 0))]))
    #expect(host.told() == ["ELEMENT up0/ra/fe80::1 RA"])
    #expect(host.items(.encryptedDNS, of: .routerAdvertisement, in: "up0/ra/fe80::1").isEmpty)
  }

  @Test func `an unread option stays until it is told anew, and what is told again is no news`() {
    let pvd = "up0/ra/fe80::1"
    let host = Host.withLink()
    let first = Build.option(200, [1, 2, 3, 4, 5, 6])
    host.hear(Build.ra([first]))
    host.told()
    // A router may split its options (RFC 4861, 6.2.3).
    host.hear(Build.ra([Build.option(201, [1, 1, 1, 1, 1, 1])]))
    #expect(host.told() == ["ELEMENT \(pvd) RA"])
    host.hear(Build.ra([first]))
    #expect(host.told() == [])
    host.hear(Build.ra([Build.option(200, [9, 9, 9, 9, 9, 9])]))
    #expect(host.told() == ["ELEMENT \(pvd) RA"])
    #expect(
      host.items(.rawOption(200), of: .routerAdvertisement, in: pvd).map { $0.value } == [.bytes([9, 9, 9, 9, 9, 9])])
    #expect(host.items(.rawOption(201), of: .routerAdvertisement, in: pvd).count == 1)
  }

  @Test func `unread options are bounded, and what is left out is counted`() {
    let host = Host.withLink()
    for type in 200..<210 as Range<UInt8> {
      host.hear(Build.ra([Build.option(type, [UInt8](repeating: type, count: 1022))]))
    }
    var size = 0
    for item in host.items(.all, of: .routerAdvertisement, in: "up0/ra/fe80::1") {
      if case .bytes(let bytes) = item.value { size += bytes.count }
    }
    #expect(size <= host.state.limits.unreadBytesPerSource && size > 7000)
    #expect(host.count(.itemsFull) == 2)
    #expect(!host.items(.defaultRouter, of: .routerAdvertisement, in: "up0/ra/fe80::1").isEmpty)
  }

  // MARK: DHCPv4

  private static let resolver4: [UInt8] =
    Build.u16(17) + [0, 1, 13] + Build.name("dns.example") + [0]

  @Test(arguments: [
    Row(
      testDescription: "DNS servers", identifier: .dnsServers, options: [Build.dhcpv4Option(6, [192, 0, 2, 53])],
      values: [.address(v4(53))]),
    Row(
      testDescription: "search list (RFC 3397)", identifier: .searchList,
      options: [Build.dhcpv4Option(119, Build.name("a.example"))], values: [.text(Array("a.example".utf8))]),
    Row(
      testDescription: "MTU", identifier: .mtu, options: [Build.dhcpv4Option(26, Build.u16(1400))],
      values: [.number(1400)]),
    Row(
      testDescription: "prefixes: the mask's", identifier: .prefixes, options: [],
      values: [.prefix(IPPrefix(v4(0), 24), flags: 0)]),
    Row(
      testDescription: "routes (RFC 3442)", identifier: .routes,
      options: [Build.dhcpv4Option(121, [8, 10, 192, 0, 2, 1])],
      values: [.route(IPPrefix(v4(0, net: 0x0A00_0000), 8), gateway: v4(1), preference: 0)]),
    Row(
      testDescription: "default router", identifier: .defaultRouter,
      options: [Build.dhcpv4Option(3, [192, 0, 2, 1])], values: [.router(v4(1), preference: 0)]),
    Row(
      testDescription: "NTP servers", identifier: .ntpServers, options: [Build.dhcpv4Option(42, [192, 0, 2, 123])],
      values: [.address(v4(123))]),
    Row(
      testDescription: "captive portal (RFC 8910)", identifier: .captivePortal,
      options: [Build.dhcpv4Option(114, Array("https://p.example/".utf8))],
      values: [.text(Array("https://p.example/".utf8))]),
    Row(
      testDescription: "encrypted DNS (RFC 9463)", identifier: .encryptedDNS,
      options: [Build.dhcpv4Option(162, resolver4)], values: [.bytes(resolver4)]),
    Row(
      testDescription: "lease", identifier: .lease,
      options: [Build.dhcpv4Option(58, Build.u32(900)), Build.dhcpv4Option(59, Build.u32(2700))],
      values: [.lease(server: .v4(Build.server4), renewal: 900, rebinding: 2700)]),
    Row(
      testDescription: "domain name", identifier: .domainName,
      options: [Build.dhcpv4Option(15, Array("example".utf8))], values: [.text(Array("example".utf8))]),
    Row(
      testDescription: "host name", identifier: .hostName,
      options: [Build.dhcpv4Option(12, Array("laptop".utf8))], values: [.text(Array("laptop".utf8))]),
    Row(
      testDescription: "time zone (RFC 4833), by its name first", identifier: .timeZone,
      options: [
        Build.dhcpv4Option(100, Array("CET-1CEST".utf8)), Build.dhcpv4Option(101, Array("Europe/Berlin".utf8)),
      ], values: [.text(Array("Europe/Berlin".utf8)), .text(Array("CET-1CEST".utf8))]),
    Row(
      testDescription: "an option by its number", identifier: .rawOption(43),
      options: [Build.dhcpv4Option(43, [1, 2, 3])], values: [.bytes([1, 2, 3])]),
    Row(
      testDescription: "an option by its number that is read elsewhere (RFC 8925)", identifier: .rawOption(108),
      options: [Build.dhcpv4Option(108, Build.u32(300))], values: [.bytes([0, 0, 1, 44])]),
    Row(
      testDescription: "what is of the exchange alone is no configuration", identifier: .rawOption(61),
      options: [Build.dhcpv4Option(61, [1, 2, 3])], values: []),
    Row(
      testDescription: "what is malformed is not there, unread neither", identifier: .encryptedDNS,
      options: [Build.dhcpv4Option(162, [0, 9, 1])], values: []),
  ])
  func `from DHCPv4`(_ row: Row) {
    let host = Host.withLink()
    let hardware = Build.hostHardwareAddress
    host.hear(
      Build.udp4(
        Build.dhcpv4Message([53, 1, 3, 255], operation: 1, yourAddress: .unspecified, hardwareAddress: hardware),
        to: 67), outgoing: true)
    let options = Build.fromServer(5) + [1, 4, 255, 255, 255, 0, 51, 4] + Build.u32(3600) + row.options.flatMap { $0 }
    host.hear(Build.udp4(Build.dhcpv4Message(options + [255], hardwareAddress: hardware), to: 68))
    host.address(IPPrefix(v4(10), 24), valid: 3600)
    expect(row, of: .dhcpv4, in: "up0/dhcpv4/192.0.2.1", host, lease: 3000)
  }

  // MARK: DHCPv6

  private static let resolver6: [UInt8] = [0, 1] + Build.u16(13) + Build.name("dns.example")

  /// Each with a leased address, and without: what a server tells lives as long as its lease, or until it is to be
  /// asked again and ten minutes more.
  static let fromDHCPv6 = [
    Row(
      testDescription: "DNS servers", identifier: .dnsServers, options: [Build.dhcpv6Option(23, Build.bytes(dns6))],
      values: [.address(.v6(dns6))]),
    Row(
      testDescription: "search list", identifier: .searchList,
      options: [Build.dhcpv6Option(24, Build.name("a.example"))], values: [.text(Array("a.example".utf8))]),
    Row(
      testDescription: "NTP servers: an address, a multicast one, a name (RFC 5908), and SNTP's (RFC 4075)",
      identifier: .ntpServers,
      options: [
        Build.dhcpv6Option(56, Build.dhcpv6Option(1, Build.bytes(dns6))),
        Build.dhcpv6Option(56, Build.dhcpv6Option(2, Build.bytes(IPv6Address(0xFF05_0000_0000_0000, 0x101)))),
        Build.dhcpv6Option(56, Build.dhcpv6Option(3, Build.name("ntp.example"))),
        Build.dhcpv6Option(31, Build.bytes(Build.far)),
      ],
      values: [
        .address(.v6(dns6)), .address(.v6(IPv6Address(0xFF05_0000_0000_0000, 0x101))),
        .text(Array("ntp.example".utf8)), .address(.v6(Build.far)),
      ]),
    Row(
      testDescription: "captive portal (RFC 8910)", identifier: .captivePortal,
      options: [Build.dhcpv6Option(103, Array("https://p.example/".utf8))],
      values: [.text(Array("https://p.example/".utf8))]),
    Row(
      testDescription: "encrypted DNS (RFC 9463)", identifier: .encryptedDNS,
      options: [Build.dhcpv6Option(144, resolver6)], values: [.bytes(resolver6)]),
    Row(
      testDescription: "delegated prefixes, with lifetimes of their own", identifier: .delegatedPrefixes,
      options: [Build.dhcpv6Option(25, delegation(Build.iaPrefix(prefix(8), 56, preferred: 1800, valid: 2400)))],
      values: [.prefix(IPPrefix(.v6(prefix(8)), 56), flags: 0)], left: 1800, preferred: 1200),
    Row(
      testDescription: "time zone (RFC 4833)", identifier: .timeZone,
      options: [Build.dhcpv6Option(42, Array("Europe/Berlin".utf8))], values: [.text(Array("Europe/Berlin".utf8))]),
    Row(
      testDescription: "an option by its number", identifier: .rawOption(59),
      options: [Build.dhcpv6Option(59, [1, 2, 3])], values: [.bytes([1, 2, 3])]),
    Row(
      testDescription: "what is of the exchange alone is no configuration", identifier: .rawOption(82),
      options: [Build.dhcpv6Option(82, Build.u32(3600))], values: []),
  ]

  private static func delegation(_ options: [UInt8]) -> [UInt8] {
    [0, 0, 0, 1] + Build.u32(900) + Build.u32(1400) + options
  }

  private func asking(_ type: UInt8) -> Host {
    let host = Host.withLink()
    host.hear(
      Build.ra([Build.pio(prefix(1), flags: 0x80, valid: 90_000, preferred: 0)], flags: 0xC0, lifetime: 9000))
    host.hear(Build.dhcpv6(type, Build.identifiers, to: 547, transaction: 7), outgoing: true)
    return host
  }

  private func answer(_ options: [UInt8]) -> [UInt8] { Build.dhcpv6(7, Build.identifiers + options, transaction: 7) }

  private static let leased = Build.iaNA(
    Build.iaAddress(IPv6Address(prefix(1).high, 0x10), preferred: 3600, valid: 7200))

  @Test(arguments: fromDHCPv6) func `from DHCPv6 with an address`(_ row: Row) {
    let host = asking(3)
    host.hear(answer(Self.leased + row.options.flatMap { $0 }))
    expect(row, of: .dhcpv6, in: "up0/ra/fe80::1", host, lease: 6600)
  }

  @Test(arguments: fromDHCPv6) func `from DHCPv6 without addresses`(_ row: Row) {
    let host = asking(11)
    host.hear(answer(row.options.flatMap { $0 } + Build.dhcpv6Option(32, Build.u32(1200))))
    expect(row, of: .dhcpv6, in: "up0/ra/fe80::1", host, lease: 1200)
  }

  @Test func `a DHCPv6 lease`() {
    let host = asking(3)
    host.hear(answer(Self.leased))
    expect(
      Row(
        testDescription: "", identifier: .lease, options: [],
        values: [.lease(server: .v6(Build.router), renewal: 1800, rebinding: 2880)]), of: .dhcpv6, in: "up0/ra/fe80::1",
      host, lease: 6600)
  }

  // MARK: Delegated prefixes (RFC 8415, 18.2.10.1, 18.2.7, 21.22)

  private let ra = "up0/ra/fe80::1"

  private func delegated(_ net: UInt64, valid: UInt32 = 7200) -> [UInt8] {
    Build.dhcpv6Option(
      25, Self.delegation(Build.iaPrefix(prefix(net), 56, preferred: min(valid, 3600), valid: valid)))
  }

  private func delegations(_ host: Host) -> [String] {
    host.items(.delegatedPrefixes, of: .dhcpv6, in: ra).map {
      if case .prefix(let prefix, _) = $0.value { "\(text(prefix)) \($0.validLifetime)" } else { "?" }
    }
  }

  /// With an address leased beside them, and without.
  @Test(arguments: [leased, []]) func `prefixes are renewed, left alone, taken back and given back`(_ beside: [UInt8]) {
    let host = asking(3)
    host.hear(answer(beside + delegated(8) + delegated(9, valid: 3600)))
    host.told()
    #expect(delegations(host) == ["2001:db8:8::/56 7200", "2001:db8:9::/56 3600"])
    // A renewal of the prefixes alone, in an exchange of their own.
    host.wait(600)
    host.hear(Build.dhcpv6(5, Build.identifiers, to: 547, transaction: 7), outgoing: true)
    host.hear(answer(delegated(8)))
    #expect(host.told() == [], "new lifetimes are no news")
    #expect(delegations(host) == ["2001:db8:8::/56 7200", "2001:db8:9::/56 3000"])
    // What a reply leaves out runs out at its own time.
    host.wait(3000)
    #expect(host.told() == ["ELEMENT \(ra) DHCPv6"])
    #expect(delegations(host) == ["2001:db8:8::/56 4200"])
    host.hear(Build.dhcpv6(5, Build.identifiers, to: 547, transaction: 7), outgoing: true)
    host.hear(answer(beside + delegated(10) + delegated(8, valid: 0)))
    #expect(host.told() == ["ELEMENT \(ra) DHCPv6"])
    #expect(delegations(host) == ["2001:db8:a::/56 7200"])
    host.hear(Build.dhcpv6(8, Build.identifiers + delegated(10), to: 547, transaction: 9), outgoing: true)
    #expect(host.told() == [beside.isEmpty ? "NO_ELEMENT \(ra) DHCPv6" : "ELEMENT \(ra) DHCPv6"])
    #expect(delegations(host) == [])
  }

  @Test func `prefixes outlive the addresses leased beside them`() {
    let host = asking(3)
    let short = Build.iaNA(Build.iaAddress(IPv6Address(prefix(1).high, 0x10), preferred: 60, valid: 60))
    host.hear(answer(short + delegated(8)))
    host.told()
    host.wait(100)
    #expect(host.told() == ["ELEMENT \(ra) DHCPv6"])
    #expect(delegations(host) == ["2001:db8:8::/56 7100"])
    host.wait(7100)
    #expect(host.told() == ["NO_ELEMENT \(ra) DHCPv6"])
  }

  @Test func `a prefix is delegated where no address was to be had`() {
    let host = asking(3)
    host.hear(answer(Build.iaNA(Build.dhcpv6Option(13, [0, 2])) + delegated(8)))
    #expect(delegations(host) == ["2001:db8:8::/56 7200"])
  }

  @Test func `an association that failed delegates nothing`() {
    let host = asking(3)
    let failed = Build.iaPrefix(prefix(8), 56, preferred: 10, valid: 10) + Build.dhcpv6Option(13, [0, 6])
    host.hear(answer(Self.leased + Build.dhcpv6Option(25, Self.delegation(failed))))
    #expect(delegations(host) == [])
  }

  // MARK: The kernel

  @Test func `what is configured by hand`() {
    let pvd = "up0/kernel"
    let host = Host.withLink()
    host.address(IPPrefix(v4(10), 24))
    host.address(IPPrefix(v4(11), 24), preferred: 100, valid: 200)
    host.address(IPPrefix(v6(0x10), 64), preferred: 1000, valid: 2000)
    host.apply(.defaultRoute(Host.route(v4(1))))
    host.apply(.defaultRoute(Host.route(nil, .v6)))
    host.wait(50)
    func items(_ identifier: InformationIdentifier) -> [ConfigurationItem] {
      host.items(identifier, of: .kernel, in: pvd)
    }
    #expect(
      items(.prefixes) == [
        ConfigurationItem(.prefixes, .prefix(IPPrefix(v4(0), 24), flags: 0)),
        ConfigurationItem(
          .prefixes, .prefix(IPPrefix(.v6(prefix(1)), 64), flags: 0), preferredLifetime: 950, validLifetime: 1950),
      ])
    #expect(items(.mtu) == [ConfigurationItem(.mtu, .number(1500))])
    #expect(items(.defaultRouter) == [ConfigurationItem(.defaultRouter, .router(v4(1), preference: 0))])
    let nowhere = IPAddress.v6(.unspecified)
    #expect(
      items(.routes) == [ConfigurationItem(.routes, .route(IPPrefix(nowhere, 0), gateway: nowhere, preference: 0))])
    #expect(items(.all).count == 5)
    #expect(items(.dnsServers).isEmpty, "the kernel knows of none")
  }

  @Test func `each change of it is told as the element`() {
    let pvd = "up0/kernel"
    let host = Host.withLink()
    host.address(IPPrefix(v4(10), 24))
    host.told()
    host.link(mtu: 1400)
    #expect(host.toldDomains() == ["ELEMENT \(pvd) KERNEL"])
    host.apply(.defaultRoute(Host.route(nil)))
    #expect(host.toldDomains() == ["ELEMENT \(pvd) KERNEL"])
    host.address(IPPrefix(v6(0x10), 64))
    #expect(host.toldDomains() == ["ELEMENT \(pvd) KERNEL", "ADDRESS \(pvd) 2001:db8:1::10/64"])
    host.address(IPPrefix(v6(0x11), 64))
    #expect(host.toldDomains() == ["ADDRESS \(pvd) 2001:db8:1::11/64"], "no other prefix")
  }

  @Test func `what somebody on the network configured is not the kernel's`() {
    let host = Host.withLink()
    host.hear(Build.ra([Build.pio(prefix(1), flags: 0xC0)]))
    host.address(IPPrefix(v6(0x10), 64))
    host.apply(.defaultRoute(Host.route(.v6(Build.router), .v6)))
    host.address(IPPrefix(v4(10), 24))
    host.told()
    #expect(
      host.items(.all, of: .kernel, in: "up0/kernel").map { $0.identifier } == [.prefixes, .mtu])
  }
}
