import Wire

/// Tells one thing from another by a number. Of two that differ in their last word alone the numbers always differ, others
/// are equal as rarely as by chance. Those of several may be added up, whatever their order: that several of them count one
/// further at once does not cancel out, because each bit of a word changes half of the number.
struct Fingerprint {
  /// FNV-1a, over words.
  private var state: UInt64 = 0xCBF2_9CE4_8422_2325

  init(_ first: UInt64, _ second: UInt64) {
    add(first)
    add(second)
  }

  init(_ prefix: IPPrefix) {
    add(prefix.address)
    add(UInt64(prefix.length))
  }

  /// The state through MurmurHash3's last step, which has an inverse.
  var value: UInt64 {
    var value = state
    value = (value ^ value >> 33) &* 0xFF51_AFD7_ED55_8CCD
    value = (value ^ value >> 33) &* 0xC4CE_B9FE_1A85_EC53
    return value ^ value >> 33
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
    state = (state ^ word) &* 0x0000_0100_0000_01B3
    state ^= state >> 32
  }
}
