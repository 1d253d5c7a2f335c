import Provisioning
import Wire

/// The kernel's default routes as they are, which is more than what it tells.
///
/// libnl's route cache can't serve here (3.7.0): it merges a replaced IPv6 route into the new one as another next
/// hop, it knows IPv4 routes by (table, tos, metric) alone, so an appended one hides the first, and it keeps what
/// the kernel flushes without a word. The kernel flushes silently (net/ipv4/fib_frontend.c, fib_semantics.c,
/// net/ipv6/route.c):
/// - IPv4 routes when their link goes down or away, when the last IPv4 address of their link goes, when their
///   preferred source goes (told from Linux 6.6 on), when their nexthop object goes;
/// - one next hop of several, of either family: it is marked dead, and alive again when its link is up.
///
/// Next hops on interfaces that are not known yet are held and told when their interface is.
/// Routes beyond `limit` are refused; rtnetlink dumps bring them back when there is room.
struct DefaultRoutes: Sendable {
  struct Entry: Sendable {
    var route: Route
    var cycle: UInt32
  }

  let limit: Int
  private(set) var entries: [Entry] = []
  /// Interfaces that were told, and whether they are up.
  private var links: [UInt32: Bool] = [:]
  /// What was told and how many next hops say it: routes that differ only in what DefaultRoute leaves out.
  private var told: [DefaultRoute: Int] = [:]

  /// Grows with each event.
  private(set) var revision: UInt64 = 0

  init(limit: Int = 4096) { self.limit = limit }

  /// Gateways of what is told.
  var gateways: Set<NeighbourKey> {
    var result: Set<NeighbourKey> = []
    for route in told.keys {
      if let gateway = route.gateway { result.insert(NeighbourKey(interface: route.interface, address: gateway)) }
    }
    return result
  }

  func uses(nexthopObject id: UInt32) -> Bool { entries.contains { $0.route.nexthopObject == id } }

  enum Outcome: Hashable, Sendable {
    case applied
    /// The table is full.
    case refused
    /// The message doesn't say which of several routes went: only a dump can tell.
    case ambiguous
  }

  /// RTM_NEWROUTE. `replaces`: a notification with NLM_F_REPLACE. `cycle` is the number of the current resync.
  mutating func add(
    _ route: Route, replaces: Bool = false, cycle: UInt32, _ body: (KernelEvent) -> Void
  ) -> Outcome {
    if replaces { return replace(route, cycle: cycle, body) }
    guard route.key.family == .v6 else { return set(route, cycle: cycle, body) ? .applied : .refused }
    // A message about several next hops says what else there is of one of them: a new one in a notification.
    var outcome = Outcome.applied
    for var one in single(route) {
      if route.hops.count > 1, let held = entries.first(where: { matches($0.route, one) })?.route {
        let hops = one.hops
        one = held
        one.hops = hops
      }
      if !set(one, cycle: cycle, body) { outcome = .refused }
    }
    return outcome
  }

  /// IPv6 keeps each next hop of a multipath route as a route of its own, that comes and goes alone.
  private func single(_ route: Route) -> [Route] {
    if route.key.family == .v4 || route.hops.count <= 1 { return [route] }
    return route.hops.map { hop in
      var one = route
      one.hops = [hop]
      return one
    }
  }

  /// Takes over what is held of the route, or adds it. False: there is no room.
  private mutating func set(_ route: Route, cycle: UInt32, _ body: (KernelEvent) -> Void) -> Bool {
    if let index = entries.firstIndex(where: { matches($0.route, route) }) {
      let old = entries[index].route
      entries[index] = Entry(route: route, cycle: cycle)
      tell(from: old, to: route, body)
      return true
    }
    return insert(route, cycle: cycle, body)
  }

  /// NLM_F_REPLACE: one route, or one multipath route, is gone and not told by itself.
  private mutating func replace(_ route: Route, cycle: UInt32, _ body: (KernelEvent) -> Void) -> Outcome {
    let candidates = entries.indices.filter { entries[$0].route.key == route.key }
    let victims = victims(route, candidates)
    let listed = single(route)
    var outcome = victims.isEmpty && !candidates.isEmpty ? Outcome.ambiguous : .applied
    // New ones come after all others, so the victims' places stay.
    for one in listed where !set(one, cycle: cycle, body) { outcome = .refused }
    for index in victims.reversed() where !listed.contains(where: { matches(entries[index].route, $0) }) {
      remove(at: index, body)
    }
    return outcome
  }

  private mutating func insert(_ route: Route, cycle: UInt32, _ body: (KernelEvent) -> Void) -> Bool {
    if entries.count >= limit { return false }
    entries.append(Entry(route: route, cycle: cycle))
    tell(from: nil, to: route, body)
    return true
  }

