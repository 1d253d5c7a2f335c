/// The chains of a hash table, by what begins them, -1 for none. There may be any number: while it is no power of two, the
/// first ones have been split already, and what would be in one that does not exist yet is where it will be split off.
struct GrowingBuckets: Sendable {
  private var first = [Int32](repeating: -1, count: 16)
  /// The least 2^n - 1 that is no less than the last bucket's number.
  private var mask = 15

  var count: Int { first.count }

  mutating func reserve(_ count: Int) { first.reserveCapacity(count) }

  subscript(hash: UInt32) -> Int32 {
    get { first[number(hash)] }
    set { first[number(hash)] = newValue }
  }

  private func number(_ hash: UInt32) -> Int {
    let number = Int(truncatingIfNeeded: hash) & mask
    return number < first.count ? number : number & mask >> 1
  }

  /// One bucket more, which shares with an older one what this one had: that begins the chain which is returned, and both
  /// are empty.
  mutating func split() -> Int32 {
    let new = first.count
    if new > mask { mask = 2 * mask + 1 }
    let old = new & mask >> 1
    let chain = first[old]
    first[old] = -1
    first.append(-1)
    return chain
  }
}
