import CNetlink
import Foundation
import Kernel
import Provisioning
import Testing
import Wire

/// Default routes: what the kernel tells of them, and what it doesn't.
@Suite("Default routes, live", .serialized, .enabled(if: hasRoot, "needs root: network namespaces"))
struct LiveRouteTests {
  /// Two uplinks with both families' addresses.
  static func uplinks() throws {
    for number in 1...2 {
      try LiveTests.pair("up\(number)", "peer\(number)")
      try ip("address add 192.0.\(number).1/24 dev up\(number)")
      try ip("address add 2001:db8:\(number)::1/64 dev up\(number) nodad")
    }
  }

  struct Story: Sendable, CustomTestStringConvertible {
    var name: String
    /// A command, and the lines about routes that it brings.
    var steps: [(String, [String])]
    var testDescription: String { name }
    init(_ name: String, _ steps: [(String, [String])]) {
      self.name = name
      self.steps = steps
    }
  }

  static let stories = [
    Story(
      "IPv4: added, replaced, deleted",
      [
        ("route add default via 192.0.1.254", ["route v4 up1 192.0.1.254"]),
        ("route replace default via 192.0.1.253", ["route v4 up1 192.0.1.253", "-route v4 up1 192.0.1.254"]),
        ("route delete default", ["-route v4 up1 192.0.1.253"]),
      ]),
    Story(
      "IPv6: added, replaced, deleted",
      [
        ("-6 route add default via 2001:db8:1::fe", ["route v6 up1 2001:db8:1::fe metric 1024"]),
        (
          "-6 route replace default via 2001:db8:1::fd",
          ["route v6 up1 2001:db8:1::fd metric 1024", "-route v6 up1 2001:db8:1::fe metric 1024"]
        ),
        ("-6 route delete default", ["-route v6 up1 2001:db8:1::fd metric 1024"]),
      ]),
    Story(
      "IPv4: appended routes stand beside the first",
      [
        ("route add default via 192.0.1.254", ["route v4 up1 192.0.1.254"]),
        ("route append default via 192.0.2.254", ["route v4 up2 192.0.2.254"]),
        ("route delete default via 192.0.2.254", ["-route v4 up2 192.0.2.254"]),
        ("route append default via 192.0.2.254", ["route v4 up2 192.0.2.254"]),
        ("route delete default via 192.0.1.254", ["-route v4 up1 192.0.1.254"]),
      ]),
    Story(
      "IPv4: of two with one metric, the message doesn't say which one is replaced",
      [
        ("route add default via 192.0.1.254", ["route v4 up1 192.0.1.254"]),
        ("route append default via 192.0.2.254", ["route v4 up2 192.0.2.254"]),
        ("route replace default via 192.0.1.253", ["route v4 up1 192.0.1.253", "-route v4 up1 192.0.1.254"]),
      ]),
    Story(
      "IPv4: multipath, one next hop's link goes down and comes back",
      [
        (
          "route add default nexthop via 192.0.1.254 nexthop via 192.0.2.254",
          ["route v4 up1 192.0.1.254", "route v4 up2 192.0.2.254"]
        ),
        ("link set up1 down", ["-route v4 up1 192.0.1.254"]),
        ("link set up1 up", ["route v4 up1 192.0.1.254"]),
        ("link set up2 down", ["-route v4 up2 192.0.2.254"]),
        ("link set up1 down", ["-route v4 up1 192.0.1.254"]),
        ("link set up1 up", []),
        ("link set up2 up", []),
      ]),
    Story(
      "IPv6: multipath, appended, one deleted",
      [
        (
          "-6 route add default nexthop via 2001:db8:1::fe nexthop via 2001:db8:2::fe",
          ["route v6 up1 2001:db8:1::fe metric 1024", "route v6 up2 2001:db8:2::fe metric 1024"]
        ),
        ("-6 route append default via 2001:db8:2::fd", ["route v6 up2 2001:db8:2::fd metric 1024"]),
        ("-6 route delete default via 2001:db8:1::fe", ["-route v6 up1 2001:db8:1::fe metric 1024"]),
        (
          "-6 route replace default via 2001:db8:1::fe",
          [
            "route v6 up1 2001:db8:1::fe metric 1024", "-route v6 up2 2001:db8:2::fd metric 1024",
            "-route v6 up2 2001:db8:2::fe metric 1024",
          ]
        ),
      ]),
    Story(
      "IPv6: multipath, one next hop's link goes down and comes back",
      [
        ("address add fe80::1/64 dev up1", []),
        ("address add fe80::1/64 dev up2", []),
        (
          "-6 route add default nexthop via fe80::fe dev up1 nexthop via fe80::fe dev up2",
          ["route v6 up1 fe80::fe metric 1024", "route v6 up2 fe80::fe metric 1024"]
        ),
        ("link set up1 down", ["-route v6 up1 fe80::fe metric 1024"]),
        ("link set up1 up", ["route v6 up1 fe80::fe metric 1024"]),
      ]),
    Story(
      "IPv4: the link goes down, and the same route is made again later",
      [
        ("route add default via 192.0.1.254", ["route v4 up1 192.0.1.254"]),
        ("link set up1 down", ["-route v4 up1 192.0.1.254"]),
        ("link set up1 up", []),
        ("route add default via 192.0.1.254", ["route v4 up1 192.0.1.254"]),
      ]),
    Story(
      "IPv4: the last address goes, and the route with it",
      [
        ("address add 192.0.1.2/24 dev up1", []),
        ("route add default via 192.0.1.254", ["route v4 up1 192.0.1.254"]),
        ("address delete 192.0.1.2/24 dev up1", []),
        ("address delete 192.0.1.1/24 dev up1", ["-route v4 up1 192.0.1.254"]),
      ]),
    Story(
      "IPv4: the preferred source goes, and the route with it",
      [
        ("address add 192.0.1.2/32 dev up1", []),
        ("route add default via 192.0.1.254 src 192.0.1.2", ["route v4 up1 192.0.1.254 src 192.0.1.2"]),
        ("address delete 192.0.1.2/32 dev up1", ["-route v4 up1 192.0.1.254 src 192.0.1.2"]),
      ]),
    Story(
      "IPv6: the preferred source goes, and the route stays without it",
      [
        ("address add 2001:db8:1::2/128 dev up1", []),
        (
          "-6 route add default via 2001:db8:1::fe src 2001:db8:1::2",
          ["route v6 up1 2001:db8:1::fe metric 1024 src 2001:db8:1::2"]
        ),
        (
          "address delete 2001:db8:1::2/128 dev up1",
          ["route v6 up1 2001:db8:1::fe metric 1024", "-route v6 up1 2001:db8:1::fe metric 1024 src 2001:db8:1::2"]
        ),
      ]),
    Story(
      "an IPv4 route through an IPv6 gateway (RFC 5549)",
      [
        ("-4 route add default via inet6 2001:db8:1::fe dev up1", ["route v4 up1 2001:db8:1::fe"])
      ]),
    Story("on-link", [("route add default dev up1", ["route v4 up1 on-link"])]),
    Story(
      "another table, metrics side by side, a blackhole that takes a route's place",
      [
        ("route add default via 192.0.1.254 table 100", ["route v4 up1 192.0.1.254 table 100"]),
        ("route add default via 192.0.1.254 metric 10", ["route v4 up1 192.0.1.254 metric 10"]),
        ("route add default via 192.0.2.254 metric 20", ["route v4 up2 192.0.2.254 metric 20"]),
        ("route replace blackhole default metric 10", ["-route v4 up1 192.0.1.254 metric 10"]),
        ("route delete default via 192.0.1.254 table 100", ["-route v4 up1 192.0.1.254 table 100"]),
      ]),
    Story(
      "only for one type of service: no default route for anybody else",
      [
        ("route add default via 192.0.1.254 tos 0x10", [])
      ]),
    Story(
      "a nexthop object: made, moved, deleted",
      [
        ("nexthop add id 7 via 192.0.1.254 dev up1", []),
        ("route add default nhid 7", ["route v4 up1 192.0.1.254"]),
        ("nexthop replace id 7 via 192.0.2.254 dev up2", ["route v4 up2 192.0.2.254", "-route v4 up1 192.0.1.254"]),
        ("nexthop delete id 7", ["-route v4 up2 192.0.2.254"]),
      ]),
    Story(
      "a group of nexthop objects loses one with its link",
      [
        ("nexthop add id 1 via 192.0.1.254 dev up1", []),
        ("nexthop add id 2 via 192.0.2.254 dev up2", []),
        ("nexthop add id 10 group 1/2", []),
        ("route add default nhid 10", ["route v4 up1 192.0.1.254", "route v4 up2 192.0.2.254"]),
        ("link set up1 down", ["-route v4 up1 192.0.1.254"]),
        ("link set up1 up", []),
        ("nexthop add id 3 via 192.0.1.253 dev up1", []),
        ("nexthop replace id 10 group 2/3", ["route v4 up1 192.0.1.253"]),
        ("nexthop delete id 2", ["-route v4 up2 192.0.2.254"]),
      ]),
  ]

