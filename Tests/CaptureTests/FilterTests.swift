import Capture
import Testing

struct FilterCase: CustomTestStringConvertible, Sendable {
  var name: String
  var packet: [UInt8]
  var passes: Bool
  var testDescription: String { name }

  init(_ name: String, _ packet: [UInt8], passes: Bool) {
    self.name = name
    self.packet = packet
    self.passes = passes
  }
}

private func verdict(_ filter: Filter, _ packet: [UInt8], _ etherType: UInt32) -> UInt32? {
  Interpreter(packet: packet, etherType: etherType).run(filter)
}

@Suite struct Filters {
  /// A DHCPOFFER's first bytes, broadcast from 192.168.1.1: IPv4 (RFC 791 3.1), UDP 67 to 68 (RFC 2131 4.1), op 2.
  static let offer = bytes(
    "4500 0024 0000 4000 4011 79c8 c0a8 0101 ffffffff  0043 0044 0010 0000  0201 0600 3903 f326")
  /// ICMP host unreachable (RFC 792) from 192.0.2.1, quoting UDP 500.
  static let hostUnreachable = bytes(
    """
    4500 0038 0001 0000 4001 f6c0 c000 0201 c000 0202  0301 0000 0000 0000
    4500 0028 0002 0000 4011 0000 c000 0202 c633 6401  01f4 01f4 0014 0000
    """)
  /// A Router Advertisement (RFC 4861 4.2) with a source link-layer address.
  static let advertisement = bytes(
    """
    6000 0000 0018 3aff fe80 0000 0000 0000 0000 0000 0000 0001 ff02 0000 0000 0000 0000 0000 0000 0001
    8600 0000 4000 0708 0000 0000 0000 0000 0101 0200 0000 0001
    """)

  @Test(arguments: [
    FilterCase("a DHCPOFFER", offer, passes: true),
    FilterCase("UDP to 68", ipv4(17, udp(from: 67, to: 68)), passes: true),
    FilterCase("from another port: relays may", ipv4(17, udp(from: 1067, to: 68)), passes: true),
    FilterCase(
      "behind IP options", ipv4(17, udp(from: 67, to: 68), options: [UInt8](repeating: 1, count: 40)), passes: true),
    FilterCase("don't fragment is no fragment", ipv4(17, udp(from: 67, to: 68), fragment: 0x4000), passes: true),
    FilterCase("first fragment", ipv4(17, udp(from: 67, to: 68), fragment: 0x2000), passes: false),
    FilterCase("later fragment", ipv4(17, udp(from: 67, to: 68), fragment: 0x0010), passes: false),
    FilterCase("to a server", ipv4(17, udp(from: 68, to: 67)), passes: false),
    FilterCase(
      "port 68 in the options, not in UDP", ipv4(17, udp(from: 1, to: 2), options: [0, 0, 0, 68]), passes: false),
    FilterCase("TCP to 68", ipv4(6, udp(from: 67, to: 68)), passes: false),
    FilterCase("ICMP", hostUnreachable, passes: false),
    FilterCase("cut before the port", Array(offer.prefix(22)), passes: false),
    FilterCase("cut within the port", Array(offer.prefix(23)), passes: false),
    FilterCase("just with the port", Array(offer.prefix(24)), passes: true),
    FilterCase("empty", [], passes: false),
  ])
  func controlV4(_ testCase: FilterCase) {
    #expect(verdict(.control(), testCase.packet, 0x0800) == (testCase.passes ? Filter.keepAll : 0))
  }

