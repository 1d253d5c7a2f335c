import Messages
import PacketBuilders
import Testing
import Wire

@testable import Provisioning

/// Random events of every kind, well-formed and not, in any order, against small tables: after each the state must be
/// in order, and what subscribers were told must keep the rules. 200,000 events in all; a seed that fails fails again.
@Suite struct SimulationTests {
  @Test(arguments: 1...8 as ClosedRange<UInt64>)
  func `Whatever happens, the state stays in order, and in the end nothing is left`(_ seed: UInt64) throws {
    var simulation = Simulation(seed)
    for step in 0..<25_000 {
      simulation.step()
      if let fault = simulation.fault() {
        Issue.record("seed \(seed), step \(step), after \(simulation.last): \(fault)")
        return
      }
    }
    #expect(simulation.quietDown() == nil)
    // Everything that is counted has happened, but for what has tests of its own and is rare here.
    let rare: [StateCounter] = [.serversFull, .icmpPathsFull]
    for counter in StateCounter.allCases where !rare.contains(counter) {
      #expect(simulation.host.count(counter) > 0, "never: \(counter.name)")
    }
  }
}

private struct Simulation {
  var host: Host
  /// What happened last, for the report of a fault.
  var last = ""
  private var random: Random
  private var clientTriggers: [UInt32] = []
  /// Of PvD Additional Information, under way.
  private var fetches: [InformationFetch] = []
  private let advertisements: [[UInt8]]
  private let requests: [[UInt8]]
  private let replies: [[UInt8]]
  private let errors: [[UInt8]]

  static var limits: Limits {
    var limits = Limits()
    limits.interfaces = 5
    limits.addressesPerInterface = 8
    limits.routesPerInterface = 4
    limits.routersPerInterface = 4
    limits.serversPerInterface = 1
    limits.itemsPerSource = 8
    limits.unreadBytesPerSource = 64
    limits.parked = 6
    limits.clientTriggers = 10
    limits.unreachablePaths = 6
    return limits
  }

  init(_ seed: UInt64) {
    var random = Random(seed)
    host = Host(limits: Self.limits)
    host.state.fetchesInformation = true
    host.state.reserve(20)
    advertisements = (0..<120).map { _ in Self.advertisement(&random) }
    requests = (0..<100).map { _ in Self.request(&random) }
    replies = (0..<240).map { _ in Self.reply(&random) }
    errors = (0..<60).map { _ in Self.error(&random) }
    self.random = random
  }

  // MARK: One step

  mutating func step() {
    fetches += host.state.takeInformationFetches()
    if random.isTrue(30) { host.state.stock() }
    if !fetches.isEmpty, random.isTrue(30) { return endFetch() }
    let interface = UInt32(2 + random.below(7))
    switch random.below(100) {
    case 0..<6: link(interface)
    case 6..<8:
      last = "link \(interface) removed"
      host.apply(.linkRemoved(index: interface))
    case 8..<20: address(interface)
    case 20..<28: route(interface)
    case 28..<34:
      last = "neighbour on \(interface)"
      let gateway = Self.gateway(&random, random.isTrue(50) ? .v4 : .v6)
      let states: [Reachability] = [.reachable, .unknown, .failed]
      host.apply(.neighbour(interface: interface, gateway, states[random.below(3)]))
    case 34..<54: hear(advertisements, interface, outgoing: random.isTrue(2))
    case 54..<62: hear(requests, interface, outgoing: !random.isTrue(10))
    case 62..<72: hear(replies, interface)
    case 72..<84: hear(errors, interface)
    case 84..<90: client()
    case 90..<98:
      last = "a moment"
      host.wait(Double(random.below(2000)) / 1000)
    case 98:
      last = "a while"
      host.wait(Double(random.below(100)))
    default:
      last = "a sleep"
      host.sleep(Double(random.below(random.isTrue(10) ? 10_000 : 200)))
    }
  }