  @Test(arguments: stories)
  func story(_ story: Story) async throws {
    try await inNamespace {
      try Self.uplinks()
      let observer = try Observer()
      try observer.settle()
      _ = observer.take()
      for (command, expected) in story.steps {
        try ip(command)
        try observer.settle(milliseconds: 20)
        let told = observer.take().filter { $0.hasPrefix("route") || $0.hasPrefix("-route") }
        #expect(told.sorted() == expected.sorted(), "\(command)")
        try observer.expectTruth(command)
      }
    }
  }

  @Test("the kernel says nothing of an IPv4 route that goes with its link: the removal is derived")
  func silence() async throws {
    try await inNamespace {
      try Self.uplinks()
      try ip("route add default via 192.0.1.254")
      let observer = try Observer()
      // A socket with nothing of ours on it hears of the routes that are told, and not of this one.
      let bare = try BareSocket(group: RTNLGRP_IPV4_ROUTE)
      try ip("link set up1 down")
      #expect(bare.receive() == 0)
      try ip("route add default via 192.0.2.254")
      #expect(bare.receive() == 1)
      try observer.waitForLine("-route v4 up1 192.0.1.254")
      let lines = observer.take(about: "up1")
      #expect(lines.firstIndex(of: "link up1 down")! < lines.firstIndex(of: "-route v4 up1 192.0.1.254")!)
      try observer.expectTruth()
    }
  }