  @Test(arguments: [
    FilterCase("a Router Advertisement", advertisement, passes: true),
    FilterCase("DHCPv6 to a client", ipv6(17, udp(from: 547, to: 546)), passes: true),
    FilterCase("DHCPv6 to a server", ipv6(17, udp(from: 546, to: 547)), passes: false),
    FilterCase("Router Solicitation", ipv6(58, icmpV6(133, [0, 0, 0, 0])), passes: false),
    FilterCase("Neighbour Advertisement", ipv6(58, icmpV6(136, [0, 0, 0, 0])), passes: false),
    FilterCase("an error", ipv6(58, icmpV6(1, [0, 0, 0, 0])), passes: false),
    FilterCase("type 134 of ICMPv4", ipv6(1, icmpV4(134)), passes: false),
    FilterCase("TCP", ipv6(6, udp(from: 547, to: 546)), passes: false),
    FilterCase(
      "RA behind hop-by-hop options", ipv6(0, extensionHeader(next: 58) + icmpV6(134, [0])), passes: true),
    FilterCase(
      "MLD report behind hop-by-hop options", ipv6(0, extensionHeader(next: 58) + icmpV6(143, [0])), passes: false),
    FilterCase(
      "RA behind large destination options", ipv6(60, extensionHeader(next: 58, units: 3) + icmpV6(134, [0])),
      passes: true),
    FilterCase(
      "DHCPv6 behind a routing header", ipv6(43, extensionHeader(next: 17, units: 2) + udp(from: 547, to: 546)),
      passes: true),
    FilterCase(
      "RA behind four headers",
      ipv6(
        0,
        extensionHeader(next: 60) + extensionHeader(next: 43) + extensionHeader(next: 60, units: 1)
          + extensionHeader(next: 58) + icmpV6(134, [0])), passes: true),
    FilterCase(
      "anything behind five headers, to be counted",
      ipv6(
        0,
        extensionHeader(next: 60) + extensionHeader(next: 43) + extensionHeader(next: 60)
          + extensionHeader(next: 60) + extensionHeader(next: 6)), passes: true),
    FilterCase(
      "TCP behind four headers",
      ipv6(
        0,
        extensionHeader(next: 60) + extensionHeader(next: 43) + extensionHeader(next: 60) + extensionHeader(next: 6)
          + [134, 0]), passes: false),
    FilterCase(
      "RA in a first fragment (RFC 6980), to be counted",
      ipv6(44, fragmentHeader(next: 58, offset: 0, more: true) + icmpV6(134, [0])), passes: true),
    FilterCase(
      "RA in an atomic fragment, reserved byte set",
      ipv6(44, fragmentHeader(next: 58, offset: 0, more: false, reserved: 9) + icmpV6(134, [0])), passes: true),
    FilterCase(
      "later fragment that begins like an RA",
      ipv6(44, fragmentHeader(next: 58, offset: 1, more: false) + icmpV6(134, [0])), passes: false),
    FilterCase(
      "NFS in a first fragment", ipv6(44, fragmentHeader(next: 17, offset: 0, more: true) + udp(from: 1, to: 2049)),
      passes: false),
    FilterCase("authentication header", ipv6(51, extensionHeader(next: 58) + icmpV6(134, [0])), passes: false),
    FilterCase("no next header", ipv6(59, []), passes: false),
    FilterCase("cut within an extension header", ipv6(0, [58]), passes: false),
    FilterCase("an extension header longer than the packet", ipv6(0, [58, 255, 1, 4, 0, 0, 0, 0, 134]), passes: false),
    FilterCase("cut before the type", Array(advertisement.prefix(40)), passes: false),
    FilterCase("empty", [], passes: false),
  ])
  func controlV6(_ testCase: FilterCase) {
    #expect(verdict(.control(), testCase.packet, 0x86DD) == (testCase.passes ? Filter.keepAll : 0))
  }

