import Messages
import PacketBuilders
import Testing
import Wire

@testable import Provisioning

/// DHCPv4 leases as PvDs (RFC 2131, 4.4; RFC 3442; RFC 4039).
@Suite struct LeaseTests {
  private let pvd = "up0/dhcpv4/192.0.2.1"
  private let address = IPPrefix(v4(10), 24)
  private static let server = IPv4Address(0xC000_0201)
  private static let other = IPv4Address(0xC000_0202)

  /// What a client here sends.
  private func request(
    _ type: UInt8 = 3, transaction: UInt32 = 0x1234_5678, from hardware: [UInt8] = Build.hostHardwareAddress
  ) -> [UInt8] {
    Build.udp4(
      Build.dhcpv4Message(
        [53, 1, type, 255], operation: 1, transaction: transaction, yourAddress: .unspecified,
        hardwareAddress: hardware), to: 67)
  }

  private func reply(
    type: UInt8 = 5, from server: IPv4Address = server, transaction: UInt32 = 0x1234_5678, lease: UInt32? = 3600,
    to hardware: [UInt8] = Build.hostHardwareAddress, address: IPv4Address = IPv4Address(0xC000_020A),
    _ options: [UInt8] = []
  ) -> [UInt8] {
    var all: [UInt8] = [53, 1, type, 54, 4] + Build.bytes(server) + [1, 4, 255, 255, 255, 0]
    if let lease { all += [51, 4] + Build.u32(lease) }
    return Build.udp4(
      Build.dhcpv4Message(
        all + options + [255], transaction: transaction, yourAddress: address, hardwareAddress: hardware), to: 68)
  }

  private func leased(_ options: [UInt8] = []) -> Host {
    let host = Host.withLink()
    host.hear(request(), outgoing: true)
    host.hear(reply(options))
    #expect(host.told() == ["PVD \(pvd)", "ELEMENT \(pvd) DHCPv4"])
    return host
  }

