import Foundation
import Kernel
import Provisioning
import Testing
import Wire

/// Routes that are changed so that packets take another way, and taken back.
@Suite("Changes of routes, live", .serialized, .enabled(if: hasRoot, "needs root: network namespaces"))
struct RouteChangesTests {
  private static func via(_ interface: String, _ gateway: String?, _ source: String?) -> RouteVia {
    RouteVia(
      interface: unsafe if_nametoindex(interface), gateway: gateway.flatMap { IPAddress($0) },
      source: source.flatMap { IPAddress($0) })
  }

  /// What is there with our protocol number, of both families and all tables.
  private static func traces() throws -> String {
    let lists = try ["route show table all", "rule show"].flatMap { list in
      try ["-4", "-6"].map { try ip("\($0) \(list)") }
    }
    return lists.joined().split(separator: "\n").filter { $0.contains("proto 201") }.joined(separator: "\n")
  }

  @Test(arguments: [
    ("IPv4, by a router", "10.9.0.2", "192.0.1.254" as String?, "192.0.1.1"),
    ("IPv4, over a link with two ends", "10.9.0.2", nil, "192.0.1.1"),
    ("IPv6, by a router", "2001:db8:9::2", "2001:db8:1::fe", "2001:db8:1::1"),
    ("IPv6, over a link with two ends", "2001:db8:9::2", nil, "2001:db8:1::1"),
  ])
  func `A host route is taken back`(_ name: String, _ peer: String, _ gateway: String?, _ source: String) async throws {
    try await inNamespace {
      try LiveRouteTests.uplinks()
      let peer = IPAddress(peer)!
      let routes = try RouteChanges()
      try routes.lead(peer, over: Self.via("up1", gateway, source), replacing: false)
      #expect(try Self.traces().contains("dev up1"))
      #expect(try routes.release(peer))
      #expect(try Self.traces() == "")
      #expect(try !routes.release(peer))
      // And by a later process.
      try routes.lead(peer, over: Self.via("up1", gateway, source), replacing: false)
      #expect(try RouteChanges().releaseAll() == 1)
      #expect(try Self.traces() == "")
    }
  }

  @Test func `A way for probes has its table as long as there is a probe, in each family`() async throws {
    try await inNamespace {
      try LiveRouteTests.uplinks()
      let routes = try RouteChanges()
      let link = Self.via("up1", nil, nil)
      let marks = try [Family.v4, .v6].map { try routes.mark(for: link, $0) }
      #expect(marks[0] != marks[1])
      #expect(try routes.mark(for: link, .v6) == marks[1])
      #expect(try ip("-4 rule show").contains("proto 201") && ip("-6 rule show").contains("proto 201"))
      try routes.release(mark: marks[1])
      #expect(try ip("-6 rule show").contains("proto 201"))
      for mark in marks { try routes.release(mark: mark) }
      #expect(try Self.traces() == "")
      // As many as there may be at a time, again and again.
      for number in 1...200 {
        let way = Self.via("up1", "192.0.1.\(number + 1)", nil)
        try routes.release(mark: try routes.mark(for: way, .v4))
      }
      #expect(try Self.traces() == "")
    }
  }

  @Test func `An IPv4 route may have an IPv6 router`() async throws {
    try await inNamespace {
      try LiveRouteTests.uplinks()
      let routes = try RouteChanges()
      let (way, peer) = (Self.via("up1", "fe80::1", nil), IPAddress("10.9.0.2")!)
      try routes.lead(peer, over: way, replacing: false)
      #expect(try Self.traces().contains("10.9.0.2 via inet6 fe80::1 dev up1"))
      #expect(try routes.release(peer))
      let mark = try routes.mark(for: way, .v4)
      #expect(try Self.traces().contains("default via inet6 fe80::1 dev up1"))
      try routes.release(mark: mark)
      #expect(try Self.traces() == "")
    }
  }

  /// In the order that the kernel lists them.
  private static func defaults() throws -> [Substring] {
    try (ip("-4 route show default") + ip("-6 route show default")).split(separator: "\n")
  }