  @Test(arguments: [
    FilterCase("host unreachable", hostUnreachable, passes: true),
    FilterCase("time exceeded", ipv4(1, icmpV4(11)), passes: true),
    FilterCase("behind options", ipv4(1, icmpV4(3), options: [1, 1, 1, 0]), passes: true),
    FilterCase("echo request", ipv4(1, icmpV4(8)), passes: false),
    FilterCase("echo reply", ipv4(1, icmpV4(0)), passes: false),
    FilterCase("redirect", ipv4(1, icmpV4(5)), passes: true),
    FilterCase("parameter problem", ipv4(1, icmpV4(12)), passes: false),
    FilterCase("type 3 in the options only", ipv4(1, icmpV4(8), options: [3, 3, 3, 3]), passes: false),
    FilterCase("later fragment", ipv4(1, icmpV4(3), fragment: 1), passes: false),
    FilterCase("first fragment", ipv4(1, icmpV4(3), fragment: 0x2000), passes: false),
    FilterCase("UDP", ipv4(17, [3, 3, 3, 3, 3, 3, 3, 3]), passes: false),
    FilterCase("cut before the type", Array(hostUnreachable.prefix(20)), passes: false),
  ])
  func errorsV4(_ testCase: FilterCase) {
    #expect(verdict(.errors(), testCase.packet, 0x0800) == (testCase.passes ? Filter.keepAll : 0))
  }

  @Test(arguments: [
    FilterCase("destination unreachable", ipv6(58, icmpV6(1, [0, 0, 0, 0])), passes: true),
    FilterCase("packet too big", ipv6(58, icmpV6(2, [0, 0, 5, 0])), passes: true),
    FilterCase("time exceeded", ipv6(58, icmpV6(3, [0, 0, 0, 0])), passes: true),
    FilterCase("redirect", ipv6(58, icmpV6(137, [0, 0, 0, 0])), passes: true),
    FilterCase("neighbour advertisement", ipv6(58, icmpV6(136, [0, 0, 0, 0])), passes: false),
    FilterCase("parameter problem", ipv6(58, icmpV6(4, [0, 0, 0, 0])), passes: false),
    FilterCase("echo request", ipv6(58, icmpV6(128, [0, 0, 0, 0])), passes: false),
    FilterCase("a Router Advertisement", advertisement, passes: false),
    FilterCase("behind hop-by-hop options", ipv6(0, extensionHeader(next: 58) + icmpV6(1, [0])), passes: true),
    FilterCase("UDP", ipv6(17, udp(from: 0x0101, to: 0x0101)), passes: false),
    FilterCase("UDP behind options", ipv6(60, extensionHeader(next: 17) + udp(from: 0x0101, to: 546)), passes: false),
    FilterCase(
      "five headers: counted on the control ring",
      ipv6(
        0,
        extensionHeader(next: 60) + extensionHeader(next: 43) + extensionHeader(next: 60)
          + extensionHeader(next: 60) + extensionHeader(next: 58) + icmpV6(1, [0])), passes: false),
  ])
  func errorsV6(_ testCase: FilterCase) {
    #expect(verdict(.errors(), testCase.packet, 0x86DD) == (testCase.passes ? Filter.keepAll : 0))
  }

