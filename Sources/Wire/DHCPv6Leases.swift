/// IA_NA (RFC 8415, 21.4) or IA_PD (21.21): what a server leases to one interface. Its options are addresses or
/// prefixes, and a status code that speaks of all of them.
package struct IdentityAssociation: ~Escapable {
  private enum Field {
    static let identifier = 0
    static let renewalTime = 4
    static let rebindingTime = 8
    static let options = 12
  }

  /// IAID, the client's own number.
  package let identifier: UInt32
  /// T1 in seconds: 0 leaves it to the client, 0xFFFFFFFF is never.
  package let renewalTime: UInt32
  /// T2 likewise.
  package let rebindingTime: UInt32
  private let nested: RawSpan

  @_lifetime(copy value)
  init(_ value: RawSpan) throws(Refusal) {
    guard value.byteCount >= Field.options else { throw .dhcpv6OptionLength }
    let nested = value.slice(from: Field.options)
    guard DHCPv6Options.areWhole(nested) else { throw .dhcpv6NestedOverrun }
    identifier = value.u32(Field.identifier)
    renewalTime = value.u32(Field.renewalTime)
    rebindingTime = value.u32(Field.rebindingTime)
    guard rebindingTime == 0 || renewalTime <= rebindingTime else { throw .dhcpv6Timers }
    self.nested = nested
  }

  package var options: DHCPv6Options {
    @_lifetime(copy self) get { DHCPv6Options(checked: nested) }
  }

  /// What happened to the association as a whole; success where nothing is said.
  package var status: DHCPv6Status { DHCPv6Status(within: nested) }
}

/// IAADDR (RFC 8415, 21.6).
package struct LeasedAddress: ~Escapable {
  private enum Field {
    static let address = 0
    static let preferredLifetime = 16
    static let validLifetime = 20
    static let options = 24
  }

  package let address: IPv6Address
  /// Seconds, 0xFFFFFFFF for ever; at most `validLifetime`.
  package let preferredLifetime: UInt32
  /// Seconds; 0 takes the address away now.
  package let validLifetime: UInt32
  private let nested: RawSpan

  @_lifetime(copy value)
  init(_ value: RawSpan) throws(Refusal) {
    guard value.byteCount >= Field.options else { throw .dhcpv6OptionLength }
    let nested = value.slice(from: Field.options)
    guard DHCPv6Options.areWhole(nested) else { throw .dhcpv6NestedOverrun }
    address = value.ipv6(Field.address)
    preferredLifetime = value.u32(Field.preferredLifetime)
    validLifetime = value.u32(Field.validLifetime)
    guard preferredLifetime <= validLifetime else { throw .dhcpv6Lifetimes }
    self.nested = nested
  }

  package var status: DHCPv6Status { DHCPv6Status(within: nested) }
}

/// IAPREFIX (RFC 8415, 21.22).
package struct DelegatedPrefix: ~Escapable {
  private enum Field {
    static let preferredLifetime = 0
    static let validLifetime = 4
    static let prefixLength = 8
    static let prefix = 9
    static let options = 25
  }

  /// Bits past its length cleared.
  package let prefix: IPPrefix
  /// Seconds, 0xFFFFFFFF for ever; at most `validLifetime`.
  package let preferredLifetime: UInt32
  /// Seconds; 0 takes the prefix away now.
  package let validLifetime: UInt32
  private let nested: RawSpan

  @_lifetime(copy value)
  init(_ value: RawSpan) throws(Refusal) {
    guard value.byteCount >= Field.options else { throw .dhcpv6OptionLength }
    let nested = value.slice(from: Field.options)
    guard DHCPv6Options.areWhole(nested) else { throw .dhcpv6NestedOverrun }
    let length = value.u8(Field.prefixLength)
    guard length <= 128 else { throw .dhcpv6PrefixLength }
    prefix = IPPrefix(.v6(value.ipv6(Field.prefix)), length).masked
    preferredLifetime = value.u32(Field.preferredLifetime)
    validLifetime = value.u32(Field.validLifetime)
    guard preferredLifetime <= validLifetime else { throw .dhcpv6Lifetimes }
    self.nested = nested
  }

  package var status: DHCPv6Status { DHCPv6Status(within: nested) }
}

extension DHCPv6Status {
  /// The status that stands among `options`, which are whole.
  init(within options: RawSpan) {
    guard let value = DHCPv6Options.first(DHCPv6OptionCode.statusCode, in: options), value.byteCount >= 2 else {
      self = .success
      return
    }
    self.init(rawValue: value.u16(0))
  }
}

/// One time source of the NTP server option (RFC 5908, 4), which holds exactly one suboption.
package enum NTPServer: ~Escapable {
  case address(IPv6Address)
  case multicast(IPv6Address)
  case name(DomainName)

  private enum Field {
    static let code = 0
    static let length = 2
    static let value = 4
  }

  @_lifetime(copy option)
  init(_ option: RawSpan) throws(Refusal) {
    guard option.byteCount >= Field.value else { throw .dhcpv6OptionLength }
    let value = option.slice(from: Field.value)
    guard Int(option.u16(Field.length)) == value.byteCount else { throw .dhcpv6NestedOverrun }
    switch option.u16(Field.code) {
    case 1:
      guard value.byteCount == 16 else { throw .dhcpv6OptionLength }
      self = .address(value.ipv6(0))
    case 2:
      guard value.byteCount == 16 else { throw .dhcpv6OptionLength }
      self = .multicast(value.ipv6(0))
    case 3:
      guard let name = DomainName(value), !name.isRoot, name.bytes.byteCount == value.byteCount else {
        throw .dhcpv6Name
      }
      self = .name(name)
    default:
      throw .dhcpv6OptionValue
    }
  }
}
