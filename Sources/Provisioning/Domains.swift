import Messages
import Wire

/// From what routers, servers and the kernel say to provisioning domains: `reconcile` works out which PvDs there
/// should be on an interface and tells the difference to what was told before, in the draft's order.
extension NetworkState {
  /// What a PvD should be.
  fileprivate struct Wanted {
    let key: ProvisioningDomain.Key
    var elements = ProvisioningDomain.Elements()
    /// Places in the interface's list of addresses, in its order; none where all are sorted as they were.
    var addresses: [Int] = []
  }

  /// Which of an interface's addresses are to be sorted into PvDs.
  private enum Sorting {
    case all
    /// None but this one, if any: who configures addresses has not changed since all were sorted.
    case only(ChangedAddress?)
  }

  /// `serial` is that of the address that came, changed or went, if that is what happened.
  ///
  /// - Complexity: linear in the interface's addresses if its sources of addresses have changed. Else constant, but for a
  ///   look at the other addresses where one came or went that nobody configures.
  mutating func reconcile(_ place: Int, _ moment: Moment, changed serial: UInt64? = nil) {
    considerInformation(place, moment)
    let addressing = interfaces[place].addressing
    let sorting: Sorting
    var wanted: [Wanted]
    if interfaces[place].sortedBy == addressing {
      sorting = .only(serial.map { sort($0, place) })
      wanted = self.wanted(on: interfaces[place])
      addOwn(to: &wanted, interfaces[place])
    } else {
      interfaces[place].sortedBy = addressing
      sorting = .all
      wanted = sortAll(place)
    }
    withdraw(wanted, sorting, place)
    announce(wanted, sorting, place, moment)
    startInformationFetch(place, moment)
  }

  // MARK: What should be

  /// The PvDs of those who configure the interface, without addresses.
  private func wanted(on interface: Interface) -> [Wanted] {
    var wanted: [Wanted] = []
    // Nothing can be reached through a link that is down; what a DHCP client still holds comes back with it.
    if !interface.link.isUp { return wanted }
    for source in interface.sources {
      for key in keys(of: source, on: interface) {
        wanted[wanted.slot(key)].elements[source.identity.element] += source.signature
      }
    }
    for (name, signature) in interface.information.signatures {
      wanted[wanted.slot(.explicit(name: name))].elements[.routerAdvertisement] += signature
    }
    return wanted
  }

  /// What the interface has that nobody configures.
  private func addOwn(to wanted: inout [Wanted], _ interface: Interface) {
    if interface.byHand.count == 0 { return }
    wanted[wanted.slot(.kernel)].elements[.kernel] = interface.kernelSignature + [interface.byHand.prefixes]
  }

  /// The PvDs with all addresses that belong in them.
  private mutating func sortAll(_ place: Int) -> [Wanted] {
    let interface = interfaces[place]
    var wanted = wanted(on: interface)
    let slots = interface.sources.map { source in
      interface.link.isUp ? keys(of: source, on: interface).map { wanted.slot($0) } : []
    }
    var own: [Int] = []
    for (index, record) in interface.addresses.enumerated() where interface.sorts(record) {
      var isFound = false
      for source in interface.configuring(record.ip) {
        for slot in slots[source] where wanted[slot].addresses.last != index {
          wanted[slot].addresses.append(index)
          isFound = true
        }
      }
      if !isFound { own.append(index) }
    }
    interfaces[place].setByHand(own)
    addOwn(to: &wanted, interfaces[place])
    if !own.isEmpty {
      // Leases without a router's advertisement are in that PvD as well: both lists are in the order of the addresses.
      let slot = wanted.slot(.kernel)
      wanted[slot].addresses = (wanted[slot].addresses + own).sorted()
    }
    return wanted
  }

  /// Which PvDs one address belongs in; notes whether somebody configures it.
  private mutating func sort(_ serial: UInt64, _ place: Int) -> ChangedAddress {
    guard let index = interfaces[place].index(ofAddress: serial) else {
      return ChangedAddress(serial: serial, index: nil, homes: [])
    }
    let interface = interfaces[place]
    let record = interface.addresses[index]
    var homes: [ProvisioningDomain.Key] = []
    var isByHand = false
    if interface.sorts(record) {
      for source in interface.configuring(record.ip) {
        for key in keys(of: interface.sources[source], on: interface) where !homes.contains(key) { homes.append(key) }
      }
      isByHand = homes.isEmpty
      if isByHand { homes.append(.kernel) }
    }
    interfaces[place].setByHand(isByHand, index)
    return ChangedAddress(serial: serial, index: index, homes: homes)
  }

