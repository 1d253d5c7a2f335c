import CLinux
import Connecting
import Platform
import Testing
import Wire

/// What the program gets is what socket(2), bind(2) and connect(2) would have given it.
@Suite(.serialized, .enabled(if: canMakeNamespaces, "needs root, unshare and iproute2"))
struct HandoverTests {
  /// Options that differ from socket to socket, or from moment to moment.
  private static let volatile: Set<[Int32]> = [
    [SOL_SOCKET, SO_COOKIE], [SOL_SOCKET, SO_INCOMING_CPU], [SOL_SOCKET, SO_MEMINFO],
    [SOL_SOCKET, SO_INCOMING_NAPI_ID],
    [SOL_SOCKET, SO_PEEK_OFF], [6, 11 /* TCP_INFO */], [6, 24 /* TCP_TIMESTAMP */], [6, 26 /* TCP_CC_INFO */],
    [6, 35 /* TCP_ZEROCOPY_RECEIVE */], [0, 52 /* IP_PROTOCOL: the local port */],
  ]

  /// Every option that can be asked for, with its first 16 bytes.
  private static func options(_ socket: Int32) -> [[Int32]: [UInt8]] {
    var options: [[Int32]: [UInt8]] = [:]
    for level in [SOL_SOCKET, Int32(IPPROTO_IP), Int32(IPPROTO_IPV6), 6, 17] {
      for name in 1...120 as ClosedRange<Int32> where !volatile.contains([level, name]) {
        // SO_PEERSEC, SO_PEERPIDFD and their like open descriptors, or are of Unix sockets.
        if level == SOL_SOCKET, [SO_PEERCRED, SO_PEERSEC, SO_PEERGROUPS, 77].contains(name) { continue }
        var value = [UInt8](repeating: 0, count: 16)
        var length = socklen_t(16)
        if unsafe getsockopt(socket, level, name, &value, &length) == 0 {
          options[[level, name]] = Array(value.prefix(Int(length)))
        }
      }
    }
    return options
  }

  /// socket(2), bind(2), connect(2), and nothing else.
  private static func plain(_ server: String, _ transport: ConnectOrder.Transport) throws -> PassedDescriptor {
    let (type, port) = transport == .tcp ? (SOCK_STREAM.rawValue, 80 as UInt16) : (SOCK_DGRAM.rawValue, 443)
    let isV4 = server.contains(".")
    let descriptor = Descriptor(
      taking: try valueOrErrno { socket(isV4 ? AF_INET : AF_INET6, Int32(type | SOCK_CLOEXEC.rawValue), 0) })
    let number = descriptor.number
    for (text, port) in [(isV4 ? "192.168.1.10" : "2001:db8:0::10", 0 as UInt16), (server, port)] {
      var address = sockaddr_storage()
      let length: Int
      if isV4 {
        var v4 = sockaddr_in()
        v4.sin_family = sa_family_t(AF_INET)
        v4.sin_port = port.bigEndian
        unsafe inet_pton(AF_INET, text, &v4.sin_addr)
        unsafe withUnsafeMutableBytes(of: &address) { unsafe $0.storeBytes(of: v4, as: sockaddr_in.self) }
        length = MemoryLayout<sockaddr_in>.size
      } else {
        var v6 = sockaddr_in6()
        v6.sin6_family = sa_family_t(AF_INET6)
        v6.sin6_port = port.bigEndian
        unsafe inet_pton(AF_INET6, text, &v6.sin6_addr)
        unsafe withUnsafeMutableBytes(of: &address) { unsafe $0.storeBytes(of: v6, as: sockaddr_in6.self) }
        length = MemoryLayout<sockaddr_in6>.size
      }
      let isSource = text != server
      _ = try valueOrErrno {
        unsafe isSource
          ? clinux_bind(number, &address, socklen_t(length)) : clinux_connect(number, &address, socklen_t(length))
      }
    }
    return PassedDescriptor(descriptor)
  }

  @Test(
    arguments: [
      ("198.51.100.1", ConnectOrder.Transport.tcp), ("2001:db8:ffff::1", .tcp), ("198.51.100.1", .udp),
      ("2001:db8:ffff::1", .udp),
    ])
  func asConnectWouldLeaveIt(_ server: String, _ transport: ConnectOrder.Transport) throws {
    let network = try Network()
    let bench = try Bench(network)
    let port: UInt16 = transport == .tcp ? 80 : 443
    let listener = try network.isps[0].inside { try Peer(transport, port: port) }
    let key = try bench.connect(server, port, transport)
    if bench.results[key] == nil { try bench.run() }
    let passed = try bench.socket(key).descriptor.number
    let bare = try network.host.inside { try HandoverTests.plain(server, transport) }
    let plain = bare.descriptor.number
    _ = listener

    // Blocking, closed on exec; nothing else.
    #expect(clinux_fcntl(passed, F_GETFL, 0) == clinux_fcntl(plain, F_GETFL, 0))
    #expect(clinux_fcntl(passed, F_GETFL, 0) & O_NONBLOCK == 0)
    #expect(clinux_fcntl(passed, F_GETFD, 0) == FD_CLOEXEC)
    let (ours, theirs) = (HandoverTests.options(passed), HandoverTests.options(plain))
    #expect(ours.count > 60)
    let different = Set(ours.keys).union(theirs.keys).filter { ours[$0] != theirs[$0] }
    #expect(different == [[SOL_SOCKET, SO_BINDTODEVICE], [SOL_SOCKET, SO_BINDTOIFINDEX]])
    #expect(ours[[SOL_SOCKET, SO_BINDTODEVICE]] == Array("up0\0".utf8))
  }

