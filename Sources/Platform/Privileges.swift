import CLinux
import Text

/// Giving privileges up.
package enum Privileges {
  /// setgroups(2), setresgid(2), setresuid(2), PR_SET_NO_NEW_PRIVS: for good. Capabilities go with user 0.
  package static func drop(to user: UInt32, group: UInt32) throws(SystemFailure) {
    _ = try valueOrFailure("give up root's privileges") { clinux_become(user, group) }
  }

  /// capabilities(7), by their numbers.
  package enum Capability: UInt32, Sendable {
    /// CAP_NET_ADMIN.
    case networkAdministration = 12
  }

  /// The same, but one capability stays: capset(2).
  package static func drop(
    to user: UInt32, group: UInt32, keeping capability: Capability
  ) throws(SystemFailure) {
    _ = try valueOrFailure("give up root's privileges") {
      clinux_become_keeping(user, group, capability.rawValue)
    }
  }

  /// The user and group ids of a name in /etc/passwd; nil if it is not there. Read here, because the C library's own
  /// look-up needs shared libraries, which a static file has not.
  package static func user(named name: StaticString) -> (user: UInt32, group: UInt32)? {
    guard let text = try? File.read(Array("/etc/passwd".utf8), limit: 1 << 20) else { return nil }
    for line in text.split(separator: UInt8(ascii: "\n")) {
      let fields = line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
      guard fields.count >= 4, name.withUTF8Buffer({ unsafe $0.elementsEqual(fields[0]) }),
        let user = UInt32(decimal: fields[2]), let group = UInt32(decimal: fields[3])
      else { continue }
      return (user, group)
    }
    return nil
  }
}