  private mutating func hear(_ packets: [[UInt8]], _ interface: UInt32, outgoing: Bool = false) {
    var packet = packets[random.below(packets.count)]
    if random.isTrue(3) { packet[random.below(packet.count)] ^= UInt8(1 << random.below(8)) }
    let verdict: FlowVerdict = random.isTrue(80) ? .live : random.isTrue(50) ? .notOurs : .unverified
    host.verify = { _ in verdict }
    last = "\(outgoing ? "sent" : "heard") on \(interface): \(packet)"
    if packet[0] >> 4 == 4 || packet[0] >> 4 == 6 { host.hear(packet, on: interface, outgoing: outgoing) }
  }

  private mutating func endFetch() {
    let fetch = fetches.remove(at: random.below(fetches.count))
    last = "an end of \(fetch)"
    let expires = host.moment.timestamp / 1_000_000_000 + UInt64(random.below(600))
    let report: InformationReport =
      switch random.below(4) {
      case 0: .refused
      case 1: .notReached
      default:
        .known(
          expires: expires, prefixes: [IPPrefix(.v6(prefix(UInt64(random.below(4)))), random.isTrue(80) ? 32 : 64)],
          text: [UInt8(random.below(256))])
      }
    host.state.informationFetched(fetch, report, at: host.moment)
  }

  private mutating func link(_ index: UInt32) {
    // Names move from one index to another; two links never have the same.
    let names = (0..<8).map { "up\($0)" }.filter { name in
      !host.state.links.contains { $0.index != index && $0.name == InterfaceName(name.utf8) }
    }
    let known = host.state.link(index)
    let name =
      known.map { String(decoding: $0.name.bytes, as: UTF8.self) }.flatMap { random.isTrue(90) ? $0 : nil }
      ?? names[random.below(names.count)]
    last = "link \(index) \(name)"
    let isPort = random.isTrue(10)
    host.link(
      index, name: name, isUp: !random.isTrue(25), hasCarrier: !random.isTrue(25), master: isPort ? Host.up0 : 0,
      handsFramesOn: isPort)
  }

  private mutating func address(_ interface: UInt32) {
    let isV4 = random.isTrue(40)
    let low = 10 + random.below(6)
    let prefix =
      isV4
      ? IPPrefix(v4(UInt32(low)), 24)
      : random.isTrue(10)
        ? IPPrefix(.v6(fe80(UInt64(low))), 64) : IPPrefix(v6(UInt64(low), net: UInt64(random.below(4))), 64)
    last = "address \(text(prefix)) on \(interface)"
    if random.isTrue(35) { return host.removeAddress(prefix, on: interface) }
    var flags: InterfaceAddress.Flags = []
    if random.isTrue(10) { flags.insert(.tentative) }
    if random.isTrue(5) { flags.insert(.duplicate) }
    if random.isTrue(15) { flags.insert(.deprecated) }
    if random.isTrue(15) { flags.insert(.temporary) }
    let valid = random.isTrue(50) ? UInt32.max : UInt32(random.below(5000))
    host.address(prefix, on: interface, flags, preferred: min(valid, UInt32(random.below(4000))), valid: valid)
  }

  private static func gateway(_ random: inout Random, _ family: Family) -> IPAddress {
    family == .v4 ? v4(UInt32(1 + random.below(3))) : .v6(fe80(UInt64(1 + random.below(3))))
  }

  private mutating func route(_ interface: UInt32) {
    let family: Family = random.isTrue(50) ? .v4 : .v6
    var route = Host.route(
      random.isTrue(90) ? Self.gateway(&random, family) : nil, family, on: interface, metric: UInt32(random.below(2)))
    if random.isTrue(10), family == .v4 { route.preferredSource = v4(10) }
    if random.isTrue(5) { route.table = 100 }
    last = "route on \(interface)"
    host.apply(random.isTrue(45) ? .defaultRouteRemoved(route) : .defaultRoute(route))
  }

  private mutating func client() {
    last = "client"
    let user = UInt32(random.below(3))
    let addresses = Trigger.Addresses(TriggerAddress(v4(1), prefixLength: 32))
    let type = TriggerType(rawValue: UInt16(1 + random.below(8)))
    let id =
      random.isTrue(80) && !clientTriggers.isEmpty
      ? clientTriggers[random.below(clientTriggers.count)] : UInt32(random.below(50))
    do throws(TriggerRefusal) {
      switch random.below(5) {
      case 0, 1, 2:
        clientTriggers.append(
          try host.state.addTrigger(type, addresses: addresses, user: user, at: host.moment).id)
      case 3: _ = try host.state.modifyTrigger(id, type: type, addresses: addresses, user: user, at: host.moment)
      default:
        _ = try host.state.deleteTrigger(id, user: user, at: host.moment)
        clientTriggers.removeAll { $0 == id }
      }
    } catch {}
  }

