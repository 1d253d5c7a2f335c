import PacketBuilders
import Testing
import Wire

/// What is just good enough, next to what RefusalTests has of just not.
@Suite struct BoundaryTests {
  struct Accepted: Sendable, CustomTestStringConvertible {
    let name: String
    let section: String
    let bytes: [UInt8]
    var arrival = Arrival(interface: 1)
    var testDescription: String { "\(name) (\(section))" }

    init(
      _ name: String, _ section: String, _ bytes: [UInt8], outgoing: Bool = false,
      checksum: Arrival.Checksum = .ready
    ) {
      self.name = name
      self.section = section
      self.bytes = bytes
      arrival.outgoing = outgoing
      arrival.checksum = checksum
    }
  }

  static func damaged(_ bytes: [UInt8], at offset: Int) -> [UInt8] {
    var bytes = bytes
    bytes[offset] ^= 1
    return bytes
  }

  static func destinationOptions(_ next: UInt8) -> [UInt8] { [next, 0, 1, 4, 0, 0, 0, 0] }

  static let accepted: [Accepted] = [
    .init(
      "redirect to a router", "RFC 4861 8.1",
      Build.redirect6(target: Build.host, for: Build.far, Build.option(2, Build.hostHardwareAddress))),
    .init("redirect onto the link", "RFC 4861 8.1", Build.redirect6(target: Build.far, for: Build.far)),
    .init(
      "redirect of IPv4", "RFC 792", Build.redirect4(target: IPv4Address(0xC000_0203), Build.quote4(6, Build.tcp))),
    .init("RA of 16 bytes", "RFC 4861 6.1.2", Build.ra([])),
    .init("RA with Router Lifetime 0", "RFC 4861 6.3.4", Build.ra([], lifetime: 0)),
    .init("RA with unknown options", "RFC 4861 6.3.4", Build.ra([Build.option(255, []), Build.option(0, [1])])),
    .init("RA from febf::", "RFC 4291 2.5.6", Build.ra([], source: IPv6Address(0xfebf_0000_0000_0000, 1))),
    .init("RA behind a hop-by-hop header", "RFC 8200 4.3", Build.ra([], extensions: destinationOptions(58), first: 0)),
    .init(
      "RA behind eight headers", "RFC 8200 4.1",
      Build.ra([], extensions: (0..<8).flatMap { destinationOptions($0 == 7 ? 58 : 60) }, first: 60)),
    .init(
      "routing header without segments left", "RFC 8200 4.4",
      Build.ra([], extensions: [58, 0, 4, 0, 0, 0, 0, 0], first: 43)),
    .init("RA checksum not ready", "PACKET_AUXDATA", damaged(Build.ra([]), at: 42), checksum: .notReady),
    .init("UDP checksum not ready", "PACKET_AUXDATA", damaged(Build.ack([]), at: 26), checksum: .notReady),
    .init(
      "ICMP checksum not ready", "PACKET_AUXDATA", damaged(GoldenPacket.noRoute.bytes, at: 42), checksum: .notReady),
    .init("our request, checksum unfinished", "", damaged(GoldenPacket.request.bytes, at: 26), outgoing: true),
    .init(
      "our DHCPv6 request, checksum unfinished", "", damaged(GoldenPacket.informationRequest.bytes, at: 46),
      outgoing: true),
    .init("another host's request", "", GoldenPacket.request.bytes),
    .init(
      "UDP without checksum", "RFC 768",
      {
        var bytes = GoldenPacket.acknowledgement.bytes
        bytes[26] = 0
        bytes[27] = 0
        return bytes
      }()),
    .init(
      "IPv4 with options", "RFC 791 3.1",
      Build.ipv4(
        17,
        Build.udp(
          Build.dhcpv4Message(Build.fromServer(5) + [255]), source: 67, destination: 68,
          pseudo: (Build.bytes(Build.server4), Build.bytes(Build.host4))), options: [1, 1, 1, 0])),
    .init("PIO /0 and /128", "RFC 4861 4.6.2", Build.ra([Build.pio(Build.global, 0), Build.pio(Build.global, 128)])),
    .init("RIO /0 of length 1", "RFC 4191 2.3", Build.ra([Build.rio(.unspecified, 0, units: 1)])),
    .init("RIO /64 of length 2", "RFC 4191 2.3", Build.ra([Build.rio(Build.far, 64, units: 2)])),
    .init("RIO /0 of length 3", "RFC 4191 2.3", Build.ra([Build.rio(.unspecified, 0, units: 3)])),
    .init("RIO /65 of length 3", "RFC 4191 2.3", Build.ra([Build.rio(Build.far, 65, units: 3)])),
    .init("RIO /128 of length 3", "RFC 4191 2.3", Build.ra([Build.rio(Build.far, 128, units: 3)])),
    .init("RDNSS of length 3", "RFC 8106 5.3.1", Build.ra([Build.rdnss([Build.far])])),
    .init("RDNSS of length 5", "RFC 8106 5.3.1", Build.ra([Build.rdnss([Build.far, Build.global])])),
    .init("DNSSL of length 2", "RFC 8106 5.3.1", Build.ra([Build.dnssl(Build.name("a"))])),
    .init("MTU 1280", "RFC 8200 5", Build.ra([Build.option(5, [0, 0] + Build.u32(1280))])),
    .init("PvD with nothing inside", "RFC 8801 3.1", Build.ra([Build.pvd(Build.name("a.example"))])),
    .init(
      "PvD whose name ends at 8 bytes", "RFC 8801 3.1",
      Build.ra([Build.pvd([0x08] + [UInt8]("abcdefgh".utf8) + [0], [Build.rdnss([Build.far])])])),
    .init("captive portal without padding", "RFC 8910 2.3", Build.ra([Build.option(37, [UInt8]("abcdef".utf8))])),
    .init("DNR of a name only", "RFC 9463 6.1", Build.ra([Build.option(144, [0, 1, 0, 0, 0, 9, 0, 3, 1, 97, 0])])),
    .init("DHCPv4 without end option", "RFC 2131 4.1", Build.udp4(Build.dhcpv4Message(Build.fromServer(5)), to: 68)),
    .init(
      "ACK to an INFORM: no lease", "RFC 2131 4.3.5",
      Build.udp4(Build.dhcpv4Message(Build.fromServer(5) + [255]), to: 68)),
    .init(
      "hlen 16", "RFC 2131 2", Build.udp4(Build.dhcpv4Message(Build.fromServer(5) + [255], hardwareLength: 16), to: 68)),
    .init(
      "hlen 0", "RFC 4390 2.1", Build.udp4(Build.dhcpv4Message(Build.fromServer(5) + [255], hardwareLength: 0), to: 68)),
    .init("rubbish behind the end option", "RFC 2132 3.2", Build.ack([255, 6, 200, 1])),
    .init("file without overload is no options", "RFC 2132 9.3", Build.ack([], file: [6, 127])),
    .init("unknown DHCPv4 option of no bytes", "RFC 2132 2", Build.ack([224, 0])),
    .init("mask 0", "RFC 950 2.2", Build.ack([1, 4, 0, 0, 0, 0])),
    .init("mask 32", "RFC 950 2.2", Build.ack([1, 4, 255, 255, 255, 255])),
    .init("MTU 68", "RFC 2132 5.1", Build.ack([26, 2, 0, 68])),
    .init("domain with dot and zero at its end", "RFC 2132 2", Build.ack([15, 3, 97, 46, 0])),
    .init("16 pieces", "RFC 3396 5", Build.ack((0..<16).flatMap { _ in [6, 4, 192, 0, 2, 53] as [UInt8] })),
    .init(
      "16 pieces of one option and 16 of another", "RFC 3396 5",
      Build.ack((0..<16).flatMap { _ in [6, 4, 192, 0, 2, 53, 42, 4, 192, 0, 2, 123] as [UInt8] })),
    .init(
      "16 pieces and as many of nothing", "RFC 3396 7",
      Build.ack((0..<16).flatMap { _ in [6, 4, 192, 0, 2, 53, 6, 0] as [UInt8] })),
    .init("REPLY without a client", "RFC 8415 16.10", Build.dhcpv6(7, Build.dhcpv6Option(2, Build.serverDUID))),
    .init(
      "DUIDs of 3 and 130 bytes", "RFC 8415 11.1",
      Build.dhcpv6(
        2, Build.dhcpv6Option(1, [0, 3, 1]) + Build.dhcpv6Option(2, [UInt8](repeating: 1, count: 130)))),
    .init("request of nothing", "RFC 8415 8", Build.dhcpv6(11, [], to: 547)),
    .init("IA_NA of nothing", "RFC 8415 21.4", Build.reply(Build.iaNA([]))),
    .init("T2 0", "RFC 8415 21.4", Build.reply(Build.iaNA(renewal: 5, rebinding: 0, []))),
    .init("T1 as T2", "RFC 8415 21.4", Build.reply(Build.iaNA(renewal: 5, rebinding: 5, []))),
    .init("lifetimes 0", "RFC 8415 21.6", Build.reply(Build.iaNA(Build.iaAddress(Build.far, preferred: 0, valid: 0)))),
  ]

