/// The fixed fields of a Router Advertisement (RFC 4861, 4.2), also those inside a PvD option (RFC 8801, 3.1).
package struct RouterAdvertisementHeader: Hashable, Sendable {
  private enum Field {
    static let curHopLimit = 4
    static let flags = 5
    static let routerLifetime = 6
    static let reachableTime = 8
    static let retransTimer = 12
  }
  static let byteCount = 16

  package struct Flags: OptionSet, Hashable, Sendable {
    package var rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    /// M: addresses are to be had by DHCPv6.
    package static let managed = Flags(rawValue: 0x80)
    /// O: other configuration is to be had by DHCPv6.
    package static let otherConfiguration = Flags(rawValue: 0x40)
    /// H: the router is a Mobile IPv6 home agent (RFC 6275, 7.1).
    package static let homeAgent = Flags(rawValue: 0x20)
    /// P: neighbour discovery is proxied (RFC 4389, 4.1.3.3).
    package static let proxied = Flags(rawValue: 0x04)
  }

  /// 0 where the router does not say.
  package var curHopLimit: UInt8
  /// All eight bits, the preference's and reserved ones too.
  package var flags: Flags
  /// Seconds; 0 for a router that is no default router.
  package var routerLifetime: UInt16
  /// Milliseconds, 0 where the router does not say.
  package var reachableTime: UInt32
  /// Milliseconds, 0 where the router does not say.
  package var retransTimer: UInt32

  /// `bytes` from the message's type on, 16 of them.
  @inline(__always)
  init(_ bytes: RawSpan) {
    curHopLimit = bytes.u8(Field.curHopLimit)
    flags = Flags(rawValue: bytes.u8(Field.flags))
    routerLifetime = bytes.u16(Field.routerLifetime)
    reachableTime = bytes.u32(Field.reachableTime)
    retransTimer = bytes.u32(Field.retransTimer)
  }

  /// RFC 4191, 2.2: the reserved value reads as medium, and a router that is no default router has no preference.
  package var preference: RouterPreference {
    routerLifetime == 0 ? .medium : RouterPreference(bits: flags.rawValue >> 3) ?? .medium
  }
}

/// A Router Advertisement that passed the checks of RFC 4861, 6.1.2 and RFC 6980, 5: from a link-local address, hop
/// limit 255, unfragmented, checksum right, and every option ends where it says. No getter of it can fail.
package struct RouterAdvertisement: ~Escapable {
  private enum Field {
    static let code = 1
  }

  private let packet: CheckedPacket

  @_lifetime(copy packet)
  @inline(__always)
  init(_ packet: CheckedPacket, hopLimit: UInt8) throws(Refusal) {
    let message = packet.message
    guard packet.sourceV6.isLinkLocal else { throw .raSource }
    guard hopLimit == 255 else { throw .raHopLimit }
    guard message.byteCount >= RouterAdvertisementHeader.byteCount else { throw .raLength }
    guard message.u8(Field.code) == 0 else { throw .raCode }
    try NeighbourDiscoveryOptions.check(message.slice(from: RouterAdvertisementHeader.byteCount))
    self.packet = packet
  }

  /// The router.
  package var source: IPv6Address { packet.sourceV6 }
  /// All nodes, or this host after a solicitation.
  package var destination: IPv6Address { packet.destinationV6 }
  package var header: RouterAdvertisementHeader {
    @inline(__always) get { RouterAdvertisementHeader(packet.message) }
  }

  /// The ICMPv6 message, from its type on.
  package var bytes: RawSpan {
    @_lifetime(copy self) get { packet.message }
  }

  package var options: NeighbourDiscoveryOptions {
    @_lifetime(copy self) @inline(__always) get {
      NeighbourDiscoveryOptions(
        checked: packet.message.slice(from: RouterAdvertisementHeader.byteCount), isNested: false)
    }
  }
}
