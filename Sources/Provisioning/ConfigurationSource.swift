import Messages
import Wire

/// Whoever configures this host on one interface: a router that advertises, or a DHCP server that granted a lease. An object
/// for the reason that `Interface` is one.
final class ConfigurationSource {
  enum Identity: Hashable, Sendable {
    /// A router by its link-local address, outside of any PvD option.
    case router(IPv6Address)
    /// A router inside its PvD option (RFC 8801); the name is in lower case, presentation form.
    case explicit(IPv6Address, name: [UInt8])
    /// A DHCPv4 server by its identifier (option 54).
    case dhcpv4(IPv4Address)
    /// What a DHCPv6 server, by its DUID, leased together with addresses.
    case dhcpv6([UInt8])
    /// What a DHCPv6 server told without leasing addresses.
    case dhcpv6Information([UInt8])

    /// Whose advertisements it is made of.
    var router: IPv6Address? {
      switch self {
      case .router(let address), .explicit(let address, _): address
      case .dhcpv4, .dhcpv6, .dhcpv6Information: nil
      }
    }

    var element: ElementType {
      switch self {
      case .router, .explicit: .routerAdvertisement
      case .dhcpv4: .dhcpv4
      case .dhcpv6, .dhcpv6Information: .dhcpv6
      }
    }
  }

  /// One piece of configuration with its lifetimes.
  struct Item: Sendable {
    var identifier: InformationIdentifier
    var value: ConfigurationValue
    var preferredUntil: Instant
    var validUntil: Instant
    /// Whether the source is there as long as this is. What an advertisement says without a lifetime of its own
    /// (MTU, hop limit, the PvD option's flags) goes with the rest.
    var anchors: Bool
  }

  /// An address that a DHCP server leased to this host.
  struct Lease: Equatable, Sendable {
    var address: IPAddress
    var validUntil: Instant
  }

  let identity: Identity
  /// Names this source in `deadlines`; never used again.
  let serial: UInt64
  var items: [Item] = []
  var leases: [Lease] = [] { didSet { addressing &+= 1 } }
  /// RA header flags (RFC 4861 4.2): M, addresses by DHCPv6; O, other configuration by DHCPv6.
  var managed = false
  var otherConfiguration = false
  /// L flag of the PvD option (RFC 8801 3.1): the link's DHCPv4 data belong to this PvD.
  var joinsDHCPv4 = false
  /// Counts changes of what is configured; new lifetimes alone don't count.
  var revision: UInt32 = 1
  /// Counts those of them that may bring an address into another PvD: of prefixes, leases and flags.
  private(set) var addressing: UInt32 = 0
  let deadline: Deadlines<TimedSubject>.Handle

  init(identity: Identity, serial: UInt64, deadline: Deadlines<TimedSubject>.Handle) {
    self.identity = identity
    self.serial = serial
    self.deadline = deadline
  }

  var isAlive: Bool {
    switch identity {
    case .dhcpv4: !leases.isEmpty
    case .dhcpv6: !leases.isEmpty || items.contains { $0.identifier == .delegatedPrefixes }
    case .router, .explicit, .dhcpv6Information: items.contains { $0.anchors }
    }
  }
  /// When the next item runs out.
  var nextExpiry: Instant {
    var earliest = Instant.never
    for item in items.indices { earliest = min(earliest, items[item].validUntil) }
    for lease in leases { earliest = min(earliest, lease.validUntil) }
    return earliest
  }

  /// Differs from any that this or another source had before, as soon as anything else is configured.
  var fingerprint: Fingerprint { Fingerprint(serial, UInt64(revision)) }

  /// Sets one item: a lifetime that has ended withdraws it, a new or changed value counts as a change.
  ///
  /// - Returns: false if the item is new and there is no room for it.
  func set(_ item: Item, at now: Instant, _ limits: Limits) -> Bool {
    let known = place(of: item)
    if item.validUntil <= now {
      if let known {
        items.remove(at: known)
        countChange(ofAddressing: item.identifier == .prefixes)
      }
      return true
    }
    guard let known else {
      if !items.hasRoom(for: item, limits) { return false }
      items.append(item)
      countChange(ofAddressing: item.identifier == .prefixes)
      return true
    }
    if items[known].value == item.value {
      items[known].preferredUntil = item.preferredUntil
      items[known].validUntil = item.validUntil
      items[known].anchors = item.anchors
    } else {
      items[known] = item
      revision &+= 1
    }
    return true
  }

  /// The place of what this item replaces.
  private func place(of item: Item) -> Int? {
    for place in items.indices
    where items[place].identifier == item.identifier && items[place].value.names(item.value, item.identifier) {
      return place
    }
    return nil
  }

  /// Takes out what has run out by `now`.
  func expire(at now: Instant) {
    let before = (items.count, leases.count)
    items.removeAll { $0.validUntil <= now }
    leases.removeAll { $0.validUntil <= now }
    if (items.count, leases.count) != before { countChange(ofAddressing: true) }
  }

  /// Replaces all that a lease configures; an option that a renewal no longer carries is gone. New lifetimes alone, T1
  /// and T2 among them, are no change.
  func replace(_ items: [Item], leases: [Lease]) {
    let isSame =
      self.leases.count == leases.count && self.items.count == items.count
      && zip(self.leases, leases).allSatisfy { $0.address == $1.address }
      && zip(self.items, items).allSatisfy { $0.identifier == $1.identifier && $0.value.isSame(as: $1.value) }
    self.items = items
    self.leases = leases
    if !isSame { countChange(ofAddressing: true) }
  }

  func countChange(ofAddressing isOfAddressing: Bool) {
    revision &+= 1
    if isOfAddressing { addressing &+= 1 }
  }

  /// What it says of exactly this prefix.
  func item(ofPrefix prefix: IPPrefix) -> Item? {
    for place in items.indices where items[place].identifier == .prefixes {
      if case .prefix(prefix, _) = items[place].value { return items[place] }
    }
    return nil
  }

  /// The length of the longest prefix that holds an address, nil if none does.
  func prefixLength(holding address: IPAddress) -> UInt8? {
    var longest: UInt8?
    for item in items where item.identifier == .prefixes {
      if case .prefix(let prefix, _) = item.value, prefix.contains(address), prefix.length >= longest ?? 0 {
        longest = prefix.length
      }
    }
    return longest
  }

  /// Whether it configures a default router with this address.
  func isRouter(_ address: IPAddress) -> Bool {
    for place in items.indices where items[place].identifier == .defaultRouter {
      if case .router(address, _) = items[place].value { return true }
    }
    return false
  }
}

extension ConfigurationValue {
  /// Whether the other value is about the same thing, so that it replaces this one: a prefix with other flags, a
  /// route with another preference, another MTU.
  fileprivate func names(_ other: ConfigurationValue, _ identifier: InformationIdentifier) -> Bool {
    // A router has one captive portal (RFC 8910 2).
    if identifier == .captivePortal { return true }
    return switch (self, other) {
    case (.prefix(let a, _), .prefix(let b, _)): a == b
    case (.route(let a, let x, _), .route(let b, let y, _)): a == b && x == y
    case (.router(let a, _), .router(let b, _)): a == b
    case (.number, .number), (.pvd, .pvd), (.lease, .lease): true
    default: self == other
    }
  }

  /// Equal but for times.
  fileprivate func isSame(as other: ConfigurationValue) -> Bool {
    switch (self, other) {
    case (.lease(let a, _, _), .lease(let b, _, _)): a == b
    default: self == other
    }
  }
}
