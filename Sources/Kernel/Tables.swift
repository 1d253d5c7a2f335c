import CLinux
import CNetlink
import Provisioning
import Wire

/// All that is held of the kernel's state, and what each message makes of it. It asks for nothing by itself: what
/// is to be asked for stands in `resync`, `joinsNexthops` and the gateways that `routes` has and `neighbours` has not.
struct Tables {
  var counters = KernelCounters()
  var resync = Resync()
  var interfaces = Interfaces()
  var routes = DefaultRoutes()
  var neighbours = Neighbours()
  /// A route uses a nexthop object: notifications of those are wanted from now on.
  var joinsNexthops = false
  private var hasJoinedNexthops = false
  private var isSnapshotTold = false

  /// As many cycles, and the snapshot counts as complete even if the kernel's tables never stood still.
  private static let snapshotCycles: UInt32 = 4

  /// Notifications were dropped.
  mutating func lost() {
    counters.count(.overruns)
    resync.want(.all)
  }

  mutating func handle(_ message: Message, port: UInt32, at now: UInt64, _ body: (KernelEvent) -> Void) {
    counters.count(.messages)
    let isExpected = message.port == port && resync.running?.sequence == message.sequence
    if isExpected, message.isDumpPart {
      resync.progressed(isInterrupted: message.flags & NLM_F_DUMP_INTR != 0, at: now)
    }
    switch message.type {
    case Int(NLMSG_DONE):
      if isExpected { dumpEnded(status: message.status, at: now) }
    case Int(NLMSG_ERROR):
      if isExpected { dumpRefused(status: message.status, at: now) }
    case Int(NLMSG_OVERRUN): lost()
    case RTM_NEWLINK: linkChanged(message, body)
    case RTM_DELLINK: linkRemoved(message, body)
    case RTM_NEWADDR: addressChanged(message, at: now, body)
    case RTM_DELADDR: addressRemoved(message, body)
    case RTM_NEWROUTE, RTM_DELROUTE: routeChanged(message, body)
    case RTM_NEWNEIGH, RTM_DELNEIGH: neighbourChanged(message, body)
    case RTM_NEWNEXTHOP, RTM_DELNEXTHOP: nexthopChanged(message, body)
    default: break
    }
  }

  // MARK: Dumps

  private mutating func dumpEnded(status: Int32, at now: UInt64) {
    if status < 0 {
      counters.count(.dumpsFailed)
      resync.refused(retry: true, at: now)
    } else {
      if resync.running?.isInterrupted == true { counters.count(.dumpsInterrupted) }
      resync.finished(at: now)
    }
  }

  private mutating func dumpRefused(status: Int32, at now: UInt64) {
    // A kernel without IPv6 has no such table, and never will.
    let isAbsent = status == -EOPNOTSUPP || status == -EAFNOSUPPORT
    if !isAbsent { counters.count(.dumpsFailed) }
    resync.refused(retry: !isAbsent, at: now)
  }

  mutating func beginCycle(at now: UInt64) {
    if resync.begin(at: now), resync.cycle > 1 { counters.count(.resyncs) }
  }

  /// Sweeps what the cycle's dumps did not bring: routes before addresses before links.
  mutating func endCycle(at now: UInt64, _ body: (KernelEvent) -> Void) {
    let cycle = resync.cycle
    if resync.complete.contains(.neighbours) { neighbours.sweep(cycle: cycle, body) }
    if resync.complete.contains(.routes4) { routes.sweep(.v4, cycle: cycle, body) }
    if resync.complete.contains(.routes6) { routes.sweep(.v6, cycle: cycle, body) }
    if resync.complete.contains(.addresses) {
      for address in interfaces.addressesLeft(cycle: cycle) {
        removeAddress(address.value.prefix, peer: address.peer, on: address.value.interface, body)
      }
    }
    if resync.complete.contains(.links) {
      for index in interfaces.linksLeft(cycle: cycle) { removeLink(index, body) }
    }
    resync.ended(at: now)
    if !isSnapshotTold, resync.wanted.isEmpty || cycle >= Self.snapshotCycles {
      isSnapshotTold = true
      body(.snapshotComplete)
    }
  }

  // MARK: Links

  private mutating func linkChanged(_ message: Message, _ body: (KernelEvent) -> Void) {
    switch Decoding.link(message) {
    case .other: break
    case .malformed: counters.count(.badLinks)
    case .value(let link):
      guard interfaces.setLink(link, cycle: resync.cycle, body) else { return counters.count(.linksRefused) }
      routes.link(link.index, isUp: link.isUp, body)
    }
  }