  /// The PvDs that a source configures: an advertisement its own, DHCPv4 the explicit PvD that asked for it by the
  /// L flag (RFC 8801 3.1) or else its own. Stateless DHCPv6 joins every PvD whose advertisement sends hosts to
  /// DHCPv6, leases the one that also has a prefix for the address, or that is the only one that leases addresses.
  func keys(of source: ConfigurationSource, on interface: Interface) -> [ProvisioningDomain.Key] {
    switch source.identity {
    case .router(let address): return [.router(address)]
    case .explicit(_, let name): return [.explicit(name: name)]
    case .dhcpv4(let server):
      for other in interface.sources where other.joinsDHCPv4 {
        if case .explicit(_, let name) = other.identity { return [.explicit(name: name)] }
      }
      return [.dhcpv4(server)]
    case .dhcpv6Information:
      return advertised(by: interface.sources.filter { $0.otherConfiguration || $0.managed })
    case .dhcpv6:
      let managed = interface.sources.filter { $0.managed }
      let holding = managed.filter { router in
        source.leases.contains { router.prefixLength(holding: $0.address) != nil }
      }
      if !holding.isEmpty { return [advertised(by: holding)[0]] }
      let keys = advertised(by: managed)
      return keys.count == 1 ? keys : [.kernel]
    }
  }

  private func advertised(by routers: [ConfigurationSource]) -> [ProvisioningDomain.Key] {
    var keys: [ProvisioningDomain.Key] = []
    for router in routers {
      switch router.identity {
      case .router(let address): keys.append(.router(address))
      case .explicit(_, let name): if !keys.contains(.explicit(name: name)) { keys.append(.explicit(name: name)) }
      case .dhcpv4, .dhcpv6, .dhcpv6Information: break
      }
    }
    return keys.isEmpty ? [.kernel] : keys
  }

  // MARK: What was told and is no longer so

  /// First a PvD's addresses and elements, then the PvD (wire.md, "Rules of order").
  private mutating func withdraw(_ wanted: [Wanted], _ sorting: Sorting, _ place: Int) {
    var isStale = false
    for index in interfaces[place].domains.indices {
      let key = interfaces[place].domains[index].key
      let want = wanted.firstIndex { $0.key == key }
      switch sorting {
      case .only(let changed) where want != nil:
        if let changed, !changed.homes.contains(key) { withdrawAddress(changed.serial, index, place) }
      case .only, .all: withdrawAddresses(but: want.map { wanted[$0].addresses } ?? [], index, place)
      }
      let id = interfaces[place].domains[index].id
      for type in ElementType.allCases where !interfaces[place].domains[index].elements[type].isEmpty {
        if let want, !wanted[want].elements[type].isEmpty { continue }
        interfaces[place].domains[index].elements[type] = []
        announcements.append(.elementGone(pvd: id, type))
      }
      if want == nil {
        announcements.append(.pvdGone(interfaces[place].domains[index]))
        isStale = true
      }
    }
    if isStale { interfaces[place].domains.removeAll { domain in !wanted.contains { $0.key == domain.key } } }
  }

  /// Both lists are in the order of the addresses' serials.
  private mutating func withdrawAddresses(but wanted: [Int], _ index: Int, _ place: Int) {
    let told = interfaces[place].domains[index].addresses
    let id = interfaces[place].domains[index].id
    var kept: [ProvisioningDomain.Address] = []
    kept.reserveCapacity(told.count)
    var next = 0
    for address in told {
      while next < wanted.count, interfaces[place].addresses[wanted[next]].serial < address.serial { next += 1 }
      if next < wanted.count, interfaces[place].addresses[wanted[next]].serial == address.serial {
        kept.append(address)
      } else {
        announcements.append(.addressGone(pvd: id, address.address.prefix))
        nameDomain(0, insteadOf: id, ofAddress: address.serial, place)
      }
    }
    if kept.count != told.count { interfaces[place].domains[index].addresses = kept }
  }

  private mutating func withdrawAddress(_ serial: UInt64, _ index: Int, _ place: Int) {
    let position = interfaces[place].domains[index].position(ofAddress: serial)
    guard position < interfaces[place].domains[index].addresses.count,
      interfaces[place].domains[index].addresses[position].serial == serial
    else { return }
    let gone = interfaces[place].domains[index].addresses.remove(at: position)
    let id = interfaces[place].domains[index].id
    announcements.append(.addressGone(pvd: id, gone.address.prefix))
    nameDomain(0, insteadOf: id, ofAddress: serial, place)
  }

  // MARK: What is so and was not told

  private mutating func announce(_ wanted: [Wanted], _ sorting: Sorting, _ place: Int, _ moment: Moment) {
    for want in wanted {
      let index: Int
      if let known = interfaces[place].domains.firstIndex(where: { $0.key == want.key }) {
        index = known
      } else {
        let link = interfaces[place].link
        let domain = ProvisioningDomain(
          id: nextDomain(), interface: link.index, key: want.key, name: want.key.name(on: link.name))
        index = interfaces[place].domains.count
        interfaces[place].domains.append(domain)
        announcements.append(.pvd(domain))
      }
      let id = interfaces[place].domains[index].id
      for type in ElementType.allCases where !want.elements[type].isEmpty {
        if interfaces[place].domains[index].elements[type] == want.elements[type] { continue }
        interfaces[place].domains[index].elements[type] = want.elements[type]
        announcements.append(.element(pvd: id, type))
      }
      switch sorting {
      case .all: announceAddresses(want.addresses, index, place, moment)
      case .only(let changed):
        if let changed, let address = changed.index, changed.homes.contains(want.key) {
          announceAddress(address, index, place, moment)
        }
      }
    }
  }

