import Messages
package import Wire

/// DHCPv4 (RFC 2131): only what answers a request that a client of this host sent on the same interface configures
/// anything, and only an ACK does.
extension NetworkState {
  package mutating func hear(_ message: borrowing DHCPv4Message, on interface: UInt32, at moment: Moment) {
    guard let place = known(interface) else { return }
    var client: [UInt8] = []
    message.hardwareAddress.append(to: &client)
    if !message.isToClient {
      count(.dhcpv4Requests)
      let request = DHCPv4Request(
        transaction: message.transaction, messageType: message.kind, client: client,
        livesWithoutIPv4: message.requests(DHCPv4Option.ipv6OnlyPreferred))
      interfaces[place].requests4.note(request, at: moment.instant) { $0 == request }
      if message.kind == .release || message.kind == .decline, isOwn(client, place) { endLeases4(place, moment) }
      return
    }
    count(.dhcpv4Replies)
    var faults = message.faults
    while let fault = faults.next() { count(fault.reason) }
    let transaction = message.transaction
    guard let request = interfaces[place].requests4.first(at: moment.instant, where: { $0.transaction == transaction })
    else { return count(.dhcpv4ForeignTransaction) }
    guard request.client == client, isOwn(client, place) else {
      return count(.dhcpv4ForeignClient)
    }
    if request.livesWithoutIPv4, message.kind != .nak {
      // RFC 8925 3.2: what is shorter than MIN_V6ONLY_WAIT, 300 s, means that. Without the option IPv4 is meant again.
      let wait = message.ipv6OnlyWait.map { max($0, 300) } ?? 0
      interfaces[place].withoutIPv4Until = moment.instant.adding(nanoseconds: UInt64(wait) * 1_000_000_000)
    }
    switch message.kind {
    case .ack
    where request.messageType == .request
      || request.messageType == .discover && message.contains(DHCPv4Option.rapidCommit):
      grant(message, place, moment)
    case .nak where request.messageType == .request:
      endLeases4(place, moment)
    default:
      // An OFFER never configures; what an INFORM is answered has no lease to live by.
      count(.dhcpv4Unconfiguring)
    }
  }

  private func isOwn(_ client: [UInt8], _ place: Int) -> Bool {
    let link = interfaces[place].link
    return link.hardwareAddressLength == 0 || link.isAddressed(by: client)
  }

  /// A client holds one lease on an interface: another server's takes the place of the one before (RFC 2131 4.4.5).
  private mutating func grant(_ message: borrowing DHCPv4Message, _ place: Int, _ moment: Moment) {
    guard let server = message.serverIdentifier, let lease = message.leaseTime, lease > 0,
      message.yourAddress != .unspecified
    else { return count(.dhcpv4Unconfiguring) }
    removeSources(place) { other in
      if case .dhcpv4(let old) = other.identity { old != server } else { false }
    }
    guard
      let index = source(
        .dhcpv4(server), place, limit: limits.serversPerInterface, full: .serversFull)
    else { return }
    let end = moment.instant.adding(lifetime: lease)
    var items: [ConfigurationSource.Item] = []
    func add(_ identifier: InformationIdentifier, _ value: ConfigurationValue, anchors: Bool = false) {
      items.append(
        ConfigurationSource.Item(
          identifier: identifier, value: value, preferredUntil: end, validUntil: end, anchors: anchors))
    }
    let renewal = message.renewalTime ?? UInt32(UInt64(lease) / 2)
    let rebinding = message.rebindingTime ?? UInt32(UInt64(lease) * 7 / 8)
    add(.lease, .lease(server: .v4(server), renewal: renewal, rebinding: rebinding), anchors: true)
    if let mask = message.prefixLength {
      add(.prefixes, .prefix(IPPrefix(.v4(message.yourAddress), mask).masked, flags: 0))
    }
    addRoutes(message, add)
    if let servers = message.domainNameServers {
      for server in 0..<servers.count { add(.dnsServers, .address(.v4(servers[server]))) }
    }
    if let servers = message.ntpServers {
      for server in 0..<servers.count { add(.ntpServers, .address(.v4(servers[server]))) }
    }
    if let name = message.domainName { add(.domainName, .text(name.copy)) }
    if var names = message.domainSearch {
      while let name = names.next() {
        var text: [UInt8] = []
        name.appendText(to: &text)
        add(.searchList, .text(text))
      }
    }
    if let mtu = message.interfaceMTU { add(.mtu, .number(UInt32(mtu))) }
    if let name = message.hostName { add(.hostName, .text(name.copy)) }
    if let zone = message.timeZoneName { add(.timeZone, .text(zone.copy)) }
    if let zone = message.posixTimeZone { add(.timeZone, .text(zone.copy)) }
    if let uri = message.captivePortal { add(.captivePortal, .text(uri.copy)) }
    if message.encryptedDNS != nil, let option = message.option(DHCPv4Option.encryptedDNS) {
      add(.encryptedDNS, .bytes(option.copy))
    }
    if message.ipv6OnlyWait != nil, let option = message.option(DHCPv4Option.ipv6OnlyPreferred) {
      add(.rawOption(UInt16(DHCPv4Option.ipv6OnlyPreferred)), .bytes(option.copy))
    }
    for option in message.unreadOptions where !DHCPv4Option.isOfTheExchange(option.code) {
      add(.rawOption(UInt16(option.code)), .bytes(option.content))
    }

    let address = ConfigurationSource.Lease(address: .v4(message.yourAddress), validUntil: end)
    interfaces[place].sources[index].replace(bounded(items), leases: [address])
    settle(index, place)
    reconcile(place, moment)
  }

  /// Option 121 makes a client ignore 3 and 33 (RFC 3442).
  private func addRoutes(
    _ message: borrowing DHCPv4Message, _ add: (InformationIdentifier, ConfigurationValue, Bool) -> Void
  ) {
    if var routes = message.classlessRoutes {
      while let route = routes.next() {
        if route.prefix.length == 0, route.gateway != .unspecified {
          add(.defaultRouter, .router(.v4(route.gateway), preference: 0), false)
        } else {
          add(.routes, .route(route.prefix, gateway: .v4(route.gateway), preference: 0), false)
        }
      }
      return
    }
    if let routers = message.routers {
      for router in 0..<routers.count {
        add(.defaultRouter, .router(.v4(routers[router]), preference: 0), false)
      }
    }
    if var routes = message.staticRoutes {
      while let route = routes.next() {
        add(.routes, .route(route.prefix, gateway: .v4(route.gateway), preference: 0), false)
      }
    }
  }

  /// A NAK ends all of it, and so does the client's own RELEASE or DECLINE (RFC 2131 3.1).
  private mutating func endLeases4(_ place: Int, _ moment: Moment) {
    removeSources(place) { $0.identity.element == .dhcpv4 }
    reconcile(place, moment)
  }
}

extension Link {
  /// Whether these bytes are the link's own hardware address.
  fileprivate func isAddressed(by bytes: [UInt8]) -> Bool {
    guard bytes.count == Int(hardwareAddressLength), bytes.count <= 8 else { return false }
    var value: UInt64 = 0
    for byte in bytes { value = value << 8 | UInt64(byte) }
    return value << (64 - 8 * UInt64(bytes.count)) == hardwareAddress
  }
}
