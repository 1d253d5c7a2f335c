import PacketBuilders
import Testing
import Wire

@Suite struct TextTests {
  /// Address, and its one right text (RFC 5952).
  static let canonical: [(UInt64, UInt64, String)] = [
    (0, 0, "::"),
    (0, 1, "::1"),
    (1 << 48, 0, "1::"),
    (0x2001_0db8_0000_0000, 1, "2001:db8::1"),
    // 4.2.2: one zero group is not shortened.
    (0x2001_0db8_0000_0001, 0x0001_0001_0001_0001, "2001:db8:0:1:1:1:1:1"),
    // 4.2.3: the longest run, the first of two equal ones.
    (0x2001_0000_0000_0001, 0x0000_0000_0000_0001, "2001:0:0:1::1"),
    (0x2001_0db8_0000_0000, 0x0001_0000_0000_0001, "2001:db8::1:0:0:1"),
    (0x0000_0000_0001_0002, 0x0003_0004_0005_0006, "::1:2:3:4:5:6"),
    (0x0001_0002_0003_0004, 0x0005_0006_0000_0000, "1:2:3:4:5:6::"),
    (0xfe80_0000_0000_0000, 0x0202_b3ff_fe1e_8329, "fe80::202:b3ff:fe1e:8329"),
    (0x00ab_0c0d_f00f_0ff0, 0xffff_abcd_000a_0100, "ab:c0d:f00f:ff0:ffff:abcd:a:100"),
    // 5: with IPv4 inside, where that is known.
    (0, 0xFFFF_C000_0201, "::ffff:192.0.2.1"),
    (0x0064_ff9b_0000_0000, 0xC000_0201, "64:ff9b::c000:201"),
  ]

  @Test(arguments: canonical)
  func ipv6(high: UInt64, low: UInt64, text: String) {
    let address = IPv6Address(high, low)
    #expect(address.description == text)
    #expect(IPv6Address(text) == address)
    #expect(IPAddress(text) == .v6(address))
  }

  @Test(
    "Other forms that are read (RFC 4291 2.2)",
    arguments: [
      ("2001:0DB8:0000:0000:0000:0000:0000:0001", "2001:db8::1"), ("0:0:0:0:0:0:0:0", "::"),
      ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"), ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
      ("1:2:3:4:5:6:192.0.2.1", "1:2:3:4:5:6:c000:201"), ("::192.0.2.1", "::c000:201"),
      ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"), ("0:0:0:0:0:FFFF:192.0.2.1", "::ffff:192.0.2.1"),
    ])
  func ipv6OtherForm(text: String, canonical: String) {
    #expect(IPv6Address(text)?.description == canonical)
  }

  @Test(arguments: [
    "", ":", ":::", "1", "1:2", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", ":1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:",
    "1:", "::1:", "12345::", "g::", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "fe80::1%eth0", " ::1", "::1 ", "::1.2.3",
    "1:2:3:4:5:6:7:192.0.2.1", "::192.0.2.1:1", "::192.0.2.256", "-::",
  ])
  func notIPv6(text: String) {
    #expect(IPv6Address(text) == nil)
    #expect(IPAddress(text) == nil)
  }

  @Test(arguments: [
    (0, "0.0.0.0"), (0xC000_0201, "192.0.2.1"), (UInt32.max, "255.255.255.255"), (0x0A64_0A09, "10.100.10.9"),
  ])
  func ipv4(value: UInt32, text: String) {
    #expect(IPv4Address(value).description == text)
    #expect(IPv4Address(text) == IPv4Address(value))
    #expect(IPAddress(text) == .v4(IPv4Address(value)))
  }

  @Test(
    "RFC 6943 3.1.1: nothing but four decimal numbers",
    arguments: [
      "", "1", "1.2", "1.2.3", "1.2.3.", "1.2.3.4.", "1.2.3.4.5", ".1.2.3", "1..2.3", "256.1.1.1", "1.1.1.999",
      "01.2.3.4",
      "1.2.3.00", "0x1.2.3.4", "1.2.3.4 ", " 1.2.3.4", "1,2,3,4", "1.2.3.4/8", "1.2.3.1000", "+1.2.3.4",
    ])
  func notIPv4(text: String) {
    #expect(IPv4Address(text) == nil)
  }

  @Test(arguments: [
    ("192.0.2.1/24", "192.0.2.1/24"), ("0.0.0.0/0", "0.0.0.0/0"), ("192.0.2.1", "192.0.2.1/32"), ("::/0", "::/0"),
    ("2001:db8::1/64", "2001:db8::1/64"), ("2001:db8::1", "2001:db8::1/128"), ("::1/128", "::1/128"),
  ])
  func prefix(text: String, canonical: String) {
    #expect(IPPrefix(text)?.description == canonical)
  }

