/// An input read as a program: each step takes the bytes that it needs, and past the end there are zeros.
package struct Program: ~Escapable {
  private let bytes: RawSpan
  private var offset = 0

  @_lifetime(copy bytes)
  package init(_ bytes: RawSpan) { self.bytes = bytes }

  package var isAtEnd: Bool { offset >= bytes.byteCount }

  package mutating func byte() -> UInt8 {
    if isAtEnd { return 0 }
    defer { offset += 1 }
    return unsafe bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
  }

  package mutating func number(below bound: Int) -> Int { Int(byte()) % bound }
  package mutating func flag() -> Bool { byte() & 1 != 0 }
  package mutating func word() -> UInt16 { UInt16(byte()) | UInt16(byte()) << 8 }
  package mutating func choice<T>(_ values: [T]) -> T { values[number(below: values.count)] }

  /// So many of the next bytes as there are.
  package mutating func bytes(_ count: Int) -> [UInt8] {
    var taken: [UInt8] = []
    while taken.count < count, !isAtEnd { taken.append(byte()) }
    return taken
  }
}
