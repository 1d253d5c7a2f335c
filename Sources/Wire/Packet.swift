/// A packet that this agent listens for: the one entrance for bytes from the network. What has more than a few words
/// to carry is made of it where it is used (`DHCPv4Message`, `ICMPError`, `Redirect`), and may be refused there.
package enum Packet: ~Escapable {
  case routerAdvertisement(RouterAdvertisement)
  /// To a client, or a client's own request: `isToClient`.
  case dhcpv4(DHCPv4Datagram)
  case dhcpv6(DHCPv6Message)
  case icmpError(ICMPMessage)
  case redirect(ICMPMessage)

  private enum Field {
    static let type = 0
    static let shortestICMP = 8
  }

  /// ICMPv6 type of Router Advertisements (RFC 4861, 4.2).
  private static let routerAdvertisementType: UInt8 = 134

  /// Decodes a packet from its network header on, as `family` says; bytes behind it (a link's padding) are ignored.
  ///
  /// What this host sent itself is no news from the network: only its clients' DHCP requests are let through, and
  /// their transport checksum, often left to the card, is not asked for.
  @_lifetime(copy bytes)
  @inline(always)
  package static func decode(_ bytes: RawSpan, family: Family, arrival: Arrival) throws(Refusal) -> Packet {
    let isChecked = arrival.checksum == .ready && !arrival.outgoing
    switch family {
    case .v4: return try decodeV4(try IPv4Packet(bytes), isChecked: isChecked, isOutgoing: arrival.outgoing)
    case .v6: return try decodeV6(try IPv6Packet(bytes), isChecked: isChecked, isOutgoing: arrival.outgoing)
    }
  }

  @_lifetime(copy packet)
  @inline(__always)
  private static func decodeV4(_ packet: IPv4Packet, isChecked: Bool, isOutgoing: Bool) throws(Refusal) -> Packet {
    switch packet.number {
    case .icmp:
      let message = packet.payload
      guard message.byteCount >= Field.shortestICMP else { throw .icmpLength }
      let type = message.u8(Field.type)
      guard ICMPError.isErrorV4(type) || type == Redirect.typeV4 else { throw .icmpType }
      guard !isOutgoing else { throw .notOursOutgoing }
      if isChecked {
        var checksum = Checksum()
        checksum.add(message)
        guard checksum.isRight else { throw .icmpChecksum }
      }
      if type == Redirect.typeV4 {
        return .redirect(ICMPMessage(packet: packet.checked(behind: 0, message.byteCount), family: .v4))
      }
      return .icmpError(ICMPMessage(packet: packet.checked(behind: 0, message.byteCount), family: .v4))
    case .udp:
      let datagram = try UDPDatagram(
        packet.payload, family: .v4, pseudoHeader: isChecked ? packet.pseudoHeader(length: 0) : nil)
      let isToClient = datagram.destinationPort == DHCPv4Message.clientPort
      guard isToClient || datagram.destinationPort == DHCPv4Message.serverPort else { throw .notOursPort }
      guard !(isOutgoing && isToClient) else { throw .notOursOutgoing }
      return .dhcpv4(
        DHCPv4Datagram(
          packet: packet.checked(behind: UDPDatagram.Field.end, datagram.payload.byteCount), isToClient: isToClient))
    default:
      throw .notOursProtocol
    }
  }

  @_lifetime(copy packet)
  @inline(__always)
  private static func decodeV6(_ packet: IPv6Packet, isChecked: Bool, isOutgoing: Bool) throws(Refusal) -> Packet {
    switch packet.number {
    case .icmpv6:
      let message = packet.payload
      guard message.byteCount >= Field.shortestICMP else { throw .icmpLength }
      let type = message.u8(Field.type)
      guard ICMPError.isErrorV6(type) || type == routerAdvertisementType || type == Redirect.typeV6 else {
        throw .icmpType
      }
      guard !isOutgoing else { throw .notOursOutgoing }
      if isChecked {
        var checksum = packet.pseudoHeader(length: message.byteCount)
        checksum.add(message)
        guard checksum.isRight else { throw .icmpChecksum }
      }
      if type == routerAdvertisementType {
        // RFC 6980, 5: not even an atomic fragment.
        guard !packet.hasFragmentHeader else { throw .raFragment }
        return .routerAdvertisement(
          try RouterAdvertisement(packet.checked(behind: 0, message.byteCount), hopLimit: packet.hopLimit))
      }
      if type == Redirect.typeV6 {
        guard !packet.hasFragmentHeader else { throw .redirectFragment }
        return .redirect(ICMPMessage(packet: packet.checked(behind: 0, message.byteCount), family: .v6))
      }
      return .icmpError(ICMPMessage(packet: packet.checked(behind: 0, message.byteCount), family: .v6))
    case .udp:
      let datagram = try UDPDatagram(
        packet.payload, family: .v6, pseudoHeader: isChecked ? packet.pseudoHeader(length: 0) : nil)
      let isToClient = datagram.destinationPort == DHCPv6Message.clientPort
      guard isToClient || datagram.destinationPort == DHCPv6Message.serverPort else { throw .notOursPort }
      guard !(isOutgoing && isToClient) else { throw .notOursOutgoing }
      return .dhcpv6(
        try DHCPv6Message(
          packet.checked(behind: UDPDatagram.Field.end, datagram.payload.byteCount), isToClient: isToClient))
    default:
      throw .notOursProtocol
    }
  }
}
