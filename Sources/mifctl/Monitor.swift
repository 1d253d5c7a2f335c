import ArgumentParser
import MIF

struct Monitor: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Prints one line for each event, until interrupted.",
    discussion: """
      What exists comes first, marked "is"; then what is "new", "changed" or "gone". It waits for an agent that is \
      being restarted, and asks for everything again after that and where it did not read fast enough.

      With --json: {"time" (local, ISO 8601), "time_ns" (nanoseconds since 1970), "event", "change", ...}, where event \
      is interface, pvd, element, address, trigger or agent, and change is exists, new, changed or gone. The agent's \
      changes are connected, complete (everything that exists was told), lost (with "count": so many news of "socket" \
      were lost, what exists comes again) and gone.
      interface: {"interface": {...}}; pvd: {"pvd": {...}}; element: {"pvd", "element"}; address: {"pvd", "address"}; \
      trigger: {"trigger": {...}}; their members are those of the other commands.
      """)

  @OptionGroup var options: Options
  @OptionGroup var output: OutputOptions

  func run() throws {
    let signals = System.terminationSignals()
    var session: Session? = try Session(options.runtimeDir)
    try report(.agent("connected", "on \(options.runtimeDir)", []))
    while true {
      if let open = session {
        do {
          try drain(open)
        } catch ClientError.disconnected {
          session = nil
          try report(.agent("gone", "waiting for it on \(options.runtimeDir)", []))
          continue
        }
        let (readable, outputClosed) = System.wait(
          for: [signals, open.triggers.fileDescriptor, open.network.fileDescriptor])
        if readable[0] || outputClosed { return }
      } else {
        let (readable, outputClosed) = System.wait(for: [signals], milliseconds: 100)
        if readable[0] || outputClosed { return }
        session = try? Session(options.runtimeDir)
        if session != nil { try report(.agent("connected", "on \(options.runtimeDir) again", [])) }
      }
    }
  }

  /// Both connections to one agent.
  private final class Session {
    let triggers: TriggerConnection
    let network: NetworkMonitor
    var triggersComplete = false
    var networkComplete = false

    init(_ directory: String) throws(ClientError) {
      triggers = try TriggerConnection(runtimeDirectory: directory)
      network = try NetworkMonitor(runtimeDirectory: directory)
      try triggers.register(replay: true)
    }
  }

  /// Prints what has come on both sockets.
  private func drain(_ session: Session) throws {
    while let event = try session.network.next(timeout: .zero) {
      switch event {
      case .complete:
        session.networkComplete = true
        try reportComplete(session)
      case .lost(let count):
        session.networkComplete = false
        try report(.lost(count, "mif.sock"))
      default: try report(.network(event))
      }
    }
    while let event = try session.triggers.next(timeout: .zero) {
      switch event {
      case .replayEnded:
        session.triggersComplete = true
        try reportComplete(session)
      case .lost(let count):
        session.triggersComplete = false
        try report(.lost(count, "trigger.sock"))
        try session.triggers.register(replay: true)
      default: try report(.trigger(event))
      }
    }
  }

  private func reportComplete(_ session: Session) throws {
    guard session.networkComplete, session.triggersComplete else { return }
    try report(.agent("complete", "that is what exists; what follows is news", []))
  }

  private func report(_ line: MonitorLine) throws {
    let now = System.now
    let local = System.local(now)
    if output.json {
      try System.write(
        line: JSON.object(
          [("time", .string("\(local.date)T\(local.time)\(local.offset)")), ("time_ns", .number(now))]
            + line.members
        ).text)
    } else {
      let (event, change, text) = line.text(at: now)
      try System.write(line: "\(local.time)  \(padded(event, 9))  \(padded(change, 9))  \(text)")
    }
  }

  private func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }
}

/// One line of the monitor.
enum MonitorLine {
  case network(NetworkEvent)
  case trigger(TriggerEvent)
  /// What happened to the agent, or to our knowledge of it.
  case agent(String, String, [(String, JSON)])

  static func lost(_ count: UInt32, _ socket: String) -> MonitorLine {
    .agent(
      "lost", "\(count) news on \(socket): asking for everything again",
      [("count", .number(UInt64(count))), ("socket", .string(socket))])
  }

  /// Event, change and description.
  func text(at now: UInt64) -> (String, String, String) {
    switch self {
    case .agent(let change, let text, _): return ("agent", change, text)
    case .trigger(let event):
      guard let (change, trigger) = MonitorLine.parts(of: event) else { return ("trigger", "", "") }
      return ("trigger", word(change), MonitorLine.describe(trigger, change, at: now))
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
      guard let (change, trigger) = MonitorLine.parts(of: event) else { return [] }
      return head("trigger", change.rawValue) + [("trigger", .object(Objects.trigger(trigger)))]
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

  private static func parts(of event: TriggerEvent) -> (NetworkEvent.Change, Trigger)? {
    switch event {
    case .exists(let trigger): (.exists, trigger)
    case .added(let trigger): (.new, trigger)
    case .modified(let trigger): (.changed, trigger)
    case .deleted(let trigger): (.gone, trigger)
    case .replayEnded, .lost: nil
    }
  }

  /// "#42 DEST_UNREACHABLE 192.0.2.10 -> 198.51.100.7 on wan0: ICMP host unreachable (type 3 code 1), 131 µs after the
  /// packet".
  private static func describe(_ trigger: Trigger, _ change: NetworkEvent.Change, at now: UInt64) -> String {
    var text = "#\(trigger.identifier) \(trigger.kind)"
    let addresses = Text.addresses(of: trigger)
    if !addresses.isEmpty { text += " \(addresses)" }
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
