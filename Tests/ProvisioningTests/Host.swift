import Messages
import PacketBuilders
import Testing
import Wire

@testable import Provisioning

/// A host in a test: the state, a clock that only the test moves, and what subscribers were told, a line each, checked
/// against the rules of order as it is taken.
final class Host {
  var state: NetworkState
  /// Nanoseconds; the clock starts at an hour so that nothing depends on 0.
  private(set) var clock: UInt64 = 3_600_000_000_000
  private var watcher = Watcher()
  /// What is said of the flows that ICMP errors quote.
  var verify: (FlowQuestion) -> FlowVerdict = { _ in .live }

  static let up0: UInt32 = 2
  static let up1: UInt32 = 3

  init(limits: Limits = Limits(), kinds: UnreachableKinds = .default) {
    state = NetworkState(limits: limits, unreachableKinds: kinds)
  }

  /// A host whose `up0` is up; what was told of that is taken.
  static func withLink(limits: Limits = Limits(), kinds: UnreachableKinds = .default) -> Host {
    let host = Host(limits: limits, kinds: kinds)
    host.link()
    host.told()
    return host
  }

  var moment: Moment { Moment(Instant(nanoseconds: clock), timestamp: clock + 1) }

  // MARK: Time

  /// Lets time pass as the agent does: at each deadline, and at the end.
  func wait(_ seconds: Double) {
    let end = clock + UInt64(seconds * 1_000_000_000)
    while state.nextDeadline.nanoseconds <= end {
      clock = max(clock, state.nextDeadline.nanoseconds)
      state.advance(to: moment)
    }
    clock = end
  }

  /// Lets time pass in one step, as after a sleep.
  func sleep(_ seconds: Double) {
    clock += UInt64(seconds * 1_000_000_000)
    state.advance(to: moment)
  }

  // MARK: The kernel

  func apply(_ event: KernelEvent) { state.apply(event, at: moment) }

  func link(
    _ index: UInt32 = up0, name: String? = nil, isUp: Bool = true, hasCarrier: Bool = true, mtu: UInt32 = 1500,
    master: UInt32 = 0, handsFramesOn: Bool = false, routingTable: UInt32 = RoutingTable.main
  ) {
    let bytes = (name ?? "up\(index - 2)").utf8
    apply(
      .link(
        Link(
          index: index, name: InterfaceName(bytes), isUp: isUp, hasCarrier: isUp && hasCarrier, mtu: mtu,
          master: master, handsFramesOn: handsFramesOn, routingTable: routingTable,
          hardwareAddress: 0x0200_5e10_0002_0000, hardwareAddressLength: 6)))
  }

  func address(
    _ prefix: IPPrefix, on index: UInt32 = up0, _ flags: InterfaceAddress.Flags = [], preferred: UInt32 = .max,
    valid: UInt32 = .max
  ) {
    apply(
      .address(
        InterfaceAddress(
          interface: index, prefix: prefix, flags: flags, preferredLifetime: preferred, validLifetime: valid)))
  }

  func removeAddress(_ prefix: IPPrefix, on index: UInt32 = up0) {
    apply(.addressRemoved(interface: index, prefix))
  }

  static func route(
    _ gateway: IPAddress?, _ family: Family = .v4, on index: UInt32 = up0, metric: UInt32 = 0,
    preferredSource: IPAddress? = nil, table: UInt32 = RoutingTable.main
  ) -> DefaultRoute {
    DefaultRoute(
      interface: index, family: family, gateway: gateway, table: table, metric: metric,
      preferredSource: preferredSource)
  }

  // MARK: The network

  func hear(_ bytes: [UInt8], on index: UInt32 = up0, outgoing: Bool = false) {
    let family: Family = bytes[0] >> 4 == 4 ? .v4 : .v6
    let arrival = Arrival(interface: index, outgoing: outgoing, timestamp: clock + 1)
    unsafe state.hear(bytes.span.bytes, family, arrival, at: Instant(nanoseconds: clock), verify: verify)
  }

  // MARK: What was told

