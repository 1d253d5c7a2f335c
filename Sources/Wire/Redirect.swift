/// A router's word that another first hop is better for a destination: ICMP type 5 (RFC 792) or ICMPv6 type 137
/// (RFC 4861, 4.5). What bytes alone tell of it has been checked (RFC 1122, 3.2.2.2; RFC 4861, 8.1; RFC 6980, 5): who is
/// this host's first hop is for the state to know.
package struct Redirect: Hashable, Sendable {
  private enum Field {
    static let code = 1
    static let gatewayV4 = 4
    static let quote = 8
    static let target = 8
    static let destination = 24
    static let optionsV6 = 40
  }

  static let typeV4: UInt8 = 5
  static let typeV6: UInt8 = 137

  /// ICMP: 0 to 3, for a network or a host, and a type of service or none; ICMPv6: 0.
  package var code: UInt8
  /// The router that says so.
  package var source: IPAddress
  /// This host, where it has the address.
  package var destination: IPAddress
  /// The better first hop; in IPv6 `redirectedDestination` itself where that is on the link.
  package var target: IPAddress
  package var redirectedDestination: IPAddress

  package var family: Family { source.family }

  /// `message` is of one of these types; an ICMPv6 one was in no fragment.
  package init(_ message: ICMPMessage) throws(Refusal) {
    switch message.family {
    case .v4: try self.init(v4: message.packet)
    case .v6: try self.init(v6: message.packet)
    }
  }

  private init(v4 packet: CheckedPacket) throws(Refusal) {
    let (message, source, destination) = (packet.message, packet.sourceV4, packet.destinationV4)
    code = message.u8(Field.code)
    guard code <= 3 else { throw .redirectCode }
    let target = message.ipv4(Field.gatewayV4)
    guard target != .unspecified, target.value < 0xE000_0000 else { throw .redirectTarget }
    let quote = message.slice(from: Field.quote)
    guard quote.byteCount >= IPv4Packet.Field.minimum else { throw .icmpQuoteShort }
    guard quote.u8(IPv4Packet.Field.versionAndLength) >> 4 == 4 else { throw .icmpQuoteVersion }
    guard quote.ipv4(IPv4Packet.Field.source) == destination else { throw .icmpQuoteSource }
    self.source = .v4(source)
    self.destination = .v4(destination)
    self.target = .v4(target)
    redirectedDestination = .v4(quote.ipv4(IPv4Packet.Field.destination))
  }

  private init(v6 packet: CheckedPacket) throws(Refusal) {
    let (message, source, destination) = (packet.message, packet.sourceV6, packet.destinationV6)
    guard source.isLinkLocal else { throw .redirectSource }
    guard packet.hopLimitV6 == 255 else { throw .redirectHopLimit }
    guard message.byteCount >= Field.optionsV6 else { throw .redirectLength }
    code = message.u8(Field.code)
    guard code == 0 else { throw .redirectCode }
    let target = message.ipv6(Field.target)
    let redirected = message.ipv6(Field.destination)
    guard !redirected.isMulticast else { throw .redirectDestination }
    guard target.isLinkLocal || target == redirected else { throw .redirectTarget }
    do {
      try NeighbourDiscoveryOptions.check(message.slice(from: Field.optionsV6))
    } catch { throw .redirectOption }
    self.source = .v6(source)
    self.destination = .v6(destination)
    self.target = .v6(target)
    redirectedDestination = .v6(redirected)
  }
}
