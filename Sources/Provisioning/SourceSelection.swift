import Messages
package import Wire

/// Which of a PvD's addresses packets leave from: RFC 6724 5 among these alone.
extension NetworkState {
  /// The address of a PvD to reach `destination` from; nil if the PvD has none of its family. An interface's
  /// link-local addresses belong to each of its PvDs, and serve for what is on the link itself.
  package func source(for destination: IPAddress, of domain: ProvisioningDomain) -> IPAddress? {
    guard let place = places[domain.interface] else { return nil }
    let candidates = interfaces[place].candidates(
      of: domain, linkLocal: destination.scope <= .linkLocal, towards: destination)
    return SourceCandidate.select(among: candidates, for: destination).map { candidates[$0].address }
  }

  /// The addresses of a PvD that can be sent from, those of its link too where asked for. In the order of preference
  /// as far as it is known without a destination: deprecated ones last, and so on.
  package func usableAddresses(of domain: ProvisioningDomain, linkLocal: Bool = false) -> [IPAddress] {
    guard let place = places[domain.interface] else { return [] }
    var ranked: [(place: Int, rank: Int)] = []
    let candidates = interfaces[place].candidates(of: domain, linkLocal: linkLocal, towards: nil)
    for (place, candidate) in candidates.enumerated() { ranked.append((place, candidate.rankWithoutDestination)) }
    ranked.sort { $0.rank != $1.rank ? $0.rank > $1.rank : $0.place < $1.place }
    return ranked.map { candidates[$0.place].address }
  }
}

extension SourceCandidate {
  /// Rules 3, 5.5 and 7; addresses for the link alone after all others.
  fileprivate var rankWithoutDestination: Int {
    (address.isLinkLocal ? 0 : 16) + (isDeprecated ? 0 : 8) + (isOfNextHop ? 4 : 0) + (isTemporary ? 2 : 0)
      + (isSecondary ? 0 : 1)
  }
}

extension Interface {
  fileprivate func candidates(
    of domain: ProvisioningDomain, linkLocal: Bool, towards destination: IPAddress?
  ) -> [SourceCandidate] {
    var candidates: [SourceCandidate] = []
    candidates.reserveCapacity(domain.addresses.count + 1)
    // What is on the link has no next hop but itself (rule 5.5).
    let isOnLink =
      destination.map { destination in domain.addresses.contains { $0.address.prefix.contains(destination) } } ?? false
    let routes = isOnLink ? (nil, nil) : (nextHop(.v4), nextHop(.v6))
    for address in domain.addresses {
      let isV4 = address.address.prefix.address.family == .v4
      let route = isV4 ? routes.0 : routes.1
      candidates.append(
        SourceCandidate(address.address, isOfNextHop: route.map { leads($0, address.address.prefix) } ?? false))
    }
    if linkLocal {
      for address in addresses where address.isUsable && address.ip.isLinkLocal {
        candidates.append(SourceCandidate(address.address, isOfNextHop: false))
      }
    }
    return candidates
  }

  /// Rule 5.5: whether the route names this address, or else the next hop advertised its prefix; in IPv4, where nobody
  /// does that, whether the next hop is in it.
  private func leads(_ route: DefaultRoute, _ prefix: IPPrefix) -> Bool {
    if let preferred = route.preferredSource { return preferred == prefix.address }
    switch route.gateway {
    case .v4(let gateway): return prefix.contains(.v4(gateway))
    case .v6(let router):
      return sources.contains { $0.isAdvertised(by: router) && $0.prefixLength(holding: prefix.address) != nil }
    case nil: return false
    }
  }
}

extension SourceCandidate {
  fileprivate init(_ address: InterfaceAddress, isOfNextHop: Bool) {
    self.init(
      address.prefix, isDeprecated: address.flags.contains(.deprecated),
      isTemporary: address.flags.contains(.temporary), isSecondary: address.flags.contains(.secondary),
      isOfNextHop: isOfNextHop)
  }
}
