import PacketBuilders
import Testing
import Wire

/// One packet that is refused, or whose one bad option is, and by which rule.
struct RefusalCase: Sendable, CustomTestStringConvertible {
  let name: String
  let section: String
  let expected: Refusal
  let bytes: [UInt8]
  var family: Family?
  var arrival = Arrival(interface: 1)
  var testDescription: String { "\(name) (\(section)): \(expected)" }

  init(
    _ name: String, _ section: String, _ expected: Refusal, _ bytes: [UInt8], family: Family? = nil,
    outgoing: Bool = false
  ) {
    self.name = name
    self.section = section
    self.expected = expected
    self.bytes = bytes
    self.family = family
    arrival.outgoing = outgoing
  }
}

@Suite struct RefusalTests {
  static let all = ip + transport + icmp + redirects + routerAdvertisement + dhcpv4 + dhcpv6

  @Test(arguments: all)
  func isRefusedByName(refused: RefusalCase) {
    #expect(refusals(of: refused.bytes, family: refused.family, arrival: refused.arrival) == [refused.expected])
    let isOption = refusal(of: refused.bytes, family: refused.family, arrival: refused.arrival) == nil
    #expect(refused.expected.isOption == isOption)
  }

  @Test func everyReasonHasACase() {
    let reached = Set(RefusalTests.all.map(\.expected))
    #expect(Refusal.allCases.filter { !reached.contains($0) } == [])
  }

  @Test func namesAreUniqueAndDotted() {
    let names = Refusal.allCases.map(\.description)
    #expect(Set(names).count == names.count)
    for name in names {
      #expect(name.contains("."))
      #expect(name.allSatisfy { $0.isLowercase || $0.isNumber || $0 == "." || $0 == "-" })
    }
  }

  // MARK: IP

  static let someACK = GoldenPacket.acknowledgement.bytes
  static let someRA = GoldenPacket.routerAdvertisement.bytes

  static func with(_ bytes: [UInt8], _ offset: Int, _ value: UInt8) -> [UInt8] {
    var bytes = bytes
    bytes[offset] = value
    return bytes
  }

  /// A destination options header of `units` * 8 bytes, then `next`.
  static func destinationOptions(_ next: UInt8, units: Int = 1) -> [UInt8] {
    [next, UInt8(units - 1), 1, UInt8(units * 8 - 4)] + [UInt8](repeating: 0, count: units * 8 - 4)
  }

  static let ip: [RefusalCase] = [
    .init("no bytes", "RFC 791 3.1", .ipTruncated, [], family: .v4),
    .init("no bytes", "RFC 8200 3", .ipTruncated, [], family: .v6),
    .init("19 bytes of a header", "RFC 791 3.1", .ipTruncated, [UInt8](someACK.prefix(19))),
    .init("39 bytes of a header", "RFC 8200 3", .ipTruncated, [UInt8](someRA.prefix(39))),
    .init("one byte short", "RFC 791 3.1", .ipTruncated, [UInt8](someACK.dropLast())),
    .init("one byte short", "RFC 8200 3", .ipTruncated, [UInt8](someRA.dropLast())),
    .init("IPv6 where IPv4 was said", "RFC 791 3.1", .ipVersion, someRA, family: .v4),
    .init("IPv4 where IPv6 was said", "RFC 8200 3", .ipVersion, someACK, family: .v6),
    .init("header of four words", "RFC 791 3.1", .ipHeaderLength, with(someACK, 0, 0x44)),
    .init(
      "total length below the header's", "RFC 791 3.1", .ipTotalLength, Build.ipv4(17, [], totalLength: 19)),
    .init(
      "header longer than the total", "RFC 791 3.1", .ipTotalLength,
      Build.ipv4(17, [0, 0, 0, 0], options: [1, 1, 1, 1], totalLength: 20)),
    .init("damaged header", "RFC 1122 3.2.1.2", .ipChecksum, with(someACK, 8, 63)),
    .init("first fragment", "RFC 791 3.2", .ipFragment, Build.ipv4(17, [0, 0, 0, 0, 0, 0, 0, 0], fragment: 0x2000)),
    .init("later fragment", "RFC 791 3.2", .ipFragment, Build.ipv4(1, [0, 0, 0, 0, 0, 0, 0, 0], fragment: 1)),
    .init(
      "first fragment", "RFC 8200 4.5", .ipFragment, Build.ipv6(44, [58, 0, 0, 1, 0, 0, 0, 1] + Build.raHeader())),
    .init(
      "later fragment", "RFC 8200 4.5", .ipFragment, Build.ipv6(44, [58, 0, 0, 8, 0, 0, 0, 1] + Build.raHeader())),
    .init(
      "extension cut off by the payload", "RFC 8200 4", .ipExtensionLength, Build.ipv6(60, [58, 0, 0, 0])),
    .init(
      "extension longer than the payload", "RFC 8200 4", .ipExtensionLength,
      Build.ipv6(60, [58, 1, 1, 4, 0, 0, 0, 0])),
    .init("extension promised, none there", "RFC 8200 4", .ipExtensionLength, Build.ipv6(0, [])),
    .init(
      "nine extensions", "RFC 8200 4.1", .ipExtensionCount,
      Build.icmpv6(
        Build.raHeader(), extensions: (0..<9).flatMap { destinationOptions($0 == 8 ? 58 : 60) }, first: 60)),
    .init(
      "hop-by-hop options second", "RFC 8200 4.1", .ipExtensionOrder,
      Build.icmpv6(
        Build.raHeader(), extensions: destinationOptions(0) + destinationOptions(58), first: 60)),
    .init(
      "routing header with a segment left", "RFC 8200 8.1", .ipRoutingHeader,
      Build.icmpv6(Build.raHeader(), extensions: [58, 0, 4, 1, 0, 0, 0, 0], first: 43)),
  ]