  private mutating func nextDomain() -> UInt32 {
    repeat {
      lastDomain &+= 1
      if lastDomain == 0 { hasWrappedDomains = true }
    } while lastDomain == 0 || hasWrappedDomains && domain(lastDomain) != nil
    return lastDomain
  }

  /// Both lists are in the order of the addresses' serials, and what was told is still wanted.
  private mutating func announceAddresses(_ wanted: [Int], _ index: Int, _ place: Int, _ moment: Moment) {
    let told = interfaces[place].domains[index].addresses
    let id = interfaces[place].domains[index].id
    var all: [ProvisioningDomain.Address] = []
    all.reserveCapacity(wanted.count)
    var next = 0
    var isNew = false
    for want in wanted {
      let address = ProvisioningDomain.Address(interfaces[place].addresses[want])
      if next < told.count, told[next].serial == address.serial {
        // What was told is kept, or many small steps would never be news.
        let isTold = told[next].isTold(for: address)
        all.append(isTold ? told[next] : address)
        next += 1
        if isTold { continue }
      } else {
        all.append(address)
        nameDomain(id, insteadOf: 0, ofAddress: address.serial, place)
      }
      isNew = true
      announcements.append(.address(pvd: id, address.remaining(at: moment.instant)))
    }
    if isNew { interfaces[place].domains[index].addresses = all }
  }

  /// The address at this place in the interface's list.
  private mutating func announceAddress(_ known: Int, _ index: Int, _ place: Int, _ moment: Moment) {
    let address = ProvisioningDomain.Address(interfaces[place].addresses[known])
    let id = interfaces[place].domains[index].id
    let position = interfaces[place].domains[index].position(ofAddress: address.serial)
    if position < interfaces[place].domains[index].addresses.count,
      interfaces[place].domains[index].addresses[position].serial == address.serial
    {
      if interfaces[place].domains[index].addresses[position].isTold(for: address) { return }
      interfaces[place].domains[index].addresses[position] = address
    } else {
      interfaces[place].domains[index].addresses.makeRoom()
      interfaces[place].domains[index].addresses.insert(address, at: position)
      nameDomain(id, insteadOf: 0, ofAddress: address.serial, place)
    }
    announcements.append(.address(pvd: id, address.remaining(at: moment.instant)))
  }

  /// An address's trigger names its PvD, the first of several, whenever somebody asks; that it came to be known is no
  /// news of the address.
  private mutating func nameDomain(_ id: UInt32, insteadOf known: UInt32, ofAddress serial: UInt64, _ place: Int) {
    guard let index = interfaces[place].index(ofAddress: serial) else { return }
    triggers.touch(interfaces[place].addresses[index].trigger) { if $0.pvd == known { $0.pvd = id } }
  }
}

extension [NetworkState.Wanted] {
  /// The place of the PvD with this key, which is made if it isn't there.
  fileprivate mutating func slot(_ key: ProvisioningDomain.Key) -> Int {
    if let slot = firstIndex(where: { $0.key == key }) { return slot }
    append(Element(key: key))
    return count - 1
  }
}

extension Interface {
  /// Which of `sources` an address comes from: whoever leased it, else whoever advertises the longest prefix that holds
  /// it (two routers may advertise the same; a short one, `::/0` even, takes nobody's addresses away).
  func configuring(_ address: IPAddress) -> [Int] {
    var found: [Int] = []
    for (index, source) in sources.enumerated() where source.leases.contains(where: { $0.address == address }) {
      found.append(index)
    }
    if !found.isEmpty { return found }
    var longest: UInt8 = 0
    for (index, source) in sources.enumerated() {
      guard let length = source.prefixLength(holding: address), length >= longest else { continue }
      if length > longest { found.removeAll() }
      longest = length
      found.append(index)
    }
    return found
  }
}

extension ProvisioningDomain.Address {
  fileprivate init(_ record: Interface.Address) {
    self.init(address: record.address, toldAt: record.toldAt, serial: record.serial)
  }

  /// Whether there is nothing new in `other`.
  fileprivate func isTold(for other: Self) -> Bool {
    address.flags == other.address.flags
      && address.preferredUntil(from: toldAt).isAbout(other.address.preferredUntil(from: other.toldAt))
      && address.validUntil(from: toldAt).isAbout(other.address.validUntil(from: other.toldAt))
  }
}

extension Instant {
  /// Equal but for the second that lifetimes are rounded to.
  fileprivate func isAbout(_ other: Instant) -> Bool {
    let difference = self < other ? other.nanoseconds - nanoseconds : nanoseconds - other.nanoseconds
    return difference < 1_500_000_000
  }
}
