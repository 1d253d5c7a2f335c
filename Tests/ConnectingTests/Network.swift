import CLinux
import Connecting
import PacketBuilders
import Platform
import Wire

/// Whether this process may make network namespaces, and has iproute2 to fill them.
let canMakeNamespaces: Bool = {
  guard geteuid() == 0, unsafe access("/usr/sbin/ip", X_OK) == 0 || access("/sbin/ip", X_OK) == 0 else { return false }
  return run("unshare", ["--net", "true"]) == 0
}()

struct CommandFailed: Error {
  var command: String
  var status: Int32
}

/// Waits for a program found in PATH, a child of the calling thread and so in its namespace; its exit status.
func run(_ program: String, _ arguments: [String]) -> Int32 {
  var words: [UnsafeMutablePointer<CChar>?] = unsafe ([program] + arguments).map { unsafe strdup($0) } + [nil]
  defer { unsafe words.forEach { unsafe free($0) } }
  var pid: pid_t = 0
  var environment: [UnsafeMutablePointer<CChar>?] = unsafe [nil]
  guard unsafe posix_spawnp(&pid, program, nil, nil, &words, &environment) == 0 else { return -1 }
  var status: Int32 = 0
  guard unsafe waitpid(pid, &status, 0) == pid, clinux_wifexited(status) != 0 else { return -1 }
  return clinux_wexitstatus(status)
}

/// Shell commands, one a line, in one process; throws at the first that fails.
func shell(_ commands: String) throws {
  let status = run("sh", ["-ec", commands])
  if status != 0 { throw CommandFailed(command: commands, status: status) }
}

/// A network namespace without a name. It goes with its last descriptor.
final class Namespace {
  private let descriptor: Descriptor

  init() throws {
    let home = try Namespace.present()
    _ = try valueOrErrno { unshare(CLONE_NEWNET) }
    descriptor = try Namespace.present()
    Namespace.enter(home)
  }

  /// What `ip` may call it.
  var path: String { "/proc/\(getpid())/fd/\(descriptor.number)" }

  /// Runs `body`, which must not suspend, on this thread inside: sockets that it opens stay there.
  func inside<R>(_ body: () throws -> R) throws -> R {
    let home = try Namespace.present()
    Namespace.enter(descriptor)
    defer { Namespace.enter(home) }
    return try body()
  }

  private static func present() throws -> Descriptor {
    Descriptor(taking: try valueOrErrno { unsafe clinux_open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC, 0) })
  }

  private static func enter(_ namespace: borrowing Descriptor) {
    if setns(namespace.number, CLONE_NEWNET) != 0 { fatalError("a test thread is lost in its network namespace") }
  }
}

/// A host with two uplinks, each to a router of its own in a namespace of its own. Both networks are 192.168.1.0/24,
/// the host is 192.168.1.10 in both and the router 192.168.1.1; both routers have the same addresses far away:
///
///     198.51.100.1, 2001:db8:ffff::1   the router itself, as a server
///     203.0.113.1, 2001:db8:bad::1     unreachable          203.0.113.4, ...::4   no route
///     203.0.113.2, ...::2              prohibited           203.0.113.3, ...::3   black hole, as all others there
///
/// IPv6: 2001:db8:`uplink`::/64, host ::10, router ::1; link-local fe80::10 and fe80::1.
final class Network {
  let host: Namespace
  let isps: [Namespace]

  init() throws {
    host = try Namespace()
    isps = [try Namespace(), try Namespace()]
    for namespace in [host] + isps { try namespace.inside { try shell(Network.common) } }
    for (uplink, isp) in isps.enumerated() {
      try host.inside { try shell(Network.hostSide(uplink, isp)) }
      try isp.inside { try shell(Network.ispSide(uplink)) }
      // Until the kernel's link watch has seen it, an interface drops what it is to send.
      for (namespace, name) in [(host, "up\(uplink)"), (isp, "r0")] {
        try namespace.inside {
          try shell(
            "for i in $(seq 500); do ip -o link show \(name) | grep -q 'state UP' && exit; sleep 0.01; done; exit 1")
        }
      }
    }
  }

  private static let common = """
    ip link set lo up
    for i in all default; do
      echo 1 > /proc/sys/net/ipv6/conf/$i/addr_gen_mode
      echo 0 > /proc/sys/net/ipv4/conf/$i/rp_filter
    done
    """

