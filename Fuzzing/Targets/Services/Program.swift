import Fuzzing

/// An input read as a program: each step takes the bytes that it needs, and past the end there are zeros.
struct Program: ~Escapable {
  private let bytes: RawSpan
  private var offset = 0

  @_lifetime(copy bytes)
  init(_ bytes: RawSpan) { self.bytes = bytes }

  var isAtEnd: Bool { offset >= bytes.byteCount }

  mutating func byte() -> UInt8 {
    if isAtEnd { return 0 }
    defer { offset += 1 }
    return unsafe bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
  }

  mutating func number(below bound: Int) -> Int { Int(byte()) % bound }
  mutating func flag() -> Bool { byte() & 1 != 0 }
  mutating func word() -> UInt16 { UInt16(byte()) | UInt16(byte()) << 8 }
  mutating func choice<T>(_ values: [T]) -> T { values[number(below: values.count)] }

  /// So many of the next bytes as there are.
  mutating func bytes(_ count: Int) -> [UInt8] {
    var taken: [UInt8] = []
    while taken.count < count, !isAtEnd { taken.append(byte()) }
    return taken
  }
}
