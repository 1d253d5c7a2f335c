import Foundation
import Kernel
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
    try ip("-4 route show table all proto 201") + ip("-6 route show table all proto 201")
      + ip("-4 rule show proto 201") + ip("-6 rule show proto 201")
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
}
