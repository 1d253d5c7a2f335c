import Messages
package import Wire

/// DHCPv6 (RFC 8415): only a REPLY that answers a request of a client here configures anything.
extension NetworkState {
  package mutating func hear(_ message: borrowing DHCPv6Message, on interface: UInt32, at moment: Moment) {
    guard let place = known(interface) else { return }
    var client: [UInt8] = []
    if let duid = message.clientIdentifier { duid.append(to: &client) }
    if !message.isToClient {
      count(.dhcpv6Requests)
      let request = DHCPv6Request(transaction: message.transaction, messageType: message.kind, client: client)
      interfaces[place].requests6.note(request, at: moment.instant) { $0 == request }
      if message.kind == .release || message.kind == .decline { giveBack(message, place, moment) }
      return
    }
    count(.dhcpv6Replies)
    let transaction = message.transaction
    guard let request = interfaces[place].requests6.first(at: moment.instant, where: { $0.transaction == transaction })
    else { return count(.dhcpv6ForeignTransaction) }
    guard request.client == client else { return count(.dhcpv6ForeignClient) }
    guard message.kind == .reply, message.status == .success, let identifier = message.serverIdentifier else {
      return count(.dhcpv6Unconfiguring)
    }
    var server: [UInt8] = []
    identifier.append(to: &server)
    let reply = Reply6(message)
    for refusal in reply.refusals { count(refusal) }
    switch request.messageType {
    case .release, .decline, .confirm: count(.dhcpv6Unconfiguring)
    case .solicit where !message.hasRapidCommit: count(.dhcpv6Unconfiguring)
    case .informationRequest: inform(reply, by: server, place, moment)
    default: grant(reply, by: server, from: message.source, place, moment)
    }
  }

  /// A REPLY speaks of the addresses in it and of no others (18.2.10.1): what it leaves out, or has no binding for, is
  /// no renewal and runs out at its own time.
  private mutating func grant(
    _ reply: Reply6, by server: [UInt8], from address: IPv6Address, _ place: Int, _ moment: Moment
  ) {
    let now = moment.instant
    let known = interfaces[place].place(of: ConfigurationSource.Identity.dhcpv6(server))
    if reply.addresses.isEmpty {
      if known == nil, !reply.hasAssociation || !reply.delegated.isEmpty {
        // It is about prefixes or settings alone.
        return inform(reply, by: server, place, moment)
      }
      // Without an association of addresses it may renew prefixes, and says nothing of the addresses.
      guard let known, !reply.delegated.isEmpty else { return count(.dhcpv6Unconfiguring) }
      let source = interfaces[place].sources[known]
      let others = source.items.filter { $0.identifier != .delegatedPrefixes }
      interfaces[place].sources[known].replace(
        bounded(others + reply.delegations(beside: source.items, at: now)), leases: source.leases)
      settle(known, place)
      return reconcile(place, moment)
    }
    var leases = known.map { interfaces[place].sources[$0].leases } ?? []
    for granted in reply.addresses {
      let lease = ConfigurationSource.Lease(
        address: .v6(granted.address), validUntil: now.adding(lifetime: granted.validLifetime))
      if let old = leases.firstIndex(where: { $0.address == lease.address }) {
        leases[old] = lease
      } else if leases.count < limits.itemsPerSource {
        leases.append(lease)
      } else {
        count(.itemsFull)
      }
    }
    // A lifetime of 0 takes an address away (21.6).
    leases.removeAll { $0.validUntil <= now }
    if known == nil, leases.isEmpty { return count(.dhcpv6Unconfiguring) }
    guard let index = source(.dhcpv6(server), place, limit: 2 * limits.serversPerInterface, full: .serversFull) else {
      return
    }
    var end = now
    for lease in leases { end = max(end, lease.validUntil) }
    let lease = ConfigurationValue.lease(server: .v6(address), renewal: reply.renewal, rebinding: reply.rebinding)
    let delegations = reply.delegations(beside: interfaces[place].sources[index].items, at: now)
    interfaces[place].sources[index].replace(
      bounded(items([(.lease, lease)] + reply.settings, until: end) + delegations), leases: leases)
    // Another server's address now is this one's (a REBIND, 18.2.5).
    func isTaken(_ lease: ConfigurationSource.Lease) -> Bool { leases.contains { $0.address == lease.address } }
    for other in interfaces[place].sources.indices
    where other != index && interfaces[place].sources[other].leases.contains(where: isTaken) {
      interfaces[place].sources[other].leases.removeAll(where: isTaken)
    }
    settle(index, place)
    removeSources(place) { !$0.isAlive }
    reconcile(place, moment)
  }

  /// Without addresses it lives until the client asks again (21.23), and the ten minutes that it may take to.
  private mutating func inform(_ reply: Reply6, by server: [UInt8], _ place: Int, _ moment: Moment) {
    let identity = ConfigurationSource.Identity.dhcpv6Information(server)
    guard let index = source(identity, place, limit: 2 * limits.serversPerInterface, full: .serversFull) else { return }
    let end = moment.instant.adding(lifetime: reply.refresh).adding(nanoseconds: 600_000_000_000)
    let delegations = reply.delegations(beside: interfaces[place].sources[index].items, at: moment.instant)
    interfaces[place].sources[index].replace(
      bounded(items(reply.settings, until: end) + delegations), leases: [])
    settle(index, place)
    reconcile(place, moment)
  }