  @Test("20,000 routes are neither told nor held nor woken up for")
  func bigTable() async throws {
    try await inNamespace {
      try Self.uplinks()
      try ip("route add default via 192.0.1.254")
      let observer = try Observer()
      try observer.settle()
      let before = observer.counter(.datagrams)
      try ipBatch((0..<20_000).map { "route add 10.\($0 >> 8).\($0 & 255).0/24 via 192.0.2.254" })
      try observer.settle()
      #expect(observer.counter(.datagrams) == before)
      #expect(observer.take().isEmpty)
      // Seen from the start they have to be read, in bites.
      let second = try Observer(waiting: false)
      var calls = 0
      while second.snapshots == 0 {
        try second.step(limit: 4)
        calls += 1
      }
      #expect(calls > 5)
      #expect(second.counter(.routesSkipped) >= 20_000)
      #expect(second.routes.count == 1)
    }
  }

  @Test("any order of changes ends in what the kernel has", arguments: [1, 2, 3, 4, 5, 6] as [UInt64])
  func random(seed: UInt64) async throws {
    try await inNamespace {
      try Self.uplinks()
      try LiveTests.pair("up3", "peer3")
      let observer = try Observer()
      var random = Generator(state: seed)
      var history: [String] = []
      for _ in 0..<250 {
        let command = Self.command(&random)
        // Many of them the kernel refuses: that is part of it.
        if (try? ip(command)) != nil { history.append(command) }
        if random.next(4) != 0 { continue }
        try observer.expectTruth(history.suffix(12).joined(separator: "; "))
      }
      try observer.settle()
      try observer.expectTruth("at the end: " + history.suffix(12).joined(separator: "; "))
      #expect(observer.counter(.badRoutes) == 0)
    }
  }

  struct Generator {
    var state: UInt64
    mutating func next(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int((state >> 33) % UInt64(bound))
    }
    mutating func pick<T>(_ list: [T]) -> T { list[next(list.count)] }
  }

  static func command(_ random: inout Generator) -> String {
    let link = 1 + random.next(3)
    let verb = random.pick(["add", "add", "replace", "append", "change", "delete", "prepend"])
    let metric = random.pick(["", "", " metric 10", " metric 20 table 100"])
    let four = "192.0.\(link).\(random.pick([250, 251, 252]))"
    let six = "2001:db8:\(link)::\(random.pick(["a", "b", "c"]))"
    let other = 1 + random.next(3)
    switch random.next(16) {
    case 0...3: return "route \(verb) default via \(four) dev up\(link) onlink\(metric)"
    case 4...6: return "-6 route \(verb) default via \(six) dev up\(link) onlink\(metric)"
    case 7:
      return
        "route \(verb) default\(metric) nexthop via \(four) dev up\(link) onlink nexthop via 192.0.\(other).9 dev up\(other) onlink"
    case 8:
      return
        "-6 route \(verb) default\(metric) nexthop via \(six) dev up\(link) onlink nexthop via 2001:db8:\(other)::9 dev up\(other) onlink"
    case 9: return "link set up\(link) \(random.pick(["up", "up", "down"]))"
    case 10:
      return "address \(random.pick(["add", "add", "delete"])) 192.0.\(link).\(random.pick([1, 2]))/24 dev up\(link)"
    case 11: return "address \(random.pick(["add", "delete"])) 2001:db8:\(link)::1/64 dev up\(link)"
    case 12: return "route \(verb) default via \(four) dev up\(link) onlink src 192.0.\(link).\(random.pick([1, 2]))"
    case 13:
      // Of its own metric: a message about a multipath route tells one preferred source for all next hops.
      return
        "-6 route \(random.pick(["add", "replace", "delete"])) default via 2001:db8:\(link)::a dev up\(link) onlink"
        + " metric 77 src 2001:db8:\(link)::1"
    case 14:
      return random.pick(["route", "-6 route"])
        + " \(verb) \(random.pick(["blackhole", "unreachable"])) default\(metric)"
    default:
      return random.pick([
        "route flush default", "-6 route flush default", "address flush dev up\(link)", "-6 route delete default",
        "route delete default",
      ])
    }
  }
}
