import Messages
import Wire

/// One interface and all that is known on it. An object, because it is large: a struct in an array is copied whole, with a
/// retain for each of its lists, whenever a method of it is called.
final class Interface {
  var link: Link
  var addresses: [Address] = []
  var routes: [DefaultRoute] = []
  /// Gateways that did not answer neighbour discovery; each is the gateway of one of `routes`.
  var failedGateways: [IPAddress] = []
  var sources: [ConfigurationSource] = []
  /// What decided on the PvDs of addresses when all of them were last sorted, nil if that never was.
  var sortedBy: Addressing?
  var byHand = ByHand()
  /// What is announced, in the order of identifiers.
  var domains: [ProvisioningDomain] = []
  /// PvD Additional Information of this network.
  var information = InformationTable()
  var requests4 = Transactions<DHCPv4Request>()
  var requests6 = Transactions<DHCPv6Request>()
  /// Until then a client of this host does without IPv4, because the network asked for that (RFC 8925 3.2).
  var withoutIPv4Until = Instant(nanoseconds: 0)
  /// The trigger IF_ADDED.
  var existence: UInt32 = 0
  /// Addresses that went since the link went down: what IF_REMOVED will name.
  var lastAddresses: [IPPrefix] = []
  var connection4 = Connection()
  var connection6 = Connection()

  init(link: Link) { self.link = link }

  /// An address of the kernel's.
  struct Address: Sendable {
    var address: InterfaceAddress
    /// When the kernel told its lifetimes.
    var toldAt: Instant
    /// Grows along the list; never used again.
    var serial: UInt64 = 0
    /// The trigger IF_ADDRCHANGED, 0 while the address is not usable.
    var trigger: UInt32 = 0
    /// It counts in the interface's `byHand`.
    var isByHand = false

    /// Duplicate address detection is done and found nothing (RFC 4862 5.4), and it is not the host's alone.
    var isUsable: Bool {
      !address.flags.contains(.tentative) && !address.flags.contains(.duplicate) && !address.isHostScope
    }
    var ip: IPAddress { address.prefix.address }
  }

  /// CONN_ESTABLISHED and CONN_LOST of one family.
  struct Connection: Sendable {
    /// Ids of the triggers that stand, 0 if none.
    var established: UInt32 = 0
    var lost: UInt32 = 0
    /// The address that was told as source.
    var source: IPPrefix?
  }

  subscript(family: Family) -> Connection {
    get { family == .v4 ? connection4 : connection6 }
    set { if family == .v4 { connection4 = newValue } else { connection6 = newValue } }
  }

  /// Whether a client of this host was delegated a prefix.
  var hasDelegation: Bool {
    sources.contains { $0.items.contains { $0.identifier == .delegatedPrefixes } }
  }

  /// The address that the kernel would prefer as source towards the default router of this family, nil while there
  /// is no path: no carrier, no usable address, or no default router that answers.
  func source(_ family: Family) -> IPPrefix? {
    guard link.isUp, link.hasCarrier else { return nil }
    guard let route = nextHop(family) else { return nil }
    var chosen: (rank: Int, prefix: IPPrefix)?
    for candidate in addresses where candidate.ip.family == family && candidate.isUsable && !candidate.ip.isLinkLocal {
      var rank = rank(candidate, towards: route)
      if let chosen, rank + Self.ofNextHop <= chosen.rank { continue }
      if isOfNextHop(candidate, route) { rank += Self.ofNextHop }
      if chosen == nil || rank > chosen!.rank { chosen = (rank, candidate.address.prefix) }
    }
    return chosen?.prefix
  }

  /// Whether IPv4 ended because the network asked for that (RFC 8925), and not its path.
  func doesWithoutIPv4(at now: Instant) -> Bool {
    now < withoutIPv4Until && link.isUp && link.hasCarrier && !routes.contains { $0.family == .v4 }
  }

  /// The default route that the kernel takes, of those whose gateway answers.
  func nextHop(_ family: Family) -> DefaultRoute? {
    var best: DefaultRoute?
    for route in routes where route.family == family {
      if let gateway = route.gateway, failedGateways.contains(gateway) { continue }
      if best == nil || route.metric < best!.metric { best = route }
    }
    return best
  }

  /// RFC 6724 section 5 as far as it can tell the addresses of one interface apart without a destination: the
  /// route's own choice, rule 3 (not deprecated), 5.5 (a prefix of the next hop's, see `ofNextHop`), 7 (temporary).
  private func rank(_ candidate: Address, towards route: DefaultRoute) -> Int {
    var rank = 0
    if route.preferredSource == candidate.ip { rank += 16 }
    if !candidate.address.flags.contains(.deprecated) { rank += 8 }
    if candidate.address.flags.contains(.temporary) { rank += 2 }
    if !candidate.address.flags.contains(.secondary) { rank += 1 }
    return rank
  }

  /// What rule 5.5 adds; to find out costs more than all the rest.
  private static let ofNextHop = 4

  private func isOfNextHop(_ candidate: Address, _ route: DefaultRoute) -> Bool {
    switch route.gateway {
    case nil: false
    case .v4(let router): candidate.address.prefix.contains(.v4(router))
    case .v6(let router):
      sources.contains { $0.isAdvertised(by: router) && $0.prefixLength(holding: candidate.ip) != nil }
    }
  }
}

/// An interface that is gone, by its name, and the family of a CONN_LOST that outlived it.
struct LostConnection: Hashable, Sendable {
  var name: InterfaceName
  var family: Family
}

extension ConfigurationSource {
  func isAdvertised(by address: IPv6Address) -> Bool {
    switch identity {
    case .router(let router), .explicit(let router, _): router == address
    case .dhcpv4, .dhcpv6, .dhcpv6Information: false
    }
  }
}