  private static func hostSide(_ uplink: Int, _ isp: Namespace) -> String {
    """
    ip link add up\(uplink) type veth peer name r0 netns \(isp.path)
    ip link set up\(uplink) up
    ip addr add 192.168.1.10/24 dev up\(uplink)
    ip addr add 2001:db8:\(uplink)::10/64 dev up\(uplink) nodad
    ip addr add fe80::10/64 dev up\(uplink) nodad
    ip route add default via 192.168.1.1 dev up\(uplink) metric \(100 + uplink)
    ip -6 route add default via fe80::1 dev up\(uplink) metric \(100 + uplink)
    echo 50 > /proc/sys/net/ipv4/neigh/up\(uplink)/retrans_time_ms
    echo 50 > /proc/sys/net/ipv6/neigh/up\(uplink)/retrans_time_ms
    """
  }

  private static func ispSide(_ uplink: Int) -> String {
    """
    echo 0 > /proc/sys/net/ipv4/icmp_ratelimit
    echo 0 > /proc/sys/net/ipv6/icmp/ratelimit
    echo 1 > /proc/sys/net/ipv4/ip_forward
    echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
    ip link set r0 up
    ip addr add 192.168.1.1/24 dev r0
    ip addr add 2001:db8:\(uplink)::1/64 dev r0 nodad
    ip addr add fe80::1/64 dev r0 nodad
    ip addr add 198.51.100.1/32 dev lo
    ip addr add 2001:db8:ffff::1/128 dev lo nodad
    ip route add unreachable 203.0.113.1
    ip route add prohibit 203.0.113.2
    ip route add blackhole 203.0.113.0/24
    ip route add throw 203.0.113.4
    ip -6 route add unreachable 2001:db8:bad::1
    ip -6 route add prohibit 2001:db8:bad::2
    ip -6 route add blackhole 2001:db8:bad::/64
    ip -6 route add throw 2001:db8:bad::4
    """
  }

  /// In the host's namespace.
  func index(_ uplink: Int) throws -> UInt32 { try host.inside { unsafe if_nametoindex("up\(uplink)") } }

  /// How many sockets there are in the host's namespace, none at first: /proc/net/sockstat counts each, whatever its
  /// state.
  func sockets() throws -> Int {
    let text = try host.inside { try File.read(Array("/proc/thread-self/net/sockstat".utf8), limit: 4096) }
    let words = String(decoding: text, as: UTF8.self).split(whereSeparator: { $0 == " " || $0 == "\n" })
    return Int(words[2])!
  }

  /// The same once closed connections have said goodbye.
  func sockets(expected: Int) throws -> Int {
    for _ in 0..<200 where try sockets() != expected { usleep(10_000) }
    return try sockets()
  }
}

/// A socket of a peer's, in whichever namespace it was made.
final class Peer {
  let descriptor: Descriptor

