import Messages
package import Wire

/// Router Advertisements (RFC 4861 6.3.4) as configuration: each router of an interface is a source of its own, and
/// what stands inside its PvD option a second one (RFC 8801 3.1). One router's data are never another's (RFC 7556).
extension NetworkState {
  package mutating func hear(_ advertisement: borrowing RouterAdvertisement, on interface: UInt32, at moment: Moment) {
    guard let place = known(interface) else { return }
    count(.routerAdvertisements)
    let router = advertisement.source
    var hasExplicit = false
    var explicitOwnsHeader = false
    var hasOptionsOutside = false

    var options = advertisement.options
    while let option = options.next() {
      switch option {
      case .provisioningDomain(let pvd):
        hasExplicit = true
        explicitOwnsHeader = pvd.header == nil
        hear(pvd, of: router, header: pvd.header ?? advertisement.header, place, moment)
      case .malformed(_, let refusal):
        count(.routerAdvertisementOptionsRefused)
        count(refusal)
      case .sourceLinkLayerAddress, .unknown: break
      default: hasOptionsOutside = true
      }
    }
    // Without the R flag the header is the explicit PvD's; then an implicit one is only there if it has data.
    if !hasExplicit || hasOptionsOutside || !explicitOwnsHeader
      || interfaces[place].place(of: ConfigurationSource.Identity.router(router)) != nil
    {
      if let index = advertised(.router(router), place) {
        let before = interfaces[place].sources[index].revision
        var header = advertisement.header
        // The router is a default router of one PvD only.
        if explicitOwnsHeader { header.routerLifetime = 0 }
        set(header, of: router, index, place, moment)
        set(advertisement.options, index, place, moment)
        settle(index, place, changedSince: before, moment)
      }
    }
  }

  private mutating func hear(
    _ pvd: borrowing ProvisioningDomainOption, of router: IPv6Address, header: RouterAdvertisementHeader,
    _ place: Int, _ moment: Moment
  ) {
    var name: [UInt8] = []
    pvd.name.appendText(to: &name)
    // Names of the DNS are compared without regard to case (RFC 4343).
    for index in name.indices where name[index] >= 0x41 && name[index] <= 0x5A { name[index] |= 0x20 }
    guard let index = advertised(.explicit(router, name: name), place) else { return }
    let before = interfaces[place].sources[index].revision
    set(header, of: router, index, place, moment)
    put(
      .pvdOption, .pvd(flags: pvd.flags, sequence: pvd.sequence), until: .never, anchors: false, index, place, moment)
    if interfaces[place].sources[index].joinsDHCPv4 != pvd.includesLegacyIPv4 {
      interfaces[place].sources[index].joinsDHCPv4 = pvd.includesLegacyIPv4
      interfaces[place].sources[index].countChange(ofAddressing: true)
    }
    var options = pvd.options
    while let option = options.next() {
      if case .malformed(_, let refusal) = option {
        count(.routerAdvertisementOptionsRefused)
        count(refusal)
      }
    }
    set(pvd.options, index, place, moment)
    settle(index, place, changedSince: before, moment)
  }

  private mutating func advertised(_ identity: ConfigurationSource.Identity, _ place: Int) -> Int? {
    source(identity, place, limit: limits.routersPerInterface, full: .routersFull)
  }

  private mutating func set(
    _ header: RouterAdvertisementHeader, of router: IPv6Address, _ index: Int, _ place: Int, _ moment: Moment
  ) {
    let managed = header.flags.contains(.managed)
    let other = header.flags.contains(.otherConfiguration)
    if interfaces[place].sources[index].managed != managed
      || interfaces[place].sources[index].otherConfiguration != other
    {
      interfaces[place].sources[index].managed = managed
      interfaces[place].sources[index].otherConfiguration = other
      interfaces[place].sources[index].countChange(ofAddressing: true)
    }
    // Router Lifetime 0 ends the default router and nothing else (RFC 4861 6.3.4); 65535 is no infinity here.
    put(
      .defaultRouter, .router(.v6(router), preference: header.preference.rawValue),
      until: moment.instant.adding(nanoseconds: UInt64(header.routerLifetime) * 1_000_000_000), anchors: true,
      index, place, moment)
    // 0 is "unspecified": what was said before stays.
    if header.curHopLimit != 0 {
      put(.hopLimit, .number(UInt32(header.curHopLimit)), until: .never, anchors: false, index, place, moment)
    }
  }