  @Test(arguments: accepted)
  func isAccepted(packet: Accepted) {
    #expect(refusals(of: packet.bytes, arrival: packet.arrival) == [])
  }

  /// An option's bytes in every option that refers to them must be from where they say.
  private func options(_ bytes: [UInt8], _ body: (borrowing NeighbourDiscoveryOption) -> Void) throws {
    guard
      case .routerAdvertisement(let advertisement) = try Packet.decode(
        bytes.rawSpan, family: .v6, arrival: Arrival(interface: 1))
    else { return }
    var options = advertisement.options
    while let option = options.next() { body(option) }
  }

  @Test("PREF64 lengths and lifetime (RFC 8781 4)", arguments: [(0, 96), (1, 64), (2, 56), (3, 48), (4, 40), (5, 32)])
  func pref64(code: UInt8, length: UInt8) throws {
    var count = 0
    let bytes = Build.ra([Build.option(38, [0xFF, 0xF8 | code] + [UInt8](repeating: 0xFF, count: 12))])
    try options(bytes) { option in
      guard case .pref64(let value) = option else { return }
      count += 1
      #expect(value.lifetime == 8191 * 8)
      #expect(value.prefix == IPPrefix(.v6(IPv6Address(.max, 0xFFFF_FFFF << 32)), length).masked)
    }
    #expect(count == 1)
  }

