import Messages
package import Provisioning
package import Wire

/// A host with one interface and address, and packets for it.
package enum Traffic {
  package static var interface: UInt32 { 2 }
  private static var host: IPPrefix { IPPrefix(.v4(IPv4Address(0xC000_020A)), 24) }

  package static func host(limits: Limits = Limits()) -> NetworkState {
    var state = NetworkState(limits: limits)
    let moment = Moment(Instant(nanoseconds: 0), timestamp: 0)
    state.apply(
      .link(Link(index: interface, name: InterfaceName("up0".utf8), isUp: true, hasCarrier: true)), at: moment)
    state.apply(.address(InterfaceAddress(interface: interface, prefix: host)), at: moment)
    state.clearAnnouncements()
    return state
  }

  /// Network unreachable, from 192.0.2.1 to 192.0.2.10, quoting a TCP segment to 198.51.100.7.
  package static let unreachable: [UInt8] = [
    0x45, 0, 0, 68, 0, 1, 0, 0, 64, 1, 0xF6, 0xAC, 192, 0, 2, 1, 192, 0, 2, 10, 3, 0, 0xFB, 0xA8, 0, 0, 0, 0, 0x45, 0,
    0, 40, 0, 1, 0, 0, 64, 6, 0x8E, 0x8A, 192, 0, 2, 10, 198, 51, 100, 7, 0x9C, 0x40, 1, 0xBB, 0x11, 0x22, 0x33, 0x44,
    0x55, 0x66, 0x77, 0x88, 0x50, 0x10, 1, 0xF6, 0, 0, 0, 0,
  ]

  /// The same error about destination `number` of 198.18.0.0/15.
  package static func error(about number: Int) -> [UInt8] {
    var bytes = unreachable
    bytes.replaceSubrange(44..<48, with: [198, 18, UInt8(number >> 8 & 0xFF), UInt8(number & 0xFF)])
    bytes.replaceSubrange(22..<24, with: [0, 0])
    let checksum = checksum(of: bytes[20...])
    bytes.replaceSubrange(22..<24, with: [UInt8(checksum >> 8), UInt8(checksum & 0xFF)])
    return bytes
  }

  private static func checksum(of bytes: ArraySlice<UInt8>) -> UInt16 {
    let message = [UInt8](bytes)
    var sum = Checksum()
    sum.add(message.rawSpan)
    return sum.value
  }

  /// A Router Advertisement from fe80::1 to ff02::1 with this hop limit, 2001:db8:1::/64 and a DNS server.
  package static func advertisement(hopLimit: UInt8) -> [UInt8] {
    let router: [UInt8] = [0xFE, 0x80] + [UInt8](repeating: 0, count: 13) + [1]
    let everybody: [UInt8] = [0xFF, 2] + [UInt8](repeating: 0, count: 13) + [1]
    let prefix: [UInt8] = [0x20, 1, 0x0D, 0xB8, 0, 1] + [UInt8](repeating: 0, count: 10)
    let advertisement: [UInt8] = [134, 0, 0, 0, hopLimit, 0, 7, 8] + [UInt8](repeating: 0, count: 8)
    let prefixOption: [UInt8] = [3, 4, 64, 0xC0, 0, 1, 0x51, 0x80, 0, 0, 0x38, 0x40, 0, 0, 0, 0] + prefix
    let server: [UInt8] = [25, 3, 0, 0, 0, 0, 7, 8] + prefix.dropLast() + [0x53]
    var message = advertisement + prefixOption + server
    let checksum = checksum(of: (router + everybody + [0, 0, 0, UInt8(message.count), 0, 0, 0, 58] + message)[...])
    message.replaceSubrange(2..<4, with: [UInt8(checksum >> 8), UInt8(checksum & 0xFF)])
    return [0x60, 0, 0, 0, 0, UInt8(message.count), 58, 255] + router + everybody + message
  }
}
