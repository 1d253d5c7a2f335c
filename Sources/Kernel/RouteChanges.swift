import CLinux
import CNetlink
package import Platform
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

/// Questions to the kernel's routing, and changes of it, each answered before the call returns. All that is added bears
/// `RouteChanges.owner` as its protocol, so that it can be told from everybody else's, and found again by a later
/// process. Changes need CAP_NET_ADMIN.
@safe package final class RouteChanges {
  /// RTPROT_*: a number that /etc/iproute2/rt_protos gives to nobody.
  package static let owner: UInt8 = 201
  /// What an IPv6 host route has as its metric: better than what others add without one (1024).
  private static let metric: UInt32 = 1
  /// Routes of one answer that are looked at.
  private static let dumpLimit = 4096

  private let socket: OpaquePointer
  private let buffer: UnsafeMutableRawBufferPointer
  private var sequence: UInt32 = 0

  package init() throws(KernelError) {
    guard let socket = unsafe nl_socket_alloc() else { throw KernelError(.open, ENOMEM) }
    unsafe nl_socket_disable_auto_ack(socket)
    guard unsafe nl_connect(socket, NETLINK_ROUTE) == 0 else {
      let code = Errno.current.rawValue
      unsafe nl_socket_free(socket)
      throw KernelError(.open, code)
    }
    unsafe self.socket = socket
    unsafe buffer = .allocate(byteCount: 65_536, alignment: 16)
    let descriptor = unsafe nl_socket_get_fd(socket)
    // The kernel then filters what it lists; older ones don't know this, and list more.
    var one: Int32 = 1
    _ = unsafe setsockopt(descriptor, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, 4)
    // It answers before send(2) returns. Should it not, nobody waits for ever.
    var patience = timeval(tv_sec: 1, tv_usec: 0)
    _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit {
    unsafe nl_socket_free(socket)
    unsafe buffer.deallocate()
  }

  // MARK: Questions

  /// Where a packet to `destination` goes; nil where the kernel has no way, or the way ends on this host.
  /// - Parameter source: the address that it is sent from, nil where the kernel may choose.
  package func route(to destination: IPAddress, from source: IPAddress?) -> RouteVia? {
    var header = rtmsg(destination)
    if let source { header.rtm_src_len = source.family.width }
    var found: RouteVia?
    let result = unsafe exchange(Int32(RTM_GETROUTE), NLM_F_REQUEST, header) { message in
      _ = unsafe Self.put(message, RTA_DST, destination)
      if let source { _ = unsafe Self.put(message, RTA_SRC, source) }
    } each: { message in
      if let route = ListedRoute(message), route.isUnicast { found = route.via }
    }
    guard result == nil, var found else { return nil }
    found.source = source ?? found.source
    return found
  }

  // MARK: Host routes

  /// Leads packets to `destination` over another way than the kernel's own; `replacing` the host route that was added
  /// before. EEXIST where somebody else's host route stands there.
  package func lead(_ destination: IPAddress, over via: RouteVia, replacing: Bool) throws(Errno) {
    let flags = NLM_F_CREATE | (replacing ? NLM_F_REPLACE : NLM_F_EXCL)
    var header = hostRoute(destination)
    header.rtm_scope = UInt8(via.gateway == nil ? RT_SCOPE_LINK.rawValue : RT_SCOPE_UNIVERSE.rawValue)
    let failure = unsafe exchange(Int32(RTM_NEWROUTE), NLM_F_REQUEST | NLM_F_ACK | flags, header) { message in
      _ = unsafe Self.put(message, RTA_DST, destination)
      _ = unsafe nla_put_u32(message, Int32(RTA_OIF.rawValue), via.interface)
      if let gateway = via.gateway { _ = unsafe Self.put(message, RTA_GATEWAY, gateway) }
      if let source = via.source { _ = unsafe Self.put(message, RTA_PREFSRC, source) }
      if destination.family == .v6 { _ = unsafe nla_put_u32(message, Int32(RTA_PRIORITY.rawValue), Self.metric) }
    }
    if let failure { throw failure }
  }

  /// Takes back what `lead` did; that it is gone already is no failure.
  package func release(_ destination: IPAddress) throws(Errno) {
    let failure = unsafe exchange(Int32(RTM_DELROUTE), NLM_F_REQUEST | NLM_F_ACK, hostRoute(destination)) { message in
      _ = unsafe Self.put(message, RTA_DST, destination)
      if destination.family == .v6 { _ = unsafe nla_put_u32(message, Int32(RTA_PRIORITY.rawValue), Self.metric) }
    }
    if let failure, failure.rawValue != ESRCH { throw failure }
  }

  /// Takes back what an earlier process left behind: how many host routes there were.
  package func releaseAll() throws(Errno) -> Int {
    var left: [IPAddress] = []
    for family in Family.allCases {
      var header = rtmsg()
      header.rtm_family = UInt8(family == .v4 ? AF_INET : AF_INET6)
      header.rtm_protocol = RouteChanges.owner
      let failure = unsafe exchange(Int32(RTM_GETROUTE), NLM_F_REQUEST | NLM_F_DUMP, header) { _ in
      } each: { message in
        guard let route = ListedRoute(message), route.owner == RouteChanges.owner, left.count < Self.dumpLimit,
          let destination = route.destination
        else { return }
        left.append(destination)
      }
      if let failure { throw failure }
    }
    for destination in left { try release(destination) }
    return left.count
  }

  // MARK: The socket

  private func rtmsg(_ destination: IPAddress) -> rtmsg {
    var header = CNetlink.rtmsg()
    header.rtm_family = UInt8(destination.family == .v4 ? AF_INET : AF_INET6)
    header.rtm_dst_len = destination.family.width
    return header
  }

  private func rtmsg() -> rtmsg { CNetlink.rtmsg() }

  private func hostRoute(_ destination: IPAddress) -> rtmsg {
    var header = rtmsg(destination)
    header.rtm_table = UInt8(RT_TABLE_MAIN.rawValue)
    header.rtm_protocol = RouteChanges.owner
    header.rtm_type = UInt8(RTN_UNICAST)
    return header
  }

  private static func put(_ message: OpaquePointer, _ type: rtattr_type_t, _ address: IPAddress) -> Int32 {
    switch address {
    case .v4(let v4): return unsafe nla_put_u32(message, Int32(type.rawValue), v4.value.bigEndian)
    case .v6(let v6):
      var words = (v6.high.bigEndian, v6.low.bigEndian)
      return unsafe nla_put(message, Int32(type.rawValue), 16, &words)
    }
  }

  /// Sends one request and reads until its end: an error, an acknowledgement, NLMSG_DONE, or the one answer of what was
  /// no dump. The kernel's refusal, nil for done.
  private func exchange(
    _ type: Int32, _ flags: Int32, _ header: rtmsg, _ fill: (OpaquePointer) -> Void, each: (Message) -> Void = { _ in }
  ) -> Errno? {
    sequence = sequence == .max ? 1 : sequence + 1
    guard let request = unsafe nlmsg_alloc_simple(type, flags) else { return Errno(rawValue: ENOMEM) }
    defer { unsafe nlmsg_free(request) }
    unsafe nlmsg_hdr(request).pointee.nlmsg_seq = sequence
    var header = header
    _ = unsafe nlmsg_append(request, &header, MemoryLayout<rtmsg>.size, Int32(NLMSG_ALIGNTO))
    unsafe fill(request)
    guard unsafe nl_send_auto(socket, request) >= 0 else { return .current }
    let (sequence, isDump) = (sequence, flags & NLM_F_DUMP == NLM_F_DUMP)
    let descriptor = unsafe nl_socket_get_fd(socket)
    while true {
      let count = unsafe recv(descriptor, buffer.baseAddress, buffer.count, 0)
      if count < 0 {
        if Errno.current == .interrupted { continue }
        return .current
      }
      var end: Errno??
      _ = unsafe Message.walk(unsafe: buffer, count) { message in
        guard message.sequence == sequence else { return }
        if message.type == Int(NLMSG_ERROR) || message.type == Int(NLMSG_DONE) {
          end = .some(message.status == 0 ? nil : Errno(rawValue: -message.status))
        } else {
          each(message)
          if !isDump { end = .some(nil) }
        }
      }
      if let end { return end }
    }
  }
}

/// A route as an answer tells it.
private struct ListedRoute {
  let isUnicast: Bool
  /// RTPROT_*.
  let owner: UInt8
  /// nil but for host routes.
  private(set) var destination: IPAddress?
  private(set) var via: RouteVia?

  init?(_ message: Message) {
    guard message.type == Int(RTM_NEWROUTE), let header = message.header(rtmsg.self),
      let family = Decoding.family(header.rtm_family)
    else { return nil }
    isUnicast = header.rtm_type == UInt8(RTN_UNICAST)
    owner = header.rtm_protocol
    var via = RouteVia(interface: 0, gateway: nil, source: nil)
    var destination: IPAddress?
    message.attributes(after: rtmsg.self) { attribute in
      switch attribute.routeType {
      case RTA_DST: destination = attribute.address(family)
      case RTA_PREFSRC: via.source = attribute.address(family)
      case RTA_OIF: via.interface = attribute.uint32 ?? 0
      case RTA_GATEWAY: via.gateway = attribute.address(family)
      case RTA_VIA: via.gateway = attribute.via
      default: break
      }
    }
    if header.rtm_dst_len == family.width { self.destination = destination }
    if via.interface != 0 { self.via = via }
  }
}
