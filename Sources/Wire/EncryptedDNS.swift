/// An encrypted DNS resolver from a Router Advertisement or DHCPv6 (RFC 9463, 4.1 and 6.1).
package struct EncryptedDNS: ~Escapable {
  private enum Field {
    static let priority = 0
    /// Where there is a lifetime, in a Router Advertisement, and the name behind it.
    static let lifetime = 2
    static let advertisedName = 6
    static let name = 2
  }

  /// The whole option behind its code and length, padding included. In a Router Advertisement's the lifetime stands
  /// in its bytes 2 to 5.
  package let content: RawSpan
  private let isAdvertised: Bool

  @_lifetime(copy option)
  init(routerAdvertisementOption option: RawSpan) throws(Refusal) {
    try self.init(content: option.slice(from: NeighbourDiscoveryOptions.Field.value), isAdvertised: true)
  }

  @_lifetime(copy value)
  init(dhcpv6Value value: RawSpan) throws(Refusal) {
    try self.init(content: value, isAdvertised: false)
  }

  @_lifetime(copy content)
  private init(content: RawSpan, isAdvertised: Bool) throws(Refusal) {
    self.content = content
    self.isAdvertised = isAdvertised
    guard content.byteCount > nameOffset else { throw .dnrLength }
    var fields = self.fields
    _ = try EncryptedDNS.name(&fields)
    _ = try EncryptedDNS.addresses(&fields)
    // What follows is padding where nothing else is (6.1).
    guard !isAdvertised || fields.remaining.byteCount < 2 || fields.next() != nil else { throw .dnrLength }
  }

  /// Service priority: lower is better.
  package var priority: UInt16 { content.u16(Field.priority) }
  /// Seconds, 0xFFFFFFFF for ever, 0 withdraws; nil from DHCPv6.
  package var lifetime: UInt32? { isAdvertised ? content.u32(Field.lifetime) : nil }
  /// The authentication domain name, never the root.
  package var name: DomainName {
    @_lifetime(copy self) get {
      var fields = self.fields
      return DomainName(checked: fields.nextOrNothing())
    }
  }
  /// nil in ADN-only mode: the name is to be resolved (3.1.6).
  package var addresses: IPv6AddressList? {
    @_lifetime(copy self) get {
      var fields = self.fields
      _ = fields.nextOrNothing()
      return IPv6AddressList(fields.nextOrNothing())
    }
  }
  /// SvcParams (RFC 9460, 2.2), unread; empty in ADN-only mode.
  package var parameters: RawSpan {
    @_lifetime(copy self) get {
      var fields = self.fields
      _ = fields.nextOrNothing()
      _ = fields.nextOrNothing()
      return isAdvertised ? fields.nextOrNothing() : fields.remaining
    }
  }

  private var nameOffset: Int { isAdvertised ? Field.advertisedName : Field.name }
  private var fields: LengthPrefixed {
    @_lifetime(copy self) get { LengthPrefixed(content.slice(from: nameOffset)) }
  }

  @_lifetime(copy fields)
  private static func name(_ fields: inout LengthPrefixed) throws(Refusal) -> DomainName {
    guard let bytes = fields.next() else { throw .dnrLength }
    guard let name = DomainName(bytes), !name.isRoot, name.bytes.byteCount == bytes.byteCount else { throw .dnrName }
    return name
  }

  @_lifetime(copy fields)
  private static func addresses(_ fields: inout LengthPrefixed) throws(Refusal) -> IPv6AddressList? {
    guard fields.remaining.byteCount >= 2 else { return nil }
    guard let bytes = fields.next() else { throw .dnrLength }
    guard bytes.byteCount > 0 else { return nil }
    guard let addresses = IPv6AddressList(bytes) else { throw .dnrLength }
    return addresses
  }
}

/// Fields that are each preceded by their length in two bytes.
struct LengthPrefixed: ~Escapable {
  private(set) var remaining: RawSpan

  @_lifetime(copy bytes)
  init(_ bytes: RawSpan) { remaining = bytes }

  /// The next field; nil, and nothing is taken, where it does not fit.
  @_lifetime(copy self)
  mutating func next() -> RawSpan? {
    guard remaining.byteCount >= 2 else { return nil }
    let length = Int(remaining.u16(0))
    guard length <= remaining.byteCount - 2 else { return nil }
    let field = remaining.slice(2, length)
    remaining = remaining.slice(from: 2 + length)
    return field
  }

  /// The next field, empty where there is none.
  @_lifetime(copy self)
  mutating func nextOrNothing() -> RawSpan {
    guard let field = next() else { return remaining.slice(0, 0) }
    return field
  }
}
