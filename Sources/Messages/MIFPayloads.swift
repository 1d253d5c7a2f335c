package import Wire

/// INTERFACE, 32 bytes. In a request only the identifier counts.
package struct InterfaceDescription: Hashable, Sendable {
  package static let size = 32

  /// The interface's index (ifindex), never 0.
  package var identifier: UInt32
  package var name: InterfaceName
  package var flags: InterfaceFlags

  package init(identifier: UInt32, name: InterfaceName = .empty, flags: InterfaceFlags = []) {
    self.identifier = identifier
    self.name = name
    self.flags = flags
  }

  package init(_ payload: Payload) throws(MessageRefusal) {
    let bytes = payload.bytes
    guard bytes.byteCount == InterfaceDescription.size else { throw .payloadMalformed }
    self.init(
      identifier: bytes.u32(4), name: InterfaceName(bytes, at: 8), flags: InterfaceFlags(rawValue: bytes.u32(24)))
  }
}

/// PVD: 12 bytes and the name. Names are only in PVD_ANNOUNCEMENT and NO_PVD_ANNOUNCEMENT.
package struct PvDDescription: Hashable, Sendable {
  package static let maximumNameLength = 255

  package var identifier: UInt32
  /// The name is the FQDN of a PvD option (RFC 8801); else it is readable, made of interface and source.
  package var isExplicit: Bool
  /// UTF-8, without a final dot.
  package var name: [UInt8]

  package init(identifier: UInt32, isExplicit: Bool = false, name: [UInt8] = []) {
    self.identifier = identifier
    self.isExplicit = isExplicit
    self.name = name
  }

  package init(_ payload: Payload) throws(MessageRefusal) {
    let bytes = payload.bytes
    identifier = try PvDDescription.identifier(payload)
    isExplicit = bytes.u8(9) & 0x01 != 0
    name = bytes.copy(12, Int(bytes.u8(8)))
  }

  /// The identifier alone, checked like the whole: what a request needs, and nothing is allocated for it.
  static func identifier(_ payload: Payload) throws(MessageRefusal) -> UInt32 {
    let bytes = payload.bytes
    guard bytes.byteCount >= 16, bytes.byteCount == (12 + Int(bytes.u8(8)) + 7) & ~7 else { throw .payloadMalformed }
    return bytes.u32(4)
  }
}

/// ELEMENT, 16 bytes. The type stays a number: a client may ask for one that there is not.
package struct ElementReference: Hashable, Sendable {
  package static let size = 16

  /// `ElementType`.
  package var type: UInt16
  /// In GET_CONFIG_DATA and its answers; 0 in announcements.
  package var identifier: InformationIdentifier

  package init(type: UInt16, identifier: InformationIdentifier = .all) {
    self.type = type
    self.identifier = identifier
  }
  package init(_ type: ElementType, identifier: InformationIdentifier = .all) {
    self.init(type: type.rawValue, identifier: identifier)
  }

  package init(_ payload: Payload) throws(MessageRefusal) {
    guard payload.bytes.byteCount == ElementReference.size else { throw .payloadMalformed }
    self.init(type: payload.bytes.u16(4), identifier: InformationIdentifier(rawValue: payload.bytes.u32(8)))
  }
}

/// ADDRESS, 32 bytes for IPv4 and 48 for IPv6.
package struct AnnouncedAddress: Hashable, Sendable {
  package var address: IPAddress
  /// At most 32 or 128.
  package var prefixLength: UInt8
  /// The interface that a link-local IPv6 address is on, else 0.
  package var scope: UInt32
  package var flags: AddressFlags
  /// Seconds left, 0xFFFFFFFF for ever.
  package var preferredLifetime: UInt32
  package var validLifetime: UInt32

  package init(
    _ address: IPAddress, prefixLength: UInt8, scope: UInt32 = 0, flags: AddressFlags = [],
    preferredLifetime: UInt32 = .max, validLifetime: UInt32 = .max
  ) {
    self.address = address
    self.prefixLength = prefixLength
    self.scope = scope
    self.flags = flags
    self.preferredLifetime = preferredLifetime
    self.validLifetime = validLifetime
  }

  package init(_ payload: Payload) throws(MessageRefusal) {
    let bytes = payload.bytes
    let sockaddr = try SocketAddress(bytes, at: 16)
    guard bytes.byteCount == 16 + sockaddr.paddedSize else { throw .payloadMalformed }
    guard bytes.u8(4) <= sockaddr.address.family.width else { throw .prefixLength }
    self.init(
      sockaddr.address, prefixLength: bytes.u8(4), scope: sockaddr.scope,
      flags: AddressFlags(rawValue: UInt32(bytes.u16(6))), preferredLifetime: bytes.u32(8),
      validLifetime: bytes.u32(12))
  }
}

