import Agent
import Testing

/// `mifd --self-test` passes, and does not pass whatever comes.
@Suite struct SelfTestTests {
  struct Capture: Sendable {
    /// The check that is to fail.
    let subject: String
    /// A byte that something looks at, counted from the end where it is negative. No checksum is asked for of what this
    /// host sent: there it is one of the transaction's number.
    var place = -2
    let change: @Sendable (inout SelfTestCaptures, (inout [UInt8]) -> Void) -> Void
  }

  static let captures: [Capture] = [
    Capture(subject: "Router Advertisement") { $1(&$0.routerAdvertisement) },
    Capture(subject: "DHCPv4 acknowledgement", place: 34) { $1(&$0.dhcpv4Request) },
    Capture(subject: "DHCPv4 acknowledgement") { $1(&$0.dhcpv4Acknowledgement) },
    Capture(subject: "DHCPv6 reply", place: 50) { $1(&$0.dhcpv6Request) },
    Capture(subject: "DHCPv6 reply") { $1(&$0.dhcpv6Reply) },
    Capture(subject: "ICMP error") { $1(&$0.icmpv4Error) },
    Capture(subject: "ICMPv6 error") { $1(&$0.icmpv6Error) },
    Capture(subject: "NOTIFY") { $1(&$0.notification) },
    Capture(subject: "PVD_ANNOUNCEMENT") { $1(&$0.announcement) },
  ]

  private func run(_ captures: SelfTestCaptures = SelfTestCaptures()) -> (hasPassed: Bool, lines: [Substring]) {
    let test = SelfTest(captures)
    return (test.hasPassed, String(decoding: test.report, as: UTF8.self).split(separator: "\n"))
  }

  private func expectFailure(of capture: Capture, _ change: (inout [UInt8]) -> Void) {
    var captures = SelfTestCaptures()
    capture.change(&captures, change)
    let test = run(captures)
    #expect(!test.hasPassed)
    #expect(test.lines.contains { $0.hasPrefix("FAILED  \(capture.subject): ") }, "\(test.lines)")
  }

  @Test func `the built-in captures pass`() {
    let test = run()
    #expect(test.hasPassed)
    #expect(test.lines.count == 9)
    for line in test.lines { #expect(line.hasPrefix("ok  ")) }
  }

  @Test(arguments: captures) func `a capture that is cut short fails`(_ capture: Capture) {
    expectFailure(of: capture) { $0.removeLast() }
  }

  @Test(arguments: captures) func `a wrong bit fails`(_ capture: Capture) {
    expectFailure(of: capture) { $0[capture.place < 0 ? $0.count + capture.place : capture.place] ^= 0x10 }
  }

  @Test func `what refused a capture is named`() {
    var captures = SelfTestCaptures()
    captures.icmpv6Error[60] ^= 1
    #expect(run(captures).lines.contains("FAILED  ICMPv6 error: no DEST_UNREACHABLE, icmp.checksum"))
  }
}
