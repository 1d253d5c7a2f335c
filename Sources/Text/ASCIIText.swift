// Text of files and protocols as bytes, without the Unicode tables that String would bring.

/// Whether bytes are those of a literal.
package func == (bytes: ArraySlice<UInt8>, literal: StaticString) -> Bool { literal ~= bytes }

/// The same, for `switch`.
package func ~= (literal: StaticString, bytes: ArraySlice<UInt8>) -> Bool {
  literal.withUTF8Buffer { unsafe $0.elementsEqual(bytes) }
}

extension FixedWidthInteger {
  /// Decimal digits and nothing else, up to 15 of them, whose number fits.
  package init?(decimal text: ArraySlice<UInt8>) {
    if text.isEmpty || text.count > 15 { return nil }
    var number: UInt64 = 0
    for byte in text {
      guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
      number = number * 10 + UInt64(byte - UInt8(ascii: "0"))
    }
    self.init(exactly: number)
  }
}

extension ArraySlice<UInt8> {
  /// What stands between commas; none where nothing stands at all.
  package var words: [ArraySlice<UInt8>] {
    isEmpty ? [] : split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
  }

  /// Without blanks at its ends.
  package var trimmed: ArraySlice<UInt8> {
    func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0D }
    var slice = self
    while let first = slice.first, isSpace(first) { slice.removeFirst() }
    while let last = slice.last, isSpace(last) { slice.removeLast() }
    return slice
  }
}
