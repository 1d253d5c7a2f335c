/// A packet whose network and transport headers were checked: its bytes from the network header on, up to the end of the
/// message in it. What is told of it is read out of these; so it is small, and passed in registers.
struct CheckedPacket: ~Escapable {
  private let bytes: RawSpan
  private let offset: UInt16

  /// `offset` is where the message begins that the last of the headers is in front of; `end` is where it ends.
  @_lifetime(copy bytes)
  @inline(__always)
  init(_ bytes: RawSpan, from offset: Int, to end: Int) {
    assert(offset <= end, "the message is not within the packet")
    self.bytes = bytes.slice(0, end)
    self.offset = UInt16(truncatingIfNeeded: min(offset, self.bytes.byteCount))
  }

  var message: RawSpan {
    @_lifetime(copy self) @inline(__always) get {
      unsafe bytes.slice(unchecked: Int(offset), bytes.byteCount &- Int(offset))
    }
  }

  // The addresses of an IPv4 header.
  var sourceV4: IPv4Address { bytes.ipv4(IPv4Packet.Field.source) }
  var destinationV4: IPv4Address { bytes.ipv4(IPv4Packet.Field.destination) }

  // The hop limit and the addresses of an IPv6 header.
  var hopLimitV6: UInt8 { bytes.u8(IPv6Packet.Field.hopLimit) }
  var sourceV6: IPv6Address { bytes.ipv6(IPv6Packet.Field.source) }
  var destinationV6: IPv6Address { bytes.ipv6(IPv6Packet.Field.destination) }
}
