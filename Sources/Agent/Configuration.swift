package import Platform
package import Provisioning
import Resolving
package import Subscribers
package import Text
import Wire

/// What the configuration file sets; every value has a default, and no file is needed.
package struct Configuration: Sendable {
  package var limits = Limits()
  package var unreachableKinds = UnreachableKinds.default
  /// Whether an ICMP error must quote a live flow of this host's, or only an address of its.
  package var checksFlows = true
  package var subscribers = Subscribers.Settings()
  /// The programs that the keeper runs.
  package var hooks = Hooks()
  /// Bytes of the ring of control packets and of that of ICMP errors.
  package var controlRing = 256 * 1024
  package var errorRing = 768 * 1024
  /// Whether DHCP clients on this host are followed, which costs every packet of their interfaces a copy.
  package var followsDHCPClients = true

  /// Whether the agent waits for packets without ever sleeping: a processor of its own, for the least latency.
  package var busyPolls = false

  /// Who the engine becomes if it is started as root: `user`, or else the user `mifd` of /etc/passwd, or else nobody
  /// (65534). nil for staying root.
  package var identity: (user: UInt32, group: UInt32)? {
    switch user {
    case 0: nil
    case .some(let user): (user, user)
    case nil: Privileges.user(named: "mifd") ?? (65_534, 65_534)
    }
  }
  /// Whether PvD Additional Information is fetched, by which program, and which certificates that trusts.
  package var fetchesInformation = true
  package var informationProgram = Array("/usr/libexec/mif-pvdinfo".utf8)
  package var informationRoots: [UInt8]?
  private var user: UInt32?
  private var namesReaders = false

  package init() {}

  package typealias Mistake = SettingLines.Mistake
  private typealias Reason = SettingLines.Reason

  /// Longest file that is read.
  package static let sizeLimit = 64 * 1024

  /// Reads `key = value` lines; `#` begins a comment. docs/operators-guide.md lists the keys.
  package init(parsing text: [UInt8]) throws(Mistake) {
    try SettingLines.read(text) { key, value throws(SettingLines.Reason) in try set(key, value) }
  }

  private mutating func set(_ key: ArraySlice<UInt8>, _ value: ArraySlice<UInt8>) throws(Reason) {
    switch key {
    case "hold-time": limits.holdTime = UInt64(try number(value, 1...86_400)) * 1_000_000_000
    case "triggers": limits.clientTriggers = try number(value, 0...1_048_576)
    case "unreachable-paths": limits.unreachablePaths = try number(value, 1...65_536)
    case "unreachable": unreachableKinds = try kinds(value)
    case "icmp-check":
      switch value {
      case "flow": checksFlows = true
      case "address": checksFlows = false
      default: throw .value("flow or address")
      }
    case "subscribers": subscribers.limit = try number(value, 1...65_536)
    case "subscriber-queue": subscribers.queueLimit = try number(value, 4_096...16_777_216)
    case "ring-size": subscribers.ringSize = try number(value, 0...67_108_864)
    case "subscribers-per-user": subscribers.limitPerUser = try number(value, 1...65_536)
    case "triggers-per-user": limits.triggersPerUser = try number(value, 0...1_048_576)
    case "trigger-read":
      // The first one replaces the default, which is everybody.
      if !namesReaders { subscribers.triggerReaders = [] }
      namesReaders = true
      subscribers.triggerReaders.append(try accessRule(value))
    case "trigger-write": subscribers.triggerWriters.append(try accessRule(value))
    case "connectivity": subscribers.connectivityManagers.append(AccessRule(try who(value)))
    case "connect-interfaces": subscribers.connectivity.interfaces += try patterns(value)
    case "connect-hook": hooks.connect = try hook(value, .connectHook)
    case "idle-hook": hooks.idle = try hook(value, .idleHook)
    case "break-hook": hooks.break = try hook(value, .breakHook)
    case "hook-timeout": hooks.timeout = UInt64(try number(value, 1...3_600)) * 1_000_000_000
    case "grace-time": subscribers.connectivity.graceTime = UInt64(try number(value, 0...3_600_000)) * 1_000_000
    case "name-cache": subscribers.resolver.cachedAnswers = try number(value, 0...65_536)
    case "socket-mode": subscribers.socketMode = try mode(value)
    case "socket-group": subscribers.socketGroup = try unsigned(value, 0...4_294_967_294)
    case "user": user = try unsigned(value, 0...4_294_967_294)
    case "control-ring": controlRing = try number(value, 16_384...67_108_864)
    case "error-ring": errorRing = try number(value, 16_384...67_108_864)
    case "busy-poll": busyPolls = try choice(value)
    case "dhcp-clients": followsDHCPClients = try choice(value)
    case "pvd-info": fetchesInformation = try choice(value)
    case "pvd-info-program": informationProgram = try path(value)
    case "pvd-info-roots": informationRoots = try path(value)
    default: throw .unknownKey
    }
  }

  private func path(
    _ text: ArraySlice<UInt8>, wanted: StaticString = "an absolute path"
  ) throws(Reason) -> [UInt8] {
    guard text.first == UInt8(ascii: "/"), !text.contains(0) else { throw .value(wanted) }
    return Array(text)
  }

  /// For ranges that an `Int` of 32 bits holds.
  private func number(_ text: ArraySlice<UInt8>, _ range: ClosedRange<UInt32>) throws(Reason) -> Int {
    Int(try unsigned(text, range))
  }

  private func unsigned(_ text: ArraySlice<UInt8>, _ range: ClosedRange<UInt32>) throws(Reason) -> UInt32 {
    try SettingLines.number(text, range)
  }

  private func choice(_ text: ArraySlice<UInt8>) throws(Reason) -> Bool {
    switch text {
    case "yes": return true
    case "no": return false
    default: throw .value("yes or no")
    }
  }

  private func mode(_ text: ArraySlice<UInt8>) throws(Reason) -> UInt32 {
    var mode: UInt32 = 0
    for byte in text {
      guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "7"), mode <= 0o77 else {
        throw .value("an octal mode such as 0660")
      }
      mode = mode << 3 | UInt32(byte - UInt8(ascii: "0"))
    }
    if text.isEmpty { throw .value("an octal mode such as 0660") }
    return mode
  }

  /// `any`, `user N` or `group N`, and after a colon the trigger types: numbers and ranges with commas between them.
  private func accessRule(_ text: ArraySlice<UInt8>) throws(Reason) -> AccessRule {
    let expected: StaticString =
      "any, user N or group N, and perhaps a colon and trigger types, as in 'user 108: 3, 100-199'"
    let parts = text.split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
    guard let who = parts.first.flatMap({ subject($0.trimmed) }) else { throw .value(expected) }
    if parts.count == 1 { return AccessRule(who) }
    var types: [ClosedRange<UInt16>] = []
    for word in parts[1].trimmed.words {
      let ends = word.split(separator: UInt8(ascii: "-"), maxSplits: 1, omittingEmptySubsequences: false)
      guard let first = ends.first.flatMap({ UInt16(decimal: $0.trimmed) }),
        let last = ends.last.flatMap({ UInt16(decimal: $0.trimmed) }), first > 0, first <= last
      else { throw .value(expected) }
      types.append(first...last)
    }
    if types.isEmpty { throw .value(expected) }
    return AccessRule(who, TriggerTypes(types))
  }

  private func who(_ text: ArraySlice<UInt8>) throws(Reason) -> AccessRule.Who {
    guard let who = subject(text) else { throw .value("any, user N or group N") }
    return who
  }

  private func subject(_ text: ArraySlice<UInt8>) -> AccessRule.Who? {
    if case "any" = text { return .anybody }
    return identifier(text, after: "user").map { .user($0) } ?? identifier(text, after: "group").map { .group($0) }
  }

  private func patterns(_ text: ArraySlice<UInt8>) throws(Reason) -> [InterfacePattern] {
    var patterns: [InterfacePattern] = []
    for word in text.words {
      guard let pattern = InterfacePattern(word.trimmed) else {
        throw .value("names of interfaces, perhaps with * at the end, as in 'wlan0, wwan*'")
      }
      patterns.append(pattern)
    }
    return patterns
  }

  private mutating func hook(_ text: ArraySlice<UInt8>, _ kind: Errand.Kind) throws(Reason) -> [UInt8] {
    let path = try path(text, wanted: "the absolute path of a program")
    subscribers.connectivity.hooks.insert(kind)
    return path
  }

  /// Of a user or group; the last number there is stands for none.
  private func identifier(_ text: ArraySlice<UInt8>, after word: StaticString) -> UInt32? {
    let words = text.split(separator: UInt8(ascii: " "))
    guard words.count == 2, word ~= words[0], let number = UInt32(decimal: words[1]), number < .max else { return nil }
    return number
  }

  private func kinds(_ text: ArraySlice<UInt8>) throws(Reason) -> UnreachableKinds {
    var kinds: UnreachableKinds = []
    for word in text.words {
      switch word.trimmed {
      case "network": kinds.insert(.network)
      case "port": kinds.insert(.protocolOrPort)
      case "administrative": kinds.insert(.administrative)
      case "time-exceeded": kinds.insert(.timeExceeded)
      case "packet-too-big": kinds.insert(.packetTooBig)
      case "other": kinds.insert(.other)
      default:
        throw .value("kinds of network, port, administrative, time-exceeded, packet-too-big, other")
      }
    }
    return kinds
  }
}