  /// Whether the kernel would keep one of them only. IPv6 knows a route by its next hop, IPv4 by all that it has.
  private func matches(_ held: Route, _ other: Route) -> Bool {
    guard held.key.family == .v6 else { return held.isSame(as: other) }
    guard held.key == other.key, held.isUnicast == other.isUnicast, held.hops.count == other.hops.count else {
      return false
    }
    return held.hops.isEmpty || held.hops[0].isSame(as: other.hops[0])
  }

  /// Which of the routes with its key a route has replaced; none if the message doesn't say.
  private func victims(_ route: Route, _ candidates: [Int]) -> [Int] {
    // A changed nexthop object is told as a replacement of each route that uses it.
    let sharing = candidates.filter {
      route.nexthopObject != 0 && entries[$0].route.nexthopObject == route.nexthopObject
    }
    if !sharing.isEmpty { return sharing }
    if candidates.count <= 1 { return candidates }
    if route.key.family == .v4 { return [] }
    // IPv6 (fib6_add_rt2node) replaces a route of the same kind, and all next hops of a multipath route at once;
    // where there is none of its kind, the first that there is.
    if isAdvertised(route) || candidates.contains(where: { isAdvertised(entries[$0].route) }) { return [] }
    let multipath = candidates.filter { isMultipathCapable(entries[$0].route) }
    let others = candidates.filter { !isMultipathCapable(entries[$0].route) }
    if isMultipathCapable(route), !multipath.isEmpty { return multipath }
    if !isMultipathCapable(route), others.isEmpty { return multipath }
    return others.count == 1 && (multipath.isEmpty || !isMultipathCapable(route)) ? others : []
  }

  /// Whether the kernel would make it one of several next hops. Not those that it made of advertisements itself,
  /// but who else sets one may give it the same origin.
  private func isMultipathCapable(_ route: Route) -> Bool {
    route.isUnicast && route.nexthopObject == 0 && !route.hops.isEmpty && route.hops.allSatisfy { $0.gateway != nil }
  }

  private func isAdvertised(_ route: Route) -> Bool { route.origin == RoutingProtocol.advertisement }

  /// RTM_DELROUTE.
  mutating func remove(_ route: Route, _ body: (KernelEvent) -> Void) -> Outcome {
    if route.key.family == .v6 {
      var one = route
      for hop in route.hops {
        one.hops = [hop]
        if let index = entries.firstIndex(where: { matches($0.route, one) }) { remove(at: index, body) }
      }
      return .applied
    }
    if let index = entries.firstIndex(where: { $0.route.isSame(as: route) }) {
      remove(at: index, body)
      return .applied
    }
    // Not held like this: it may have lost next hops with their links, or be gone already.
    let candidates = entries.indices.filter { entries[$0].route.key == route.key }
    let reduced = candidates.filter { index in
      let held = entries[index].route
      return held.hops.count < route.hops.count
        && held.hops.allSatisfy { hop in route.hops.contains { $0.isSame(as: hop) } }
    }
    if reduced.count == 1 { remove(at: reduced[0], body) } else if !candidates.isEmpty { return .ambiguous }
    return .applied
  }

  private mutating func remove(at index: Int, _ body: (KernelEvent) -> Void) {
    let old = entries.remove(at: index).route
    tell(from: old, to: nil, body)
  }

  /// Removes what the dump of `family` that ended did not bring.
  mutating func sweep(_ family: Family, cycle: UInt32, _ body: (KernelEvent) -> Void) {
    for index in entries.indices.reversed()
    where entries[index].route.key.family == family && entries[index].cycle != cycle {
      remove(at: index, body)
    }
  }

  // MARK: What the kernel does without telling

  /// A link was told: routes over it can be told now; down, it takes routes with it, up again, it revives next hops.
  mutating func link(_ index: UInt32, isUp: Bool, _ body: (KernelEvent) -> Void) {
    let before = links[index]
    if !isUp { kill(on: index, body) }
    links[index] = isUp
    if before == nil {
      for entry in entries { tell(from: nil, to: entry.route, only: index, body) }
    } else if isUp, before == false {
      revive(on: index, family: nil, body)
    }
  }

  /// A link is gone, and its index may come again as another's.
  mutating func linkRemoved(_ index: UInt32, _ body: (KernelEvent) -> Void) {
    kill(on: index, body)
    change(body) { route in
      route.hops.removeAll { $0.interface == index }
      return !route.hops.isEmpty
    }
    links[index] = nil
  }

