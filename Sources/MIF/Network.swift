import Messages

/// A network interface.
public struct Interface: Hashable, Sendable {
  /// The kernel's index, never 0.
  public let index: UInt32
  public let name: String
  /// Administratively up.
  public let isUp: Bool
  public let hasCarrier: Bool
  public let isLoopback: Bool
  public let isPointToPoint: Bool

  init(_ interface: InterfaceDescription) {
    index = interface.identifier
    name = String(decoding: interface.name.bytes, as: UTF8.self)
    isUp = interface.flags.contains(.up)
    hasCarrier = interface.flags.contains(.carrier)
    isLoopback = interface.flags.contains(.loopback)
    isPointToPoint = interface.flags.contains(.pointToPoint)
  }
}

/// A provisioning domain: a consistent set of configuration of one interface (RFC 7556).
public struct ProvisioningDomain: Hashable, Sendable {
  /// The agent's number, never 0.
  public let identifier: UInt32
  /// The FQDN of a PvD option (RFC 8801), or a readable name made of interface and source.
  public let name: String
  /// Whether the name is that of a PvD option.
  public let isExplicit: Bool
  /// The interface's index.
  public let interface: UInt32

  init(_ pvd: PvDDescription, on interface: UInt32) {
    identifier = pvd.identifier
    name = String(decoding: pvd.name, as: UTF8.self)
    isExplicit = pvd.isExplicit
    self.interface = interface
  }
}

/// Where a part of a provisioning domain's configuration comes from.
public enum ConfigurationElement: UInt16, Hashable, Sendable, CaseIterable, CustomStringConvertible {
  case routerAdvertisement = 1
  case dhcpv6 = 2
  case dhcpv4 = 3
  /// Configured by hand, or before the agent started.
  case kernel = 4

  public var description: String {
    switch self {
    case .routerAdvertisement: "RA"
    case .dhcpv6: "DHCPv6"
    case .dhcpv4: "DHCPv4"
    case .kernel: "kernel"
    }
  }

  init(_ type: ElementType) {
    self =
      switch type {
      case .routerAdvertisement: .routerAdvertisement
      case .dhcpv6: .dhcpv6
      case .dhcpv4: .dhcpv4
      case .kernel: .kernel
      }
  }
}

/// The state of an address.
public struct AddressState: OptionSet, Hashable, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Duplicate address detection is not done.
  public static let tentative = AddressState(rawValue: 0x01)
  /// Duplicate address detection found another holder.
  public static let duplicate = AddressState(rawValue: 0x02)
  /// The preferred lifetime has run out.
  public static let deprecated = AddressState(rawValue: 0x04)
  /// A temporary address (RFC 8981).
  public static let temporary = AddressState(rawValue: 0x08)
  /// Without a lifetime.
  public static let permanent = AddressState(rawValue: 0x10)
  /// Configured by the kernel from a Router Advertisement.
  public static let advertised = AddressState(rawValue: 0x20)
  /// A secondary IPv4 address of its subnet.
  public static let secondary = AddressState(rawValue: 0x40)

  private static let names: [(AddressState, String)] = [
    (.tentative, "tentative"), (.duplicate, "duplicate"), (.deprecated, "deprecated"), (.temporary, "temporary"),
    (.permanent, "permanent"), (.advertised, "advertised"), (.secondary, "secondary"),
  ]
  /// The names of what is set.
  public var names: [String] { AddressState.names.filter { contains($0.0) }.map { $0.1 } }
}

/// A lifetime that is left.
public enum Lifetime: Hashable, Sendable {
  case seconds(UInt32)
  case infinite

  init(_ seconds: UInt32) { self = seconds == .max ? .infinite : .seconds(seconds) }

  /// nil for an infinite one.
  public var seconds: UInt32? {
    if case .seconds(let seconds) = self { seconds } else { nil }
  }
}

/// An address of a provisioning domain.
public struct DomainAddress: Hashable, Sendable {
  /// With host bits.
  public let prefix: IPPrefix
  public let state: AddressState
  public let preferredLifetime: Lifetime
  public let validLifetime: Lifetime

  init(_ address: AnnouncedAddress) {
    prefix = IPPrefix(address: IPAddress(address.address, scope: address.scope), length: address.prefixLength)
    state = AddressState(rawValue: address.flags.rawValue)
    preferredLifetime = Lifetime(address.preferredLifetime)
    validLifetime = Lifetime(address.validLifetime)
  }
}

/// One of the agent's counters.
public struct Statistic: Hashable, Sendable {
  public let name: String
  public let value: UInt64
}