  // MARK: Packets

  private static func lifetime(_ random: inout Random) -> UInt32 {
    switch random.below(6) {
    case 0: 0
    case 1: .max
    case 2: UInt32(random.below(20_000))
    default: UInt32(random.below(300))
    }
  }

  private static func options(_ random: inout Random) -> [[UInt8]] {
    (0..<random.below(5)).map { _ in
      let low = UInt64(random.below(8))
      switch random.below(10) {
      case 0, 1, 2:
        return Build.pio(
          prefix(UInt64(random.below(4))), UInt8(random.isTrue(90) ? 64 : 0), flags: UInt8(random.below(4)) << 6,
          valid: lifetime(&random), preferred: lifetime(&random))
      case 3: return Build.rdnss([v6Address(low), v6Address(low + 1)], lifetime: lifetime(&random))
      case 4: return Build.dnssl(Build.name("n\(low).example"), lifetime: lifetime(&random))
      case 5: return Build.rio(prefix(low), 64, units: 2, preference: 0, lifetime: lifetime(&random))
      case 7: return Build.option(UInt8(200 + random.below(3)), [UInt8](repeating: UInt8(low), count: 22))
      case 8:
        return Build.option(
          144, [0, UInt8(low)] + Build.u32(lifetime(&random)) + Build.u16(6) + Build.name("a.b") + [0])
      case 6: return Build.option(37, Array("https://\(low)/".utf8))
      default: return Build.option(5, [0, 0] + Build.u32(UInt32(1200 + random.below(400))))
      }
    }
  }

  private static func v6Address(_ low: UInt64) -> IPv6Address { IPv6Address(0x2001_0db8_0053_0000, low) }

  private static func advertisement(_ random: inout Random) -> [UInt8] {
    var all = options(&random)
    if random.isTrue(40) {
      let flags = random.below(8) << 13
      let header = flags & 0x2000 != 0 ? Build.raHeader(flags: UInt8(random.below(4) << 6), lifetime: 100) : []
      all.insert(
        Build.pvd(
          Build.name("pvd\(random.below(3)).example"), flags: flags, sequence: random.below(3), header: header,
          options(&random)), at: random.below(all.count + 1))
    }
    return Build.ra(
      all, source: fe80(UInt64(1 + random.below(7))), flags: UInt8(random.below(4) << 6),
      lifetime: random.isTrue(30) ? 0 : random.below(600))
  }

  private static let chaddr: [[UInt8]] = [Build.hostHardwareAddress, [2, 0, 0, 0, 0, 9]]
  private static let duids: [[UInt8]] = (1...6).map { [0, 3, 0, 1, $0] }

  private static func association(_ random: inout Random) -> [UInt8] {
    if random.isTrue(10) { return Build.iaNA(Build.dhcpv6Option(13, [0, 3])) }
    return Build.iaNA(
      Build.iaAddress(
        IPv6Address(prefix(UInt64(random.below(4))).high, UInt64(10 + random.below(6))), preferred: 0,
        valid: lifetime(&random)))
  }

  private static func delegation(_ random: inout Random) -> [UInt8] {
    let prefix = Build.iaPrefix(
      prefix(UInt64(16 + random.below(3))), 56, preferred: 0, valid: lifetime(&random))
    return Build.dhcpv6Option(25, Build.u32(1) + Build.u32(0) + Build.u32(0) + prefix)
  }

