import Messages
import Testing
import Wire

@testable import mif_pvdinfo

/// The JSON object (RFC 8801 section 4.3), and what is refused.
@Suite struct InformationObjectTests {
  private let name = "pvd.example.net"
  /// 2026-01-01T00:00:00Z.
  private let now: Int64 = 1_767_225_600

  private func report(_ text: String) throws(FetchFailure) -> InformationReport {
    try InformationObject.report(Array(text.utf8), ofDomain: name, at: now)
  }

  private func object(
    _ identifier: String = #""pvd.example.net.""#, expires: String = #""2026-06-01T12:00:00Z""#,
    prefixes: String = #"["2001:db8:1::/48"]"#, more: String = ""
  ) -> String {
    #"{"identifier": \#(identifier), "expires": \#(expires), "prefixes": \#(prefixes)\#(more)}"#
  }

  @Test func `What this host knows is handed on, always in the same form`() throws {
    let more = #", "dnsZones": ["example.net", "a.example"], "noInternet": true, "vendor-x": {"a": [1, {}]}"#
    let text =
      #"{"dnsZones":["example.net","a.example"],"expires":"2026-06-01T12:00:00Z","identifier":"pvd.example.net","#
      + #""noInternet":true,"prefixes":["2001:db8:1::/48"]}"#
    #expect(
      try report(object(more: more))
        == .known(
          expires: 1_780_315_200, prefixes: [IPPrefix(.v6(IPv6Address(0x2001_0db8_0001_0000, 0)), 48)],
          text: Array(text.utf8)))
  }

  @Test(arguments: [#""pvd.example.net""#, #""PVD.Example.NET.""#])
  func `Names are compared without regard to case and a final dot`(_ identifier: String) throws {
    guard case .known = try report(object(identifier)) else { return #expect(Bool(false)) }
  }

  @Test func `No prefix at all is a list of prefixes`() throws {
    #expect(try report(object(prefixes: "[]")).bytes[2...3] == [0, 0])
  }

  @Test func `What is no such object is refused`() {
    let bad = [
      "", "null", "[]", "{}", "\"\"", "{", object() + "x", String(repeating: "[", count: 50_000),
      object(#""pvd.example.org""#), object(#""net""#), object("null"), object("1"), object(#""""#),
      object(expires: #""2026-01-01T00:00:00Z""#), object(expires: #""2025-12-31T23:59:59Z""#),
      object(expires: #""1969-01-01T00:00:00Z""#), object(expires: #""tomorrow""#), object(expires: "1780315200"),
      object(prefixes: #""2001:db8::/32""#), object(prefixes: #"["2001:db8::"]"#),
      object(prefixes: #"["192.0.2.0/24"]"#),
      object(prefixes: #"["2001:db8::/129"]"#), object(prefixes: #"["2001:db8::/+1"]"#), object(prefixes: "[1]"),
      object(prefixes: "[" + Array(repeating: #""2001:db8::/32""#, count: 65).joined(separator: ",") + "]"),
      object(more: #", "noInternet": "true""#), object(more: #", "dnsZones": "example.net""#),
      object(more: #", "dnsZones": [1]"#),
      object(more: #", "dnsZones": ["\#(String(repeating: "a", count: 4096))"]"#),
      object(more: #", "x": \#(String(repeating: "[", count: 16))\#(String(repeating: "]", count: 16))"#),
    ]
    for text in bad {
      #expect(throws: FetchFailure.self, "\(text.prefix(200))") { try report(text) }
    }
    #expect(throws: FetchFailure.self) {
      try InformationObject.report(Array(object().utf8) + [0xFF], ofDomain: name, at: now)
    }
    // UTF-16 is none of I-JSON's (RFC 7493).
    #expect(throws: FetchFailure.self) {
      try InformationObject.report(object().utf16.flatMap { [0, UInt8($0)] }, ofDomain: name, at: now)
    }
  }

  @Test func `Brackets within strings do not nest`() throws {
    _ = try report(object(more: #", "x": "\#(String(repeating: #"[\""#, count: 40))""#))
  }
}

/// Dates of RFC 3339.
@Suite struct TimestampTests {
  @Test(arguments: [
    ("1970-01-01T00:00:00Z", 0), ("2020-05-23T06:00:00Z", 1_590_213_600), ("2000-02-29T23:59:60Z", 951_868_800),
    ("2026-01-01t00:00:00z", 1_767_225_600), ("2026-01-01T00:00:00.987654321Z", 1_767_225_600),
    ("2026-01-01T01:30:00+01:30", 1_767_225_600), ("2025-12-31T16:00:00-08:00", 1_767_225_600),
    ("2100-03-01T00:00:00Z", 4_107_542_400), ("9999-12-31T23:59:59Z", 253_402_300_799),
    ("0001-01-01T00:00:00Z", -62_135_596_800), ("0000-01-01T00:00:00Z", -62_167_219_200),
  ])
  func `A date is a number of seconds`(_ text: String, _ seconds: Int64) {
    #expect(Timestamp(text)?.seconds == seconds)
  }

  @Test(arguments: [
    "", "2026", "2026-01-01", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
    "2026-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-01-00T00:00:00Z",
    "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:61Z", "2026-01-01 00:00:00Z",
    "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+0100", "2026-01-01T00:00:00ZZ",
    "+026-01-01T00:00:00Z", "2026-1-01T00:00:00Z", "２026-01-01T00:00:00Z",
  ])
  func `Anything else is none`(_ text: String) { #expect(Timestamp(text) == nil) }
}

/// Where an object is fetched from.
@Suite struct LocationTests {
  @Test func `The well-known place of the PvD ID`() {
    let location = Location(ofDomain: "pvd.example.net")
    #expect(location?.url == "https://pvd.example.net/.well-known/pvd")
    #expect(location?.host == "pvd.example.net" && location?.port == 443)
  }

  @Test(arguments: [
    "", "net", "pvd.example.net.", ".example.net", "192.0.2.1", "pvd.example.1", "pvd.example.net/x", "a b.example.net",
    "user@example.net", "pvd.example.net:444", "pvd%2eexample.net", "pvd\\.example.net", "p\u{e9}.example.net",
    "\(String(repeating: "a", count: 64)).example.net",
  ])
  func `What no host is called is not asked`(_ name: String) { #expect(Location(ofDomain: name) == nil) }

  @Test(arguments: ["http://pvd.example.net/", "file:///etc/passwd", "https://u@pvd.example.net/", "pvd", "https://"])
  func `A redirection leads to https`(_ url: String) { #expect(Location(url) == nil) }

  @Test func `A redirection may lead to another host and port`() {
    let location = Location("https://www.example.org:8443/pvd?x")
    #expect(location?.host == "www.example.org" && location?.port == 8443)
  }
}
