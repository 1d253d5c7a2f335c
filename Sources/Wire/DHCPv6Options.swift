/// Numbers of DHCPv6 options (IANA; RFC 8415 where nothing else is said).
package enum DHCPv6OptionCode {
  package static let clientIdentifier: UInt16 = 1
  package static let serverIdentifier: UInt16 = 2
  package static let nonTemporaryAddresses: UInt16 = 3
  package static let address: UInt16 = 5
  package static let preference: UInt16 = 7
  package static let statusCode: UInt16 = 13
  package static let rapidCommit: UInt16 = 14
  /// RFC 3646.
  package static let dnsServers: UInt16 = 23
  package static let domainSearch: UInt16 = 24
  package static let prefixDelegation: UInt16 = 25
  package static let prefix: UInt16 = 26
  /// RFC 4075.
  package static let sntpServers: UInt16 = 31
  package static let informationRefreshTime: UInt16 = 32
  /// RFC 4833.
  package static let posixTimeZone: UInt16 = 41
  package static let timeZoneName: UInt16 = 42
  /// RFC 5908.
  package static let ntpServer: UInt16 = 56
  /// RFC 8910.
  package static let captivePortal: UInt16 = 103
  /// RFC 9463.
  package static let encryptedDNS: UInt16 = 144
}

/// One option of a DHCPv6 message, or one within such an option, decoded. Where which one may stand (RFC 8415, 24) is
/// for the reader: what stands elsewhere is ignored.
package enum DHCPv6Option: ~Escapable {
  /// A DUID: its type and what follows, 3 to 130 bytes.
  case clientIdentifier(RawSpan)
  case serverIdentifier(RawSpan)
  /// IA_NA.
  case nonTemporaryAddresses(IdentityAssociation)
  /// IA_PD.
  case prefixDelegation(IdentityAssociation)
  /// IAADDR, inside of an IA_NA.
  case address(LeasedAddress)
  /// IAPREFIX, inside of an IA_PD.
  case prefix(DelegatedPrefix)
  /// The server's preference, larger is better (21.8).
  case preference(UInt8)
  /// The code, and a message for people in UTF-8 (21.13).
  case statusCode(DHCPv6Status, message: RawSpan)
  case rapidCommit
  case dnsServers(IPv6AddressList)
  /// A copy of it iterates from the start.
  case domainSearch(DomainNameList)
  case sntpServers(IPv6AddressList)
  case ntpServer(NTPServer)
  /// Seconds, never below IRT_MINIMUM (21.23).
  case informationRefreshTime(UInt32)
  /// A POSIX TZ string, a name of the time zone database (RFC 4833, 2): visible ASCII.
  case posixTimeZone(RawSpan)
  case timeZoneName(RawSpan)
  /// The captive portal API's URI in visible ASCII (RFC 8910, 2.2).
  case captivePortal(RawSpan)
  case encryptedDNS(EncryptedDNS)
  /// Any other option: its number and its value.
  case unknown(code: UInt16, RawSpan)
  /// An option of this number that must be ignored, and why. The message lives on.
  case malformed(code: UInt16, Refusal)

  /// RFC 8415, 7.6: IRT_MINIMUM, and the default where no such option is there.
  package static let shortestRefreshTime: UInt32 = 600
  package static let defaultRefreshTime: UInt32 = 86_400

  /// RFC 8415, 11.1: a type of 2 bytes, then 1 to 128 bytes.
  static func isIdentifier(_ value: RawSpan) -> Bool { value.byteCount >= 3 && value.byteCount <= 130 }

  @_lifetime(copy value)
  static func decode(_ code: UInt16, _ value: RawSpan) throws(Refusal) -> DHCPv6Option {
    switch code {
    case DHCPv6OptionCode.clientIdentifier:
      guard isIdentifier(value) else { throw .dhcpv6OptionLength }
      return .clientIdentifier(value)
    case DHCPv6OptionCode.serverIdentifier:
      guard isIdentifier(value) else { throw .dhcpv6OptionLength }
      return .serverIdentifier(value)
    case DHCPv6OptionCode.nonTemporaryAddresses:
      return .nonTemporaryAddresses(try IdentityAssociation(value))
    case DHCPv6OptionCode.prefixDelegation:
      return .prefixDelegation(try IdentityAssociation(value))
    case DHCPv6OptionCode.address:
      return .address(try LeasedAddress(value))
    case DHCPv6OptionCode.prefix:
      return .prefix(try DelegatedPrefix(value))
    case DHCPv6OptionCode.preference:
      guard value.byteCount == 1 else { throw .dhcpv6OptionLength }
      return .preference(value.u8(0))
    case DHCPv6OptionCode.statusCode:
      guard value.byteCount >= 2 else { throw .dhcpv6OptionLength }
      return .statusCode(DHCPv6Status(rawValue: value.u16(0)), message: value.slice(from: 2))
    case DHCPv6OptionCode.rapidCommit:
      guard value.byteCount == 0 else { throw .dhcpv6OptionLength }
      return .rapidCommit
    case DHCPv6OptionCode.dnsServers:
      return .dnsServers(try addresses(value))
    case DHCPv6OptionCode.domainSearch:
      guard let names = DomainNameList(value, isPadded: false) else { throw .dhcpv6Name }
      return .domainSearch(names)
    case DHCPv6OptionCode.sntpServers:
      return .sntpServers(try addresses(value))
    case DHCPv6OptionCode.ntpServer:
      return .ntpServer(try NTPServer(value))
    case DHCPv6OptionCode.informationRefreshTime:
      guard value.byteCount == 4 else { throw .dhcpv6OptionLength }
      return .informationRefreshTime(max(value.u32(0), shortestRefreshTime))
    case DHCPv6OptionCode.posixTimeZone:
      return .posixTimeZone(try text(value))
    case DHCPv6OptionCode.timeZoneName:
      return .timeZoneName(try text(value))
    case DHCPv6OptionCode.captivePortal:
      guard let uri = CaptivePortal.uri(value) else { throw .captivePortalURI }
      return .captivePortal(uri)
    case DHCPv6OptionCode.encryptedDNS:
      return .encryptedDNS(try EncryptedDNS(dhcpv6Value: value))
    default:
      return .unknown(code: code, value)
    }
  }

  @_lifetime(copy value)
  private static func addresses(_ value: RawSpan) throws(Refusal) -> IPv6AddressList {
    guard let addresses = IPv6AddressList(value) else { throw .dhcpv6OptionLength }
    return addresses
  }

  @_lifetime(copy value)
  private static func text(_ value: RawSpan) throws(Refusal) -> RawSpan {
    guard value.byteCount > 0 else { throw .dhcpv6OptionLength }
    for index in 0..<value.byteCount where !CaptivePortal.isAllowed(value.u8(index)) { throw .dhcpv6OptionValue }
    return value
  }
}