  struct PlaceCase: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var etherType: UInt32 = 0x86DD
    var packetType: UInt32 = 0
    var vlanTag: UInt32 = 0
    var passes: Bool
  }

  /// What a socket of all protocols is shown beside what is meant for this host, and for this interface of it.
  @Test(arguments: [
    PlaceCase(testDescription: "to this host", passes: true),
    PlaceCase(testDescription: "to all", packetType: 1, passes: true),
    PlaceCase(testDescription: "to a group", packetType: 2, passes: true),
    PlaceCase(testDescription: "to another host", packetType: 3, passes: false),
    PlaceCase(testDescription: "of a VLAN", vlanTag: 0x0005, passes: false),
    PlaceCase(testDescription: "of a VLAN, with a priority", vlanTag: 0xE005, passes: false),
    PlaceCase(testDescription: "with a priority only", vlanTag: 0xE000, passes: true),
    PlaceCase(testDescription: "two VLAN tags", etherType: 0x8100, vlanTag: 0xE000, passes: false),
    PlaceCase(testDescription: "the same bytes in another protocol", etherType: 0x88B5, passes: false),
    PlaceCase(testDescription: "the same bytes as IPv4", etherType: 0x0800, passes: false),
  ])
  func whereAPacketEnds(_ testCase: PlaceCase) {
    for (filter, packet) in [
      (Filter.control(), Filters.advertisement), (Filter.control(), ipv6(17, udp(from: 547, to: 546))),
      (Filter.errors(), ipv6(58, icmpV6(1, [0, 0, 0, 0]))),
    ] {
      let seen = Interpreter(
        packet: packet, packetType: testCase.packetType, etherType: testCase.etherType, vlanTag: testCase.vlanTag)
      #expect(seen.run(filter) == (testCase.passes ? Filter.keepAll : 0))
    }
  }

  /// Most packets that a gateway forwards are refused within a handful of instructions.
  @Test func whatMostPacketsAreIsRefusedFirst() {
    for (packet, etherType) in [(ipv4(6, []), 0x0800), (ipv6(6, []), 0x86DD), ([], 0x0806)] as [([UInt8], UInt32)] {
      for filter in [Filter.control(), .errors()] {
        var steps = 0
        #expect(Interpreter(packet: packet, etherType: etherType).run(filter, steps: &steps) == 0)
        #expect(steps <= 12)
      }
    }
  }

  struct RequestCase: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var seen: Interpreter
    var passes: Bool
  }
  private static let outgoing: UInt32 = 4
  private static let discover = ipv4(17, udp(from: 68, to: 67))
  private static let solicit = ipv6(17, udp(from: 546, to: 547))

  @Test(arguments: [
    RequestCase(
      testDescription: "DHCPv4 going out", seen: Interpreter(packet: discover, packetType: outgoing, etherType: 0x0800),
      passes: true),
    RequestCase(
      testDescription: "DHCPv6 going out", seen: Interpreter(packet: solicit, packetType: outgoing, etherType: 0x86DD),
      passes: true),
    RequestCase(
      testDescription: "DHCPv4 coming in", seen: Interpreter(packet: discover, packetType: 1, etherType: 0x0800),
      passes: false),
    RequestCase(
      testDescription: "DHCPv6 coming in", seen: Interpreter(packet: solicit, packetType: 2, etherType: 0x86DD),
      passes: false),
    RequestCase(
      testDescription: "going out with a VLAN tag",
      seen: Interpreter(packet: discover, packetType: outgoing, etherType: 0x0800, hasVLANTag: true), passes: false),
    RequestCase(
      testDescription: "a server's answer",
      seen: Interpreter(packet: ipv4(17, udp(from: 67, to: 68)), packetType: outgoing, etherType: 0x0800),
      passes: false),
    RequestCase(
      testDescription: "a relay's request",
      seen: Interpreter(packet: ipv4(17, udp(from: 67, to: 67)), packetType: outgoing, etherType: 0x0800),
      passes: false),
    RequestCase(
      testDescription: "a DHCPv6 relay's",
      seen: Interpreter(packet: ipv6(17, udp(from: 547, to: 547)), packetType: outgoing, etherType: 0x86DD),
      passes: false),
    RequestCase(
      testDescription: "TCP from 546 to 547",
      seen: Interpreter(packet: ipv6(6, udp(from: 546, to: 547)), packetType: outgoing, etherType: 0x86DD),
      passes: false),
    RequestCase(
      testDescription: "ARP", seen: Interpreter(packet: discover, packetType: outgoing, etherType: 0x0806),
      passes: false),
  ])
  func clientRequests(_ testCase: RequestCase) {
    #expect(testCase.seen.run(.clientRequests()) == (testCase.passes ? Filter.keepAll : 0))
  }

  /// No program may read past a packet's end or come to no verdict, whatever it is given.
  @Test func cutPacketsAreRefusedOrKept() {
    let packets = [Filters.offer, Filters.hostUnreachable, Filters.advertisement, routerAdvertisement]
    for filter in [Filter.control(), .errors(), .clientRequests()] {
      #expect(filter.instructions.count <= 4096)
      for packet in packets {
        for length in 0...packet.count {
          for etherType in [0x0800, 0x86DD] as [UInt32] {
            let seen = Interpreter(packet: Array(packet.prefix(length)), packetType: 4, etherType: etherType)
            let result = seen.run(filter)
            #expect(result == 0 || result == Filter.keepAll)
          }
        }
      }
    }
  }
}
