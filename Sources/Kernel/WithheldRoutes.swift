import CLinux
import CNetlink
package import Platform
package import Provisioning
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

  /// Takes all default routes of a family away by which packets leave `via` an interface and a router. ESRCH where there is
  /// none, EOPNOTSUPP where one has other next hops as well.
  package func withhold(_ family: Family, via: RouteVia) throws(Errno) {
    var header = rtmsg()
    header.rtm_family = RouteChanges.number(family)
    header.rtm_table = UInt8(RT_TABLE_MAIN.rawValue)
    let found = try exchange.list(Int32(RTM_GETROUTE), header, limit: RouteChanges.listLimit) { message in
      ListedRoute(message).flatMap { $0.isDefaultOfMain && $0.leads(via) ? $0 : nil }
    }
    if found.isEmpty { throw Errno(rawValue: ESRCH) }
    if found.contains(where: { !$0.hops.isEmpty }) { throw Errno(rawValue: EOPNOTSUPP) }
    do throws(Errno) {
      for route in found {
        let table = RouteChanges.firstTable | UInt32(route.owner)
        try add(route, owner: RouteChanges.owner, table: table, to: route.family.unspecified)
        try delete(route, to: nil)
        withheld.append(route.asTold(via, route.owner))
      }
    } catch {
      _ = try giveBack(family, via: via)
      throw error
    }
  }

  /// Gives them back.
  /// - Returns: those that could not be, because their address or link is gone meanwhile.
  package func giveBack(_ family: Family, via: RouteVia) throws(Errno) -> [DefaultRoute] {
    var lost = withheld.filter { $0.family == family && $0.interface == via.interface && $0.gateway == via.gateway }
    withheld.removeAll { lost.contains($0) }
    for route in try listOwn() where route.family == family && route.leads(via) {
      guard let owner = RouteChanges.ownerOfWithheld(route.table) else { continue }
      if try giveBack(route, owner) { lost.removeAll { $0 == route.asTold(via, owner) } }
    }
    return lost
  }

  /// False where it went with its address or link.
  func giveBack(_ route: ListedRoute, _ owner: UInt8) throws(Errno) -> Bool {
    var isBack = true
    do throws(Errno) {
      try add(route, owner: owner, table: UInt32(RT_TABLE_MAIN.rawValue), to: nil)
    } catch {
      // Or whoever added it has done so again.
      isBack = error == .exists
      let isGone = [ENETUNREACH, ENETDOWN, EINVAL, ENODEV, EHOSTUNREACH].contains(error.rawValue)
      if !isBack, !isGone { throw error }
    }
    try delete(route, to: route.family.unspecified)
    return isBack
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
    // Among default routes beside what stands there, which is somebody else's; where they are kept none beside another,
    // which IPv6 would make one route of.
    let flags = NLM_F_ACK | NLM_F_CREATE | (destination == nil ? 0 : NLM_F_EXCL)
    try exchange.ask(Int32(RTM_NEWROUTE), flags, header) { request in
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

extension ListedRoute {
  fileprivate var isDefaultOfMain: Bool { isDefault && isUnicast && table == UInt32(RT_TABLE_MAIN.rawValue) }

  /// As the kernel's news of it tells it.
  fileprivate func asTold(_ via: RouteVia, _ owner: UInt8) -> DefaultRoute {
    DefaultRoute(
      interface: via.interface, family: family, gateway: via.gateway, metric: metric, origin: owner,
      preferredSource: self.via?.source)
  }

  /// Whether it, or one of its next hops, leads there.
  fileprivate func leads(_ via: RouteVia) -> Bool {
    hops.contains { $0.interface == via.interface && $0.gateway == via.gateway }
      || self.via?.interface == via.interface && self.via?.gateway == via.gateway
  }
}

extension Family {
  fileprivate var unspecified: IPAddress { self == .v4 ? .v4(.unspecified) : .v6(.unspecified) }
}