extension SourceCandidate {
  /// An announced address as a source; what the next hop advertised isn't announced (rule 5.5). nil while it can't be
  /// one: duplicate address detection is not done, or found another holder.
  package init?(_ announced: AnnouncedAddress) {
    if announced.flags.contains(.tentative) || announced.flags.contains(.duplicate) { return nil }
    self.init(
      IPPrefix(announced.address, announced.prefixLength),
      isDeprecated: announced.flags.contains(.deprecated) || announced.preferredLifetime == 0,
      isTemporary: announced.flags.contains(.temporary), isSecondary: announced.flags.contains(.secondary))
  }
}

/// COUNTER: 16 bytes and the name.
package struct Counter: Hashable, Sendable {
  /// ASCII.
  package var name: [UInt8]
  package var value: UInt64

  package init(name: [UInt8], value: UInt64) {
    self.name = name
    self.value = value
  }

  package init(_ payload: Payload) throws(MessageRefusal) {
    let bytes = payload.bytes
    guard bytes.byteCount >= 16, bytes.byteCount == (16 + Int(bytes.u16(4)) + 7) & ~7 else { throw .payloadMalformed }
    self.init(name: bytes.copy(16, Int(bytes.u16(4))), value: bytes.u64(8))
  }
}

extension MessageWriter {
  package mutating func interface(_ interface: InterfaceDescription) throws(MessageOverflow) {
    let offset = try payload(MIFPayloadType.interface, size: InterfaceDescription.size)
    put(interface.identifier, at: offset + 4)
    put(interface.name, at: offset + 8)
    put(interface.flags.rawValue, at: offset + 24)
  }

  /// A name past 255 bytes is cut.
  package mutating func pvd(_ pvd: PvDDescription) throws(MessageOverflow) {
    let name = pvd.name.span.extracting(first: PvDDescription.maximumNameLength)
    let offset = try payload(MIFPayloadType.pvd, size: max(16, 12 + name.count))
    put(pvd.identifier, at: offset + 4)
    put(UInt8(truncatingIfNeeded: name.count), at: offset + 8)
    put(UInt8(pvd.isExplicit ? 0x01 : 0), at: offset + 9)
    put(name, at: offset + 12)
  }

  /// PVD with the identifier alone.
  package mutating func pvd(_ identifier: UInt32) throws(MessageOverflow) {
    let offset = try payload(MIFPayloadType.pvd, size: 16)
    put(identifier, at: offset + 4)
  }

  package mutating func element(_ element: ElementReference) throws(MessageOverflow) {
    let offset = try payload(MIFPayloadType.element, size: ElementReference.size)
    put(element.type, at: offset + 4)
    put(element.identifier.rawValue, at: offset + 8)
  }

  package mutating func announcedAddress(_ address: AnnouncedAddress) throws(MessageOverflow) {
    let sockaddr = SocketAddress(address.address, scope: address.scope)
    let offset = try payload(MIFPayloadType.address, size: 16 + sockaddr.size)
    put(address.prefixLength, at: offset + 4)
    put(UInt16(truncatingIfNeeded: address.flags.rawValue), at: offset + 6)
    put(address.preferredLifetime, at: offset + 8)
    put(address.validLifetime, at: offset + 12)
    put(sockaddr, at: offset + 16)
  }

  /// One counter of STATISTICS. Where it throws, finish and send what there is, begin another STATISTICS and repeat.
  @_lifetime(self: copy self)
  package mutating func counter(_ name: Span<UInt8>, _ value: UInt64) throws(MessageOverflow) {
    let offset = try payload(MIFPayloadType.counter, size: 16 + name.count)
    put(UInt16(truncatingIfNeeded: name.count), at: offset + 4)
    put(value, at: offset + 8)
    put(name, at: offset + 16)
  }

  package mutating func counter(_ name: StaticString, _ value: UInt64) throws(MessageOverflow) {
    try counter(name.bytes, value)
  }
}
