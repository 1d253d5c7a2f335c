import Agent
import Testing

/// `mifd --self-test` passes, and does not pass whatever comes.
@Suite struct SelfTestTests {
  static let captures: [(subject: String, bytes: WritableKeyPath<SelfTestCaptures, [UInt8]> & Sendable)] = [
    ("Router Advertisement", \.routerAdvertisement),
    ("DHCPv4 acknowledgement", \.dhcpv4Request),
    ("DHCPv4 acknowledgement", \.dhcpv4Acknowledgement),
    ("DHCPv6 reply", \.dhcpv6Request),
    ("DHCPv6 reply", \.dhcpv6Reply),
    ("ICMP error", \.icmpv4Error),
    ("ICMPv6 error", \.icmpv6Error),
    ("NOTIFY", \.notification),
    ("PVD_ANNOUNCEMENT", \.announcement),
  ]

  private func lines(_ test: SelfTest) -> [Substring] {
    String(decoding: test.report, as: UTF8.self).split(separator: "\n")
  }

  @Test func `the built-in captures pass`() {
    let test = SelfTest()
    #expect(test.hasPassed)
    #expect(lines(test).count == 9)
    for line in lines(test) { #expect(line.hasPrefix("ok  ")) }
  }

  @Test(arguments: captures)
  func `a capture that is cut short fails`(
    _ subject: String, _ bytes: WritableKeyPath<SelfTestCaptures, [UInt8]> & Sendable
  ) {
    var captures = SelfTestCaptures()
    captures[keyPath: bytes].removeLast()
    let test = SelfTest(captures)
    #expect(!test.hasPassed)
    #expect(lines(test).contains { $0.hasPrefix("FAILED  \(subject): ") }, "\(lines(test))")
  }

  @Test(arguments: captures)
  func `a wrong bit fails`(_ subject: String, _ bytes: WritableKeyPath<SelfTestCaptures, [UInt8]> & Sendable) {
    // The flow label is behind no checksum, so it is the last byte but one: in each capture something looks at that.
    var captures = SelfTestCaptures()
    let place = captures[keyPath: bytes].count - 2
    captures[keyPath: bytes][place] ^= 0x10
    let test = SelfTest(captures)
    #expect(!test.hasPassed)
    #expect(lines(test).contains { $0.hasPrefix("FAILED  \(subject): ") }, "\(lines(test))")
  }

  @Test func `what refused a capture is named`() {
    var captures = SelfTestCaptures()
    captures.icmpv6Error[60] ^= 1
    #expect(lines(SelfTest(captures)).contains("FAILED  ICMPv6 error: no DEST_UNREACHABLE, icmp.checksum"))
  }
}
