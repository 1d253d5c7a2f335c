import ArgumentParser
import MIF

struct TriggerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "trigger",
    abstract: "Lists, watches and changes the trigger database.",
    discussion: """
      A trigger says what holds now: an address is usable, a connection stands, a destination can't be reached. The \
      agent adds those that it sees; programs, and this command, may add more. A trigger has an id, a type and up to \
      16 addresses.

      mifctl trigger                                 what there is
      mifctl trigger list --type dest-unreachable --interface wan0
      mifctl trigger watch --address 192.0.2.0/24    what exists, then changes
      mifctl trigger add if-addrchanged 192.0.2.1/24
      mifctl trigger add dest-unreachable 192.0.2.1 198.51.100.7
      mifctl trigger add 200 fe80::1/64%eth0         a type with a meaning of your own
      mifctl trigger get 17                          all that is known of it
      mifctl trigger modify 17 if-addrchanged 192.0.2.2/24
      mifctl trigger delete 17 18

      TYPE is a name, in any case, with or without TDB_TTYPE_, or a number up to 65535 (from 7 on, your own):
      1 if-added           an interface exists
      2 if-removed         an interface went away, with the addresses that it had
      3 if-addrchanged     an address is usable
      4 conn-established   an interface has carrier, a usable address and a router
      5 conn-lost          conn-established ended
      6 dest-unreachable   local address and destination that it does not reach

      ADDRESS is ADDRESS[/LEN], all bits without LEN. A link-local address needs its interface, by name or index: \
      fe80::1%eth0, fe80::1/64%eth0. Interfaces are the agent's, whatever namespace mifctl runs in.

      Everybody may read unless trigger-read in the agent's configuration says otherwise; root may write, and whom \
      trigger-write allows it. A trigger is changed and deleted by the user that added it or by root, the agent's own \
      by nobody.

      With --json: one object a line, {"id", "type", "name", "addresses": [address/prefixlen], "origin": {"source": \
      "kernel"|"RA"|"DHCPv4"|"DHCPv6"|"ICMP"|"client", "icmp": {"version", "type", "code", "text"}, "interface", \
      "ifindex", "pvd", "count", "flags", "reason", "timestamp" (nanoseconds since 1970)}}; what is not known is not \
      there. What add prints has no origin.

      Exits with 0, with 1 if something went wrong (standard error says what), with 2 if it was called wrongly.
      """,
    subcommands: [Add.self, Get.self, Delete.self, Modify.self, List.self, Watch.self],
    defaultSubcommand: List.self,
    aliases: ["triggers"])

  struct Add: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Adds a trigger and prints it with its id.",
      discussion: "It stands until it is deleted or the agent ends. See mifctl trigger --help for TYPE and ADDRESS.")

    @OptionGroup var options: Options
    @OptionGroup var output: OutputOptions
    @Argument(help: "Its type: name or number.", transform: TriggerArguments.kind)
    var type: TriggerKind
    @OptionGroup var addresses: AddressArguments

    func run() throws {
      let prefixes = try addresses.resolved(options.runtimeDir)
      let connection = try TriggerConnection(runtimeDirectory: options.runtimeDir)
      do {
        try output.show("added", try connection.add(type, addresses: prefixes))
      } catch let error as ClientError {
        throw TriggerAttempt.add(type).complaint(error)
      }
    }
  }

  struct Get: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Prints everything that is known of one trigger.",
      discussion: """
        COUNT is how many events were folded into it, SINCE when the last of them was received, in local time.
        """)

    @OptionGroup var options: Options
    @OptionGroup var output: OutputOptions
    @Argument(help: "The trigger's id.", transform: TriggerArguments.identifier)
    var id: UInt32

    func run() throws {
      let connection = try TriggerConnection(runtimeDirectory: options.runtimeDir)
      do {
        try output.show(all: try connection.get(id))
      } catch let error as ClientError {
        throw TriggerAttempt.get(id).complaint(error)
      }
    }
  }

  struct Delete: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Deletes triggers and prints what they were.",
      discussion: "One that can't be deleted is complained about, and the others are deleted all the same.")

    @OptionGroup var options: Options
    @OptionGroup var output: OutputOptions
    @Argument(help: "The triggers' ids.", transform: TriggerArguments.identifier)
    var id: [UInt32]

    func run() throws {
      let connection = try TriggerConnection(runtimeDirectory: options.runtimeDir)
      var complaints: [String] = []
      for id in id {
        // The answer to DELETE has no addresses and no origin. Who may not read it may still delete it.
        let known = try? connection.get(id)
        do {
          let answer = try connection.delete(id)
          try output.show("deleted", known ?? answer)
        } catch let error as ClientError {
          let complaint = TriggerAttempt.delete(id).complaint(error, about: known)
          guard case .refused = error else { throw Complaint(lines: complaints + complaint.lines) }
          complaints += complaint.lines
        }
      }
      if !complaints.isEmpty { throw Complaint(lines: complaints) }
    }
  }

  struct Modify: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Gives a trigger another type, and other addresses, and prints it.",
      discussion: "Without ADDRESS those that it has stay. See mifctl trigger --help for TYPE and ADDRESS.")

    @OptionGroup var options: Options
    @OptionGroup var output: OutputOptions
    @Argument(help: "The trigger's id.", transform: TriggerArguments.identifier)
    var id: UInt32
    @Argument(help: "Its type from now on: name or number.", transform: TriggerArguments.kind)
    var type: TriggerKind
    @OptionGroup var addresses: AddressArguments

    func run() throws {
      let prefixes = try addresses.resolved(options.runtimeDir)
      let connection = try TriggerConnection(runtimeDirectory: options.runtimeDir)
      do {
        let answer = try connection.modify(id, type, addresses: prefixes)
        // The answer repeats what was sent. Who may not read it sees that much.
        try output.show("changed", (try? connection.get(id)) ?? answer)
      } catch let error as ClientError {
        throw TriggerAttempt.modify(id, type).complaint(error, about: try? connection.get(id))
      }
    }
  }
}

