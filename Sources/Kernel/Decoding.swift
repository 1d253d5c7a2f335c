import CLinux
import CNetlink
import Messages
import Provisioning
import Wire

/// What became of a message's bytes.
enum Decoded<Value> {
  case value(Value)
  /// Well-formed, of no concern here.
  case other
  case malformed
}

/// rtnetlink messages to values, through libnl's message and attribute functions. Not through its objects: its
/// parser refuses a whole link for one nested attribute that is not as its version expects it, and its objects
/// (3.7.0) know neither IFA_PROTO nor RTA_NH_ID.
enum Decoding {
  struct AddressMessage {
    var value: InterfaceAddress
    var peer: IPAddress?
  }
  struct NeighbourMessage {
    var key: NeighbourKey
    var sighting: Neighbours.Sighting
    var isRouter: Bool
  }

  static func family(_ number: UInt8) -> Family? {
    switch Int32(number) {
    case AF_INET: .v4
    case AF_INET6: .v6
    default: nil
    }
  }

  /// RTM_NEWLINK, RTM_DELLINK: the link's index.
  static func linkIndex(_ message: Message) -> Decoded<UInt32> {
    guard let header = message.header(ifinfomsg.self) else { return .malformed }
    // AF_BRIDGE: a port of a bridge comes or goes, not the link.
    if header.ifi_family != 0 { return .other }
    return header.ifi_index > 0 ? .value(UInt32(header.ifi_index)) : .malformed
  }

  /// RTM_NEWLINK.
  static func link(_ message: Message) -> Decoded<Link> {
    guard let header = message.header(ifinfomsg.self) else { return .malformed }
    if header.ifi_family != 0 { return .other }
    if header.ifi_index <= 0 { return .malformed }
    var link = Link(
      index: UInt32(header.ifi_index), name: .empty, isUp: header.ifi_flags & InterfaceFlags.up != 0,
      hasCarrier: header.ifi_flags & InterfaceFlags.running != 0,
      isLoopback: header.ifi_flags & InterfaceFlags.loopback != 0,
      isPointToPoint: header.ifi_flags & InterfaceFlags.pointToPoint != 0, mtu: 0)
    var port: (keepsFrames: Bool, table: UInt32?) = (false, nil)
    message.attributes(after: ifinfomsg.self) { attribute in
      switch attribute.type {
      case IFLA_IFNAME: link.name = attribute.name
      case IFLA_MTU: link.mtu = attribute.uint32 ?? 0
      case IFLA_MASTER: link.master = attribute.uint32 ?? 0
      case IFLA_LINKINFO: port = portInformation(attribute)
      case IFLA_ADDRESS: (link.hardwareAddress, link.hardwareAddressLength) = attribute.hardwareAddress
      default: break
      }
    }
    link.handsFramesOn = link.master != 0 && !port.keepsFrames
    link.routingTable = port.table ?? link.routingTable
    // A wireless event has no name (IFLA_WIRELESS), and says nothing of the link itself.
    return link.name == .empty ? .other : .value(link)
  }

  /// What IFLA_LINKINFO tells of a port: whether its frames end on it all the same, as those of a VRF's port and those of
  /// batman-adv's that are not batman-adv's own; and a VRF's table.
  private static func portInformation(_ information: Attribute) -> (keepsFrames: Bool, table: UInt32?) {
    var isOfVRF = false
    var keepsFrames = false
    var table: UInt32?
    information.forEach { attribute in
      switch attribute.type {
      case IFLA_INFO_SLAVE_KIND:
        isOfVRF = attribute.name == InterfaceName("vrf".utf8)
        keepsFrames = isOfVRF || attribute.name == InterfaceName("batadv".utf8)
      case IFLA_INFO_SLAVE_DATA:
        attribute.forEach { if $0.type == IFLA_VRF_PORT_TABLE { table = $0.uint32 } }
      default: break
      }
    }
    return (keepsFrames, isOfVRF ? table : nil)
  }

  /// RTM_NEWADDR, RTM_DELADDR.
  static func address(_ message: Message) -> Decoded<AddressMessage> {
    guard let header = message.header(ifaddrmsg.self) else { return .malformed }
    guard let family = family(header.ifa_family) else { return .other }
    var local: IPAddress?
    var address: IPAddress?
    var flags = UInt32(header.ifa_flags)
    var isAdvertised = false
    var lifetimes: (preferred: UInt32, valid: UInt32) = (.max, .max)
    message.attributes(after: ifaddrmsg.self) { attribute in
      switch attribute.type {
      case IFA_LOCAL: local = attribute.address(family)
      case IFA_ADDRESS: address = attribute.address(family)
      case IFA_FLAGS: flags = attribute.uint32 ?? flags
      case IFA_PROTO: isAdvertised = attribute.uint8 == UInt8(IFAPROT_KERNEL_RA)
      case IFA_CACHEINFO:
        lifetimes = (attribute.uint32(at: 0) ?? .max, attribute.uint32(at: 4) ?? .max)
      default: break
      }
    }
    // On a point-to-point link IFA_ADDRESS is the other end. IPv6 has no IFA_LOCAL where there is none.
    guard let own = local ?? address, header.ifa_index > 0, header.ifa_prefixlen <= family.width else {
      return .malformed
    }
    var told: InterfaceAddress.Flags = []
    // An optimistic address may be used while it is probed (RFC 4429, 3.3).
    if flags & UInt32(IFA_F_TENTATIVE) != 0, flags & UInt32(IFA_F_OPTIMISTIC) == 0 { told.insert(.tentative) }
    if flags & UInt32(IFA_F_DADFAILED) != 0 { told.insert(.duplicate) }
    if flags & UInt32(IFA_F_DEPRECATED) != 0 { told.insert(.deprecated) }
    if flags & UInt32(IFA_F_PERMANENT) != 0 { told.insert(.permanent) }
    // One bit of two meanings.
    if flags & UInt32(IFA_F_SECONDARY) != 0 { told.insert(family == .v4 ? .secondary : .temporary) }
    if isAdvertised { told.insert(.advertised) }
    let value = InterfaceAddress(
      interface: header.ifa_index, prefix: IPPrefix(own, header.ifa_prefixlen), flags: told,
      isHostScope: header.ifa_scope == UInt8(RT_SCOPE_HOST.rawValue), preferredLifetime: lifetimes.preferred,
      validLifetime: lifetimes.valid)
    return .value(AddressMessage(value: value, peer: address == own ? nil : address))
  }

