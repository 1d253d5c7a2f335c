import Messages
import Wire

/// The KERNEL element: what an interface has that nobody on the network was heard to configure.
extension Interface {
  /// The default routes that nobody on the network was heard to configure, one of each gateway.
  private var ownRoutes: [DefaultRoute] {
    var own: [DefaultRoute] = []
    for route in routes where !own.contains(where: { $0.gateway == route.gateway && $0.family == route.family }) {
      if let gateway = route.gateway, sources.contains(where: { $0.isRouter(gateway) }) { continue }
      own.append(route)
    }
    return own
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
    for route in ownRoutes {
      if let gateway = route.gateway {
        items.append(ConfigurationItem(.defaultRouter, .router(gateway, preference: 0)))
      } else {
        let nowhere: IPAddress = route.family == .v4 ? .v4(.unspecified) : .v6(.unspecified)
        items.append(ConfigurationItem(.routes, .route(IPPrefix(nowhere, 0), gateway: nowhere, preference: 0)))
      }
    }
    return items
  }

  /// What the element configures beside prefixes, in words; never empty.
  var kernelSignature: [UInt64] {
    var words: [UInt64] = [UInt64(link.mtu)]
    for route in ownRoutes { words += route.gateway?.words ?? [UInt64(route.family.width)] }
    return words
  }
}

extension IPAddress {
  fileprivate var words: [UInt64] {
    switch self {
    case .v4(let v4): [UInt64(v4.value)]
    case .v6(let v6): [v6.high, v6.low]
    }
  }
}
