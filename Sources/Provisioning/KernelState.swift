import Messages
import Wire

extension NetworkState {
  /// Applies one event of the kernel's, which is believed before anything heard on the network.
  package mutating func apply(_ event: KernelEvent, at moment: Moment) {
    switch event {
    case .link(let link): apply(link, moment)
    case .linkRemoved(let index): removeLink(index, moment)
    case .address(let address):
      if let place = place(address.interface, orPark: event) { apply(address, place, moment) }
    case .addressRemoved(let interface, let prefix):
      if let place = known(interface, orUnpark: event) { removeAddress(prefix, place, moment) }
    case .defaultRoute(let route):
      if let place = place(route.interface, orPark: event) { apply(route, place, moment) }
    case .defaultRouteRemoved(let route):
      if let place = known(route.interface, orUnpark: event) { remove(route, place, moment) }
    case .neighbour(let interface, let address, let reachability):
      if let place = place(interface, orPark: event) { apply(reachability, of: address, place, moment) }
    case .snapshotComplete:
      break
    }
  }

  /// What comes before its link is kept for it, not lost.
  private mutating func place(_ interface: UInt32, orPark event: KernelEvent) -> Int? {
    if let place = places[interface] { return place }
    if let known = parked.firstIndex(where: { $0.isAboutTheSame(as: event) }) {
      parked[known] = event
    } else if parked.count < limits.parked {
      parked.append(event)
      count(.parked)
    } else {
      count(.parkedFull)
    }
    return nil
  }

  /// What is taken away before its link came doesn't come with it.
  private mutating func known(_ interface: UInt32, orUnpark event: KernelEvent) -> Int? {
    if places[interface] == nil { parked.removeAll { $0.isAboutTheSame(as: event) } }
    return known(interface)
  }

  // MARK: Links

  private mutating func apply(_ link: Link, _ moment: Moment) {
    guard let place = places[link.index] else { return add(link, moment) }
    let old = interfaces[place].link
    if old == link { return }
    interfaces[place].link = link
    ports += (link.handsFramesOn ? 1 : 0) - (old.handsFramesOn ? 1 : 0)
    if old.name != link.name || old.isUp != link.isUp || old.hasCarrier != link.hasCarrier {
      announcements.append(.interface(link))
    }
    if link.isUp && !link.hasCarrier && !old.isUp { announcements.append(.interfaceGoingUp(link)) }
    if old.name != link.name { rename(place, moment) }
    var hasLostRoutes = false
    if !link.isUp {
      // IPv4 routes go with the link without a word (rules.md, "Kernel state"); IPv6's are told, but later.
      hasLostRoutes = dropRoutes(place) { _ in true }
    } else if !old.isUp {
      interfaces[place].lastAddresses.removeAll()
    }
    if old.hasCarrier != link.hasCarrier { reattachInformation(place, moment) }
    reconnect(place, moment)
    if hasLostRoutes { forgetPaths(moment) { $0.interface == link.index } }
    if old.isUp != link.isUp || old.mtu != link.mtu {
      // The kernel forgets what routers advertised when a link goes down; DHCP clients keep their leases.
      if !link.isUp { removeSources(place) { $0.identity.element == .routerAdvertisement } }
      reconcile(place, moment)
    }
  }

  /// The same interface under another name: who waited for that name has it back.
  private mutating func rename(_ place: Int, _ moment: Moment) {
    let link = interfaces[place].link
    if let removed = removedInterfaces[link.name] { removeTrigger(removed, .contradicted, moment) }
    modifyTrigger(interfaces[place].existence) {
      $0.origin.interfaceName = link.name
      $0.origin.timestamp = moment.timestamp
    }
  }

