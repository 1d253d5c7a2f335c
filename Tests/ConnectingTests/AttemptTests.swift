import CLinux
import Connecting
import Platform
import Testing
import Wire

/// Attempts under way, and what is handed over.
@Suite(.serialized, .enabled(if: canMakeNamespaces, "needs root, unshare and iproute2"))
struct AttemptTests {
  // MARK: Time

  @Test(arguments: ["203.0.113.3", "2001:db8:bad::3"]) func blackHole(_ destination: String) throws {
    let network = try Network()
    let bench = try Bench(network)
    let start = Clock.bootTime()
    let late = try bench.connect(destination, 80, seconds: 0.4)
    let soon = try bench.connect(destination, 80, seconds: 0.2)
    #expect(bench.deadline.map { $0 - start < 300_000_000 } == true)
    try bench.run()
    #expect(try bench.failure(soon) == ConnectFailure(ETIMEDOUT, .timeOut))
    #expect(bench.results[late] == nil)
    try bench.run()
    #expect(try bench.failure(late) == ConnectFailure(ETIMEDOUT, .timeOut))
    #expect((400_000_000..<600_000_000).contains(Clock.bootTime() - start))
    #expect(bench.deadline == nil)
    #expect(bench.counter("connector.timed-out") == 2)
    #expect(try network.sockets(expected: 0) == 0)
  }

  /// The kernel gives up by itself where it is told to before we do.
  @Test func theKernelsOwnPatience() throws {
    let network = try Network()
    try network.host.inside {
      try shell("echo 1 > /proc/sys/net/ipv4/tcp_syn_retries; echo 0 > /proc/sys/net/ipv4/tcp_syn_linear_timeouts")
    }
    let bench = try Bench(network)
    #expect(try bench.failing("203.0.113.3") == ConnectFailure(ETIMEDOUT, .timeOut))
  }

  @Test func forEver() throws {
    let bench = try Bench(try Network())
    let key = try bench.connect("203.0.113.3", 80, seconds: 18_446_744_073)
    #expect(bench.deadline == .max)
    bench.cancel(key)
    #expect(bench.deadline == nil)
  }

  // MARK: Cancelling

  @Test func cancelled() throws {
    let network = try Network()
    let bench = try Bench(network)
    let listener = try network.isps[0].inside { try Peer(.tcp, port: 80) }
    // Under way;
    let waiting = try bench.connect("203.0.113.3", 80, seconds: 0.3)
    bench.cancel(waiting)
    // connected as the kernel sees it, which nobody here has heard of yet;
    let through = try bench.connect("198.51.100.1", 80)
    let events = try bench.events()
    #expect(events.count == 1)
    bench.cancel(through)
    let peer = try #require(try listener.accept())
    #expect(try peer.hear() == "")
    // unknown.
    bench.cancel(4711)
    // Its place is another's now, and the old event none of that one's.
    let next = try bench.connect("203.0.113.3", 81, seconds: 0.3)
    bench.replay(events)
    #expect(bench.results.isEmpty)
    try bench.run(seconds: 1)
    #expect(bench.results.count == 1)
    #expect(try bench.failure(next).origin == .timeOut)
    #expect(bench.counter("connector.cancelled") == 2)
    #expect(try network.sockets(expected: 0) == 0)
  }

  /// Its result is there, and nobody has taken it.
  @Test func cancelledAtTheLastMoment() throws {
    let network = try Network()
    var connector = Connector(tokenBase: 1 << 60, settings: Connector.Settings())
    let poller = try Poller()
    let interface = try network.index(0)
    try network.host.inside {
      for key in 1...3 as ClosedRange<UInt64> {
        let order = ConnectOrder(
          key: key, transport: .udp, destination: IPAddress("198.51.100.1")!, port: 443,
          source: IPAddress("192.168.1.10")!, interface: interface, timeout: 1)
        connector.connect(order, at: Clock.bootTime(), poller)
      }
    }
    #expect(connector.nextResult()?.key == 1)
    connector.cancel(key: 2)
    connector.cancel(key: 1)
    #expect(connector.nextResult()?.key == 3)
    #expect(connector.nextResult() == nil)
    #expect(try network.sockets(expected: 0) == 0)
  }