  private mutating func set(
    _ options: consuming NeighbourDiscoveryOptions, _ index: Int, _ place: Int, _ moment: Moment
  ) {
    var unread: [(number: UInt16, content: [UInt8])] = []
    while let option = options.next() {
      switch option {
      case .prefixInformation(let prefix): set(prefix, index, place, moment)
      case .routeInformation(let route):
        put(
          .routes,
          .route(
            route.prefix, gateway: advertiser(index, place), preference: route.preference.rawValue),
          lifetime: route.lifetime, index, place, moment)
      case .recursiveDNSServers(let servers):
        for server in 0..<servers.count {
          put(.dnsServers, .address(.v6(servers[server])), lifetime: servers.lifetime, index, place, moment)
        }
      case .dnsSearchList(let list):
        var names = list.names
        while let name = names.next() {
          var text: [UInt8] = []
          name.appendText(to: &text)
          put(.searchList, .text(text), lifetime: list.lifetime, index, place, moment)
        }
      case .mtu(let mtu):
        // Above the link's own it is ignored (RFC 4861 6.3.4).
        if mtu <= interfaces[place].link.mtu {
          put(.mtu, .number(mtu), until: .never, anchors: false, index, place, moment)
        }
      case .captivePortal(let uri):
        var text: [UInt8] = []
        uri.append(to: &text)
        put(.captivePortal, .text(text), until: .never, anchors: false, index, place, moment)
      case .pref64(let nat64):
        put(.pref64, .prefix(nat64.prefix, flags: 0), lifetime: nat64.lifetime, index, place, moment)
      case .encryptedDNS(let resolver):
        put(
          .encryptedDNS, .bytes(resolver.contentWithoutLifetime), lifetime: resolver.lifetime ?? 0, index, place,
          moment)
      case .router(let option): unread.append((UInt16(option.type), option.content.copy))
      case .unknown(let type, let content): unread.append((UInt16(type), content.copy))
      case .malformed, .provisioningDomain, .sourceLinkLayerAddress: break
      }
    }
    if !interfaces[place].sources[index].setUnread(unread, limits) { count(.itemsFull) }
  }

  /// The two-hour rule (RFC 4862 5.5.3 e): an advertisement that anybody on the link could send ends no address, and
  /// so no prefix that addresses are made from, before two hours. Others are taken as they come (RFC 4861 6.3.4).
  private mutating func set(_ option: PrefixInformation, _ index: Int, _ place: Int, _ moment: Moment) {
    let now = moment.instant
    var validUntil = now.adding(lifetime: option.validLifetime)
    let known = interfaces[place].sources[index].item(ofPrefix: option.prefix)
    // A preferred lifetime past the valid one makes the prefix no source of addresses (RFC 4862 5.5.3 c).
    // To who has a delegated prefix, P says that none are to be made of this one (RFC 9762).
    let permitsAddresses =
      option.permitsAddresses && !(option.flags.contains(.delegationPreferred) && interfaces[place].hasDelegation)
    var flags = option.flags
    if !permitsAddresses { flags.remove(.autonomous) }
    var preferredUntil = now.adding(lifetime: option.preferredLifetime)
    if let known, case .prefix(_, let bits) = known.value,
      PrefixInformation.Flags(rawValue: bits).contains(.autonomous)
    {
      if !permitsAddresses {
        // It says nothing of the addresses that there are.
        flags.insert(.autonomous)
        preferredUntil = known.preferredUntil
        validUntil = max(validUntil, known.validUntil)
      } else if validUntil < known.validUntil {
        let twoHours = now.adding(nanoseconds: 7_200_000_000_000)
        if validUntil <= twoHours { validUntil = min(known.validUntil, twoHours) }
      }
    }
    preferredUntil = min(preferredUntil, validUntil)
    put(
      ConfigurationSource.Item(
        identifier: .prefixes, value: .prefix(option.prefix, flags: flags.rawValue), preferredUntil: preferredUntil,
        validUntil: validUntil, anchors: true), index, place, moment)
  }

  private func advertiser(_ index: Int, _ place: Int) -> IPAddress {
    switch interfaces[place].sources[index].identity {
    case .router(let router), .explicit(let router, _): .v6(router)
    case .dhcpv4, .dhcpv6, .dhcpv6Information: .v6(.unspecified)
    }
  }

  private mutating func put(
    _ identifier: InformationIdentifier, _ value: ConfigurationValue, lifetime: UInt32, _ index: Int, _ place: Int,
    _ moment: Moment
  ) {
    put(
      identifier, value, until: moment.instant.adding(lifetime: lifetime), anchors: true, index, place, moment)
  }

  private mutating func put(
    _ identifier: InformationIdentifier, _ value: ConfigurationValue, until end: Instant, anchors: Bool,
    _ index: Int, _ place: Int, _ moment: Moment
  ) {
    put(
      ConfigurationSource.Item(
        identifier: identifier, value: value, preferredUntil: end, validUntil: end, anchors: anchors), index, place,
      moment)
  }

  mutating func put(_ item: ConfigurationSource.Item, _ index: Int, _ place: Int, _ moment: Moment) {
    if !interfaces[place].sources[index].set(item, at: moment.instant, limits) {
      count(.itemsFull)
    }
  }

  /// Nothing is worked out anew for an advertisement that only extends lifetimes.
  private mutating func settle(_ index: Int, _ place: Int, changedSince revision: UInt32, _ moment: Moment) {
    let hasChanged = interfaces[place].sources[index].revision != revision
    settle(index, place)
    if hasChanged {
      let addressing = interfaces[place].sortedBy
      reconcile(place, moment)
      // A prefix may make another address the preferred source.
      if interfaces[place].sortedBy != addressing { reconnect(place, moment) }
    }
  }
}