/// Options one after the other (RFC 8415, 21.1), of a message or inside of one of its options.
package struct DHCPv6Options: ~Escapable {
  private enum Field {
    static let code = 0
    static let length = 2
    static let value = 4
  }

  private let bytes: RawSpan
  private var offset = 0

  /// `bytes` must have been found whole.
  @_lifetime(copy bytes)
  init(checked bytes: RawSpan) { self.bytes = bytes }

  /// Whether every option ends within `bytes`, and nothing is left behind the last.
  static func areWhole(_ bytes: RawSpan) -> Bool {
    var offset = 0
    while offset < bytes.byteCount {
      guard bytes.byteCount - offset >= Field.value else { return false }
      let length = Int(bytes.u16(offset + Field.length))
      guard bytes.byteCount - offset - Field.value >= length else { return false }
      offset += Field.value + length
    }
    return true
  }

  /// The value of the first option `code`.
  @_lifetime(copy bytes)
  static func first(_ code: UInt16, in bytes: RawSpan) -> RawSpan? {
    var offset = 0
    while offset < bytes.byteCount {
      let length = Int(bytes.u16(offset + Field.length))
      if bytes.u16(offset + Field.code) == code { return bytes.slice(offset + Field.value, length) }
      offset += Field.value + length
    }
    return nil
  }

  /// The next option, nil after the last.
  @_lifetime(copy self)
  package mutating func next() -> DHCPv6Option? {
    guard offset < bytes.byteCount else { return nil }
    let code = bytes.u16(offset + Field.code)
    let length = Int(bytes.u16(offset + Field.length))
    let value = bytes.slice(offset + Field.value, length)
    offset += Field.value + length
    do {
      return try DHCPv6Option.decode(code, value)
    } catch {
      return .malformed(code: code, error)
    }
  }
}
