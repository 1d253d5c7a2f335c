/// Protocol numbers of IPv4 and next header values of IPv6 (IANA).
package struct IPProtocol: RawRepresentable, Hashable, Sendable {
  package var rawValue: UInt8
  package init(rawValue: UInt8) { self.rawValue = rawValue }

  package static let icmp = IPProtocol(rawValue: 1)
  package static let tcp = IPProtocol(rawValue: 6)
  package static let udp = IPProtocol(rawValue: 17)
  package static let dccp = IPProtocol(rawValue: 33)
  package static let esp = IPProtocol(rawValue: 50)
  package static let icmpv6 = IPProtocol(rawValue: 58)
  package static let sctp = IPProtocol(rawValue: 132)
  package static let udpLite = IPProtocol(rawValue: 136)

  // Extension headers of IPv6 (RFC 8200, 4).
  static let hopByHop = IPProtocol(rawValue: 0)
  static let routing = IPProtocol(rawValue: 43)
  static let fragment = IPProtocol(rawValue: 44)
  static let destinationOptions = IPProtocol(rawValue: 60)

  var isExtensionHeader: Bool {
    switch self {
    case .hopByHop, .routing, .fragment, .destinationOptions: true
    default: false
    }
  }
}
