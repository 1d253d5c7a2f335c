import CLinux
import Platform
import Wire

@testable import Capture

/// Whether this process may make network namespaces and packet sockets, and has iproute2 to fill them.
let canMakeNamespaces: Bool = {
  guard geteuid() == 0, unsafe access("/usr/sbin/ip", X_OK) == 0 || access("/sbin/ip", X_OK) == 0 else { return false }
  // Asked of a child, so that this thread stays where it is.
  return run("unshare", ["--net", "true"]) == 0
}()

/// Runs `body` on this thread in a new network namespace with nothing but a loopback interface. It has no name and
/// goes when the last socket in it is closed. `body` must not suspend: the namespace is the thread's.
func inNamespace<R>(_ body: () throws -> R) throws -> R {
  let home = Descriptor(taking: try valueOrErrno { unsafe clinux_open("/proc/thread-self/ns/net", O_RDONLY, 0) })
  _ = try valueOrErrno { unshare(CLONE_NEWNET) }
  defer {
    if setns(home.number, CLONE_NEWNET) != 0 { fatalError("a test thread is lost in its network namespace") }
  }
  return try body()
}

/// A veth pair in the namespace of the calling thread: what `near` sends, `far` receives, and the other way round.
struct Cable: ~Copyable {
  let near: UInt32
  let far: UInt32
  private let sender: Descriptor

  init(_ name: String = "w", mtu: Int = 1500) throws {
    try ip("link add \(name)0 mtu \(mtu) type veth peer name \(name)1 mtu \(mtu)")
    try ip("link set \(name)0 up")
    try ip("link set \(name)1 up")
    let sender = Descriptor(
      taking: try valueOrErrno { socket(AF_PACKET, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), 0) })
    let ends = (index(of: "\(name)0"), index(of: "\(name)1"))
    try awaitPassage(between: ends.0, and: ends.1, sender.number)
    self.sender = sender
    (near, far) = ends
  }

  /// To be called when an end was taken down and up again.
  func awaitCarrier() throws { try awaitPassage(between: near, and: far, sender.number) }

  /// Sends a whole Ethernet frame out of `near`, or of `far`.
  func send(_ frame: [UInt8], outOf interface: UInt32? = nil) {
    sendFrame(frame, outOf: interface ?? near, sender.number)
  }
}

private func sendFrame(_ frame: [UInt8], outOf interface: UInt32, _ socket: Int32) {
  var address = sockaddr_ll()
  address.sll_family = UInt16(AF_PACKET)
  address.sll_ifindex = Int32(interface)
  let sent = unsafe frame.withUnsafeBytes {
    unsafe clinux_sendto(socket, $0.baseAddress, $0.count, 0, &address, socklen_t(MemoryLayout<sockaddr_ll>.size))
  }
  if sent != frame.count { fatalError("cannot send a frame of \(frame.count) bytes: errno \(Errno.current.rawValue)") }
}

/// An interface that has just come up drops what it is to send until the kernel's link watch has seen it. Sends frames
/// of an EtherType for experiments (RFC 9542 B.1) both ways until one came through each way.
private func awaitPassage(between near: UInt32, and far: UInt32, _ socket: Int32) throws {
  let keepAll = Filter(instructions: [.init(code: 0x06, whenTrue: 0, whenFalse: 0, operand: Filter.keepAll)])
  var ear = try PacketRing(keepAll, size: 1 << 16)
  var silent: Set = [near, far]
  for _ in 0..<1000 {
    for interface in [near, far] { sendFrame(ethernet(0x88B5, []), outOf: interface, socket) }
    usleep(1000)
    _ = ear.drain(limit: 100) { silent.remove($2.interface) }
    if silent.isEmpty { return }
  }
  throw CommandFailed(command: "wait for the cable", status: -1)
}

/// What a ring handed on, copied out of it.
struct Heard: Equatable {
  var packet: [UInt8]
  var family: Family
  var interface: UInt32
  var outgoing: Bool
  var checksum: Arrival.Checksum
  var truncated: Bool
  var timestamp: UInt64
}

extension PacketRing {
  /// Drains until `count` packets were handed on, or a second is over; then what still comes at once.
  mutating func hear(_ count: Int) -> [Heard] {
    let descriptor = descriptor.number
    return hearing(count, descriptor) { (heard: inout [Heard]) in
      _ = drain(limit: 10_000) { heard.append(Heard($0, $1, $2)) }
    }
  }

  func wait() { waitUntilReadable(descriptor.number) }
}

extension ClientTap {
  mutating func hear(_ count: Int) -> [Heard] {
    let descriptor = descriptor.number
    return hearing(count, descriptor) { (heard: inout [Heard]) in
      _ = drain(limit: 10_000) { heard.append(Heard($0, $1, $2)) }
    }
  }
}

private func hearing(_ count: Int, _ descriptor: Int32, _ drain: (inout [Heard]) -> Void) -> [Heard] {
  var heard: [Heard] = []
  let deadline = Clock.bootTime() + 1_000_000_000
  repeat {
    if heard.count < count { waitUntilReadable(descriptor) }
    drain(&heard)
  } while heard.count < count && Clock.bootTime() < deadline
  return heard
}

/// 100 ms at most.
private func waitUntilReadable(_ descriptor: Int32) {
  var question = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
  _ = unsafe poll(&question, 1, 100)
}

extension Heard {
  init(_ packet: RawSpan, _ family: Family, _ arrival: Arrival) {
    self.init(
      packet: (0..<packet.byteCount).map { unsafe packet.unsafeLoad(fromByteOffset: $0, as: UInt8.self) },
      family: family, interface: arrival.interface, outgoing: arrival.outgoing, checksum: arrival.checksum,
      truncated: arrival.truncated, timestamp: arrival.timestamp)
  }
}

/// if_nametoindex(3), in the namespace of the calling thread; 0 where there is no such interface.
func index(of name: String) -> UInt32 { unsafe if_nametoindex(name) }

/// iproute2, in the namespace of the calling thread.
func ip(_ arguments: String) throws {
  let status = run("ip", arguments.split(separator: " ").map(String.init))
  if status != 0 { throw CommandFailed(command: "ip \(arguments)", status: status) }
}

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
