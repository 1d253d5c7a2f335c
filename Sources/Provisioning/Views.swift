package import Messages
package import Wire

/// What can be asked of the state: the existing items that an ANNOUNCE_* starts with, and configuration data.
extension NetworkState {
  /// All links, in the order of their indexes.
  package var links: [Link] { interfaces.map { $0.link }.sorted { $0.index < $1.index } }

  package func link(_ index: UInt32) -> Link? { places[index].map { interfaces[$0].link } }

  /// The interface that has an address; of several the first.
  package func interface(holding address: IPAddress) -> UInt32? {
    interfaces.first { $0.addresses.contains { $0.ip == address } }?.link.index
  }

  /// Whether a DHCP client may be about to run on an interface, or runs there as far as is known here: the link is up
  /// and has no IPv4 address yet, or a router asks its hosts to use DHCPv6, or there is a lease.
  package func expectsDHCPClient(_ interface: UInt32) -> Bool {
    guard let place = place(of: interface) else { return false }
    let link = interfaces[place].link
    if !link.isUp || link.isLoopback || link.master != 0 { return false }
    let hasIPv4 = interfaces[place].addresses.contains { $0.ip.family == .v4 && !$0.ip.isLinkLocal }
    return !hasIPv4
      || interfaces[place].sources.contains {
        $0.managed || $0.otherConfiguration || $0.identity.element != .routerAdvertisement
      }
  }

  /// How many DHCP replies have been heard, accepted or not.
  package var dhcpReplies: UInt64 { value(.dhcpv4Replies) &+ value(.dhcpv6Replies) }

  /// The PvDs of an interface in the order in which they appeared; nil if there is no such interface.
  package func domains(of interface: UInt32) -> [ProvisioningDomain]? {
    places[interface].map { interfaces[$0].domains }
  }

  package func domain(_ id: UInt32) -> ProvisioningDomain? {
    for interface in interfaces {
      for domain in interface.domains where domain.id == id { return domain }
    }
    return nil
  }

  /// The id of the PvD of this interface that holds one of our addresses, 0 if there is none.
  func domain(holding address: IPAddress, _ place: Int) -> UInt32 {
    for domain in interfaces[place].domains
    where domain.addresses.contains(where: { $0.address.prefix.address == address }) { return domain.id }
    return 0
  }

  /// Hands over each item that an element of a PvD configures under an identifier, or under any (`all`), with the
  /// seconds that are left of it.
  package func forEachItem(
    _ identifier: InformationIdentifier, of element: ElementType, in domain: ProvisioningDomain, at now: Instant,
    _ body: (ConfigurationItem) -> Void
  ) {
    guard let place = places[domain.interface] else { return }
    let interface = interfaces[place]
    for source in interface.sources where source.identity.element == element {
      if !interface.keys(of: source).contains(domain.key) { continue }
      for item in source.items where identifier == .all || item.identifier == identifier {
        if item.validUntil <= now { continue }
        body(
          ConfigurationItem(
            item.identifier, item.value, preferredLifetime: now.lifetime(until: item.preferredUntil),
            validLifetime: now.lifetime(until: item.validUntil)))
      }
    }
    if element == .routerAdvertisement, case .explicit(let name) = domain.key,
      let known = interface.information.known(name), known.until > now,
      identifier == .all || identifier == .additionalInformation
    {
      let left = now.lifetime(until: known.until)
      body(
        ConfigurationItem(.additionalInformation, .text(known.text), preferredLifetime: left, validLifetime: left))
    }
    if element == .kernel, domain.elements[.kernel] != nil {
      for item in interface.kernelItems(at: now) where identifier == .all || identifier == item.identifier {
        body(item)
      }
    }
  }
}

extension ProvisioningDomain {
  /// The types of its elements.
  package var elementTypes: [ElementType] { ElementType.allCases.filter { elements[$0] != nil } }
}

extension ProvisioningDomain.Address {
  /// The address with the lifetimes that are left at `now`.
  package func remaining(at now: Instant) -> InterfaceAddress {
    var left = address
    left.preferredLifetime = now.lifetime(until: address.preferredUntil(from: toldAt))
    left.validLifetime = now.lifetime(until: address.validUntil(from: toldAt))
    return left
  }
}

extension InterfaceAddress {
  /// Where its lifetimes end if they were told then.
  func preferredUntil(from told: Instant) -> Instant { told.adding(lifetime: preferredLifetime) }
  func validUntil(from told: Instant) -> Instant { told.adding(lifetime: validLifetime) }
}
