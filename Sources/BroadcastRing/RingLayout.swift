/// Where things stand in a ring and in a reader's page (docs/protocol.md, "Ring"). Numbers are in the host's byte order.
///
/// A record is a message of the Trigger Database. It takes as many slots as it needs, one after the other; positions
/// count slots, from 1, and never come back: slot `position & (slots - 1)` of the memory is that of `position` until the
/// writer has been all around. Each slot begins with its stamp: `2 * position` when it is whole, one less while it is
/// being written.
package enum RingLayout {
  /// The bytes "mifdring".
  static let magic = UInt64(littleEndian: 0x676E_6972_6466_696D)
  static let version: UInt32 = 1

  // The header.
  static let magicOffset = 0
  static let versionOffset = 8
  static let slotSizeOffset = 12
  static let slotCountOffset = 16
  /// Which slot will be written next. Readers need not look at it.
  static let positionOffset = 64
  static let slotsOffset = 256

  package static let slotSize = 256
  static let stampSize = 8
  /// Bytes of a record in one slot.
  static let room = slotSize - stampSize
  static let slotsOfLongest = 3
  /// The longest record in bytes: a NOTIFY with 16 IPv6 addresses and its origin has 720.
  package static let longestRecord = slotsOfLongest * room
  package static let slotCounts = 16...(1 << 18)

  /// How many slots a record takes.
  static func slots(for length: Int) -> Int { (length + room - 1) / room }

  // A reader's page. Its words stand at a multiple of 64 bytes that the agent chooses: at another one in each page, so
  // that looking at many pages does not always hit the same lines of the processor's cache.
  static let pageSize = 4096
  static let pageLine = 64
  /// What the reader does; a 32-bit word.
  static let stateOffset = 0
  /// Where it stands: the position that it has not read yet. 64 bits; it counts while the reader sleeps.
  static let cursorOffset = 8
}

/// What the first word of a reader's page says. Any other value is as good as `awake`.
enum ReaderState {
  static let awake: UInt32 = 0
  /// To be woken by its descriptor.
  static let polling: UInt32 = 1
  /// In FUTEX_WAIT on this word.
  static let waiting: UInt32 = 2
}
