/// Addresses and prefixes from text, all of it, without surrounding space. Each is nil where the text is anything else.

extension IPv4Address {
  /// Four decimal numbers without leading zeros, which some read as octal (RFC 6943, 3.1.1).
  package init?(parsing text: RawSpan) {
    var value: UInt32 = 0
    var offset = 0
    for part in 0..<4 {
      if part > 0 {
        guard offset < text.byteCount, text.u8(offset) == UInt8(ascii: ".") else { return nil }
        offset += 1
      }
      guard let number = parseDecimal(text, &offset, most: 255) else { return nil }
      value = value << 8 | number
    }
    guard offset == text.byteCount else { return nil }
    self.init(value)
  }
}

extension IPv6Address {
  /// Any form of RFC 4291, 2.2, without a zone.
  package init?(parsing text: RawSpan) {
    var groups = InlineArray<8, UInt16>(repeating: 0)
    var count = 0
    // How many groups stand before "::".
    var gap: Int?
    var offset = 0
    let colon = UInt8(ascii: ":")
    if text.byteCount >= 2, text.u8(0) == colon, text.u8(1) == colon {
      gap = 0
      offset = 2
    }
    while offset < text.byteCount {
      guard count < 8 else { return nil }
      if count <= 6, let v4 = IPv4Address(parsing: text.slice(from: offset)) {
        groups[count] = UInt16(truncatingIfNeeded: v4.value >> 16)
        groups[count + 1] = UInt16(truncatingIfNeeded: v4.value)
        count += 2
        offset = text.byteCount
        break
      }
      guard let group = IPv6Address.parseGroup(text, &offset) else { return nil }
      groups[count] = group
      count += 1
      if offset == text.byteCount { break }
      guard text.u8(offset) == colon else { return nil }
      offset += 1
      // A colon is followed by a group, or by the one "::".
      guard offset < text.byteCount else { return nil }
      if text.u8(offset) == colon {
        guard gap == nil else { return nil }
        gap = count
        offset += 1
      }
    }
    // "::" stands for at least one group.
    guard gap == nil ? count == 8 : count < 8 else { return nil }
    var high: UInt64 = 0
    var low: UInt64 = 0
    for index in 0..<count {
      let place = index < gap ?? 8 ? index : 8 - count + index
      let shifted = UInt64(groups[index]) << (48 - 16 * UInt64(place & 3))
      if place < 4 { high |= shifted } else { low |= shifted }
    }
    self.init(high, low)
  }

  /// One to four hexadecimal digits.
  private static func parseGroup(_ text: RawSpan, _ offset: inout Int) -> UInt16? {
    var value: UInt16 = 0
    let start = offset
    while offset < text.byteCount, offset - start < 4, let digit = digit(text.u8(offset)) {
      value = value << 4 | digit
      offset += 1
    }
    return offset > start ? value : nil
  }

  private static func digit(_ byte: UInt8) -> UInt16? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt16(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt16(byte - UInt8(ascii: "a") + 10)
    case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt16(byte - UInt8(ascii: "A") + 10)
    default: nil
    }
  }
}

extension IPAddress {
  package init?(parsing text: RawSpan) {
    if let address = IPv4Address(parsing: text) {
      self = .v4(address)
    } else if let address = IPv6Address(parsing: text) {
      self = .v6(address)
    } else {
      return nil
    }
  }
}

extension IPPrefix {
  /// An address, a slash and a length within the family's width; an address alone is a prefix of its whole width.
  package init?(parsing text: RawSpan) {
    var slash = 0
    while slash < text.byteCount, text.u8(slash) != UInt8(ascii: "/") { slash += 1 }
    guard let address = IPAddress(parsing: text.slice(0, slash)) else { return nil }
    var length = UInt32(address.family.width)
    if slash < text.byteCount {
      var offset = slash + 1
      guard let number = parseDecimal(text, &offset, most: length), offset == text.byteCount else { return nil }
      length = number
    }
    self.init(address, UInt8(length))
  }
}

extension IPv4Address {
  package init?(parsing text: [UInt8]) { self.init(parsing: text.rawSpan) }
}
extension IPv6Address {
  package init?(parsing text: [UInt8]) { self.init(parsing: text.rawSpan) }
}
extension IPAddress {
  package init?(parsing text: [UInt8]) { self.init(parsing: text.rawSpan) }
}
extension IPPrefix {
  package init?(parsing text: [UInt8]) { self.init(parsing: text.rawSpan) }
}

#if !hasFeature(Embedded)
  extension IPv4Address: LosslessStringConvertible {
    package init?(_ text: String) { self.init(parsing: [UInt8](text.utf8)) }
  }
  extension IPv6Address: LosslessStringConvertible {
    package init?(_ text: String) { self.init(parsing: [UInt8](text.utf8)) }
  }
  extension IPAddress: LosslessStringConvertible {
    package init?(_ text: String) { self.init(parsing: [UInt8](text.utf8)) }
  }
  extension IPPrefix: LosslessStringConvertible {
    package init?(_ text: String) { self.init(parsing: [UInt8](text.utf8)) }
  }
#endif

/// A decimal number of at most `most`, below 1000, without leading zeros; `offset` ends behind it.
private func parseDecimal(_ text: RawSpan, _ offset: inout Int, most: UInt32) -> UInt32? {
  var value: UInt32 = 0
  let start = offset
  while offset < text.byteCount, offset - start < 3,
    text.u8(offset) >= UInt8(ascii: "0"), text.u8(offset) <= UInt8(ascii: "9")
  {
    guard offset == start || value > 0 else { return nil }
    value = value * 10 + UInt32(text.u8(offset) - UInt8(ascii: "0"))
    offset += 1
  }
  return offset > start && value <= most ? value : nil
}
