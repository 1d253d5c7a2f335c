import Testing
import Wire

/// `2001:db8:1::2/64`, then words: what is special about it.
private func source(_ text: String) -> SourceCandidate {
  let words = text.split(separator: " ").map(String.init)
  let parts = words[0].split(separator: "/").map(String.init)
  let address = IPAddress(parts[0])!
  let length = parts.count > 1 ? UInt8(parts[1])! : address.family == .v4 ? 24 : 64
  return SourceCandidate(
    IPPrefix(address, length), isDeprecated: words.contains("deprecated"), isTemporary: words.contains("temporary"),
    isSecondary: words.contains("secondary"), isOfNextHop: words.contains("next-hop"))
}

/// The source that is chosen for a destination.
private func choice(_ destination: String, _ candidates: [String]) -> String? {
  SourceCandidate.select(among: candidates.map(source), for: IPAddress(destination)!).map { candidates[$0] }
}

/// One PvD of a host with its sources, all pairs with the destinations, in the order in which they are tried.
private func order(_ destinations: [String], _ sources: [String]) -> [String] {
  let candidates = sources.map(source)
  var pairs = destinations.map { text in
    let destination = IPAddress(text)!
    let place = SourceCandidate.select(among: candidates, for: destination)
    return DestinationCandidate(destination, from: place.map { candidates[$0] }, pvd: 1)
  }
  DestinationCandidate.sort(&pairs)
  return pairs.map { pair in
    pair.source.map { "\(pair.destination.description) from \($0.address.description)" } ?? pair.destination.description
  }
}

struct SourceCase: CustomTestStringConvertible, Sendable {
  var testDescription: String
  var destination: String
  /// The one that is to be chosen first.
  var candidates: [String]

  init(_ name: String, _ destination: String, _ candidates: [String]) {
    testDescription = name
    self.destination = destination
    self.candidates = candidates
  }
}

struct OrderCase: CustomTestStringConvertible, Sendable {
  var testDescription: String
  var sources: [String]
  var ordered: [String]

  init(_ name: String, _ sources: [String], _ ordered: [String]) {
    testDescription = name
    self.sources = sources
    self.ordered = ordered
  }
}

@Suite struct AddressSelectionTests {
  /// RFC 6724 10.1; without the example of home addresses.
  static let examples = [
    SourceCase("rule 2: a global destination", "2001:db8:1::1", ["2001:db8:3::1", "fe80::1"]),
    SourceCase("rule 2: a site-local group", "ff05::1", ["2001:db8:3::1", "fe80::1"]),
    SourceCase("rule 1: itself, though deprecated", "2001:db8:1::1", ["2001:db8:1::1 deprecated", "2001:db8:2::1"]),
    SourceCase("rule 2: a link-local destination", "fe80::1", ["fe80::2 deprecated", "2001:db8:1::1"]),
    SourceCase("rule 8: the longest prefix", "2001:db8:1::1", ["2001:db8:1::2", "2001:db8:3::2"]),
    SourceCase(
      "rule 6: 6to4 to 6to4", "2002:c633:6401::1",
      ["2002:c633:6401::d5e3:7953:13eb:22e8 temporary", "2001:db8:1::2"]),
    SourceCase(
      "rule 7: the temporary one", "2001:db8:1::d5e3:0:0:1",
      ["2001:db8:1::d5e3:7953:13eb:22e8 temporary", "2001:db8:1::2"]),
  ]

  static let others = [
    SourceCase("rule 2: a link-local group", "ff02::1", ["fe80::2", "2001:db8:1::1"]),
    SourceCase("rule 2: the smallest that suffices", "fe80::9", ["fe80::2", "fec0::2", "2001:db8::2"]),
    SourceCase("rule 2: the largest of what does not suffice", "2001:db8::9", ["fec0::2", "fe80::2"]),
    SourceCase("rule 2 before 3", "2001:db8::9", ["2001:db8::2 deprecated", "fe80::2"]),
    SourceCase("rule 3", "2001:db8:1::9", ["2001:db8:2::2", "2001:db8:1::2 deprecated"]),
    SourceCase("rule 3 before 5.5", "2001:db8:1::9", ["2001:db8:2::2", "2001:db8:3::2 deprecated next-hop"]),
    SourceCase("rule 5.5 before 6", "2002::9", ["2001:db8:2::2 next-hop", "2002:1::2"]),
    SourceCase("rule 6: unique local to unique local", "fd00::9", ["fd00:1::2", "2001:db8::2"]),
    SourceCase("rule 6: global to global", "2600::9", ["2001:db8::2", "fd00:1::2"]),
    SourceCase("rule 6: Teredo is for Teredo", "2600::9", ["2a00::1", "2001::2"]),
    SourceCase("rule 6 before 7", "fd00::9", ["fd00::2", "2001:db8::2 temporary"]),
    SourceCase("rule 7 before 8", "2001:db8:1::9", ["2001:db8:2::2 temporary", "2001:db8:1::2"]),
    SourceCase("rule 8: not past the source's prefix", "2001:db8:1::9", ["2001:db8:1::7000:0:0:1", "2001:db8:1::8"]),
    SourceCase("rule 8: a longer prefix counts further", "2001:db8:1::9", ["2001:db8:1::8/128", "2001:db8:1::1"]),
    SourceCase("equals: the first", "2001:db8:9::9", ["2001:db8:1::2", "2001:db8:1::3"]),
    SourceCase("IPv4: the subnet", "10.1.2.3", ["10.1.2.9/24", "192.0.2.1/24", "10.1.3.9/24"]),
    SourceCase("IPv4: private addresses are as global as others", "198.51.100.1", ["192.168.1.10", "169.254.1.1/16"]),
    SourceCase("IPv4: link-local", "169.254.7.7", ["169.254.1.1/16", "192.168.1.10"]),
    SourceCase("IPv4: primary before secondary", "198.51.100.1", ["192.0.2.2", "192.0.2.1 secondary"]),
    SourceCase("IPv4: itself, though secondary", "192.0.2.1", ["192.0.2.1 secondary", "192.0.2.2"]),
    SourceCase("IPv4: not past the subnet", "192.0.2.130", ["192.0.2.1", "192.0.2.131"]),
    SourceCase("the other family never", "192.0.2.9", ["169.254.1.1/16", "2001:db8::1", "::ffff:192.0.2.9/128"]),
  ]

