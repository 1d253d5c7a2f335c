import Messages
import Wire

/// From what routers, servers and the kernel say to provisioning domains: `reconcile` works out which PvDs there
/// should be on an interface and tells the difference to what was told before, in the draft's order.
extension NetworkState {
  /// What a PvD should be.
  private struct Wanted {
    let key: ProvisioningDomain.Key
    var elements = ProvisioningDomain.Elements()
    /// Places in the interface's list of addresses, in its order.
    var addresses: [Int] = []
  }

  /// - Complexity: linear in the interface's addresses; each event of the kernel's costs that.
  mutating func reconcile(_ place: Int, _ moment: Moment) {
    considerInformation(place, moment)
    let wanted = wanted(on: interfaces[place])
    withdraw(wanted, place)
    announce(wanted, place, moment)
    startInformationFetch(place, moment)
  }

  // MARK: What should be

  private func wanted(on interface: Interface) -> [Wanted] {
    var wanted: [Wanted] = []
    // Nothing can be reached through a link that is down; what a DHCP client still holds comes back with it.
    if !interface.link.isUp { return wanted }
    func slot(_ key: ProvisioningDomain.Key) -> Int {
      if let slot = wanted.firstIndex(where: { $0.key == key }) { return slot }
      wanted.append(Wanted(key: key))
      return wanted.count - 1
    }
    var slots: [[Int]] = []
    for source in interface.sources {
      let own = keys(of: source, on: interface).map(slot)
      slots.append(own)
      for slot in own { wanted[slot].elements[source.identity.element] += source.signature }
    }
    for (name, signature) in interface.information.signatures {
      wanted[slot(.explicit(name: name))].elements[.routerAdvertisement] += signature
    }
    var byHand: Int?
    var lastPrefix: IPPrefix?
    var prefixes = Fingerprint()
    for (index, record) in interface.addresses.enumerated() where record.isUsable && !record.ip.isLinkLocal {
      var isFound = false
      for source in interface.configuring(record.ip) {
        for slot in slots[source] where wanted[slot].addresses.last != index {
          wanted[slot].addresses.append(index)
          isFound = true
        }
      }
      if isFound { continue }
      let slot = slot(.kernel)
      wanted[slot].addresses.append(index)
      byHand = slot
      let prefix = record.address.prefix.masked
      if prefix != lastPrefix { prefixes.add(prefix) }
      lastPrefix = prefix
    }
    if let byHand { wanted[byHand].elements[.kernel] = interface.kernelSignature + [prefixes.value] }
    return wanted
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
  private mutating func withdraw(_ wanted: [Wanted], _ place: Int) {
    var isStale = false
    for index in interfaces[place].domains.indices {
      let key = interfaces[place].domains[index].key
      let want = wanted.firstIndex { $0.key == key }
      withdrawAddresses(but: want.map { wanted[$0].addresses } ?? [], index, place)
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

  // MARK: What is so and was not told

  private mutating func announce(_ wanted: [Wanted], _ place: Int, _ moment: Moment) {
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
      announceAddresses(want.addresses, index, place, moment)
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

  /// An address's trigger names its PvD, the first of several, whenever somebody asks; that it came to be known is no
  /// news of the address.
  private mutating func nameDomain(_ id: UInt32, insteadOf known: UInt32, ofAddress serial: UInt64, _ place: Int) {
    // The list is in the order of the serials.
    var (low, high) = (0, interfaces[place].addresses.count)
    while low < high {
      let middle = (low + high) / 2
      if interfaces[place].addresses[middle].serial < serial { low = middle + 1 } else { high = middle }
    }
    guard low < interfaces[place].addresses.count, interfaces[place].addresses[low].serial == serial else { return }
    triggers.touch(interfaces[place].addresses[low].trigger) { if $0.pvd == known { $0.pvd = id } }
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
    self.init(
      address: record.address, preferredUntil: record.preferredUntil, validUntil: record.validUntil,
      serial: record.serial)
  }

  /// Whether there is nothing new in `other`.
  fileprivate func isTold(for other: Self) -> Bool {
    address.flags == other.address.flags && preferredUntil.isAbout(other.preferredUntil)
      && validUntil.isAbout(other.validUntil)
  }
}

extension Instant {
  /// Equal but for the second that lifetimes are rounded to.
  fileprivate func isAbout(_ other: Instant) -> Bool {
    let difference = self < other ? other.nanoseconds - nanoseconds : nanoseconds - other.nanoseconds
    return difference < 1_500_000_000
  }
}
