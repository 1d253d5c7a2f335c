/// Prefix Information Option (RFC 4861, 4.6.2), type 3.
package struct PrefixInformation: ~Escapable {
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

  private let option: RawSpan

  @_lifetime(copy option)
  @inline(__always)
  init(_ option: RawSpan) throws(Refusal) {
    guard option.byteCount == Field.end else { throw .pioLength }
    guard option.u8(Field.prefixLength) <= 128 else { throw .pioPrefixLength }
    let address = option.ipv6(Field.prefix)
    // RFC 4861, 6.3.4 and RFC 4862, 5.5.3 b: the link-local prefix is ignored; a multicast one is nobody's address.
    guard !address.isLinkLocal, !address.isMulticast else { throw .pioScope }
    self.option = option
  }

  /// The prefix, bits past its length cleared.
  package var prefix: IPPrefix { IPPrefix(masking: address, option.u8(Field.prefixLength)) }
  /// The prefix field as it was sent: with `routerAddress` the router's global address.
  package var address: IPv6Address { option.ipv6(Field.prefix) }
  /// All eight bits, the reserved ones too.
  package var flags: Flags { Flags(rawValue: option.u8(Field.flags)) }
  /// Seconds, 0xFFFFFFFF for ever.
  package var validLifetime: UInt32 { option.u32(Field.validLifetime) }
  package var preferredLifetime: UInt32 { option.u32(Field.preferredLifetime) }

  /// Whether a host may form addresses from it (RFC 4862, 5.5.3 a and c). The valid lifetime may be 0.
  package var permitsAddresses: Bool { flags.contains(.autonomous) && preferredLifetime <= validLifetime }
}

/// Route Information Option (RFC 4191, 2.3), type 24.
package struct RouteInformation: ~Escapable {
  private enum Field {
    static let prefixLength = 2
    static let preference = 3
    static let lifetime = 4
    static let prefix = 8
    static let end = 24
  }

  private let option: RawSpan

  @_lifetime(copy option)
  @inline(__always)
  init(_ option: RawSpan) throws(Refusal) {
    guard option.byteCount <= Field.end else { throw .rioLength }
    let length = option.u8(Field.prefixLength)
    guard length <= 128 else { throw .rioPrefixLength }
    let needed = length == 0 ? Field.prefix : length <= 64 ? Field.prefix + 8 : Field.end
    guard option.byteCount >= needed else { throw .rioLength }
    guard RouterPreference.isKnown(bits: option.u8(Field.preference) >> 3) else { throw .rioPreference }
    self.option = option
  }

  /// The destination, bits past its length cleared.
  package var prefix: IPPrefix {
    let length = option.u8(Field.prefixLength)
    // No more of it is there than counts.
    let high = length > 0 ? option.u64(Field.prefix) : 0
    let low = length > 64 ? option.u64(Field.prefix + 8) : 0
    return IPPrefix(masking: IPv6Address(high, low), length)
  }
  package var preference: RouterPreference { RouterPreference(bits: option.u8(Field.preference) >> 3) ?? .medium }
  /// Seconds, 0xFFFFFFFF for ever, 0 withdraws.
  package var lifetime: UInt32 { option.u32(Field.lifetime) }
}

/// PREF64 (RFC 8781, 4), type 38: the NAT64 prefix.
package struct PREF64: ~Escapable {
  private enum Field {
    static let lifetimeAndLength = 2
    static let prefix = 4
    static let end = 16
  }

  private let option: RawSpan

  @_lifetime(copy option)
  init(_ option: RawSpan) throws(Refusal) {
    guard option.byteCount == Field.end else { throw .pref64Length }
    guard option.u16(Field.lifetimeAndLength) & 7 <= 5 else { throw .pref64PrefixLength }
    self.option = option
  }

  /// /96, /64, /56, /48, /40 or /32, bits past its length cleared.
  package var prefix: IPPrefix {
    let code = UInt8(option.u16(Field.lifetimeAndLength) & 7)
    let low = UInt64(option.u32(Field.prefix + 8)) << 32
    return IPPrefix(masking: IPv6Address(option.u64(Field.prefix), low), code == 0 ? 96 : 72 - 8 * code)
  }
  /// Seconds, in steps of 8; 0 withdraws.
  package var lifetime: UInt32 {
    // 13 bits in units of 8 s: with the low three bits cleared the field is the number of seconds.
    UInt32(option.u16(Field.lifetimeAndLength) & 0xFFF8)
  }
}

/// Addresses of IPv6, one after the other.
package struct IPv6AddressList: ~Escapable {
  private static let width = 16
  private let bytes: RawSpan

  /// nil unless `bytes` hold whole addresses, at least one.
  @_lifetime(copy bytes)
  init?(_ bytes: RawSpan) {
    guard bytes.byteCount > 0, bytes.byteCount.isMultiple(of: IPv6AddressList.width) else { return nil }
    self.bytes = bytes
  }

  /// `bytes` must have been found to be addresses.
  @_lifetime(copy bytes)
  @inline(__always)
  init(checked bytes: RawSpan) { self.bytes = bytes }

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

  private let option: RawSpan

  @_lifetime(copy option)
  @inline(__always)
  init(_ option: RawSpan) throws(Refusal) {
    guard IPv6AddressList(option.slice(from: Field.addresses)) != nil else { throw .rdnssLength }
    self.option = option
  }

  /// Seconds, 0xFFFFFFFF for ever, 0 withdraws.
  package var lifetime: UInt32 { option.u32(Field.lifetime) }
  package var addresses: IPv6AddressList {
    @_lifetime(copy self) @inline(__always) get { IPv6AddressList(checked: option.slice(from: Field.addresses)) }
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

  private let option: RawSpan

  @_lifetime(copy option)
  @inline(__always)
  init(_ option: RawSpan) throws(Refusal) {
    guard option.byteCount > Field.names else { throw .dnsslLength }
    guard DomainNameList(option.slice(from: Field.names), isPadded: true) != nil else { throw .dnsslName }
    self.option = option
  }

  /// Seconds, 0xFFFFFFFF for ever, 0 withdraws.
  package var lifetime: UInt32 { option.u32(Field.lifetime) }
  /// At least one name.
  package var names: DomainNameList {
    @_lifetime(copy self) @inline(__always) get { DomainNameList(checked: option.slice(from: Field.names)) }
  }
}
