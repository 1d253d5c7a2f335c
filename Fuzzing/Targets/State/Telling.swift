import Fuzzing
import Messages
import Provisioning
import Wire

/// A state and somebody who is told everything of it, as messages: docs/protocol.md's rules of order hold, and what was
/// told is what there is.
struct Telling: ~Copyable {
  private struct Element: Hashable {
    var pvd: UInt32
    var type: ElementType
  }
  private struct Address: Hashable {
    var pvd: UInt32
    var prefix: IPPrefix
  }

  private static let interfaces: [UInt32] = [1, 2]
  /// Those that the golden packets and the captures are sent to or about.
  private static let addresses: [IPPrefix] = [
    IPPrefix(.v4(IPv4Address(0xC000_020A)), 24), IPPrefix(.v6(IPv6Address(0xFE80_0000_0000_0000, 2)), 64),
    IPPrefix(.v6(IPv6Address(0x2001_0DB8_0001_0000, 0x100)), 64), IPPrefix(.v4(IPv4Address(0x0A01_000A)), 24),
    IPPrefix(.v6(IPv6Address(0x2001_0DB8_0001_0000, 0x10)), 64),
  ]

  /// So low that they are met.
  private static let limits: Limits = {
    var limits = Limits()
    limits.interfaces = 4
    limits.addressesPerInterface = 8
    limits.routersPerInterface = 3
    limits.unreachablePaths = 4
    limits.clientTriggers = 6
    limits.triggersPerUser = 4
    return limits
  }()

  private let writing = Writing()
  private var state = NetworkState(limits: limits)
  private var now: UInt64 = 1_000_000_000
  private var stamp: UInt64 = 0

  private var links: Set<UInt32> = []
  private var domains: [UInt32: UInt32] = [:]
  private var elements: Set<Element> = []
  private var held: Set<Address> = []
  private var triggers: Set<UInt32> = []

  /// Of a host with two interfaces and their addresses.
  static func host() -> Telling {
    var telling = Telling()
    for index in interfaces {
      telling.apply(.link(Link(index: index, name: InterfaceName("up\(index)".utf8), isUp: true, hasCarrier: true)))
      for prefix in addresses { telling.apply(.address(InterfaceAddress(interface: index, prefix: prefix))) }
    }
    return telling
  }

  // MARK: What happens

  private var moment: Moment {
    mutating get {
      stamp += 1
      return Moment(Instant(nanoseconds: now), timestamp: stamp)
    }
  }

  mutating func hear(_ packet: [UInt8], _ way: Way) {
    let moment = moment
    let arrival = way.arrival(on: Self.interfaces[Int(way.byte >> 4 & 1)], timestamp: moment.timestamp)
    let verdict: FlowVerdict = way.byte & 0x20 == 0 ? .live : way.byte & 0x40 == 0 ? .notOurs : .unverified
    state.hear(packet.rawSpan, way.family, arrival, at: moment.instant) { _ in verdict }
    tell()
  }

  mutating func apply(_ event: KernelEvent) {
    state.apply(event, at: moment)
    tell()
  }

  mutating func happen(_ kind: UInt8, _ a: UInt8, _ b: UInt8, _ c: UInt8) {
    let interface = UInt32(1 + a % 5)
    switch kind % 8 {
    case 0: pass(nanoseconds: UInt64(a) * (b & 1 == 0 ? 10_000_000 : 10_000_000_000))
    case 1 where b == 0: apply(.linkRemoved(index: interface))
    case 1:
      let name = InterfaceName("up\(c & 1 == 0 ? interface : 1)".utf8)
      apply(
        .link(
          Link(
            index: interface, name: name, isUp: b & 1 != 0, hasCarrier: b & 2 != 0, isLoopback: b & 0x3C == 4,
            isPointToPoint: b & 8 != 0, master: UInt32(c >> 6))))
    case 2 where c & 0xC0 == 0: apply(.addressRemoved(interface: interface, Self.prefix(interface, b)))
    case 2:
      let lifetime: UInt32 = [UInt32.max, 0, 60, 7200][Int(c & 3)]
      apply(
        .address(
          InterfaceAddress(
            interface: interface, prefix: Self.prefix(interface, b), flags: .init(rawValue: c >> 2 & 0x3F),
            isHostScope: c & 0x80 != 0 && b & 0x80 != 0, preferredLifetime: lifetime, validLifetime: lifetime)))
    case 3:
      let gateway = Self.gateway(b)
      let route = DefaultRoute(
        interface: interface, family: gateway.family, gateway: c & 1 == 0 ? gateway : nil, metric: UInt32(c >> 1 & 3),
        preferredSource: c & 8 == 0 ? nil : Self.prefix(interface, b >> 3).address)
      apply(c & 0x80 == 0 ? .defaultRoute(route) : .defaultRouteRemoved(route))
    case 4: apply(.neighbour(interface: interface, Self.gateway(b), Reachability(rawValue: c % 3) ?? .unknown))
    case 5: apply(.snapshotComplete)
    default: change(TriggerType(rawValue: UInt16(a >> 4)), a & 3, Self.prefix(1, b).address, UInt32(c))
    }
  }

