import Messages
import PacketBuilders
import Testing
import Wire

@testable import Provisioning

/// DHCPv6 (RFC 8415) as elements of PvDs.
@Suite struct Lease6Tests {
  private let address = IPPrefix(v6(0x10), 128)
  private let one = "up0/ra/fe80::1"
  private let two = "up0/ra/fe80::2"
  private static let serverDUID2: [UInt8] = [0, 3, 0, 1, 2, 0, 0x5e, 0x10, 0, 9]
  private let dns = Build.dhcpv6Option(23, Build.bytes(IPv6Address(0x2001_0db8_0001_0000, 0x53)))
  private let dns2 = Build.dhcpv6Option(23, Build.bytes(IPv6Address(0x2001_0db8_0001_0000, 0x54)))

  private static func duids(_ server: [UInt8]? = Build.serverDUID, client: [UInt8]? = Build.clientDUID) -> [UInt8] {
    (client.map { Build.dhcpv6Option(1, $0) } ?? []) + (server.map { Build.dhcpv6Option(2, $0) } ?? [])
  }

  private func request(
    _ type: UInt8 = 3, transaction: UInt32 = 7, server: [UInt8]? = Build.serverDUID, _ options: [UInt8] = []
  ) -> [UInt8] {
    Build.dhcpv6(type, Self.duids(server) + options, to: 547, transaction: transaction)
  }

  private func reply(
    type: UInt8 = 7, transaction: UInt32 = 7, server: [UInt8] = Build.serverDUID,
    client: [UInt8]? = Build.clientDUID, _ options: [UInt8]
  ) -> [UInt8] {
    Build.dhcpv6(type, Self.duids(server, client: client) + options, transaction: transaction)
  }

  private func lease(_ low: UInt64 = 0x10, net: UInt64 = 1, preferred: UInt32 = 0, valid: UInt32 = 7200) -> [UInt8] {
    Build.iaNA([UInt8](Build.iaAddress(IPv6Address(prefix(net).high, low), preferred: preferred, valid: valid)))
  }

  private func ra(_ net: UInt64 = 1, from router: UInt64 = 1, flags: UInt8) -> [UInt8] {
    Build.ra(
      [Build.pio(prefix(net), flags: 0x80, valid: 90_000, preferred: 0)], source: fe80(router), flags: flags,
      lifetime: 9000)
  }

  /// A router with M whose prefix holds the address that is leased.
  private func leased(_ options: [UInt8] = []) -> Host {
    let host = Host.withLink()
    host.hear(ra(flags: 0x80))
    host.hear(request(), outgoing: true)
    host.hear(reply(lease() + options))
    #expect(host.told() == ["PVD \(one)", "ELEMENT \(one) RA", "ELEMENT \(one) DHCPv6"])
    return host
  }