  private static func request(_ random: inout Random) -> [UInt8] {
    let transaction = UInt32(random.below(4))
    if random.isTrue(50) {
      let type: UInt8 = random.isTrue(80) ? 3 : UInt8(1 + random.below(8))
      return Build.udp4(
        Build.dhcpv4Message(
          [53, 1, type == 2 || type == 5 || type == 6 ? 3 : type, 255], operation: 1, transaction: transaction,
          yourAddress: .unspecified, hardwareAddress: chaddr[random.isTrue(90) ? 0 : 1]), to: 67)
    }
    let types: [UInt8] = [1, 3, 3, 3, 4, 5, 6, 8, 9, 11, 11]
    return Build.dhcpv6(
      types[random.below(types.count)],
      Build.dhcpv6Option(1, Build.clientDUID) + Build.dhcpv6Option(2, duids[random.below(6)]) + association(&random)
        + (random.isTrue(30) ? delegation(&random) : []),
      to: 547, transaction: transaction)
  }

  private static func reply(_ random: inout Random) -> [UInt8] {
    let transaction = UInt32(random.below(5))
    if random.isTrue(50) {
      let server = IPv4Address(0xC000_0201 + UInt32(random.below(3)))
      let types: [UInt8] = [5, 5, 5, 5, 2, 6]
      var options: [UInt8] = [53, 1, types[random.below(6)], 54, 4] + Build.bytes(server)
      if random.isTrue(90) { options += [51, 4] + Build.u32(lifetime(&random)) }
      options += [1, 4, 255, 255, 255, 0, 3, 4, 192, 0, 2, UInt8(1 + random.below(3))]
      if random.isTrue(50) { options += [6, 4, 192, 0, 2, UInt8(random.below(9))] }
      if random.isTrue(20) { options += [43, 1, UInt8(random.below(3))] }
      return Build.udp4(
        Build.dhcpv4Message(
          options + [255], transaction: transaction,
          yourAddress: IPv4Address(0xC000_0200 | UInt32(10 + random.below(6))),
          hardwareAddress: chaddr[random.isTrue(90) ? 0 : 1]), to: 68)
    }
    var options = Build.dhcpv6Option(1, random.isTrue(90) ? Build.clientDUID : duids[0])
    options += Build.dhcpv6Option(2, duids[random.below(6)])
    if random.isTrue(70) { options += association(&random) }
    if random.isTrue(30) { options += association(&random) }
    if random.isTrue(30) { options += delegation(&random) }
    if random.isTrue(20) { options += Build.dhcpv6Option(59, [UInt8](repeating: 1, count: random.below(90))) }
    if random.isTrue(50) { options += Build.dhcpv6Option(23, Build.bytes(v6Address(UInt64(random.below(9))))) }
    if random.isTrue(30) { options += Build.dhcpv6Option(32, Build.u32(UInt32(random.below(2000)))) }
    if random.isTrue(5) { options += Build.dhcpv6Option(13, [0, 1]) }
    return Build.dhcpv6(random.isTrue(95) ? 7 : 2, options, transaction: transaction)
  }

  private static func error(_ random: inout Random) -> [UInt8] {
    if random.isTrue(10) {
      let source = fe80(UInt64(1 + random.below(4)))
      return Build.redirect6(target: fe80(9), for: v6Address(7), source: source)
    }
    if random.isTrue(60) {
      let local = IPv4Address(0xC000_0200 | UInt32(10 + random.below(7)))
      return Build.icmp4(
        3, UInt8(random.below(16)),
        Build.quote4(6, Build.tcp, source: local, destination: IPv4Address(0x0A00_0000 + UInt32(random.below(12)))),
        rest: Build.u32(UInt32(random.below(1500))), destination: local)
    }
    let local = IPv6Address(prefix(UInt64(random.below(4))).high, UInt64(10 + random.below(6)))
    return Build.icmp6(
      random.isTrue(20) ? 2 : 1, UInt8(random.below(8)),
      Build.quote6(6, Build.tcp, source: local, destination: v6Address(7)),
      rest: Build.u32(UInt32(random.below(1500))), destination: local)
  }

  // MARK: What must hold