  /// Dual-stack, on all addresses.
  init(_ kind: ConnectOrder.Transport, port: UInt16) throws {
    let type = kind == .tcp ? SOCK_STREAM.rawValue : SOCK_DGRAM.rawValue
    descriptor = Descriptor(
      taking: try valueOrErrno { socket(AF_INET6, Int32(type | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0) })
    try descriptor.setOption(level: SOL_SOCKET, SO_REUSEADDR, 1)
    var address = sockaddr_in6()
    address.sin6_family = sa_family_t(AF_INET6)
    address.sin6_port = port.bigEndian
    let number = descriptor.number
    _ = try valueOrErrno { unsafe clinux_bind(number, &address, socklen_t(MemoryLayout<sockaddr_in6>.size)) }
    if kind == .tcp { _ = try valueOrErrno { listen(number, 1024) } }
  }

  private init(taking number: Int32) { descriptor = Descriptor(taking: number) }

  /// The next connection; nil if there is none within `milliseconds`.
  func accept(milliseconds: Int32 = 1000) throws -> Peer? {
    guard try descriptor.wait(for: .read, milliseconds: milliseconds) else { return nil }
    return Peer(taking: try valueOrErrno { clinux_accept(descriptor.number, Int32(SOCK_CLOEXEC.rawValue)) })
  }

  /// Sends back the next datagram to whoever sent it; false if none comes.
  func echo(milliseconds: Int32 = 1000) throws -> Bool {
    guard try descriptor.wait(for: .read, milliseconds: milliseconds) else { return false }
    var buffer = [UInt8](repeating: 0, count: 2048)
    var address = sockaddr_storage()
    let number = descriptor.number
    return unsafe buffer.withUnsafeMutableBytes { buffer in
      unsafe withUnsafeMutablePointer(to: &address) { address in
        var part = unsafe iovec(iov_base: buffer.baseAddress, iov_len: buffer.count)
        return unsafe withUnsafeMutablePointer(to: &part) { part in
          var message = unsafe msghdr()
          unsafe message.msg_name = UnsafeMutableRawPointer(address)
          unsafe message.msg_namelen = socklen_t(MemoryLayout<sockaddr_storage>.size)
          unsafe message.msg_iov = part
          unsafe message.msg_iovlen = 1
          let count = unsafe recvmsg(number, &message, 0)
          guard count >= 0 else { return false }
          unsafe part.pointee.iov_len = count
          return unsafe sendmsg(number, &message, 0) == count
        }
      }
    }
  }

  func say(_ text: String) throws { try ConnectingTests.say(text, descriptor.number) }
  func hear(milliseconds: Int32 = 1000) throws -> String? { try ConnectingTests.hear(descriptor, milliseconds) }
}

func say(_ text: String, _ socket: Int32) throws {
  let bytes = Array(text.utf8)
  _ = try valueOrErrno { unsafe send(socket, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }
}

/// What arrives next, "" for the end; nil if nothing does.
func hear(_ descriptor: borrowing Descriptor, _ milliseconds: Int32 = 1000) throws -> String? {
  guard try descriptor.wait(for: .read, milliseconds: milliseconds) else { return nil }
  var buffer = [UInt8](repeating: 0, count: 2048)
  let number = descriptor.number
  let count = try valueOrErrno { unsafe recv(number, &buffer, buffer.count, 0) }
  return String(decoding: buffer.prefix(count), as: UTF8.self)
}

/// A router that answers handshakes with any ICMP error: it reads what comes in by its interface, and has a raw socket.
final class ErrorSource {
  private let family: Family
  private let ear: Descriptor
  private let mouth: Descriptor

  init(_ family: Family) throws {
    self.family = family
    let etherType = UInt16(family == .v4 ? ETH_P_IP : ETH_P_IPV6).bigEndian
    ear = Descriptor(
      taking: try valueOrErrno {
        socket(AF_PACKET, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), Int32(etherType))
      })
    mouth = Descriptor(
      taking: try valueOrErrno {
        socket(
          family == .v4 ? AF_INET : AF_INET6, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), family == .v4 ? 1 : 58)
      })
  }

  /// The next TCP packet to a port, as it came.
  func packet(to port: UInt16) throws -> [UInt8] {
    let header = family == .v4 ? 20 : 40
    while try ear.wait(for: .read, milliseconds: 2000) {
      var buffer = [UInt8](repeating: 0, count: 2048)
      let number = ear.number
      let count = try valueOrErrno { unsafe recv(number, &buffer, buffer.count, 0) }
      let packet = Array(buffer.prefix(count))
      guard count >= header + 20, packet[family == .v4 ? 9 : 6] == 6 else { continue }
      if UInt16(packet[header + 2]) << 8 | UInt16(packet[header + 3]) == port { return packet }
    }
    throw CommandFailed(command: "wait for a SYN to port \(port)", status: -1)
  }

  /// Sends an error about a packet to its sender.
  func send(type: UInt8, code: UInt8, parameter: [UInt8] = [0, 0, 0, 0], about packet: [UInt8]) throws {
    var message: [UInt8] = [type, code, 0, 0] + parameter + packet
    if family == .v4 {
      let sum = Build.checksum(message)
      message[2] = UInt8(sum >> 8)
      message[3] = UInt8(sum & 0xFF)
    }
    var address = sockaddr_storage()
    let length: Int
    if family == .v4 {
      var v4 = sockaddr_in()
      v4.sin_family = sa_family_t(AF_INET)
      unsafe withUnsafeMutableBytes(of: &v4.sin_addr) { unsafe $0.copyBytes(from: packet[12..<16]) }
      unsafe withUnsafeMutableBytes(of: &address) { unsafe $0.storeBytes(of: v4, as: sockaddr_in.self) }
      length = MemoryLayout<sockaddr_in>.size
    } else {
      var v6 = sockaddr_in6()
      v6.sin6_family = sa_family_t(AF_INET6)
      unsafe withUnsafeMutableBytes(of: &v6.sin6_addr) { unsafe $0.copyBytes(from: packet[8..<24]) }
      unsafe withUnsafeMutableBytes(of: &address) { unsafe $0.storeBytes(of: v6, as: sockaddr_in6.self) }
      length = MemoryLayout<sockaddr_in6>.size
    }
    let number = mouth.number
    _ = try valueOrErrno {
      unsafe clinux_sendto(number, message, message.count, 0, &address, socklen_t(length))
    }
  }
}
