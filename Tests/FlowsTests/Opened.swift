import CLinux
import Glibc
import Platform
import Wire

/// A socket of a test's.
final class Opened {
  private var descriptor: Int32
  private let family: Family

  init(
    _ family: IPAddress, _ kind: __socket_type, bound: (address: IPAddress, port: UInt16)?, protocol number: Int32 = 0
  ) throws {
    self.family = family.family
    let domain = family.family == .v4 ? AF_INET : AF_INET6
    let kind = Int32(kind.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    descriptor = try valueOrErrno { socket(domain, kind, number) }
    if let bound { bind(bound.address, bound.port) }
  }

  deinit { close() }

  func close() {
    if descriptor >= 0 { closeDescriptor(descriptor) }
    descriptor = -1
  }

  func bind(_ address: IPAddress, _ port: UInt16) {
    _ = unsafe Opened.withAddress(address, port) { unsafe clinux_bind(descriptor, $0, $1) }
  }

  func bind(to interface: StaticString) {
    _ = unsafe setsockopt(
      descriptor, SOL_SOCKET, SO_BINDTODEVICE, interface.utf8Start, socklen_t(interface.utf8CodeUnitCount))
  }

  func listen() { _ = CLinux.listen(descriptor, 8) }

  /// At once, or under way.
  func connect(_ address: IPAddress, _ port: UInt16) {
    _ = unsafe Opened.withAddress(address, port) { unsafe clinux_connect(descriptor, $0, $1) }
  }

  var port: UInt16 {
    var address = sockaddr_in6()
    var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
    _ = unsafe withUnsafeMutablePointer(to: &address) {
      unsafe getsockname(descriptor, __SOCKADDR_ARG(__sockaddr_in6__: $0), &length)
    }
    // Both families have the port in the same place.
    return address.sin6_port.bigEndian
  }

  private static func withAddress(
    _ address: IPAddress, _ port: UInt16, _ body: (UnsafeRawPointer, socklen_t) -> Int32
  ) -> Int32 {
    switch address {
    case .v4(let v4):
      var name = sockaddr_in()
      name.sin_family = sa_family_t(AF_INET)
      name.sin_port = port.bigEndian
      name.sin_addr.s_addr = v4.value.bigEndian
      return unsafe body(&name, socklen_t(MemoryLayout<sockaddr_in>.size))
    case .v6(let v6):
      var name = sockaddr_in6()
      name.sin6_family = sa_family_t(AF_INET6)
      name.sin6_port = port.bigEndian
      unsafe withUnsafeMutableBytes(of: &name.sin6_addr) {
        unsafe $0.storeBytes(of: v6.high.bigEndian, toByteOffset: 0, as: UInt64.self)
        unsafe $0.storeBytes(of: v6.low.bigEndian, toByteOffset: 8, as: UInt64.self)
      }
      return unsafe body(&name, socklen_t(MemoryLayout<sockaddr_in6>.size))
    }
  }
}