  /// What is wrong, nil if nothing is.
  mutating func fault() -> String? {
    if host.state.announcements.isEmpty { return nil }
    host.told()
    let limits = Self.limits
    if host.state.interfaces.count > limits.interfaces { return "too many interfaces" }
    if host.state.parked.count > limits.parked { return "too much is parked" }
    if host.state.unreachable.count > limits.unreachablePaths * 5 / 4 { return "too many paths" }
    if host.state.clientTriggers > limits.clientTriggers { return "too many client triggers" }
    if host.state.lostConnections.count > 2 * limits.interfaces { return "too many lost connections" }
    if host.state.ports != host.state.interfaces.filter({ $0.link.handsFramesOn }).count {
      return "ports are miscounted"
    }
    var expected = host.state.interfaces.count + host.state.removedInterfaces.count + host.state.unreachable.count
    expected += host.state.clientTriggers + host.state.lostConnections.count
    var (sources, objects) = (0, 0)
    var addresses: [IPv6Address: UInt32] = [:]
    for (place, interface) in host.state.interfaces.enumerated() {
      if host.state.places[interface.link.index] != place { return "an interface is not at its place" }
      if interface.addresses.count > limits.addressesPerInterface { return "too many addresses" }
      if interface.routes.count > limits.routesPerInterface { return "too many routes" }
      if interface.lastAddresses.count > Trigger.Addresses.limit { return "too many last addresses" }
      for gateway in interface.failedGateways where !interface.routes.contains(where: { $0.gateway == gateway }) {
        return "a failed gateway without route"
      }
      for (element, bound) in [(ElementType.routerAdvertisement, 4), (.dhcpv4, 1), (.dhcpv6, 2)] {
        if interface.sources.count(where: { $0.identity.element == element }) > bound { return "too many sources" }
      }
      for source in interface.sources {
        if !source.isAlive { return "a source that is dead" }
        if source.items.count > limits.itemsPerSource { return "too many items" }
        let unread = source.items.reduce(0) { if case .bytes(let bytes) = $1.value { $0 + bytes.count } else { $0 } }
        if unread > limits.unreadBytesPerSource { return "too much that is unread" }
        if source.nextExpiry.nanoseconds <= host.moment.instant.nanoseconds {
          return "a source that should have expired"
        }
      }
      sources += interface.sources.count
      // Those of PvDs that are gone stay as long as their last request holds the next one back.
      let information = interface.information
      if information.entries.count > 4 + InformationTable.requestLimit { return "too many objects" }
      if information.requests.count > InformationTable.requestLimit { return "too many requests are remembered" }
      objects += information.entries.count
      for address in interface.addresses {
        addresses[address.ip.asIPv6, default: 0] += 1
        if address.isUsable != (address.trigger != 0) { return "IF_ADDRCHANGED is not in step" }
        expected += address.isUsable ? 1 : 0
      }
      for family in Family.allCases {
        let connection = interface[family]
        if (connection.source != nil) != (connection.established != 0) { return "CONN_ESTABLISHED is not in step" }
        if connection.source != interface.source(family) { return "the preferred source is not in step" }
        if connection.established != 0, connection.lost != 0 { return "established and lost at once" }
        expected += (connection.established != 0 ? 1 : 0) + (connection.lost != 0 ? 1 : 0)
      }
    }
    if host.state.places.count != host.state.interfaces.count { return "places of interfaces that are not there" }
    if addresses != host.state.localAddresses { return "our addresses are not those of the interfaces" }
    if host.state.triggers.count != expected {
      return "\(host.state.triggers.count) triggers stand, \(expected) should"
    }
    if host.state.deadlines.count != sources + objects + host.state.holds.count + host.state.unreachable.count {
      return "deadlines of what is not there"
    }
    return nil
  }

  /// Everything is taken away; what is left after two minutes.
  mutating func quietDown() -> String? {
    for index in 2..<10 as Range<UInt32> { host.apply(.linkRemoved(index: index)) }
    for id in clientTriggers { _ = try? host.state.deleteTrigger(id, user: 0, at: host.moment) }
    host.told()
    host.wait(120)
    host.told()
    if host.state.triggers.count != 0 { return "triggers: \(host.standing)" }
    if host.state.nextDeadline != .never || host.state.deadlines.count != 0 { return "deadlines" }
    let left = [
      host.state.interfaces.count, host.state.places.count, host.state.localAddresses.count, host.state.parked.count,
      host.state.holds.count,
      host.state.removedInterfaces.count, host.state.lostConnections.count, host.state.unreachable.count,
      host.state.clientTriggers,
    ]
    return left.allSatisfy { $0 == 0 } ? nil : "entries of tables: \(left)"
  }
}
