import ArgumentParser
import MIF

struct Monitor: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Prints one line for each event, until interrupted.",
    discussion: """
      What exists comes first, marked "is"; then what is "new", "changed" or "gone". It waits for an agent that is \
      being restarted. Of the interfaces and PvDs it asks for everything again after that, and where it did not read \
      fast enough; of the triggers it prints what is different.

      With --json: {"time" (local, ISO 8601), "time_ns" (nanoseconds since 1970), "event", "change", ...}, where event \
      is interface, pvd, element, address, trigger or agent, and change is exists, new, changed or gone. The agent's \
      changes are connected, complete (everything that exists was told), lost (with "count": so many news of the \
      network were lost, what exists comes again) and gone.
      interface: {"interface": {...}}; pvd: {"pvd": {...}}; element: {"pvd", "element"}; address: {"pvd", "address"}; \
      trigger: {"trigger": {...}}, and "former" where a restarted agent gave it another id; their members are those of \
      the other commands.
      """)

  @OptionGroup var options: Options
  @OptionGroup var output: OutputOptions

  func run() throws {
    try Following(options.runtimeDir, EventOutput(isJSON: output.json)).run()
  }
}

/// Both connections to the agent. The triggers' finds a restarted agent by itself, the network's is made anew.
private final class Following {
  private let directory: String
  private let output: EventOutput
  private let triggers: TriggerConnection
  /// nil while the agent is away.
  private var network: NetworkMonitor?
  private var triggersAreComplete = false
  private var networkIsComplete = false

  init(_ directory: String, _ output: EventOutput) throws(ClientError) {
    self.directory = directory
    self.output = output
    triggers = try TriggerConnection(runtimeDirectory: directory)
    network = try NetworkMonitor(runtimeDirectory: directory)
    try triggers.register()
  }

  func run() throws {
    let signals = System.terminationSignals()
    try output.report(.connected(to: directory))
    while true {
      if let network {
        try drain(network)
      } else if let again = try? NetworkMonitor(runtimeDirectory: directory) {
        network = again
        try output.report(.connected(to: directory, again: true))
        continue
      }
      let (readable, outputClosed) =
        if let network {
          System.wait(for: [signals, triggers.fileDescriptor, network.fileDescriptor])
        } else {
          System.wait(for: [signals], milliseconds: 100)
        }
      if readable[0] || outputClosed { return }
    }
  }

  /// Prints what has come on both sockets, up to the agent's end.
  private func drain(_ network: NetworkMonitor) throws {
    do {
      while let event = try network.next(timeout: .zero) {
        switch event {
        case .complete:
          networkIsComplete = true
          try reportComplete()
        case .lost(let count):
          networkIsComplete = false
          try output.report(.lost(count))
        default: try output.report(.network(event))
        }
      }
    } catch ClientError.disconnected {
      // The triggers' socket ends with the same agent.
      _ = try drainTriggers(timeout: .milliseconds(100))
      return try leave()
    }
    if try drainTriggers(timeout: .zero) { try leave() }
  }

  /// Whether they ended.
  private func drainTriggers(timeout: Duration) throws -> Bool {
    while let event = try triggers.next(timeout: timeout) {
      switch event {
      case .disconnected:
        triggersAreComplete = false
        return true
      case .inStep:
        triggersAreComplete = true
        try reportComplete()
      default: try output.report(.trigger(event))
      }
    }
    return false
  }

  private func leave() throws {
    network = nil
    networkIsComplete = false
    try output.report(.gone(from: directory))
  }

  private func reportComplete() throws {
    if networkIsComplete, triggersAreComplete { try output.report(.complete) }
  }
}
