import Wire

/// One item of configuration with what is left of its lifetimes, as CONFIG_DATA carries it.
package struct ConfigurationItem: Hashable, Sendable {
  package var identifier: InformationIdentifier
  /// Seconds left, 0xFFFFFFFF for ever. Equal to `validLifetime` where an item has only one lifetime.
  package var preferredLifetime: UInt32
  package var validLifetime: UInt32
  package var value: ConfigurationValue

  package init(
    _ identifier: InformationIdentifier, _ value: ConfigurationValue, preferredLifetime: UInt32 = .max,
    validLifetime: UInt32 = .max
  ) {
    self.identifier = identifier
    self.value = value
    self.preferredLifetime = preferredLifetime
    self.validLifetime = validLifetime
  }
}

/// How a DATA payload's value is laid out. `ConfigurationValue` is the same with the values.
package enum ValueKind: UInt16, Hashable, Sendable, CaseIterable {
  case address = 1
  case text = 2
  case number = 3
  case prefix = 4
  case route = 5
  case router = 6
  case pvd = 7
  case lease = 8
  case bytes = 9
}

extension ConfigurationValue {
  package var kind: ValueKind {
    switch self {
    case .address: .address
    case .text: .text
    case .number: .number
    case .prefix: .prefix
    case .route: .route
    case .router: .router
    case .pvd: .pvd
    case .lease: .lease
    case .bytes: .bytes
    }
  }

  /// The value's bytes in DATA, without padding.
  var size: Int {
    switch self {
    case .address(let address): SocketAddress(address).size
    case .text(let bytes), .bytes(let bytes): bytes.count
    case .number: 4
    case .prefix(let prefix, _): 8 + SocketAddress(prefix.address).size
    case .route(let prefix, let gateway, _):
      8 + SocketAddress(prefix.address).paddedSize + SocketAddress(gateway).size
    case .router(let address, _): 8 + SocketAddress(address).size
    case .pvd: 4
    case .lease(let server, _, _): 8 + SocketAddress(server).size
    }
  }
}

/// DATA: 24 bytes, then the value.
private let valueOffset = 24

extension ConfigurationItem {
  /// nil for a kind of value that this client does not know. A scope id is not kept: it is the PvD's interface.
  package init?(_ payload: Payload) throws(MessageRefusal) {
    let bytes = payload.bytes
    guard bytes.byteCount >= valueOffset else { throw .payloadMalformed }
    guard let kind = ValueKind(rawValue: bytes.u16(8)) else { return nil }
    let size = Int(bytes.u16(10))
    guard bytes.byteCount == (valueOffset + size + 7) & ~7 else { throw .payloadMalformed }
    let value = try ConfigurationValue(bytes.extracting(valueOffset..<valueOffset + size), kind)
    self.init(
      InformationIdentifier(rawValue: bytes.u32(4)), value, preferredLifetime: bytes.u32(12),
      validLifetime: bytes.u32(16))
  }
}

extension ConfigurationValue {
  fileprivate init(_ bytes: RawSpan, _ kind: ValueKind) throws(MessageRefusal) {
    let size = bytes.byteCount
    let fixed =
      switch kind {
      case .address, .text, .bytes: 0
      case .number, .pvd: 4
      case .prefix, .route, .router, .lease: 8
      }
    guard size >= fixed else { throw .payloadMalformed }
    switch kind {
    case .address: self = .address(try SocketAddress(bytes, at: 0).address)
    case .text: self = .text(bytes.copy(0, size))
    case .number: self = .number(bytes.u32(0))
    case .prefix: self = .prefix(try ConfigurationValue.prefix(bytes), flags: bytes.u8(1))
    case .route:
      let destination = try ConfigurationValue.prefix(bytes)
      let gateway = try SocketAddress(bytes, at: 8 + SocketAddress(destination.address).paddedSize).address
      self = .route(destination, gateway: gateway, preference: Int8(bitPattern: bytes.u8(1)))
    case .router:
      self = .router(try SocketAddress(bytes, at: 8).address, preference: Int8(bitPattern: bytes.u8(1)))
    case .pvd: self = .pvd(flags: bytes.u16(0), sequence: bytes.u16(2))
    case .lease:
      self = .lease(
        server: try SocketAddress(bytes, at: 8).address, renewal: bytes.u32(0), rebinding: bytes.u32(4))
    case .bytes: self = .bytes(bytes.copy(0, size))
    }
    guard self.size == size else { throw .payloadMalformed }
  }

  private static func prefix(_ bytes: RawSpan) throws(MessageRefusal) -> IPPrefix {
    let address = try SocketAddress(bytes, at: 8).address
    guard bytes.u8(0) <= address.family.width else { throw .prefixLength }
    return IPPrefix(address, bytes.u8(0))
  }
}

extension MessageWriter {
  /// One DATA payload. `interface` becomes the scope id of a link-local address in the value. A value of more than
  /// 65,535 bytes does not fit.
  package mutating func data(_ item: ConfigurationItem, interface: UInt32) throws(MessageOverflow) {
    let size = item.value.size
    guard size <= 0xFFFF else { throw MessageOverflow() }
    let offset = try payload(MIFPayloadType.data, size: valueOffset + size)
    put(item.identifier.rawValue, at: offset + 4)
    put(item.value.kind.rawValue, at: offset + 8)
    put(UInt16(truncatingIfNeeded: size), at: offset + 10)
    put(item.preferredLifetime, at: offset + 12)
    put(item.validLifetime, at: offset + 16)
    put(item.value, at: offset + valueOffset, interface: interface)
  }

  private mutating func put(_ value: ConfigurationValue, at offset: Int, interface: UInt32) {
    func sockaddr(_ address: IPAddress) -> SocketAddress {
      SocketAddress(address, scope: address.family == .v6 && address.isLinkLocal ? interface : 0)
    }
    switch value {
    case .address(let address): put(sockaddr(address), at: offset)
    case .text(let bytes), .bytes(let bytes): put(bytes.span, at: offset)
    case .number(let number): put(number, at: offset)
    case .prefix(let prefix, let flags):
      put(prefix.length, at: offset)
      put(flags, at: offset + 1)
      put(sockaddr(prefix.address), at: offset + 8)
    case .route(let prefix, let gateway, let preference):
      put(prefix.length, at: offset)
      put(preference, at: offset + 1)
      let destination = sockaddr(prefix.address)
      put(destination, at: offset + 8)
      put(sockaddr(gateway), at: offset + 8 + destination.paddedSize)
    case .router(let address, let preference):
      put(preference, at: offset + 1)
      put(sockaddr(address), at: offset + 8)
    case .pvd(let flags, let sequence):
      put(flags, at: offset)
      put(sequence, at: offset + 2)
    case .lease(let server, let renewal, let rebinding):
      put(renewal, at: offset)
      put(rebinding, at: offset + 4)
      put(sockaddr(server), at: offset + 8)
    }
  }
}
