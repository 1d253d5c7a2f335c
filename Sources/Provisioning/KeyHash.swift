import Wire

/// Spreads addresses over the buckets of a table. Whoever sends a packet chooses the addresses in it, so where they go
/// depends on numbers that are this process's own secret, as `Hasher`'s seeds are: the hash is strongly universal (Lemire,
/// Kaser: "Strongly universal string hashing is fast"), so of any keys chosen without knowing these two share a bucket as
/// rarely as by chance. It takes a tenth of the time of `Hasher`.
struct KeyHash: Sendable {
  /// One to begin with, and one for each 32 bits of a key.
  private var multipliers = InlineArray<10, UInt64>(repeating: 0)

  init() {
    for index in multipliers.indices {
      // Hasher's seeds are random, and it is as wide as the processor's words.
      multipliers[index] = UInt64(KeyHash.random(2 * index)) << 32 | UInt64(KeyHash.random(2 * index + 1))
    }
  }

  private static func random(_ number: Int) -> UInt32 {
    var hasher = Hasher()
    hasher.combine(number)
    return UInt32(truncatingIfNeeded: hasher.finalize())
  }

  /// `tag` is what else is in the key.
  @inline(__always)
  func callAsFunction(_ tag: UInt32, _ address: IPAddress) -> UInt32 {
    UInt32(truncatingIfNeeded: (sum(tag, address) &+ multipliers[0]) >> 32)
  }

  @inline(__always)
  func callAsFunction(_ tag: UInt32, _ first: IPAddress, _ second: IPAddress) -> UInt32 {
    UInt32(truncatingIfNeeded: (sum(tag, first) &+ words(of: second, from: 6) &+ multipliers[0]) >> 32)
  }

  @inline(__always)
  private func sum(_ tag: UInt32, _ address: IPAddress) -> UInt64 {
    multipliers[1] &* UInt64(tag) &+ words(of: address, from: 2)
  }

  /// An IPv4 address is an IPv6 address with zeros before it: the families are told apart by comparing.
  @inline(__always)
  private func words(of address: IPAddress, from index: Int) -> UInt64 {
    switch address {
    case .v4(let v4): multipliers[index + 3] &* UInt64(v4.value)
    case .v6(let v6):
      multipliers[index] &* (v6.high >> 32) &+ multipliers[index + 1] &* (v6.high & 0xFFFF_FFFF)
        &+ multipliers[index + 2] &* (v6.low >> 32) &+ multipliers[index + 3] &* (v6.low & 0xFFFF_FFFF)
    }
  }
}
