import Wire

/// Addresses that servers gave, for as long as their TTL says (RFC 1035, 3.2.1): what one domain's servers said is
/// never told in another, since a server is known by its interface and source too.
///
/// Bounded by `limit`: when it is full, the oldest entry makes room.
struct AnswerCache {
  struct Key: Hashable {
    var servers: [Endpoint]
    var labels: [UInt8]
    var family: Family
  }

  private struct Entry {
    var addresses: [(IPAddress, ttl: UInt32)]
    var stored: UInt64
    /// Of all addresses the shortest (RFC 2181, 5.2).
    var ttl: UInt32
  }

  /// A day: no address is believed for longer.
  private static let longest: UInt32 = 86_400

  private let limit: Int
  private var entries: [Key: Entry] = [:]
  /// All keys; when there are `limit` of them, the oldest one is at `oldest`.
  private var keys: [Key] = []
  private var oldest = 0

  init(limit: Int) { self.limit = limit }

  var count: Int { entries.count }

  /// The addresses with the seconds that are left of them; nil if there are none. `now` in nanoseconds.
  func addresses(_ key: Key, at now: UInt64) -> [(IPAddress, ttl: UInt32)]? {
    guard limit > 0, let entry = entries[key] else { return nil }
    let age = UInt32(clamping: (now - entry.stored) / 1_000_000_000)
    return age < entry.ttl ? entry.addresses.map { ($0.0, min($0.ttl, AnswerCache.longest) - age) } : nil
  }

  mutating func store(_ addresses: [(IPAddress, ttl: UInt32)], _ key: Key, at now: UInt64) {
    guard limit > 0, let shortest = addresses.map({ $0.ttl }).min(), shortest > 0 else { return }
    if entries[key] == nil {
      if keys.count < limit {
        keys.append(key)
      } else {
        entries[keys[oldest]] = nil
        keys[oldest] = key
        oldest = (oldest + 1) % limit
      }
    }
    entries[key] = Entry(addresses: addresses, stored: now, ttl: min(shortest, AnswerCache.longest))
  }
}
