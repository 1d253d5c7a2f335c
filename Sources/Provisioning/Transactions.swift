import Wire

/// The last requests of this host's DHCP clients on one interface, seen going out: what ties a reply to this host.
///
/// Holds the eight latest for five minutes each; an older one falls out (a client that retransmits keeps its
/// transaction id, so eight are several clients' worth).
struct Transactions<Request: Sendable>: Sendable {
  private static var limit: Int { 8 }
  private static var lifetime: UInt64 { 300_000_000_000 }

  private var entries: [(request: Request, seen: Instant)] = []

  mutating func note(_ request: Request, at now: Instant, replacing isSame: (Request) -> Bool) {
    entries.removeAll { isSame($0.request) || $0.seen.adding(nanoseconds: Self.lifetime) <= now }
    if entries.count == Self.limit { entries.removeFirst() }
    entries.append((request, now))
  }

  func first(at now: Instant, where matches: (Request) -> Bool) -> Request? {
    for entry in entries.reversed()
    where entry.seen.adding(nanoseconds: Self.lifetime) > now && matches(entry.request) { return entry.request }
    return nil
  }
}

/// What a DHCPv4 client here asked (RFC 2131 2).
struct DHCPv4Request: Equatable, Sendable {
  var transaction: UInt32
  var messageType: DHCPv4Message.Kind
  /// chaddr, `hlen` bytes of it.
  var client: [UInt8]
  /// Whether the client can live without IPv4: its parameter request list has option 108 (RFC 8925 3.2).
  var livesWithoutIPv4 = false
}

/// What a DHCPv6 client here asked (RFC 8415 8).
struct DHCPv6Request: Equatable, Sendable {
  var transaction: UInt32
  var messageType: DHCPv6Message.Kind
  /// The client identifier option's DUID; empty where an information request carries none.
  var client: [UInt8]
}
