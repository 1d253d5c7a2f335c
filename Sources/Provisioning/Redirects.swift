import Messages
import Wire

extension NetworkState {
  /// A redirect changes no PvD: the kernel follows it or not, and paths are asked from the kernel. It is counted, and
  /// apart where the kernel's rules refuse it (RFC 4861 8.1, RFC 1122 3.2.2.2): from somebody who is no first hop of this
  /// host's, or towards an IPv4 router that is on no network of the interface.
  mutating func hear(_ redirect: Redirect, on interface: UInt32) {
    guard let place = known(interface) else { return }
    count(.redirects)
    let known = interfaces[place]
    guard known.isGateway(redirect.source), redirect.family == .v6 || known.isConnected(to: redirect.target) else {
      return count(.redirectsForeign)
    }
  }
}

extension Interface {
  fileprivate func isGateway(_ address: IPAddress) -> Bool {
    routes.contains { $0.gateway == address } || sources.contains { $0.isRouter(address) }
  }

  fileprivate func isConnected(to address: IPAddress) -> Bool {
    addresses.contains { $0.isUsable && $0.address.prefix.contains(address) }
  }
}
