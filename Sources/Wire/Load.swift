/// The only unsafe file of this target: network byte order out of borrowed bytes.
///
/// A view checks its length before it reads, so a load out of range is a mistake in this target: debug builds stop
/// there (which is what the mutation tests look for), release builds read zero. Neither reads past the span.
extension RawSpan {
  @inline(__always)
  private func load<Value: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, as type: Value.Type) -> Value {
    guard offset >= 0, offset <= byteCount - MemoryLayout<Value>.size else {
      assertionFailure("load out of range")
      return 0
    }
    return unsafe Value(bigEndian: unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: type))
  }

  @inline(__always) func u8(_ offset: Int) -> UInt8 { load(offset, as: UInt8.self) }
  @inline(__always) func u16(_ offset: Int) -> UInt16 { load(offset, as: UInt16.self) }
  @inline(__always) func u32(_ offset: Int) -> UInt32 { load(offset, as: UInt32.self) }
  @inline(__always) func u64(_ offset: Int) -> UInt64 { load(offset, as: UInt64.self) }
  @inline(__always) func ipv4(_ offset: Int) -> IPv4Address { IPv4Address(u32(offset)) }
  @inline(__always) func ipv6(_ offset: Int) -> IPv6Address { IPv6Address(u64(offset), u64(offset + 8)) }

  /// `count` bytes from `offset`; what lies outside of the span is left off.
  @inline(__always)
  @_lifetime(copy self)
  func slice(_ offset: Int, _ count: Int) -> RawSpan {
    assert(offset >= 0 && count >= 0 && offset <= byteCount - count, "slice out of range")
    let start = Swift.min(Swift.max(offset, 0), byteCount)
    let end = Swift.min(start + Swift.max(count, 0), byteCount)
    return unsafe extracting(unchecked: start..<end)
  }

  /// Everything from `offset` on.
  @inline(__always)
  @_lifetime(copy self)
  func slice(from offset: Int) -> RawSpan { slice(offset, byteCount - offset) }

  /// The sum of the span's 32-bit words in memory order, the last one padded with zeros: any number of carries is
  /// kept, since a span is shorter than 2^32 words.
  func sumOfWords() -> UInt64 {
    unsafe withUnsafeBytes { bytes in
      var sum: UInt64 = 0
      let whole = bytes.count & ~3
      var offset = 0
      while offset < whole {
        unsafe sum &+= UInt64(bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        offset += 4
      }
      var last: UInt32 = 0
      var shift: UInt32 = 0
      while offset < bytes.count {
        unsafe last |= UInt32(bytes[offset]) << shift
        shift += 8
        offset += 1
      }
      return sum &+ UInt64(UInt32(littleEndian: last))
    }
  }

  /// Whether both hold the same bytes.
  package func isEqual(to other: RawSpan) -> Bool {
    guard byteCount == other.byteCount else { return false }
    for index in 0..<byteCount where u8(index) != other.u8(index) { return false }
    return true
  }

  /// Copies the span's bytes to the end of `buffer`.
  package func append(to buffer: inout [UInt8]) {
    buffer.reserveCapacity(buffer.count + byteCount)
    for index in 0..<byteCount { buffer.append(u8(index)) }
  }
}

extension [UInt8] {
  /// The array's bytes, borrowed.
  package var rawSpan: RawSpan {
    @_lifetime(borrow self) get { unsafe span.bytes }
  }
}
