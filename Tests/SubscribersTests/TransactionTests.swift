import Glibc
import Messages
import Platform
import Provisioning
import Resolving
import Subscribers
import Testing
import Wire

/// Translations and connections as a subscriber sees them (docs/protocol.md, "Names and connections"), over the
/// loopback interface: what takes time is asked of a DNS server that never answers, and of a listener that takes
/// nobody any more.
@Suite(.serialized) struct TransactionTests {
  /// The loopback interface, as PvDs have it here.
  private static let loopback: UInt32 = 1
  private static let v6Loopback = IPAddress.v6(IPv6Address(0, 1))

  private let names: HostsFile
  private let silent: Silence
  private let server: Server
  private let client: Client

  init() throws {
    names = try HostsFile()
    silent = try Silence()
    var settings = Subscribers.Settings()
    settings.resolver.hostsFile = names.path
    settings.resolver.port = silent.port
    settings.resolver.addresses = 1000
    settings.transactionsPerSubscriber = 4
    settings.queueLimit = 4096
    settings.sendBuffer = 4096
    server = try Server(settings)
    try server.apply(
      .link(Link(index: Self.loopback, name: InterfaceName("lo".utf8), isUp: true, hasCarrier: true)))
    client = try server.mifClient()
  }

  /// A PvD of this router's, with ::1 as address and as DNS server. The first one is PvD 1.
  private func connect(_ router: UInt8 = 1) throws {
    try server.hear(
      routerAdvertisement(from: router, Self.onLink(lifetime: 9), Self.resolver), on: Self.loopback)
    try server.apply(
      .address(InterfaceAddress(interface: Self.loopback, prefix: IPPrefix(Self.v6Loopback, 64))))
  }

  private static func onLink(lifetime: UInt8) -> [UInt8] {
    [3, 4, 64, 0x80, 0, 0, 0, lifetime, 0, 0, 0, lifetime, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 16)
  }
  private static let resolver: [UInt8] =
    [25, 3, 0, 0, 0, 0, 0x0E, 0x10] + [UInt8](repeating: 0, count: 15) + [1]

  /// Type, and identifier and errno of what has one.
  private func show(_ messages: [MIFMessage]) -> [String] {
    messages.map { message in
      switch message.content {
      case .nameTranslation(let open, _): "22 of \(open.identifier)"
      case .nameTranslationEnded(let open, let failure), .notConnected(let open, let failure):
        "\(message.header.type) of \(open.identifier): \(failure.error) from \(failure.from)"
      case .connected(let open): "26 of \(open.identifier)"
      default: "\(message.header.type)" + (message.header.error == .none ? "" : ": \(message.header.error.rawValue)")
      }
    }
  }

  private func ask(_ requests: [UInt8]..., of other: Client? = nil) throws -> [String] {
    let client = other ?? client
    for request in requests { client.send(request) }
    try server.run()
    return show(try client.mifMessages())
  }

  private func translate(_ identifier: UInt32, _ name: String = "nobody.example", pvd: UInt32 = 1) -> [UInt8] {
    message(20, sequence: identifier, MIF.pvd(pvd), MIF.name(name), MIF.transaction(identifier))
  }
  private func stop(_ identifier: UInt32) -> [UInt8] { message(21, MIF.transaction(identifier)) }
  private func connect(
    _ identifier: UInt32, to port: UInt16? = nil, pvd: UInt32 = 1, scope: UInt32 = 0, address: [UInt8]? = nil
  ) -> [UInt8] {
    message(
      24, sequence: identifier, MIF.pvd(pvd), MIF.transaction(identifier),
      MIF.destination(address ?? [UInt8](repeating: 0, count: 15) + [1], port: port ?? silent.stream, scope: scope))
  }

  // MARK: Results

  @Test func `each address as it comes, then the end, and the identifier is free again`() throws {
    try connect()
    names.write("192.0.2.1 two.example\n2001:db8::1 two.example\n")
    for _ in 0..<2 {
      client.send(translate(7, "two.example"))
      try server.run()
      let messages = try client.mifMessages()
      #expect(show(messages) == ["22 of 7", "22 of 7", "33 of 7: 0 from nothing"])
      #expect(messages.allSatisfy { $0.header.sequence == 7 && $0.header.pid == 4711 && !$0.isSnapshot })
      guard case .nameTranslation(_, let first) = messages[0].content else { continue }
      #expect(first.address == .v4(IPv4Address(0xC000_0201)) && first.prefixLength == 32 && first.scope == 0)
    }
  }