  // MARK: What is on top

  static let transport: [RefusalCase] = [
    .init("TCP", "", .notOursProtocol, Build.ipv4(6, Build.tcp + [UInt8](repeating: 0, count: 12))),
    .init("no next header", "RFC 8200 4.7", .notOursProtocol, Build.ipv6(59, [])),
    .init("DNS", "", .notOursPort, Build.udp4([1, 2, 3], to: 53)),
    .init("DNS", "", .notOursPort, Build.udp6([1, 2, 3], to: 53)),
    .init("our own RA", "", .notOursOutgoing, someRA, outgoing: true),
    .init("our own DHCPv4 server's ACK", "", .notOursOutgoing, someACK, outgoing: true),
    .init("our own DHCPv6 server's REPLY", "", .notOursOutgoing, GoldenPacket.reply.bytes, outgoing: true),
    .init("our own ICMP error", "", .notOursOutgoing, GoldenPacket.hostUnreachable.bytes, outgoing: true),
    .init("our own ICMPv6 error", "", .notOursOutgoing, GoldenPacket.noRoute.bytes, outgoing: true),
    .init("seven bytes", "RFC 768", .udpLength, Build.ipv4(17, [0, 67, 0, 68, 0, 7, 0])),
    .init(
      "length of seven", "RFC 768", .udpLength, Build.udp4([], to: 68, length: 7)),
    .init("length past the packet", "RFC 768", .udpLength, Build.udp4([1, 2, 3], to: 68, length: 12)),
    .init("damaged", "RFC 768", .udpChecksum, with(someACK, 100, 1)),
    .init("damaged", "RFC 8200 8.1", .udpChecksum, with(GoldenPacket.reply.bytes, 60, 1)),
    .init(
      "no checksum in IPv6", "RFC 8200 8.1", .udpChecksum,
      with(with(GoldenPacket.reply.bytes, 46, 0), 47, 0)),
  ]

  static let icmp: [RefusalCase] = [
    .init("seven bytes", "RFC 792", .icmpLength, Build.ipv4(1, [3, 0, 0, 0, 0, 0, 0])),
    .init("seven bytes", "RFC 4443 2.1", .icmpLength, Build.icmpv6([1, 0, 0, 0, 0, 0, 0])),
    .init("echo request", "RFC 792", .icmpType, Build.icmp4(8, 0, [])),
    .init("parameter problem", "RFC 792", .icmpType, Build.icmp4(12, 0, Build.quote4(6, Build.tcp))),
    .init("echo request", "RFC 4443 4.1", .icmpType, Build.icmp6(128, 0, [])),
    .init("parameter problem", "RFC 4443 3.4", .icmpType, Build.icmp6(4, 0, Build.quote6(6, Build.tcp))),
    .init("neighbour advertisement", "RFC 4861 4.4", .icmpType, Build.icmpv6([136, 0, 0, 0, 0, 0, 0, 0])),
    .init("damaged", "RFC 792", .icmpChecksum, with(GoldenPacket.hostUnreachable.bytes, 21, 0)),
    .init("damaged", "RFC 4443 2.3", .icmpChecksum, with(GoldenPacket.noRoute.bytes, 41, 1)),
    .init("damaged RA", "RFC 4861 6.1.2", .icmpChecksum, with(someRA, 44, 1)),
    .init("no quote", "RFC 792", .icmpQuoteShort, Build.icmp4(3, 0, [])),
    .init(
      "19 bytes of a header", "RFC 792", .icmpQuoteShort, Build.icmp4(3, 0, [UInt8](Build.quote4(6, []).prefix(19)))),
    .init(
      "header and 7 bytes", "RFC 792", .icmpQuoteShort, Build.icmp4(3, 0, Build.quote4(6, [UInt8](Build.tcp.prefix(7))))
    ),
    .init(
      "header with options and 7 bytes", "RFC 792", .icmpQuoteShort,
      Build.icmp4(3, 0, Build.quote4(6, [UInt8](Build.tcp.prefix(7)), options: [1, 1, 1, 1]))),
    .init(
      "quoted header of four words", "RFC 791 3.1", .icmpQuoteShort,
      Build.icmp4(3, 0, with(Build.quote4(6, Build.tcp), 0, 0x44))),
    .init(
      "RFC 4884 length below the quote's need", "RFC 4884 5.1", .icmpQuoteShort,
      Build.icmp4(3, 0, Build.quote4(6, Build.tcp), rest: [0, 6, 0, 0])),
    .init("no quote", "RFC 4443 3.1", .icmpQuoteShort, Build.icmp6(1, 0, [])),
    .init(
      "39 bytes of a header", "RFC 4443 3.1", .icmpQuoteShort,
      Build.icmp6(1, 0, [UInt8](Build.quote6(6, []).prefix(39)))),
    .init("three bytes of TCP", "RFC 4443 3.1", .icmpQuoteShort, Build.icmp6(1, 0, Build.quote6(6, [0, 22, 0]))),
    .init("three bytes of UDP", "RFC 4443 3.1", .icmpQuoteShort, Build.icmp6(1, 0, Build.quote6(17, [0, 22, 0]))),
    .init(
      "five bytes of echo", "RFC 4443 3.1", .icmpQuoteShort, Build.icmp6(1, 0, Build.quote6(58, [128, 0, 0, 0, 1]))),
    .init("three bytes of ESP", "RFC 4443 3.1", .icmpQuoteShort, Build.icmp6(1, 0, Build.quote6(50, [1, 2, 3]))),
    .init(
      "quote ends within an extension", "RFC 4443 3.1", .icmpQuoteShort, Build.icmp6(1, 0, Build.quote6(60, [6, 0, 1]))),
    .init("IPv6 quoted by ICMP", "RFC 792", .icmpQuoteVersion, Build.icmp4(3, 0, Build.quote6(6, Build.tcp))),
    .init(
      "IPv4 quoted by ICMPv6", "RFC 4443 3.1", .icmpQuoteVersion,
      Build.icmp6(1, 0, Build.quote4(6, Build.tcp + [UInt8](repeating: 0, count: 20)))),
    .init(
      "later fragment", "RFC 5927 3", .icmpQuoteFragment, Build.icmp4(11, 1, Build.quote4(17, Build.tcp, fragment: 185))
    ),
    .init(
      "later fragment", "RFC 5927 3", .icmpQuoteFragment,
      Build.icmp6(3, 1, Build.quote6(44, [17, 0, 5, 0xC0, 0, 0, 0, 1] + Build.tcp))),
    .init(
      "another's packet", "RFC 1122 3.2.2", .icmpQuoteSource,
      Build.icmp4(3, 0, Build.ipv4(6, Build.tcp, source: Build.server4, destination: Build.far4))),
    .init(
      "another's packet", "RFC 4443 3.1", .icmpQuoteSource,
      Build.icmp6(1, 0, Build.ipv6(6, Build.tcp, source: Build.far, destination: Build.global))),
  ]