  @Test("Each flag of a PvD option by itself (RFC 8801 3.1)", arguments: [0, 0x8000, 0x4000, 0x2000, 0x000F, 0x1FF0])
  func pvdFlags(flags: Int) throws {
    var told: [String] = []
    let header = flags == 0x2000 ? Build.raHeader(lifetime: 5) : []
    try options(Build.ra([Build.pvd(Build.name("a.example"), flags: flags, sequence: 0xFFFF, header: header)])) {
      option in
      guard case .provisioningDomain(let domain) = option else { return }
      if domain.hasAdditionalInformation { told.append("H") }
      if domain.includesLegacyIPv4 { told.append("L") }
      if let header = domain.header { told.append("R \(header.routerLifetime)") }
      if domain.delay != 0 { told.append("\(domain.delay)") }
      #expect(domain.flags == UInt16(flags) && domain.sequence == 0xFFFF)
    }
    let expected = [0x8000: ["H"], 0x4000: ["L"], 0x2000: ["R 5"], 0x000F: ["15"]]
    #expect(told == expected[flags] ?? [])
  }

  @Test("Preference bits (RFC 4191 2.1, 2.2)", arguments: [(0, 0), (1, 1), (2, 0), (3, -1)])
  func routerPreference(bits: UInt8, expected: Int8) throws {
    for (lifetime, preference) in [(1800, expected), (0, 0)] {
      let bytes = Build.ra([], flags: bits << 3 | 0xE7, lifetime: lifetime)
      guard
        case .routerAdvertisement(let advertisement) = try Packet.decode(
          bytes.rawSpan, family: .v6, arrival: Arrival(interface: 1))
      else { return }
      #expect(advertisement.header.preference.rawValue == preference)
    }
  }

  @Test("Prefix bits past the length are no part of it (RFC 4861 4.6.2)")
  func prefixIsMasked() throws {
    var told: [String] = []
    try options(Build.ra([Build.pio(Build.global, 48, flags: 0xF0), Build.rio(Build.far, 33, units: 3)])) { option in
      switch option {
      case .prefixInformation(let value):
        told.append("\(value.prefix) \(value.address) \(value.flags.contains(.delegationPreferred))")
      case .routeInformation(let value): told.append("\(value.prefix) \(value.preference)")
      default: break
      }
    }
    #expect(told == ["2001:db8:1::/48 2001:db8:1::100 true", "2001:db8:8000::/33 medium"])
  }

  @Test("Addresses need A and preferred at most valid (RFC 4862 5.5.3)")
  func addressesArePermitted() throws {
    var told: [Bool] = []
    let bytes = Build.ra([
      Build.pio(Build.global, flags: 0x40, valid: 5, preferred: 5),
      Build.pio(Build.global, flags: 0x40, valid: 5, preferred: 6),
      Build.pio(Build.global, flags: 0x80),
    ])
    try options(bytes) { option in
      if case .prefixInformation(let value) = option { told.append(value.permitsAddresses) }
    }
    #expect(told == [true, false, false])
  }