  @Test func `a connection that is there at once`() throws {
    try connect()
    let listener = try Stream()
    #expect(try ask(connect(7, to: listener.port)) == ["26 of 7"])
    #expect(try ask(connect(7, to: listener.port)) == ["26 of 7"], "the identifier is free again")
  }

  // MARK: Identifiers

  @Test func `an identifier in use`() throws {
    try connect()
    #expect(try ask(translate(7), translate(7), connect(7), connect(7)) == ["20: 17", "24: 17"])
    #expect(server.counter("connector.under-way") == 1, "the first ones go on")
    let other = try server.mifClient()
    #expect(try ask(translate(7), of: other) == [], "another subscriber has identifiers of its own")
    #expect(try ask(stop(7), translate(7)) == ["21"], "and it is free after its last message")
  }

  @Test func `STOP of what nobody began is answered`() throws {
    try connect()
    #expect(try ask(stop(9)) == ["21"])
    #expect(try ask(connect(9), stop(9)) == ["21"])
    #expect(server.counter("connector.under-way") == 1, "a connection is not a translation")
  }

  @Test func `after the answer to STOP nothing comes`() throws {
    try connect()
    _ = try ask(translate(7))
    #expect(try ask(stop(7)) == ["21"])
    #expect(server.counter("resolver.cancelled") == 1)
    try server.apply(.linkRemoved(index: Self.loopback))
    #expect(try ask() == [])
  }

  @Test func `translations and connections are bounded together`() throws {
    try connect()
    names.write("192.0.2.1 one.example\n")
    #expect(try ask(translate(1), translate(2), connect(1), connect(2)) == [])
    #expect(try ask(translate(3), connect(3)) == ["20: 28", "24: 28"])
    #expect(try ask(translate(3, "one.example")) == ["20: 28"], "also what would take no time")
    let other = try server.mifClient()
    #expect(try ask(translate(3), of: other) == [])
    #expect(try ask(stop(2), translate(3)) == ["21"])
  }

  // MARK: PvDs