  // MARK: Redirects

  static let otherRouter4 = IPv4Address(0xC000_0203)

  static let redirects: [RefusalCase] = [
    .init(
      "atomic fragment", "RFC 6980 5", .redirectFragment,
      Build.redirect6(target: Build.host, for: Build.far, extensions: atomic, first: 44)),
    .init(
      "global source", "RFC 4861 8.1", .redirectSource,
      Build.redirect6(target: Build.host, for: Build.far, source: Build.global)),
    .init(
      "from another link", "RFC 4861 8.1", .redirectHopLimit,
      Build.redirect6(target: Build.host, for: Build.far, hopLimit: 254)),
    .init(
      "39 bytes", "RFC 4861 8.1", .redirectLength,
      Build.icmpv6([137] + [UInt8](repeating: 0, count: 38), destination: Build.host)),
    .init("code 1", "RFC 4861 8.1", .redirectCode, Build.redirect6(target: Build.host, for: Build.far, code: 1)),
    .init("target neither", "RFC 4861 8.1", .redirectTarget, Build.redirect6(target: Build.global, for: Build.far)),
    .init(
      "multicast destination", "RFC 4861 8.1", .redirectDestination,
      Build.redirect6(target: Build.host, for: Build.allNodes)),
    .init(
      "option of length 0", "RFC 4861 8.1", .redirectOption,
      Build.redirect6(target: Build.host, for: Build.far, [2, 0, 0, 0, 0, 0, 0, 0])),
    .init(
      "option past the end", "RFC 4861 8.1", .redirectOption,
      Build.redirect6(target: Build.host, for: Build.far, [2, 2, 0, 0, 0, 0, 0, 0])),
    .init(
      "code 4", "RFC 792", .redirectCode, Build.redirect4(target: otherRouter4, Build.quote4(6, Build.tcp), code: 4)),
    .init(
      "gateway 0.0.0.0", "RFC 1122 3.2.2.2", .redirectTarget,
      Build.redirect4(target: .unspecified, Build.quote4(6, Build.tcp))),
    .init(
      "gateway 224.0.0.1", "RFC 1122 3.2.2.2", .redirectTarget,
      Build.redirect4(target: IPv4Address(0xE000_0001), Build.quote4(6, Build.tcp))),
    .init("no quote", "RFC 792", .icmpQuoteShort, Build.redirect4(target: otherRouter4, [])),
    .init(
      "another's packet", "RFC 1122 3.2.2", .icmpQuoteSource,
      Build.redirect4(target: otherRouter4, Build.quote4(6, Build.tcp, source: Build.far4))),
    .init("IPv6 quoted", "RFC 792", .icmpQuoteVersion, Build.redirect4(target: otherRouter4, Build.quote6(6, []))),
  ]

  // MARK: Router Advertisements

  static let atomic: [UInt8] = [58, 0, 0, 0, 0, 0, 0, 1]
  static let dnrName = Build.name("dot.example.net")
  static func dnr(_ rest: [UInt8]) -> [UInt8] { [0, 1] + Build.u32(3600) + rest }

