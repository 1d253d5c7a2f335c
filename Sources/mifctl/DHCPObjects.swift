import Wire

/// DHCP messages as JSON (docs/decode.md).
enum DHCPObjects {
  private typealias Members = [(String, JSON)]

  // MARK: DHCPv4

  static func message(_ message: borrowing DHCPv4Message) -> [(String, JSON)] {
    [
      ("packet", .string("dhcpv4")), ("message", .string("\(message.kind)")),
      ("source", .string(message.source.description)), ("destination", .string(message.destination.description)),
      ("xid", PacketObjects.number(message.transaction)), ("secs", PacketObjects.number(message.seconds)),
      ("flags", PacketObjects.number(message.flags)), ("htype", PacketObjects.number(message.hardwareType)),
      ("chaddr", PacketObjects.hex(message.hardwareAddress)),
      ("ciaddr", .string(message.clientAddress.description)), ("yiaddr", .string(message.yourAddress.description)),
      ("siaddr", .string(message.nextServerAddress.description)),
      ("giaddr", .string(message.relayAddress.description)),
      ("options", .array(options(message).sorted { $0.0 < $1.0 }.map { .object($0.1) })),
    ]
  }

  /// Of known options their code and members.
  private static func options(_ message: borrowing DHCPv4Message) -> [(UInt8, Members)] {
    var result: [(UInt8, Members)] = []
    func add(_ code: UInt8, _ name: String, _ value: String, _ json: JSON?) {
      guard let json else { return }
      result.append((code, [("option", .string(name)), ("code", PacketObjects.number(code)), (value, json)]))
    }
    func number(_ value: (some UnsignedInteger)?) -> JSON? { value.map { PacketObjects.number($0) } }
    func lifetime(_ value: UInt32?) -> JSON? { value.map { PacketObjects.lifetime($0) } }

    add(DHCPv4Option.subnetMask, "subnet-mask", "prefixlen", number(message.prefixLength))
    if let list = message.routers { add(DHCPv4Option.routers, "routers", "addresses", addresses(list)) }
    if let list = message.domainNameServers {
      add(DHCPv4Option.domainNameServers, "dns-servers", "addresses", addresses(list))
    }
    if let bytes = message.hostName { add(DHCPv4Option.hostName, "host-name", "text", text(bytes)) }
    if let bytes = message.domainName { add(DHCPv4Option.domainName, "domain-name", "text", text(bytes)) }
    add(DHCPv4Option.interfaceMTU, "interface-mtu", "mtu", number(message.interfaceMTU))
    if let list = message.staticRoutes { add(DHCPv4Option.staticRoutes, "static-routes", "routes", routes(list)) }
    if let list = message.ntpServers { add(DHCPv4Option.ntpServers, "ntp-servers", "addresses", addresses(list)) }
    add(DHCPv4Option.leaseTime, "lease-time", "seconds", lifetime(message.leaseTime))
    add(
      DHCPv4Option.serverIdentifier, "server-identifier", "address",
      message.serverIdentifier.map { .string($0.description) })
    add(DHCPv4Option.renewalTime, "renewal-time", "seconds", lifetime(message.renewalTime))
    add(DHCPv4Option.rebindingTime, "rebinding-time", "seconds", lifetime(message.rebindingTime))
    if message.contains(DHCPv4Option.rapidCommit) {
      result.append(
        (
          DHCPv4Option.rapidCommit,
          [("option", .string("rapid-commit")), ("code", PacketObjects.number(DHCPv4Option.rapidCommit))]
        ))
    }
    if let bytes = message.posixTimeZone { add(DHCPv4Option.posixTimeZone, "posix-timezone", "text", text(bytes)) }
    if let bytes = message.timeZoneName { add(DHCPv4Option.timeZoneName, "timezone-name", "text", text(bytes)) }
    add(DHCPv4Option.ipv6OnlyPreferred, "ipv6-only-preferred", "seconds", number(message.ipv6OnlyWait))
    if let bytes = message.captivePortal { add(DHCPv4Option.captivePortal, "captive-portal", "uri", text(bytes)) }
    if let list = message.domainSearch { add(DHCPv4Option.domainSearch, "domain-search", "names", names(list)) }
    if let list = message.classlessRoutes {
      add(DHCPv4Option.classlessRoutes, "classless-routes", "routes", routes(list))
    }
    if let list = message.encryptedDNS { add(DHCPv4Option.encryptedDNS, "encrypted-dns", "resolvers", resolvers(list)) }
    var faults = message.faults
    while let (code, reason) = faults.next() {
      result.append((code, [("code", PacketObjects.number(code))] + PacketObjects.refused(reason)))
    }
    return result
  }

  private static func array(_ bytes: borrowing OptionBytes) -> [UInt8] {
    var result: [UInt8] = []
    bytes.append(to: &result)
    return result
  }

  private static func text(_ bytes: borrowing OptionBytes) -> JSON {
    .string(String(decoding: array(bytes), as: UTF8.self))
  }

  private static func addresses(_ list: borrowing IPv4AddressList) -> JSON {
    var result: [String] = []
    for index in 0..<list.count { result.append(list[index].description) }
    return .strings(result)
  }

  private static func routes(_ list: IPv4Routes) -> JSON {
    var list = list
    var result: [JSON] = []
    while let route = list.next() {
      result.append(
        .object([("prefix", .string(route.prefix.description)), ("gateway", .string(route.gateway.description))]))
    }
    return .array(result)
  }

  private static func name(_ name: borrowing OptionName) -> JSON {
    var text: [UInt8] = []
    name.appendText(to: &text)
    return .string(String(decoding: text, as: UTF8.self))
  }

