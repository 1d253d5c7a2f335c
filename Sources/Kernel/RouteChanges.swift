import CLinux
import CNetlink
package import Platform
import Provisioning
package import Wire

/// Where the kernel would send a packet, or shall send it.
package struct RouteVia: Hashable, Sendable {
  /// The index of the interface.
  package var interface: UInt32
  /// nil where the destination is on the link.
  package var gateway: IPAddress?
  /// The source address; nil where the kernel names none.
  package var source: IPAddress?

  package init(interface: UInt32, gateway: IPAddress?, source: IPAddress?) {
    self.interface = interface
    self.gateway = gateway
    self.source = source
  }
}

/// Questions to the kernel's routing, and changes of it. All that is added bears `RouteChanges.owner` as its protocol, so
/// that it can be told from everybody else's and found again by a later process. Changes need CAP_NET_ADMIN.
package final class RouteChanges {
  /// RTPROT_*: a number that /etc/iproute2/rt_protos gives to nobody.
  package static let owner: UInt8 = 201
  /// What an IPv6 host route has as its metric: better than what others add without one (1024).
  private static let metric: UInt32 = 1
  /// Routes and rules of one list that are looked at.
  static let listLimit = 4096

  let exchange: NetlinkExchange
  /// Ways that have tables of their own, by the numbers of these.
  var aside: [Way?] = []
  /// Default routes that this process has taken away.
  var withheld: [DefaultRoute] = []
  /// Those that stand for what the kernel had from an advertisement, until it has it from the next one.
  var substitutes: [ListedRoute] = []

  package init() throws(KernelError) { exchange = try NetlinkExchange() }

  // MARK: Questions

  /// Where a packet to `destination` goes; nil where the kernel has no way, or the way ends on this host.
  /// - Parameter source: the address that it is sent from, nil where the kernel may choose.
  package func route(to destination: IPAddress, from source: IPAddress?) -> RouteVia? {
    var header = RouteChanges.header(destination)
    if let source { header.rtm_src_len = source.family.width }
    var found: RouteVia?
    do throws(Errno) {
      try exchange.ask(Int32(RTM_GETROUTE), 0, header) { request in
        request.put(RTA_DST, destination)
        if let source { request.put(RTA_SRC, source) }
      } each: { message in
        if let route = ListedRoute(message), route.isUnicast { found = route.via }
      }
    } catch {
      return nil
    }
    if let source { found?.source = source }
    return found
  }

  // MARK: Host routes

  /// Leads packets to `destination` over another way than the kernel's own; `replacing` the host route that was added
  /// before. EEXIST where somebody else's host route stands there.
  package func lead(_ destination: IPAddress, over via: RouteVia, replacing: Bool) throws(Errno) {
    var header = RouteChanges.hostRoute(destination)
    header.rtm_scope = UInt8(via.gateway == nil ? RT_SCOPE_LINK.rawValue : RT_SCOPE_UNIVERSE.rawValue)
    let flags = NLM_F_ACK | NLM_F_CREATE | (replacing ? NLM_F_REPLACE : NLM_F_EXCL)
    try exchange.ask(Int32(RTM_NEWROUTE), flags, header) { request in
      request.put(RTA_DST, destination)
      request.put(RTA_OIF, via.interface)
      if let gateway = via.gateway { request.put(gateway: gateway, ofRoute: destination.family) }
      if let source = via.source { request.put(RTA_PREFSRC, source) }
      if destination.family == .v6 { request.put(RTA_PRIORITY, RouteChanges.metric) }
    }
  }

  /// Takes back what `lead` did; false where it was gone already.
  @discardableResult
  package func release(_ destination: IPAddress) throws(Errno) -> Bool {
    var header = RouteChanges.hostRoute(destination)
    // Whichever it has: IPv4 finds only routes of the scope that is named, unless this one is.
    header.rtm_scope = UInt8(RT_SCOPE_NOWHERE.rawValue)
    return try deleteIfThere(Int32(RTM_DELROUTE), header) { request in
      request.put(RTA_DST, destination)
      if destination.family == .v6 { request.put(RTA_PRIORITY, RouteChanges.metric) }
    }
  }

  /// Takes back what an earlier process left behind: how many host routes and default routes there were.
  package func releaseAll() throws(Errno) -> Int {
    let routes = try listOwn()
    var count = 0
    for route in routes {
      if let destination = route.destination, route.table == UInt32(RT_TABLE_MAIN.rawValue) {
        if try release(destination) { count += 1 }
      } else if let owner = RouteChanges.ownerOfWithheld(route.table) {
        if try giveBack(route, owner) { count += 1 }
      }
    }
    try releaseAside(routes)
    return count
  }

  /// All routes with our protocol number.
  func listOwn() throws(Errno) -> [ListedRoute] {
    var routes: [ListedRoute] = []
    for family in Family.allCases {
      var header = rtmsg()
      header.rtm_family = RouteChanges.number(family)
      header.rtm_protocol = RouteChanges.owner
      routes += try exchange.list(Int32(RTM_GETROUTE), header, limit: RouteChanges.listLimit) { message in
        ListedRoute(message).flatMap { $0.owner == RouteChanges.owner ? $0 : nil }
      }
    }
    return routes
  }

  // MARK: Requests

  static func number(_ family: Family) -> UInt8 { UInt8(family == .v4 ? AF_INET : AF_INET6) }

  private static func header(_ destination: IPAddress) -> rtmsg {
    var header = rtmsg()
    header.rtm_family = number(destination.family)
    header.rtm_dst_len = destination.family.width
    return header
  }

  private static func hostRoute(_ destination: IPAddress) -> rtmsg {
    var header = header(destination)
    header.rtm_table = UInt8(RT_TABLE_MAIN.rawValue)
    header.rtm_protocol = owner
    header.rtm_type = UInt8(RTN_UNICAST)
    return header
  }

  /// False where there was nothing to be deleted.
  @discardableResult
  func deleteIfThere<Header: BitwiseCopyable>(
    _ type: Int32, _ header: Header, _ fill: (inout Request) -> Void
  ) throws(Errno) -> Bool {
    do throws(Errno) {
      try exchange.ask(type, NLM_F_ACK, header, filling: fill)
      return true
    } catch {
      if error.rawValue == ESRCH || error.rawValue == ENOENT { return false }
      throw error
    }
  }
}