  @Test("One bad option leaves the others (RFC 4861 6.3.4)")
  func badOptionIsSkipped() throws {
    let bytes = Build.ra([Build.rdnss([]), Build.rdnss([Build.far]), Build.pio(Build.router), Build.pio(Build.global)])
    #expect(refusals(of: bytes) == [.rdnssLength, .pioScope])
    var good = 0
    try options(bytes) { option in
      if case .malformed = option { return }
      good += 1
    }
    #expect(good == 2)
  }

  // MARK: DHCPv4

  private func acknowledged(_ bytes: [UInt8], _ body: (borrowing DHCPv4Message) -> Void) throws {
    guard case .dhcpv4(let datagram) = try Packet.decode(bytes.rawSpan, family: .v4, arrival: Arrival(interface: 1))
    else {
      Issue.record("not DHCPv4")
      return
    }
    var places = DHCPv4OptionPlaces()
    let message = try DHCPv4Message(datagram, &places)
    body(message)
  }

  @Test("Options, then file, then sname, joined where they repeat (RFC 3396 5, RFC 2131 4.1)")
  func overload() throws {
    let bytes = Build.ack(
      [6, 3, 192, 0, 2, 52, 1, 3], file: [6, 3, 53, 198, 51, 255], serverName: [0, 6, 2, 100, 53])
    try acknowledged(bytes) { message in
      let servers = message.domainNameServers?.array
      #expect(servers == ["192.0.2.53", "198.51.100.53"])
    }
    // Only the bit of a field makes options of it.
    try acknowledged(Build.ack([52, 1, 2], file: [6, 4, 1, 1, 1, 1], serverName: [6, 4, 2, 2, 2, 2])) { message in
      let servers = message.domainNameServers?.array
      #expect(servers == ["2.2.2.2"])
    }
    // An overload within an overload is none.
    try acknowledged(Build.ack([52, 1, 1], file: [52, 1, 2], serverName: [6, 4, 2, 2, 2, 2])) { message in
      let isThere = message.contains(6)
      #expect(!isThere)
    }
  }

  /// All that a message is asked for by number.
  static let readOptions: [UInt8] = [
    1, 3, 6, 12, 15, 26, 33, 42, 51, 52, 53, 54, 58, 59, 80, 100, 101, 108, 114, 119, 121, 162,
  ]

  /// A message with these options and no others, those that it must have in front: `code` is then there twice if it is
  /// one of them.
  private func message(_ options: [UInt8]) -> [UInt8] {
    Build.udp4(Build.dhcpv4Message([53, 1, 5, 54, 4, 192, 0, 2, 1] + options + [255]), to: 68)
  }

  @Test("Every option is found among all others (RFC 2131 4.1)", arguments: readOptions)
  func everyOption(code: UInt8) throws {
    let others = (UInt8(1)...254).filter { ![51, 52, 53, 54].contains($0) }.flatMap { [$0, 1, $0] as [UInt8] }
    try acknowledged(message(others)) { message in
      guard ![51, 52, 53, 54].contains(code) else { return }
      let value = message.option(code)?.array
      #expect(value == [code])
    }
  }

  @Test("No option hides another that it shares bits with (RFC 3396 7)", arguments: readOptions)
  func similarNumbers(code: UInt8) throws {
    guard ![52, 53, 54].contains(code) else { return }
    for bits: UInt8 in [1, 2, 4, 8, 16, 32, 64, 128, 192] {
      let other = code ^ bits
      guard other != 0, other != 255, ![52, 53, 54].contains(other) else { continue }
      let foreign: [UInt8] = [other, 2, 7, 7]
      let first: [UInt8] = [code, 1, 1]
      let second: [UInt8] = [code, 1, 2]
      for (options, expected) in [
        (foreign, nil), (foreign + first, [1]), (first + foreign, [1]), (foreign + first + foreign, [1]),
        (first + foreign + second, [1, 2]), (foreign + foreign + first + second + foreign, [1, 2]),
      ] as [([UInt8], [UInt8]?)] {
        try acknowledged(message(options)) { message in
          let value = message.option(code)?.array
          let isThere = message.contains(code)
          #expect(value == expected, "\(code) with \(other)")
          #expect(isThere == (expected != nil), "\(code) with \(other)")
        }
      }
    }
  }

