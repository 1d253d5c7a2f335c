import Messages
import Wire

/// The KERNEL element: what an interface has that nobody on the network was heard to configure.
extension Interface {
  /// Hands over the default routes that nobody on the network was heard to configure, one of each gateway.
  private func forEachOwnRoute(_ body: (DefaultRoute) -> Void) {
    for place in routes.indices {
      let route = routes[place]
      if routes[..<place].contains(where: { $0.gateway == route.gateway && $0.family == route.family }) { continue }
      if let gateway = route.gateway, sources.contains(where: { $0.isRouter(gateway) }) { continue }
      body(route)
    }
  }

  /// The on-link prefixes of addresses configured by hand, with the longest of their lifetimes; the link's MTU; routers
  /// of default routes, and default routes that need none.
  func kernelItems(at now: Instant) -> [ConfigurationItem] {
    var items: [ConfigurationItem] = []
    for record in addresses where record.isUsable && !record.ip.isLinkLocal && configuring(record.ip).isEmpty {
      let prefix = ConfigurationItem(
        .prefixes, .prefix(record.address.prefix.masked, flags: 0),
        preferredLifetime: now.lifetime(until: record.address.preferredUntil(from: record.toldAt)),
        validLifetime: now.lifetime(until: record.address.validUntil(from: record.toldAt)))
      if let known = items.firstIndex(where: { $0.value == prefix.value }) {
        items[known].preferredLifetime = max(items[known].preferredLifetime, prefix.preferredLifetime)
        items[known].validLifetime = max(items[known].validLifetime, prefix.validLifetime)
      } else {
        items.append(prefix)
      }
    }
    if link.mtu > 0 { items.append(ConfigurationItem(.mtu, .number(link.mtu))) }
    forEachOwnRoute { route in
      if let gateway = route.gateway {
        items.append(ConfigurationItem(.defaultRouter, .router(gateway, preference: 0)))
      } else {
        let nowhere: IPAddress = route.family == .v4 ? .v4(.unspecified) : .v6(.unspecified)
        items.append(ConfigurationItem(.routes, .route(IPPrefix(nowhere, 0), gateway: nowhere, preference: 0)))
      }
    }
    return items
  }

  /// What the element configures.
  var kernelFingerprint: UInt64 {
    var fingerprint = Fingerprint(byHand.prefixes, UInt64(link.mtu))
    forEachOwnRoute { route in
      if let gateway = route.gateway { fingerprint.add(gateway) } else { fingerprint.add(UInt64(route.family.width)) }
    }
    return fingerprint.value
  }
}