  /// The client stops using what it is about to release before it says so (18.2.7), and what is declined never was
  /// usable (18.2.8).
  private mutating func giveBack(_ message: borrowing DHCPv6Message, _ place: Int, _ moment: Moment) {
    guard let identifier = message.serverIdentifier else { return }
    var server: [UInt8] = []
    identifier.append(to: &server)
    let given = Reply6(message)
    for identity in [ConfigurationSource.Identity.dhcpv6(server), .dhcpv6Information(server)] {
      guard let index = interfaces[place].place(of: identity) else { continue }
      let source = interfaces[place].sources[index]
      interfaces[place].sources[index].replace(
        source.items.filter { item in !given.delegated.contains { item.isDelegation(of: $0.prefix) } },
        leases: source.leases.filter { lease in !given.addresses.contains { .v6($0.address) == lease.address } })
      settle(index, place)
    }
    reconcile(place, moment)
  }

  private func items(
    _ settings: [(InformationIdentifier, ConfigurationValue)], until end: Instant
  ) -> [ConfigurationSource.Item] {
    settings.map {
      ConfigurationSource.Item(identifier: $0.0, value: $0.1, preferredUntil: end, validUntil: end, anchors: true)
    }
  }
}

extension ConfigurationSource.Item {
  fileprivate func isDelegation(of prefix: IPPrefix) -> Bool {
    identifier == .delegatedPrefixes && value == .prefix(prefix, flags: 0)
  }
}

/// What a message says of addresses, delegated prefixes and settings.
private struct Reply6 {
  /// Those that an IA_NA of status success names with status success, with their valid lifetimes in seconds.
  var addresses: [(address: IPv6Address, validLifetime: UInt32)] = []
  var hasAssociation = false
  /// Those that an IA_PD of status success names with status success, with their lifetimes in seconds.
  var delegated: [(prefix: IPPrefix, preferredLifetime: UInt32, validLifetime: UInt32)] = []
  /// T1 and T2 of the last association that has addresses.
  var renewal: UInt32 = 0
  var rebinding: UInt32 = 0
  var refresh = DHCPv6Option.defaultRefreshTime
  var settings: [(InformationIdentifier, ConfigurationValue)] = []
  var refusals: [Refusal] = []

  init(_ message: borrowing DHCPv6Message) {
    var options = message.options
    while let option = options.next() {
      switch option {
      case .nonTemporaryAddresses(let association): add(association)
      case .dnsServers(let servers):
        for server in 0..<servers.count { settings.append((.dnsServers, .address(.v6(servers[server])))) }
      case .domainSearch(var names):
        while let name = names.next() {
          var text: [UInt8] = []
          name.appendText(to: &text)
          settings.append((.searchList, .text(text)))
        }
      case .prefixDelegation(let association): delegate(association)
      case .ntpServer(let server): add(server)
      case .sntpServers(let servers):
        for server in 0..<servers.count { settings.append((.ntpServers, .address(.v6(servers[server])))) }
      case .captivePortal(let uri): settings.append((.captivePortal, .text(uri.copy)))
      case .timeZoneName(let zone), .posixTimeZone(let zone): settings.append((.timeZone, .text(zone.copy)))
      case .encryptedDNS(let resolver): settings.append((.encryptedDNS, .bytes(resolver.content.copy)))
      case .unknown(let code, let content):
        if !DHCPv6OptionCode.isOfTheExchange(code) { settings.append((.rawOption(code), .bytes(content.copy))) }
      case .informationRefreshTime(let seconds): refresh = seconds
      case .malformed(_, let refusal): refusals.append(refusal)
      case .clientIdentifier, .serverIdentifier, .address, .prefix, .preference, .statusCode, .rapidCommit: break
      }
    }
  }

  private mutating func add(_ server: borrowing NTPServer) {
    switch server {
    case .address(let address), .multicast(let address): settings.append((.ntpServers, .address(.v6(address))))
    case .name(let name):
      var text: [UInt8] = []
      name.appendText(to: &text)
      settings.append((.ntpServers, .text(text)))
    }
  }

  private mutating func delegate(_ association: borrowing IdentityAssociation) {
    guard association.status == .success else { return }
    var options = association.options
    while let option = options.next() {
      switch option {
      case .prefix(let prefix):
        guard prefix.status == .success else { continue }
        delegated.append((prefix.prefix, prefix.preferredLifetime, prefix.validLifetime))
      case .malformed(_, let refusal): refusals.append(refusal)
      default: continue
      }
    }
  }

  /// The delegated prefixes that there are after this message: like addresses, what it leaves out runs out at its own
  /// time (18.2.10.1), and a lifetime of 0 takes one away (21.22).
  func delegations(beside items: [ConfigurationSource.Item], at now: Instant) -> [ConfigurationSource.Item] {
    var all = items.filter { $0.identifier == .delegatedPrefixes }
    for granted in delegated {
      let item = ConfigurationSource.Item(
        identifier: .delegatedPrefixes, value: .prefix(granted.prefix, flags: 0),
        preferredUntil: now.adding(lifetime: granted.preferredLifetime),
        validUntil: now.adding(lifetime: granted.validLifetime), anchors: true)
      if let old = all.firstIndex(where: { $0.isDelegation(of: granted.prefix) }) {
        all[old] = item
      } else {
        all.append(item)
      }
    }
    return all.filter { $0.validUntil > now }
  }

  /// A status other than success is no lease, and no renewal of one.
  private mutating func add(_ association: borrowing IdentityAssociation) {
    hasAssociation = true
    guard association.status == .success else { return }
    var options = association.options
    while let option = options.next() {
      switch option {
      case .address(let address):
        guard address.status == .success else { continue }
        addresses.append((address.address, address.validLifetime))
        renewal = association.renewalTime
        rebinding = association.rebindingTime
      case .malformed(_, let refusal): refusals.append(refusal)
      default: continue
      }
    }
  }
}
