import Testing
import Wire

/// RFC 6052: IPv4 destinations in IPv6.
@Suite struct NAT64Tests {
  struct Case: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var prefix: String
    var length: UInt8
    var v4: String
    var expected: String?
  }

  static let cases = [
    // RFC 6052 2.4, table 2
    Case(
      testDescription: "2.4: /32", prefix: "2001:db8::", length: 32, v4: "192.0.2.33", expected: "2001:db8:c000:221::"),
    Case(
      testDescription: "2.4: /40", prefix: "2001:db8:100::", length: 40, v4: "192.0.2.33",
      expected: "2001:db8:1c0:2:21::"),
    Case(
      testDescription: "2.4: /48", prefix: "2001:db8:122::", length: 48, v4: "192.0.2.33",
      expected: "2001:db8:122:c000:2:2100::"),
    Case(
      testDescription: "2.4: /56", prefix: "2001:db8:122:300::", length: 56, v4: "192.0.2.33",
      expected: "2001:db8:122:3c0:0:221::"),
    Case(
      testDescription: "2.4: /64", prefix: "2001:db8:122:344::", length: 64, v4: "192.0.2.33",
      expected: "2001:db8:122:344:c0:2:2100::"),
    Case(
      testDescription: "2.4: /96", prefix: "2001:db8:122:344::", length: 96, v4: "192.0.2.33",
      expected: "2001:db8:122:344::192.0.2.33"),
    // RFC 6052 2.2 and 3.1
    Case(
      testDescription: "the Well-Known Prefix", prefix: "64:ff9b::", length: 96, v4: "8.8.8.8",
      expected: "64:ff9b::808:808"),
    Case(
      testDescription: "3.1: not for private addresses", prefix: "64:ff9b::", length: 96, v4: "10.1.2.3", expected: nil),
    Case(
      testDescription: "3.1: nor for shared ones", prefix: "64:ff9b::", length: 96, v4: "100.127.0.1", expected: nil),
    Case(
      testDescription: "3.1: next to the shared ones", prefix: "64:ff9b::", length: 96, v4: "100.128.0.1",
      expected: "64:ff9b::6480:1"),
    Case(
      testDescription: "a network's own prefix takes private ones", prefix: "2001:db8::", length: 96, v4: "10.1.2.3",
      expected: "2001:db8::a01:203"),
    Case(
      testDescription: "host bits of the prefix don't count", prefix: "2001:db8::ffff", length: 96, v4: "192.0.2.33",
      expected: "2001:db8::c000:221"),
    Case(testDescription: "no such length", prefix: "2001:db8::", length: 72, v4: "192.0.2.33", expected: nil),
    Case(testDescription: "too short", prefix: "2000::", length: 24, v4: "192.0.2.33", expected: nil),
  ]

  @Test(arguments: cases) func embedding(_ each: Case) throws {
    guard case .v4(let v4) = try #require(IPAddress(each.v4)) else { return #expect(Bool(false), "not IPv4") }
    let prefix = IPPrefix(try #require(IPAddress(each.prefix)), each.length)
    let expected = try each.expected.map { try #require(IPAddress($0)) }
    #expect(IPv6Address(embedding: v4, in: prefix).map { IPAddress.v6($0) } == expected)
  }

  @Test func `an IPv4 prefix embeds nothing`() {
    #expect(IPv6Address(embedding: IPv4Address(1), in: IPPrefix(.v4(IPv4Address(0)), 32)) == nil)
  }
}
