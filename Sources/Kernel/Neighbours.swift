import Provisioning
import Wire

/// What is known of gateways, and of what calls itself a router (NTF_ROUTER); of nobody else.
struct Neighbours: Sendable {
  struct Neighbour: Sendable {
    var reachability: Reachability
    var isRouter: Bool
    var cycle: UInt32
  }

  let limit: Int
  private(set) var gateways: Set<NeighbourKey> = []
  private var neighbours: [NeighbourKey: Neighbour] = [:]

  init(limit: Int = 4096) { self.limit = limit }

  /// NUD_*: what the kernel says of a neighbour, as far as it matters here.
  enum Sighting: Sendable {
    case state(Reachability)
    /// NUD_INCOMPLETE: the kernel asks. After a failure that is nothing in its favour.
    case asking
  }

  /// Takes the gateways of the default routes over; returns the new ones that nothing is known of.
  mutating func setGateways(_ new: Set<NeighbourKey>) -> [NeighbourKey] {
    for key in gateways where !new.contains(key) {
      if let neighbour = neighbours[key], !neighbour.isRouter { neighbours[key] = nil }
    }
    let unknown = new.filter { !gateways.contains($0) && neighbours[$0] == nil }
    gateways = new
    return Array(unknown)
  }

  /// False: there is no room.
  mutating func set(
    _ key: NeighbourKey, _ sighting: Sighting, isRouter: Bool, cycle: UInt32, _ body: (KernelEvent) -> Void
  ) -> Bool {
    guard isRouter || gateways.contains(key) else {
      // A router that is none any more (RFC 4861 7.2.5), and nobody's gateway.
      remove(key, body)
      return true
    }
    let old = neighbours[key]
    if old == nil && neighbours.count >= limit { return false }
    let before = old?.reachability ?? .unknown
    var after = before
    switch sighting {
    case .state(let reachability): after = reachability
    case .asking: if before != .failed { after = .unknown }
    }
    neighbours[key] = Neighbour(reachability: after, isRouter: isRouter, cycle: cycle)
    if after != before { body(.neighbour(interface: key.interface, key.address, after)) }
    return true
  }

  mutating func remove(_ key: NeighbourKey, _ body: (KernelEvent) -> Void) {
    guard let old = neighbours.removeValue(forKey: key) else { return }
    if old.reachability != .unknown { body(.neighbour(interface: key.interface, key.address, .unknown)) }
  }

  /// The link is gone, and its removal says it all.
  mutating func removeAll(on interface: UInt32) {
    for key in neighbours.keys where key.interface == interface { neighbours[key] = nil }
  }

  mutating func sweep(cycle: UInt32, _ body: (KernelEvent) -> Void) {
    for (key, neighbour) in neighbours where neighbour.cycle != cycle { remove(key, body) }
  }
}