struct AddressArguments: ParsableArguments {
  @Argument(
    help: ArgumentHelp("Its addresses: ADDRESS[/LEN][%IFACE].", valueName: "address"),
    transform: TriggerArguments.address)
  var addresses: [ZonedPrefix] = []

  func validate() throws {
    if addresses.count > 16 {
      throw ValidationError("\(addresses.count) addresses: a trigger has at most 16.")
    }
  }

  func resolved(_ directory: String) throws -> [IPPrefix] {
    var names = InterfaceNames(directory: directory)
    return try addresses.map { try names.resolve($0) }
  }
}

extension OutputOptions {
  /// What was done with it, on one line.
  fileprivate func show(_ verb: String, _ trigger: Trigger) throws {
    try System.write(
      line: json ? JSON.object(Objects.trigger(trigger)).text : "\(verb) \(Text.trigger(trigger))")
  }

  fileprivate func show(all trigger: Trigger) throws {
    if json { return try System.write(line: JSON.object(Objects.trigger(trigger)).text) }
    var rows = [["id", "\(trigger.identifier)"], ["type", "\(trigger.kind) (\(trigger.kind.rawValue))"]]
    rows += Text.each(trigger.addresses, of: trigger).map { ["address", $0] }
    if let origin = trigger.origin {
      if origin.interface != 0 {
        rows.append(["interface", "\(Text.printable(origin.interfaceName)) (\(origin.interface))"])
      }
      if origin.domain != 0 { rows.append(["pvd", "\(origin.domain)"]) }
      let icmp = origin.icmp.map { " (type \($0.type) code \($0.code))" } ?? ""
      rows.append(["source", Text.source(of: origin) + icmp])
      if !origin.addressState.names.isEmpty {
        rows.append(["flags", origin.addressState.names.joined(separator: ", ")])
      }
      rows += [["count", "\(origin.count)"], ["since", Text.moment(origin.timestamp)]]
    }
    try Text.table(rows).forEach(System.write(line:))
  }
}
