import CLinux
import Testing
import Wire

@testable import MIF

/// What values look like to people.
@Suite struct ValueTests {
  @Test(
    "addresses as RFC 5952 has them",
    arguments: [
      // Section 4.1, 4.2.1, 4.2.2, 4.2.3, 4.3.
      (0x2001_0db8_0000_0000, 0x0000_0000_0000_0001, "2001:db8::1"),
      (0x2001_0db8_0000_0001, 0x0001_0001_0001_0001, "2001:db8:0:1:1:1:1:1"),
      (0x2001_0000_0000_0001, 0x0000_0000_0000_0001, "2001:0:0:1::1"),
      (0x2001_0db8_0000_0000, 0x0001_0000_0000_0001, "2001:db8::1:0:0:1"),
      (0x2001_0db8_aaaa_bbbb, 0xcccc_dddd_eeee_0001, "2001:db8:aaaa:bbbb:cccc:dddd:eeee:1"),
      (0, 0, "::"), (0, 1, "::1"), (0x0001_0000_0000_0000, 0, "1::"),
      (0xfe80_0000_0000_0000, 0x0000_0000_0000_0000, "fe80::"),
      // Section 5.
      (0, 0x0000_ffff_c000_0201, "::ffff:192.0.2.1"),
    ] as [(UInt64, UInt64, String)])
  func text(_ high: UInt64, _ low: UInt64, _ text: String) {
    #expect(MIF.IPAddress(.v6(IPv6Address(high, low))).description == text)
  }

  @Test("addresses come back from their text")
  func parsed() {
    var state: UInt64 = 1
    for _ in 0..<5_000 {
      // Bytes of which many are zero.
      var bytes: [UInt8] = []
      for _ in 0..<16 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        bytes.append(state >> 60 < 10 ? 0 : UInt8(truncatingIfNeeded: state >> 40))
      }
      func half(_ range: Range<Int>) -> UInt64 { bytes[range].reduce(0) { $0 << 8 | UInt64($1) } }
      let address = MIF.IPAddress(.v6(IPv6Address(half(0..<8), half(8..<16))))
      var parsed = [UInt8](repeating: 0, count: 16)
      #expect(unsafe inet_pton(AF_INET6, address.description, &parsed) == 1)
      #expect(parsed == bytes)
      #expect(address.wire == .v6(IPv6Address(half(0..<8), half(8..<16))))
    }
  }

  @Test("IPv4, scopes and prefixes")
  func others() {
    let v4 = MIF.IPAddress(.v4(IPv4Address(0xC000_0201)))
    #expect(v4.description == "192.0.2.1")
    #expect(v4.wire == .v4(IPv4Address(0xC000_0201)))
    #expect(IPPrefix(address: v4, length: 24).description == "192.0.2.1/24")
    #expect(IPPrefix(host: v4).isHost)
    let linkLocal = MIF.IPAddress(.v6(IPv6Address(0xfe80 << 48, 1)), scope: 3)
    #expect(linkLocal.description == "fe80::1%3")
    #expect(linkLocal.description(zone: "wan0") == "fe80::1%wan0")
    #expect(v4.description(zone: "wan0") == "192.0.2.1")
  }

  @Test(
    "addresses and prefixes from text, and back",
    arguments: [
      ("192.0.2.1", "192.0.2.1/32"), ("192.0.2.1/24", "192.0.2.1/24"), ("::/0", "::/0"),
      ("2001:DB8:0::1/64", "2001:db8::1/64"), ("fe80::1%3", "fe80::1%3/128"), ("fe80::1%3/64", "fe80::1%3/64"),
      ("", nil), ("/24", nil), ("192.0.2.1/", nil), ("192.0.2.1/33", nil), ("::/129", nil), ("192.0.2.1/-1", nil),
      ("192.0.2.1%3", nil), ("2001:db8::1%3", nil), ("fe80::1%", nil), ("fe80::1%0", nil), ("fe80::1%wan0", nil),
      ("fe80::1/64%3", nil), ("192.0.2.01", nil), (" ::1", nil), ("localhost", nil),
    ] as [(String, String?)])
  func texts(_ text: String, _ description: String?) {
    #expect(MIF.IPPrefix(text)?.description == description)
    if let description { #expect(MIF.IPPrefix(description)?.description == description) }
    if !text.contains("/") { #expect(MIF.IPAddress(text).map { MIF.IPPrefix(host: $0) } == MIF.IPPrefix(text)) }
  }

  @Test(
    "ICMP errors in words",
    arguments: [
      (false, 3, 0, "network unreachable"), (false, 3, 13, "communication administratively prohibited"),
      (false, 11, 0, "time to live exceeded in transit"), (true, 1, 0, "no route to destination"),
      (true, 1, 5, "source address failed policy"), (true, 3, 0, "hop limit exceeded in transit"),
      (true, 1, 99, "type 1 code 99"), (false, 1, 0, "type 1 code 0"),
    ] as [(Bool, UInt8, UInt8, String)])
  func icmp(_ isIPv6: Bool, _ type: UInt8, _ code: UInt8, _ text: String) {
    #expect(ICMPError(isIPv6: isIPv6, type: type, code: code).description == text)
  }
}