  private mutating func add(_ link: Link, _ moment: Moment) {
    if interfaces.count >= limits.interfaces {
      count(.interfacesFull)
      return
    }
    if let removed = removedInterfaces[link.name] { removeTrigger(removed, .contradicted, moment) }
    places[link.index] = interfaces.count
    interfaces.append(Interface(link: link))
    if link.handsFramesOn { ports += 1 }
    announcements.append(.interface(link))
    if link.isUp && !link.hasCarrier { announcements.append(.interfaceGoingUp(link)) }
    let trigger = addTrigger(.interfaceAdded, Trigger.Addresses(), origin(link, .kernel, moment))
    interfaces[interfaces.count - 1].existence = trigger
    for family in Family.allCases {
      guard let lost = lostConnections.removeValue(forKey: LostConnection(name: link.name, family: family)) else {
        continue
      }
      interfaces[interfaces.count - 1][family].lost = lost
      triggers.touch(lost) { $0.interface = link.index }
    }
    let waiting = parked
    parked.removeAll()
    for event in waiting { apply(event, at: moment) }
  }

  private mutating func removeLink(_ index: UInt32, _ moment: Moment) {
    if places[index] == nil { parked.removeAll { $0.interface == index } }
    guard let place = known(index) else { return }
    interfaces[place].link.isUp = false
    interfaces[place].link.hasCarrier = false
    interfaces[place].routes.removeAll()
    reconnect(place, moment)
    var last = interfaces[place].lastAddresses
    for address in interfaces[place].addresses where address.isUsable { last.append(address.address.prefix) }
    while let address = interfaces[place].addresses.last { removeAddress(address.address.prefix, place, moment) }
    removeSources(place) { _ in true }
    removeInformation(place)
    reconcile(place, moment)

    let gone = interfaces[place]
    if gone.link.handsFramesOn { ports -= 1 }
    removeTrigger(gone.existence, .contradicted, moment)
    if removedInterfaces.count < limits.interfaces {
      var addresses = Trigger.Addresses()
      for prefix in last { addresses.append(triggerAddress(prefix, index)) }
      let trigger = addTrigger(.interfaceRemoved, addresses, origin(gone.link, .kernel, moment))
      removedInterfaces[gone.link.name] = trigger
      hold(trigger, moment)
    }
    for family in Family.allCases {
      keepLost(gone[family].lost, LostConnection(name: gone.link.name, family: family), moment)
    }
    announcements.append(.interfaceGone(gone.link))

    places[index] = nil
    let lastPlace = interfaces.count - 1
    if place != lastPlace {
      interfaces[place] = interfaces[lastPlace]
      places[interfaces[place].link.index] = place
    }
    interfaces.removeLast()
  }

  /// CONN_LOST outlives its interface, until that is connected again or the hold time is over. Past the bound (that of
  /// `removedInterfaces`, per family) the hold time is none.
  private mutating func keepLost(_ id: UInt32, _ connection: LostConnection, _ moment: Moment) {
    if !triggers.touch(id, { $0.interfaceName = connection.name }) { return }
    if let other = lostConnections[connection] { removeTrigger(other, .contradicted, moment) }
    if lostConnections.count < 2 * limits.interfaces {
      lostConnections[connection] = id
    } else {
      removeTrigger(id, .expired, moment)
    }
  }

  // MARK: Addresses

  private mutating func apply(_ address: InterfaceAddress, _ place: Int, _ moment: Moment) {
    var record = Interface.Address(address: address, toldAt: moment.instant)
    let index: Int
    if let known = interfaces[place].addresses.firstIndex(where: { $0.address.prefix == address.prefix }) {
      index = known
      record.serial = interfaces[place].addresses[known].serial
      record.trigger = interfaces[place].addresses[known].trigger
      record.isByHand = interfaces[place].addresses[known].isByHand
      interfaces[place].addresses[known] = record
    } else if interfaces[place].addresses.count < limits.addressesPerInterface {
      index = interfaces[place].addresses.count
      lastSerial += 1
      record.serial = lastSerial
      interfaces[place].addresses.makeRoom()
      interfaces[place].addresses.append(record)
      interfaces[place].lastAddresses.removeAll { $0 == address.prefix }
      localAddresses[record.ip.asIPv6, default: 0] += 1
    } else {
      count(.addressesFull)
      return
    }
    // First the PvD that it is of, which its trigger names.
    reconcile(place, moment, changed: record.serial)
    tellAddress(index, place, moment)
    reconnect(place, moment)
  }

