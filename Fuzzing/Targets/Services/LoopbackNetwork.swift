import CFuzzer
import CLinux
import Fuzzing
import Glibc

/// The only network that a target reaches: the loopback interface of a namespace of this process's own. Its index is 1,
/// and it has the addresses that `NetworkEvent` gives interface 1.
enum LoopbackNetwork {
  /// Listens, and lets in whoever comes.
  static let openPort: UInt16 = 7
  /// Listens, and has no room.
  static let silentPort: UInt16 = 9
  /// Nobody listens.
  static let closedPort: UInt16 = 8

  /// Where `NameServers` of a run may listen, in the order of `NetworkEvent`'s DNS servers.
  static let serverAddresses = ["2001:db8:0:1::1", "2001:db8:0:1::2"]

  private static let addresses: [(String, UInt32)] =
    [("192.0.2.0", 24)] + (1...3).map { ("2001:db8:0:1::\($0)", 64) } + (1...4).map { ("fe80::\($0)", 64) }

  /// Ends the process where it can't be had: nothing that is fuzzed may reach a network.
  static func enter() {
    guard fuzzing_leave_network() == 0 else {
      let reason = unsafe String(cString: strerror(errno))
      complain("fuzz: no network namespace to run in (\(reason)): run it as root, or where user namespaces are allowed")
      exit(2)
    }
    check(clinux_set_link(1, 1) == 0, "the loopback interface does not come up")
    for (address, length) in addresses {
      let isAdded = unsafe fuzzing_add_address(address, length) == 0
      check(isAdded, "\(address) on the loopback interface: errno \(errno)")
    }
  }

  /// Whom to connect to, from the first time on that this is asked for.
  private static let listeners: [CInt] = {
    let stream = CInt(SOCK_STREAM.rawValue)
    var listeners: [CInt] = []
    for address in ["0.0.0.0", "::"] {
      listeners.append(unsafe fuzzing_serve(stream, address, openPort, 64))
      let isThere = unsafe fuzzing_serve(stream, address, silentPort, 0) >= 0
      check(isThere && listeners.last! >= 0, "cannot listen at \(address): errno \(errno)")
    }
    // A backlog of none takes one; from then on handshakes are not answered.
    for address in ["192.0.2.1", "2001:db8:0:1::1"] {
      for _ in 0..<2 { _ = unsafe fuzzing_connect(address, silentPort) }
    }
    return listeners
  }()

  static func listen() { _ = listeners }

  /// Ends the connections that were let in.
  static func hangUp() {
    for listener in listeners {
      while true {
        let connection = fuzzing_accept(listener)
        if connection < 0 { break }
        fuzzing_reset(connection)
      }
    }
  }
}