  @Test(arguments: [
    ("IPv4", Family.v4, "-4", "192.0.1.254", "192.0.1.253"),
    ("IPv6", .v6, "-6", "2001:db8:1::fe", "2001:db8:1::fd"),
  ])
  func `Of two routers on a link one is taken away`(
    _ name: String, _ family: Family, _ option: String, _ first: String, _ second: String
  ) async throws {
    try await inNamespace {
      try LiveRouteTests.uplinks()
      try ip("\(option) route add default via \(first) dev up1 metric 10")
      try ip("\(option) route add default via \(second) dev up1 metric 20 proto dhcp")
      let before = try Self.defaults()
      let routes = try RouteChanges()
      for router in [second, first] {
        let way = Self.via("up1", router, nil)
        try routes.withhold(family, via: way)
        #expect(try Self.defaults().filter { !$0.contains(router) }.count == 1)
        #expect(try Self.defaults().count == 1)
        #expect(try routes.giveBack(family, via: way).gone.isEmpty)
        #expect(try Self.defaults() == before)
      }
      #expect(try Self.traces() == "")
      // By a later process.
      try routes.withhold(family, via: Self.via("up1", second, nil))
      #expect(try RouteChanges().releaseAll() == 1)
      #expect(try Self.defaults() == before)
    }
  }

  @Test func `A default route with several next hops is left alone`() async throws {
    try await inNamespace {
      try LiveRouteTests.uplinks()
      try ip("route add default nexthop via 192.0.1.254 dev up1 nexthop via 192.0.2.254 dev up2")
      let before = try Self.defaults()
      let routes = try RouteChanges()
      #expect(throws: (any Error).self) { try routes.withhold(.v4, via: Self.via("up1", "192.0.1.254", nil)) }
      #expect(try Self.defaults() == before)
      #expect(try Self.traces() == "")
    }
  }

  @Test func `A default route that can't be given back is told of`() async throws {
    try await inNamespace {
      try LiveRouteTests.uplinks()
      try ip("route add default via 192.0.1.254 dev up1 metric 10 proto dhcp")
      let routes = try RouteChanges()
      let way = Self.via("up1", "192.0.1.254", nil)
      try routes.withhold(.v4, via: way)
      try ip("address delete 192.0.1.1/24 dev up1")
      #expect(
        try routes.giveBack(.v4, via: way).gone == [
          DefaultRoute(interface: way.interface, family: .v4, gateway: way.gateway, metric: 10, origin: 16)
        ])
      #expect(try Self.traces() == "")
    }
  }

  /// The kernel would pass over advertisements as long as a route of somebody else's is the same as theirs.
  @Test func `A default route of an advertisement gives way to the next one's`() async throws {
    try await inNamespace {
      try LiveRouteTests.uplinks()
      let router = "2001:db8:1::fe"
      try ip("-6 route add default via \(router) dev up1 metric 1024 proto ra expires 1000")
      let routes = try RouteChanges()
      let way = Self.via("up1", router, nil)
      let own = DefaultRoute(interface: way.interface, family: .v6, gateway: way.gateway, metric: 1024, origin: 9)
      try routes.withhold(.v6, via: way)
      #expect(try routes.giveBack(.v6, via: way).replaced == [own])
      #expect(try Self.defaults().count == 1 && Self.defaults()[0].contains("metric 1025 expires"))
      // The substitute's own news.
      var other = own
      other.metric = 1025
      try routes.hear(other)
      #expect(try Self.defaults().count == 1)
      try ip("-6 route add default via \(router) dev up1 metric 1024 proto ra expires 1800")
      try routes.hear(own)
      #expect(try Self.defaults().count == 1 && Self.defaults()[0].contains("metric 1024 expires"))
      // One came while it was away.
      try routes.withhold(.v6, via: way)
      try ip("-6 route add default via \(router) dev up1 metric 1024 proto ra expires 1800")
      let (gone, replaced) = try routes.giveBack(.v6, via: way)
      #expect(gone.isEmpty && replaced.isEmpty)
      #expect(try Self.defaults().count == 1)
      #expect(try Self.traces() == "")
    }
  }
}
