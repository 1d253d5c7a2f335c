import CLinux

/// RFC 4861 4.1, sent over a raw ICMPv6 socket.
enum RouterSolicitation {
  /// One to all routers of a link (ff02::2) with hop limit 255, from the address that the kernel prefers for a
  /// link-local destination: the link's own link-local one. Never waits.
  static func send(on interface: UInt32) throws(Errno) {
    let socket = Descriptor(
      taking: try valueOrErrno {
        CLinux.socket(
          AF_INET6, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue),
          Int32(IPPROTO_ICMPV6))
      })
    try socket.setOption(level: Int32(IPPROTO_IPV6), IPV6_MULTICAST_HOPS, 255)
    var routers = sockaddr_in6()
    routers.sin6_family = sa_family_t(AF_INET6)
    routers.sin6_scope_id = interface
    unsafe withUnsafeMutableBytes(of: &routers.sin6_addr) {
      unsafe $0[0] = 0xFF
      unsafe $0[1] = 0x02
      unsafe $0[15] = 0x02
    }
    // Type 133, code 0, a checksum that the kernel fills in, four reserved bytes.
    var message: [UInt8] = [133, 0, 0, 0, 0, 0, 0, 0]
    var address = [UInt8](repeating: 0, count: 6)
    // The option Source Link-Layer Address (4.6.1), where the link has one.
    if unsafe clinux_ethernet_address(interface, &address) == 0 { message += [1, 1] + address }
    _ = try valueOrErrno {
      unsafe clinux_sendto(
        socket.number, message, message.count, Int32(MSG_DONTWAIT), &routers,
        socklen_t(MemoryLayout<sockaddr_in6>.size))
    }
  }
}
