import CLinux
import CNetlink
package import Platform
package import Wire

/// Default routes that are taken out of the main table for a moment. Each is kept in a table that nobody looks into, which
/// is named after the protocol that the route had, so that a later process can give it back. It leads to the
/// unspecified address there: charon considers the routes of all tables, whatever the rules say.
extension RouteChanges {
  /// "mg", and the protocol.
  private static var firstTable: UInt32 { 0x6D67_0000 }

  static func ownerOfWithheld(_ table: UInt32) -> UInt8? {
    table & ~0xFF == firstTable ? UInt8(truncatingIfNeeded: table) : nil
  }

  /// Takes the default route away by which packets to `destination` would leave `via` an interface and a router. ESRCH
  /// where there is none.
  package func withhold(_ destination: IPAddress, via: RouteVia) throws(Errno) {
    var header = rtmsg()
    header.rtm_family = RouteChanges.number(destination.family)
    header.rtm_dst_len = destination.family.width
    // The route as it stands in the table, not what comes of it.
    header.rtm_flags = UInt32(RTM_F_FIB_MATCH)
    var found: ListedRoute?
    try exchange.ask(Int32(RTM_GETROUTE), 0, header) { request in
      request.put(RTA_DST, destination)
      request.put(RTA_OIF, via.interface)
    } each: { message in
      found = ListedRoute(message)
    }
    guard let route = found, route.isDefault, route.isUnicast, route.table == UInt32(RT_TABLE_MAIN.rawValue),
      route.via?.interface == via.interface, route.via?.gateway == via.gateway
    else { throw Errno(rawValue: ESRCH) }
    try add(
      route, owner: RouteChanges.owner, table: RouteChanges.firstTable | UInt32(route.owner),
      to: route.family.unspecified)
    try delete(route, to: nil)
  }

  /// Gives all default routes of an interface back.
  package func giveBack(_ family: Family, through interface: UInt32) throws(Errno) {
    for route in try listOwn() where route.family == family && route.via?.interface == interface {
      if let owner = RouteChanges.ownerOfWithheld(route.table) { try giveBack(route, owner) }
    }
  }

  func giveBack(_ route: ListedRoute, _ owner: UInt8) throws(Errno) {
    do throws(Errno) {
      try add(route, owner: owner, table: UInt32(RT_TABLE_MAIN.rawValue), to: nil)
    } catch {
      // Its address or link is gone meanwhile, and it with them; or whoever added it has done so again.
      let isOver = [ENETUNREACH, ENETDOWN, EINVAL, ENODEV, EEXIST, EHOSTUNREACH].contains(error.rawValue)
      if !isOver { throw error }
    }
    try delete(route, to: route.family.unspecified)
  }

  /// - Parameter destination: nil for all.
  private func add(
    _ route: ListedRoute, owner: UInt8, table: UInt32, to destination: IPAddress?
  ) throws(Errno) {
    var header = route.header
    header.rtm_protocol = owner
    header.rtm_flags &= UInt32(RTNH_F_ONLINK)
    header.rtm_table = UInt8(RT_TABLE_UNSPEC.rawValue)
    header.rtm_dst_len = destination?.family.width ?? 0
    // Beside what stands there: another default route is somebody else's.
    try exchange.ask(Int32(RTM_NEWROUTE), NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, header) { request in
      RouteChanges.fill(request, route, table, destination)
      if let lifetime = route.lifetime { request.put(RTA_EXPIRES, lifetime) }
    }
  }

  private func delete(_ route: ListedRoute, to destination: IPAddress?) throws(Errno) {
    var header = route.header
    header.rtm_table = UInt8(RT_TABLE_UNSPEC.rawValue)
    header.rtm_flags = 0
    header.rtm_dst_len = destination?.family.width ?? 0
    try deleteIfThere(Int32(RTM_DELROUTE), header) { request in
      RouteChanges.fill(request, route, route.table, destination)
    }
  }

  private static func fill(
    _ request: borrowing Request, _ route: ListedRoute, _ table: UInt32, _ destination: IPAddress?
  ) {
    for attribute in route.attributes { request.put(attribute.type, bytes: attribute.bytes) }
    if let destination { request.put(RTA_DST, destination) }
    request.put(RTA_TABLE, table)
  }
}

extension Family {
  fileprivate var unspecified: IPAddress { self == .v4 ? .v4(.unspecified) : .v6(.unspecified) }
}