  /// The last IPv4 address of a link went: the kernel takes IPv4 off the link (fib_disable_ip).
  mutating func lastAddressRemoved(on index: UInt32, _ body: (KernelEvent) -> Void) {
    kill(on: index, family: .v4, body)
  }

  /// An IPv4 address came: next hops that died with the last one are alive again (fib_sync_up).
  mutating func addressAdded(on index: UInt32, _ body: (KernelEvent) -> Void) {
    if links[index] == true { revive(on: index, family: .v4, body) }
  }

  /// An address is on its link no more: IPv4 routes that prefer it as a source go, if they are in the link's table
  /// (fib_sync_down_addr), IPv6 routes over its link prefer none any more (fib6_remove_prefsrc).
  mutating func sourceRemoved(
    _ address: IPAddress, on index: UInt32, table: UInt32, _ body: (KernelEvent) -> Void
  ) {
    change(body) { route in
      guard route.preferredSource == address else { return true }
      if route.key.family == .v4 { return route.key.table != table }
      if route.hops.contains(where: { $0.interface == index }) { route.preferredSource = nil }
      return true
    }
  }

  /// A nexthop object is gone, and the routes that use it.
  mutating func nexthopObjectRemoved(_ id: UInt32, _ body: (KernelEvent) -> Void) {
    change(body) { $0.nexthopObject != id }
  }

  private mutating func kill(on index: UInt32, family: Family? = nil, _ body: (KernelEvent) -> Void) {
    change(body) { route in
      guard family == nil || family == route.key.family, route.hops.contains(where: { $0.interface == index }) else {
        return true
      }
      if route.nexthopObject != 0 {
        // The object itself goes with its link, or leaves its group: neither comes back.
        route.hops.removeAll { $0.interface == index }
        return !route.hops.isEmpty
      }
      for hop in route.hops.indices where route.hops[hop].interface == index { route.hops[hop].isDead = true }
      return route.key.family == .v6 || route.hops.contains { !$0.isDead }
    }
    // What is multipath in IPv6 lies in several entries: it goes when all of them are dead.
    for entry in entries.indices.reversed() where entries[entry].route.key.family == .v6 {
      let route = entries[entry].route
      if !route.hops.isEmpty, route.hops[0].isDead, !hasLiveSibling(route) { remove(at: entry, body) }
    }
  }

  /// What only looks like a sibling (advertised routes never are) is told as removed by the kernel itself.
  private func hasLiveSibling(_ route: Route) -> Bool {
    entries.contains {
      $0.route.key == route.key && $0.route.isUnicast && !$0.route.hops.isEmpty && !$0.route.hops[0].isDead
    }
  }

  private mutating func revive(on index: UInt32, family: Family?, _ body: (KernelEvent) -> Void) {
    change(body) { route in
      if family == nil || family == route.key.family {
        for hop in route.hops.indices where route.hops[hop].interface == index { route.hops[hop].isDead = false }
      }
      return true
    }
  }

  /// Lets `edit` change every route; where it says false the route goes.
  private mutating func change(_ body: (KernelEvent) -> Void, _ edit: (inout Route) -> Bool) {
    for index in entries.indices.reversed() {
      var route = entries[index].route
      let stays = edit(&route)
      if stays {
        let old = entries[index].route
        entries[index].route = route
        tell(from: old, to: route, body)
      } else {
        remove(at: index, body)
      }
    }
  }

  // MARK: Telling

  /// Tells what `new` says and nothing said before, then what `old` said and nothing says any more.
  private mutating func tell(
    from old: Route?, to new: Route?, only index: UInt32? = nil, _ body: (KernelEvent) -> Void
  ) {
    let after = new.map { values($0, only: index) } ?? []
    for value in after {
      let count = told[value, default: 0]
      told[value] = count + 1
      if count == 0 {
        revision += 1
        body(.defaultRoute(value))
      }
    }
    for value in old.map({ values($0, only: index) }) ?? [] {
      guard let count = told[value] else { continue }
      if count > 1 {
        told[value] = count - 1
      } else {
        told[value] = nil
        revision += 1
        body(.defaultRouteRemoved(value))
      }
    }
  }

  private func values(_ route: Route, only index: UInt32?) -> [DefaultRoute] {
    guard route.isUnicast, route.key.typeOfService == 0 else { return [] }
    var result: [DefaultRoute] = []
    for hop in route.hops where !hop.isDead && links[hop.interface] != nil {
      if let index, hop.interface != index { continue }
      result.append(
        DefaultRoute(
          interface: hop.interface, family: route.key.family, gateway: hop.gateway, table: route.key.table,
          metric: route.key.metric, origin: route.origin, preferredSource: route.preferredSource))
    }
    return result
  }
}