  static let routerAdvertisement: [RefusalCase] = [
    .init("atomic fragment", "RFC 6980 5", .raFragment, Build.ra([], extensions: atomic, first: 44)),
    .init("global source", "RFC 4861 6.1.2", .raSource, Build.ra([], source: Build.global)),
    .init("no source", "RFC 4861 6.1.2", .raSource, Build.ra([], source: .unspecified)),
    .init("from another link", "RFC 4861 6.1.2", .raHopLimit, Build.ra([], hopLimit: 254)),
    .init(
      "15 bytes", "RFC 4861 6.1.2", .raLength, Build.icmpv6([UInt8](Build.raHeader().dropLast()))),
    .init("code 1", "RFC 4861 6.1.2", .raCode, Build.ra([], code: 1)),
    .init("option of length 0", "RFC 4861 6.1.2", .raOptionLength, Build.ra([[200, 0, 0, 0, 0, 0, 0, 0]])),
    .init(
      "option of length 0 behind good ones", "RFC 4861 6.1.2", .raOptionLength,
      Build.ra([Build.pio(Build.global), [1, 0, 0, 0, 0, 0, 0, 0]])),
    .init("option past the end", "RFC 4861 4.6", .raOptionOverrun, Build.ra([Build.option(200, [], length: 2)])),
    .init("one byte of an option", "RFC 4861 4.6", .raOptionOverrun, Build.ra([[200]])),
    .init("seven bytes of an option", "RFC 4861 4.6", .raOptionOverrun, Build.ra([[200, 1, 0, 0, 0, 0, 0]])),
    .init(
      "PIO of length 3", "RFC 4861 4.6.2", .pioLength, Build.ra([Build.option(3, [UInt8](repeating: 0, count: 22))])),
    .init(
      "PIO of length 5", "RFC 4861 4.6.2", .pioLength, Build.ra([Build.option(3, [UInt8](repeating: 0, count: 38))])),
    .init("PIO /129", "RFC 4861 4.6.2", .pioPrefixLength, Build.ra([Build.pio(Build.global, 129)])),
    .init("PIO fe80::/64", "RFC 4861 6.3.4", .pioScope, Build.ra([Build.pio(Build.router)])),
    .init("PIO ff02::/64", "RFC 4862 5.5.3", .pioScope, Build.ra([Build.pio(Build.allNodes)])),
    .init(
      "RIO of length 4", "RFC 4191 2.3", .rioLength, Build.ra([Build.option(24, [UInt8](repeating: 0, count: 30))])),
    .init("RIO /1 of length 1", "RFC 4191 2.3", .rioLength, Build.ra([Build.rio(Build.far, 1, units: 1)])),
    .init("RIO /65 of length 2", "RFC 4191 2.3", .rioLength, Build.ra([Build.rio(Build.far, 65, units: 2)])),
    .init("RIO /129", "RFC 4191 2.3", .rioPrefixLength, Build.ra([Build.rio(Build.far, 129, units: 3)])),
    .init(
      "RIO preference 10", "RFC 4191 2.3", .rioPreference, Build.ra([Build.rio(Build.far, 64, units: 2, preference: 2)])
    ),
    .init("RDNSS of length 1", "RFC 8106 5.3.1", .rdnssLength, Build.ra([Build.rdnss([])])),
    .init(
      "RDNSS of length 2", "RFC 8106 5.3.1", .rdnssLength,
      Build.ra([Build.option(25, [UInt8](repeating: 0, count: 14))])),
    .init(
      "RDNSS of length 4", "RFC 8106 5.3.1", .rdnssLength,
      Build.ra([Build.option(25, [UInt8](repeating: 0, count: 30))])),
    .init("DNSSL of length 1", "RFC 8106 5.3.1", .dnsslLength, Build.ra([Build.dnssl([])])),
    .init("DNSSL of nothing but padding", "RFC 8106 5.2", .dnsslName, Build.ra([Build.dnssl([0])])),
    .init("DNSSL without an end", "RFC 8106 5.2", .dnsslName, Build.ra([Build.dnssl([7] + [UInt8]("example".utf8))])),
    .init(
      "DNSSL with a pointer", "RFC 8106 5.2", .dnsslName, Build.ra([Build.dnssl(Build.name("a.example") + [0xC0, 8])])),
    .init(
      "DNSSL with more behind its padding", "RFC 8106 5.2", .dnsslName,
      Build.ra([Build.dnssl(Build.name("a") + [0] + Build.name("b"))])),
    .init(
      "MTU of length 2", "RFC 4861 4.6.4", .mtuLength, Build.ra([Build.option(5, [UInt8](repeating: 9, count: 14))])),
    .init(
      "advertisement interval of length 2", "RFC 6275 7.3", .advertisementIntervalLength,
      Build.ra([Build.option(7, [UInt8](repeating: 9, count: 14))])),
    .init(
      "home agent of length 2", "RFC 6275 7.4", .homeAgentLength,
      Build.ra([Build.option(8, [UInt8](repeating: 9, count: 14))])),
    .init("home agent for 0 s", "RFC 6275 7.4", .homeAgentLifetime, Build.ra([Build.option(8, [0, 0, 0, 1, 0, 0])])),
    .init("MTU 1279", "RFC 8200 5", .mtuValue, Build.ra([Build.option(5, [0, 0] + Build.u32(1279))])),
    .init(
      "PvD with no room for its RA header", "RFC 8801 3.1", .pvdLength,
      Build.ra([Build.pvd(Build.name("a.example"), flags: 0x2000, header: [UInt8](repeating: 0, count: 8))])),
    .init("PvD without a name's end", "RFC 8801 3.1", .pvdName, Build.ra([Build.option(21, [0, 0, 0, 1, 60, 65])])),
    .init("PvD named by the root", "RFC 8801 3.1", .pvdName, Build.ra([Build.pvd([0])])),
    .init("PvD with a pointer", "RFC 8801 3.1", .pvdName, Build.ra([Build.pvd([1, 65, 0xC0, 0])])),
    .init(
      "PvD with an option of length 0", "RFC 4861 6.1.2", .pvdOption,
      Build.ra([Build.pvd(Build.name("a.example"), [[5, 0, 0, 0, 0, 0, 0, 0]])])),
    .init(
      "PvD with an option past its end", "RFC 8801 3.1", .pvdOption,
      Build.ra([Build.pvd(Build.name("a.example"), [[5, 2, 0, 0, 0, 0, 0, 0]]), Build.pio(Build.global)])),
    .init(
      "two PvDs", "RFC 8801 3.1", .pvdRepeated,
      Build.ra([Build.pvd(Build.name("a.example")), Build.pvd(Build.name("b.example"))])),
    .init(
      "PvD within a PvD", "RFC 8801 3.1", .pvdNested,
      Build.ra([Build.pvd(Build.name("a.example"), [Build.pvd(Build.name("b.example"))])])),
    .init("captive portal of zeros", "RFC 8910 2.3", .captivePortalURI, Build.ra([Build.option(37, [])])),
    .init(
      "captive portal with a line feed", "RFC 3986 2", .captivePortalURI, Build.ra([Build.option(37, [104, 10, 104])])),
    .init("PREF64 of length 1", "RFC 8781 4", .pref64Length, Build.ra([Build.option(38, [0, 0])])),
    .init(
      "PREF64 of length 3", "RFC 8781 4", .pref64Length, Build.ra([Build.option(38, [UInt8](repeating: 0, count: 22))])),
    .init(
      "PREF64 with PLC 6", "RFC 8781 4", .pref64PrefixLength,
      Build.ra([Build.option(38, [0, 6] + [UInt8](repeating: 0, count: 12))])),
    .init(
      "PREF64 with PLC 7", "RFC 8781 4", .pref64PrefixLength,
      Build.ra([Build.option(38, [0xFF, 0xFF] + [UInt8](repeating: 0, count: 12))])),
    .init("DNR of length 1", "RFC 9463 6.1", .dnrLength, Build.ra([Build.option(144, [0, 1, 0, 0])])),
    .init(
      "DNR whose name is longer than it", "RFC 9463 6.1", .dnrLength,
      Build.ra([Build.option(144, dnr([0, 99] + dnrName))])),
    .init(
      "DNR with 15 bytes of addresses", "RFC 9463 6.1", .dnrLength,
      Build.ra([Build.option(144, dnr([0, 17] + dnrName + [0, 15] + [UInt8](repeating: 1, count: 15)))])),
    .init(
      "DNR whose parameters are longer than it", "RFC 9463 6.1", .dnrLength,
      Build.ra([Build.option(144, dnr([0, 17] + dnrName + [0, 0, 0, 99]))])),
    .init("DNR named by the root", "RFC 9463 6.1", .dnrName, Build.ra([Build.option(144, dnr([0, 1, 0]))])),
    .init(
      "DNR with more behind its name", "RFC 9463 6.1", .dnrName,
      Build.ra([Build.option(144, dnr([0, 18] + dnrName + [0]))])),
  ]