  private static func prefix(_ interface: UInt32, _ choice: UInt8) -> IPPrefix {
    let host = UInt64(choice & 3)
    switch choice >> 2 & 3 {
    case 0: return addresses[Int(choice >> 4) % addresses.count]
    case 1: return IPPrefix(.v6(IPv6Address(0xFE80_0000_0000_0000, host + 1)), 64)
    case 2: return IPPrefix(.v4(IPv4Address(0xC000_0200 + UInt32(host))), choice & 0x80 == 0 ? 24 : 32)
    default: return IPPrefix(.v6(IPv6Address(0x2001_0DB8_0001_0000 + UInt64(interface), host)), 64)
    }
  }

  private static func gateway(_ choice: UInt8) -> IPAddress {
    choice & 1 == 0
      ? .v4(IPv4Address(0xC000_0201)) : .v6(IPv6Address(0xFE80_0000_0000_0000, UInt64(choice >> 1 & 1) + 1))
  }

  /// What clients ask of the Trigger Database: root, or one of two others.
  private mutating func change(_ type: TriggerType, _ choice: UInt8, _ address: IPAddress, _ id: UInt32) {
    let user = (id >> 6) * 1000
    let addresses = Trigger.Addresses(TriggerAddress(address, prefixLength: address.family.width))
    let moment = moment
    do throws(TriggerRefusal) {
      switch choice {
      case 0, 1: _ = try state.addTrigger(type, addresses: addresses, user: user, at: moment)
      case 2: _ = try state.modifyTrigger(id & 0x3F, type: type, addresses: addresses, user: user, at: moment)
      default: _ = try state.deleteTrigger(id & 0x3F, user: user, at: moment)
      }
    } catch {
      check(error != .full || !triggers.isEmpty, "full, and there is none")
    }
    tell()
  }

  private mutating func pass(nanoseconds: UInt64) {
    now += nanoseconds
    let moment = moment
    if state.nextDeadline <= moment.instant { state.advance(to: moment) }
    check(state.nextDeadline > moment.instant, "what was due is due still")
    tell()
  }

  // MARK: What is told

  private mutating func tell() {
    for announcement in state.announcements { tell(announcement) }
    state.clearAnnouncements()
    if stamp & 1 == 0 { state.stock() }
    checkKnowledge()
  }

  private mutating func tell(_ announcement: Announcement) {
    switch announcement {
    case .interface(let link):
      links.insert(link.index)
      send(.interface(InterfaceDescription(identifier: link.index, name: link.name)))
    case .interfaceGoingUp(let link):
      check(links.contains(link.index), "not announced: \(link)")
      send(.interfaceGoingUp(InterfaceDescription(identifier: link.index, name: link.name)))
    case .interfaceGone(let link):
      check(links.remove(link.index) != nil, "gone before it was announced: \(link)")
      check(!domains.values.contains(link.index), "an interface before its PvDs")
      send(.noInterface(InterfaceDescription(identifier: link.index, name: link.name)))
    case .pvd(let domain):
      check(links.contains(domain.interface), "a PvD before its interface")
      check(domains.updateValue(domain.interface, forKey: domain.id) == nil, "announced twice: \(domain)")
      send(.pvd(interface: InterfaceDescription(identifier: domain.interface), domain.description))
    case .pvdGone(let domain):
      check(domains.removeValue(forKey: domain.id) != nil, "gone before it was announced: \(domain)")
      let isEmpty = !elements.contains { $0.pvd == domain.id } && !held.contains { $0.pvd == domain.id }
      check(isEmpty, "a PvD before its elements and addresses")
      send(.noPvD(interface: InterfaceDescription(identifier: domain.interface), domain.description))
    case .element(let pvd, let type):
      check(domains[pvd] != nil, "an element before its PvD")
      elements.insert(Element(pvd: pvd, type: type))
      send(.element(pvd: pvd, type))
    case .elementGone(let pvd, let type):
      check(elements.remove(Element(pvd: pvd, type: type)) != nil, "gone before it was announced: \(type)")
      send(.noElement(pvd: pvd, type))
    case .address(let pvd, let address):
      check(domains[pvd] != nil, "an address before its PvD")
      held.insert(Address(pvd: pvd, prefix: address.prefix))
      send(.address(pvd: pvd, address.announced))
    case .addressGone(let pvd, let prefix):
      check(held.remove(Address(pvd: pvd, prefix: prefix)) != nil, "gone before it was announced: \(prefix)")
      send(.noAddress(pvd: pvd, AnnouncedAddress(prefix.address, prefixLength: prefix.length)))
    case .trigger(let place): tell(state.triggerNews[place])
    }
  }