  private mutating func linkRemoved(_ message: Message, _ body: (KernelEvent) -> Void) {
    switch Decoding.linkIndex(message) {
    case .other: break
    case .malformed: counters.count(.badLinks)
    case .value(let index): removeLink(index, body)
    }
  }

  private mutating func removeLink(_ index: UInt32, _ body: (KernelEvent) -> Void) {
    routes.linkRemoved(index, body)
    neighbours.removeAll(on: index)
    interfaces.removeAddresses(of: index, body)
    interfaces.removeLink(index, body)
  }

  // MARK: Addresses

  private mutating func addressChanged(_ message: Message, at now: UInt64, _ body: (KernelEvent) -> Void) {
    switch Decoding.address(message) {
    case .other: break
    case .malformed: counters.count(.badAddresses)
    case .value(let address):
      let result = interfaces.setAddress(
        address.value, peer: address.peer, isDump: message.isDumpPart, cycle: resync.cycle, at: now, body)
      switch result {
      case .known: break
      case .refused: counters.count(.addressesRefused)
      case .new:
        if address.value.prefix.address.family == .v4 {
          routes.addressAdded(on: address.value.interface, body)
        }
      }
    }
  }

  private mutating func addressRemoved(_ message: Message, _ body: (KernelEvent) -> Void) {
    switch Decoding.address(message) {
    case .other: break
    case .malformed: counters.count(.badAddresses)
    case .value(let address):
      removeAddress(address.value.prefix, peer: address.peer, on: address.value.interface, body)
    }
  }

  private mutating func removeAddress(
    _ prefix: IPPrefix, peer: IPAddress?, on index: UInt32, _ body: (KernelEvent) -> Void
  ) {
    guard let removed = interfaces.removeAddress(prefix, peer: peer, on: index, body) else { return }
    if removed.sourceIsGone {
      routes.sourceRemoved(prefix.address, on: index, table: interfaces.routingTable(of: index), body)
    }
    if removed.wasLastIPv4 { routes.lastAddressRemoved(on: index, body) }
  }

  // MARK: Routes

  private mutating func routeChanged(_ message: Message, _ body: (KernelEvent) -> Void) {
    guard Decoding.isDefaultRoute(message) else { return counters.count(.routesSkipped) }
    switch Decoding.route(message) {
    case .other: break
    case .malformed: counters.count(.badRoutes)
    case .value(let route):
      if route.nexthopObject != 0 {
        if route.hops.isEmpty, route.isUnicast { counters.count(.routesUnresolved) }
        if !hasJoinedNexthops {
          hasJoinedNexthops = true
          joinsNexthops = true
          // What happened to the object before its notifications come.
          resync.want(Self.dump(route.key.family))
        }
      }
      // A dump's parts may bear any flag.
      let replaces = message.flags & NLM_F_REPLACE != 0 && !message.isDumpPart
      let outcome =
        message.type == RTM_NEWROUTE
        ? routes.add(route, replaces: replaces, cycle: resync.cycle, body) : routes.remove(route, body)
      switch outcome {
      case .applied: break
      case .refused: counters.count(.routesRefused)
      case .ambiguous: resync.want(Self.dump(route.key.family))
      }
    }
  }

  private mutating func nexthopChanged(_ message: Message, _ body: (KernelEvent) -> Void) {
    switch Decoding.nexthopObject(message) {
    case .other: break
    case .malformed: counters.count(.badRoutes)
    case .value(let id):
      if message.type == RTM_DELNEXTHOP {
        routes.nexthopObjectRemoved(id, body)
      } else if routes.uses(nexthopObject: id) {
        // A group that lost a member, or another member: its routes are not told again.
        resync.want([Dumps(.routes4), Dumps(.routes6)])
      }
    }
  }

  private static func dump(_ family: Family) -> Dumps { Dumps(family == .v4 ? .routes4 : .routes6) }

  // MARK: Neighbours

  private mutating func neighbourChanged(_ message: Message, _ body: (KernelEvent) -> Void) {
    switch Decoding.neighbour(message) {
    case .other: break
    case .malformed: counters.count(.badNeighbours)
    case .value(let neighbour):
      if message.type == RTM_DELNEIGH {
        neighbours.remove(neighbour.key, body)
      } else if interfaces.isTold(neighbour.key.interface),
        !neighbours.set(
          neighbour.key, neighbour.sighting, isRouter: neighbour.isRouter, cycle: resync.cycle, body)
      {
        counters.count(.neighboursRefused)
      }
    }
  }
}
