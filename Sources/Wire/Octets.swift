/// Eight bytes of text, looked at together.
struct Octets {
  /// The first byte lowest.
  private let word: UInt64

  init(_ word: UInt64) { self.word = word }

  private static let lowest: UInt64 = 0x0101_0101_0101_0101
  private static let highest: UInt64 = 0x8080_8080_8080_8080

  /// Whether all are letters, digits, hyphens, underscores or dots.
  var areOfNames: Bool {
    guard word & Octets.highest == 0 else { return false }
    let letters = Octets(word | 0x20 &* Octets.lowest).within(UInt8(ascii: "a"), UInt8(ascii: "z"))
    let others =
      within(UInt8(ascii: "0"), UInt8(ascii: "9")) | within(UInt8(ascii: "-"), UInt8(ascii: "."))
      | within(UInt8(ascii: "_"), UInt8(ascii: "_"))
    return letters | others == Octets.highest
  }

  /// Whether `byte` is there twice, side by side; all bytes are ASCII.
  func haveTwoTogether(of byte: UInt8) -> Bool {
    let marks = within(byte, byte)
    return marks & marks &<< 8 != 0
  }

  /// The highest bit of each byte from `first` to `last`; all bytes are ASCII, so that no sum reaches its neighbour.
  @inline(__always)
  private func within(_ first: UInt8, _ last: UInt8) -> UInt64 {
    let reached = word &+ UInt64(0x80 &- first) &* Octets.lowest
    let passed = word &+ UInt64(0x7F &- last) &* Octets.lowest
    return reached & ~passed & Octets.highest
  }
}
