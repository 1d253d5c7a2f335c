package import CLinux
package import Wire

/// Writes `sockaddr_in` or `sockaddr_in6`.
///
/// - Parameter interface: the scope of a link-local address; others have none.
/// - Returns: its length.
package func fill(
  _ storage: inout sockaddr_storage, _ address: IPAddress, _ port: UInt16, interface: UInt32
) -> socklen_t {
  switch address {
  case .v4(let v4):
    var filled = sockaddr_in()
    filled.sin_family = sa_family_t(AF_INET)
    filled.sin_port = port.bigEndian
    filled.sin_addr.s_addr = v4.value.bigEndian
    unsafe withUnsafeMutableBytes(of: &storage) { unsafe $0.storeBytes(of: filled, as: sockaddr_in.self) }
    return socklen_t(MemoryLayout<sockaddr_in>.size)
  case .v6(let v6):
    var filled = sockaddr_in6()
    filled.sin6_family = sa_family_t(AF_INET6)
    filled.sin6_port = port.bigEndian
    unsafe withUnsafeMutableBytes(of: &filled.sin6_addr) {
      unsafe $0.storeBytes(of: v6.high.bigEndian, toByteOffset: 0, as: UInt64.self)
      unsafe $0.storeBytes(of: v6.low.bigEndian, toByteOffset: 8, as: UInt64.self)
    }
    if address.scope <= .linkLocal, !v6.isLoopback { filled.sin6_scope_id = interface }
    unsafe withUnsafeMutableBytes(of: &storage) { unsafe $0.storeBytes(of: filled, as: sockaddr_in6.self) }
    return socklen_t(MemoryLayout<sockaddr_in6>.size)
  }
}

/// The address in a `sockaddr_in` or `sockaddr_in6`; nil in any other.
package func address(in storage: sockaddr_storage) -> IPAddress? {
  unsafe withUnsafeBytes(of: storage) { bytes in
    switch Int32(storage.ss_family) {
    case AF_INET:
      return .v4(IPv4Address(UInt32(bigEndian: unsafe bytes.load(as: sockaddr_in.self).sin_addr.s_addr)))
    case AF_INET6:
      return unsafe withUnsafeBytes(of: bytes.load(as: sockaddr_in6.self).sin6_addr) { address in
        .v6(
          IPv6Address(
            UInt64(bigEndian: unsafe address.loadUnaligned(as: UInt64.self)),
            UInt64(bigEndian: unsafe address.loadUnaligned(fromByteOffset: 8, as: UInt64.self))))
      }
    default: return nil
    }
  }
}
