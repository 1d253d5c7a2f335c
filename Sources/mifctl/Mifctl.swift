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
    subcommands: [Interfaces.self, PvDs.self, Triggers.self, Monitor.self, Stats.self])

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
      fail("mifctl: \(error.description)\(hint(for: error))", 1)
    } catch let error as OutputFailed {
      fail("mifctl: \(error.description)", 1)
    } catch {
      let text = fullMessage(for: error)
      if exitCode(for: error).isSuccess {
        print(text)
      } else {
        fail(text, 2)
      }
    }
  }

  private static func fail(_ text: String, _ code: Int32) -> Never {
    System.complain(text)
    exit(withError: ExitCode(code))
  }

  /// What to do about it.
  static func hint(for error: ClientError) -> String {
    switch error {
    case .noAgent: ": is mifd running? (--runtime-dir names another directory)"
    case .notAllowed: ": run as root, or as a member of the socket's group"
    case .disconnected: ": it ended or is being restarted; try again"
    case .timedOut: ": it may be stopped or overloaded"
    case .malformed: ": mifctl and mifd are of different versions"
    case .unusablePath: ": give a shorter --runtime-dir"
    case .refused, .system: ""
    }
  }
}

struct Options: ParsableArguments {
  @Option(help: ArgumentHelp("The agent's runtime directory, with its sockets.", valueName: "dir"))
  var runtimeDir = defaultRuntimeDirectory
}

struct OutputOptions: ParsableArguments {
  @Flag(help: "One JSON object a line.")
  var json = false
}
