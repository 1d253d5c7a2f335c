import ArgumentParser
import MIF

struct Connect: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Connects to a host through whichever network gives it first, like netcat.",
    discussion: """
      The name is translated in every provisioning domain by its own DNS servers, the addresses are tried in turn \
      (RFC 8305), and the first connection is taken. Standard input goes to the host; what comes from it goes to \
      standard output. Where one side has ended the other one goes on: it ends when both have, or, at a terminal, when \
      the host has.

      mifctl connect www.example.org 80
      mifctl connect www.example.org 80 --interface wan0 -v
      mifctl connect 2001:db8::1 443 --pvd 2 --timeout 5s

      With --udp each read of standard input is a datagram. It ends a second after standard input has ended and \
      nothing has come any more.

      Exits with 0, with 1 if there was no connection or it broke; standard error says what was tried.
      """)

  @OptionGroup var options: Options
  @OptionGroup var selection: DomainOptions
  @Flag(help: "UDP instead of TCP.")
  var udp = false
  @Option(
    help: ArgumentHelp("How long to try: a number and ms, s or m.", valueName: "time"),
    transform: Arguments.duration)
  var timeout: Duration = .seconds(30)
  @Flag(name: .shortAndLong, help: "Say on standard error what was tried and which way was taken.")
  var verbose = false
  @Argument(
    help: "A name, or an address: a link-local one with % and its interface behind it.", transform: Arguments.host)
  var host: String
  @Argument(help: "The port's number.", transform: Arguments.port)
  var port: UInt16

  func run() throws {
    var choice = ConnectOptions(transport: udp ? .udp : .tcp, timeout: timeout)
    var chosen: [ListedDomain] = []
    if selection.domain != nil || selection.interface != nil || verbose {
      chosen = try selection.select(options.runtimeDir)
    }
    if selection.domain != nil {
      guard chosen.count == 1 else { throw ambiguous(chosen) }
      choice.domain = chosen[0].domain.identifier
    } else if selection.interface != nil {
      choice.interface = chosen[0].interface.index
    }
    let connector = try Connector(toHost: host, port: port, options: choice, runtimeDirectory: options.runtimeDir)
    guard let connection = try connect(connector) else { return }
    if verbose {
      for attempt in connector.attempts where attempt.outcome != .connected {
        System.complain("mifctl: " + Text.attempt(attempt))
      }
      let interface = chosen.first { $0.interface.index == connection.domain.interface }?.interface.name
      System.complain(
        "mifctl: connected to \(connection.remoteEndpoint) from \(connection.localEndpoint) through "
          + Text.label(of: connection.domain) + (interface.map { " on \(Text.printable($0))" } ?? ""))
    }
    var relay = Relay(socket: connection.fileDescriptor, isStream: !udp)
    do {
      try relay.run()
    } catch let broken as Relay.Broken {
      throw Complaint(lines: [
        "the connection to \(connection.remoteEndpoint) broke: \(System.message(of: broken.errno))"
      ])
    }
  }

  private func connect(_ connector: Connector) throws -> ConnectedSocket? {
    do throws(ClientError) {
      return try connector.wait()
    } catch {
      guard case .notConnected(_, let errno, let attempts) = error else { throw error }
      throw Complaint(
        lines: ["cannot connect to \(Text.printable(host)) port \(port): \(System.message(of: errno))"]
          + attempts.map { "  " + Text.attempt($0) })
    }
  }

  private func ambiguous(_ domains: [ListedDomain]) -> Misuse {
    let list = domains.map { "id \($0.domain.identifier) on \(Text.printable($0.interface.name))" }
    return Misuse(
      "there are \(domains.count) provisioning domains of this name (\(list.joined(separator: ", "))): give the id, or --interface."
    )
  }
}
