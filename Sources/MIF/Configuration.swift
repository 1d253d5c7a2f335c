import Messages
import Wire

/// Which piece of an element's configuration an item is.
public struct ConfigurationKey: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  /// The Configuration Information Identifier of docs/protocol.md.
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  public static let dnsServers = ConfigurationKey(rawValue: 1)
  public static let searchList = ConfigurationKey(rawValue: 2)
  public static let mtu = ConfigurationKey(rawValue: 3)
  public static let hopLimit = ConfigurationKey(rawValue: 4)
  public static let prefixes = ConfigurationKey(rawValue: 5)
  public static let routes = ConfigurationKey(rawValue: 6)
  public static let defaultRouter = ConfigurationKey(rawValue: 7)
  public static let ntpServers = ConfigurationKey(rawValue: 8)
  public static let captivePortal = ConfigurationKey(rawValue: 9)
  public static let pref64 = ConfigurationKey(rawValue: 10)
  public static let encryptedDNS = ConfigurationKey(rawValue: 11)
  public static let pvdOption = ConfigurationKey(rawValue: 12)
  public static let lease = ConfigurationKey(rawValue: 13)
  public static let delegatedPrefixes = ConfigurationKey(rawValue: 14)
  public static let domainName = ConfigurationKey(rawValue: 15)
  public static let hostName = ConfigurationKey(rawValue: 16)
  public static let timeZone = ConfigurationKey(rawValue: 17)
  /// PvD Additional Information (RFC 8801 section 4): a JSON object as text.
  public static let additionalInformation = ConfigurationKey(rawValue: 18)

  /// The number of an option that has no key of its own.
  public var optionNumber: UInt16? { rawValue >> 16 == 1 ? UInt16(truncatingIfNeeded: rawValue) : nil }

  private static let names: [UInt32: String] = [
    1: "dns", 2: "search", 3: "mtu", 4: "hoplimit", 5: "prefix", 6: "route", 7: "router", 8: "ntp",
    9: "captive-portal", 10: "pref64", 11: "encrypted-dns", 12: "pvd-option", 13: "lease", 14: "delegated-prefix",
    15: "domain", 16: "hostname", 17: "timezone", 18: "additional-information",
  ]
  public var description: String {
    if let name = ConfigurationKey.names[rawValue] { return name }
    if let optionNumber { return "option-\(optionNumber)" }
    return "information-\(rawValue)"
  }
}

/// Preference of a router or route (RFC 4191).
public enum RoutePreference: Int8, Hashable, Sendable, CustomStringConvertible {
  case low = -1
  case medium = 0
  case high = 1

  public var description: String {
    switch self {
    case .low: "low"
    case .medium: "medium"
    case .high: "high"
    }
  }
}

/// One item of configuration.
public struct Configuration: Hashable, Sendable {
  public enum Value: Hashable, Sendable {
    case address(IPAddress)
    case text(String)
    case number(UInt32)
    /// The flags are those of a Prefix Information option: L 0x80, A 0x40, R 0x20, P 0x10; else 0.
    case prefix(IPPrefix, flags: UInt8)
    /// Without a gateway the destination is on the link.
    case route(IPPrefix, gateway: IPAddress?, RoutePreference)
    case router(IPAddress, RoutePreference)
    /// RFC 8801: H 0x8000, L 0x4000, R 0x2000, the delay in the low 4 bits; sequence number.
    case pvd(flags: UInt16, sequence: UInt16)
    /// The server; T1 and T2 in seconds.
    case lease(server: IPAddress, renewal: UInt32, rebinding: UInt32)
    case bytes([UInt8])
  }

  public let key: ConfigurationKey
  public let value: Value
  public let preferredLifetime: Lifetime
  public let validLifetime: Lifetime

  /// `scope` is the interface, for link-local addresses.
  init(_ item: ConfigurationItem, scope: UInt32) {
    key = ConfigurationKey(rawValue: item.identifier.rawValue)
    preferredLifetime = Lifetime(item.preferredLifetime)
    validLifetime = Lifetime(item.validLifetime)
    func address(_ address: Wire.IPAddress) -> IPAddress {
      IPAddress(address, scope: address.family == .v6 && address.isLinkLocal ? scope : 0)
    }
    func prefix(_ prefix: Wire.IPPrefix) -> IPPrefix {
      IPPrefix(address: IPAddress(prefix.address), length: prefix.length)
    }
    value =
      switch item.value {
      case .address(let server): .address(address(server))
      case .text(let bytes): .text(String(decoding: bytes, as: UTF8.self))
      case .number(let number): .number(number)
      case .prefix(let value, let flags): .prefix(prefix(value), flags: flags)
      case .route(let destination, let gateway, let preference):
        .route(
          prefix(destination), gateway: gateway.isUnspecified ? nil : address(gateway),
          RoutePreference(rawValue: preference) ?? .medium)
      case .router(let router, let preference):
        .router(address(router), RoutePreference(rawValue: preference) ?? .medium)
      case .pvd(let flags, let sequence): .pvd(flags: flags, sequence: sequence)
      case .lease(let server, let renewal, let rebinding):
        .lease(server: address(server), renewal: renewal, rebinding: rebinding)
      case .bytes(let bytes): .bytes(bytes)
      }
  }
}
