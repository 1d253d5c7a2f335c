import Messages
import Wire

/// Where triggers of a type with an address are: a hash table whose chains lie in one array, 8 bytes for each node that
/// the table has numbered and 1 for its share of a bucket. A chain is in the order of the triggers' serials, so that
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
  /// The first node of each chain.
  private var buckets = GrowingBuckets()
  private var count = 0
  private let hash = KeyHash()

  /// Whether there would be four nodes to a bucket with so many more: time for another one.
  func isFull(with more: Int) -> Bool { count + more >= 4 * buckets.count }

  /// Lets it grow to so many nodes without being copied.
  mutating func reserve(_ count: Int) {
    links.reserveCapacity(count)
    buckets.reserve(count / 4)
  }

  /// Nodes below `count` may be entered from now on.
  mutating func makeRoom(for count: Int) {
    while links.count < count { links.append(Links()) }
  }

  /// One bucket more, with its share of another one's chain, in the order that it had. `key` says what a node was entered
  /// under.
  mutating func addBucket(_ key: (Int32) -> Key) {
    var node = buckets.split()
    while node >= 0 {
      let next = links[Int(node)].next
      append(node, hash(key(node)))
      node = next
    }
  }

  private func hash(_ key: Key) -> UInt32 { hash(UInt32(key.type.rawValue), key.address) }

  /// Enters a node behind all others of its chain.
  private mutating func append(_ node: Int32, _ hash: UInt32) {
    let first = buckets[hash]
    if first < 0 {
      links[Int(node)] = Links(previous: node, next: -1)
      buckets[hash] = node
    } else {
      let last = links[Int(first)].previous
      links[Int(node)] = Links(previous: last, next: -1)
      links[Int(last)].next = node
      links[Int(first)].previous = node
    }
  }

  func contains(_ node: Int32) -> Bool { links[Int(node)].previous != TriggerIndex.absent }

  /// Enters a node under a key, behind those of triggers with a smaller serial. `isBefore`: the new one comes before that
  /// node.
  mutating func insert(_ node: Int32, _ key: Key, isBefore: (Int32) -> Bool) {
    let hash = hash(key)
    let first = buckets[hash]
    count += 1
    // New triggers have the largest serial: they go to the end at once.
    if first < 0 || !isBefore(links[Int(first)].previous) { return append(node, hash) }
    var previous = links[Int(first)].previous
    while isBefore(previous) {
      if previous == first {
        links[Int(node)] = Links(previous: links[Int(first)].previous, next: first)
        links[Int(first)].previous = node
        buckets[hash] = node
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
    let hash = hash(key)
    let (previous, next) = (links[Int(node)].previous, links[Int(node)].next)
    if buckets[hash] == node { buckets[hash] = next } else { links[Int(previous)].next = next }
    let first = buckets[hash]
    if first >= 0 { links[Int(next >= 0 ? next : first)].previous = previous }
    links[Int(node)] = Links()
    count -= 1
  }

  /// The first node of a key's chain, -1 for none. Others may share the chain: whoever walks it looks at each.
  func first(_ key: Key) -> Int32 { buckets[hash(key)] }

  func next(_ node: Int32) -> Int32 { links[Int(node)].next }
}
