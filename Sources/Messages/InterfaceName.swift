/// An interface's name as the kernel keeps it: up to 15 bytes and zeros up to 16 (IFNAMSIZ), no encoding implied.
package struct InterfaceName: Hashable, Sendable {
  /// Bytes 0 to 7 and 8 to 15, the first byte lowest.
  package var words: (UInt64, UInt64)

  package static let empty = InterfaceName()
  package init() { words = (0, 0) }

  /// Takes the bytes up to the first zero, at most 15.
  package init(_ bytes: some Sequence<UInt8>) {
    var low: UInt64 = 0
    var high: UInt64 = 0
    var index: UInt64 = 0
    for byte in bytes {
      if byte == 0 || index == 15 { break }
      if index < 8 { low |= UInt64(byte) << (8 * index) } else { high |= UInt64(byte) << (8 * (index - 8)) }
      index += 1
    }
    words = (low, high)
  }

  /// Byte `index`, 0 to 15; zero past the name's end.
  package subscript(index: Int) -> UInt8 {
    UInt8(truncatingIfNeeded: (index < 8 ? words.0 : words.1) >> (8 * UInt64(index & 7)))
  }

  /// The name's bytes without the zeros.
  package var bytes: [UInt8] {
    var result: [UInt8] = []
    for index in 0..<15 where self[index] != 0 { result.append(self[index]) }
    return result
  }

  package static func == (a: InterfaceName, b: InterfaceName) -> Bool { a.words == b.words }
  package func hash(into hasher: inout Hasher) {
    hasher.combine(words.0)
    hasher.combine(words.1)
  }
}
