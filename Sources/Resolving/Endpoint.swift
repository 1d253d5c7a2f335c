import CAres
import CLinux
import Wire

/// Whom a channel asks, from where and how: everything that its sockets are made from.
struct Endpoint: Hashable {
  var interface: UInt32
  var server: IPAddress
  /// nil: the kernel takes one of the interface.
  var source: IPAddress?
  /// TCP instead of UDP.
  var isStream = false

  var stream: Endpoint {
    var other = self
    other.isStream = true
    return other
  }

  /// The servers that can be asked at all, in order. nil: there are servers, and no source address for any of them.
  static func all(of servers: ResolverServers) -> [Endpoint]? {
    var endpoints: [Endpoint] = []
    var lacksSource = false
    for server in servers.servers.prefix(ResolverServers.most) where isAskable(server) {
      let source = source(for: server, servers.sources)
      if source == nil, !server.isLinkLocal || server.family == .v4 {
        lacksSource = true
        continue
      }
      let endpoint = Endpoint(interface: servers.interface, server: server, source: source)
      if !endpoints.contains(endpoint) { endpoints.append(endpoint) }
    }
    return endpoints.isEmpty && lacksSource ? nil : endpoints
  }

  private static func isAskable(_ server: IPAddress) -> Bool {
    switch server {
    case .v4(let address): !server.isUnspecified && !address.isMulticast
    case .v6(let address): !server.isUnspecified && !address.isMulticast && !address.isIPv4Mapped
    }
  }

  /// The first one of the server's family and scope (RFC 6724, 5, rule 2), else of its family.
  private static func source(for server: IPAddress, _ sources: [IPAddress]) -> IPAddress? {
    var other: IPAddress?
    for source in sources where source.family == server.family {
      if source.isLinkLocal == server.isLinkLocal { return source }
      if other == nil { other = source }
    }
    return other
  }
}

/// Calls `body` with the address as a sockaddr. A link-local IPv6 address has `interface` as its scope.
func withSocketAddress<R>(
  _ address: IPAddress, port: UInt16, interface: UInt32, _ body: (UnsafeRawPointer, socklen_t) -> R
) -> R {
  switch address {
  case .v4(let v4):
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_port = port.bigEndian
    name.sin_addr.s_addr = v4.value.bigEndian
    return unsafe withUnsafePointer(to: &name) { unsafe body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
  case .v6(let v6):
    var name = sockaddr_in6()
    name.sin6_family = sa_family_t(AF_INET6)
    name.sin6_port = port.bigEndian
    unsafe withUnsafeMutableBytes(of: &name.sin6_addr) {
      unsafe $0.storeBytes(of: v6.high.bigEndian, as: UInt64.self)
      unsafe $0.storeBytes(of: v6.low.bigEndian, toByteOffset: 8, as: UInt64.self)
    }
    name.sin6_scope_id = v6.isLinkLocal ? interface : 0
    return unsafe withUnsafePointer(to: &name) { unsafe body($0, socklen_t(MemoryLayout<sockaddr_in6>.size)) }
  }
}
