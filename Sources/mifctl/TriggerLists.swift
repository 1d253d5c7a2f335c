import ArgumentParser
import MIF

extension TriggerCommand {
  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Lists the triggers, by id.",
      discussion: """
        COUNT is how many events were folded into a trigger, SINCE when the last of them was received, in local time. \
        The options select together: a trigger is shown if it is of one of the types, about the interface, and has an \
        address in the prefix.
        """)

    @OptionGroup var options: Options
    @OptionGroup var output: OutputOptions
    @OptionGroup var selection: FilterOptions

    func run() throws {
      var names = InterfaceNames(directory: options.runtimeDir)
      let filter = try selection.filter(&names)
      let connection = try TriggerConnection(runtimeDirectory: options.runtimeDir)
      var triggers: [UInt32: Trigger] = [:]
      do {
        try connection.register(matching: filter)
        replay: while true {
          let path = options.runtimeDir + "/trigger.sock"
          switch try connection.next(timeout: .seconds(5)) {
          case .exists(let trigger), .added(let trigger): triggers[trigger.identifier] = trigger
          case .modified(let trigger, let former):
            triggers[former] = nil
            triggers[trigger.identifier] = trigger
          case .deleted(let trigger): triggers[trigger.identifier] = nil
          case .inStep: break replay
          case .disconnected: throw ClientError.disconnected(path: path)
          case nil: throw ClientError.timedOut(path: path)
          }
        }
      } catch let error as ClientError {
        throw TriggerAttempt.read.complaint(error)
      }
      try show(triggers.values.sorted { $0.identifier < $1.identifier })
    }

    private func show(_ triggers: [Trigger]) throws {
      if output.json {
        for trigger in triggers { try System.write(line: JSON.object(Objects.trigger(trigger)).text) }
        return
      }
      var rows = [["ID", "TRIGGER", "ADDRESSES", "INTERFACE", "SOURCE", "COUNT", "SINCE"]]
      for trigger in triggers {
        let addresses = Text.addresses(of: trigger)
        var row = ["\(trigger.identifier)", "\(trigger.kind)", addresses.isEmpty ? "-" : addresses]
        if let origin = trigger.origin {
          row += [
            origin.interfaceName.isEmpty ? "-" : Text.printable(origin.interfaceName), Text.source(of: origin),
            "\(origin.count)", Text.moment(origin.timestamp),
          ]
        } else {
          row += ["-", "-", "-", "-"]
        }
        rows.append(row)
      }
      try Text.table(rows, numbers: [0, 5]).forEach(System.write(line:))
    }
  }

  struct Watch: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Prints one line for each change of a trigger, until interrupted.",
      discussion: """
        What exists comes first, marked "is"; then what is "new", "changed" or "gone". It waits for an agent that is \
        being restarted; what is different after that, and where it did not read fast enough, is printed like any \
        other change. With options a trigger that is changed so that they no longer fit it is gone (unmatched).

        With --json: the lines of mifctl monitor, of the events trigger and agent.
        """)

    @OptionGroup var options: Options
    @OptionGroup var output: OutputOptions
    @OptionGroup var selection: FilterOptions

    func run() throws {
      let directory = options.runtimeDir
      let output = EventOutput(isJSON: output.json)
      var names = InterfaceNames(directory: directory)
      let filter = try selection.filter(&names)
      let connection = try TriggerConnection(runtimeDirectory: directory)
      do {
        try connection.register(matching: filter)
        let signals = System.terminationSignals()
        try output.report(.connected(to: directory))
        var isGone = false
        while true {
          let event = try connection.next(timeout: .zero)
          if isGone, connection.isConnected {
            isGone = false
            try output.report(.connected(to: directory, again: true))
          }
          switch event {
          case nil:
            let (readable, outputClosed) = System.wait(for: [signals, connection.fileDescriptor])
            if readable[0] || outputClosed { return }
          case .inStep: try output.report(.complete)
          case .disconnected where isGone: continue
          case .disconnected:
            isGone = true
            try output.report(.gone(from: directory))
          case .some(let event): try output.report(.trigger(event))
          }
        }
      } catch let error as ClientError {
        throw TriggerAttempt.read.complaint(error)
      }
    }
  }
}
