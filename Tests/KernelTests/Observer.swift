import CLinux
import Foundation
import Kernel
import Messages
import Provisioning
import Testing
import Wire

func bootTime() -> UInt64 {
  var time = timespec()
  unsafe clock_gettime(CLOCK_BOOTTIME, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

func text(_ address: IPAddress) -> String {
  var bytes: [UInt8] = []
  var family = AF_INET
  switch address {
  case .v4(let v4): bytes = withBigEndian(v4.value)
  case .v6(let v6):
    family = AF_INET6
    bytes = withBigEndian(v6.high) + withBigEndian(v6.low)
  }
  var buffer = [CChar](repeating: 0, count: 64)
  unsafe inet_ntop(family, bytes, &buffer, 64)
  return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

private func withBigEndian<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
  (0..<T.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> (T.bitWidth - 8 - 8 * $0)) }
}

/// Follows a KernelState in this thread's namespace: writes each event as a line, keeps what the events say, and
/// checks what KernelState promises about their order.
final class Observer {
  private(set) var state: State
  private(set) var lines: [String] = []
  private(set) var links: [UInt32: Link] = [:]
  private(set) var addresses: [UInt32: [IPPrefix: InterfaceAddress]] = [:]
  private(set) var routes: Set<DefaultRoute> = []
  private(set) var neighbours: [String: Reachability] = [:]
  private(set) var snapshots = 0

  /// A class can't be switched over by `inout` closures while it is called: the state lies in a box.
  final class State {
    var kernel: KernelState
    init(receiveBuffer: Int32) throws { kernel = try KernelState(receiveBuffer: receiveBuffer, at: bootTime()) }
  }

  init(receiveBuffer: Int32 = 1 << 20, waiting: Bool = true) throws {
    state = try State(receiveBuffer: receiveBuffer)
    if waiting {
      try wait("the snapshot") { $0.snapshots == 1 }
      lines = []
    }
  }

  func counter(_ counter: KernelCounters.Counter) -> UInt64 { state.kernel.counters[counter] }

  /// One call, as the agent's loop makes it.
  @discardableResult
  func step(limit: Int = 16) throws -> Bool {
    var events: [KernelEvent] = []
    let more = try state.kernel.service(limit: limit, at: bootTime()) { events.append($0) }
    for event in events { take(event) }
    return more
  }

  /// Reads all that is there now.
  func drain() throws { while try step() {} }

  /// Goes on until the condition holds.
  func wait(
    _ what: String, seconds: Double = 5, location: SourceLocation = #_sourceLocation, _ condition: (Observer) -> Bool
  ) throws {
    let end = bootTime() + UInt64(seconds * 1e9)
    while true {
      try drain()
      if condition(self) { return }
      if bootTime() > end {
        Issue.record("waited in vain for \(what); seen: \(lines)", sourceLocation: location)
        throw Failure("timeout")
      }
      usleep(1000)
    }
  }

  func waitForLine(_ line: String, seconds: Double = 5, location: SourceLocation = #_sourceLocation) throws {
    try wait(line, seconds: seconds, location: location) { $0.lines.contains(line) }
  }

  /// Nothing arrives, nothing is under way, for so long.
  func settle(milliseconds: Int = 60) throws {
    var quiet = 0
    while quiet < milliseconds {
      let before = counter(.datagrams)
      try drain()
      quiet = before == counter(.datagrams) && state.kernel.deadline == nil ? quiet + 2 : 0
      usleep(2000)
    }
  }

  /// The lines since the last call.
  func take() -> [String] {
    defer { lines = [] }
    return lines
  }

  /// What the lines say about links of other tests' concern, left out.
  func take(about names: String...) -> [String] {
    take().filter { line in names.contains { line.contains(" \($0)") } }
  }

  func name(_ index: UInt32) -> String {
    links[index].map { String(decoding: $0.name.bytes, as: UTF8.self) } ?? "#\(index)"
  }

  func index(_ name: String) -> UInt32? { links.values.first { self.name($0.index) == name }?.index }

  private func take(_ event: KernelEvent) {
    lines.append(line(event))
    switch event {
    case .link(let link): links[link.index] = link
    case .linkRemoved(let index):
      #expect(links[index] != nil, "removal of a link that was not told")
      #expect(addresses[index, default: [:]].isEmpty, "addresses outlive their link")
      #expect(!routes.contains { $0.interface == index }, "routes outlive their link")
      links[index] = nil
      addresses[index] = nil
      neighbours = neighbours.filter { !$0.key.hasPrefix("\(index) ") }
    case .address(let address):
      #expect(links[address.interface] != nil, "an address before its link")
      addresses[address.interface, default: [:]][address.prefix] = address
    case .addressRemoved(let interface, let prefix):
      #expect(addresses[interface]?.removeValue(forKey: prefix) != nil, "removal of an address that was not told")
    case .defaultRoute(let route):
      #expect(links[route.interface] != nil, "a route before its link")
      #expect(routes.insert(route).inserted, "a route told twice")
    case .defaultRouteRemoved(let route):
      #expect(routes.remove(route) != nil, "removal of a route that was not told")
    case .neighbour(let interface, let address, let reachability):
      #expect(links[interface] != nil, "a neighbour before its link")
      let key = "\(interface) \(text(address))"
      #expect(neighbours[key, default: .unknown] != reachability, "a neighbour told twice")
      neighbours[key] = reachability
    case .snapshotComplete: snapshots += 1
    }
  }

  private func line(_ event: KernelEvent) -> String {
    switch event {
    case .link(let link):
      let name = String(decoding: link.name.bytes, as: UTF8.self)
      return "link \(name)\(link.isUp ? " up" : " down")\(link.hasCarrier ? " carrier" : "")"
    case .linkRemoved(let index): return "-link \(name(index))"
    case .address(let address):
      var words = ["address \(name(address.interface)) \(text(address.prefix.address))/\(address.prefix.length)"]
      if address.flags.contains(.tentative) { words.append("tentative") }
      if address.flags.contains(.duplicate) { words.append("duplicate") }
      if address.flags.contains(.deprecated) { words.append("deprecated") }
      if address.flags.contains(.secondary) { words.append("secondary") }
      if address.flags.contains(.advertised) { words.append("advertised") }
      if address.validLifetime != .max { words.append("\(address.validLifetime) s") }
      return words.joined(separator: " ")
    case .addressRemoved(let interface, let prefix):
      return "-address \(name(interface)) \(text(prefix.address))/\(prefix.length)"
    case .defaultRoute(let route): return "route \(describe(route))"
    case .defaultRouteRemoved(let route): return "-route \(describe(route))"
    case .neighbour(let interface, let address, let reachability):
      return "neighbour \(name(interface)) \(text(address)) \(reachability)"
    case .snapshotComplete: return "snapshot"
    }
  }

  func describe(_ route: DefaultRoute) -> String {
    var words = ["\(route.family)", name(route.interface), route.gateway.map(text) ?? "on-link"]
    if route.table != 254 { words.append("table \(route.table)") }
    if route.metric != 0 { words.append("metric \(route.metric)") }
    if let source = route.preferredSource { words.append("src \(text(source))") }
    return words.joined(separator: " ")
  }

  // MARK: What `ip` says

  /// The kernel's default routes, in the words of `describe`.
  func kernelRoutes() throws -> Set<String> {
    var result: Set<String> = []
    for family in [4, 6] {
      for route in try list("-\(family) route show table all") {
        guard route["dst"] as? String == "default", route["type"] == nil || route["type"] as? String == "unicast" else {
          continue
        }
        if route["tos"] != nil { continue }
        var tail = ""
        if let table = route["table"] as? String, table != "main" { tail += " table \(table)" }
        if let metric = route["metric"] as? Int, metric != 0 { tail += " metric \(metric)" }
        if let source = route["prefsrc"] as? String { tail += " src \(source)" }
        for hop in route["nexthops"] as? [[String: Any]] ?? [route] {
          if (hop["flags"] as? [String] ?? []).contains("dead") { continue }
          let via = (hop["via"] as? [String: Any])?["host"] as? String
          result.insert(
            "v\(family) \(hop["dev"] as? String ?? "?") \(hop["gateway"] as? String ?? via ?? "on-link")\(tail)")
        }
      }
    }
    return result
  }

  func kernelAddresses() throws -> Set<String> {
    var result: Set<String> = []
    for link in try list("address show") {
      for address in link["addr_info"] as? [[String: Any]] ?? [] {
        result.insert("\(link["ifname"] ?? "?") \(address["local"] ?? "?")/\(address["prefixlen"] ?? "?")")
      }
    }
    return result
  }

  var heldAddresses: Set<String> {
    var result: Set<String> = []
    for (index, prefixes) in addresses {
      for prefix in prefixes.keys { result.insert("\(name(index)) \(text(prefix.address))/\(prefix.length)") }
    }
    return result
  }

  private func list(_ arguments: String) throws -> [[String: Any]] {
    let output = try shell("ip -j \(arguments)")
    return try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [[String: Any]] ?? []
  }

  /// What was told is what is there.
  func expectTruth(_ comment: String = "", location: SourceLocation = #_sourceLocation) throws {
    let end = bootTime() + 2_000_000_000
    while true {
      try drain()
      let (routes, addresses) = (try kernelRoutes(), try kernelAddresses())
      let told = Set(self.routes.map(describe))
      if (told == routes && heldAddresses == addresses) || bootTime() > end {
        #expect(told.subtracting(routes) == [], "told, and not there: \(comment)", sourceLocation: location)
        #expect(routes.subtracting(told) == [], "not told: \(comment)", sourceLocation: location)
        #expect(heldAddresses == addresses, "\(comment)", sourceLocation: location)
        return
      }
      usleep(5000)
    }
  }
}
