package import PathSelection
import Platform
package import Text
import Wire

/// What the configuration file sets; every value has a default, and no file is needed.
package struct Configuration: Sendable {
  package var paths = PathSelection.Settings()
  package var means = Means.mildest
  /// Peers of daemons that do not speak VICI.
  package var peers: [Association] = []
  /// Users whose triggers are heard as the agent's own are.
  package var trustedUsers: [UInt32] = []
  /// Who it becomes if it is started as root: `user`, or else the user `mif-mobike` of /etc/passwd, or else nobody.
  package var identity: UInt32? {
    switch user {
    case 0: nil
    case .some(let user): user
    case nil: Privileges.user(named: "mif-mobike")?.user ?? 65_534
    }
  }
  /// The group whose the daemon's socket is; nil for asking the socket, or root's where that is not there yet.
  package var group: UInt32?
  private var user: UInt32?

  package typealias Mistake = SettingLines.Mistake
  private typealias Reason = SettingLines.Reason

  package init() {}

  /// Longest file that is read, bytes.
  package static let sizeLimit = 64 * 1024

  /// docs/mobike.md lists the keys.
  package init(parsing text: [UInt8]) throws(Mistake) {
    try SettingLines.read(text) { key, value throws(SettingLines.Reason) in try set(key, value) }
  }

  private mutating func set(_ key: ArraySlice<UInt8>, _ value: ArraySlice<UInt8>) throws(Reason) {
    switch key {
    case "peer": peers.append(try peer(value))
    case "move-by":
      switch value {
      case "mildest": means = .mildest
      case "host-route": means = .hostRoute
      case "default-route": means = .defaultRoute
      default: throw .value("mildest, host-route or default-route")
      }
    case "probe-interval": paths.probeInterval = try seconds(value, 0...86_400)
    case "move-interval": paths.moveInterval = try seconds(value, 1...3_600)
    case "move-limit": paths.moveLimit = try seconds(value, 1...86_400)
    case "trust-user": trustedUsers.append(try SettingLines.number(value, 0...4_294_967_294))
    case "user": user = try SettingLines.number(value, 0...4_294_967_294)
    case "group": group = try SettingLines.number(value, 0...4_294_967_294)
    default: throw .unknownKey
    }
  }

  /// In nanoseconds.
  private func seconds(
    _ value: ArraySlice<UInt8>, _ range: ClosedRange<UInt32>
  ) throws(Reason) -> UInt64 {
    UInt64(try SettingLines.number(value, range)) * 1_000_000_000
  }

  /// `ADDRESS` or `ADDRESS port N`.
  private func peer(_ value: ArraySlice<UInt8>) throws(Reason) -> Association {
    let words = value.split(separator: UInt8(ascii: " "))
    var port: UInt16? = 500
    if words.count == 3, words[1] == "port" { port = UInt16(decimal: words[2]) }
    guard words.count == 1 || words.count == 3 && words[1] == "port", let port, port > 0,
      let address = IPAddress(parsing: Array(words[0])), !address.isUnspecified, !address.isLinkLocal
    else { throw .value("an address, perhaps with a port, as in '192.0.2.1 port 4500'") }
    return Association(peer: address, port: port, local: nil)
  }
}

/// How a daemon is made to follow.
package enum Means: Hashable, Sendable {
  /// A host route to the peer over the path that works; where the daemon does not follow that, the next one.
  case mildest
  /// The host route and nothing else: enough for a daemon that prefers the best path.
  case hostRoute
  /// With it, the default route of the path that failed is taken away until the daemon has followed.
  case defaultRoute
}
