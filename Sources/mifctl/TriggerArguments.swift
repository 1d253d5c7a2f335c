import ArgumentParser
import MIF

/// What people write for triggers, as values. What is wrong is named together with what was expected.
enum TriggerArguments {
  static func kind(_ word: String) throws -> TriggerKind {
    if let kind = TriggerKind(word) { return kind }
    let names = TriggerKind.named.map { $0.description.lowercased().replacing("_", with: "-") }
    throw ValidationError("expected \(names.joined(separator: ", ")), or a number from 1 to 65535.")
  }

  static func identifier(_ word: String) throws -> UInt32 {
    let digits = word.hasPrefix("#") ? word.dropFirst() : word[...]
    if let number = Arguments.number(digits), number > 0 { return number }
    throw ValidationError("expected a trigger's number, as mifctl trigger list shows it.")
  }

  static func address(_ word: String) throws -> ZonedPrefix {
    let result = try ZonedPrefix(word)
    if result.prefix.address.needsZone, result.zone == nil {
      throw ValidationError("a link-local address needs its interface, as in \(result.prefix.address)%eth0.")
    }
    return result
  }
}

/// ADDRESS[/LEN][%IFACE], or ADDRESS[%IFACE][/LEN] as other tools have it.
struct ZonedPrefix: Hashable {
  /// Without scope.
  var prefix: IPPrefix
  /// The interface, by name or index.
  var zone: String?

  init(_ word: String) throws {
    let parts = word.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
    var text = String(parts[0])
    if parts.count == 2 {
      let slash = parts[1].firstIndex(of: "/") ?? parts[1].endIndex
      zone = String(parts[1][..<slash])
      text += parts[1][slash...]
    }
    let address = IPAddress(String(text.prefix { $0 != "/" }))
    guard let address else {
      throw ValidationError("expected an IPv4 or IPv6 address (names are not looked up).")
    }
    guard let prefix = IPPrefix(text) else {
      throw ValidationError("expected a prefix length from 0 to \(address.isIPv6 ? 128 : 32) behind the slash.")
    }
    self.prefix = prefix
    guard let zone else { return }
    guard address.needsZone else {
      throw ValidationError("only an IPv6 link-local address (fe80::/10) has an interface behind it.")
    }
    if zone.isEmpty { throw ValidationError("expected an interface's name or index behind the %.") }
  }
}

extension IPAddress {
  fileprivate var needsZone: Bool { isIPv6 && isLinkLocal }
}

/// The interfaces as the agent has them: names mean what they mean to it, whatever namespace this is.
struct InterfaceNames {
  let directory: String
  private var known: [Interface]?

  init(directory: String, _ interfaces: [Interface]? = nil) {
    self.directory = directory
    known = interfaces
  }

  /// The index of an interface given by name or index.
  mutating func index(of word: String) throws -> UInt32 {
    if let index = Arguments.number(word[...]), index > 0 { return index }
    let interfaces = try known ?? MIFConnection(runtimeDirectory: directory).interfaces()
    known = interfaces
    if let found = interfaces.first(where: { $0.name == word }) { return found.index }
    let names = interfaces.map { Text.printable($0.name) }.joined(separator: ", ")
    throw Misuse(
      "there is no interface '\(Text.printable(word))': expected one that the agent has (\(names)), or an index.")
  }

  mutating func resolve(_ address: ZonedPrefix) throws -> IPPrefix {
    guard let zone = address.zone else { return address.prefix }
    let index = try index(of: zone)
    return IPPrefix("\(address.prefix.address)%\(index)/\(address.prefix.length)")!
  }
}

/// Which triggers, by the agent's FILTER.
struct FilterOptions: ParsableArguments {
  @Option(
    name: .customLong("type"),
    help: ArgumentHelp("Only triggers of this type; may be repeated.", valueName: "type"),
    transform: TriggerArguments.kind)
  var kinds: [TriggerKind] = []

  @Option(help: ArgumentHelp("Only what is about this interface: its name or index.", valueName: "iface"))
  var interface: String?

  @Option(
    help: ArgumentHelp(
      "Only triggers with an address in this prefix; a link-local one may have %iface behind it.",
      valueName: "address[/len]"),
    transform: { try ZonedPrefix($0) })
  var address: ZonedPrefix?

  func validate() throws {
    guard Set(kinds).count <= 64 else { throw ValidationError("--type may name at most 64 types.") }
    if let interface, interface.isEmpty || Arguments.number(interface[...]) == 0 {
      throw ValidationError("--interface '\(interface)': expected an interface's name or index.")
    }
  }

  /// nil for everything.
  func filter(_ names: inout InterfaceNames) throws -> TriggerFilter? {
    guard !kinds.isEmpty || interface != nil || address != nil else { return nil }
    return TriggerFilter(
      kinds: Set(kinds), interface: try interface.map { try names.index(of: $0) },
      prefix: try address.map { try names.resolve($0) })
  }
}