  /// IF_ADDRCHANGED stands while the address is usable; deprecated or preferred again is a modification, a lifetime
  /// alone is not (wire.md: a renewal must not make a peer roam).
  private mutating func tellAddress(_ index: Int, _ place: Int, _ moment: Moment) {
    let record = interfaces[place].addresses[index]
    let flags = UInt32(record.address.flags.rawValue)
    if !record.isUsable {
      removeTrigger(record.trigger, .contradicted, moment)
      interfaces[place].addresses[index].trigger = 0
    } else if record.trigger == 0 {
      var origin = origin(interfaces[place].link, .kernel, moment)
      origin.addressFlags = flags
      origin.pvd = domain(holding: record.ip, place)
      let addresses = Trigger.Addresses(triggerAddress(record.address.prefix, record.address.interface))
      interfaces[place].addresses[index].trigger = addTrigger(.addressChanged, addresses, origin)
    } else if let trigger = triggers[record.trigger] {
      let told = InterfaceAddress.Flags(rawValue: UInt8(truncatingIfNeeded: trigger.origin.addressFlags))
      if told.contains(.deprecated) != record.address.flags.contains(.deprecated) {
        modifyTrigger(record.trigger) {
          $0.origin.addressFlags = flags
          $0.origin.timestamp = moment.timestamp
        }
      }
    }
  }

  private mutating func removeAddress(_ prefix: IPPrefix, _ place: Int, _ moment: Moment) {
    guard let index = interfaces[place].addresses.firstIndex(where: { $0.address.prefix == prefix }) else { return }
    let record = interfaces[place].addresses.remove(at: index)
    if record.isByHand { interfaces[place].leaveByHand(prefix) }
    let holders = localAddresses[record.ip.asIPv6, default: 1] - 1
    localAddresses[record.ip.asIPv6] = holders == 0 ? nil : holders
    if !interfaces[place].link.isUp, record.isUsable, interfaces[place].lastAddresses.count < Trigger.Addresses.limit {
      interfaces[place].lastAddresses.append(prefix)
    }
    // The kernel drops IPv4 routes with their source address, and all with the last address, without a word.
    var hasLostRoutes = false
    if prefix.address.family == .v4 {
      let isLast = !interfaces[place].addresses.contains { $0.ip.family == .v4 }
      hasLostRoutes = dropRoutes(place) { $0.family == .v4 && (isLast || $0.preferredSource == record.ip) }
    }
    reconnect(place, moment)
    removeTrigger(record.trigger, .contradicted, moment)
    if localAddresses[record.ip.asIPv6] == nil { forgetPaths(moment) { $0.local == record.ip } }
    if hasLostRoutes { forgetPaths(of: .v4, on: record.address.interface, moment) }
    reconcile(place, moment, changed: record.serial)
  }

  // MARK: Default routes and their gateways

  /// A route that is replaced is told before the one that it replaces is taken away.
  private mutating func apply(_ route: DefaultRoute, _ place: Int, _ moment: Moment) {
    guard route.table == interfaces[place].link.routingTable else { return }
    if interfaces[place].routes.contains(route) { return }
    guard interfaces[place].routes.count < limits.routesPerInterface else { return count(.routesFull) }
    interfaces[place].routes.append(route)
    forgetPaths(of: route.family, on: route.interface, moment)
    reconnect(place, moment)
    reconcile(place, moment)
  }

  private mutating func remove(_ route: DefaultRoute, _ place: Int, _ moment: Moment) {
    guard dropRoutes(place, where: { $0 == route }) else { return }
    reconnect(place, moment)
    forgetPaths(of: route.family, on: route.interface, moment)
    reconcile(place, moment)
  }

