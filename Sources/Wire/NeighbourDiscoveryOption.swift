/// One option of a Router Advertisement (RFC 4861, 4.6), decoded.
package enum NeighbourDiscoveryOption: ~Escapable {
  case prefixInformation(PrefixInformation)
  case routeInformation(RouteInformation)
  case recursiveDNSServers(RecursiveDNSServers)
  case dnsSearchList(DNSSearchList)
  /// The link's MTU in bytes, 1280 or more (RFC 4861, 4.6.4). Whether the link can do it is for the reader to judge.
  case mtu(UInt32)
  /// The router's link-layer address, with the option's padding (RFC 4861, 4.6.1: its length is the link's matter).
  case sourceLinkLayerAddress(RawSpan)
  case provisioningDomain(ProvisioningDomainOption)
  /// The captive portal API's URI in ASCII, padding removed (RFC 8910, 2.3).
  case captivePortal(RawSpan)
  case pref64(PREF64)
  case encryptedDNS(EncryptedDNS)
  case router(RouterOption)
  /// Any other option: its type and the bytes behind its length.
  case unknown(type: UInt8, RawSpan)
  /// An option of this type that must be ignored, and why. The packet lives on.
  case malformed(type: UInt8, Refusal)
}

/// The options of a Router Advertisement, or those within its PvD option, in their order.
package struct NeighbourDiscoveryOptions: ~Escapable {
  enum Field {
    // Type, then length in units of 8 bytes.
    static let length = 1
    static let value = 2
    static let unit = 8
  }

  enum Kind {
    static let sourceLinkLayerAddress: UInt8 = 1
    static let prefixInformation: UInt8 = 3
    static let mtu: UInt8 = 5
    static let advertisementInterval: UInt8 = 7
    static let homeAgentInformation: UInt8 = 8
    static let provisioningDomain: UInt8 = 21
    static let routeInformation: UInt8 = 24
    static let recursiveDNSServers: UInt8 = 25
    static let flagsExtension: UInt8 = 26
    static let dnsSearchList: UInt8 = 31
    static let captivePortal: UInt8 = 37
    static let pref64: UInt8 = 38
    static let encryptedDNS: UInt8 = 144
  }

  /// RFC 4861, 4.6.4 and RFC 8200, 5: no IPv6 link has a smaller one.
  static let smallestMTU: UInt32 = 1280

  private let bytes: RawSpan
  private let isNested: Bool
  private var offset = 0
  private var hasProvisioningDomain = false

  /// `bytes` must have been checked with `check`.
  @_lifetime(copy bytes)
  init(checked bytes: RawSpan, isNested: Bool) {
    self.bytes = bytes
    self.isNested = isNested
  }

  /// That every option has a length and ends within `bytes` (RFC 4861, 6.1.2).
  @inline(__always)
  static func check(_ bytes: RawSpan) throws(Refusal) {
    var offset = 0
    while offset < bytes.byteCount {
      guard bytes.byteCount &- offset > Field.length else { throw .raOptionOverrun }
      let length = Int(unsafe bytes.u8(unchecked: offset &+ Field.length)) &* Field.unit
      guard length > 0 else { throw .raOptionLength }
      guard length <= bytes.byteCount &- offset else { throw .raOptionOverrun }
      offset &+= length
    }
  }

  /// The next option, nil after the last.
  @_lifetime(copy self)
  @inline(__always)
  package mutating func next() -> NeighbourDiscoveryOption? {
    guard offset < bytes.byteCount else { return nil }
    // `check` found type, length and all the rest of it within the bytes.
    let type = unsafe bytes.u8(unchecked: offset)
    let length = Int(unsafe bytes.u8(unchecked: offset &+ Field.length)) &* Field.unit
    let option = unsafe bytes.slice(unchecked: offset, length)
    offset &+= length
    if type == Kind.provisioningDomain {
      // RFC 8801, 3.1: one PvD option counts, and none inside it.
      guard !isNested else { return .malformed(type: type, .pvdNested) }
      guard !hasProvisioningDomain else { return .malformed(type: type, .pvdRepeated) }
      hasProvisioningDomain = true
    }
    do {
      return try NeighbourDiscoveryOptions.decode(type, option)
    } catch {
      return .malformed(type: type, error)
    }
  }

  @_lifetime(copy option)
  @inline(__always)
  private static func decode(_ type: UInt8, _ option: RawSpan) throws(Refusal) -> NeighbourDiscoveryOption {
    switch type {
    case Kind.sourceLinkLayerAddress:
      return .sourceLinkLayerAddress(option.slice(from: Field.value))
    case Kind.prefixInformation:
      return .prefixInformation(try PrefixInformation(option))
    case Kind.mtu:
      guard option.byteCount == 8 else { throw .mtuLength }
      let mtu = option.u32(4)
      guard mtu >= smallestMTU else { throw .mtuValue }
      return .mtu(mtu)
    case Kind.provisioningDomain:
      return .provisioningDomain(try ProvisioningDomainOption(option))
    case Kind.routeInformation:
      return .routeInformation(try RouteInformation(option))
    case Kind.recursiveDNSServers:
      return .recursiveDNSServers(try RecursiveDNSServers(option))
    case Kind.dnsSearchList:
      return .dnsSearchList(try DNSSearchList(option))
    case Kind.captivePortal:
      guard let uri = CaptivePortal.uri(option.slice(from: Field.value)) else { throw .captivePortalURI }
      return .captivePortal(uri)
    case Kind.pref64:
      return .pref64(try PREF64(option))
    case Kind.encryptedDNS:
      return .encryptedDNS(try EncryptedDNS(routerAdvertisementOption: option))
    case Kind.flagsExtension, Kind.advertisementInterval, Kind.homeAgentInformation:
      return .router(try RouterOption(option))
    default:
      return .unknown(type: type, option.slice(from: Field.value))
    }
  }
}

/// Default Router Preference and route preference (RFC 4191, 2.1); larger is better.
package enum RouterPreference: Int8, Hashable, Sendable, CaseIterable {
  case low = -1
  case medium = 0
  case high = 1

  /// False for the reserved 10.
  static func isKnown(bits: UInt8) -> Bool { bits & 3 != 2 }

  /// From the two bits as they are sent; nil for the reserved 10.
  init?(bits: UInt8) {
    switch bits & 3 {
    case 0: self = .medium
    case 1: self = .high
    case 3: self = .low
    default: return nil
    }
  }
}

/// The captive portal API's URI, in RAs and both DHCPs (RFC 8910, 2).
enum CaptivePortal {
  /// `bytes` without zeros at their end; nil unless what remains is visible ASCII, as every URI is (RFC 3986, 2).
  @_lifetime(copy bytes)
  static func uri(_ bytes: RawSpan) -> RawSpan? {
    var count = bytes.byteCount
    while count > 0, bytes.u8(count - 1) == 0 { count -= 1 }
    guard count > 0 else { return nil }
    for index in 0..<count where !isAllowed(bytes.u8(index)) { return nil }
    return bytes.slice(0, count)
  }

  static func isAllowed(_ byte: UInt8) -> Bool { byte > 0x20 && byte < 0x7F }
}
