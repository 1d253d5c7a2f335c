/// The only unsafe file of this target: network byte order out of borrowed bytes.
///
/// A view checks its length before it reads, so a load out of range is a mistake in this target: debug builds stop
/// there (which is what the mutation tests look for), release builds read zero. Neither reads past the span.
extension RawSpan {
  @inline(__always)
  private func load<Value: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, as type: Value.Type) -> Value {
    guard holds(offset, MemoryLayout<Value>.size) else { return 0 }
    return unsafe Value(bigEndian: unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: type))
  }

  @inline(__always)
  private func holds(_ offset: Int, _ count: Int) -> Bool {
    let isInside = offset >= 0 && offset <= byteCount &- count
    assert(isInside, "load out of range")
    return isInside
  }

  @inline(__always) func u8(_ offset: Int) -> UInt8 { load(offset, as: UInt8.self) }
  @inline(__always) func u16(_ offset: Int) -> UInt16 { load(offset, as: UInt16.self) }
  @inline(__always) func u32(_ offset: Int) -> UInt32 { load(offset, as: UInt32.self) }
  @inline(__always) func u64(_ offset: Int) -> UInt64 { load(offset, as: UInt64.self) }
  /// Of an offset that the caller has just found to be within the span, and so is not checked again.
  @unsafe @inline(__always) func u8(unchecked offset: Int) -> UInt8 {
    unsafe unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self)
  }
  @unsafe @inline(__always) func u16(unchecked offset: Int) -> UInt16 {
    unsafe UInt16(bigEndian: unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt16.self))
  }
  @unsafe @inline(__always) func u32(unchecked offset: Int) -> UInt32 {
    unsafe UInt32(bigEndian: unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt32.self))
  }
  @inline(__always) func ipv4(_ offset: Int) -> IPv4Address { IPv4Address(u32(offset)) }
  @inline(__always) func ipv6(_ offset: Int) -> IPv6Address {
    guard holds(offset, 16) else { return .unspecified }
    let high = unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self)
    let low = unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: offset &+ 8, as: UInt64.self)
    return IPv6Address(UInt64(bigEndian: high), UInt64(bigEndian: low))
  }

  /// `count` bytes from `offset`; what lies outside of the span is left off.
  @inline(__always)
  @_lifetime(copy self)
  func slice(_ offset: Int, _ count: Int) -> RawSpan {
    // As numbers without a sign, negative ones are too large.
    let isInside =
      UInt(bitPattern: offset) <= UInt(bitPattern: byteCount)
      && UInt(bitPattern: count) <= UInt(bitPattern: byteCount &- offset)
    assert(isInside, "slice out of range")
    guard isInside else { return clamped(offset, count) }
    return unsafe slice(unchecked: offset, count)
  }

  /// Likewise of bytes that the caller has found to be within the span.
  @unsafe @inline(__always)
  @_lifetime(copy self)
  func slice(unchecked offset: Int, _ count: Int) -> RawSpan {
    unsafe extracting(unchecked: Range(uncheckedBounds: (offset, offset &+ count)))
  }

  @inline(never)
  @_lifetime(copy self)
  private func clamped(_ offset: Int, _ count: Int) -> RawSpan {
    let start = Swift.min(Swift.max(offset, 0), byteCount)
    let end = start + Swift.min(Swift.max(count, 0), byteCount - start)
    return unsafe extracting(unchecked: start..<end)
  }

  /// Everything from `offset` on.
  @inline(__always)
  @_lifetime(copy self)
  func slice(from offset: Int) -> RawSpan { slice(offset, byteCount &- offset) }

  /// The one's complement sum of the span's 64-bit words in network order, the last one padded with zeros.
  func sumOfWords() -> UInt64 {
    // Summed as little-endian words of 128 bits and swapped once: RFC 1071, 2 (B).
    var sum: UInt128 = 0
    var carries: UInt64 = 0
    var offset = 0
    while offset <= byteCount &- 32 {
      sum = unsafe RawSpan.add(doubleWord(offset), to: sum, &carries)
      sum = unsafe RawSpan.add(doubleWord(offset &+ 16), to: sum, &carries)
      offset &+= 32
    }
    if offset <= byteCount &- 16 {
      sum = unsafe RawSpan.add(doubleWord(offset), to: sum, &carries)
      offset &+= 16
    }
    if offset <= byteCount &- 8 {
      sum = unsafe RawSpan.add(UInt128(word(offset)), to: sum, &carries)
      offset &+= 8
    }
    if offset < byteCount { sum = RawSpan.add(UInt128(lastWord(from: offset)), to: sum, &carries) }
    let low = UInt64(truncatingIfNeeded: sum)
    let high = UInt64(truncatingIfNeeded: sum >> 64)
    // In halves nothing overflows.
    return (low >> 32 &+ low & 0xFFFF_FFFF &+ high >> 32 &+ high & 0xFFFF_FFFF &+ carries).byteSwapped
  }

  @inline(__always)
  private static func add(_ word: UInt128, to sum: UInt128, _ carries: inout UInt64) -> UInt128 {
    let (result, overflow) = sum.addingReportingOverflow(word)
    carries &+= overflow ? 1 : 0
    return result
  }

  /// Sixteen bytes as they stand, the first one lowest.
  @unsafe @inline(__always)
  private func doubleWord(_ offset: Int) -> UInt128 {
    unsafe UInt128(littleEndian: unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt128.self))
  }

  /// Eight bytes as they stand, the first one lowest.
  @unsafe @inline(__always)
  private func word(_ offset: Int) -> UInt64 {
    unsafe UInt64(littleEndian: unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self))
  }

  /// The fewer than eight bytes from `offset` to the end.
  @inline(__always)
  private func lastWord(from offset: Int) -> UInt64 {
    if byteCount >= 8 { return unsafe word(byteCount &- 8) &>> (8 &* UInt64(offset &+ 8 &- byteCount)) }
    var last: UInt64 = 0
    var index = byteCount
    while index > offset {
      index &-= 1
      last = last &<< 8 | UInt64(u8(index))
    }
    return last
  }

  /// Eight bytes from `offset`, which is within the span; those past the end as `filler`.
  @inline(__always)
  func octets(_ offset: Int, else filler: UInt8) -> Octets {
    if offset >= 0, offset <= byteCount &- 8 { return unsafe Octets(word(offset)) }
    let fillers = UInt64(filler) &* 0x0101_0101_0101_0101
    return Octets(lastWord(from: offset) | fillers &<< (8 &* UInt64(byteCount &- offset)))
  }

  /// Whether there is nothing but zeros from `offset` on.
  func isZero(from offset: Int) -> Bool {
    var offset = offset
    while offset <= byteCount &- 8 {
      guard u64(offset) == 0 else { return false }
      offset &+= 8
    }
    return offset >= byteCount || lastWord(from: offset) == 0
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
