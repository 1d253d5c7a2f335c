import PacketBuilders
import Testing
import Wire

/// Every field of every golden packet.
@Suite struct GoldenTests {
  @Test(arguments: GoldenPacket.all)
  func isTakenWithoutAnyRefusal(golden: GoldenPacket) {
    let outgoing = golden.description.contains("REQUEST")
    #expect(refusals(of: golden.bytes, arrival: Arrival(interface: 1, outgoing: outgoing)) == [])
    #expect(refusals(of: golden.bytes + [0, 0, 0, 0], arrival: Arrival(interface: 1)) == [], "padded by the link")
  }

  @Test func routerAdvertisementHeader() throws {
    let bytes = GoldenPacket.routerAdvertisement.bytes
    guard
      case .routerAdvertisement(let advertisement) = try Packet.decode(
        bytes.rawSpan, family: .v6, arrival: Arrival(interface: 1))
    else {
      Issue.record("not a Router Advertisement")
      return
    }
    #expect(advertisement.source.description == "fe80::1")
    #expect(advertisement.destination.description == "ff02::1")
    let header = advertisement.header
    #expect(header.curHopLimit == 64)
    #expect(header.flags.contains([.managed, .otherConfiguration]))
    #expect(!header.flags.contains(.homeAgent) && !header.flags.contains(.proxied))
    #expect(header.preference == .high)
    #expect(header.routerLifetime == 1800)
    #expect(header.reachableTime == 30_000)
    #expect(header.retransTimer == 1000)
    let message = advertisement.bytes.array
    #expect(message == [UInt8](bytes[40...]))
  }

