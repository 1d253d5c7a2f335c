import Fuzzing
import Messages
import Wire

/// The datagrams between the engine and `mif-pvdinfo`: refused, or written again they are the same bytes.
struct InformationTarget: FuzzTarget {
  static let name = "information"
  static let maximumLength = InformationReport.largest + 1
  static let vectors = ""

  static var seeds: [(name: String, input: [UInt8])] {
    let prefix = IPPrefix(.v6(IPv6Address(0x2001_0DB8_0001_0000, 0)), 48)
    return [
      ("known", InformationReport.known(expires: 1, prefixes: [prefix, prefix], text: Array("{}".utf8)).bytes),
      ("without-prefixes", InformationReport.known(expires: .max, prefixes: [], text: [0x7B]).bytes),
      ("refused", InformationReport.refused.bytes), ("not-reached", InformationReport.notReached.bytes),
      ("request", InformationRequest(pvd: 1, name: Array("pvd.example".utf8)).bytes),
    ]
  }

  func run(_ bytes: RawSpan) {
    let input = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
    if let report = InformationReport(bytes) { check(report.bytes == input, "\(report) is not what was read") }
    if let request = InformationRequest(bytes) { check(request.bytes == input, "\(request) is not what was read") }
  }
}
