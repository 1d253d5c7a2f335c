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
    let found = try defaults(family, via: via)
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

  private func defaults(_ family: Family, via: RouteVia) throws(Errno) -> [ListedRoute] {
    var header = rtmsg()
    header.rtm_family = RouteChanges.number(family)
    header.rtm_table = UInt8(RT_TABLE_MAIN.rawValue)
    return try exchange.list(Int32(RTM_GETROUTE), header, limit: RouteChanges.listLimit) { message in
      ListedRoute(message).flatMap { $0.isDefaultOfMain && $0.leads(via) ? $0 : nil }
    }
  }

  /// Gives them back.
  /// - Returns: those that are not there as they were: `gone` with their address or link, or `replaced`.
  package func giveBack(
    _ family: Family, via: RouteVia
  ) throws(Errno) -> (gone: [DefaultRoute], replaced: [DefaultRoute]) {
    var gone = withheld.filter { $0.family == family && $0.interface == via.interface && $0.gateway == via.gateway }
    var replaced: [DefaultRoute] = []
    withheld.removeAll { gone.contains($0) }
    for route in try listOwn() where route.family == family && route.leads(via) {
      guard let owner = RouteChanges.ownerOfWithheld(route.table) else { continue }
      let former = route.asTold(via, owner)
      guard try giveBack(route, owner) else { continue }
      gone.removeAll { $0 == former }
      if substitutes.contains(where: { $0.leads(via) }) { replaced.append(former) }
    }
    return (gone, replaced)
  }

  /// To be called with each default route that comes: what only stands for it is taken away.
  package func hear(_ route: DefaultRoute) throws(Errno) {
    guard route.isAdvertised else { return }
    let via = RouteVia(interface: route.interface, gateway: route.gateway, source: nil)
    for substitute in substitutes where substitute.leads(via) && substitute.metric != route.metric {
      substitutes.removeAll { $0.leads(via) }
      try delete(substitute, to: nil)
    }
  }

  /// A route that the kernel had from an advertisement it can't be given as such: it would take the next one's for the
  /// same, add none, and pass over all else that the advertisement says. So it gets another metric, and ends with the
  /// lifetime that it has left, or when the kernel's own comes.
  private func substitute(_ route: ListedRoute, _ owner: UInt8) throws(Errno) {
    guard let via = route.via, try !defaults(route.family, via: via).contains(where: { $0.owner == owner }) else {
      return
    }
    let substitute = route.substitute(owner)
    try add(substitute, owner: owner, table: substitute.table, to: nil)
    substitutes.removeAll { $0.leads(via) }
    substitutes.append(substitute)
  }

  /// False where it went with its address or link.
  func giveBack(_ route: ListedRoute, _ owner: UInt8) throws(Errno) -> Bool {
    var isBack = true
    do throws(Errno) {
      if route.family == .v6, owner == RoutingProtocol.advertisement {
        try substitute(route, owner)
      } else {
        try add(route, owner: owner, table: UInt32(RT_TABLE_MAIN.rawValue), to: nil)
      }
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
      RouteChanges.fill(&request, route, table, destination)
      if let lifetime = route.lifetime { request.put(RTA_EXPIRES, lifetime) }
    }
  }

  private func delete(_ route: ListedRoute, to destination: IPAddress?) throws(Errno) {
    var header = route.header
    header.rtm_table = UInt8(RT_TABLE_UNSPEC.rawValue)
    header.rtm_flags = 0
    header.rtm_dst_len = destination?.family.width ?? 0
    try deleteIfThere(Int32(RTM_DELROUTE), header) { request in
      RouteChanges.fill(&request, route, route.table, destination)
    }
  }

  private static func fill(
    _ request: inout Request, _ route: ListedRoute, _ table: UInt32, _ destination: IPAddress?
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
