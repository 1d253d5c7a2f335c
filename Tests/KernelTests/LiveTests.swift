import Foundation
import Kernel
import Provisioning
import Testing
import Wire

/// Real changes by `ip`, seen through a real route socket.
@Suite("Kernel, live", .serialized, .enabled(if: hasRoot, "needs root: network namespaces"))
struct LiveTests {
  /// A veth pair with its ends up and their carrier seen.
  static func pair(_ a: String, _ b: String) throws {
    try ip("link add \(a) type veth peer name \(b)")
    try ip("link set \(a) up")
    try ip("link set \(b) up")
    // The kernel makes a carrier known up to a second later.
    for name in [a, b] {
      let end = bootTime() + 5_000_000_000
      while try !ip("-o link show \(name)").contains("state UP") {
        guard bootTime() < end else { throw Failure("\(name): no carrier") }
        usleep(5000)
      }
    }
  }

  @Test("what was there before is a snapshot, links before addresses before routes")
  func snapshot() async throws {
    try await inNamespace {
      try Self.pair("up1", "peer1")
      try ip("address add 192.0.2.1/24 dev up1")
      try ip("address add 2001:db8::1/64 dev up1 nodad")
      try ip("route add default via 192.0.2.254")
      try ip("-6 route add default via 2001:db8::fe")
      let observer = try Observer(waiting: false)
      try observer.wait("the snapshot") { $0.snapshots == 1 }
      let lines = observer.take()
      #expect(lines.last == "snapshot")
      #expect(
        lines.filter { $0.contains("192.0.2") || $0.contains("2001:db8") || $0.hasPrefix("link up1") } == [
          "link up1 up carrier", "address up1 192.0.2.1/24", "address up1 2001:db8::1/64",
          "route v4 up1 192.0.2.254", "route v6 up1 2001:db8::fe metric 1024",
        ])
      try observer.expectTruth()
      try observer.settle()
      #expect(observer.counter(.resyncs) == 0)
    }
  }

  @Test("a link comes, loses its carrier, is renamed and goes")
  func link() async throws {
    try await inNamespace {
      let observer = try Observer()
      try ip("link add up1 address 02:00:00:00:00:07 mtu 1400 type veth peer name peer1")
      try observer.waitForLine("link up1 down")
      let link = try #require(observer.links.values.first { observer.name($0.index) == "up1" })
      #expect(link.mtu == 1400)
      #expect(link.hardwareAddress == 0x0200_0000_0007_0000)
      #expect(link.hardwareAddressLength == 6)
      #expect(!link.isLoopback && !link.isPointToPoint)
      try ip("link set up1 up")
      try ip("link set peer1 up")
      try observer.waitForLine("link up1 up carrier")
      _ = observer.take()
      try ip("link set peer1 down")
      try observer.waitForLine("link up1 up")
      try ip("link set up1 name wan")
      try observer.waitForLine("link wan up")
      #expect(observer.index("wan") == link.index)
      try ip("link set wan mtu 1300")
      try observer.wait("the MTU") { $0.links[link.index]?.mtu == 1300 }
      try ip("link delete wan")
      try observer.waitForLine("-link wan")
      #expect(observer.links[link.index] == nil)
    }
  }

  @Test("a link deleted with everything on it: down, its routes, its addresses, itself")
  func deletion() async throws {
    try await inNamespace {
      try Self.pair("up1", "peer1")
      try ip("address add 192.0.2.1/24 dev up1")
      try ip("address add 2001:db8::1/64 dev up1 nodad")
      try ip("route add default via 192.0.2.254")
      try ip("-6 route add default via 2001:db8::fe")
      let observer = try Observer()
      try ip("link delete up1")
      try observer.waitForLine("-link up1")
      let lines = observer.take(about: "up1")
      let order = lines.map { String($0.prefix { $0 != " " }) }
      #expect(order == ["link", "-route", "-route", "-address", "-address", "-link"], "\(lines)")
      #expect(lines.first == "link up1 down")
    }
  }

  @Test("deleted and made again at once, under the same name: two links, each in order")
  func recreation() async throws {
    try await inNamespace {
      try Self.pair("up1", "peer1")
      try ip("address add 192.0.2.1/24 dev up1")
      let observer = try Observer()
      let old = try #require(observer.index("up1"))
      for _ in 0..<20 {
        try ipBatch([
          "link delete up1", "link add up1 type veth peer name peer1", "link set up1 up",
          "address add 192.0.2.1/24 dev up1",
        ])
      }
      try observer.settle()
      let new = try #require(observer.index("up1"))
      #expect(new != old)
      #expect(observer.lines.filter { $0 == "-link up1" }.count == 20)
      #expect(observer.lines.filter { $0 == "-address up1 192.0.2.1/24" }.count == 20)
      #expect(observer.lines.filter { $0 == "address up1 192.0.2.1/24" }.count == 20)
      try observer.expectTruth()
    }
  }

  @Test("a port that leaves its bridge is still a link")
  func bridge() async throws {
    try await inNamespace {
      try Self.pair("up1", "peer1")
      try ip("link add bridge1 type bridge")
      let observer = try Observer()
      let (port, bridge) = (try #require(observer.index("up1")), try #require(observer.index("bridge1")))
      try ip("link set up1 master bridge1")
      try observer.wait("the master") { $0.links[port]?.master == bridge }
      try ip("link set up1 nomaster")
      try observer.wait("no master") { $0.links[port]?.master == 0 }
      try observer.settle()
      #expect(observer.index("up1") != nil)
      #expect(!observer.lines.contains("-link up1"))
    }
  }

  // MARK: Addresses

  @Test("an IPv6 address is tentative until duplicate address detection is done")
  func tentative() async throws {
    try await inNamespace {
      try Self.pair("up1", "peer1")
      try sysctl("net/ipv6/conf/up1/accept_dad", "1")
      try sysctl("net/ipv6/conf/up1/dad_transmits", "1")
      try ip("address add 2001:db8::1/64 dev up1")
      let observer = try Observer(waiting: false)
      try observer.waitForLine("snapshot")
      #expect(observer.lines.contains("address up1 2001:db8::1/64 tentative"))
      try observer.waitForLine("address up1 2001:db8::1/64")
    }
  }

  @Test("a duplicate is told as one")
  func duplicate() async throws {
    try await inNamespace {
      try Self.pair("up1", "peer1")
      try ip("address add 2001:db8::1/64 dev peer1 nodad")
      try sysctl("net/ipv6/conf/up1/accept_dad", "1")
      try sysctl("net/ipv6/conf/up1/dad_transmits", "1")
      let observer = try Observer()
      try ip("address add 2001:db8::1/64 dev up1")
      try observer.waitForLine("address up1 2001:db8::1/64 tentative duplicate")
    }
  }

  @Test("an optimistic address is usable while it is probed (RFC 4429, 3.3)")
  func optimistic() async throws {
    try await inNamespace {
      try Self.pair("up1", "peer1")
      for (name, value) in [
        ("accept_dad", "1"), ("dad_transmits", "3"), ("optimistic_dad", "1"), ("use_optimistic", "1"),
      ] {
        try sysctl("net/ipv6/conf/up1/\(name)", value)
      }
      try ip("address add 2001:db8::1/64 dev up1 optimistic")
      let observer = try Observer(waiting: false)
      try observer.waitForLine("snapshot")
      #expect(try ip("address show dev up1").contains("optimistic"))
      #expect(observer.lines.contains("address up1 2001:db8::1/64"))
    }
  }

  @Test("lifetimes, deprecation and expiry")
  func lifetimes() async throws {
    try await inNamespace {
      try Self.pair("up1", "peer1")
      let observer = try Observer()
      try ip("address add 2001:db8::1/64 dev up1 valid_lft 1000 preferred_lft 500")
      try observer.waitForLine("address up1 2001:db8::1/64 1000 s")
      #expect(observer.addresses.values.joined().contains { $0.value.preferredLifetime == 500 })
      _ = observer.take()
      // The same lifetimes again: they run anew, which is news.
      try ip("address change 2001:db8::1/64 dev up1 valid_lft 1000 preferred_lft 500")
      try observer.waitForLine("address up1 2001:db8::1/64 1000 s")
      try ip("address change 2001:db8::1/64 dev up1 valid_lft 1000 preferred_lft 0")
      try observer.waitForLine("address up1 2001:db8::1/64 deprecated 1000 s")
      try ip("address add 192.0.2.1/24 dev up1 valid_lft 1 preferred_lft 1")
      try observer.waitForLine("-address up1 192.0.2.1/24", seconds: 10)
    }
  }

  @Test("point-to-point: the local end is ours, and stands until the last peer is gone")
  func pointToPoint() async throws {
    try await inNamespace {
      try Self.pair("up1", "peer1")
      let observer = try Observer()
      try ip("address add 192.0.2.1 peer 192.0.2.2 dev up1")
      try ip("address add 192.0.2.1 peer 192.0.2.3 dev up1")
      try ip("address add 2001:db8::1 peer 2001:db8::2 dev up1")
      try observer.settle()
      #expect(observer.heldAddresses.isSuperset(of: ["up1 192.0.2.1/32", "up1 2001:db8::1/128"]))
      try ip("address delete 192.0.2.1 peer 192.0.2.2 dev up1")
      try observer.settle()
      #expect(!observer.lines.contains("-address up1 192.0.2.1/32"))
      try ip("address delete 192.0.2.1 peer 192.0.2.3 dev up1")
      try observer.waitForLine("-address up1 192.0.2.1/32")
    }
  }

  @Test("10,000 addresses come and go in time that does not grow with their square")
  func manyAddresses() async throws {
    try await inNamespace {
      try Self.pair("up1", "peer1")
      let observer = try Observer()
      let list = (0..<10_000).map { "10.\($0 >> 16).\($0 >> 8 & 255).\($0 & 255)/32" }
      try ipBatch(list.map { "address add \($0) dev up1" })
      try observer.settle()
      #expect(observer.heldAddresses.count == 10_000 + 2)
      try ip("address flush dev up1")
      try observer.settle()
      #expect(observer.heldAddresses.count == 2)
      #expect(observer.counter(.addressesRefused) == 0)
    }
  }

  // MARK: Neighbours

  @Test("a gateway that answers is reachable; one that stops is failed")
  func gateway() async throws {
    try await inNamespace {
      try Self.pair("up1", "peer1")
      try ip("address add 192.0.2.1/24 dev up1")
      try ip("neighbour add 192.0.2.254 lladdr 02:00:00:00:00:01 nud reachable dev up1")
      let observer = try Observer()
      // The neighbour was there before it was anyone's gateway: it is asked for.
      try ip("route add default via 192.0.2.254")
      try observer.waitForLine("neighbour up1 192.0.2.254 reachable")
      try sysctl("net/ipv4/neigh/up1/retrans_time_ms", "50")
      try ip("neighbour delete 192.0.2.254 dev up1")
      try observer.waitForLine("neighbour up1 192.0.2.254 unknown")
      // Nobody at the other end has this address.
      _ = try? shell("ping -c 1 -W 1 192.0.2.254")
      try observer.waitForLine("neighbour up1 192.0.2.254 failed")
      _ = observer.take()
      // The kernel asks again at the next packet: that alone is nothing in its favour.
      _ = try? shell("ping -c 1 -W 1 192.0.2.254")
      try observer.settle()
      #expect(observer.take().isEmpty)
      try ip("neighbour replace 192.0.2.254 lladdr 02:00:00:00:00:01 nud reachable dev up1")
      try observer.waitForLine("neighbour up1 192.0.2.254 reachable")
    }
  }

  @Test("neighbours that are nobody's gateway don't even wake us; IPv6 routers do")
  func strangers() async throws {
    try await inNamespace {
      try Self.pair("up1", "peer1")
      try ip("address add 192.0.2.1/24 dev up1")
      try ip("address add 2001:db8::1/64 dev up1 nodad")
      try ip("route add default via 192.0.2.254")
      try ip("-6 route add default via 2001:db8::fe")
      let observer = try Observer()
      try observer.settle()
      let before = observer.counter(.datagrams)
      try ipBatch((1..<100).map { "neighbour add 192.0.2.\($0 + 1) lladdr 02:00:00:00:00:01 nud reachable dev up1" })
      try ipBatch((1..<100).map { "neighbour add 2001:db8::1:\($0) lladdr 02:00:00:00:00:01 nud reachable dev up1" })
      try observer.settle()
      #expect(observer.counter(.datagrams) == before)
      try ip("neighbour add 2001:db8::fe lladdr 02:00:00:00:00:01 nud reachable dev up1")
      try observer.waitForLine("neighbour up1 2001:db8::fe reachable")
      try ip("neighbour add 2001:db8::7 lladdr 02:00:00:00:00:01 nud reachable router dev up1")
      try observer.waitForLine("neighbour up1 2001:db8::7 reachable")
    }
  }

  @Test("more gateways than the filter names: all of them are still followed")
  func manyGateways() async throws {
    try await inNamespace {
      try Self.pair("up1", "peer1")
      try ip("address add 192.0.2.1/24 dev up1")
      let observer = try Observer()
      try ipBatch((2..<42).map { "route add default via 192.0.2.\($0) metric \($0)" })
      try observer.settle()
      try ipBatch((2..<42).map { "neighbour add 192.0.2.\($0) lladdr 02:00:00:00:00:01 nud reachable dev up1" })
      try observer.settle()
      #expect(observer.neighbours.values.filter { $0 == .reachable }.count == 40)
    }
  }
}