  /// Takes what was told, in order; the rules of order are checked on the way.
  @discardableResult
  func told(sourceLocation: SourceLocation = #_sourceLocation) -> [String] {
    var lines: [String] = []
    for announcement in state.announcements {
      if let fault = watcher.see(announcement, of: state) {
        Issue.record("\(fault): \(watcher.describe(announcement, of: state))", sourceLocation: sourceLocation)
      }
      lines.append(watcher.describe(announcement, of: state))
    }
    state.clearAnnouncements()
    if let fault = watcher.compare(with: state) { Issue.record("\(fault)", sourceLocation: sourceLocation) }
    return lines
  }

  /// Only what the TDB was told.
  @discardableResult
  func toldTriggers(sourceLocation: SourceLocation = #_sourceLocation) -> [String] {
    told(sourceLocation: sourceLocation).filter { line in
      ["ADD ", "MODIFY ", "DELETE "].contains { line.hasPrefix($0) }
    }
  }

  /// Only what the MIF API was told.
  @discardableResult
  func toldDomains(sourceLocation: SourceLocation = #_sourceLocation) -> [String] {
    told(sourceLocation: sourceLocation).filter { line in
      !["ADD ", "MODIFY ", "DELETE "].contains { line.hasPrefix($0) }
    }
  }

  /// The triggers that stand, by their type's name, in the order of their ids.
  var standing: [String] {
    var cursor = TriggerTable.Cursor()
    var lines: [String] = []
    while let trigger = state.triggers.next(&cursor) { lines.append(describe(trigger)) }
    return lines
  }

  /// What a PvD's element configures under an identifier.
  func items(_ identifier: InformationIdentifier, of element: ElementType, in name: String) -> [ConfigurationItem] {
    var items: [ConfigurationItem] = []
    for link in state.links {
      for domain in state.domains(of: link.index)! where domain.name == Array(name.utf8) {
        state.forEachItem(identifier, of: element, in: domain, at: moment.instant) { items.append($0) }
      }
    }
    return items
  }

  func count(_ counter: StateCounter) -> UInt64 { state.value(counter) }
  func trigger(_ type: TriggerType) -> Trigger? {
    var cursor = TriggerTable.Cursor()
    while let trigger = state.triggers.next(&cursor) { if trigger.type == type { return trigger } }
    return nil
  }
}

// MARK: Addresses

/// 192.0.2.10/24 and the like.
func v4(_ d: UInt32, net: UInt32 = 0xC000_0200) -> IPAddress { .v4(IPv4Address(net | d)) }
/// 2001:db8:`net`::`low`.
func v6(_ low: UInt64, net: UInt64 = 1) -> IPAddress { .v6(IPv6Address(0x2001_0db8_0000_0000 | net << 16, low)) }
func fe80(_ low: UInt64) -> IPv6Address { IPv6Address(0xfe80_0000_0000_0000, low) }
/// 2001:db8:`net`::/64.
func prefix(_ net: UInt64) -> IPv6Address { IPv6Address(0x2001_0db8_0000_0000 | net << 16, 0) }

func text(_ address: IPAddress) -> String {
  var bytes: [UInt8] = []
  switch address {
  case .v4(let v4): v4.append(to: &bytes)
  case .v6(let v6): v6.append(to: &bytes)
  }
  return String(decoding: bytes, as: UTF8.self)
}
func text(_ prefix: IPPrefix) -> String { "\(text(prefix.address))/\(prefix.length)" }

func describe(_ trigger: Trigger) -> String {
  let type =
    switch trigger.type {
    case .interfaceAdded: "IF_ADDED"
    case .interfaceRemoved: "IF_REMOVED"
    case .addressChanged: "IF_ADDRCHANGED"
    case .connectionEstablished: "CONN_ESTABLISHED"
    case .connectionLost: "CONN_LOST"
    case .destinationUnreachable: "DEST_UNREACHABLE"
    default: "TYPE_\(trigger.type.rawValue)"
    }
  return ([type] + trigger.addresses.map { "\(text($0.address))/\($0.prefixLength)" }).joined(separator: " ")
}
