package import Messages
import Wire

/// How far a link is on its way to being of use: what connectivity management looks at.
package struct LinkCondition: Hashable, Sendable {
  package var index: UInt32
  package var name: InterfaceName
  package var isUp: Bool
  package var hasCarrier: Bool
  package var isLoopback: Bool
  /// A provisioning domain on it has an address.
  package var hasAddress: Bool
  /// An IPv6 router is known: one that advertises itself as default router, or a default route.
  package var hasRouter: Bool
  /// The kernel has an address or a default route from a router whose advertisement was not heard: it came before the
  /// agent did.
  package var hasUnheardRouter: Bool
  /// A usable link-local IPv6 address, which a Router Solicitation is sent from.
  package var hasLinkLocal: Bool

  package init(
    index: UInt32, name: InterfaceName, isUp: Bool, hasCarrier: Bool, isLoopback: Bool = false,
    hasAddress: Bool = false, hasRouter: Bool = false, hasUnheardRouter: Bool = false, hasLinkLocal: Bool = false
  ) {
    self.index = index
    self.name = name
    self.isUp = isUp
    self.hasCarrier = hasCarrier
    self.isLoopback = isLoopback
    self.hasAddress = hasAddress
    self.hasRouter = hasRouter
    self.hasUnheardRouter = hasUnheardRouter
    self.hasLinkLocal = hasLinkLocal
  }

  package var isOperational: Bool { isUp && hasCarrier && hasAddress }
}

extension NetworkState {
  package func condition(of interface: UInt32) -> LinkCondition? {
    places[interface].map { condition(of: interfaces[$0]) }
  }

  /// Those of all links, in the order of their indexes.
  package var linkConditions: [LinkCondition] {
    interfaces.map { condition(of: $0) }.sorted { $0.index < $1.index }
  }

  private func condition(of interface: Interface) -> LinkCondition {
    let link = interface.link
    let hasRouter =
      interface.routes.contains { $0.family == .v6 }
      || interface.sources.contains { source in
        source.identity.element == .routerAdvertisement && source.items.contains { $0.identifier == .defaultRouter }
      }
    return LinkCondition(
      index: link.index, name: link.name, isUp: link.isUp, hasCarrier: link.hasCarrier, isLoopback: link.isLoopback,
      hasAddress: interface.domains.contains { !$0.addresses.isEmpty }, hasRouter: hasRouter,
      hasUnheardRouter: interface.hasUnheardRouter,
      hasLinkLocal: interface.addresses.contains { $0.ip.family == .v6 && $0.ip.isLinkLocal && $0.isUsable })
  }
}

extension Interface {
  fileprivate var hasUnheardRouter: Bool {
    addresses.contains { $0.address.flags.contains(.advertised) && configuring($0.ip).isEmpty }
      || routes.contains { route in
        route.isAdvertised && !sources.contains { $0.identity.router.map(IPAddress.v6) == route.gateway }
      }
  }
}
