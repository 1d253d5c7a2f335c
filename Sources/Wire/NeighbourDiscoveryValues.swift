/// Prefix Information Option (RFC 4861, 4.6.2), type 3.
package struct PrefixInformation: Hashable, Sendable {
  private enum Field {
    static let prefixLength = 2
    static let flags = 3
    static let validLifetime = 4
    static let preferredLifetime = 8
    static let prefix = 16
    static let end = 32
  }

  package struct Flags: OptionSet, Hashable, Sendable {
    package var rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    /// L: the prefix is on-link.
    package static let onLink = Flags(rawValue: 0x80)
    /// A: addresses may be formed from it (RFC 4862).
    package static let autonomous = Flags(rawValue: 0x40)
    /// R: the prefix field holds the router's whole address (RFC 6275, 7.2).
    package static let routerAddress = Flags(rawValue: 0x20)
    /// P: clients should ask for a delegated prefix instead; one that does ignores A (RFC 9762).
    package static let delegationPreferred = Flags(rawValue: 0x10)
  }

  /// The prefix, bits past its length cleared.
  package var prefix: IPPrefix
  /// The prefix field as it was sent: with `routerAddress` the router's global address.
  package var address: IPv6Address
  /// All eight bits, the reserved ones too.
  package var flags: Flags
  /// Seconds, 0xFFFFFFFF for ever.
  package var validLifetime: UInt32
  package var preferredLifetime: UInt32

  init(_ option: RawSpan) throws(Refusal) {
    guard option.byteCount == Field.end else { throw .pioLength }
    let length = option.u8(Field.prefixLength)
    guard length <= 128 else { throw .pioPrefixLength }
    address = option.ipv6(Field.prefix)
    // RFC 4861, 6.3.4 and RFC 4862, 5.5.3 b: the link-local prefix is ignored; a multicast one is nobody's address.
    guard !address.isLinkLocal, !address.isMulticast else { throw .pioScope }
    prefix = IPPrefix(.v6(address), length).masked
    flags = Flags(rawValue: option.u8(Field.flags))
    validLifetime = option.u32(Field.validLifetime)
    preferredLifetime = option.u32(Field.preferredLifetime)
  }

  /// Whether a host may form addresses from it (RFC 4862, 5.5.3 a and c). The valid lifetime may be 0.
  package var permitsAddresses: Bool { flags.contains(.autonomous) && preferredLifetime <= validLifetime }
}

/// Route Information Option (RFC 4191, 2.3), type 24.
package struct RouteInformation: Hashable, Sendable {
  private enum Field {
    static let prefixLength = 2
    static let preference = 3
    static let lifetime = 4
    static let prefix = 8
    static let end = 24
  }

  /// The destination, bits past its length cleared.
  package var prefix: IPPrefix
  package var preference: RouterPreference
  /// Seconds, 0xFFFFFFFF for ever, 0 withdraws.
  package var lifetime: UInt32

  init(_ option: RawSpan) throws(Refusal) {
    guard option.byteCount <= Field.end else { throw .rioLength }
    let length = option.u8(Field.prefixLength)
    guard length <= 128 else { throw .rioPrefixLength }
    let needed = length == 0 ? Field.prefix : length <= 64 ? Field.prefix + 8 : Field.end
    guard option.byteCount >= needed else { throw .rioLength }
    guard let preference = RouterPreference(bits: option.u8(Field.preference) >> 3) else { throw .rioPreference }
    let high = needed > Field.prefix ? option.u64(Field.prefix) : 0
    let low = needed == Field.end ? option.u64(Field.prefix + 8) : 0
    prefix = IPPrefix(.v6(IPv6Address(high, low)), length).masked
    self.preference = preference
    lifetime = option.u32(Field.lifetime)
  }
}

/// PREF64 (RFC 8781, 4), type 38: the NAT64 prefix.
package struct PREF64: Hashable, Sendable {
  private enum Field {
    static let lifetimeAndLength = 2
    static let prefix = 4
    static let end = 16
  }

  /// /96, /64, /56, /48, /40 or /32, bits past its length cleared.
  package var prefix: IPPrefix
  /// Seconds, in steps of 8; 0 withdraws.
  package var lifetime: UInt32

  init(_ option: RawSpan) throws(Refusal) {
    guard option.byteCount == Field.end else { throw .pref64Length }
    let field = option.u16(Field.lifetimeAndLength)
    let length: UInt8
    switch field & 7 {
    case 0: length = 96
    case 1: length = 64
    case 2: length = 56
    case 3: length = 48
    case 4: length = 40
    case 5: length = 32
    default: throw .pref64PrefixLength
    }
    let low = UInt64(option.u32(Field.prefix + 8)) << 32
    prefix = IPPrefix(.v6(IPv6Address(option.u64(Field.prefix), low)), length).masked
    // 13 bits in units of 8 s: with the low three bits cleared the field is the number of seconds.
    lifetime = UInt32(field & 0xFFF8)
  }
}

/// Addresses of IPv6, one after the other.
package struct IPv6AddressList: ~Escapable {
  private static let width = 16
  private let bytes: RawSpan

  /// nil unless `bytes` hold whole addresses, at least one.
  @_lifetime(copy bytes)
  init?(_ bytes: RawSpan) {
    guard bytes.byteCount > 0, bytes.byteCount % IPv6AddressList.width == 0 else { return nil }
    self.bytes = bytes
  }

  package var count: Int { bytes.byteCount / IPv6AddressList.width }
  /// `index` from 0 to `count` - 1; past that `::`.
  package subscript(index: Int) -> IPv6Address {
    guard index >= 0, index < count else { return .unspecified }
    return bytes.ipv6(index * IPv6AddressList.width)
  }
}

/// Recursive DNS Server option (RFC 8106, 5.1), type 25.
package struct RecursiveDNSServers: ~Escapable {
  private enum Field {
    static let lifetime = 4
    static let addresses = 8
  }

  /// Seconds, 0xFFFFFFFF for ever, 0 withdraws.
  package let lifetime: UInt32
  package let addresses: IPv6AddressList

  @_lifetime(copy option)
  init(_ option: RawSpan) throws(Refusal) {
    guard let addresses = IPv6AddressList(option.slice(from: Field.addresses)) else { throw .rdnssLength }
    self.addresses = addresses
    lifetime = option.u32(Field.lifetime)
  }

  package var count: Int { addresses.count }
  package subscript(index: Int) -> IPv6Address { addresses[index] }
}

/// DNS Search List option (RFC 8106, 5.2), type 31.
package struct DNSSearchList: ~Escapable {
  private enum Field {
    static let lifetime = 4
    static let names = 8
  }

  /// Seconds, 0xFFFFFFFF for ever, 0 withdraws.
  package let lifetime: UInt32
  /// At least one name; a copy of it iterates from the start.
  package let names: DomainNameList

  @_lifetime(copy option)
  init(_ option: RawSpan) throws(Refusal) {
    guard option.byteCount > Field.names else { throw .dnsslLength }
    guard let names = DomainNameList(option.slice(from: Field.names), isPadded: true) else { throw .dnsslName }
    self.names = names
    lifetime = option.u32(Field.lifetime)
  }
}
