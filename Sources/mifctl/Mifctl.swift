import ArgumentParser
import MIF

@main
struct Mifctl: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mifctl",
    abstract: "Shows what the network agent mifd knows and tells.",
    discussion: """
      Speaks the agent's sockets like any other client (docs/protocol.md). Exits with 0, with 1 if something went \
      wrong and with 2 if it was called wrongly.
      """,
    subcommands: [
      Interfaces.self, InterfaceCommand.self, PvDs.self, Resolve.self, Connect.self, TriggerCommand.self, Monitor.self,
      Stats.self,
    ])

  @OptionGroup var options: Options

  /// ArgumentParser's own `main` exits with 64 for a wrong call; this project has 2.
  static func main() {
    System.ignoreBrokenPipes()
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch is OutputClosed {
      return
    } catch let error as ClientError {
      fail(Complaint(error), 1)
    } catch let complaint as Complaint {
      fail(complaint, 1)
    } catch let error as OutputFailed {
      fail(Complaint(lines: [error.description]), 1)
    } catch let misuse as Misuse {
      fail(Complaint(lines: [misuse.line]), 2)
    } catch {
      let text = fullMessage(for: error)
      if exitCode(for: error).isSuccess {
        print(text)
      } else {
        System.complain(text)
        exit(withError: ExitCode(2))
      }
    }
  }

  private static func fail(_ complaint: Complaint, _ code: Int32) -> Never {
    for line in complaint.lines { System.complain("mifctl: \(line)") }
    exit(withError: ExitCode(code))
  }
}

struct Options: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The agent's runtime directory, with its sockets. Else the environment variable MIFD_RUNTIME_DIR says.",
      valueName: "dir"))
  var runtimeDir = defaultRuntimeDirectory
}

struct OutputOptions: ParsableArguments {
  @Flag(help: "One JSON object a line.")
  var json = false
}