  @Test func theSourceGoes() throws {
    let network = try Network()
    let bench = try Bench(network)
    var keys: [UInt64] = []
    for uplink in [0, 1] { keys.append(try bench.connect("203.0.113.3", 80, uplink: uplink, seconds: 0.5)) }
    try network.host.inside { try shell("ip addr del 192.168.1.10/24 dev up0") }
    try bench.withdraw("192.168.1.10", uplink: 0)
    #expect(bench.results.count == 1)
    #expect(try bench.failure(keys[0]) == ConnectFailure(EADDRNOTAVAIL, .local))
    // The other uplink's address of the same name stays.
    try bench.run()
    #expect(try bench.failure(keys[1]).origin == .timeOut)
    // Where nobody says so, time does.
    let unsaid = try bench.connect("203.0.113.3", 80, uplink: 1, seconds: 0.3)
    try network.host.inside { try shell("ip addr del 192.168.1.10/24 dev up1") }
    try bench.run()
    #expect(try bench.failure(unsaid).origin == .timeOut)
    #expect(try bench.failing("198.51.100.1", uplink: 1) == ConnectFailure(EADDRNOTAVAIL, .local))
    #expect(try network.sockets(expected: 0) == 0)
  }

  @Test func theLinkGoes() throws {
    let network = try Network()
    let bench = try Bench(network)
    let key = try bench.connect("203.0.113.3", 80, uplink: 1, seconds: 0.3)
    try network.host.inside { try shell("ip link del up1") }
    try bench.run()
    #expect(try bench.failure(key).origin != .peer)
    #expect(try network.sockets(expected: 0) == 0)
  }

  // MARK: Many

  @Test func aThousandUnderWay() throws {
    clinux_raise_descriptor_limit()
    let network = try Network()
    let bench = try Bench(network, limit: 1000)
    let listener = try network.isps[0].inside { try Peer(.tcp, port: 80) }
    let start = Clock.bootTime()
    var keys: [UInt64] = []
    for port in 1...1000 as ClosedRange<UInt16> { keys.append(try bench.connect("203.0.113.3", port, seconds: 3)) }
    #expect(bench.counter("connector.under-way") == 1000)
    #expect(try network.sockets(expected: 1000) == 1000)
    // One more is refused; UDP needs no place.
    let surplus = try bench.connect("198.51.100.1", 80)
    #expect(try bench.failure(surplus) == ConnectFailure(ENOBUFS, .local))
    #expect(bench.counter("connector.full") == 1)
    _ = try bench.socket(try bench.connect("198.51.100.1", 80, .udp))
    bench.drop()
    for key in keys.prefix(300) { bench.cancel(key) }
    // In the places that are free now others come through meanwhile.
    for _ in 0..<300 {
      let key = try bench.connect("198.51.100.1", 80)
      if bench.results[key] == nil { try bench.run() }
      _ = try bench.socket(key)
      #expect(try listener.accept() != nil)
      bench.drop()
    }
    #expect(bench.counter("connector.under-way") == 700)
    try bench.run(700)
    #expect(bench.results.count == 700)
    for key in keys.dropFirst(300) { #expect(try bench.failure(key) == ConnectFailure(ETIMEDOUT, .timeOut)) }
    #expect(Clock.bootTime() - start < 6_000_000_000)
    #expect(bench.counter("connector.under-way") == 0)
    #expect(bench.counter("connector.orders") == 1302)
    #expect(bench.counter("connector.connected") == 301)
    #expect(bench.counter("connector.cancelled") == 300)
    #expect(bench.counter("connector.timed-out") == 700)
    #expect(try network.sockets(expected: 0) == 0)
  }

  /// Refused, unreachable, prohibited, cancelled, connected, again and again.
  @Test func nothingIsLostOverTime() throws {
    let network = try Network()
    let bench = try Bench(network)
    let listener = try network.isps[1].inside { try Peer(.tcp, port: 80) }
    for round in 0..<200 {
      let destination = ["198.51.100.1", "2001:db8:ffff::1"][round % 2]
      let connected = try bench.connect(destination, 80, uplink: 1)
      let refused = try bench.connect(destination, 81, uplink: 1)
      let unreachable = try bench.connect("2001:db8:bad::2", 80, uplink: 1)
      bench.cancel(try bench.connect("203.0.113.3", 80, uplink: 1))
      if bench.results.count < 3 { try bench.run(3 - bench.results.count) }
      #expect(try listener.accept() != nil)
      _ = try bench.socket(connected)
      #expect(try bench.failure(refused).origin == .peer)
      #expect(try bench.failure(unreachable).origin == .icmpv6)
      bench.drop()
    }
    #expect(bench.counter("connector.under-way") == 0)
    #expect(try network.sockets(expected: 0) == 0)
  }
}
