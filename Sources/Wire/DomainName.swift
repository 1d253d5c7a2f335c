/// A domain name as uncompressed labels up to and with the root's zero (RFC 1035, 3.1), checked: labels of at most
/// 63 bytes, 255 in all, no compression pointer, ended within its bytes.
package struct DomainName: ~Escapable {
  /// The wire form, the final zero included.
  package let bytes: RawSpan

  static let longest = 255
  static let longestLabel = 63

  /// Takes the name at `offset`; nil if there is none.
  @_lifetime(copy span)
  package init?(_ span: RawSpan, at offset: Int = 0) {
    guard offset >= 0, let end = DomainName.end(span, from: offset) else { return nil }
    bytes = span.slice(offset, end &- offset)
  }

  /// Where the name ends that is at `offset`, 0 or more; nil if there is none.
  fileprivate static func end(_ span: RawSpan, from offset: Int) -> Int? {
    var end = offset
    while end < span.byteCount {
      let length = Int(span.u8(end))
      guard length <= longestLabel else { return nil }
      end &+= 1 &+ length
      if length == 0 { return end &- offset <= longest ? end : nil }
    }
    return nil
  }

  /// `bytes` must have been found to be a name.
  @_lifetime(copy bytes)
  @inline(__always)
  init(checked bytes: RawSpan) { self.bytes = bytes }

  package var isRoot: Bool { bytes.byteCount == 1 }

  /// Presentation form without the final dot, the root as ".": a dot or backslash within a label is preceded by a
  /// backslash, what is not visible ASCII becomes \DDD (RFC 4343, 2.1).
  package func appendText(to text: inout [UInt8]) {
    if isRoot { text.append(UInt8(ascii: ".")) }
    var offset = 0
    while bytes.u8(offset) != 0 {
      if offset > 0 { text.append(UInt8(ascii: ".")) }
      let end = offset + 1 + Int(bytes.u8(offset))
      offset += 1
      while offset < end {
        DomainName.appendEscaped(bytes.u8(offset), to: &text)
        offset += 1
      }
    }
  }

  static func appendEscaped(_ byte: UInt8, to text: inout [UInt8]) {
    switch byte {
    case UInt8(ascii: "."), UInt8(ascii: "\\"):
      text.append(UInt8(ascii: "\\"))
      text.append(byte)
    case 0x21...0x7E:
      text.append(byte)
    default:
      text.append(UInt8(ascii: "\\"))
      text.append(UInt8(ascii: "0") + byte / 100)
      text.append(UInt8(ascii: "0") + byte / 10 % 10)
      text.append(UInt8(ascii: "0") + byte % 10)
    }
  }

  /// Equality as DNS has it: ASCII letters in either case are the same (RFC 4343, 3).
  package func isEqual(to other: borrowing DomainName) -> Bool {
    guard bytes.byteCount == other.bytes.byteCount else { return false }
    for index in 0..<bytes.byteCount
    where DomainName.folded(bytes.u8(index)) != DomainName.folded(other.bytes.u8(index)) {
      return false
    }
    return true
  }

  /// Length bytes are below 64 and no letters, so labels and lengths fold alike.
  private static func folded(_ byte: UInt8) -> UInt8 {
    byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
  }
}

/// Names one after the other, each uncompressed: the search lists of RFC 8106 (5.2) and RFC 3646 (4).
package struct DomainNameList: ~Escapable {
  private let bytes: RawSpan
  private var offset = 0

  /// nil unless `bytes` hold at least one name and names only, apart from zeros behind them where `isPadded`.
  @_lifetime(copy bytes)
  init?(_ bytes: RawSpan, isPadded: Bool) {
    var end = 0
    while end < bytes.byteCount, bytes.u8(end) != 0 {
      guard let next = DomainName.end(bytes, from: end) else { return nil }
      end = next
    }
    guard end > 0, end == bytes.byteCount || isPadded && bytes.isZero(from: end) else { return nil }
    self.bytes = bytes
  }

  /// `bytes` must have been found to be a list.
  @_lifetime(copy bytes)
  @inline(__always)
  init(checked bytes: RawSpan) { self.bytes = bytes }

  /// The next name, nil after the last.
  @_lifetime(copy self)
  package mutating func next() -> DomainName? {
    guard offset < bytes.byteCount, bytes.u8(offset) != 0 else { return nil }
    // The list was found to be one, so that labels are only stepped over.
    var end = offset
    while case let length = Int(bytes.u8(end)), length > 0 { end &+= 1 &+ length }
    let name = DomainName(checked: bytes.slice(offset, end &+ 1 &- offset))
    offset = end &+ 1
    return name
  }
}
