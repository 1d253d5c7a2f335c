import Messages
import Wire

/// Where triggers of a type with an address are: a hash table whose chains lie in one array, 20 bytes for each address
/// and 8 for a bucket. A chain is in the order of the triggers' serials, so that a replay can walk it like the table.
struct TriggerIndex: Sendable {
  struct Key: Hashable {
    var type: TriggerType
    var address: IPAddress
  }

  private struct Node {
    /// The trigger's place in the table.
    var place: Int32
    var bucket: Int32
    var previous: Int32 = -1
    /// In the chain; of a free node the next free one.
    var next: Int32 = -1
    /// The next node of the same trigger, which has one for each address.
    var sibling: Int32 = -1
  }

  private struct Bucket {
    var first: Int32 = -1
    var last: Int32 = -1
  }

  private var nodes: [Node] = []
  private var free: Int32 = -1
  private var buckets = [Bucket](repeating: Bucket(), count: 16)
  private(set) var count = 0

  /// Whether there are more nodes than buckets: time to build it anew with twice as many.
  var isFull: Bool { count >= buckets.count }

  /// An empty index with room for what this one holds, twice.
  var emptied: TriggerIndex {
    var index = TriggerIndex()
    index.buckets = [Bucket](repeating: Bucket(), count: 2 * buckets.count)
    index.nodes.reserveCapacity(buckets.count)
    return index
  }

  private func bucket(of key: Key) -> Int {
    var hasher = Hasher()
    key.hash(into: &hasher)
    return hasher.finalize() & (buckets.count - 1)
  }

  /// Enters a trigger under a key, behind those with a smaller serial. `sibling` is its node under another key, -1 if
  /// there is none yet. Gives the new node.
  mutating func insert(_ key: Key, place: Int32, sibling: Int32, isBefore: (Int32) -> Bool) -> Int32 {
    let bucket = bucket(of: key)
    // New triggers have the largest serial: they go to the end at once.
    var previous = buckets[bucket].last
    while previous >= 0, isBefore(nodes[Int(previous)].place) { previous = nodes[Int(previous)].previous }
    let next = previous >= 0 ? nodes[Int(previous)].next : buckets[bucket].first
    let node = take(
      Node(place: place, bucket: Int32(bucket), previous: previous, next: next, sibling: sibling))
    if previous >= 0 { nodes[Int(previous)].next = node } else { buckets[bucket].first = node }
    if next >= 0 { nodes[Int(next)].previous = node } else { buckets[bucket].last = node }
    count += 1
    return node
  }

  private mutating func take(_ node: Node) -> Int32 {
    guard free >= 0 else {
      nodes.append(node)
      return Int32(nodes.count - 1)
    }
    let place = free
    free = nodes[Int(place)].next
    nodes[Int(place)] = node
    return place
  }

  /// Takes a trigger out: its first node, and through it all others.
  mutating func remove(from first: Int32) {
    var place = first
    while place >= 0 {
      let node = nodes[Int(place)]
      if node.previous >= 0 {
        nodes[Int(node.previous)].next = node.next
      } else {
        buckets[Int(node.bucket)].first = node.next
      }
      if node.next >= 0 {
        nodes[Int(node.next)].previous = node.previous
      } else {
        buckets[Int(node.bucket)].last = node.previous
      }
      nodes[Int(place)].next = free
      free = place
      count -= 1
      place = node.sibling
    }
  }

  /// The nodes of a key's chain, from its first one or behind the one that `first` (a trigger's first node) has in it.
  /// Others may share the chain: whoever walks it looks at each.
  func start(_ key: Key, behind first: Int32? = nil) -> Int32 {
    let bucket = bucket(of: key)
    var node = first ?? -1
    while node >= 0, nodes[Int(node)].bucket != Int32(bucket) { node = nodes[Int(node)].sibling }
    return node >= 0 ? nodes[Int(node)].next : buckets[bucket].first
  }

  func next(_ node: Int32) -> Int32 { nodes[Int(node)].next }
  func place(_ node: Int32) -> Int32 { nodes[Int(node)].place }
}