  /// A UDP error after the handover is the program's: told by the next call, as ever, and not in an error queue.
  @Test func laterErrorsAreTheProgramsOwn() throws {
    let bench = try Bench(try Network())
    let key = try bench.connect("198.51.100.1", 444, .udp)
    let socket = try bench.socket(key)
    try say("anybody there?", socket.descriptor.number)
    #expect(try socket.descriptor.wait(for: .read, milliseconds: 1000))
    #expect(throws: Errno(rawValue: ECONNREFUSED)) { try hear(socket.descriptor) }
    var error = sock_extended_err()
    var offender = sockaddr_storage()
    #expect(unsafe clinux_receive_error(socket.descriptor.number, &error, &offender, nil, 0) == -1)
    #expect(Errno.current == .wouldBlock)
    #expect(try bench.events().isEmpty, "the poller still watches it")
  }

  /// Beside a message to another process: the connection lives there on, and ends with it.
  @Test func throughAUnixSocket() throws {
    let network = try Network()
    let bench = try Bench(network)
    let listener = try network.isps[0].inside { try Peer(.tcp, port: 80) }
    let key = try bench.connect("198.51.100.1", 80)
    if bench.results[key] == nil { try bench.run() }
    let peer = try #require(try listener.accept())
    var ends: [Int32] = [0, 0]
    _ = try valueOrErrno {
      unsafe socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends)
    }
    let near = Descriptor(taking: ends[0])
    let far = Descriptor(taking: ends[1])
    let agent = try Connection(taking: near)
    let program = try Connection(taking: far)
    let message = [26 as UInt8]
    #expect(unsafe agent.send(message.span.bytes, passing: try bench.socket(key).descriptor) == .sent)
    bench.drop()
    var buffer = [0 as UInt8]
    var bytes = buffer.mutableSpan
    var room = unsafe bytes.mutableBytes
    var passed: Descriptor?
    #expect(program.receive(into: &room, descriptor: &passed) == .message(length: 1))
    let received = passed?.number
    let number = try #require(received)
    try say("it lives", number)
    #expect(try peer.hear() == "it lives")
    #expect(try network.sockets(expected: 1) == 1)
    passed = nil
    #expect(try peer.hear() == "")
    #expect(try network.sockets(expected: 0) == 0)
  }

  /// The engine is an ordinary user: nothing of this needs a capability.
  @Test func withoutCapabilities() throws {
    let network = try Network()
    let bench = try Bench(network)
    let listener = try network.isps[1].inside { try Peer(.tcp, port: 80) }
    let indexes = try [0, 1].map { try network.index($0) }
    try network.host.inside {
      let capabilities = try Capabilities()
      try capabilities.drop()
      defer { capabilities.restore() }
      // To show that they are gone.
      #expect(unshare(CLONE_NEWNET) == -1)
      for transport in [ConnectOrder.Transport.tcp, .udp] {
        for destination in ["198.51.100.1", "2001:db8:ffff::1", "fe80::1"] {
          let key = try bench.connectHere(destination, 80, transport, uplink: 1, interface: indexes[1])
          if bench.results[key] == nil { try bench.run() }
          _ = try bench.socket(key)
        }
      }
    }
    #expect(try listener.accept() != nil)
  }
}

/// capget(2) and capset(2), which the C library has without declaring them. Of the calling thread alone.
@_silgen_name("capget") private func capget(_ header: UnsafeMutableRawPointer, _ data: UnsafeMutableRawPointer) -> Int32
@_silgen_name("capset") private func capset(_ header: UnsafeMutableRawPointer, _ data: UnsafeMutableRawPointer) -> Int32

/// Effective capabilities of this thread, to be put down for a while.
private struct Capabilities {
  /// Version 3, this thread.
  private static let header: [UInt32] = [0x2008_0522, 0]
  /// Effective, permitted and inheritable, of 32 capabilities; twice.
  private let former: [UInt32]

  init() throws {
    var header = Capabilities.header
    var data = [UInt32](repeating: 0, count: 6)
    _ = try valueOrErrno { unsafe capget(&header, &data) }
    former = data
  }

  func drop() throws {
    var header = Capabilities.header
    var data = former
    data[0] = 0
    data[3] = 0
    _ = try valueOrErrno { unsafe capset(&header, &data) }
  }

  func restore() {
    var header = Capabilities.header
    var data = former
    if unsafe capset(&header, &data) != 0 { fatalError("a test thread stays without its capabilities") }
  }
}
