/// An encrypted DNS resolver from a Router Advertisement or DHCPv6 (RFC 9463, 4.1 and 6.1).
package struct EncryptedDNS: ~Escapable {
  private enum Field {
    /// In a Router Advertisement's option, from its type on.
    static let advertisedPriority = 2
    static let advertisedLifetime = 4
    static let advertisedName = 8
    /// In a DHCPv6 option, from its value on.
    static let priority = 0
    static let name = 2
  }

  /// Service priority: lower is better.
  package let priority: UInt16
  /// Seconds, 0xFFFFFFFF for ever, 0 withdraws; nil from DHCPv6.
  package let lifetime: UInt32?
  /// The authentication domain name, never the root.
  package let name: DomainName
  /// nil in ADN-only mode: the name is to be resolved (3.1.6).
  package let addresses: IPv6AddressList?
  /// SvcParams (RFC 9460, 2.2), unread; empty in ADN-only mode.
  package let parameters: RawSpan
  /// The whole option behind its code and length, padding included. In a Router Advertisement's the lifetime stands
  /// in its bytes 2 to 5.
  package let content: RawSpan

  @_lifetime(copy option)
  init(routerAdvertisementOption option: RawSpan) throws(Refusal) {
    guard option.byteCount > Field.advertisedName else { throw .dnrLength }
    var fields = LengthPrefixed(option.slice(from: Field.advertisedName))
    name = try EncryptedDNS.name(&fields)
    addresses = try EncryptedDNS.addresses(&fields)
    // What follows is padding where nothing else is (6.1).
    if fields.remaining.byteCount >= 2 {
      guard let parameters = fields.next() else { throw .dnrLength }
      self.parameters = parameters
    } else {
      parameters = fields.remaining
    }
    content = option.slice(from: Field.advertisedPriority)
    priority = option.u16(Field.advertisedPriority)
    lifetime = option.u32(Field.advertisedLifetime)
  }

  @_lifetime(copy value)
  init(dhcpv6Value value: RawSpan) throws(Refusal) {
    guard value.byteCount > Field.name else { throw .dnrLength }
    var fields = LengthPrefixed(value.slice(from: Field.name))
    name = try EncryptedDNS.name(&fields)
    addresses = try EncryptedDNS.addresses(&fields)
    parameters = fields.remaining
    content = value
    priority = value.u16(Field.priority)
    lifetime = nil
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
}