  @Test func `A REPLY to a REQUEST joins the PvD with M and a prefix that holds the address`() {
    let host = leased(dns)
    host.address(address)
    #expect(host.toldDomains() == ["ADDRESS \(one) \(text(address))"])
    #expect(host.items(.dnsServers, of: .dhcpv6, in: one).map { $0.validLifetime } == [7200])
    #expect(
      host.items(.lease, of: .dhcpv6, in: one).map { $0.value }
        == [.lease(server: .v6(Build.router), renewal: 1800, rebinding: 2880)])
  }

  struct Refused: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let request: UInt8?
    var transaction: UInt32 = 7
    var isOutgoing = true
    var type: UInt8 = 7
    var client: [UInt8]? = Build.clientDUID
    var options: [UInt8] = []
    let counter: StateCounter
  }

  @Test(arguments: [
    Refused(testDescription: "nobody here asked", request: nil, counter: .dhcpv6ForeignTransaction),
    Refused(
      testDescription: "another transaction (16)", request: 3, transaction: 8, counter: .dhcpv6ForeignTransaction),
    Refused(
      testDescription: "a request that another host sent", request: 3, isOutgoing: false,
      counter: .dhcpv6ForeignTransaction),
    Refused(
      testDescription: "to another DUID (16.10)", request: 3, client: [0, 3, 0, 1, 9], counter: .dhcpv6ForeignClient),
    Refused(testDescription: "without a DUID (16.10)", request: 3, client: nil, counter: .dhcpv6ForeignClient),
    Refused(testDescription: "an ADVERTISE (18.2.9)", request: 1, type: 2, counter: .dhcpv6Unconfiguring),
    Refused(
      testDescription: "a REPLY to a SOLICIT without rapid commit (18.2.1)", request: 1, counter: .dhcpv6Unconfiguring),
    Refused(testDescription: "a REPLY to a CONFIRM (18.2.10.2)", request: 4, counter: .dhcpv6Unconfiguring),
    Refused(testDescription: "a REPLY to a RELEASE (18.2.10.3)", request: 8, counter: .dhcpv6Unconfiguring),
    Refused(testDescription: "a REPLY to a DECLINE (18.2.10.3)", request: 9, counter: .dhcpv6Unconfiguring),
    Refused(
      testDescription: "a RECONFIGURE (18.2.11): nobody here says Reconfigure Accept", request: 3, type: 10,
      counter: .dhcpv6Unconfiguring),
    Refused(
      testDescription: "a RECONFIGURE with transaction 0 (18.3.11)", request: nil, type: 10,
      counter: .dhcpv6ForeignTransaction),
    Refused(
      testDescription: "a status of failure (18.2.10)", request: 3, options: Build.dhcpv6Option(13, [0, 1]),
      counter: .dhcpv6Unconfiguring),
  ])
  func `Nothing else configures, and is counted`(_ refused: Refused) {
    let host = Host.withLink()
    if let type = refused.request {
      host.hear(request(type, transaction: refused.transaction), outgoing: refused.isOutgoing)
    }
    host.hear(reply(type: refused.type, client: refused.client, lease() + refused.options))
    #expect(host.told() == [])
    #expect(host.count(refused.counter) == 1)
    #expect(host.state.interfaces[0].sources.isEmpty)
  }

  @Test(arguments: [
    (name: "NoAddrsAvail in the IA (21.13)", options: Build.iaNA(Build.dhcpv6Option(13, [0, 2]))),
    (
      name: "a status in the address (21.6)",
      options: Build.iaNA(
        Build.iaAddress(IPv6Address(0x2001_0db8_0001_0000, 0x10), Build.dhcpv6Option(13, [0, 1])))
    ),
    (name: "valid lifetime 0 (21.6)", options: Build.iaNA(Build.iaAddress(Build.global, preferred: 0, valid: 0))),
  ])
  func `A REPLY that leases nothing is no lease`(_ refused: (name: String, options: [UInt8])) {
    let host = Host.withLink()
    host.hear(request(), outgoing: true)
    host.hear(reply(refused.options + dns))
    #expect(host.told() == [])
    #expect(host.count(.dhcpv6Unconfiguring) == 1)
  }

  @Test func `Several associations of one REPLY are one lease of several addresses (12)`() {
    let host = leased()
    host.hear(request(transaction: 9), outgoing: true)
    let second = Build.dhcpv6Option(
      3,
      Build.u32(2) + Build.u32(0) + Build.u32(0)
        + Build.iaAddress(IPv6Address(prefix(1).high, 0x20), preferred: 0, valid: 600))
    host.hear(reply(transaction: 9, lease() + second))
    host.address(address)
    host.address(IPPrefix(v6(0x20), 128))
    #expect(
      host.toldDomains().filter { $0.hasPrefix("ADDRESS") } == [
        "ADDRESS \(one) \(text(address))", "ADDRESS \(one) 2001:db8:1::20/128",
      ])
    host.wait(600)
    #expect(host.state.interfaces[0].sources.flatMap(\.leases).map(\.address) == [address.address])
    host.told()
  }

  @Test func `With rapid commit a REPLY answers a SOLICIT (18.2.1)`() {
    let host = Host.withLink()
    host.hear(request(1, server: nil, Build.dhcpv6Option(14, [])), outgoing: true)
    host.hear(reply(Build.dhcpv6Option(14, []) + lease()))
    #expect(host.told() == ["PVD up0/kernel", "ELEMENT up0/kernel DHCPv6"])
  }

  @Test func `A renewal without change is no news`() {
    let host = leased(dns)
    host.wait(1800)
    host.hear(request(5, transaction: 8), outgoing: true)
    host.hear(reply(transaction: 8, lease() + dns))
    #expect(host.told() == [])
    #expect(host.items(.dnsServers, of: .dhcpv6, in: one).map { $0.validLifetime } == [7200])
    host.hear(reply(transaction: 8, lease() + dns2))
    #expect(host.told() == ["ELEMENT \(one) DHCPv6"])
  }

  @Test func `NoBinding is no renewal: the lease runs out at its own time (18.2.10.1)`() {
    let host = leased(dns)
    host.wait(1800)
    host.hear(request(5, transaction: 8), outgoing: true)
    host.hear(reply(transaction: 8, Build.iaNA(Build.dhcpv6Option(13, [0, 3]))))
    #expect(host.told() == [])
    host.wait(5399)
    #expect(host.told() == [])
    host.wait(1)
    #expect(host.told() == ["NO_ELEMENT \(one) DHCPv6"])
  }

  @Test func `A REPLY speaks of the addresses in it alone (18.2.10.1)`() {
    let host = leased()
    host.hear(request(5, transaction: 8), outgoing: true)
    host.hear(reply(transaction: 8, lease(0x20, valid: 9000)))
    #expect(host.told() == ["ELEMENT \(one) DHCPv6"])
    #expect(host.state.interfaces[0].sources[1].leases.map { $0.address } == [v6(0x10), v6(0x20)])
    // A lifetime of 0 takes one away now (21.6).
    host.hear(reply(transaction: 8, lease(0x10, valid: 0)))
    #expect(host.told() == ["ELEMENT \(one) DHCPv6"])
    #expect(host.state.interfaces[0].sources[1].leases.map { $0.address } == [v6(0x20)])
    host.hear(reply(transaction: 8, lease(0x20, valid: 0)))
    #expect(host.told() == ["NO_ELEMENT \(one) DHCPv6"])
  }

  @Test func `Each address runs out at its own time`() {
    let host = leased()
    host.hear(request(5, transaction: 8), outgoing: true)
    host.hear(reply(transaction: 8, lease(0x20, valid: 100)))
    host.told()
    host.wait(100)
    #expect(host.told() == ["ELEMENT \(one) DHCPv6"])
    #expect(host.state.interfaces[0].sources[1].leases.map { $0.address } == [v6(0x10)])
  }

  @Test func `An information request to the server that leases wipes no lease`() {
    let host = leased()
    host.address(address)
    host.told()
    host.hear(request(11, transaction: 9, server: nil), outgoing: true)
    host.hear(reply(transaction: 9, dns))
    #expect(host.told() == ["ELEMENT \(one) DHCPv6"])
    #expect(host.items(.lease, of: .dhcpv6, in: one).count == 1)
    #expect(host.items(.dnsServers, of: .dhcpv6, in: one).count == 1)
  }

  @Test func `Stateless: every PvD whose advertisement has O, until it is to be refreshed (21.23)`() {
    let host = Host.withLink()
    host.hear(ra(flags: 0x40))
    host.hear(ra(2, from: 2, flags: 0x40))
    host.hear(ra(3, from: 3, flags: 0))
    host.told()
    host.hear(request(11, server: nil), outgoing: true)
    host.hear(reply(dns + Build.dhcpv6Option(32, Build.u32(600))))
    #expect(host.told() == ["ELEMENT \(one) DHCPv6", "ELEMENT \(two) DHCPv6"])
    host.hear(ra(2, from: 2, flags: 0))
    #expect(host.told() == ["NO_ELEMENT \(two) DHCPv6", "ELEMENT \(two) RA"])
    host.wait(1199)
    #expect(host.told() == [])
    host.wait(1)
    #expect(host.told() == ["NO_ELEMENT \(one) DHCPv6"])
  }

  @Test func `Stateless without any O is the interface's own`() {
    let host = Host.withLink()
    host.hear(request(11, server: nil), outgoing: true)
    host.hear(reply(dns))
    #expect(host.told() == ["PVD up0/kernel", "ELEMENT up0/kernel DHCPv6"])
    host.wait(87_000)
    #expect(host.told() == ["NO_ELEMENT up0/kernel DHCPv6", "NO_PVD up0/kernel"])
  }

  @Test func `Of two PvDs with M a lease joins the one with its prefix, and none if neither has`() {
    let host = Host.withLink()
    host.hear(ra(1, from: 1, flags: 0x80))
    host.hear(ra(2, from: 2, flags: 0x80))
    host.hear(request(), outgoing: true)
    host.told()
    host.hear(reply(lease(0x10, net: 2)))
    #expect(host.told() == ["ELEMENT \(two) DHCPv6"])
    host.hear(reply(lease(0x10, net: 2, valid: 0)))
    host.told()
    host.hear(reply(lease(0x10, net: 7)))
    #expect(host.told() == ["PVD up0/kernel", "ELEMENT up0/kernel DHCPv6"])
  }

  @Test(arguments: [(type: UInt8(8), name: "RELEASE (18.2.7)"), (type: 9, name: "DECLINE (18.2.8)")])
  func `The client stops using what it gives back before it says so`(_ message: (type: UInt8, name: String)) {
    let host = leased()
    host.hear(request(message.type, transaction: 9, lease(0x99)), outgoing: true)
    host.hear(request(message.type, transaction: 9, server: Self.serverDUID2, lease()), outgoing: true)
    host.hear(request(message.type, transaction: 9, lease()))
    #expect(host.told() == [])
    host.hear(request(message.type, transaction: 9, lease()), outgoing: true)
    #expect(host.told() == ["NO_ELEMENT \(one) DHCPv6"])
    host.hear(reply(transaction: 9, lease()))
    #expect(host.told() == [])
  }

  @Test func `Another server that rebinds the address takes the lease over (18.2.5)`() {
    let host = leased()
    host.hear(request(6, transaction: 9, server: nil), outgoing: true)
    host.hear(reply(transaction: 9, server: Self.serverDUID2, lease()))
    #expect(host.told() == ["ELEMENT \(one) DHCPv6"])
    #expect(host.state.interfaces[0].sources.count == 2)
    host.wait(7200)
    host.told()
    #expect(host.items(.lease, of: .dhcpv6, in: one).isEmpty)
  }

  @Test func `Servers are bounded and say so`() {
    let host = Host.withLink()
    for server in 0..<20 as Range<UInt8> {
      host.hear(request(transaction: 9), outgoing: true)
      host.hear(reply(transaction: 9, server: [0, 3, 0, server], lease(UInt64(server) + 1)))
    }
    #expect(host.count(.serversFull) == 12)
    host.told()
  }
}
