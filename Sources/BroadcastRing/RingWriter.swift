import CLinux
package import Platform

/// The agent's end of a broadcast ring: one writer, and readers of whom it knows nothing. To publish takes no lock, no
/// memory and no system call, and the same time however many read. Who has not read in time what is overwritten finds
/// that out by itself.
@safe package final class RingWriter {
  /// What readers map to read: sealed, so that nobody else ever writes to it and it never gets shorter or longer.
  package let descriptor: Descriptor
  private let memory: SharedMemory
  private let mask: UInt64
  /// Where the next record will stand.
  package private(set) var position: UInt64 = 1

  /// - Parameter size: of all slots in bytes; rounded up to a power of two, 4 KiB at least and 64 MiB at most.
  package init(size: Int) throws(Errno) {
    var slots = RingLayout.slotCounts.lowerBound
    while slots < RingLayout.slotCounts.upperBound, slots * RingLayout.slotSize < size { slots *= 2 }
    let bytes = RingLayout.slotsOffset + slots * RingLayout.slotSize
    let descriptor = try makeMemory("mifd-ring", size: bytes)
    let memory = try SharedMemory(descriptor, size: bytes)
    unsafe (memory.base + RingLayout.magicOffset).storeBytes(of: RingLayout.magic, as: UInt64.self)
    unsafe (memory.base + RingLayout.versionOffset).storeBytes(of: RingLayout.version, as: UInt32.self)
    unsafe (memory.base + RingLayout.slotSizeOffset).storeBytes(of: UInt32(RingLayout.slotSize), as: UInt32.self)
    unsafe (memory.base + RingLayout.slotCountOffset).storeBytes(of: UInt32(slots), as: UInt32.self)
    unsafe clinux_store64(memory.base + RingLayout.positionOffset, 1)
    // From now on there is no mapping to write but ours, which stays.
    try seal(descriptor, Int32(F_SEAL_FUTURE_WRITE))
    self.descriptor = descriptor
    self.memory = memory
    mask = UInt64(slots - 1)
  }

  private func slot(_ position: UInt64) -> UnsafeMutableRawPointer {
    unsafe memory.base + RingLayout.slotsOffset + Int(position & mask) * RingLayout.slotSize
  }

  /// Puts a record at `position`. Its length is a multiple of 8 and at most `longestRecord`; nothing else is published.
  package func publish(_ record: RawSpan) {
    let length = record.byteCount
    let count = UInt64(RingLayout.slots(for: length))
    guard length > 0, length & 7 == 0, length <= RingLayout.longestRecord else { return }
    // Readers of what stood there are told before it goes. The stamps stand before the fence, the bytes behind it.
    for place in position..<position + count { unsafe clinux_store64(slot(place), 2 * place - 1) }
    clinux_fence_release()
    unsafe record.withUnsafeBytes { bytes in
      guard let start = bytes.baseAddress else { return }
      for index in 0..<Int(count) {
        let offset = index * RingLayout.room
        unsafe clinux_store_words(
          slot(position + UInt64(index)) + RingLayout.stampSize, start + offset,
          min(length - offset, RingLayout.room) / 8)
      }
    }
    // The first slot last: who finds it whole finds them all.
    for place in (position..<position + count).reversed() { unsafe clinux_store64_release(slot(place), 2 * place) }
    position += count
    unsafe clinux_store64_release(memory.base + RingLayout.positionOffset, position)
  }
}

/// memfd_create(2), ftruncate(2).
func makeMemory(_ name: StaticString, size: Int) throws(Errno) -> Descriptor {
  let descriptor = Descriptor(
    taking: try valueOrErrno {
      unsafe name.utf8Start.withMemoryRebound(to: CChar.self, capacity: name.utf8CodeUnitCount + 1) {
        unsafe memfd_create($0, UInt32(MFD_CLOEXEC) | UInt32(MFD_ALLOW_SEALING))
      }
    })
  _ = try valueOrErrno { ftruncate(descriptor.number, off_t(size)) }
  return descriptor
}

/// F_ADD_SEALS of fcntl(2): it stays as long as it is, whoever holds it, and gets no further seals.
func seal(_ descriptor: borrowing Descriptor, _ seals: Int32 = 0) throws(Errno) {
  let number = descriptor.number
  _ = try valueOrErrno { clinux_seal(number, seals) }
}
