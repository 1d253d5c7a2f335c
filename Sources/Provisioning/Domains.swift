import Messages
import Wire

/// From what routers, servers and the kernel say to provisioning domains: `reconcile` works out which PvDs there
/// should be on an interface and tells the difference to what was told before, in the draft's order.
extension NetworkState {
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
    var sorting = Sorting.all
    var wanted: [WantedDomain] = []
    swap(&wanted, &spareWanted)
    if interfaces[place].sortedBy == addressing {
      sorting = .only(serial.map { interfaces[place].sort($0) })
      interfaces[place].addDomains(to: &wanted)
    } else {
      interfaces[place].sortedBy = addressing
      interfaces[place].sortAll(into: &wanted)
    }
    withdraw(wanted, sorting, place)
    announce(wanted, sorting, place, moment)
    wanted.removeAll(keepingCapacity: true)
    swap(&wanted, &spareWanted)
    startInformationFetch(place, moment)
  }

  // MARK: What was told and is no longer so

  /// First a PvD's addresses and elements, then the PvD (wire.md, "Rules of order").
  private mutating func withdraw(_ wanted: [WantedDomain], _ sorting: Sorting, _ place: Int) {
    var isStale = false
    for index in interfaces[place].domains.indices {
      let want = wanted.place(of: interfaces[place].domains[index].key)
      switch sorting {
      case .only(nil) where want != nil: break
      case .only(let changed?) where want != nil:
        if !changed.homes.contains(interfaces[place].domains[index].key) {
          withdrawAddress(changed.serial, index, place)
        }
      case .only, .all: withdrawAddresses(but: want.map { wanted[$0].addresses } ?? [], index, place)
      }
      withdrawElements(but: want.map { wanted[$0].elements } ?? ProvisioningDomain.Elements(), index, place)
      if want == nil {
        announcements.append(.pvdGone(interfaces[place].domains[index]))
        isStale = true
      }
    }
    if isStale { interfaces[place].domains.removeAll { wanted.place(of: $0.key) == nil } }
  }

  private mutating func withdrawElements(but wanted: ProvisioningDomain.Elements, _ index: Int, _ place: Int) {
    if !interfaces[place].domains[index].elements.hasMore(than: wanted) { return }
    for type in ElementType.allCases
    where wanted[type] == nil && interfaces[place].domains[index].elements[type] != nil {
      interfaces[place].domains[index].elements[type] = nil
      announcements.append(.elementGone(pvd: interfaces[place].domains[index].id, type))
    }
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

  private mutating func announce(_ wanted: [WantedDomain], _ sorting: Sorting, _ place: Int, _ moment: Moment) {
    for want in wanted.indices {
      let index = interfaces[place].place(of: wanted[want].key) ?? begin(wanted[want].key, place)
      announceElements(wanted[want].elements, index, place)
      switch sorting {
      case .all: announceAddresses(wanted[want].addresses, index, place, moment)
      case .only(nil): break
      case .only(let changed?):
        if let address = changed.index, changed.homes.contains(wanted[want].key) {
          announceAddress(address, index, place, moment)
        }
      }
    }
  }

  private mutating func announceElements(_ wanted: ProvisioningDomain.Elements, _ index: Int, _ place: Int) {
    if wanted.areAll(in: interfaces[place].domains[index].elements) { return }
    for type in ElementType.allCases {
      let fingerprint = wanted[type]
      if fingerprint == nil || interfaces[place].domains[index].elements[type] == fingerprint { continue }
      interfaces[place].domains[index].elements[type] = fingerprint
      announcements.append(.element(pvd: interfaces[place].domains[index].id, type))
    }
  }

  /// A PvD that was not there before; its place.
  private mutating func begin(_ key: ProvisioningDomain.Key, _ place: Int) -> Int {
    let link = interfaces[place].link
    let domain = ProvisioningDomain(id: nextDomain(), interface: link.index, key: key, name: key.name(on: link.name))
    interfaces[place].domains.append(domain)
    announcements.append(.pvd(domain))
    return interfaces[place].domains.count - 1
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