  @Test("16 pieces of any option are one value, 17 are none (RFC 3396 5)", arguments: readOptions)
  func pieces(code: UInt8) throws {
    guard ![52, 53, 54].contains(code) else { return }
    for count in [2, 16, 17] {
      try acknowledged(message((0..<count).flatMap { [code, 1, UInt8($0)] as [UInt8] })) { message in
        let value = message.option(code)?.array
        let fault = message.fault(code)
        let isThere = message.contains(code)
        #expect(value == (count > 16 ? nil : (0..<count).map { UInt8($0) }))
        #expect((fault == .dhcpv4OptionSegments) == (count > 16))
        #expect(isThere)
      }
    }
  }

  @Test("Room that was used says nothing of the next message")
  func roomIsReused() throws {
    var places = DHCPv4OptionPlaces()
    let messages = [message([6, 4, 1, 1, 1, 1, 6, 4, 2, 2, 2, 2]), message([]), message([6, 4, 3, 3, 3, 3])]
    var told: [[String]?] = []
    for bytes in messages {
      guard case .dhcpv4(let datagram) = try Packet.decode(bytes.rawSpan, family: .v4, arrival: Arrival(interface: 1))
      else { continue }
      let message = try DHCPv4Message(datagram, &places)
      told.append(message.domainNameServers?.array)
    }
    #expect(told == [["1.1.1.1", "2.2.2.2"], nil, ["3.3.3.3"]])
  }

  @Test("A route split between two options (RFC 3396 8)")
  func splitRoute() throws {
    try acknowledged(Build.ack([121, 3, 24, 10, 1, 121, 5, 2, 192, 0, 2, 1])) { message in
      var told: [String] = []
      if var routes = message.classlessRoutes {
        while let route = routes.next() { told.append("\(route.prefix) \(route.gateway)") }
      }
      #expect(told == ["10.1.2.0/24 192.0.2.1"])
    }
  }

  @Test(
    "Widths of classless routes (RFC 3442)",
    arguments: [
      (0, "0.0.0.0/0"), (1, "128.0.0.0/1"), (8, "255.0.0.0/8"), (9, "255.128.0.0/9"), (32, "255.255.255.255/32"),
    ])
  func classlessWidth(width: UInt8, expected: String) throws {
    let octets = [UInt8](repeating: 255, count: (Int(width) + 7) / 8)
    try acknowledged(Build.ack([121, UInt8(5 + octets.count), width] + octets + [0, 0, 0, 0])) { message in
      var told: [String] = []
      if var routes = message.classlessRoutes {
        while let route = routes.next() { told.append("\(route.prefix) \(route.gateway)") }
      }
      #expect(told == ["\(expected) 0.0.0.0"])
    }
  }

  @Test("Static routes go by class, or to a host (RFC 2132 5.8)")
  func staticRoutes() throws {
    let destinations: [[UInt8]] = [[10, 0, 0, 0], [172, 16, 0, 0], [192, 0, 2, 0], [10, 1, 0, 0]]
    try acknowledged(Build.ack([33, 32] + destinations.flatMap { $0 + [192, 0, 2, 1] })) { message in
      var told: [String] = []
      if var routes = message.staticRoutes {
        while let route = routes.next() { told.append(route.prefix.description) }
      }
      #expect(told == ["10.0.0.0/8", "172.16.0.0/16", "192.0.2.0/24", "10.1.0.0/32"])
    }
  }

  @Test("Text loses zeros and one dot at its end (RFC 2132 2)")
  func text() throws {
    try acknowledged(Build.ack([15, 6, 97, 46, 98, 46, 0, 0])) { message in
      let domain = message.domainName?.array
      #expect(domain == [UInt8]("a.b".utf8))
    }
  }

  @Test("Resolvers of option 162 (RFC 9463 5.1)")
  func encryptedDNS() throws {
    let name = Build.name("dot.example")
    let full = [0, 1, UInt8(name.count)] + name + [4, 192, 0, 2, 53, 0, 1, 0, 0]
    let nameOnly = [0, 2, UInt8(name.count)] + name
    let value = Build.u16(full.count) + full + Build.u16(nameOnly.count) + nameOnly
    try acknowledged(Build.ack([162, UInt8(value.count)] + value)) { message in
      var told: [String] = []
      if var resolvers = message.encryptedDNS {
        while let resolver = resolvers.next() {
          told.append(
            "\(resolver.priority) \(resolver.name.text) \(resolver.addresses?.array ?? []) \(resolver.parameters.array)"
          )
        }
      }
      #expect(told == ["1 dot.example [\"192.0.2.53\"] [0, 1, 0, 0]", "2 dot.example [] []"])
    }
  }

