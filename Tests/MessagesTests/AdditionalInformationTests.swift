import Messages
import Testing
import Wire

/// What the engine and `mif-pvdinfo` say to each other.
@Suite struct AdditionalInformationTests {
  private func decoded(_ bytes: [UInt8]) -> InformationReport? { InformationReport(unsafe bytes.span.bytes) }

  private static let prefixes = [IPPrefix(.v6(IPv6Address(0x2001_0db8_0001_0000, 0)), 48)]
  private static let known = InformationReport.known(
    expires: 0x0102_0304_0506_0708, prefixes: prefixes, text: Array("{}".utf8))

  @Test(arguments: [
    known, .refused, .notReached, .known(expires: 1, prefixes: [], text: [0x7B]),
    .known(
      expires: 1, prefixes: Array(repeating: prefixes[0], count: 64), text: [UInt8](repeating: 0x20, count: 4096)),
  ])
  func `A report reads as it was written`(_ report: InformationReport) {
    #expect(decoded(report.bytes) == report)
    #expect(report.bytes.count <= InformationReport.largest)
  }

  @Test func `A report's bytes`() {
    let head: [UInt8] = [1, 1, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]
    let prefix: [UInt8] = [48, 0x20, 0x01, 0x0d, 0xb8, 0, 1] + [UInt8](repeating: 0, count: 10)
    #expect(Self.known.bytes == head + prefix + Array("{}".utf8))
  }

  @Test func `Anything else is no report`() {
    let good = Self.known.bytes
    for length in 0..<good.count - 1 { #expect(decoded(Array(good.prefix(length))) == nil) }
    for (place, value) in [(0, 2), (1, 0), (1, 4), (1, 2), (2, 1), (3, 2), (4, 1), (16, 129)] as [(Int, UInt8)] {
      var bad = good
      bad[place] = value
      #expect(decoded(bad) == nil)
    }
    #expect(decoded(InformationReport.refused.bytes + [0]) == nil)
    #expect(decoded([1, 1] + [UInt8](repeating: 0, count: 14) + [UInt8](repeating: 0x20, count: 4097)) == nil)
    #expect(decoded([UInt8](repeating: 1, count: InformationReport.largest + 1)) == nil)
  }

  @Test func `A request reads as it was written`() {
    let request = InformationRequest(pvd: 0x0102_0304, name: Array("pvd.example.net".utf8))
    #expect(request.bytes.prefix(5) == [1, 2, 3, 4, UInt8(ascii: "p")])
    #expect(InformationRequest(unsafe request.bytes.span.bytes) == request)
    let short = request.bytes.prefix(4)
    #expect(InformationRequest(unsafe Array(short).span.bytes) == nil)
  }
}
