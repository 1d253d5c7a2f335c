import MIF

/// Values as JSON. The members are documented in the help of the commands.
enum Objects {
  static func lifetime(_ lifetime: Lifetime) -> JSON {
    lifetime.seconds.map { .number(UInt64($0)) } ?? .string("forever")
  }

  static func interface(_ interface: Interface, domains: [ProvisioningDomain]? = nil) -> [(String, JSON)] {
    var flags: [String] = []
    if interface.isUp { flags.append("up") }
    if interface.hasCarrier { flags.append("carrier") }
    if interface.isLoopback { flags.append("loopback") }
    if interface.isPointToPoint { flags.append("point-to-point") }
    return [
      ("index", .number(UInt64(interface.index))), ("name", .string(interface.name)), ("flags", .strings(flags)),
    ] + (domains.map { [("pvds", .strings($0.map { $0.name }))] } ?? [])
  }

  static func domain(_ domain: ProvisioningDomain, on interface: Interface) -> [(String, JSON)] {
    [
      ("id", .number(UInt64(domain.identifier))), ("name", .string(domain.name)),
      ("explicit", .bool(domain.isExplicit)), ("interface", .string(interface.name)),
      ("ifindex", .number(UInt64(interface.index))),
    ]
  }

  static func address(_ address: DomainAddress) -> JSON {
    .object([
      ("address", .string(address.prefix.address.description)), ("prefixlen", .number(UInt64(address.prefix.length))),
      ("flags", .strings(address.state.names)), ("preferred", lifetime(address.preferredLifetime)),
      ("valid", lifetime(address.validLifetime)),
    ])
  }

  static func configuration(_ item: Configuration) -> JSON {
    let value: [(String, JSON)] =
      switch item.value {
      case .address(let address): [("address", .string(address.description))]
      case .text(let text): [("text", .string(text))]
      case .number(let number): [("number", .number(UInt64(number)))]
      case .prefix(let prefix, let flags):
        [("prefix", .string(prefix.description)), ("flags", .number(UInt64(flags)))]
      case .route(let destination, let gateway, let preference):
        [
          ("destination", .string(destination.description)),
          ("gateway", gateway.map { .string($0.description) } ?? .null),
          ("preference", .string(preference.description)),
        ]
      case .router(let address, let preference):
        [("address", .string(address.description)), ("preference", .string(preference.description))]
      case .pvd(let flags, let sequence):
        [("flags", .number(UInt64(flags))), ("sequence", .number(UInt64(sequence)))]
      case .lease(let server, let renewal, let rebinding):
        [
          ("server", .string(server.description)), ("t1", .number(UInt64(renewal))), ("t2", .number(UInt64(rebinding))),
        ]
      case .bytes(let bytes): [("bytes", .string(Text.hex(bytes)))]
      }
    return .object(
      [("key", .string(item.key.description))] + value + [
        ("preferred", lifetime(item.preferredLifetime)), ("valid", lifetime(item.validLifetime)),
      ])
  }

  static func trigger(_ trigger: Trigger) -> [(String, JSON)] {
    var members: [(String, JSON)] = [
      ("id", .number(UInt64(trigger.identifier))), ("type", .number(UInt64(trigger.kind.rawValue))),
      ("name", .string(trigger.kind.description)), ("addresses", .strings(trigger.addresses.map { $0.description })),
    ]
    if let origin = trigger.origin { members.append(("origin", Objects.origin(origin))) }
    return members
  }

  private static func origin(_ origin: TriggerOrigin) -> JSON {
    .present([
      ("source", .string(origin.source.rawValue)),
      ("icmp", origin.icmp.map { icmp($0) } ?? .null),
      ("interface", origin.interfaceName.isEmpty ? .null : .string(origin.interfaceName)),
      ("ifindex", origin.interface == 0 ? .null : .number(UInt64(origin.interface))),
      ("pvd", origin.domain == 0 ? .null : .number(UInt64(origin.domain))),
      ("user", origin.user.map { .number(UInt64($0)) } ?? .null),
      ("count", .number(UInt64(origin.count))), ("flags", .strings(origin.addressState.names)),
      ("reason", origin.removal.map { .string($0.rawValue) } ?? .null),
      ("timestamp", .number(origin.timestamp)),
    ])
  }

  private static func icmp(_ error: ICMPError) -> JSON {
    .object([
      ("version", .number(error.isIPv6 ? 6 : 4)), ("type", .number(UInt64(error.type))),
      ("code", .number(UInt64(error.code))), ("text", .string(error.description)),
    ])
  }

  static func failure(_ failure: NetworkFailure) -> JSON {
    let origin: [(String, JSON)] =
      switch failure.origin {
      case .host: [("from", .string("host"))]
      case .icmp(let error): [("from", .string("icmp")), ("icmp", icmp(error))]
      case .resolver(let rcode): [("from", .string("resolver")), ("rcode", .number(UInt64(rcode)))]
      case .timeOut: [("from", .string("timeout"))]
      case .peer: [("from", .string("peer"))]
      }
    return .object(
      [("errno", .number(UInt64(failure.errno)))] + origin + [("text", .string(failure.description))])
  }

  static func failure(_ refusal: Refusal, _ text: String) -> JSON {
    .object([
      ("errno", .number(UInt64(refusal.errno))), ("from", .string("host")), ("text", .string(text)),
    ])
  }
}
