import ArgumentParser
import MIF

struct Interfaces: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Lists the interfaces and their provisioning domains.",
    discussion: """
      STATE is UP, NO-CARRIER or DOWN.

      With --json: {"index", "name", "flags": ["up", "carrier", "loopback", "point-to-point"], "pvds": [names]}
      """)

  @OptionGroup var options: Options
  @OptionGroup var output: OutputOptions

  func run() throws {
    let connection = try MIFConnection(runtimeDirectory: options.runtimeDir)
    var rows = [["INDEX", "NAME", "STATE", "PVDS"]]
    for interface in try connection.interfaces() {
      guard let domains = try ifPresent({ () throws(ClientError) in try connection.domains(on: interface) }) else {
        continue
      }
      if output.json {
        try System.write(line: JSON.object(Objects.interface(interface, domains: domains)).text)
      } else {
        let names = domains.map { Text.printable($0.name) }
        rows.append([
          String(interface.index), Text.printable(interface.name), Text.state(of: interface),
          names.isEmpty ? "-" : names.joined(separator: ", "),
        ])
      }
    }
    if !output.json { try Text.table(rows, numbers: [0]).forEach(System.write(line:)) }
  }
}

struct PvDs: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pvds",
    abstract: "Shows the provisioning domains: addresses, and what each source configures.",
    discussion: """
      Lifetimes are what is left: one where preferred and valid are the same.

      With --json: {"id", "name", "explicit", "interface", "ifindex",
      "addresses": [{"address", "prefixlen", "flags", "preferred", "valid"}],
      "elements": [{"element": "RA"|"DHCPv6"|"DHCPv4"|"kernel",
      "data": [{"key", members of the value, "preferred", "valid"}]}]}
      Lifetimes are seconds or "forever".
      """)

  @OptionGroup var options: Options
  @OptionGroup var output: OutputOptions

  func run() throws {
    let connection = try MIFConnection(runtimeDirectory: options.runtimeDir)
    var isFirst = true
    for interface in try connection.interfaces() {
      guard let domains = try ifPresent({ () throws(ClientError) in try connection.domains(on: interface) }) else {
        continue
      }
      for domain in domains {
        // What goes away while it is asked for is left out.
        guard let report = try ifPresent({ () throws(ClientError) in try Report(of: domain, connection) }) else {
          continue
        }
        if output.json {
          try System.write(line: report.json(domain, interface).text)
        } else {
          if !isFirst { try System.write(line: "") }
          try report.text(domain, interface).forEach(System.write(line:))
        }
        isFirst = false
      }
    }
    if isFirst, !output.json { try System.write(line: "no provisioning domains") }
  }

  /// All that there is to say about a domain.
  private struct Report {
    var addresses: [DomainAddress]
    var elements: [(ConfigurationElement, [MIF.Configuration])] = []

    init(of domain: ProvisioningDomain, _ connection: MIFConnection) throws(ClientError) {
      addresses = try connection.addresses(of: domain)
      for element in try connection.elements(of: domain) {
        elements.append((element, try connection.configuration(of: domain, from: element)))
      }
    }

    func text(_ domain: ProvisioningDomain, _ interface: Interface) -> [String] {
      var rows = addresses.map { address in
        [
          "    address",
          ([Text.prefix(address.prefix, on: interface.name)] + address.state.names).joined(separator: " "),
          Text.lifetimes(address.preferredLifetime, address.validLifetime), "",
        ]
      }
      for (element, items) in elements {
        if items.isEmpty { rows.append(["    (nothing)", "", "", element.description]) }
        for item in items {
          rows.append([
            "    \(item.key)", Text.value(item.value, on: interface.name),
            Text.lifetimes(item.preferredLifetime, item.validLifetime),
            element.description,
          ])
        }
      }
      let kind = domain.isExplicit ? "explicit" : "implicit"
      let title =
        "\(Text.printable(domain.name)): \(kind), on \(Text.printable(interface.name)), id \(domain.identifier)"
      return [title] + Text.table(rows)
    }

    func json(_ domain: ProvisioningDomain, _ interface: Interface) -> JSON {
      let elements = elements.map { (element, items) -> JSON in
        .object([
          ("element", .string(element.description)), ("data", .array(items.map { Objects.configuration($0) })),
        ])
      }
      return .object(
        Objects.domain(domain, on: interface) + [
          ("addresses", .array(addresses.map { Objects.address($0) })), ("elements", .array(elements)),
        ])
    }
  }
}

struct Stats: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Prints every counter of the agent, sorted by name.",
    discussion: """
      With --json: one object with a member for each counter.
      """)

  @OptionGroup var options: Options
  @OptionGroup var output: OutputOptions

  func run() throws {
    let connection = try MIFConnection(runtimeDirectory: options.runtimeDir)
    let counters = try connection.statistics()
    if output.json {
      try System.write(line: JSON.object(counters.map { ($0.name, .number($0.value)) }).text)
    } else {
      try Text.table(counters.map { [Text.printable($0.name), String($0.value)] }, numbers: [1])
        .forEach(System.write(line:))
    }
  }
}

/// nil where the agent says that what was asked about is not there any more.
func ifPresent<Value>(_ body: () throws(ClientError) -> Value) throws(ClientError) -> Value? {
  do {
    return try body()
  } catch {
    if case .refused(_, .notFound) = error { return nil }
    throw error
  }
}
