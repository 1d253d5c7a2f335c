/// The loads and stores of this target, and the only file in it that may be unsafe. Numbers are in the host's byte
/// order, as in PF_KEY; only what is inside a sockaddr is in network order. Every caller has checked the length: past
/// the end these trap.
extension RawSpan {
  func u8(_ offset: Int) -> UInt8 { load(offset) }
  func u16(_ offset: Int) -> UInt16 { load(offset) }
  func u32(_ offset: Int) -> UInt32 { load(offset) }
  func u64(_ offset: Int) -> UInt64 { load(offset) }

  private func load<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int) -> T {
    unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: T.self)
  }

  /// `length` bytes from `offset`, copied: for clients, which keep what they read.
  func copy(_ offset: Int, _ length: Int) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(length)
    for index in offset..<offset + length { result.append(u8(index)) }
    return result
  }
}

extension MessageWriter {
  /// A writer over memory that the caller owns and that stays where it is as long as the writer is used.
  @_lifetime(borrow buffer)
  package init(_ buffer: UnsafeMutableRawBufferPointer) {
    self.init(unsafe MutableRawSpan(_unsafeBytes: buffer))
  }
}

/// Numbers as they lie in memory side by side, to be written at once.
extension FixedWidthInteger {
  /// Two, each of half as many bits and without a sign.
  @inline(__always)
  init<Half: FixedWidthInteger & UnsignedInteger>(_ first: Half, _ second: Half) {
    #if _endian(little)
      let (low, high) = (first, second)
    #else
      let (low, high) = (second, first)
    #endif
    self = Self(truncatingIfNeeded: low) | Self(truncatingIfNeeded: high) &<< Self(truncatingIfNeeded: Half.bitWidth)
  }
}

extension UInt32 {
  init(_ first: UInt8, _ second: UInt8, _ third: UInt8, _ fourth: UInt8) {
    self.init(UInt16(first, second), UInt16(third, fourth))
  }
}

extension StaticString {
  /// The text's bytes: names of counters are fixed text, and no String is made of them.
  var bytes: Span<UInt8> {
    @_lifetime(immortal)
    get { unsafe _overrideLifetime(Span(_unsafeStart: utf8Start, count: utf8CodeUnitCount), copying: ()) }
  }
}
