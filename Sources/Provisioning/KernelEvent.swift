package import Messages
package import Wire

/// What the kernel says of this host's links, addresses, default routes and gateways (rtnetlink).
package enum KernelEvent: Sendable {
  /// A link exists, or something of it changed.
  case link(Link)
  case linkRemoved(index: UInt32)
  /// An address exists, or its flags or lifetimes changed.
  case address(InterfaceAddress)
  case addressRemoved(interface: UInt32, IPPrefix)
  /// A default route exists (destination length 0).
  case defaultRoute(DefaultRoute)
  case defaultRouteRemoved(DefaultRoute)
  /// What neighbour discovery or ARP knows of an address that is, or may be, a gateway.
  case neighbour(interface: UInt32, IPAddress, Reachability)
  /// The first dump of everything is through: what came before was there before us.
  case snapshotComplete
}

package struct Link: Hashable, Sendable {
  package var index: UInt32
  package var name: InterfaceName
  package var isUp: Bool
  /// IFF_RUNNING: operational state up or unknown (RFC 2863).
  package var hasCarrier: Bool
  package var isLoopback: Bool
  package var isPointToPoint: Bool
  package var mtu: UInt32
  /// The index of the bridge, bond or VRF that the link belongs to, 0 for none.
  package var master: UInt32
  /// What arrives is the master's: the link is a port of a bridge, a bond or a team, not of a VRF.
  package var handsFramesOn: Bool
  /// Whose default routes are the link's: the main table, or that of its VRF.
  package var routingTable: UInt32
  /// Up to 8 bytes, the first one highest; `hardwareAddressLength` says how many count.
  package var hardwareAddress: UInt64
  package var hardwareAddressLength: UInt8

  package init(
    index: UInt32, name: InterfaceName, isUp: Bool, hasCarrier: Bool, isLoopback: Bool = false,
    isPointToPoint: Bool = false, mtu: UInt32 = 1500, master: UInt32 = 0, handsFramesOn: Bool = false,
    routingTable: UInt32 = RoutingTable.main, hardwareAddress: UInt64 = 0, hardwareAddressLength: UInt8 = 0
  ) {
    self.index = index
    self.name = name
    self.isUp = isUp
    self.hasCarrier = hasCarrier
    self.isLoopback = isLoopback
    self.isPointToPoint = isPointToPoint
    self.mtu = mtu
    self.master = master
    self.handsFramesOn = handsFramesOn
    self.routingTable = routingTable
    self.hardwareAddress = hardwareAddress
    self.hardwareAddressLength = hardwareAddressLength
  }
}

package struct InterfaceAddress: Hashable, Sendable {
  package struct Flags: OptionSet, Hashable, Sendable {
    package var rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    /// Duplicate address detection is not done (RFC 4862): not usable yet. Optimistic addresses are not tentative.
    package static let tentative = Flags(rawValue: 0x01)
    /// Duplicate address detection found another holder: not usable.
    package static let duplicate = Flags(rawValue: 0x02)
    /// The preferred lifetime has run out.
    package static let deprecated = Flags(rawValue: 0x04)
    /// A temporary address (RFC 8981).
    package static let temporary = Flags(rawValue: 0x08)
    /// Not from a lease or an advertisement: IFA_F_PERMANENT.
    package static let permanent = Flags(rawValue: 0x10)
    /// Configured by the kernel from an RA (IFA_PROTO kernel_ra), where the kernel tells.
    package static let advertised = Flags(rawValue: 0x20)
    /// A secondary IPv4 address of its subnet.
    package static let secondary = Flags(rawValue: 0x40)
  }

  // In an order that leaves no room between them: a large host has ten thousand of these, thrice.

  /// The address with its host bits, and its prefix length.
  package var prefix: IPPrefix
  package var flags: Flags
  /// Scope host (127.0.0.1, ::1): never news to a peer.
  package var isHostScope: Bool
  package var interface: UInt32
  /// Seconds left, 0xFFFFFFFF for ever.
  package var preferredLifetime: UInt32
  package var validLifetime: UInt32

  package init(
    interface: UInt32, prefix: IPPrefix, flags: Flags = [], isHostScope: Bool = false,
    preferredLifetime: UInt32 = .max, validLifetime: UInt32 = .max
  ) {
    self.interface = interface
    self.prefix = prefix
    self.flags = flags
    self.isHostScope = isHostScope
    self.preferredLifetime = preferredLifetime
    self.validLifetime = validLifetime
  }
}

/// RT_TABLE_*.
package enum RoutingTable {
  package static let main: UInt32 = 254
}

/// RTPROT_*.
package enum RoutingProtocol {
  package static let advertisement: UInt8 = 9
}

/// One next hop of a default route.
package struct DefaultRoute: Hashable, Sendable {
  package var interface: UInt32
  package var family: Family
  /// nil where the route is on-link (a point-to-point interface).
  package var gateway: IPAddress?
  package var table: UInt32
  package var metric: UInt32
  /// RTPROT_*: 2 kernel, 3 boot, 4 static, 9 RA, 16 DHCP.
  package var origin: UInt8
  package var preferredSource: IPAddress?
  /// The kernel has it from a Router Advertisement.
  package var isAdvertised: Bool { family == .v6 && origin == RoutingProtocol.advertisement }

  package init(
    interface: UInt32, family: Family, gateway: IPAddress?, table: UInt32 = RoutingTable.main, metric: UInt32 = 0,
    origin: UInt8 = 4,
    preferredSource: IPAddress? = nil
  ) {
    self.interface = interface
    self.family = family
    self.gateway = gateway
    self.table = table
    self.metric = metric
    self.origin = origin
    self.preferredSource = preferredSource
  }
}

/// A neighbour's state, as far as it matters for a path (NUD_*).
package enum Reachability: UInt8, Hashable, Sendable {
  /// Reachable, permanent or no ARP at all.
  case reachable
  /// Stale, delay, probe, incomplete or gone: nothing is known against it.
  case unknown
  /// Neighbour discovery asked and got no answer.
  case failed
}