  @Test func routerAdvertisementOptions() throws {
    #expect(
      try options(of: GoldenPacket.routerAdvertisement.bytes) == [
        "link-layer 02005e100001",
        "mtu 1480",
        "prefix 2001:db8:1::/64 flags d0 valid 86400 preferred 14400",
        "route 2001:db8:ff::/96 high 1800",
        "rdnss 2001:db8:1::53 2001:db8:1::54 1200",
        "dnssl example.com corp.example.org 1200",
        "portal https://portal.example/api",
        "pref64 64:ff9b::/96 1800",
        "dnr 1 dot.example.net 2001:db8:1::853 0001000403646f74 3600",
        "pvd isp.example.com e003 delay 3 H L sequence 4660 lifetime 900 hops 32 [rdnss 2001:db8:1::53 600]",
        "unknown 200 010203040506",
      ])
  }

  /// RFC 5175, 4; RFC 6275, 7.3 and 7.4.
  @Test func optionsOfARouterAboutItself() throws {
    let bytes = Build.ra([
      [26, 1, 0x80, 0, 0, 0, 0, 0x01], [7, 1, 0, 0, 0, 0, 0x27, 0x10], [8, 1, 0, 0, 0, 5, 0x07, 0x08],
    ])
    #expect(
      try options(of: bytes) == [
        "flags 800000000001 800000000001", "interval 10000 000000002710", "home agent 5 1800 000000050708",
      ])
  }

  private func options(of bytes: [UInt8]) throws -> [String] {
    guard
      case .routerAdvertisement(let advertisement) = try Packet.decode(
        bytes.rawSpan, family: .v6, arrival: Arrival(interface: 1))
    else {
      Issue.record("not a Router Advertisement")
      return []
    }
    var told: [String] = []
    var options = advertisement.options
    while let option = options.next() { told.append(describe(option)) }
    return told
  }

  private func hex(_ span: RawSpan) -> String {
    span.array.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }

  private func describe(_ option: borrowing NeighbourDiscoveryOption) -> String {
    switch option {
    case .sourceLinkLayerAddress(let bytes): "link-layer \(hex(bytes))"
    case .mtu(let mtu): "mtu \(mtu)"
    case .prefixInformation(let value):
      "prefix \(value.prefix) flags \(String(value.flags.rawValue, radix: 16)) valid \(value.validLifetime) preferred "
        + "\(value.preferredLifetime)"
    case .routeInformation(let value): "route \(value.prefix) \(value.preference) \(value.lifetime)"
    case .recursiveDNSServers(let value):
      "rdnss \(value.addresses.array.joined(separator: " ")) \(value.lifetime)"
    case .dnsSearchList(let value): "dnssl \(value.names.texts.joined(separator: " ")) \(value.lifetime)"
    case .captivePortal(let uri): "portal \(String(decoding: uri.array, as: UTF8.self))"
    case .pref64(let value): "pref64 \(value.prefix) \(value.lifetime)"
    case .encryptedDNS(let value):
      "dnr \(value.priority) \(value.name.text) \(value.addresses?.array.joined(separator: " ") ?? "none") "
        + "\(hex(value.parameters)) \(value.lifetime ?? 0)"
    case .provisioningDomain(let value): describe(value)
    case .router(let option): "\(describe(option.value)) \(hex(option.content))"
    case .unknown(let type, let bytes): "unknown \(type) \(hex(bytes))"
    case .malformed(let type, let refusal): "malformed \(type) \(refusal)"
    }
  }

  private func describe(_ value: RouterOption.Value) -> String {
    switch value {
    case .flagsExtension(let bits): "flags \(String(bits, radix: 16))"
    case .advertisementInterval(let milliseconds): "interval \(milliseconds)"
    case .homeAgent(let preference, let lifetime): "home agent \(preference) \(lifetime)"
    }
  }

  private func describe(_ domain: borrowing ProvisioningDomainOption) -> String {
    var nested: [String] = []
    var options = domain.options
    while let option = options.next() { nested.append(describe(option)) }
    return "pvd \(domain.name.text) \(String(domain.flags, radix: 16)) delay \(domain.delay)"
      + (domain.hasAdditionalInformation ? " H" : "") + (domain.includesLegacyIPv4 ? " L" : "")
      + " sequence \(domain.sequence) lifetime \(domain.header?.routerLifetime ?? 0)"
      + " hops \(domain.header?.curHopLimit ?? 0) \(nested)".replacing("\"", with: "")
  }

  @Test func acknowledgement() throws {
    let bytes = GoldenPacket.acknowledgement.bytes
    guard case .dhcpv4(let datagram) = try Packet.decode(bytes.rawSpan, family: .v4, arrival: Arrival(interface: 1))
    else {
      Issue.record("not DHCPv4")
      return
    }
    var places = DHCPv4OptionPlaces()
    let message = try DHCPv4Message(datagram, &places)
    #expect(message.source.description == "192.0.2.1")
    #expect(message.destination.description == "192.0.2.10")
    #expect(message.kind == .ack && message.isToClient)
    #expect(message.transaction == 0x1234_5678)
    #expect(message.hardwareType == 1 && message.seconds == 3)
    #expect(message.flags == 0x8000)
    let hardware = message.hardwareAddress.array
    #expect(hardware == [0x02, 0x00, 0x5e, 0x10, 0x00, 0x02])
    #expect(message.clientAddress == .unspecified && message.relayAddress == .unspecified)
    #expect(message.yourAddress.description == "192.0.2.10")
    #expect(message.nextServerAddress.description == "192.0.2.2")
    #expect(message.serverIdentifier?.description == "192.0.2.1")
    #expect(message.leaseTime == 3600 && message.renewalTime == 1800 && message.rebindingTime == 3150)
    #expect(message.prefixLength == 24 && message.interfaceMTU == 1400 && message.ipv6OnlyWait == 1800)
    let routers = message.routers?.array
    #expect(routers == ["192.0.2.1", "192.0.2.3"])
    let servers = message.domainNameServers?.array
    #expect(servers == ["192.0.2.53", "198.51.100.53"])
    let clocks = message.ntpServers?.array
    #expect(clocks == ["192.0.2.7"])
    let domain = message.domainName?.array
    #expect(domain == [UInt8]("example.com".utf8))
    let host = message.hostName?.array
    #expect(host == [UInt8]("host1".utf8))
    let portal = message.captivePortal?.array
    #expect(portal == [UInt8]("https://portal.example/api".utf8))
    let absent = message.posixTimeZone == nil && message.option(200) == nil
    #expect(absent && !message.contains(200) && message.contains(121))

    var names: [String] = []
    if var list = message.domainSearch { while let name = list.next() { names.append(name.text) } }
    #expect(names == ["eng.apple.com", "marketing.apple.com"])
    var routes: [String] = []
    if var list = message.classlessRoutes {
      while let route = list.next() { routes.append("\(route.prefix) \(route.gateway)") }
    }
    #expect(routes == ["0.0.0.0/0 192.0.2.1", "203.0.113.0/24 192.0.2.5", "198.51.100.1/32 0.0.0.0"])
    routes = []
    if var list = message.staticRoutes {
      while let route = list.next() { routes.append("\(route.prefix) \(route.gateway)") }
    }
    #expect(routes == ["198.51.100.0/24 192.0.2.4"])
  }

  @Test func request() throws {
    let bytes = GoldenPacket.request.bytes
    guard
      case .dhcpv4(let datagram) = try Packet.decode(
        bytes.rawSpan, family: .v4, arrival: Arrival(interface: 1, outgoing: true))
    else {
      Issue.record("not DHCPv4")
      return
    }
    var places = DHCPv4OptionPlaces()
    let message = try DHCPv4Message(datagram, &places)
    #expect(message.kind == .request && !message.isToClient)
    #expect(message.transaction == 0x1234_5678)
    #expect(message.serverIdentifier?.description == "192.0.2.1" && message.leaseTime == nil)
  }

  @Test func reply() throws {
    let bytes = GoldenPacket.reply.bytes
    guard case .dhcpv6(let message) = try Packet.decode(bytes.rawSpan, family: .v6, arrival: Arrival(interface: 1))
    else {
      Issue.record("not DHCPv6")
      return
    }
    #expect(message.kind == .reply && message.isToClient && message.transaction == 0xABCDEF)
    #expect(message.source.description == "fe80::1" && message.destination.description == "fe80::2")
    #expect(message.hasRapidCommit && message.status == .success)
    let client = message.clientIdentifier?.array
    #expect(client == [0, 3, 0, 1, 2, 0, 0x5e, 0x10, 0, 2])
    let server = message.serverIdentifier?.array
    #expect(server == [0, 1, 0, 1, 0x2a, 0x2b, 0x2c, 0x2d, 2, 0, 0x5e, 0x10, 0, 1])
    var told: [String] = []
    var options = message.options
    while let option = options.next() { told += describe(option) }
    #expect(
      told == [
        "client", "server",
        "ia a1b2c3d4 1800 2880", "address 2001:db8:1::100 3600 7200 0",
        "pd 7 1800 2880", "prefix 2001:db8:8000::/56 3600 7200 0",
        "dns 2001:db8:1::53 2001:db8:1::54", "search example.com example.org", "refresh 600", "rapid",
        "portal https://portal.example/api", "ntp 2001:db8:1::123",
        "dnr 2 dot.example.net 2001:db8:1::853 0001000403646f74",
      ])
  }

  private func describe(_ option: borrowing DHCPv6Option) -> [String] {
    switch option {
    case .clientIdentifier: return ["client"]
    case .serverIdentifier: return ["server"]
    case .nonTemporaryAddresses(let value):
      return ["ia \(String(value.identifier, radix: 16)) \(value.renewalTime) \(value.rebindingTime)"]
        + describe(value.options)
    case .prefixDelegation(let value):
      return ["pd \(value.identifier) \(value.renewalTime) \(value.rebindingTime)"] + describe(value.options)
    case .address(let value):
      return [
        "address \(value.address) \(value.preferredLifetime) \(value.validLifetime) \(value.status.rawValue)"
      ]
    case .prefix(let value):
      return ["prefix \(value.prefix) \(value.preferredLifetime) \(value.validLifetime) \(value.status.rawValue)"]
    case .dnsServers(let value): return ["dns \(value.array.joined(separator: " "))"]
    case .domainSearch(let value): return ["search \(value.texts.joined(separator: " "))"]
    case .informationRefreshTime(let value): return ["refresh \(value)"]
    case .rapidCommit: return ["rapid"]
    case .captivePortal(let value): return ["portal \(String(decoding: value.array, as: UTF8.self))"]
    case .ntpServer(let value):
      if case .address(let address) = value { return ["ntp \(address)"] }
      return ["ntp"]
    case .encryptedDNS(let value):
      return [
        "dnr \(value.priority) \(value.name.text) \(value.addresses?.array.joined(separator: " ") ?? "none") "
          + hex(value.parameters)
      ]
    default: return ["other"]
    }
  }

  private func describe(_ options: consuming DHCPv6Options) -> [String] {
    var told: [String] = []
    var options = options
    while let option = options.next() { told += describe(option) }
    return told
  }

  @Test func informationRequest() throws {
    let bytes = GoldenPacket.informationRequest.bytes
    guard
      case .dhcpv6(let message) = try Packet.decode(
        bytes.rawSpan, family: .v6, arrival: Arrival(interface: 1, outgoing: true))
    else {
      Issue.record("not DHCPv6")
      return
    }
    let hasServer = message.serverIdentifier != nil
    #expect(message.kind == .informationRequest && !message.isToClient && !hasServer && !message.hasRapidCommit)
  }

  struct ErrorCase: Sendable, CustomTestStringConvertible {
    let golden: GoldenPacket
    let source: String
    let local: String
    let destination: String
    let kind: ICMPError.Kind
    let number: IPProtocol
    let flow: ICMPError.Flow
    var testDescription: String { golden.description }
  }

  @Test(arguments: [
    ErrorCase(
      golden: .hostUnreachable, source: "203.0.113.1", local: "192.0.2.10", destination: "198.51.100.7",
      kind: .networkOrHost, number: .udp, flow: .udp(source: 4500, destination: 4500, spi: 0xC0FF_EE01)),
    ErrorCase(
      golden: .fragmentationNeeded, source: "203.0.113.1", local: "192.0.2.10", destination: "198.51.100.7",
      kind: .packetTooBig(mtu: 1400), number: .tcp,
      flow: .tcp(source: 40000, destination: 443, sequence: 0xDEAD_BEEF)),
    ErrorCase(
      golden: .timeExceeded, source: "2001:db8::1", local: "2001:db8:1::100", destination: "2001:db8:ffff::7",
      kind: .timeExceeded, number: .icmpv6, flow: .echo(identifier: 0x4242)),
    ErrorCase(
      golden: .packetTooBig, source: "2001:db8::1", local: "2001:db8:1::100", destination: "2001:db8:ffff::7",
      kind: .packetTooBig(mtu: 1280), number: .tcp,
      flow: .tcp(source: 40001, destination: 22, sequence: 0x0102_0304)),
    ErrorCase(
      golden: .noRoute, source: "2001:db8::1", local: "2001:db8:1::100", destination: "2001:db8:ffff::7",
      kind: .networkOrHost, number: .esp, flow: .esp(spi: 0x0BAD_CAFE)),
  ])
  func icmpError(expected: ErrorCase) throws {
    let bytes = expected.golden.bytes
    guard
      case .icmpError(let message) = try Packet.decode(
        bytes.rawSpan, family: family(of: bytes), arrival: Arrival(interface: 1))
    else {
      Issue.record("not an ICMP error")
      return
    }
    let error = try ICMPError(message)
    #expect(error.family == family(of: bytes))
    #expect(error.source.description == expected.source)
    #expect(error.destination.description == expected.local)
    #expect(error.quotedSource.description == expected.local)
    #expect(error.quotedDestination.description == expected.destination)
    #expect(error.kind == expected.kind)
    #expect(error.quotedProtocol == expected.number)
    #expect(error.flow == expected.flow)
    if case .packetTooBig(let mtu) = expected.kind { #expect(error.advertisedMTU == mtu) }
  }
}
