import Fuzzing
import Messages
import Wire

@testable import PvDInformation

/// What servers send as PvD Additional Information (RFC 8801, 4.3): refused, or checked, and then its text is an object
/// that says the same.
struct InformationObjectTarget: FuzzTarget {
  static let name = "information-object"
  static let maximumLength = 512
  static let vectors = ""
  private static let domain = "pvd.example"
  /// 1 January 2026.
  private static let now: Int64 = 1_767_225_600

  static var seeds: [(name: String, input: [UInt8])] {
    func object(_ expires: String, _ rest: String) -> [UInt8] {
      Array(#"{"identifier":"PvD.example.","expires":"\#(expires)","prefixes":\#(rest)}"#.utf8)
    }
    return [
      ("whole", object("2030-01-01T00:00:00Z", #"["2001:db8::/32"],"dnsZones":["example"],"noInternet":true"#)),
      ("least", object("2026-06-30T23:59:60.5+01:00", "[]")), ("expired", object("2025-01-01T00:00:00Z", "[]")),
      ("unknown-keys", object("2030-01-01T00:00:00Z", #"[],"a":{"b":[1,2.5e3,null,"\u00e4"]}"#)),
      ("ipv4", object("2030-01-01T00:00:00Z", #"["192.0.2.0/24"]"#)),
    ]
  }

  func run(_ bytes: RawSpan) {
    let document = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
    guard let report = Self.report(document) else { return }
    guard case .known(let expires, let prefixes, let text) = report else {
      return check(false, "neither known nor refused")
    }
    check(expires > UInt64(Self.now), "an object that has expired")
    check(prefixes.allSatisfy { $0.address.family == .v6 }, "a prefix of IPv4")
    check(text.count <= InformationReport.textLimit, "\(text.count) bytes of text")
    check(Self.report(text) == report, "its text says something else")
    let told = report.bytes
    check(InformationReport(told.rawSpan) == report, "what the engine is told says something else")
  }

  private static func report(_ document: [UInt8]) -> InformationReport? {
    try? InformationObject.report(document, ofDomain: domain, at: now)
  }
}
