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
extension UInt64 {
  init(_ first: UInt32, _ second: UInt32) {
    #if _endian(little)
      self = UInt64(first) | UInt64(second) << 32
    #else
      self = UInt64(first) << 32 | UInt64(second)
    #endif
  }
}

extension UInt32 {
  init(_ first: UInt16, _ second: UInt16) {
    #if _endian(little)
      self = UInt32(first) | UInt32(second) << 16
    #else
      self = UInt32(first) << 16 | UInt32(second)
    #endif
  }

  init(_ first: UInt8, _ second: UInt8, _ third: UInt8, _ fourth: UInt8) {
    #if _endian(little)
      self.init(UInt16(first) | UInt16(second) << 8, UInt16(third) | UInt16(fourth) << 8)
    #else
      self.init(UInt16(first) << 8 | UInt16(second), UInt16(third) << 8 | UInt16(fourth))
    #endif
  }
}

extension StaticString {
  /// The text's bytes: names of counters are fixed text, and no String is made of them.
  var bytes: Span<UInt8> {
    @_lifetime(immortal)
    get { unsafe _overrideLifetime(Span(_unsafeStart: utf8Start, count: utf8CodeUnitCount), copying: ()) }
  }
}
