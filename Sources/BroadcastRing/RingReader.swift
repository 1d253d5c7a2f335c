import CLinux
package import Platform

/// A reader's end of a broadcast ring. Any number of them read one ring without knowing of each other; none of them
/// writes to it.
@safe package struct RingReader: ~Copyable {
  package enum Outcome: Hashable, Sendable {
    /// A whole record of `length` bytes, as it was published, is in the buffer.
    case record(length: Int)
    /// Everything has been read.
    case nothing
    /// The writer has come all around and overwritten what was to be read next: ask for everything again.
    case lapped
  }

  private let memory: SharedMemory
  private let mask: UInt64
  /// What is read next.
  package private(set) var position: UInt64

  /// Maps the ring behind the descriptor. EPROTO: it is none, one of a later version, or one that could be cut off.
  package init(_ descriptor: borrowing Descriptor, from position: UInt64) throws(Errno) {
    var status = stat()
    let number = descriptor.number
    _ = try valueOrErrno { unsafe fstat(number, &status) }
    let size = Int(status.st_size)
    guard clinux_is_sealed(number) != 0, size >= RingLayout.slotsOffset else { throw .protocolError }
    let memory = try SharedMemory(descriptor, size: size, isWritable: false)
    let slots = Int(unsafe (memory.base + RingLayout.slotCountOffset).load(as: UInt32.self))
    let isRing =
      unsafe (memory.base + RingLayout.magicOffset).load(as: UInt64.self) == RingLayout.magic
      && (memory.base + RingLayout.versionOffset).load(as: UInt32.self) == RingLayout.version
      && (memory.base + RingLayout.slotSizeOffset).load(as: UInt32.self) == UInt32(RingLayout.slotSize)
    guard isRing, slots >= RingLayout.slotsOfLongest, slots.nonzeroBitCount == 1,
      slots <= (size - RingLayout.slotsOffset) / RingLayout.slotSize
    else { throw .protocolError }
    self.memory = memory
    mask = UInt64(slots - 1)
    self.position = position
  }

  /// Goes on from another position.
  package mutating func move(to position: UInt64) { self.position = position }

  private func slot(_ position: UInt64) -> UnsafeMutableRawPointer {
    unsafe memory.base + RingLayout.slotsOffset + Int(position & mask) * RingLayout.slotSize
  }

  /// Whether `read` would give something, be it `lapped`.
  package var hasMore: Bool { unsafe clinux_load64_acquire(slot(position)) >= 2 &* position }

  /// Copies the next record and steps behind it. `buffer` has room for `RingLayout.longestRecord` bytes.
  package mutating func read(into buffer: inout MutableRawSpan) -> Outcome {
    guard buffer.byteCount >= RingLayout.longestRecord else { return .nothing }
    return unsafe buffer.withUnsafeMutableBytes { unsafe read(into: $0.baseAddress!) }
  }

  private mutating func read(into buffer: UnsafeMutableRawPointer) -> Outcome {
    let first = unsafe slot(position)
    let stamp = unsafe clinux_load64_acquire(first)
    if stamp < 2 &* position { return .nothing }
    if stamp > 2 &* position { return .lapped }
    unsafe clinux_load_words(buffer, first + RingLayout.stampSize, 2)
    // The length of its message (len8), which may be anything if the slot is overwritten just now.
    let length = 8 * Int(unsafe buffer.load(fromByteOffset: 4, as: UInt16.self))
    guard length >= 16, length <= RingLayout.longestRecord else { return .lapped }
    let count = RingLayout.slots(for: length)
    for index in 0..<count {
      let offset = index * RingLayout.room
      unsafe clinux_load_words(
        buffer + offset, slot(position + UInt64(index)) + RingLayout.stampSize,
        min(length - offset, RingLayout.room) / 8)
    }
    // Only what was whole before and is so still was whole in between: stamps never come back.
    clinux_fence_acquire()
    for place in position..<position + UInt64(count) where unsafe clinux_load64(slot(place)) != 2 * place {
      return .lapped
    }
    position += UInt64(count)
    return .record(length: length)
  }
}
