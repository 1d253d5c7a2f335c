package import Wire

/// Payload types of the TDB (draft-schilcher-mobike-trigger-api-00, section 5; from 0x8000 on the extensions).
package enum TriggerPayloadType {
  package static let address: UInt16 = 1
  package static let trigger: UInt16 = 2
  package static let origin: UInt16 = 0x8001
  package static let filter: UInt16 = 0x8002
  package static let ring: UInt16 = 0x8003
}

/// RING (payload type 0x8003), 16 bytes: where a subscriber goes on reading on the ring.
package struct RingPlace: Hashable, Sendable {
  /// Where the subscriber's words stand in its own page, bytes.
  package var offset: UInt32
  /// Of the first record that is for it.
  package var position: UInt64

  package init(offset: UInt32, position: UInt64) {
    self.offset = offset
    self.position = position
  }

  package init(_ payload: Payload) throws(MessageRefusal) {
    guard payload.bytes.byteCount == 16 else { throw .payloadMalformed }
    self.init(offset: payload.bytes.u32(4), position: payload.bytes.u64(8))
  }
}

/// TRIGGER (`struct tdb_trigger`, section 6): 16 bytes. Reserved fields are written as 0 and not read.
package struct TriggerPayload: Hashable, Sendable {
  package var type: TriggerType
  package var identifier: UInt32

  package init(type: TriggerType, identifier: UInt32) {
    self.type = type
    self.identifier = identifier
  }

  package init(_ payload: Payload) throws(MessageRefusal) {
    guard payload.bytes.byteCount == 16 else { throw .payloadMalformed }
    self.init(type: TriggerType(rawValue: payload.bytes.u16(4)), identifier: payload.bytes.u32(8))
  }
}

/// ADDRESS (`struct tdb_address` and a sockaddr, section 6): an address with its host bits and its prefix length.
package struct TriggerAddress: Hashable, Sendable {
  package var address: IPAddress
  /// At most 32 or 128.
  package var prefixLength: UInt8
  /// The interface that a link-local IPv6 address is on, else 0.
  package var scope: UInt32

  package init(_ address: IPAddress, prefixLength: UInt8, scope: UInt32 = 0) {
    self.address = address
    self.prefixLength = prefixLength
    self.scope = scope
  }

  /// Port and flow label are not read. Refuses `addressFamily`, `payloadMalformed`, `prefixLength`.
  package init(_ payload: Payload) throws(MessageRefusal) {
    let sockaddr = try SocketAddress(payload.bytes, at: 8)
    guard payload.bytes.byteCount == 8 + sockaddr.paddedSize else { throw .payloadMalformed }
    let length = payload.bytes.u8(4)
    guard length <= sockaddr.address.family.width else { throw .prefixLength }
    self.init(sockaddr.address, prefixLength: length, scope: sockaddr.scope)
  }
}

/// The addresses of one trigger: up to 16, in place.
package struct TriggerAddresses: RandomAccessCollection, Equatable, Sendable {
  package static let capacity = 16

  private var storage = InlineArray<16, TriggerAddress>(
    repeating: TriggerAddress(.v4(.unspecified), prefixLength: 0))
  package private(set) var count = 0

  package init() {}

  package var startIndex: Int { 0 }
  package var endIndex: Int { count }
  package subscript(index: Int) -> TriggerAddress { storage[index] }
  package var span: Span<TriggerAddress> {
    @_lifetime(borrow self)
    get { storage.span.extracting(first: count) }
  }

  /// Refuses the seventeenth with `tooManyAddresses`.
  package mutating func append(_ address: TriggerAddress) throws(MessageRefusal) {
    guard count < TriggerAddresses.capacity else { throw .tooManyAddresses }
    storage[count] = address
    count += 1
  }

  package static func == (a: TriggerAddresses, b: TriggerAddresses) -> Bool {
    guard a.count == b.count else { return false }
    for index in 0..<a.count where a[index] != b[index] { return false }
    return true
  }
}

/// Bits of an address's state in ORIGIN and in the MIF API's ADDRESS.
package struct AddressFlags: OptionSet, Hashable, Sendable {
  package var rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Duplicate address detection is not done (RFC 4862).
  package static let tentative = AddressFlags(rawValue: 0x01)
  /// Duplicate address detection found another holder.
  package static let duplicate = AddressFlags(rawValue: 0x02)
  /// The preferred lifetime has run out.
  package static let deprecated = AddressFlags(rawValue: 0x04)
  /// A temporary address (RFC 8981).
  package static let temporary = AddressFlags(rawValue: 0x08)
  /// Without a lifetime.
  package static let permanent = AddressFlags(rawValue: 0x10)
  /// Configured by the kernel from a Router Advertisement.
  package static let advertised = AddressFlags(rawValue: 0x20)
  /// A secondary IPv4 address of its subnet.
  package static let secondary = AddressFlags(rawValue: 0x40)
}