  // MARK: DHCPv4

  static func option(_ code: UInt8, _ value: [UInt8]) -> [UInt8] { Build.dhcpv4Option(code, value) }

  static let dhcpv4: [RefusalCase] = [
    .init(
      "239 bytes", "RFC 2131 2", .dhcpv4Length,
      Build.udp4([UInt8](Build.dhcpv4Message([]).prefix(239)), to: 68)),
    .init(
      "request to a client", "RFC 2131 2", .dhcpv4Operation,
      Build.udp4(Build.dhcpv4Message(Build.fromServer(5) + [255], operation: 1), to: 68)),
    .init(
      "reply to a server: a relay's", "RFC 1542 4.1.2", .dhcpv4Operation,
      Build.udp4(Build.dhcpv4Message(Build.fromServer(5) + [255]), to: 67)),
    .init(
      "hlen 17", "RFC 2131 2", .dhcpv4HardwareLength,
      Build.udp4(Build.dhcpv4Message(Build.fromServer(5) + [255], hardwareLength: 17), to: 68)),
    .init(
      "another cookie", "RFC 2131 3", .dhcpv4Cookie,
      Build.udp4(Build.dhcpv4Message(Build.fromServer(5) + [255], cookie: 0x6382_5364), to: 68)),
    .init("option past the end", "RFC 2132 2", .dhcpv4OptionOverrun, Build.ack([6, 200, 1, 2, 3, 4])),
    .init(
      "option without a length", "RFC 2132 2", .dhcpv4OptionOverrun,
      Build.udp4(Build.dhcpv4Message(Build.fromServer(5) + [6]), to: 68)),
    .init(
      "option past the end of file", "RFC 2132 9.3", .dhcpv4OptionOverrun,
      Build.ack([52, 1, 1], file: [6, 127])),
    .init(
      "option past the end of sname", "RFC 2132 9.3", .dhcpv4OptionOverrun,
      Build.ack([52, 1, 2], serverName: [6, 63])),
    .init(
      "no type", "RFC 2131 3", .dhcpv4MessageType, Build.udp4(Build.dhcpv4Message([54, 4, 192, 0, 2, 1, 255]), to: 68)),
    .init(
      "type of two bytes", "RFC 2132 9.6", .dhcpv4MessageType,
      Build.udp4(Build.dhcpv4Message([53, 2, 5, 0, 54, 4, 192, 0, 2, 1, 255]), to: 68)),
    .init(
      "type given twice is one of two bytes", "RFC 3396 7", .dhcpv4MessageType,
      Build.udp4(Build.dhcpv4Message(Build.fromServer(5) + [53, 1, 5, 255]), to: 68)),
    .init(
      "type 0", "RFC 2132 9.6", .dhcpv4MessageType, Build.udp4(Build.dhcpv4Message(Build.fromServer(0) + [255]), to: 68)
    ),
    .init(
      "type 9", "RFC 2132 9.6", .dhcpv4MessageType, Build.udp4(Build.dhcpv4Message(Build.fromServer(9) + [255]), to: 68)
    ),
    .init(
      "DISCOVER to a client", "RFC 2131 3", .dhcpv4MessageType,
      Build.udp4(Build.dhcpv4Message(Build.fromServer(1) + [255]), to: 68)),
    .init(
      "ACK to a server", "RFC 2131 3", .dhcpv4MessageType,
      Build.udp4(Build.dhcpv4Message(Build.fromServer(5) + [255], operation: 1), to: 67)),
    .init(
      "OFFER without a server", "RFC 2131 4.3.1", .dhcpv4ServerIdentifier,
      Build.udp4(Build.dhcpv4Message([53, 1, 2, 255]), to: 68)),
    .init(
      "ACK without a server", "RFC 2131 4.3.1", .dhcpv4ServerIdentifier,
      Build.udp4(Build.dhcpv4Message([53, 1, 5, 255]), to: 68)),
    .init(
      "NAK without a server", "RFC 2131 4.3.1", .dhcpv4ServerIdentifier,
      Build.udp4(Build.dhcpv4Message([53, 1, 6, 255]), to: 68)),
    .init(
      "server of three bytes", "RFC 2132 9.7", .dhcpv4ServerIdentifier,
      Build.udp4(Build.dhcpv4Message([53, 1, 5, 54, 3, 192, 0, 2, 255]), to: 68)),
    .init("mask of three bytes", "RFC 2132 3.3", .dhcpv4OptionLength, Build.ack(option(1, [255, 255, 255]))),
    .init("routers of no bytes", "RFC 2132 3.5", .dhcpv4OptionLength, Build.ack(option(3, []))),
    .init("routers of six bytes", "RFC 2132 3.5", .dhcpv4OptionLength, Build.ack(option(3, [192, 0, 2, 1, 192, 0]))),
    .init("DNS servers of five bytes", "RFC 2132 3.8", .dhcpv4OptionLength, Build.ack(option(6, [1, 2, 3, 4, 5]))),
    .init("NTP servers of three bytes", "RFC 2132 8.3", .dhcpv4OptionLength, Build.ack(option(42, [1, 2, 3]))),
    .init("host name of zeros", "RFC 2132 3.14", .dhcpv4OptionLength, Build.ack(option(12, [0, 0]))),
    .init("MTU of four bytes", "RFC 2132 5.1", .dhcpv4OptionLength, Build.ack(option(26, [0, 0, 5, 220]))),
    .init("static route of four bytes", "RFC 2132 5.8", .dhcpv4OptionLength, Build.ack(option(33, [10, 0, 0, 0]))),
    .init("lease given twice", "RFC 3396 7", .dhcpv4OptionLength, Build.ack(option(51, [0, 0, 0, 9]))),
    .init("T1 of two bytes", "RFC 2132 9.11", .dhcpv4OptionLength, Build.ack(option(58, [0, 9]))),
    .init("T2 of five bytes", "RFC 2132 9.12", .dhcpv4OptionLength, Build.ack(option(59, [0, 0, 0, 9, 9]))),
    .init("overload of two bytes", "RFC 2132 9.3", .dhcpv4OptionLength, Build.ack(option(52, [1, 1]))),
    .init("time zone of no bytes", "RFC 4833 2", .dhcpv4OptionLength, Build.ack(option(100, []))),
    .init("IPv6-only wait of two bytes", "RFC 8925 3.1", .dhcpv4OptionLength, Build.ack(option(108, [1, 44]))),
    .init("captive portal of no bytes", "RFC 8910 2.1", .dhcpv4OptionLength, Build.ack(option(114, []))),
    .init("search list of no bytes", "RFC 3397 2", .dhcpv4OptionLength, Build.ack(option(119, []))),
    .init("classless route of four bytes", "RFC 3442", .dhcpv4OptionLength, Build.ack(option(121, [0, 192, 0, 2]))),
    .init("resolver of no bytes", "RFC 9463 5.1", .dhcpv4OptionLength, Build.ack(option(162, []))),
    .init("mask with a hole", "RFC 950 2.2", .dhcpv4OptionValue, Build.ack(option(1, [255, 0, 255, 0]))),
    .init("domain with a space", "RFC 1123 2.1", .dhcpv4OptionValue, Build.ack(option(15, [UInt8]("a b".utf8)))),
    .init("domain with a command", "RFC 1123 2.1", .dhcpv4OptionValue, Build.ack(option(15, [UInt8]("$(id)".utf8)))),
    .init(
      "domain with an empty label", "RFC 1035 3.1", .dhcpv4OptionValue, Build.ack(option(15, [UInt8]("a..b".utf8)))),
    .init("domain of a dot", "RFC 1035 3.1", .dhcpv4OptionValue, Build.ack(option(15, [46]))),
    .init(
      "host label of 64", "RFC 1035 3.1", .dhcpv4OptionValue, Build.ack(option(12, [UInt8](repeating: 97, count: 64)))),
    .init("MTU 67", "RFC 2132 5.1", .dhcpv4OptionValue, Build.ack(option(26, [0, 67]))),
    .init(
      "static default route", "RFC 2132 5.8", .dhcpv4OptionValue, Build.ack(option(33, [0, 0, 0, 0, 192, 0, 2, 1]))),
    .init("overload 4", "RFC 2132 9.3", .dhcpv4OptionValue, Build.ack(option(52, [4]))),
    .init("overload 0", "RFC 2132 9.3", .dhcpv4OptionValue, Build.ack(option(52, [0]))),
    .init("time zone with a line feed", "RFC 4833 2", .dhcpv4OptionValue, Build.ack(option(101, [69, 10]))),
    .init("captive portal with a space", "RFC 3986 2", .dhcpv4OptionValue, Build.ack(option(114, [104, 32, 104]))),
    .init("search list without an end", "RFC 3397 2", .dhcpv4OptionValue, Build.ack(option(119, [1, 97]))),
    .init("search list pointing to itself", "RFC 3397 2", .dhcpv4OptionValue, Build.ack(option(119, [0xC0, 0]))),
    .init(
      "search list pointing forwards", "RFC 1035 4.1.4", .dhcpv4OptionValue,
      Build.ack(option(119, [0xC0, 2, 1, 97, 0]))),
    .init(
      "search list pointing in circles", "RFC 3397 2", .dhcpv4OptionValue,
      Build.ack(option(119, [1, 97, 0xC0, 4, 1, 98, 0xC0, 0]))),
    .init("half a pointer", "RFC 1035 4.1.4", .dhcpv4OptionValue, Build.ack(option(119, [1, 97, 0, 0xC0]))),
    .init("route of width 33", "RFC 3442", .dhcpv4OptionValue, Build.ack(option(121, [33, 1, 2, 3, 4, 192, 0, 2, 1]))),
    .init(
      "second route cut off", "RFC 3442", .dhcpv4OptionValue, Build.ack(option(121, [0, 192, 0, 2, 1, 8, 10, 192, 0]))),
    .init(
      "resolver longer than its option", "RFC 9463 5.1", .dhcpv4OptionValue, Build.ack(option(162, [0, 9, 0, 1, 0]))),
    .init(
      "17 pieces", "RFC 3396 5", .dhcpv4OptionSegments, Build.ack((0..<17).flatMap { _ in option(6, [192, 0, 2, 53]) })),
    .init(
      "17 pieces, one in the file field", "RFC 3396 7", .dhcpv4OptionSegments,
      Build.ack([52, 1, 1] + (0..<16).flatMap { _ in option(6, [192, 0, 2, 53]) }, file: option(6, [1, 2, 3, 4]))),
    .init("routers of no bytes, twice", "RFC 3396 7", .dhcpv4OptionLength, Build.ack(option(3, []) + option(3, []))),
    .init(
      "host name of no bytes, twice", "RFC 3396 7", .dhcpv4OptionLength, Build.ack(option(12, []) + option(12, []))),
    .init(
      "lease of no bytes, thrice", "RFC 3396 7", .dhcpv4OptionLength,
      Build.udp4(Build.dhcpv4Message([53, 1, 5, 54, 4, 192, 0, 2, 1, 51, 0, 51, 0, 51, 0, 255]), to: 68)),
  ]

