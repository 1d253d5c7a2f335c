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

  /// Whether another span begins with the bytes of this one, of which there are at least eight: by words, the last of which
  /// may overlap the one before, and none left out, so that several are compared at once.
  func isSame(as other: RawSpan) -> Bool {
    guard byteCount >= 8, other.byteCount >= byteCount else { return false }
    let last = byteCount &- 8
    var difference = unsafe word(last) ^ other.word(last)
    var offset = 0
    while offset < last {
      unsafe difference |= word(offset) ^ other.word(offset)
      offset &+= 8
    }
    return difference == 0
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
    return unsafe extracting(unchecked: Range(uncheckedBounds: (offset, offset &+ count)))
  }

  /// Likewise of bytes that the caller has found to be within the span, which is not empty: an empty one may be nowhere.
  @unsafe @inline(__always)
  @_lifetime(copy self)
  func slice(unchecked offset: Int, _ count: Int) -> RawSpan {
    let start = unsafe withUnsafeBytes { unsafe $0.baseAddress.unsafelyUnwrapped } + offset
    return unsafe _overrideLifetime(RawSpan(_unsafeStart: start, byteCount: count), copying: self)
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
    // Summed as little-endian words and swapped once: RFC 1071, 2 (B). Two sums, so that none waits for the other.
    var sum: UInt64 = 0
    var other: UInt64 = 0
    var carries: UInt64 = 0
    var offset = 0
    while offset <= byteCount &- 64 {
      unsafe addFourWords(offset, to: &sum, &carries)
      unsafe addFourWords(offset &+ 32, to: &other, &carries)
      offset &+= 64
    }
    if offset <= byteCount &- 32 {
      unsafe addFourWords(offset, to: &sum, &carries)
      offset &+= 32
    }
    while offset <= byteCount &- 8 {
      carries &+= unsafe RawSpan.add(word(offset), 0, to: &sum)
      offset &+= 8
    }
    if offset < byteCount { carries &+= RawSpan.add(lastWord(from: offset), 0, to: &other) }
    // In halves nothing overflows.
    return (sum >> 32 &+ sum & 0xFFFF_FFFF &+ other >> 32 &+ other & 0xFFFF_FFFF &+ carries).byteSwapped
  }

  @unsafe @inline(__always)
  private func addFourWords(_ offset: Int, to sum: inout UInt64, _ carries: inout UInt64) {
    var carry = unsafe RawSpan.add(word(offset), 0, to: &sum)
    carry = unsafe RawSpan.add(word(offset &+ 8), carry, to: &sum)
    carry = unsafe RawSpan.add(word(offset &+ 16), carry, to: &sum)
    carry = unsafe RawSpan.add(word(offset &+ 24), carry, to: &sum)
    carries &+= carry
  }

  /// With a carry in and out, 0 or 1: a single instruction.
  @inline(__always)
  private static func add(_ word: UInt64, _ carry: UInt64, to sum: inout UInt64) -> UInt64 {
    let (first, overflow) = sum.addingReportingOverflow(word)
    let (second, overflowAgain) = first.addingReportingOverflow(carry)
    sum = second
    return (overflow ? 1 : 0) | (overflowAgain ? 1 : 0)
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