/// ORIGIN (payload type 0x8001), 48 bytes: where the knowledge behind a trigger comes from.
package struct Origin: Hashable, Sendable {
  package static let size = 48

  /// 0 where no interface is known.
  package var interface: UInt32
  package var interfaceName: InterfaceName
  /// 0 where no provisioning domain is known. Of a client's trigger, which has none, it is the user who added it.
  package var pvd: UInt32
  package var source: Source
  /// Type and code of the ICMP error (of ICMPv6 where the trigger's addresses are IPv6), 0 for other sources.
  package var icmpType: UInt8
  package var icmpCode: UInt8
  /// `none` but in the NOTIFY of a deletion.
  package var reason: RemovalReason
  /// How many events were folded into this one, itself included.
  package var count: UInt32
  /// `AddressFlags` of the trigger's first address.
  package var addressFlags: UInt32
  /// When the packet was received, nanoseconds of CLOCK_REALTIME; for other sources when the agent learned it.
  package var timestamp: UInt64

  package init(
    interface: UInt32 = 0, interfaceName: InterfaceName = .empty, pvd: UInt32 = 0, source: Source, icmpType: UInt8 = 0,
    icmpCode: UInt8 = 0, count: UInt32 = 1, timestamp: UInt64 = 0, addressFlags: UInt32 = 0,
    reason: RemovalReason = .none
  ) {
    self.interface = interface
    self.interfaceName = interfaceName
    self.pvd = pvd
    self.source = source
    self.icmpType = icmpType
    self.icmpCode = icmpCode
    self.reason = reason
    self.count = count
    self.addressFlags = addressFlags
    self.timestamp = timestamp
  }

  package init(_ payload: Payload) throws(MessageRefusal) {
    let bytes = payload.bytes
    guard bytes.byteCount == Origin.size, let source = Source(rawValue: bytes.u8(28)),
      let reason = RemovalReason(rawValue: bytes.u8(31))
    else { throw .payloadMalformed }
    self.init(
      interface: bytes.u32(4), interfaceName: InterfaceName(bytes, at: 8), pvd: bytes.u32(24), source: source,
      icmpType: bytes.u8(29), icmpCode: bytes.u8(30), count: bytes.u32(32), timestamp: bytes.u64(40),
      addressFlags: bytes.u32(36), reason: reason)
  }
}

extension InterfaceName {
  /// The 16 bytes of a name at `offset`; what follows its first zero, and byte 15, are not read.
  init(_ bytes: RawSpan, at offset: Int) {
    var low: UInt64 = 0
    var high: UInt64 = 0
    for index in 0..<15 {
      let byte = UInt64(bytes.u8(offset + index))
      if byte == 0 { break }
      if index < 8 { low |= byte << UInt64(8 * index) } else { high |= byte << UInt64(8 * (index - 8)) }
    }
    self.init()
    words = (low, high)
  }
}

extension MessageWriter {
  package mutating func trigger(_ trigger: TriggerPayload) throws(MessageOverflow) {
    let offset = try payload(TriggerPayloadType.trigger, words: 2, UInt32(trigger.type.rawValue, 0))
    put(UInt64(trigger.identifier, 0), at: offset + 8)
  }

  package mutating func address(_ address: TriggerAddress) throws(MessageOverflow) {
    let sockaddr = SocketAddress(address.address, scope: address.scope)
    let words = UInt16(1 + sockaddr.paddedSize / 8)
    let offset = try payload(TriggerPayloadType.address, words: words, UInt32(address.prefixLength, 0, 0, 0))
    put(sockaddr, at: offset + 8)
  }

  package mutating func ring(_ place: RingPlace) throws(MessageOverflow) {
    let offset = try payload(TriggerPayloadType.ring, size: 16)
    put(place.offset, at: offset + 4)
    put(place.position, at: offset + 8)
  }

  package mutating func origin(_ origin: Origin) throws(MessageOverflow) {
    let offset = try payload(TriggerPayloadType.origin, words: UInt16(Origin.size / 8), origin.interface)
    put(origin.interfaceName, at: offset + 8)
    let cause = UInt32(origin.source.rawValue, origin.icmpType, origin.icmpCode, origin.reason.rawValue)
    put(UInt64(origin.pvd, cause), at: offset + 24)
    put(UInt64(origin.count, origin.addressFlags), at: offset + 32)
    put(origin.timestamp, at: offset + 40)
  }

  mutating func put(_ name: InterfaceName, at offset: Int) {
    put(name.words.0.littleEndian, at: offset)
    put(name.words.1.littleEndian, at: offset + 8)
  }
}
