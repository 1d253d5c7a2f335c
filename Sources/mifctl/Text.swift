import MIF

/// Values as people read them.
enum Text {
  /// Names come from strangers: what would move the terminal's cursor is shown as "?".
  static func printable(_ text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.map { $0.properties.generalCategory == .control ? "?" : $0 }))
  }

  /// "forever", "1d2h", "3h59m", "29m50s", "12s".
  static func duration(_ seconds: UInt32) -> String {
    let units: [(UInt32, String)] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")]
    guard let first = units.firstIndex(where: { seconds >= $0.0 }) else { return "0s" }
    var result = "\(seconds / units[first].0)\(units[first].1)"
    if first + 1 < units.count {
      let rest = seconds % units[first].0 / units[first + 1].0
      if rest > 0 { result += "\(rest)\(units[first + 1].1)" }
    }
    return result
  }

  static func lifetime(_ lifetime: Lifetime) -> String { lifetime.seconds.map { duration($0) } ?? "forever" }

  /// Both lifetimes, or the one that both are.
  static func lifetimes(_ preferred: Lifetime, _ valid: Lifetime) -> String {
    preferred == valid ? lifetime(valid) : "preferred \(lifetime(preferred)), valid \(lifetime(valid))"
  }

  static func state(of interface: Interface) -> String {
    if !interface.isUp { return "DOWN" }
    return interface.hasCarrier ? "UP" : "NO-CARRIER"
  }

  /// "wan0-dhcpv4-192.0.2.1 (id 2)".
  static func label(of domain: ProvisioningDomain) -> String { "\(printable(domain.name)) (id \(domain.identifier))" }

  /// An address with its interface by name.
  static func address(_ address: IPAddress, on interface: String) -> String {
    address.description(zone: printable(interface))
  }

  /// An address with its prefix length, which is left out where it is the whole address.
  static func prefix(_ prefix: IPPrefix, on interface: String) -> String {
    let text = address(prefix.address, on: interface)
    return prefix.isHost ? text : "\(text)/\(prefix.length)"
  }

  /// An address with its lifetimes and state. That a permanent one lives for ever goes without saying.
  static func address(_ address: DomainAddress, on interface: String) -> String {
    var parts = [prefix(address.prefix, on: interface)]
    if !(address.state.contains(.permanent) && address.validLifetime == .infinite) {
      parts.append(lifetimes(address.preferredLifetime, address.validLifetime))
    }
    return (parts + address.state.names).joined(separator: ", ")
  }

  /// A value of configuration, without its lifetimes.
  static func value(_ value: Configuration.Value, on interface: String) -> String {
    switch value {
    case .address(let address): return Text.address(address, on: interface)
    case .text(let text): return printable(text)
    case .number(let number): return String(number)
    case .prefix(let prefix, let flags):
      let names = [(0x80, "on-link"), (0x40, "autoconf"), (0x20, "router-address"), (0x10, "prefix-delegation")]
        .filter { flags & UInt8($0.0) != 0 }.map { $0.1 }
      return ([prefix.description] + names).joined(separator: " ")
    case .route(let destination, let gateway, let preference):
      let via = gateway.map { "via \(Text.address($0, on: interface))" } ?? "on-link"
      return "\(destination) \(via)\(preference == .medium ? "" : " \(preference)")"
    case .router(let address, let preference):
      return Text.address(address, on: interface) + (preference == .medium ? "" : " \(preference)")
    case .pvd(let flags, let sequence):
      let names = [(0x8000, "http"), (0x4000, "legacy"), (0x2000, "ra")]
        .filter { flags & UInt16($0.0) != 0 }.map { $0.1 }
      return (["sequence \(sequence)"] + names).joined(separator: " ")
    case .lease(let server, let renewal, let rebinding):
      return
        "from \(Text.address(server, on: interface)), renewal T1 \(duration(renewal)), rebinding T2 \(duration(rebinding))"
    case .bytes(let bytes): return hex(bytes)
    }
  }

  static func hex(_ bytes: [UInt8]) -> String {
    bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
  }

  /// "#42 DEST_UNREACHABLE 192.0.2.10 -> 198.51.100.7".
  static func trigger(_ trigger: Trigger) -> String {
    let addresses = addresses(of: trigger)
    return "#\(trigger.identifier) \(trigger.kind)" + (addresses.isEmpty ? "" : " \(addresses)")
  }

  /// "local -> destination" where it is about a path.
  static func addresses(of trigger: Trigger) -> String {
    if trigger.kind == .destinationUnreachable, trigger.addresses.count == 2 {
      return each(trigger.addresses.map { IPPrefix(host: $0.address) }, of: trigger).joined(separator: " -> ")
    }
    return each(trigger.addresses, of: trigger).joined(separator: ", ")
  }

  /// Addresses of a trigger, which need not all be on the interface that it is about.
  static func each(_ addresses: [IPPrefix], of trigger: Trigger) -> [String] {
    addresses.map { prefix in
      let isOwn = prefix.address.scope == trigger.origin?.interface
      return Text.prefix(prefix, on: isOwn ? trigger.origin!.interfaceName : String(prefix.address.scope))
    }
  }

  /// "wan0-dhcpv4-192.0.2.1: 198.51.100.7:80: Connection refused".
  static func attempt(_ attempt: ConnectionAttempt) -> String { printable(attempt.description) }

  /// Where the knowledge comes from: "kernel", "ICMP host unreachable".
  static func source(of origin: TriggerOrigin) -> String {
    guard let icmp = origin.icmp else { return origin.source.rawValue }
    return "\(icmp.isIPv6 ? "ICMPv6" : "ICMP") \(icmp)"
  }

  /// An instant in local time, without its date if that is today.
  static func moment(_ nanoseconds: UInt64) -> String {
    let moment = System.local(nanoseconds)
    return moment.date == System.local(System.now).date ? moment.time : "\(moment.date) \(moment.time)"
  }

  /// Columns under their headers, two spaces between them, the last one as long as it is. Columns in `numbers` are
  /// set to the right.
  static func table(_ rows: [[String]], numbers: Set<Int> = []) -> [String] {
    let columns = rows.first?.count ?? 0
    let widths = (0..<columns).map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      var line = ""
      for (column, cell) in row.enumerated() {
        let padding = String(repeating: " ", count: widths[column] - cell.count)
        if numbers.contains(column) { line += padding + cell } else { line += cell + padding }
        line += "  "
      }
      while line.last == " " { line.removeLast() }
      return line
    }
  }
}