  @Test func `An ACK to a request that was seen going out is a PvD and its element, then the kernel's address`() {
    let host = leased()
    host.address(address, valid: 3600)
    #expect(host.toldDomains() == ["ADDRESS \(pvd) \(text(address))"])
    #expect(
      host.items(.lease, of: .dhcpv4, in: pvd)
        == [
          ConfigurationItem(
            .lease, .lease(server: .v4(Self.server), renewal: 1800, rebinding: 3150), preferredLifetime: 3600,
            validLifetime: 3600)
        ])
  }

  struct Refused: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let request: UInt8?
    var requestTransaction: UInt32 = 0x1234_5678
    var requestHardware = Build.hostHardwareAddress
    var isOutgoing = true
    var type: UInt8 = 5
    var replyHardware = Build.hostHardwareAddress
    var lease: UInt32? = 3600
    var address = IPv4Address(0xC000_020A)
    var wait: Double = 0
    let counter: StateCounter
  }

  @Test(arguments: [
    Refused(testDescription: "nobody here asked", request: nil, counter: .dhcpv4ForeignTransaction),
    Refused(
      testDescription: "another transaction (4.4.1)", request: 3, requestTransaction: 1,
      counter: .dhcpv4ForeignTransaction),
    Refused(
      testDescription: "a request that another host sent", request: 3, isOutgoing: false,
      counter: .dhcpv4ForeignTransaction),
    Refused(
      testDescription: "to another chaddr", request: 3, replyHardware: [2, 0, 0, 0, 0, 9],
      counter: .dhcpv4ForeignClient),
    Refused(
      testDescription: "to a chaddr that is not this interface's", request: 3, requestHardware: [2, 0, 0, 0, 0, 9],
      replyHardware: [2, 0, 0, 0, 0, 9], counter: .dhcpv4ForeignClient),
    Refused(testDescription: "an OFFER (3.1)", request: 1, type: 2, counter: .dhcpv4Unconfiguring),
    Refused(
      testDescription: "an ACK to a DISCOVER without option 80 (RFC 4039, 3)", request: 1, counter: .dhcpv4Unconfiguring
    ),
    Refused(testDescription: "an ACK to an INFORM (4.4.3)", request: 8, lease: nil, counter: .dhcpv4Unconfiguring),
    Refused(
      testDescription: "an ACK without lease time (table 3)", request: 3, lease: nil, counter: .dhcpv4Unconfiguring),
    Refused(testDescription: "an ACK with lease time 0", request: 3, lease: 0, counter: .dhcpv4Unconfiguring),
    Refused(
      testDescription: "an ACK without address", request: 3, address: .unspecified, counter: .dhcpv4Unconfiguring),
    Refused(
      testDescription: "an answer five minutes late", request: 3, wait: 300, counter: .dhcpv4ForeignTransaction),
    Refused(testDescription: "a NAK to nothing", request: nil, type: 6, counter: .dhcpv4ForeignTransaction),
  ])
  func `Nothing else configures, and is counted`(_ refused: Refused) {
    let host = Host.withLink()
    if let type = refused.request {
      host.hear(
        request(type, transaction: refused.requestTransaction, from: refused.requestHardware),
        outgoing: refused.isOutgoing)
    }
    host.wait(refused.wait)
    host.hear(
      reply(
        type: refused.type, lease: refused.lease, to: refused.replyHardware, address: refused.address))
    #expect(host.told() == [])
    #expect(host.count(refused.counter) == 1)
    #expect(host.state.interfaces[0].sources.isEmpty)
    #expect(host.state.nextDeadline == .never)
  }

  @Test func `An ACK with option 80 answers a DISCOVER (RFC 4039, 3)`() {
    let host = Host.withLink()
    host.hear(request(1), outgoing: true)
    host.hear(reply([80, 0]))
    #expect(host.told() == ["PVD \(pvd)", "ELEMENT \(pvd) DHCPv4"])
  }

  @Test func `An OFFER and then the ACK with the same transaction (3.1)`() {
    let host = Host.withLink()
    host.hear(request(1), outgoing: true)
    host.hear(reply(type: 2))
    host.hear(request(3), outgoing: true)
    #expect(host.told() == [])
    host.hear(reply())
    #expect(host.told() == ["PVD \(pvd)", "ELEMENT \(pvd) DHCPv4"])
  }

  @Test func `Of several servers that offer, the one that the client takes configures (3.1)`() {
    let host = Host.withLink()
    host.hear(request(1), outgoing: true)
    host.hear(reply(type: 2))
    host.hear(reply(type: 2, from: Self.other))
    host.hear(request(3), outgoing: true)
    #expect(host.told() == [])
    host.hear(reply(from: Self.other))
    #expect(host.told() == ["PVD up0/dhcpv4/192.0.2.2", "ELEMENT up0/dhcpv4/192.0.2.2 DHCPv4"])
    #expect(host.state.interfaces[0].sources.count == 1)
  }

  @Test func `A request on one interface ties no reply on another`() {
    let host = Host.withLink()
    host.link(Host.up1)
    host.hear(request(), outgoing: true)
    host.told()
    host.hear(reply(), on: Host.up1)
    #expect(host.told() == [])
    #expect(host.count(.dhcpv4ForeignTransaction) == 1)
  }

  @Test func `Requests of other hosts push none of ours out`() {
    let host = Host.withLink()
    host.hear(request(), outgoing: true)
    for transaction in 0..<100 as Range<UInt32> { host.hear(request(transaction: transaction)) }
    #expect(host.count(.dhcpForeignRequest) == 100)
    host.hear(reply())
    #expect(host.told().count == 2)
  }

  @Test func `A renewal without change is no news, its new times are there to be asked for`() {
    let host = leased([3, 4, 192, 0, 2, 1, 6, 4, 192, 0, 2, 53])
    for renewal in 1...5 as ClosedRange<UInt32> {
      host.wait(1800)
      host.hear(request(transaction: renewal), outgoing: true)
      // A server may vary T1 and T2 from one renewal to the next (4.4.5).
      let times = [58, 4] + Build.u32(1700 + renewal) + [59, 4] + Build.u32(3000 + renewal)
      host.hear(reply(transaction: renewal, [3, 4, 192, 0, 2, 1, 6, 4, 192, 0, 2, 53] + times))
      #expect(host.told() == [])
    }
    #expect(
      host.items(.lease, of: .dhcpv4, in: pvd).map { $0.value }
        == [.lease(server: .v4(Self.server), renewal: 1705, rebinding: 3005)])
    host.wait(3599)
    #expect(host.told() == [])
    host.wait(1)
    #expect(host.told() == ["NO_ELEMENT \(pvd) DHCPv4", "NO_PVD \(pvd)"])
  }

  @Test func `A renewal with another option is a change; an option that is no longer there is gone`() {
    let host = leased([6, 4, 192, 0, 2, 53])
    host.hear(reply([6, 4, 192, 0, 2, 54]))
    #expect(host.told() == ["ELEMENT \(pvd) DHCPv4"])
    host.hear(reply())
    #expect(host.told() == ["ELEMENT \(pvd) DHCPv4"])
    #expect(host.items(.dnsServers, of: .dhcpv4, in: pvd).isEmpty)
  }

  @Test func `With option 121 the options 3 and 33 are ignored (RFC 3442)`() {
    let host = leased([3, 4, 192, 0, 2, 9, 33, 8, 198, 51, 100, 0, 192, 0, 2, 9, 121, 5, 0, 192, 0, 2, 1])
    #expect(host.items(.defaultRouter, of: .dhcpv4, in: pvd).map { $0.value } == [.router(v4(1), preference: 0)])
    #expect(host.items(.routes, of: .dhcpv4, in: pvd).isEmpty)
    host.told()
  }

  @Test func `The lease runs out: addresses, element, PvD`() {
    let host = leased()
    host.address(address)
    host.told()
    host.wait(3600)
    #expect(
      host.told() == [
        "NO_ADDRESS \(pvd) \(text(address))", "NO_ELEMENT \(pvd) DHCPv4", "NO_PVD \(pvd)", "PVD up0/kernel",
        "ELEMENT up0/kernel KERNEL", "ADDRESS up0/kernel \(text(address))",
      ])
    #expect(host.state.nextDeadline == .never)
  }

  @Test func `A lease of 0xFFFFFFFF does not run out (RFC 2131, 3.3)`() {
    let host = Host.withLink()
    host.hear(request(), outgoing: true)
    host.hear(reply(lease: .max))
    #expect(host.state.nextDeadline == .never)
    host.told()
  }

  @Test(arguments: [(type: UInt8(7), name: "RELEASE (4.4.6)"), (type: 4, name: "DECLINE (3.1, 5)")])
  func `The client gives its lease back`(_ message: (type: UInt8, name: String)) {
    let host = leased()
    host.hear(request(message.type, transaction: 9, from: [2, 0, 0, 0, 0, 9]), outgoing: true)
    #expect(host.told() == [])
    host.hear(request(message.type, transaction: 9))
    #expect(host.told() == [])
    host.hear(request(message.type, transaction: 9), outgoing: true)
    #expect(host.told() == ["NO_ELEMENT \(pvd) DHCPv4", "NO_PVD \(pvd)"])
    #expect(host.state.nextDeadline == .never)
  }

  @Test func `A NAK ends all of it (3.1, 4)`() {
    let host = leased()
    host.hear(request(transaction: 9), outgoing: true)
    host.hear(reply(type: 6, transaction: 8, lease: nil, address: .unspecified))
    #expect(host.told() == [])
    host.hear(reply(type: 6, transaction: 9, lease: nil, address: .unspecified))
    #expect(host.told() == ["NO_ELEMENT \(pvd) DHCPv4", "NO_PVD \(pvd)"])
  }

  @Test func `However few servers are kept, another one's lease has room`() {
    var limits = Limits()
    limits.serversPerInterface = 1
    let host = Host.withLink(limits: limits)
    for server in [Self.server, Self.other] {
      host.hear(request(transaction: server.value), outgoing: true)
      host.hear(reply(from: server, transaction: server.value))
    }
    #expect(host.told().last == "ELEMENT up0/dhcpv4/192.0.2.2 DHCPv4")
    #expect(host.count(.serversFull) == 0)
  }

  @Test func `Another server's lease takes the place of the one before`() {
    let host = leased()
    host.hear(request(transaction: 9), outgoing: true)
    host.hear(reply(from: Self.other, transaction: 9))
    #expect(
      host.told() == [
        "NO_ELEMENT \(pvd) DHCPv4", "NO_PVD \(pvd)", "PVD up0/dhcpv4/192.0.2.2", "ELEMENT up0/dhcpv4/192.0.2.2 DHCPv4",
      ])
    host.wait(3600)
    host.told()
    #expect(host.state.nextDeadline == .never)
  }

  // MARK: The L flag (RFC 8801, 3.1)

  private func advertisement(legacy: Bool, lifetime: Int = 1800) -> [UInt8] {
    Build.ra(
      [Build.pvd(Build.name("isp.example.com"), flags: legacy ? 0x4000 : 0)], source: fe80(1), lifetime: lifetime)
  }

  @Test func `With L the DHCPv4 data of the link join the explicit PvD, without they leave it`() {
    let host = leased()
    host.address(address)
    host.told()
    host.hear(advertisement(legacy: true))
    #expect(
      host.told() == [
        "NO_ADDRESS \(pvd) \(text(address))", "NO_ELEMENT \(pvd) DHCPv4", "NO_PVD \(pvd)", "PVD isp.example.com",
        "ELEMENT isp.example.com RA", "ELEMENT isp.example.com DHCPv4",
        "ADDRESS isp.example.com \(text(address))",
      ])
    #expect(host.items(.lease, of: .dhcpv4, in: "isp.example.com").count == 1)
    host.hear(advertisement(legacy: false))
    #expect(
      host.told() == [
        "NO_ADDRESS isp.example.com \(text(address))", "NO_ELEMENT isp.example.com DHCPv4",
        "PVD \(pvd)", "ELEMENT \(pvd) DHCPv4", "ADDRESS \(pvd) \(text(address))", "ELEMENT isp.example.com RA",
      ])
  }

  @Test func `In an explicit PvD another server's lease is a change of the element`() {
    let host = leased()
    host.hear(advertisement(legacy: true))
    host.told()
    host.hear(request(transaction: 9), outgoing: true)
    host.hear(reply(from: Self.other, transaction: 9))
    #expect(host.told() == ["ELEMENT isp.example.com DHCPv4"])
  }

  @Test func `A lease outlives a link that is down for a while, the PvD does not`() {
    let host = leased()
    host.link(isUp: false)
    #expect(host.told() == ["INTERFACE up0", "NO_ELEMENT \(pvd) DHCPv4", "NO_PVD \(pvd)"])
    host.link()
    #expect(host.told() == ["INTERFACE up0", "PVD \(pvd)", "ELEMENT \(pvd) DHCPv4"])
    host.link(isUp: false)
    host.wait(3600)
    host.link()
    #expect(host.told().filter { $0.hasPrefix("PVD") } == [])
  }
}
