import Wire

/// Packets as JSON (docs/decode.md): everything that `Packet.decode` understood, or why it refused.
enum PacketObjects {
  static func packet(_ bytes: RawSpan, _ family: Family, _ arrival: Arrival) -> [(String, JSON)] {
    let outgoing: [(String, JSON)] = arrival.outgoing ? [("outgoing", .bool(true))] : []
    do {
      switch try Packet.decode(bytes, family: family, arrival: arrival) {
      case .routerAdvertisement(let advertisement): return outgoing + routerAdvertisement(advertisement)
      case .dhcpv4(let datagram):
        var places = DHCPv4OptionPlaces()
        return outgoing + DHCPObjects.message(try DHCPv4Message(datagram, &places))
      case .dhcpv6(let message): return outgoing + DHCPObjects.message(message)
      case .icmpError(let message): return outgoing + icmpError(try ICMPError(message))
      case .redirect(let message): return outgoing + redirect(try Redirect(message))
      }
    } catch {
      return outgoing + refused(error)
    }
  }

  // MARK: Values

  static func refused(_ reason: Refusal) -> [(String, JSON)] { [("refused", .string(reason.description))] }

  static func number(_ value: some UnsignedInteger) -> JSON { .number(UInt64(value)) }

  /// Seconds; all ones are for ever.
  static func lifetime(_ seconds: UInt32) -> JSON { seconds == .max ? .string("forever") : number(seconds) }

  static func text(_ bytes: RawSpan) -> JSON { .string(String(decoding: array(bytes), as: UTF8.self)) }

  static func hex(_ bytes: RawSpan) -> JSON { .string(Text.hex(array(bytes))) }

  static func array(_ bytes: RawSpan) -> [UInt8] {
    var result: [UInt8] = []
    bytes.append(to: &result)
    return result
  }

  static func name(_ name: borrowing DomainName) -> JSON {
    var text: [UInt8] = []
    name.appendText(to: &text)
    return .string(String(decoding: text, as: UTF8.self))
  }

  static func names(_ list: DomainNameList) -> JSON {
    var list = list
    var result: [JSON] = []
    while let next = list.next() { result.append(name(next)) }
    return .array(result)
  }

  static func addresses(_ list: borrowing IPv6AddressList) -> JSON {
    var result: [String] = []
    for index in 0..<list.count { result.append(list[index].description) }
    return .strings(result)
  }

  static func encryptedDNS(_ resolver: borrowing EncryptedDNS) -> [(String, JSON)] {
    var members: [(String, JSON)] = [("priority", number(resolver.priority)), ("name", name(resolver.name))]
    if let seconds = resolver.lifetime { members.append(("lifetime", lifetime(seconds))) }
    if let list = resolver.addresses { members.append(("addresses", addresses(list))) }
    return members + [("parameters", hex(resolver.parameters))]
  }

  private static func flags(_ bits: UInt8, _ names: [(UInt8, String)]) -> JSON {
    .strings(names.filter { bits & $0.0 != 0 }.map(\.1))
  }

  private static func preference(_ preference: RouterPreference) -> JSON {
    switch preference {
    case .low: .string("low")
    case .medium: .string("medium")
    case .high: .string("high")
    }
  }

  // MARK: Router Advertisements

  private static func routerAdvertisement(_ advertisement: borrowing RouterAdvertisement) -> [(String, JSON)] {
    [
      ("packet", .string("router-advertisement")), ("source", .string(advertisement.source.description)),
      ("destination", .string(advertisement.destination.description)),
    ] + header(advertisement.header) + [("options", options(advertisement.options))]
  }

  private static func header(_ header: RouterAdvertisementHeader) -> [(String, JSON)] {
    [
      ("hop_limit", number(header.curHopLimit)),
      (
        "flags",
        flags(
          header.flags.rawValue, [(0x80, "managed"), (0x40, "other"), (0x20, "home-agent"), (0x04, "proxied")])
      ),
      ("preference", preference(header.preference)), ("router_lifetime", number(header.routerLifetime)),
      ("reachable_ms", number(header.reachableTime)), ("retransmit_ms", number(header.retransTimer)),
    ]
  }

  private static func options(_ list: NeighbourDiscoveryOptions) -> JSON {
    var list = list
    var result: [JSON] = []
    while let next = list.next() { result.append(.object(option(next))) }
    return .array(result)
  }

