/// An ICMP or ICMPv6 message of a type that is listened for, its checksum right, nothing else looked into: `ICMPError` or
/// `Redirect` is made of it.
package struct ICMPMessage: ~Escapable {
  let packet: CheckedPacket
  package let family: Family

  @_lifetime(copy packet)
  @inline(__always)
  init(packet: CheckedPacket, family: Family) {
    self.packet = packet
    self.family = family
  }
}
