/// The Internet checksum (RFC 1071), over bytes in any number of pieces; only the last piece may be odd.
package struct Checksum {
  /// One's complement sum of words in network order, carries not folded yet: each addition has at most 33 bits.
  private var sum: UInt64 = 0

  package init() {}

  /// The pseudo header of RFC 768 (UDP over IPv4). `length` is that of the transport header and its data.
  package init(source: IPv4Address, destination: IPv4Address, protocol number: IPProtocol, length: Int) {
    add(source.value)
    add(destination.value)
    sum &+= UInt64(number.rawValue) &+ UInt64(UInt32(truncatingIfNeeded: length))
  }

  /// The pseudo header of RFC 8200, 8.1.
  package init(source: IPv6Address, destination: IPv6Address, protocol number: IPProtocol, length: Int) {
    add(source)
    add(destination)
    sum &+= UInt64(number.rawValue) &+ UInt64(UInt32(truncatingIfNeeded: length))
  }

  /// A 32-bit word, such as an address or a length.
  mutating func add(_ word: UInt32) { sum &+= UInt64(word) }

  private mutating func add(_ address: IPv6Address) {
    add(address.high)
    add(address.low)
  }

  /// Four words of 16 bits.
  @inline(__always)
  mutating func add(_ words: UInt64) { sum &+= words >> 32 &+ words & 0xFFFF_FFFF }

  package mutating func add(_ bytes: RawSpan) { add(bytes.sumOfWords()) }

  private static func fold(_ sum: UInt64) -> UInt16 {
    var folded = sum
    while folded > 0xFFFF { folded = folded >> 16 + folded & 0xFFFF }
    return UInt16(truncatingIfNeeded: folded)
  }

  /// What a sender writes into the checksum field, computed with zero there.
  package var value: UInt16 { ~Checksum.fold(sum) }

  /// Whether a packet that was summed with its checksum field is undamaged.
  package var isRight: Bool {
    // Folding keeps the remainder by 0xFFFF, and makes 0 of nothing but 0.
    sum > 0 && sum.isMultiple(of: 0xFFFF)
  }
}