  /// Takes routes away, and with them what is known of gateways that are none any more. True if there were any.
  private mutating func dropRoutes(_ place: Int, where isGone: (DefaultRoute) -> Bool) -> Bool {
    let before = interfaces[place].routes.count
    interfaces[place].routes.removeAll(where: isGone)
    if interfaces[place].routes.count == before { return false }
    let routes = interfaces[place].routes
    interfaces[place].failedGateways.removeAll { gateway in !routes.contains { $0.gateway == gateway } }
    return true
  }

  private mutating func forgetPaths(of family: Family, on interface: UInt32, _ moment: Moment) {
    forgetPaths(moment) { $0.local.family == family && $0.interface == interface }
  }

  /// A gateway that failed stays so until it answers: what is not known any more is no answer.
  private mutating func apply(_ reachability: Reachability, of gateway: IPAddress, _ place: Int, _ moment: Moment) {
    guard interfaces[place].routes.contains(where: { $0.gateway == gateway }) else { return }
    let known = interfaces[place].failedGateways.firstIndex(of: gateway)
    switch reachability {
    case .failed: if known == nil { interfaces[place].failedGateways.append(gateway) }
    case .reachable: if let known { interfaces[place].failedGateways.remove(at: known) }
    case .unknown: return
    }
    reconnect(place, moment)
  }

  // MARK: Connectivity

  /// Brings CONN_ESTABLISHED and CONN_LOST of an interface in step with what is known.
  mutating func reconnect(_ place: Int, _ moment: Moment) {
    for family in Family.allCases {
      let source = interfaces[place].source(family)
      let connection = interfaces[place][family]
      if source == connection.source { continue }
      interfaces[place][family].source = source
      let link = interfaces[place].link
      if let source {
        let addresses = Trigger.Addresses(triggerAddress(source, link.index))
        if connection.established != 0 {
          let pvd = domain(holding: source.address, place)
          modifyTrigger(connection.established) {
            $0.addresses = addresses
            $0.origin.pvd = pvd
            $0.origin.timestamp = moment.timestamp
          }
        } else {
          removeTrigger(connection.lost, .contradicted, moment)
          interfaces[place][family].lost = 0
          var origin = origin(link, .kernel, moment)
          origin.pvd = domain(holding: source.address, place)
          let trigger = addTrigger(.connectionEstablished, addresses, origin)
          interfaces[place][family].established = trigger
        }
      } else if let was = connection.source {
        removeTrigger(connection.established, .contradicted, moment)
        interfaces[place][family].established = 0
        if family == .v4, interfaces[place].doesWithoutIPv4(at: moment.instant) { continue }
        let addresses = Trigger.Addresses(triggerAddress(was, link.index))
        let trigger = addTrigger(.connectionLost, addresses, origin(link, .kernel, moment))
        interfaces[place][family].lost = trigger
        hold(trigger, moment)
      }
    }
  }
}

extension KernelEvent {
  /// The interface that the event is about, 0 for none.
  fileprivate var interface: UInt32 {
    switch self {
    case .link(let link): link.index
    case .linkRemoved(let index): index
    case .address(let address): address.interface
    case .addressRemoved(let interface, _): interface
    case .defaultRoute(let route), .defaultRouteRemoved(let route): route.interface
    case .neighbour(let interface, _, _): interface
    case .snapshotComplete: 0
    }
  }

  /// Whether a parked event says the same thing in an older form, or what `other` takes away.
  fileprivate func isAboutTheSame(as other: KernelEvent) -> Bool {
    switch (self, other) {
    case (.address(let a), .address(let b)): a.interface == b.interface && a.prefix == b.prefix
    case (.address(let a), .addressRemoved(let interface, let prefix)):
      a.interface == interface && a.prefix == prefix
    case (.defaultRoute(let a), .defaultRoute(let b)), (.defaultRoute(let a), .defaultRouteRemoved(let b)): a == b
    case (.neighbour(let a, let x, _), .neighbour(let b, let y, _)): a == b && x == y
    default: false
    }
  }
}