  private static func option(_ option: borrowing NeighbourDiscoveryOption) -> [(String, JSON)] {
    func named(_ name: String, _ type: UInt64, _ members: [(String, JSON)]) -> [(String, JSON)] {
      [("option", .string(name)), ("type", .number(type))] + members
    }
    switch option {
    case .sourceLinkLayerAddress(let bytes):
      return named("source-link-layer-address", 1, [("bytes", hex(bytes))])
    case .prefixInformation(let prefix):
      return named("prefix-information", 3, prefixInformation(prefix))
    case .mtu(let mtu):
      return named("mtu", 5, [("mtu", number(mtu))])
    case .provisioningDomain(let domain):
      return named("pvd", 21, provisioningDomain(domain))
    case .routeInformation(let route):
      return named(
        "route-information", 24,
        [
          ("prefix", .string(route.prefix.description)), ("preference", preference(route.preference)),
          ("lifetime", lifetime(route.lifetime)),
        ])
    case .recursiveDNSServers(let servers):
      return named(
        "rdnss", 25, [("lifetime", lifetime(servers.lifetime)), ("addresses", addresses(servers.addresses))])
    case .dnsSearchList(let list):
      return named("dnssl", 31, [("lifetime", lifetime(list.lifetime)), ("names", names(list.names))])
    case .captivePortal(let uri):
      return named("captive-portal", 37, [("uri", text(uri))])
    case .pref64(let pref64):
      return named(
        "pref64", 38, [("prefix", .string(pref64.prefix.description)), ("lifetime", number(pref64.lifetime))])
    case .encryptedDNS(let resolver):
      return named("encrypted-dns", 144, encryptedDNS(resolver))
    case .router(let option):
      let type = UInt64(option.type)
      switch option.value {
      case .flagsExtension(let bits):
        let text = String(bits, radix: 16)
        return named(
          "flags-extension", type, [("bits", .string(String(repeating: "0", count: 12 - text.count) + text))])
      case .advertisementInterval(let milliseconds):
        return named("advertisement-interval", type, [("interval_ms", number(milliseconds))])
      case .homeAgent(let preference, let lifetime):
        return named("home-agent", type, [("preference", number(preference)), ("lifetime", number(lifetime))])
      }
    case .unknown(let type, let bytes):
      return named("unknown", UInt64(type), [("bytes", hex(bytes))])
    case .malformed(let type, let reason):
      return [("type", number(type))] + refused(reason)
    }
  }

  private static func prefixInformation(_ prefix: PrefixInformation) -> [(String, JSON)] {
    [
      ("prefix", .string(prefix.prefix.description)), ("address", .string(prefix.address.description)),
      (
        "flags",
        flags(
          prefix.flags.rawValue,
          [(0x80, "on-link"), (0x40, "autoconf"), (0x20, "router-address"), (0x10, "prefix-delegation")])
      ),
      ("valid", lifetime(prefix.validLifetime)), ("preferred", lifetime(prefix.preferredLifetime)),
    ]
  }

  private static func provisioningDomain(_ domain: borrowing ProvisioningDomainOption) -> [(String, JSON)] {
    let flags = [(domain.hasAdditionalInformation, "http"), (domain.includesLegacyIPv4, "legacy")]
      .filter(\.0).map(\.1)
    var members: [(String, JSON)] = [
      ("name", name(domain.name)), ("flags", .strings(flags + (domain.header == nil ? [] : ["ra"]))),
      ("delay", number(domain.delay)), ("sequence", number(domain.sequence)),
    ]
    if let inner = domain.header { members.append(("header", .object(header(inner)))) }
    return members + [("options", options(domain.options))]
  }

  // MARK: ICMP errors

  private static func icmpError(_ error: ICMPError) -> [(String, JSON)] {
    var members: [(String, JSON)] = [
      ("packet", .string(error.family == .v4 ? "icmp-error" : "icmpv6-error")),
      ("source", .string(error.source.description)), ("destination", .string(error.destination.description)),
      ("type", number(error.type)), ("code", number(error.code)), ("kind", .string(kind(error.kind))),
    ]
    if let mtu = error.advertisedMTU { members.append(("mtu", number(mtu))) }
    let quoted: [(String, JSON)] = [
      ("source", .string(error.quotedSource.description)),
      ("destination", .string(error.quotedDestination.description)),
      ("protocol", number(error.quotedProtocol.rawValue)),
    ]
    return members + [("quoted", .object(quoted + flow(error.flow)))]
  }

  private static func redirect(_ redirect: Redirect) -> [(String, JSON)] {
    [
      ("packet", .string(redirect.family == .v4 ? "icmp-redirect" : "icmpv6-redirect")),
      ("source", .string(redirect.source.description)), ("destination", .string(redirect.destination.description)),
      ("code", number(redirect.code)), ("target", .string(redirect.target.description)),
      ("redirected", .string(redirect.redirectedDestination.description)),
    ]
  }

  private static func kind(_ kind: ICMPError.Kind) -> String {
    switch kind {
    case .networkOrHost: "network-or-host"
    case .protocolOrPort: "protocol-or-port"
    case .administrative: "administrative"
    case .packetTooBig: "packet-too-big"
    case .timeExceeded: "time-exceeded"
    case .other: "other"
    }
  }

  private static func flow(_ flow: ICMPError.Flow) -> [(String, JSON)] {
    func ports(_ source: UInt16, _ destination: UInt16) -> [(String, JSON)] {
      [("source_port", number(source)), ("destination_port", number(destination))]
    }
    switch flow {
    case .tcp(let source, let destination, let sequence):
      return ports(source, destination) + (sequence.map { [("sequence", number($0))] } ?? [])
    case .udp(let source, let destination, let spi):
      return ports(source, destination) + (spi.map { [("spi", number($0))] } ?? [])
    case .echo(let identifier): return [("identifier", number(identifier))]
    case .esp(let spi): return [("spi", number(spi))]
    case .other: return []
    }
  }
}