  private static func names(_ list: DHCPv4SearchList) -> JSON {
    var list = list
    var result: [JSON] = []
    while let next = list.next() { result.append(name(next)) }
    return .array(result)
  }

  private static func resolvers(_ list: DHCPv4EncryptedDNSList) -> JSON {
    var list = list
    var result: [JSON] = []
    while let next = list.next() {
      var members: Members = [("priority", PacketObjects.number(next.priority)), ("name", name(next.name))]
      if let list = next.addresses { members.append(("addresses", addresses(list))) }
      result.append(.object(members + [("parameters", .string(Text.hex(array(next.parameters))))]))
    }
    return .array(result)
  }

  // MARK: DHCPv6

  static func message(_ message: borrowing DHCPv6Message) -> [(String, JSON)] {
    [
      ("packet", .string("dhcpv6")), ("message", .string(kind(message.kind))),
      ("source", .string(message.source.description)), ("destination", .string(message.destination.description)),
      ("xid", PacketObjects.number(message.transaction)), ("options", options(message.options)),
    ]
  }

  private static func kind(_ kind: DHCPv6Message.Kind) -> String {
    kind == .informationRequest ? "information-request" : "\(kind)"
  }

  private static func options(_ list: DHCPv6Options) -> JSON {
    var list = list
    var result: [JSON] = []
    while let next = list.next() { result.append(.object(option(next))) }
    return .array(result)
  }

  private static func option(_ option: borrowing DHCPv6Option) -> Members {
    func named(_ name: String, _ code: UInt16, _ members: Members) -> Members {
      [("option", .string(name)), ("code", PacketObjects.number(code))] + members
    }
    switch option {
    case .clientIdentifier(let duid):
      return named("client-identifier", DHCPv6OptionCode.clientIdentifier, [("duid", PacketObjects.hex(duid))])
    case .serverIdentifier(let duid):
      return named("server-identifier", DHCPv6OptionCode.serverIdentifier, [("duid", PacketObjects.hex(duid))])
    case .nonTemporaryAddresses(let association):
      return named("ia-na", DHCPv6OptionCode.nonTemporaryAddresses, identityAssociation(association))
    case .prefixDelegation(let association):
      return named("ia-pd", DHCPv6OptionCode.prefixDelegation, identityAssociation(association))
    case .address(let leased):
      return named(
        "address", DHCPv6OptionCode.address,
        [
          ("address", .string(leased.address.description)),
          ("preferred", PacketObjects.lifetime(leased.preferredLifetime)),
          ("valid", PacketObjects.lifetime(leased.validLifetime)),
          ("status", PacketObjects.number(leased.status.rawValue)),
        ])
    case .prefix(let delegated):
      return named(
        "prefix", DHCPv6OptionCode.prefix,
        [
          ("prefix", .string(delegated.prefix.description)),
          ("preferred", PacketObjects.lifetime(delegated.preferredLifetime)),
          ("valid", PacketObjects.lifetime(delegated.validLifetime)),
          ("status", PacketObjects.number(delegated.status.rawValue)),
        ])
    case .preference(let value):
      return named("preference", DHCPv6OptionCode.preference, [("preference", PacketObjects.number(value))])
    case .statusCode(let status, let message):
      return named(
        "status-code", DHCPv6OptionCode.statusCode,
        [("status", PacketObjects.number(status.rawValue)), ("text", PacketObjects.text(message))])
    case .rapidCommit: return named("rapid-commit", DHCPv6OptionCode.rapidCommit, [])
    case .dnsServers(let list):
      return named("dns-servers", DHCPv6OptionCode.dnsServers, [("addresses", PacketObjects.addresses(list))])
    case .domainSearch(let list):
      return named("domain-search", DHCPv6OptionCode.domainSearch, [("names", PacketObjects.names(list))])
    case .sntpServers(let list):
      return named("sntp-servers", DHCPv6OptionCode.sntpServers, [("addresses", PacketObjects.addresses(list))])
    case .ntpServer(let server):
      return named("ntp-server", DHCPv6OptionCode.ntpServer, [ntpServer(server)])
    case .informationRefreshTime(let seconds):
      return named(
        "information-refresh-time", DHCPv6OptionCode.informationRefreshTime,
        [("seconds", PacketObjects.lifetime(seconds))])
    case .posixTimeZone(let bytes):
      return named("posix-timezone", DHCPv6OptionCode.posixTimeZone, [("text", PacketObjects.text(bytes))])
    case .timeZoneName(let bytes):
      return named("timezone-name", DHCPv6OptionCode.timeZoneName, [("text", PacketObjects.text(bytes))])
    case .captivePortal(let uri):
      return named("captive-portal", DHCPv6OptionCode.captivePortal, [("uri", PacketObjects.text(uri))])
    case .encryptedDNS(let resolver):
      return named("encrypted-dns", DHCPv6OptionCode.encryptedDNS, PacketObjects.encryptedDNS(resolver))
    case .unknown(let code, let bytes):
      return named("unknown", code, [("bytes", PacketObjects.hex(bytes))])
    case .malformed(let code, let reason):
      return [("code", PacketObjects.number(code))] + PacketObjects.refused(reason)
    }
  }

  private static func identityAssociation(_ association: borrowing IdentityAssociation) -> Members {
    [
      ("iaid", PacketObjects.number(association.identifier)),
      ("t1", PacketObjects.lifetime(association.renewalTime)),
      ("t2", PacketObjects.lifetime(association.rebindingTime)), ("options", options(association.options)),
    ]
  }

  private static func ntpServer(_ server: borrowing NTPServer) -> (String, JSON) {
    switch server {
    case .address(let address): ("address", .string(address.description))
    case .multicast(let address): ("multicast", .string(address.description))
    case .name(let name): ("name", PacketObjects.name(name))
    }
  }
}
