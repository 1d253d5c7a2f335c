import ArgumentParser
import MIF

/// What people write for numbers and times. What is wrong is named together with what was expected.
enum Arguments {
  /// Only digits, no sign.
  static func number(_ word: Substring) -> UInt32? {
    word.utf8.allSatisfy { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 } ? UInt32(word) : nil
  }

  /// "500ms", "2s", "1m", at most an hour.
  static func duration(_ text: String) throws -> Duration {
    let units: [(String, Int)] = [("ms", 1), ("s", 1000), ("m", 60_000)]
    for (unit, milliseconds) in units where text.hasSuffix(unit) {
      guard let number = number(text.dropLast(unit.count)), number <= 3_600_000 / milliseconds else { break }
      return .milliseconds(Int(number) * milliseconds)
    }
    throw ValidationError("'\(text)' is not a time: a whole number and ms, s or m, at most an hour, as in 2s")
  }

  static func host(_ text: String) throws -> String {
    guard !text.isEmpty, text.utf8.count <= 255 else {
      throw ValidationError("expected a name or an address, of at most 255 bytes")
    }
    return text
  }

  static func port(_ text: String) throws -> UInt16 {
    if let number = number(text[...]), let port = UInt16(exactly: number), port > 0 { return port }
    throw ValidationError("'\(text)' is not a port: a number from 1 to 65535")
  }
}

/// Which provisioning domains a command is about.
struct DomainOptions: ParsableArguments {
  @Option(
    name: .customLong("pvd"),
    help: ArgumentHelp("Only this provisioning domain: its id or name, as mifctl pvds shows it.", valueName: "pvd"))
  var domain: String?

  @Option(help: ArgumentHelp("Only the provisioning domains of this interface: its name or index.", valueName: "iface"))
  var interface: String?

  func validate() throws {
    if let domain, domain.isEmpty || Arguments.number(domain[...]) == 0 {
      throw ValidationError("--pvd '\(domain)': expected the id or name of a provisioning domain.")
    }
    if let interface, interface.isEmpty || Arguments.number(interface[...]) == 0 {
      throw ValidationError("--interface '\(interface)': expected an interface's name or index.")
    }
  }

  /// Those of the agent's domains, at least one, by interface and id.
  func select(_ directory: String) throws -> [ListedDomain] {
    let connection = try MIFConnection(runtimeDirectory: directory)
    let interfaces = try connection.interfaces()
    var names = InterfaceNames(directory: directory, interfaces)
    let index = try interface.map { try names.index(of: $0) }
    var found: [ListedDomain] = []
    for interface in interfaces where index == nil || interface.index == index {
      let domains = try ifPresent { () throws(ClientError) in try connection.domains(on: interface) }
      found += (domains ?? []).map { ListedDomain(domain: $0, interface: interface) }
    }
    if found.isEmpty {
      let place = interface.map { " on \(Text.printable($0))" } ?? ""
      throw Complaint(lines: [
        "there is no provisioning domain\(place): no network is configured; mifctl interfaces shows what there is"
      ])
    }
    guard let domain else { return found }
    let chosen = found.filter { $0.matches(domain) }
    guard chosen.isEmpty else { return chosen }
    let list = found.map(\.label).joined(separator: ", ")
    throw Misuse("there is no provisioning domain '\(Text.printable(domain))': expected one of \(list).")
  }
}

struct ListedDomain {
  var domain: ProvisioningDomain
  var interface: Interface

  var label: String { Text.label(of: domain) }

  fileprivate func matches(_ word: String) -> Bool {
    if let identifier = Arguments.number(word[...]) { return domain.identifier == identifier }
    return domain.name == word
  }
}