  /// Whether a route message is about a default route, from its header alone: most of a full table's aren't.
  static func isDefaultRoute(_ message: Message) -> Bool { message.header(rtmsg.self)?.rtm_dst_len == 0 }

  /// RTM_NEWROUTE, RTM_DELROUTE of a default route. No hops and a nexthop object: the kernel doesn't spell it out.
  static func route(_ message: Message) -> Decoded<Route> {
    guard let header = message.header(rtmsg.self) else { return .malformed }
    guard let family = family(header.rtm_family), header.rtm_flags & UInt32(RTM_F_CLONED) == 0 else { return .other }
    var source: IPAddress = family == .v4 ? .v4(.unspecified) : .v6(.unspecified)
    var key = RouteKey(
      family: family, table: UInt32(header.rtm_table), metric: 0, typeOfService: header.rtm_tos,
      source: IPPrefix(source, 0))
    var route = Route(
      key: key, isUnicast: header.rtm_type == UInt8(RTN_UNICAST), origin: header.rtm_protocol, preferredSource: nil,
      hops: [])
    var only = Hop(interface: 0, gateway: nil, isDead: header.rtm_flags & UInt32(RTNH_F_DEAD) != 0)
    var isWhole = true
    message.attributes(after: rtmsg.self) { attribute in
      switch attribute.routeType {
      case RTA_TABLE: key.table = attribute.uint32 ?? key.table
      case RTA_PRIORITY: key.metric = attribute.uint32 ?? 0
      case RTA_SRC: source = attribute.address(family) ?? source
      case RTA_PREFSRC: route.preferredSource = attribute.address(family)
      case RTA_OIF: only.interface = attribute.uint32 ?? 0
      case RTA_GATEWAY: only.gateway = attribute.address(family)
      case RTA_VIA: only.gateway = attribute.via
      case RTA_NH_ID: route.nexthopObject = attribute.uint32 ?? 0
      case RTA_MULTIPATH: isWhole = attribute.hops(family, into: &route.hops)
      default: break
      }
    }
    guard isWhole, header.rtm_src_len <= family.width else { return .malformed }
    key.source = IPPrefix(source, header.rtm_src_len)
    route.key = key
    if route.hops.isEmpty, only.interface != 0 { route.hops = [only] }
    return .value(route)
  }

  /// RTM_NEWNEIGH, RTM_DELNEIGH.
  static func neighbour(_ message: Message) -> Decoded<NeighbourMessage> {
    guard let header = message.header(ndmsg.self) else { return .malformed }
    guard let family = family(header.ndm_family) else { return .other }
    var address: IPAddress?
    message.attributes(after: ndmsg.self) { attribute in
      if attribute.type == NDA_DST { address = attribute.address(family) }
    }
    guard let address, header.ndm_ifindex > 0 else { return .malformed }
    let state = Int32(header.ndm_state)
    let sighting: Neighbours.Sighting =
      if state & NUD_FAILED != 0 {
        .state(.failed)
      } else if state & (NUD_REACHABLE | NUD_PERMANENT | NUD_NOARP) != 0 {
        .state(.reachable)
      } else if state & NUD_INCOMPLETE != 0 {
        .asking
      } else {
        .state(.unknown)
      }
    return .value(
      NeighbourMessage(
        key: NeighbourKey(interface: UInt32(header.ndm_ifindex), address: address), sighting: sighting,
        isRouter: header.ndm_flags & UInt8(NTF_ROUTER) != 0))
  }

  /// RTM_NEWNEXTHOP, RTM_DELNEXTHOP: the object's number.
  static func nexthopObject(_ message: Message) -> Decoded<UInt32> {
    guard message.header(nhmsg.self) != nil else { return .malformed }
    var id: UInt32?
    message.attributes(after: nhmsg.self) { attribute in
      if attribute.type == NHA_ID { id = attribute.uint32 }
    }
    return id.map { .value($0) } ?? .malformed
  }
}

/// IFF_* (linux/if.h, which net/if.h redefines).
private enum InterfaceFlags {
  static let up: UInt32 = 0x1
  static let loopback: UInt32 = 0x8
  static let pointToPoint: UInt32 = 0x10
  static let running: UInt32 = 0x40
}
