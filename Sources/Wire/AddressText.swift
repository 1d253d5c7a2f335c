/// Addresses as text, written into a byte buffer: what logs, answers and configuration files show.

/// Decimal without leading zeros.
func appendDecimal(_ value: UInt8, to text: inout [UInt8]) {
  if value >= 100 { text.append(UInt8(ascii: "0") + value / 100) }
  if value >= 10 { text.append(UInt8(ascii: "0") + value / 10 % 10) }
  text.append(UInt8(ascii: "0") + value % 10)
}

extension IPv4Address {
  /// Dotted decimal.
  package func append(to text: inout [UInt8]) {
    for part: UInt32 in 0..<4 {
      if part > 0 { text.append(UInt8(ascii: ".")) }
      appendDecimal(UInt8(truncatingIfNeeded: value >> (24 - 8 * part)), to: &text)
    }
  }
}

extension IPv6Address {
  /// Group `index` of 16 bits, 0 to 7.
  func group(_ index: Int) -> UInt16 {
    UInt16(truncatingIfNeeded: (index < 4 ? high : low) >> (48 - 16 * UInt64(index & 3)))
  }

  /// ::ffff:0:0/96 (RFC 4291, 2.5.5.2).
  package var isIPv4Mapped: Bool { high == 0 && low >> 32 == 0xFFFF }

  /// RFC 5952: lower case, no leading zeros, the first longest run of two or more zero groups as "::"; IPv4-mapped
  /// addresses end in dotted decimal (5).
  package func append(to text: inout [UInt8]) {
    if isIPv4Mapped {
      text += [0x3A, 0x3A, 0x66, 0x66, 0x66, 0x66, 0x3A]
      IPv4Address(UInt32(truncatingIfNeeded: low)).append(to: &text)
      return
    }
    var run = (start: 8, length: 1)
    var index = 0
    while index < 8 {
      var end = index
      while end < 8, group(end) == 0 { end += 1 }
      if end - index > run.length { run = (index, end - index) }
      index = max(end, index + 1)
    }
    index = 0
    while index < 8 {
      if index == run.start {
        text.append(UInt8(ascii: ":"))
        text.append(UInt8(ascii: ":"))
        index += run.length
        continue
      }
      if index > 0, index != run.start + run.length { text.append(UInt8(ascii: ":")) }
      IPv6Address.appendHexadecimal(group(index), to: &text)
      index += 1
    }
  }

  private static func appendHexadecimal(_ value: UInt16, to text: inout [UInt8]) {
    var shift: UInt16 = 12
    while shift > 0, value >> shift == 0 { shift -= 4 }
    while true {
      let digit = UInt8(truncatingIfNeeded: value >> shift & 0xF)
      text.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
      if shift == 0 { return }
      shift -= 4
    }
  }
}

extension IPAddress {
  package func append(to text: inout [UInt8]) {
    switch self {
    case .v4(let address): address.append(to: &text)
    case .v6(let address): address.append(to: &text)
    }
  }
}

extension IPPrefix {
  /// The address, host bits and all, a slash and the length.
  package func append(to text: inout [UInt8]) {
    address.append(to: &text)
    text.append(UInt8(ascii: "/"))
    appendDecimal(length, to: &text)
  }
}

#if !hasFeature(Embedded)
  extension IPv4Address: CustomStringConvertible {
    package var description: String { string { append(to: &$0) } }
  }
  extension IPv6Address: CustomStringConvertible {
    package var description: String { string { append(to: &$0) } }
  }
  extension IPAddress: CustomStringConvertible {
    package var description: String { string { append(to: &$0) } }
  }
  extension IPPrefix: CustomStringConvertible {
    package var description: String { string { append(to: &$0) } }
  }
  extension Refusal: CustomStringConvertible {
    package var description: String { name.description }
  }

  private func string(_ write: (inout [UInt8]) -> Void) -> String {
    var bytes: [UInt8] = []
    write(&bytes)
    return String(decoding: bytes, as: UTF8.self)
  }
#endif