  @Test(arguments: examples + others) func source(_ example: SourceCase) {
    #expect(choice(example.destination, example.candidates) == example.candidates[0])
    // Whatever stands first. (Of equals the first one, so that it stays where it is.)
    if !example.testDescription.hasPrefix("equals"), !example.testDescription.contains("not past") {
      #expect(choice(example.destination, example.candidates.reversed()) == example.candidates[0])
    }
  }

  @Test func noSourceOfTheFamily() {
    #expect(choice("192.0.2.1", ["2001:db8::1", "fe80::1"]) == nil)
    #expect(choice("2001:db8::1", ["192.0.2.1"]) == nil)
    #expect(choice("2001:db8::1", []) == nil)
  }

  /// RFC 6724 10.2; without the example of home addresses.
  static let orders = [
    OrderCase(
      "matching scope", ["2001:db8:1::2", "fe80::1", "169.254.13.78/16"],
      ["2001:db8:1::1 from 2001:db8:1::2", "198.51.100.121 from 169.254.13.78"]),
    OrderCase(
      "matching scope: IPv4", ["fe80::1", "198.51.100.117"],
      ["198.51.100.121 from 198.51.100.117", "2001:db8:1::1 from fe80::1"]),
    OrderCase(
      "higher precedence: IPv6", ["2001:db8:1::2", "fe80::1", "10.1.2.4"],
      ["2001:db8:1::1 from 2001:db8:1::2", "10.1.2.3 from 10.1.2.4"]),
    OrderCase(
      "smaller scope", ["2001:db8:1::2", "fe80::2"], ["fe80::1 from fe80::2", "2001:db8:1::1 from 2001:db8:1::2"]),
    OrderCase(
      "avoid deprecated", ["2001:db8:1::2", "fe80::2 deprecated"],
      ["2001:db8:1::1 from 2001:db8:1::2", "fe80::1 from fe80::2"]),
    OrderCase(
      "longest prefix", ["2001:db8:1::2", "2001:db8:3f44::2", "fe80::2"],
      ["2001:db8:1::1 from 2001:db8:1::2", "2001:db8:3ffe::1 from 2001:db8:3f44::2"]),
    OrderCase(
      "matching label", ["2002:c633:6401::2", "fe80::2"],
      ["2002:c633:6401::1 from 2002:c633:6401::2", "2001:db8:1::1 from 2002:c633:6401::2"]),
    OrderCase(
      "higher precedence: native", ["2002:c633:6401::2", "2001:db8:1::2", "fe80::2"],
      ["2001:db8:1::1 from 2001:db8:1::2", "2002:c633:6401::1 from 2002:c633:6401::2"]),
    // Our own.
    OrderCase("rule 1: what has a source", ["192.0.2.1"], ["198.51.100.1 from 192.0.2.1", "2600::1"]),
    OrderCase(
      "unique local is for unique local", ["2001:db8::2", "192.168.1.2"],
      ["2600::1 from 2001:db8::2", "198.51.100.1 from 192.168.1.2", "fd00::1 from 2001:db8::2"]),
    OrderCase(
      "unique local source, global destinations: IPv4", ["fd00::2", "192.168.1.2"],
      ["198.51.100.1 from 192.168.1.2", "2600::1 from fd00::2"]),
    OrderCase("IPv4: the own subnet", ["10.1.2.4"], ["10.1.2.200 from 10.1.2.4", "10.200.0.1 from 10.1.2.4"]),
  ]