  @Test func `no such PvD, and PvD 0`() throws {
    try connect()
    #expect(
      try ask(translate(1, pvd: 9), connect(1, pvd: 9), translate(1, pvd: 0), connect(1, pvd: 0))
        == ["20: 2", "24: 2", "20: 2", "24: 2"])
    #expect(try ask(message(23, MIF.pvd(9))) == ["23: 2"])
    #expect(try ask(message(23, MIF.pvd(1)), translate(1, pvd: 0), connect(1, pvd: 0)) == ["23"])
    #expect(try ask(MIF.addresses(0)) == ["14", "34"], "it is what 0 means everywhere")
    let other = try server.mifClient()
    #expect(try ask(translate(1, pvd: 0), of: other) == ["20: 2"], "for this subscriber")
    #expect(try ask(message(23, MIF.pvd(0)), translate(2, pvd: 0)) == ["23", "20: 2"], "until it selects none")
    // Or until the PvD goes.
    _ = try ask(message(23, MIF.pvd(1)))
    try server.apply(.linkRemoved(index: Self.loopback))
    _ = try client.mifMessages()
    #expect(try ask(translate(2, pvd: 0)) == ["20: 2"])
  }

  @Test func `a PvD that goes ends what is under way in it before that is told`() throws {
    try connect()
    try connect(2)
    _ = try ask(MIF.pvds(Self.loopback), MIF.elements(1), MIF.addresses(1))
    #expect(try ask(translate(7), connect(7), translate(8, pvd: 2), connect(8, pvd: 2)) == [])
    // The first router has nothing left but its own resolver, and then not that.
    try server.hear(
      routerAdvertisement(
        from: 1, lifetime: 0, Self.onLink(lifetime: 0), [25, 3, 0, 0, 0, 0, 0, 0] + Self.resolver[8...]),
      on: Self.loopback)
    #expect(
      try ask() == ["16", "11", "33 of 7: 100 from local", "27 of 7: 100 from local", "8"],
      "addresses and elements, what is under way, the PvD; the other PvD's goes on")
    #expect(server.counter("connector.under-way") == 1)
    try server.apply(.linkRemoved(index: Self.loopback))
    #expect(try ask() == ["33 of 8: 100 from local", "27 of 8: 100 from local", "8"])
    #expect(server.counter("connector.under-way") == 0)
  }

  @Test func `an address that only another PvD loses ends nothing here`() throws {
    try connect()
    try connect(2)
    _ = try ask(MIF.addresses(1))
    #expect(try ask(connect(8, pvd: 2)) == [])
    try server.hear(routerAdvertisement(from: 1, Self.onLink(lifetime: 0)), on: Self.loopback)
    #expect(try ask() == ["16"])
    #expect(server.counter("connector.under-way") == 1)
    try server.apply(.addressRemoved(interface: Self.loopback, IPPrefix(Self.v6Loopback, 64)))
    #expect(try ask() == ["27 of 8: 99 from local"], "EADDRNOTAVAIL")
  }

  @Test func `a link-local address of another interface's`() throws {
    try connect()
    let linkLocal: [UInt8] = [0xFE, 0x80] + [UInt8](repeating: 0, count: 13) + [9]
    #expect(try ask(connect(7, scope: 2, address: linkLocal)) == ["27 of 7: 22 from local"])
    let own = try ask(connect(7, scope: Self.loopback, address: linkLocal))
    #expect(own == ["27 of 7: 101 from local"], "of its own: nothing is there, and the kernel says so")
  }

  // MARK: Subscribers that go, or don't read

  @Test func `who goes leaves nothing under way`() throws {
    try connect()
    var other: Client? = try server.mifClient()
    #expect(try ask(translate(1), translate(2), connect(1), connect(2), of: other) == [])
    #expect(server.counter("connector.under-way") == 2)
    other = nil
    try server.run(untilConnected: 1)
    #expect(server.counter("connector.under-way") == 0 && server.counter("connector.cancelled") == 2)
    #expect(server.counter("resolver.cancelled") == 2)
  }

  @Test func `what a subscriber does not read is dropped, and the last message says so`() throws {
    try connect()
    names.write((0..<500).map { "192.0.2.\($0 % 250) many.example\n2001:db8::\($0) many.example\n" }.joined())
    client.send(translate(7, "many.example"))
    client.send(translate(8, "many.example"))
    try server.run()
    let dropped = server.counter("mif.results-dropped")
    #expect(dropped > 100)
    var all: [String] = []
    for _ in 0..<1000 {
      let messages = show(try client.mifMessages())
      if messages.isEmpty { break }
      all += messages
      try server.run()
    }
    let end = try #require(all.firstIndex { $0.hasPrefix("33 of 7") })
    #expect(all[end] == "33 of 7: 105 from local", "ENOBUFS")
    #expect(end + Int(dropped) == 750, "250 and 500 addresses, each told or counted")
    // Nothing more was read from it until it had taken these; now it reads, and may lose some again.
    #expect(all.last?.hasPrefix("33 of 8") == true)
    names.write("192.0.2.1 one.example\n")
    #expect(try ask(translate(7, "one.example")) == ["22 of 7", "33 of 7: 0 from nothing"])
  }

  @Test func `who listens to nothing more has them done all the same`() throws {
    try connect()
    let listener = try Stream()
    shutdown(client.descriptor, Int32(SHUT_RD))
    for number in 0..<4 as Range<UInt32> { client.send(connect(number, to: listener.port)) }
    try server.run()
    #expect(server.counter("connector.under-way") == 0)
    #expect(server.counter("connector.connected") == 4, "and closed again")
  }

  @Test func `names that are none are refused by what they are`() throws {
    try connect()
    #expect(try ask(translate(7, "a..example")) == ["33 of 7: 22 from local"])
    #expect(try ask(message(20, MIF.pvd(1), MIF.name(""), MIF.transaction(7))) == ["20: 22"])
    #expect(try ask(message(20, MIF.pvd(1), MIF.name("a"))) == ["20: 22"])
    try server.apply(.linkRemoved(index: Self.loopback))
    #expect(try ask(translate(7)) == ["20: 2"])
  }
}

/// A hosts file (hosts(5)) of a test's own.
private final class HostsFile {
  let path: [UInt8]