  // MARK: DHCPv6

  static func option6(_ code: Int, _ value: [UInt8], length: Int? = nil) -> [UInt8] {
    Build.dhcpv6Option(code, value, length: length)
  }

  static let dhcpv6: [RefusalCase] = [
    .init("three bytes", "RFC 8415 8", .dhcpv6Length, Build.udp6([7, 0, 0], to: 546)),
    .init("RELAY-FORW", "RFC 8415 9", .dhcpv6Relay, Build.dhcpv6(12, [], to: 547)),
    .init("RELAY-REPL", "RFC 8415 9", .dhcpv6Relay, Build.dhcpv6(13, [])),
    .init("type 0", "RFC 8415 7.3", .dhcpv6MessageType, Build.dhcpv6(0, Build.identifiers)),
    .init("type 14", "RFC 8415 7.3", .dhcpv6MessageType, Build.dhcpv6(14, Build.identifiers)),
    .init("SOLICIT to a client", "RFC 8415 16.2", .dhcpv6MessageType, Build.dhcpv6(1, Build.identifiers)),
    .init("REPLY to a server", "RFC 8415 16.10", .dhcpv6MessageType, Build.dhcpv6(7, Build.identifiers, to: 547)),
    .init(
      "option past the end", "RFC 8415 21.1", .dhcpv6OptionOverrun, Build.reply(option6(23, [1, 2], length: 3))),
    .init("three bytes of an option", "RFC 8415 21.1", .dhcpv6OptionOverrun, Build.reply([0, 23, 0])),
    .init(
      "ADVERTISE without a client", "RFC 8415 16.3", .dhcpv6ClientIdentifier,
      Build.dhcpv6(2, option6(2, Build.serverDUID))),
    .init(
      "ADVERTISE without a server", "RFC 8415 16.3", .dhcpv6ServerIdentifier,
      Build.dhcpv6(2, option6(1, Build.clientDUID))),
    .init(
      "REPLY without a server", "RFC 8415 16.10", .dhcpv6ServerIdentifier, Build.dhcpv6(7, option6(1, Build.clientDUID))
    ),
    .init(
      "server's DUID of two bytes", "RFC 8415 11.1", .dhcpv6ServerIdentifier,
      Build.dhcpv6(7, option6(1, Build.clientDUID) + option6(2, [0, 3]))),
    .init(
      "client's DUID of 131 bytes", "RFC 8415 11.1", .dhcpv6OptionLength,
      Build.dhcpv6(7, option6(2, Build.serverDUID) + option6(1, [UInt8](repeating: 1, count: 131)))),
    .init(
      "DNS servers of 17 bytes", "RFC 3646 3", .dhcpv6OptionLength,
      Build.reply(option6(23, [UInt8](repeating: 1, count: 17)))),
    .init("DNS servers of no bytes", "RFC 3646 3", .dhcpv6OptionLength, Build.reply(option6(23, []))),
    .init(
      "SNTP servers of 15 bytes", "RFC 4075 4", .dhcpv6OptionLength,
      Build.reply(option6(31, [UInt8](repeating: 1, count: 15)))),
    .init(
      "IA_NA of 11 bytes", "RFC 8415 21.4", .dhcpv6OptionLength,
      Build.reply(option6(3, [UInt8](repeating: 0, count: 11)))),
    .init(
      "IAADDR of 23 bytes", "RFC 8415 21.6", .dhcpv6OptionLength,
      Build.reply(Build.iaNA(option6(5, [UInt8](repeating: 0, count: 23))))),
    .init(
      "IAPREFIX of 24 bytes", "RFC 8415 21.22", .dhcpv6OptionLength,
      Build.reply(option6(25, [UInt8](repeating: 0, count: 12) + option6(26, [UInt8](repeating: 0, count: 24))))),
    .init("preference of no bytes", "RFC 8415 21.8", .dhcpv6OptionLength, Build.reply(option6(7, []))),
    .init("status code of one byte", "RFC 8415 21.13", .dhcpv6OptionLength, Build.reply(option6(13, [0]))),
    .init("rapid commit of one byte", "RFC 8415 21.14", .dhcpv6OptionLength, Build.reply(option6(14, [0]))),
    .init("refresh time of two bytes", "RFC 8415 21.23", .dhcpv6OptionLength, Build.reply(option6(32, [9, 9]))),
    .init("time zone of no bytes", "RFC 4833 3", .dhcpv6OptionLength, Build.reply(option6(41, []))),
    .init("NTP server of three bytes", "RFC 5908 4", .dhcpv6OptionLength, Build.reply(option6(56, [0, 1, 0]))),
    .init(
      "NTP address of 15 bytes", "RFC 5908 4.1", .dhcpv6OptionLength,
      Build.reply(option6(56, option6(1, [UInt8](repeating: 1, count: 15))))),
    .init("time zone with a space", "RFC 4833 3", .dhcpv6OptionValue, Build.reply(option6(42, [69, 32, 69]))),
    .init("NTP suboption 4", "RFC 5908 4", .dhcpv6OptionValue, Build.reply(option6(56, option6(4, [])))),
    .init(
      "NTP suboption past its option", "RFC 5908 4", .dhcpv6NestedOverrun,
      Build.reply(option6(56, option6(1, [1, 2], length: 3)))),
    .init(
      "two NTP suboptions", "RFC 5908 4", .dhcpv6NestedOverrun,
      Build.reply(option6(56, option6(1, Build.bytes(Build.far)) + option6(1, Build.bytes(Build.far))))),
    .init(
      "IAADDR past its IA_NA", "RFC 8415 21.4", .dhcpv6NestedOverrun,
      Build.reply(Build.iaNA(option6(5, [UInt8](repeating: 0, count: 24), length: 25)) + option6(14, []))),
    .init(
      "status code past its IAADDR", "RFC 8415 21.6", .dhcpv6NestedOverrun,
      Build.reply(Build.iaNA(Build.iaAddress(Build.global, option6(13, [0, 0], length: 3))))),
    .init(
      "T1 above T2", "RFC 8415 21.4", .dhcpv6Timers,
      Build.reply(Build.iaNA(renewal: 2, rebinding: 1, Build.iaAddress(Build.global)))),
    .init(
      "preferred above valid", "RFC 8415 21.6", .dhcpv6Lifetimes,
      Build.reply(Build.iaNA(Build.iaAddress(Build.global, preferred: 2, valid: 1)))),
    .init(
      "preferred above valid", "RFC 8415 21.22", .dhcpv6Lifetimes,
      Build.reply(
        option6(25, [UInt8](repeating: 0, count: 12) + Build.iaPrefix(Build.global, 56, preferred: 2, valid: 1)))),
    .init(
      "prefix /129", "RFC 8415 21.22", .dhcpv6PrefixLength,
      Build.reply(option6(25, [UInt8](repeating: 0, count: 12) + Build.iaPrefix(Build.global, 129)))),
    .init("search list without an end", "RFC 3646 4", .dhcpv6Name, Build.reply(option6(24, [1, 97]))),
    .init("search list with the root", "RFC 3646 4", .dhcpv6Name, Build.reply(option6(24, Build.name("a") + [0]))),
    .init("search list of no bytes", "RFC 3646 4", .dhcpv6Name, Build.reply(option6(24, []))),
    .init(
      "NTP name with more behind", "RFC 5908 4.3", .dhcpv6Name,
      Build.reply(option6(56, option6(3, Build.name("a") + [0])))),
    .init("captive portal of no bytes", "RFC 8910 2.2", .captivePortalURI, Build.reply(option6(103, []))),
    .init("resolver of two bytes", "RFC 9463 4.1", .dnrLength, Build.reply(option6(144, [0, 1]))),
    .init("resolver named by the root", "RFC 9463 4.1", .dnrName, Build.reply(option6(144, [0, 1, 0, 1, 0]))),
  ]
}