  private mutating func tell(_ news: TriggerNews) {
    let trigger = news.trigger
    switch news.change {
    case .added:
      check(triggers.insert(trigger.id).inserted, "added twice: \(trigger.id)")
      send(trigger, .add)
    case .modified, .turned:
      check(triggers.contains(trigger.id), "modified before it was added: \(trigger.id)")
      send(trigger, .modify)
    case .removed:
      check(triggers.remove(trigger.id) != nil, "removed before it was added: \(trigger.id)")
      send(trigger, .delete)
    }
  }

  private func send(_ announcement: MIFAnnouncement) {
    let bytes = writing.write { writer throws(MessageOverflow) in
      try writer.announcement(announcement, .news(sequence: 1))
    }
    let message = bytes.read { b throws(MessageRefusal) in try MIFMessage(b) }
    check(message?.content == .announcement(announcement), "\(announcement) reads otherwise")
  }

  private func send(_ trigger: Trigger, _ cause: TriggerMessageType) {
    let bytes = writing.write { writer throws(MessageOverflow) in
      let notification = try writer.notification(
        TriggerPayload(type: trigger.type, identifier: trigger.id), addresses: trigger.addresses,
        origin: trigger.origin, pid: 0)
      writer.prepare(notification, cause: cause, sequence: 1, extensions: .served)
    }
    let message = need(bytes.read { b throws(MessageRefusal) in try TriggerMessage(b) }, "\(trigger) is refused")
    check(
      message.cause == cause && message.trigger?.identifier == trigger.id && message.trigger?.type == trigger.type
        && Trigger.Addresses(message.addresses) == trigger.addresses && message.origin == trigger.origin,
      "\(trigger) reads otherwise")
  }

  // MARK: What there is

  private func checkKnowledge() {
    var count = 0
    for link in state.links {
      check(links.contains(link.index), "never told: \(link)")
      for domain in state.domains(of: link.index) ?? [] {
        count += 1
        check(domains[domain.id] == link.index, "never told: \(domain)")
      }
    }
    check(state.links.count == links.count && count == domains.count, "told of what is not there")
    check(state.triggers.count == triggers.count, "told of \(triggers.count) triggers of \(state.triggers.count)")
  }

  /// Every item of configuration can be asked for, written and read.
  func checkItems() {
    let instant = Instant(nanoseconds: now)
    for identifier in domains.keys {
      let domain = need(state.domain(identifier), "told of PvD \(identifier)")
      let types = domain.elementTypes
      check(Set(types) == Set(elements.filter { $0.pvd == identifier }.map { $0.type }), "other elements than told")
      let prefixes = Set(domain.addresses.map { $0.address.prefix })
      check(prefixes == Set(held.filter { $0.pvd == identifier }.map { $0.prefix }), "other addresses than told")
      for type in types {
        var items: [ConfigurationItem] = []
        state.forEachItem(.all, of: type, in: domain, at: instant) { items.append($0) }
        for item in items { send(item, identifier, type) }
      }
    }
  }

  private func send(_ item: ConfigurationItem, _ pvd: UInt32, _ type: ElementType) {
    let bytes = writing.write { writer throws(MessageOverflow) in
      try writer.beginConfigurationData(to: FrameHeader(type: 0, sequence: 1, pid: 1), pvd: pvd, ElementReference(type))
      try writer.data(item, interface: 1)
      writer.finish()
    }
    let message = bytes.read { b throws(MessageRefusal) in try MIFMessage(b) }
    check(
      message?.content == .configurationData(pvd: pvd, ElementReference(type), [item]), "\(item) reads otherwise")
  }
}

extension ProvisioningDomain {
  fileprivate var description: PvDDescription {
    PvDDescription(identifier: id, isExplicit: isExplicit, name: name)
  }
}

extension InterfaceAddress {
  fileprivate var announced: AnnouncedAddress {
    AnnouncedAddress(
      prefix.address, prefixLength: prefix.length, flags: AddressFlags(rawValue: UInt32(flags.rawValue)),
      preferredLifetime: preferredLifetime, validLifetime: validLifetime)
  }
}
