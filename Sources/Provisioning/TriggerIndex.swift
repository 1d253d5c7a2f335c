import Messages
import Wire

/// Where triggers of a type with an address are: a hash table whose chains lie in one array, 8 bytes for each node that
/// the table has numbered and 1 or 2 for its share of a bucket. A chain is in the order of the triggers' serials, so that
/// a replay can walk it like the table.
struct TriggerIndex: Sendable {
  struct Key {
    var type: TriggerType
    var address: IPAddress
  }

  private struct Links {
    /// Of the first node the last one; `absent` where the node is in no chain.
    var previous: Int32 = TriggerIndex.absent
    /// -1 behind the last one.
    var next: Int32 = -1
  }
  private static let absent: Int32 = -2

  /// By node.
  private var links: [Links] = []
  /// The first node of each chain, -1 for none.
  private var buckets = [Int32](repeating: -1, count: 16)
  private var count = 0
  private let hash = KeyHash()

  /// Whether there are four nodes to a bucket: time to double these.
  var isFull: Bool { count >= 4 * buckets.count }

  /// Nodes below `count` may be entered from now on.
  mutating func makeRoom(for count: Int) {
    while links.count < count { links.append(Links()) }
  }

  /// Empties the chains. Whoever was in them has to be entered again, in the order of the serials; until then
  /// `contains` says who was.
  mutating func doubleBuckets() {
    buckets = [Int32](repeating: -1, count: 2 * buckets.count)
    count = 0
  }

  private func bucket(of key: Key) -> Int {
    Int(truncatingIfNeeded: hash(UInt32(key.type.rawValue), key.address)) & (buckets.count - 1)
  }

  func contains(_ node: Int32) -> Bool { links[Int(node)].previous != TriggerIndex.absent }

  /// Enters a node under a key, behind those of triggers with a smaller serial. `isBefore`: the new one comes before that
  /// node.
  mutating func insert(_ node: Int32, _ key: Key, isBefore: (Int32) -> Bool) {
    let bucket = bucket(of: key)
    let first = buckets[bucket]
    count += 1
    guard first >= 0 else {
      links[Int(node)] = Links(previous: node, next: -1)
      buckets[bucket] = node
      return
    }
    // New triggers have the largest serial: they go to the end at once.
    var previous = links[Int(first)].previous
    while isBefore(previous) {
      if previous == first {
        links[Int(node)] = Links(previous: links[Int(first)].previous, next: first)
        links[Int(first)].previous = node
        buckets[bucket] = node
        return
      }
      previous = links[Int(previous)].previous
    }
    let next = links[Int(previous)].next
    links[Int(node)] = Links(previous: previous, next: next)
    links[Int(previous)].next = node
    links[Int(next >= 0 ? next : first)].previous = node
  }

  /// Takes a node out of the chain that it was entered under this key into.
  mutating func remove(_ node: Int32, _ key: Key) {
    let bucket = bucket(of: key)
    let (previous, next) = (links[Int(node)].previous, links[Int(node)].next)
    if buckets[bucket] == node { buckets[bucket] = next } else { links[Int(previous)].next = next }
    let first = buckets[bucket]
    if first >= 0 { links[Int(next >= 0 ? next : first)].previous = previous }
    links[Int(node)] = Links()
    count -= 1
  }

  /// The first node of a key's chain, -1 for none. Others may share the chain: whoever walks it looks at each.
  func first(_ key: Key) -> Int32 { buckets[bucket(of: key)] }

  func next(_ node: Int32) -> Int32 { links[Int(node)].next }
}
