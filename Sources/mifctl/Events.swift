import MIF

/// Prints what happens: `monitor` and `trigger watch`.
struct EventOutput {
  var isJSON: Bool

  func report(_ event: Event) throws {
    let now = System.now
    let local = System.local(now)
    if isJSON {
      let time: [(String, JSON)] = [
        ("time", .string("\(local.date)T\(local.time)\(local.offset)")), ("time_ns", .number(now)),
      ]
      try System.write(line: JSON.object(time + event.members).text)
    } else {
      let (what, change, text) = event.text(at: now)
      try System.write(line: "\(local.time)  \(padded(what, 9))  \(padded(change, 9))  \(text)")
    }
  }

  private func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }
}

/// One line of them.
enum Event {
  case network(NetworkEvent)
  case trigger(TriggerEvent)
  /// What happened to the agent, or to our knowledge of it.
  case agent(String, String, [(String, JSON)])

  static func connected(to directory: String, again: Bool = false) -> Event {
    .agent("connected", "on \(directory)\(again ? " again" : "")", [])
  }
  static func gone(from directory: String) -> Event { .agent("gone", "waiting for it on \(directory)", []) }
  static var complete: Event { .agent("complete", "that is what exists; what follows is news", []) }
  static func lost(_ count: UInt32) -> Event {
    .agent(
      "lost", "\(count) news of the network: asking for everything again", [("count", .number(UInt64(count)))])
  }

  /// Event, change and description.
  func text(at now: UInt64) -> (String, String, String) {
    switch self {
    case .agent(let change, let text, _): return ("agent", change, text)
    case .trigger(let event):
      guard let (change, trigger, former) = Event.parts(of: event) else { return ("trigger", "", "") }
      return ("trigger", word(change), Event.describe(trigger, change, former, at: now))
    case .network(let event):
      switch event {
      case .interface(let change, let interface):
        let state = change == .gone ? "" : ": \(Text.state(of: interface))"
        return ("interface", word(change), Text.printable(interface.name) + state)
      case .domain(let change, let domain, let interface):
        let kind = domain.isExplicit ? "explicit" : "implicit"
        return ("pvd", word(change), "\(name(domain, interface)): \(kind), id \(domain.identifier)")
      case .element(let change, let element, let domain, let interface):
        return ("element", word(change), "\(name(domain, interface)): \(element)")
      case .address(let change, let address, let domain, let interface):
        let description =
          change == .gone
          ? Text.prefix(address.prefix, on: interface.name) : Text.address(address, on: interface.name)
        return ("address", word(change), "\(name(domain, interface)): \(description)")
      case .complete, .lost: return ("agent", "", "")
      }
    }
  }

  var members: [(String, JSON)] {
    func head(_ event: String, _ change: String) -> [(String, JSON)] {
      [("event", .string(event)), ("change", .string(change))]
    }
    switch self {
    case .agent(let change, _, let members): return head("agent", change) + members
    case .trigger(let event):
      guard let (change, trigger, former) = Event.parts(of: event) else { return [] }
      return head("trigger", change.rawValue) + [("trigger", .object(Objects.trigger(trigger)))]
        + (former.map { [("former", .number(UInt64($0)))] } ?? [])
    case .network(let event):
      switch event {
      case .interface(let change, let interface):
        return head("interface", change.rawValue) + [("interface", .object(Objects.interface(interface)))]
      case .domain(let change, let domain, let interface):
        return head("pvd", change.rawValue) + [("pvd", .object(Objects.domain(domain, on: interface)))]
      case .element(let change, let element, let domain, let interface):
        return head("element", change.rawValue) + [
          ("pvd", .object(Objects.domain(domain, on: interface))), ("element", .string(element.description)),
        ]
      case .address(let change, let address, let domain, let interface):
        return head("address", change.rawValue) + [
          ("pvd", .object(Objects.domain(domain, on: interface))), ("address", Objects.address(address)),
        ]
      case .complete, .lost: return []
      }
    }
  }

  private func word(_ change: NetworkEvent.Change) -> String { change == .exists ? "is" : change.rawValue }

  private func name(_ domain: ProvisioningDomain, _ interface: Interface) -> String {
    "\(Text.printable(interface.name)) \(Text.printable(domain.name))"
  }

  /// The change, the trigger, and its former identifier where it was another one.
  private static func parts(of event: TriggerEvent) -> (NetworkEvent.Change, Trigger, former: UInt32?)? {
    switch event {
    case .exists(let trigger): (.exists, trigger, nil)
    case .added(let trigger): (.new, trigger, nil)
    case .modified(let trigger, let former): (.changed, trigger, former == trigger.identifier ? nil : former)
    case .deleted(let trigger): (.gone, trigger, nil)
    case .inStep, .disconnected: nil
    }
  }

  /// "#42 DEST_UNREACHABLE 192.0.2.10 -> 198.51.100.7 on wan0: ICMP host unreachable (type 3 code 1), 131 µs after the
  /// packet".
  private static func describe(
    _ trigger: Trigger, _ change: NetworkEvent.Change, _ former: UInt32?, at now: UInt64
  ) -> String {
    var text = Text.trigger(trigger)
    if let former { text += " (was #\(former))" }
    guard let origin = trigger.origin else { return text }
    if !origin.interfaceName.isEmpty { text += " on \(Text.printable(origin.interfaceName))" }
    if change == .gone {
      if let removal = origin.removal { text += ": \(removal.rawValue)" }
      return text
    }
    text += ": \(Text.source(of: origin))"
    if let icmp = origin.icmp { text += " (type \(icmp.type) code \(icmp.code))" }
    if origin.count > 1 { text += ", \(origin.count) times" }
    for name in origin.addressState.names { text += ", \(name)" }
    // The first one tells how fast the news came; a change of count need not come at once.
    if change == .new, origin.icmp != nil, now >= origin.timestamp {
      text += ", \((now - origin.timestamp) / 1000) µs after the packet"
    }
    return text
  }
}
