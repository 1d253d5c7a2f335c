/// The header that every message of both protocols begins with (`struct tdb_header`,
/// draft-schilcher-mobike-trigger-api-00, section 6). 16 bytes.
package struct FrameHeader: Hashable, Sendable {
  package static let size = 16
  /// The version of both protocols.
  package static let version: UInt8 = 1
  /// The longest message in bytes, in either direction.
  package static let maximumMessageLength = 65_536

  package var version: UInt8
  package var type: UInt8
  package var error: ErrorNumber
  /// TDB: `tdb_header_reserved1`, see `TriggerExtensions`. MIF: see `MIFFlags`.
  package var flags: UInt8
  /// The message's length in units of 8 bytes, header included.
  package var length: UInt16
  package var sequence: UInt32
  package var pid: UInt32

  package init(
    type: UInt8, error: ErrorNumber = .none, flags: UInt8 = 0, sequence: UInt32, pid: UInt32,
    version: UInt8 = FrameHeader.version, length: UInt16 = 2
  ) {
    self.version = version
    self.type = type
    self.error = error
    self.flags = flags
    self.length = length
    self.sequence = sequence
    self.pid = pid
  }

  /// As much of a header as there is, for the answer to a message that may be shorter than one: fields that are
  /// not whole are 0. Never refuses; `Frame` does.
  package init(asMuchAsThereIs bytes: RawSpan) {
    let count = bytes.byteCount
    self.init(
      type: count >= 2 ? bytes.u8(1) : 0, error: ErrorNumber(rawValue: count >= 3 ? bytes.u8(2) : 0),
      flags: count >= 4 ? bytes.u8(3) : 0, sequence: count >= 12 ? bytes.u32(8) : 0,
      pid: count >= 16 ? bytes.u32(12) : 0, version: count >= 1 ? bytes.u8(0) : 0,
      length: count >= 6 ? bytes.u16(4) : 0)
  }
}

/// A received message: its header was checked against the datagram, its payloads are not looked at yet.
package struct Frame: ~Escapable {
  package let header: FrameHeader
  private let bytes: RawSpan

  /// Checks in this order: a whole header (`headerTruncated`), the version, the type by `accepts`, the length field.
  @_lifetime(copy bytes)
  package init(_ bytes: RawSpan, accepts: (UInt8) -> Bool) throws(MessageRefusal) {
    guard bytes.byteCount >= FrameHeader.size else { throw .headerTruncated }
    header = FrameHeader(asMuchAsThereIs: bytes)
    guard header.version == FrameHeader.version else { throw .version }
    guard accepts(header.type) else { throw .messageType }
    guard Int(header.length) * 8 == bytes.byteCount else { throw .length }
    self.bytes = bytes
  }

  package var payloads: PayloadIterator {
    @_lifetime(copy self)
    get { PayloadIterator(bytes) }
  }
}

/// A payload as it lies in the message: its own header is in `bytes`, which are `8 * length` long, at least 8.
package struct Payload: ~Escapable {
  package let type: UInt16
  package let bytes: RawSpan

  @_lifetime(copy bytes)
  package init(type: UInt16, bytes: RawSpan) {
    self.type = type
    self.bytes = bytes
  }
}

/// A message's payloads in their order. Ends, with a refusal, at one of length 0 or one longer than what is left.
package struct PayloadIterator: ~Escapable {
  private let bytes: RawSpan
  /// Where in the message the next payload begins, in bytes.
  package private(set) var offset: Int

  /// `bytes` are a whole message that `Frame` has accepted, `offset` where an iterator over it stood.
  @_lifetime(copy bytes)
  package init(_ bytes: RawSpan, from offset: Int = FrameHeader.size) {
    self.bytes = bytes
    self.offset = offset
  }

  @_lifetime(copy self)
  package mutating func next() throws(MessageRefusal) -> Payload? {
    guard offset < bytes.byteCount else { return nil }
    // The message is a multiple of 8 bytes long (`Frame`), so a payload's header is always whole.
    let length = Int(bytes.u16(offset)) * 8
    guard length > 0, length <= bytes.byteCount - offset else { throw .payloadLength }
    let payload = Payload(type: bytes.u16(offset + 2), bytes: bytes.extracting(offset..<offset + length))
    offset += length
    return payload
  }
}
