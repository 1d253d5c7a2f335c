import Provisioning
import Wire

/// One next hop of a route (rtnexthop, or RTA_OIF and RTA_GATEWAY).
struct Hop: Hashable, Sendable {
  var interface: UInt32
  /// nil: on-link. An IPv4 route may have an IPv6 gateway (RTA_VIA, RFC 5549).
  var gateway: IPAddress?
  /// RTNH_F_DEAD: its interface is down.
  var isDead = false

  func isSame(as other: Hop) -> Bool { interface == other.interface && gateway == other.gateway }
}

/// Which routes replace each other: those that the kernel keeps in one place.
struct RouteKey: Hashable, Sendable {
  var family: Family
  /// RT_TABLE_*.
  var table: UInt32
  var metric: UInt32
  var typeOfService: UInt8 = 0
  /// The source prefix of an IPv6 source-specific route; length 0 for all others.
  var source: IPPrefix
}

/// A default route as rtnetlink tells it.
struct Route: Sendable {
  var key: RouteKey
  /// RTN_UNICAST; a blackhole or an unreachable route is held because it replaces one, and is never told.
  var isUnicast: Bool
  var origin: UInt8
  var preferredSource: IPAddress?
  /// RTA_NH_ID, 0 for none.
  var nexthopObject: UInt32 = 0
  var hops: [Hop]

  func isSame(as other: Route) -> Bool {
    guard key == other.key, isUnicast == other.isUnicast, origin == other.origin,
      preferredSource == other.preferredSource, nexthopObject == other.nexthopObject, hops.count == other.hops.count
    else { return false }
    for index in hops.indices where !hops[index].isSame(as: other.hops[index]) { return false }
    return true
  }
}
