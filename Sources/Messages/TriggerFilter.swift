package import Wire

/// FILTER (payload type 0x8002): what a registered socket is told, 48 bytes and the trigger types. A trigger matches if
/// its type is one of them, its interface is the one, and one of its addresses lies in the prefix.
package struct TriggerFilter: Hashable, Sendable {
  /// Trigger types in one filter.
  package static let capacity = 64
  private static let typesOffset = 48

  /// The interface's index, 0 for any. A trigger of which no interface is known matches only 0.
  package var interface: UInt32
  /// nil for any address, and for a trigger without one.
  package var prefix: IPPrefix?
  /// The interface that a link-local prefix is on, 0 for any.
  package var scope: UInt32
  /// None for any type; at most `capacity`.
  package var types: [TriggerType]

  package init(
    types: [TriggerType] = [], interface: UInt32 = 0, prefix: IPPrefix? = nil, scope: UInt32 = 0
  ) {
    self.types = types
    self.interface = interface
    self.prefix = prefix
    self.scope = scope
  }

  /// Refuses `payloadMalformed`, `addressFamily`, `prefixLength`.
  package init(_ payload: Payload) throws(MessageRefusal) {
    let bytes = payload.bytes
    guard bytes.byteCount >= TriggerFilter.typesOffset else { throw .payloadMalformed }
    let count = Int(bytes.u8(9))
    guard count <= TriggerFilter.capacity, bytes.byteCount == TriggerFilter.size(types: count) else {
      throw .payloadMalformed
    }
    self.init(interface: bytes.u32(4))
    let length = bytes.u8(8)
    if bytes.u16(16) == 0 {
      guard length == 0 else { throw .prefixLength }
    } else {
      let sockaddr = try SocketAddress(bytes, at: 16)
      guard length <= sockaddr.address.family.width else { throw .prefixLength }
      prefix = IPPrefix(sockaddr.address, length)
      scope = sockaddr.scope
    }
    types.reserveCapacity(count)
    for index in 0..<count {
      types.append(TriggerType(rawValue: bytes.u16(TriggerFilter.typesOffset + 2 * index)))
    }
  }

  /// The one type and the one address that it is about, where it is about no more.
  package var exact: (type: TriggerType, address: IPAddress)? {
    guard types.count == 1, let prefix, prefix.length == prefix.address.family.width else { return nil }
    return (types[0], prefix.address)
  }

  fileprivate var size: Int { TriggerFilter.size(types: types.count) }

  private static func size(types: Int) -> Int { (typesOffset + 2 * types + 7) & ~7 }

  /// Whether a trigger with these values is to be told.
  package func matches(
    _ type: TriggerType, interface: UInt32, addresses: some RandomAccessCollection<TriggerAddress>
  ) -> Bool {
    if self.interface != 0, self.interface != interface { return false }
    if !types.isEmpty, !types.contains(type) { return false }
    guard let prefix else { return true }
    for address in addresses where prefix.contains(address.address) && (scope == 0 || scope == address.scope) {
      return true
    }
    return false
  }
}

extension MessageWriter {
  /// More types than a filter may have don't fit.
  package mutating func filter(_ filter: TriggerFilter) throws(MessageOverflow) {
    guard filter.types.count <= TriggerFilter.capacity else { throw MessageOverflow() }
    let offset = try payload(TriggerPayloadType.filter, size: filter.size)
    put(filter.interface, at: offset + 4)
    put(UInt8(truncatingIfNeeded: filter.types.count), at: offset + 9)
    if let prefix = filter.prefix {
      put(prefix.length, at: offset + 8)
      put(SocketAddress(prefix.address, scope: filter.scope), at: offset + 16)
    }
    for index in filter.types.indices { put(filter.types[index].rawValue, at: offset + 48 + 2 * index) }
  }

  /// REGISTER, and its answer, which repeats the request's payload and carries what was granted; with RING also where the
  /// subscriber begins to read.
  @discardableResult
  package mutating func register(
    _ extensions: TriggerExtensions, filter: TriggerFilter?, ring: RingPlace? = nil, sequence: UInt32, pid: UInt32
  ) throws(MessageOverflow) -> Int {
    try begin(
      type: TriggerMessageType.register.rawValue, flags: extensions.rawValue, sequence: sequence, pid: pid)
    if let filter { try self.filter(filter) }
    if let ring { try self.ring(ring) }
    return finish()
  }
}