  @Test("What is left behind a name alone is padding, be it one byte (RFC 9463 6.1)", arguments: [0, 1, 7])
  func paddedEncryptedDNS(padding: Int) throws {
    // 8 bytes in front of the name's length, which with 14 bytes of name makes two units.
    let name = Build.name(String(repeating: "a", count: 12 - padding))
    let option = Build.option(144, [0, 1] + Build.u32(3600) + Build.u16(name.count) + name)
    #expect(option.count == 8 + 2 + name.count + padding)
    let bytes = Build.ra([option])
    guard
      case .routerAdvertisement(let advertisement) = try Packet.decode(
        bytes.rawSpan, family: .v6, arrival: Arrival(interface: 1))
    else { throw Refusal.icmpType }
    var options = advertisement.options
    guard let next = options.next(), case .encryptedDNS(let resolver) = next else { throw Refusal.dnrLength }
    let isNameOnly = resolver.addresses == nil
    let parameters = resolver.parameters.array
    #expect(isNameOnly)
    #expect(parameters == [])
  }

  @Test("A compressed name has at most 255 bytes when it is put together (RFC 1035 2.3.4)", arguments: [61, 62])
  func compressedNameLimit(label: Int) throws {
    func labels(_ lengths: [Int]) -> [UInt8] {
      lengths.flatMap { (length: Int) -> [UInt8] in [UInt8(length)] + [UInt8](repeating: 97, count: length) }
    }
    // 193 bytes, and a name that goes on with them: 193 + 62 = 255.
    let list = labels([63, 63, 63]) + [0] + labels([label]) + [0xC0, 0]
    #expect(list.count - 2 == 193 + 1 + label)
    let bytes = Build.ack([119, 255] + list[..<255] + [119, UInt8(list.count - 255)] + list[255...])
    #expect(refusals(of: bytes) == (label == 61 ? [] : [.dhcpv4OptionValue]))
  }

  @Test("A search list in two pieces, with a pointer across (RFC 3397 2)")
  func searchList() throws {
    let list: [UInt8] = [3, 101, 110, 103, 2, 97, 98, 0, 1, 120, 0xC0, 4]
    let bytes = Build.ack([119, 5] + list[..<5] + [119, 7] + list[5...])
    try acknowledged(bytes) { message in
      var told: [String] = []
      if var names = message.domainSearch { while let name = names.next() { told.append(name.text) } }
      #expect(told == ["eng.ab", "x.ab"])
    }
  }

  // MARK: DHCPv6

  @Test("Status codes belong to where they stand (RFC 8415 21.13)")
  func status() throws {
    let noBinding = Build.dhcpv6Option(13, [0, 3] + [UInt8]("none".utf8))
    let bytes = Build.reply(Build.iaNA(Build.iaAddress(Build.global, noBinding) + Build.dhcpv6Option(13, [0, 2])))
    guard case .dhcpv6(let message) = try Packet.decode(bytes.rawSpan, family: .v6, arrival: Arrival(interface: 1))
    else { return }
    #expect(message.status == .success)
    var told: [DHCPv6Status] = []
    var options = message.options
    while let option = options.next() {
      guard case .nonTemporaryAddresses(let association) = option else { continue }
      told.append(association.status)
      var nested = association.options
      while let option = nested.next() {
        if case .address(let address) = option { told.append(address.status) }
      }
    }
    #expect(told == [.noAddressesAvailable, .noBinding])
  }

  @Test(
    "The refresh time has a floor (RFC 8415 21.23)", arguments: [(0, 600), (599, 600), (600, 600), (UInt32.max, .max)])
  func refreshTime(sent: UInt32, expected: UInt32) throws {
    let bytes = Build.reply(Build.dhcpv6Option(32, Build.u32(sent)))
    guard case .dhcpv6(let message) = try Packet.decode(bytes.rawSpan, family: .v6, arrival: Arrival(interface: 1))
    else { return }
    var told: [UInt32] = []
    var options = message.options
    while let option = options.next() {
      if case .informationRefreshTime(let seconds) = option { told.append(seconds) }
    }
    #expect(told == [expected])
  }
}