  @Test(arguments: orders) func order(_ example: OrderCase) {
    let destinations = example.ordered.map { String($0.split(separator: " ")[0]) }
    #expect(WireTests.order(destinations, example.sources) == example.ordered)
    #expect(WireTests.order(destinations.reversed(), example.sources) == example.ordered)
  }

  @Test func equalsStayAsTheyWere() {
    let destinations = (1...40).map { "198.51.100.\($0)" }
    #expect(WireTests.order(destinations, ["192.0.2.1"]) == destinations.map { "\($0) from 192.0.2.1" })
  }

  /// Two uplinks: what probably works, then what is wanted, then taste.
  @Test func preferenceOfProvisioningDomains() {
    func pair(_ destination: String, _ from: String?, _ pvd: UInt32, _ preference: Int16, broken: Bool = false)
      -> DestinationCandidate
    {
      DestinationCandidate(
        IPAddress(destination)!, from: from.map(WireTests.source), pvd: pvd, preference: preference,
        isReachable: !broken)
    }
    let wanted = [
      pair("2600::1", "2001:db8:2::2", 2, 1),
      pair("198.51.100.1", "192.168.1.2", 2, 1),
      // Less wanted, though its prefix is longer and it stands before what is unwanted.
      pair("2600::1", "2600::2", 1, 0),
      pair("198.51.100.1", "198.51.100.2", 1, 0),
      pair("2600::1", "2600:0:0:3::2", 3, -1),
      // Label, deprecated, scope, then what is broken or has no source.
      pair("2600::1", "fd00::2", 2, 1),
      pair("198.51.100.1", "192.168.1.2 deprecated", 2, 1),
      pair("198.51.100.1", "169.254.1.2/16", 2, 1),
      pair("198.51.100.1", "192.168.1.2", 2, .max, broken: true),
    ]
    for _ in 0..<20 {
      var shuffled = wanted.shuffled()
      DestinationCandidate.sort(&shuffled)
      #expect(shuffled == wanted)
    }
    var withNone = [pair("2600::1", nil, 1, .max), pair("2600::1", "fe80::1", 1, .min)]
    DestinationCandidate.sort(&withNone)
    #expect(withNone.map(\.preference) == [.min, .max])
  }

  /// RFC 6724 2.1.
  static let policies: [(String, UInt8, UInt8)] = [
    ("::1", 50, 0), ("2600::1", 40, 1), ("::ffff:192.0.2.1", 35, 4), ("192.0.2.1", 35, 4), ("127.0.0.1", 35, 4),
    ("2002:c633:6401::1", 30, 2), ("2001::1", 5, 5), ("2001:db8::1", 40, 1), ("fc00::1", 3, 13), ("fdff::1", 3, 13),
    ("::192.0.2.1", 1, 3), ("fec0::1", 1, 11), ("feff::1", 1, 11), ("3ffe::1", 1, 12), ("fe80::1", 40, 1),
  ]

  @Test(arguments: policies) func policy(text: String, precedence: UInt8, label: UInt8) {
    let policy = AddressPolicy(of: IPAddress(text)!)
    #expect(policy.precedence == precedence)
    #expect(policy.label == label)
  }

  static let scopes: [(String, AddressScope)] = [
    ("::1", .linkLocal), ("fe80::1", .linkLocal), ("febf::1", .linkLocal), ("fec0::1", .siteLocal),
    ("fd00::1", .global), ("2600::1", .global), ("ff01::1", .interfaceLocal), ("ff02::1", .linkLocal),
    ("ff05::1", .siteLocal), ("ff08::1", .organizationLocal), ("ff3e::1", .global), ("127.0.0.1", .linkLocal),
    ("169.254.0.1", .linkLocal), ("10.0.0.1", .global), ("192.0.2.1", .global), ("224.0.0.251", .linkLocal),
    ("239.255.0.1", .realmLocal), ("239.195.0.1", .organizationLocal), ("239.196.0.1", .global),
    ("232.1.1.1", .global), ("::ffff:169.254.0.1", .linkLocal), ("::ffff:192.0.2.1", .global),
  ]

  @Test(arguments: scopes) func scope(text: String, scope: AddressScope) {
    #expect(IPAddress(text)!.scope == scope)
  }

  @Test func commonPrefixes() {
    func common(_ a: String, _ b: String) -> UInt8 { IPAddress(a)!.commonPrefixLength(IPAddress(b)!) }
    #expect(common("2001:db8::1", "2001:db8::1") == 128)
    #expect(common("2001:db8::1", "2001:db8::") == 127)
    #expect(common("2001:db8::1", "2001:db8:0:1::1") == 63)
    #expect(common("2001:db8:0:0:8000::", "2001:db8::") == 64)
    #expect(common("8000::", "::") == 0)
    #expect(common("192.0.2.1", "192.0.2.1") == 32)
    #expect(common("192.0.2.1", "192.0.3.1") == 23)
    #expect(common("192.0.2.1", "::ffff:192.0.2.1") == 0)
  }
}