  init() throws {
    var template = Array("/tmp/mifd-hosts-XXXXXX".utf8CString)
    let descriptor = unsafe template.withUnsafeMutableBufferPointer { unsafe mkstemp($0.baseAddress!) }
    guard descriptor >= 0 else { throw Errno.current }
    close(descriptor)
    path = template.dropLast().map { UInt8(bitPattern: $0) }
  }

  deinit { unsafe (path + [0]).withUnsafeBytes { _ = unsafe unlink($0.bindMemory(to: CChar.self).baseAddress!) } }

  func write(_ text: String) {
    unsafe (path + [0]).withUnsafeBytes { name in
      let file = unsafe open(name.bindMemory(to: CChar.self).baseAddress!, O_WRONLY | O_TRUNC)
      _ = unsafe Array(text.utf8).withUnsafeBytes { unsafe Glibc.write(file, $0.baseAddress!, $0.count) }
      close(file)
    }
  }
}

/// A socket on ::1, at a port that the kernel chose.
private struct LoopbackSocket: ~Copyable {
  let descriptor: Int32
  let port: UInt16

  init(_ type: __socket_type) throws {
    descriptor = socket(AF_INET6, Int32(type.rawValue), 0)
    guard descriptor >= 0 else { throw Errno.current }
    var name = sockaddr_in6()
    name.sin6_family = sa_family_t(AF_INET6)
    name.sin6_addr = in6addr_loopback
    var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
    let own = descriptor
    let isBound = unsafe withUnsafeMutablePointer(to: &name) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe bind(own, __CONST_SOCKADDR_ARG(__sockaddr__: $0), length) == 0
          && getsockname(own, __SOCKADDR_ARG(__sockaddr__: $0), &length) == 0
      }
    }
    guard isBound else { throw Errno.current }
    port = UInt16(bigEndian: name.sin6_port)
  }

  deinit { close(descriptor) }

  /// A connection to it, whether it is taken or not.
  func knock() -> Int32 {
    let own = socket(AF_INET6, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
    var name = sockaddr_in6()
    name.sin6_family = sa_family_t(AF_INET6)
    name.sin6_addr = in6addr_loopback
    name.sin6_port = port.bigEndian
    _ = unsafe withUnsafePointer(to: &name) {
      unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe Glibc.connect(own, __CONST_SOCKADDR_ARG(__sockaddr__: $0), socklen_t(MemoryLayout<sockaddr_in6>.size))
      }
    }
    return own
  }
}

/// A listener that takes whoever comes.
private final class Stream {
  private let socket: LoopbackSocket
  var port: UInt16 { socket.port }

  init() throws {
    socket = try LoopbackSocket(SOCK_STREAM)
    guard listen(socket.descriptor, 64) == 0 else { throw Errno.current }
  }
}

/// A DNS server that never answers, and a listener whose queue is full: the kernel drops what comes to it.
private final class Silence {
  private let datagrams: LoopbackSocket
  private let listener: LoopbackSocket
  private var waiting: [Int32] = []
  var port: UInt16 { datagrams.port }
  var stream: UInt16 { listener.port }

  init() throws {
    datagrams = try LoopbackSocket(SOCK_DGRAM)
    listener = try LoopbackSocket(SOCK_STREAM)
    guard listen(listener.descriptor, 0) == 0 else { throw Errno.current }
    for _ in 0..<4 { waiting.append(listener.knock()) }
  }

  deinit { for descriptor in waiting { close(descriptor) } }
}

extension MIF {
  fileprivate static func transaction(_ identifier: UInt32) -> [UInt8] {
    bytes(UInt16(1)) + bytes(UInt16(7)) + bytes(identifier)
  }
  fileprivate static func name(_ text: String) -> [UInt8] {
    let text = Array(text.utf8)
    let padding = (8 - text.count % 8) % 8
    return bytes(UInt16((8 + text.count + padding) / 8)) + bytes(UInt16(6)) + bytes(UInt16(text.count)) + [0, 0] + text
      + [UInt8](repeating: 0, count: padding)
  }
  /// ENDPOINT, TCP over IPv6.
  fileprivate static func destination(_ address: [UInt8], port: UInt16, scope: UInt32) -> [UInt8] {
    bytes(UInt16(5)) + bytes(UInt16(8)) + [6, 1, 0, 0] + bytes(UInt16(10)) + [UInt8(port >> 8), UInt8(port & 0xFF)]
      + [0, 0, 0, 0] + address + bytes(scope) + [0, 0, 0, 0]
  }
}
