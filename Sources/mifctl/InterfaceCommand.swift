import ArgumentParser
import MIF

struct InterfaceCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "interface",
    abstract: "Takes an interface down politely.",
    discussion: "mifctl interfaces lists them.",
    subcommands: [Down.self])

  struct Down: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Has everybody told that an interface is going away, and takes it down after a grace time.",
      discussion: """
        It returns at once; the agent does the rest. mifctl monitor shows it going away, and then down. Said again \
        meanwhile, it can only shorten the time.

        mifctl interface down wlan0
        mifctl interface down wlan0 --grace 2s

        Root may, and whom connectivity in the agent's configuration allows it.
        """)

    @OptionGroup var options: Options
    @Argument(help: "The interface's name, as mifctl interfaces shows it.")
    var name: String
    @Option(
      help: ArgumentHelp(
        "How long programs have to move elsewhere: a number and ms, s or m. Else the agent's configuration says.",
        valueName: "time"),
      transform: Arguments.duration)
    var grace: Duration?

    func run() throws {
      let connection = try MIFConnection(runtimeDirectory: options.runtimeDir)
      guard let interface = try connection.interfaces().first(where: { $0.name == name }) else { throw missing }
      do throws(ClientError) {
        try connection.takeDown(interface, after: grace)
      } catch {
        guard case .refused(_, let refusal) = error else { throw error }
        if refusal == .notFound { throw missing }
        if refusal != .notPermitted { throw error }
        throw Complaint(lines: [
          "user \(System.user) may not take interfaces down (EPERM): root may, and whom connectivity in the agent's configuration allows it"
        ])
      }
    }

    private var missing: Complaint {
      Complaint(lines: ["there is no interface \(Text.printable(name)): mifctl interfaces shows those that there are"])
    }
  }
}
