package import Wire

/// An address as C's `struct sockaddr_in` (16 bytes) or `struct sockaddr_in6` (28 bytes) has it. In memory family and
/// scope id are in the host's byte order, port and address in the network's. The flow label is 0.
package struct SocketAddress: Hashable, Sendable {
  package var address: IPAddress
  package var port: UInt16
  /// The interface that a link-local IPv6 address is on, else 0.
  package var scope: UInt32

  package init(_ address: IPAddress, port: UInt16 = 0, scope: UInt32 = 0) {
    self.address = address
    self.port = port
    self.scope = scope
  }

  /// AF_INET and AF_INET6 of Linux.
  static let familyIPv4: UInt16 = 2
  static let familyIPv6: UInt16 = 10

  /// The sockaddr's bytes without padding.
  var size: Int { address.family == .v4 ? 16 : 28 }
  /// The same up to a multiple of 8.
  var paddedSize: Int { address.family == .v4 ? 16 : 32 }

  /// Reads the sockaddr at `offset`. Refuses `addressFamily`, and `payloadMalformed` where it is not whole.
  package init(_ bytes: RawSpan, at offset: Int) throws(MessageRefusal) {
    let room = bytes.byteCount - offset
    guard room >= 2 else { throw .payloadMalformed }
    switch bytes.u16(offset) {
    case SocketAddress.familyIPv4:
      guard room >= 16 else { throw .payloadMalformed }
      self.init(
        .v4(IPv4Address(UInt32(bigEndian: bytes.u32(offset + 4)))), port: UInt16(bigEndian: bytes.u16(offset + 2)))
    case SocketAddress.familyIPv6:
      guard room >= 28 else { throw .payloadMalformed }
      self.init(
        .v6(IPv6Address(UInt64(bigEndian: bytes.u64(offset + 8)), UInt64(bigEndian: bytes.u64(offset + 16)))),
        port: UInt16(bigEndian: bytes.u16(offset + 2)), scope: bytes.u32(offset + 24))
    default: throw .addressFamily
    }
  }
}

extension MessageWriter {
  /// Writes a sockaddr, and zeros behind it up to its padded size.
  package mutating func put(_ socketAddress: SocketAddress, at offset: Int) {
    let port = socketAddress.port.bigEndian
    switch socketAddress.address {
    case .v4(let v4):
      put(UInt64(UInt32(SocketAddress.familyIPv4, port), v4.value.bigEndian), at: offset)
      put(UInt64(0), at: offset + 8)
    case .v6(let v6):
      put(UInt64(UInt32(SocketAddress.familyIPv6, port), 0), at: offset)
      put(v6.high.bigEndian, at: offset + 8)
      put(v6.low.bigEndian, at: offset + 16)
      put(UInt64(socketAddress.scope, 0), at: offset + 24)
    }
  }
}
