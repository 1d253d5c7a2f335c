import Wire

/// Tells one thing from another by a number (FNV-1a over words). Of two that differ in their last word alone the numbers
/// always differ. Those of several may be added up, whatever their order.
struct Fingerprint {
  private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

  init(_ first: UInt64, _ second: UInt64) {
    add(first)
    add(second)
  }

  init(_ prefix: IPPrefix) {
    add(prefix.address)
    add(UInt64(prefix.length))
  }

  mutating func add(_ address: IPAddress) {
    switch address {
    case .v4(let v4): add(UInt64(v4.value))
    case .v6(let v6):
      add(v6.high)
      add(v6.low)
    }
  }

  mutating func add(_ word: UInt64) {
    value = (value ^ word) &* 0x0000_0100_0000_01B3
    value ^= value >> 32
  }
}
