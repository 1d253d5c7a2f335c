package import Provisioning
package import Wire

/// What the kernel has that paths are made of: links, addresses, default routes.
package struct Uplinks: Sendable {
  /// Addresses and default routes that are kept; further ones are no paths.
  package static let limit = 1024
  /// Paths of a family, and those of one router.
  package static let pathLimit = 8
  private static let pathsOfRouter = 3

  private struct Condition: Hashable {
    var isUp: Bool
    var hasCarrier: Bool
  }

  private var links: [UInt32: Condition] = [:]
  private var addresses: [InterfaceAddress] = []
  private var routes: [DefaultRoute] = []
  /// Default routes that were taken away on purpose: for a path's sake they are there.
  private var withheld: [DefaultRoute] = []

  package init() {}

  /// Whether it changed what paths there are, or may have.
  package mutating func apply(_ event: KernelEvent) -> Bool {
    switch event {
    case .link(let link):
      let condition = Condition(isUp: link.isUp && !link.isLoopback, hasCarrier: link.hasCarrier)
      return links.updateValue(condition, forKey: link.index) != condition
    case .linkRemoved(let index): return links.removeValue(forKey: index) != nil
    case .address(let address):
      let index = addresses.firstIndex { $0.interface == address.interface && $0.prefix == address.prefix }
      guard address.isForPeers else {
        if let index { addresses.remove(at: index) }
        return index != nil
      }
      if let index {
        let hasChanged = addresses[index].flags != address.flags
        addresses[index] = address
        return hasChanged
      }
      guard addresses.count < Uplinks.limit else { return false }
      addresses.append(address)
      return true
    case .addressRemoved(let interface, let prefix):
      let count = addresses.count
      addresses.removeAll { $0.interface == interface && $0.prefix == prefix }
      return addresses.count != count
    case .defaultRoute(let route):
      guard route.table == RoutingTable.main, !routes.contains(route), routes.count < Uplinks.limit else {
        return false
      }
      routes.append(route)
      return true
    case .defaultRouteRemoved(let route):
      if withheld.contains(route) { return false }
      let count = routes.count
      routes.removeAll { $0 == route }
      return routes.count != count
    case .neighbour(_, _, let reachability): return reachability == .failed
    case .snapshotComplete: return true
    }
  }

  /// Every way out of this host for packets of a family that may work, the one with the least metric first.
  package func paths(_ family: Family) -> [Path] {
    var paths: [Path] = []
    for route in sorted(family) where isUsable(route) {
      for source in sources(of: route) where paths.count < Uplinks.pathLimit {
        let path = Path(interface: route.interface, gateway: route.gateway, source: source)
        if !paths.contains(path) { paths.append(path) }
      }
    }
    return paths
  }

  /// The default route of a path is about to be taken away on purpose, and is still a path until it is given back.
  package mutating func withhold(_ path: Path) {
    withheld += routes.filter { $0.isPart(of: path) && !withheld.contains($0) }
  }

  /// And about to be given back.
  package mutating func giveBack(_ path: Path) { withheld.removeAll { $0.isPart(of: path) } }

  /// Whether the kernel, asked for the interface alone, would send to this path's router and no other.
  package func isAlone(_ path: Path) -> Bool {
    let others = routes.filter { $0.interface == path.interface && $0.family == path.source.family }
    return others.allSatisfy { $0.gateway == path.gateway }
  }

  /// Whether packets from an address can leave by this path.
  package func has(_ path: Path) -> Bool {
    routes.contains { $0.isPart(of: path) && isUsable($0) } && hasAddress(path)
  }

  /// Whether a path that the kernel chose may still be there, though its link may have lost its carrier. Of one that is no
  /// default route only link and address are known.
  func mayHave(_ usual: Usual) -> Bool {
    links[usual.path.interface]?.isUp ?? false && hasAddress(usual.path)
      && (!usual.isDefault || hasDefault(usual.path))
  }

  func hasDefault(_ path: Path) -> Bool { routes.contains { $0.isPart(of: path) } }

  private func hasAddress(_ path: Path) -> Bool {
    addresses.contains { $0.interface == path.interface && $0.prefix.address == path.source }
  }

  /// The path that the kernel chooses by itself; a link without carrier keeps it.
  package func usual(_ family: Family) -> Path? {
    guard let route = sorted(family).first(where: { links[$0.interface]?.isUp ?? false }),
      let source = sources(of: route).first
    else { return nil }
    return Path(interface: route.interface, gateway: route.gateway, source: source)
  }

  private func isUsable(_ route: DefaultRoute) -> Bool { isUsable(route.interface) }

  /// Whether its link is up and has a carrier.
  func isUsable(_ path: Path) -> Bool { isUsable(path.interface) }

  private func isUsable(_ interface: UInt32) -> Bool { links[interface].map { $0.isUp && $0.hasCarrier } ?? false }

  /// The least metric first; among equals the one that was told first, as in the kernel's own list.
  private func sorted(_ family: Family) -> [DefaultRoute] {
    var chosen: [DefaultRoute] = []
    for route in routes where route.family == family {
      let place = chosen.firstIndex { $0.metric > route.metric } ?? chosen.endIndex
      chosen.insert(route, at: place)
    }
    return chosen
  }

  /// What a packet to this router may have as its source, best first: one address for each prefix. Which of them the
  /// network behind the router takes is for a probe to find out (RFC 8028).
  private func sources(of route: DefaultRoute) -> [IPAddress] {
    var best: [(rank: Int, address: InterfaceAddress)] = []
    for address in addresses where address.interface == route.interface && address.family == route.family {
      var rank = 0
      if route.preferredSource == address.prefix.address { rank -= 8 }
      if let gateway = route.gateway, !gateway.isLinkLocal, !address.prefix.contains(gateway) { rank += 4 }
      if address.flags.contains(.deprecated) { rank += 2 }
      if address.flags.contains(.secondary) { rank += 1 }
      if let twin = best.firstIndex(where: { $0.address.prefix.masked == address.prefix.masked }) {
        guard rank < best[twin].rank else { continue }
        best.remove(at: twin)
      }
      best.insert((rank, address), at: best.firstIndex { $0.rank > rank } ?? best.endIndex)
    }
    return best.prefix(Uplinks.pathsOfRouter).map { $0.address.prefix.address }
  }
}

extension DefaultRoute {
  fileprivate func isPart(of path: Path) -> Bool {
    interface == path.interface && gateway == path.gateway && family == path.source.family
  }
}

extension InterfaceAddress {
  fileprivate var family: Family { prefix.address.family }

  /// Whether a peer elsewhere could answer to it.
  fileprivate var isForPeers: Bool {
    !isHostScope && !prefix.address.isLinkLocal && !prefix.address.isLoopback
      && flags.isDisjoint(with: [.tentative, .duplicate])
  }
}