  @Test(arguments: [
    "", "/", "/24", "192.0.2.1/", "192.0.2.1/33", "192.0.2.1/024", "192.0.2.1/-1", "192.0.2.1/2 ", "192.0.2.1/24/1",
    "::1/129", "::1/1000", "::/+0", "2001:db8::/64x",
  ])
  func notPrefix(text: String) {
    #expect(IPPrefix(text) == nil)
  }

  @Test("What is written is read again")
  func roundTrip() {
    var random = FixedRandom(state: 5952)
    for _ in 0..<2000 {
      // Groups that are often zero.
      let mask = UInt8.random(in: 0...255, using: &random)
      var words: [UInt64] = [0, 0]
      for index in 0..<8 where mask >> index & 1 == 1 {
        words[index / 4] |= UInt64(UInt16.random(in: 0...0xFFFF, using: &random)) << (16 * UInt64(index % 4))
      }
      let address = IPv6Address(words[0], words[1])
      #expect(IPv6Address(address.description) == address)
    }
  }

  // MARK: Names

  @Test(
    "Presentation form (RFC 4343 2.1)",
    arguments: [
      ([0], "."), ([1, 97, 0], "a"), ([3, 87, 119, 119, 2, 99, 104, 0], "Www.ch"), ([3, 97, 46, 98, 0], "a\\.b"),
      ([1, 92, 0], "\\\\"), ([4, 0, 32, 127, 255, 0], "\\000\\032\\127\\255"), ([1, 95, 0], "_"),
    ] as [([UInt8], String)])
  func name(bytes: [UInt8], text: String) throws {
    let name = DomainName(bytes.rawSpan)
    #expect(name?.text == text)
  }

  @Test(
    "Limits (RFC 1035 2.3.4)",
    arguments: [
      ([], nil), ([1, 97], nil), ([5, 97, 0], nil), ([64] + [UInt8](repeating: 97, count: 64) + [0], nil),
      ([63] + [UInt8](repeating: 97, count: 63) + [0], 65), ([0xC0, 0], nil), ([0x80, 0], nil),
      ((0..<127).flatMap { _ in [1, 97] } + [0], 255), ((0..<128).flatMap { _ in [1, 97] } + [0], nil),
      ((0..<126).flatMap { _ in [1, 97] } + [2, 97, 97, 0], nil), ([1, 97, 0, 1, 98, 0], 3),
    ] as [([UInt8], Int?)])
  func nameLimits(bytes: [UInt8], length: Int?) {
    let name = DomainName(bytes.rawSpan)
    let count = name?.bytes.byteCount
    #expect(count == length)
  }

  @Test("ASCII letters alone are the same in either case (RFC 4343 3)")
  func nameEquality() throws {
    func equal(_ a: [UInt8], _ b: [UInt8]) -> Bool {
      guard let first = DomainName(a.rawSpan), let second = DomainName(b.rawSpan) else { return false }
      return first.isEqual(to: second)
    }
    #expect(equal(Build.name("Example.COM"), Build.name("eXAMPLE.com")))
    #expect(!equal(Build.name("example.com"), Build.name("example.org")))
    #expect(!equal(Build.name("example.com"), Build.name("example")))
    #expect(!equal([1, 0x40, 0], [1, 0x60, 0]), "@ and `")
    #expect(!equal([1, 0x5B, 0], [1, 0x7B, 0]), "[ and {")
    #expect(!equal([1, 0xC1, 0], [1, 0xE1, 0]), "beyond ASCII")
  }

  // MARK: Checksum

  @Test("The example of RFC 1071 3")
  func checksumExample() {
    var checksum = Checksum()
    checksum.add(([0x00, 0x01, 0xF2, 0x03, 0xF4, 0xF5, 0xF6, 0xF7] as [UInt8]).rawSpan)
    #expect(checksum.value == ~0xDDF2)
  }

  @Test("As the plain way computes it, at every length and alignment")
  func checksumAgrees() {
    var random = FixedRandom(state: 1071)
    for count in 0..<130 {
      let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
      for offset in 0..<min(count, 9) {
        var checksum = Checksum()
        checksum.add(bytes.rawSpan.extracting(offset..<count))
        #expect(Int(checksum.value) == Build.checksum([UInt8](bytes[offset...])))
      }
    }
    let ones = [UInt8](repeating: 0xFF, count: 65535)
    var checksum = Checksum()
    checksum.add(ones.rawSpan)
    #expect(Int(checksum.value) == Build.checksum(ones))
  }

  @Test("Pseudo headers (RFC 768; RFC 8200 8.1)")
  func pseudoHeaders() {
    let v4 = Checksum(source: Build.server4, destination: Build.far4, protocol: .udp, length: 300)
    #expect(Int(v4.value) == Build.checksum(Build.bytes(Build.server4) + Build.bytes(Build.far4) + [0, 17, 1, 44]))
    let v6 = Checksum(source: Build.far, destination: Build.global, protocol: .icmpv6, length: 70_000)
    #expect(
      Int(v6.value) == Build.checksum(Build.pseudo(Build.bytes(Build.far), Build.bytes(Build.global), 58, 70_000)))
  }
}