/// A route as an answer tells it, with all that is needed to add it again elsewhere.
struct ListedRoute {
  let isUnicast: Bool
  let family: Family
  /// RTPROT_*.
  let owner: UInt8
  private(set) var table: UInt32
  /// nil but for host routes.
  private(set) var destination: IPAddress?
  let isDefault: Bool
  private(set) var via: RouteVia?
  /// More than one of them; all next hops are in `hops` then.
  private(set) var hops: [Hop] = []
  /// RTA_PRIORITY.
  private(set) var metric: UInt32 = 0
  private(set) var header: rtmsg
  /// What a request can repeat.
  private(set) var attributes: [(type: rtattr_type_t, bytes: [UInt8])] = []
  /// Seconds left; nil for ever.
  private(set) var lifetime: UInt32?

  init?(_ message: Message) {
    guard message.type == Int(RTM_NEWROUTE), let header = message.header(rtmsg.self),
      let family = Decoding.family(header.rtm_family)
    else { return nil }
    self.header = header
    self.family = family
    isUnicast = header.rtm_type == UInt8(RTN_UNICAST)
    owner = header.rtm_protocol
    isDefault = header.rtm_dst_len == 0 && header.rtm_src_len == 0
    table = UInt32(header.rtm_table)
    var (via, table, lifetime) = (RouteVia(interface: 0, gateway: nil, source: nil), table, lifetime)
    var (hops, metric) = (hops, metric)
    var destination: IPAddress?
    var attributes: [(type: rtattr_type_t, bytes: [UInt8])] = []
    message.attributes(after: rtmsg.self) { attribute in
      let type = attribute.routeType
      switch type {
      case RTA_DST: destination = attribute.address(family)
      case RTA_PREFSRC: via.source = attribute.address(family)
      case RTA_OIF: via.interface = attribute.uint32 ?? 0
      case RTA_GATEWAY: via.gateway = attribute.address(family)
      case RTA_VIA: via.gateway = attribute.via
      case RTA_MULTIPATH: _ = attribute.hops(family, into: &hops)
      case RTA_PRIORITY: metric = attribute.uint32 ?? 0
      case RTA_TABLE: table = attribute.uint32 ?? table
      case RTA_CACHEINFO:
        // rta_expires, in hundredths of a second.
        if let expires = attribute.uint32(at: 8), Int32(bitPattern: expires) > 0 { lifetime = expires / 100 + 1 }
      default: break
      }
      switch type {
      case RTA_PREFSRC, RTA_OIF, RTA_GATEWAY, RTA_VIA, RTA_PRIORITY, RTA_METRICS, RTA_MULTIPATH, RTA_PREF, RTA_FLOW,
        RTA_NH_ID, RTA_ENCAP, RTA_ENCAP_TYPE:
        attributes.append((type, attribute.copy))
      default: break
      }
    }
    if header.rtm_dst_len == family.width { self.destination = destination }
    if via.interface != 0 { self.via = via }
    self.table = table
    self.lifetime = lifetime
    self.hops = hops
    self.metric = metric
    self.attributes = attributes
  }

  /// The same in the main table, with the next worse metric.
  func substitute(_ owner: UInt8) -> ListedRoute {
    var other = self
    other.table = UInt32(RT_TABLE_MAIN.rawValue)
    other.header.rtm_protocol = owner
    other.metric += metric == .max ? 0 : 1
    other.attributes.removeAll { $0.type == RTA_PRIORITY }
    unsafe withUnsafeBytes(of: other.metric) { unsafe other.attributes.append((RTA_PRIORITY, Array($0))) }
    return other
  }
}
