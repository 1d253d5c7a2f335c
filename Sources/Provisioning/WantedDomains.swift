import Messages
import Wire

/// What a PvD should be.
struct WantedDomain {
  let key: ProvisioningDomain.Key
  var elements = ProvisioningDomain.Elements()
  /// Places in the interface's list of addresses, in its order; none where all are sorted as they were.
  var addresses: [Int] = []
}

extension [WantedDomain] {
  func place(of key: ProvisioningDomain.Key) -> Int? {
    for place in indices where self[place].key == key { return place }
    return nil
  }

  /// The place of the PvD with this key, which is made if it isn't there.
  fileprivate mutating func slot(_ key: ProvisioningDomain.Key) -> Int {
    if let place = place(of: key) { return place }
    append(WantedDomain(key: key))
    return count - 1
  }
}

/// Which provisioning domains there should be on an interface.
extension Interface {
  /// The place of the PvD with this key among those that are announced.
  func place(of key: ProvisioningDomain.Key) -> Int? {
    for place in domains.indices where domains[place].key == key { return place }
    return nil
  }

  /// Adds the PvDs with what configures them, without addresses.
  func addDomains(to wanted: inout [WantedDomain]) {
    addConfigured(to: &wanted)
    addOwn(to: &wanted)
  }

  /// Adds the PvDs with all addresses that belong in them.
  func sortAll(into wanted: inout [WantedDomain]) {
    addConfigured(to: &wanted)
    let slots = sources.map { source in link.isUp ? keys(of: source).map { wanted.slot($0) } : [] }
    var own: [Int] = []
    for (index, record) in addresses.enumerated() where sorts(record) {
      var isFound = false
      for source in configuring(record.ip) {
        for slot in slots[source] where wanted[slot].addresses.last != index {
          wanted[slot].addresses.append(index)
          isFound = true
        }
      }
      if !isFound { own.append(index) }
    }
    setByHand(own)
    addOwn(to: &wanted)
    if !own.isEmpty {
      // Leases without a router's advertisement are in that PvD as well: both lists are in the order of the addresses.
      let slot = wanted.slot(.kernel)
      wanted[slot].addresses = (wanted[slot].addresses + own).sorted()
    }
  }

  /// Which PvDs one address belongs in; notes whether somebody configures it.
  func sort(_ serial: UInt64) -> ChangedAddress {
    guard let index = index(ofAddress: serial) else { return ChangedAddress(serial: serial, index: nil, homes: []) }
    var homes: [ProvisioningDomain.Key] = []
    var isByHand = false
    if sorts(addresses[index]) {
      for source in configuring(addresses[index].ip) {
        for key in keys(of: sources[source]) where !homes.contains(key) { homes.append(key) }
      }
      isByHand = homes.isEmpty
      if isByHand { homes.append(.kernel) }
    }
    setByHand(isByHand, index)
    return ChangedAddress(serial: serial, index: index, homes: homes)
  }

  /// The PvDs of those who configure the interface.
  private func addConfigured(to wanted: inout [WantedDomain]) {
    // Nothing can be reached through a link that is down; what a DHCP client still holds comes back with it.
    if !link.isUp { return }
    for source in sources {
      forEachKey(of: source) { wanted[wanted.slot($0)].elements.add(source.fingerprint, to: source.identity.element) }
    }
    for entry in information.entries.indices where information.entries[entry].known != nil {
      let slot = wanted.slot(.explicit(name: information.entries[entry].name))
      wanted[slot].elements.add(information.entries[entry].fingerprint, to: .routerAdvertisement)
    }
  }

  /// What the interface has that nobody configures.
  private func addOwn(to wanted: inout [WantedDomain]) {
    if byHand.count > 0 { wanted[wanted.slot(.kernel)].elements[.kernel] = kernelFingerprint }
  }

  func keys(of source: ConfigurationSource) -> [ProvisioningDomain.Key] {
    var keys: [ProvisioningDomain.Key] = []
    forEachKey(of: source) { keys.append($0) }
    return keys
  }

  /// The PvDs that a source configures: an advertisement its own, DHCPv4 the explicit PvD that asked for it by the
  /// L flag (RFC 8801 3.1) or else its own. Stateless DHCPv6 joins every PvD whose advertisement sends hosts to
  /// DHCPv6, leases the one that also has a prefix for the address, or that is the only one that leases addresses.
  private func forEachKey(of source: ConfigurationSource, _ body: (ProvisioningDomain.Key) -> Void) {
    switch source.identity {
    case .router(let address): body(.router(address))
    case .explicit(_, let name): body(.explicit(name: name))
    case .dhcpv4(let server):
      for other in sources where other.joinsDHCPv4 {
        if case .explicit(_, let name) = other.identity { return body(.explicit(name: name)) }
      }
      body(.dhcpv4(server))
    case .dhcpv6Information:
      for key in advertised(by: sources.filter { $0.otherConfiguration || $0.managed }) { body(key) }
    case .dhcpv6:
      let managed = sources.filter { $0.managed }
      let holding = managed.filter { router in
        source.leases.contains { router.prefixLength(holding: $0.address) != nil }
      }
      if !holding.isEmpty { return body(advertised(by: holding)[0]) }
      let keys = advertised(by: managed)
      body(keys.count == 1 ? keys[0] : .kernel)
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
