/// More flags of a router (RFC 5175, 4). None of them is assigned, so nothing depends on them.
package struct RouterFlagsExtension: ~Escapable {
  private let option: RawSpan

  /// `option` is of type 26. Its first length is 1; longer ones have more flags behind the 48 that are read here.
  @_lifetime(copy option)
  init(_ option: RawSpan) {
    self.option = option
  }

  /// The first 48 flags, bit 16 of the whole field on, the first one highest.
  package var bits: UInt64 { UInt64(option.u16(2)) << 32 | UInt64(option.u32(4)) }
  /// What is behind type and length.
  package var content: RawSpan {
    @_lifetime(copy self) get { option.slice(from: NeighbourDiscoveryOptions.Field.value) }
  }
}

/// How often at the least a router advertises without being asked (RFC 6275, 7.3).
package struct AdvertisementInterval: ~Escapable {
  private let option: RawSpan

  /// `option` is of type 7.
  @_lifetime(copy option)
  init(_ option: RawSpan) throws(Refusal) {
    guard option.byteCount == NeighbourDiscoveryOptions.Field.unit else { throw .advertisementIntervalLength }
    self.option = option
  }

  package var milliseconds: UInt32 { option.u32(4) }
  /// What is behind type and length.
  package var content: RawSpan {
    @_lifetime(copy self) get { option.slice(from: NeighbourDiscoveryOptions.Field.value) }
  }
}

/// A router that is a home agent of Mobile IPv6 (RFC 6275, 7.4).
package struct HomeAgentInformation: ~Escapable {
  private let option: RawSpan

  /// `option` is of type 8. A lifetime of 0 must not be sent.
  @_lifetime(copy option)
  init(_ option: RawSpan) throws(Refusal) {
    guard option.byteCount == NeighbourDiscoveryOptions.Field.unit else { throw .homeAgentLength }
    self.option = option
    guard lifetime > 0 else { throw .homeAgentLifetime }
  }

  /// Larger is better.
  package var preference: UInt16 { option.u16(4) }
  /// Seconds.
  package var lifetime: UInt16 { option.u16(6) }
  /// What is behind type and length.
  package var content: RawSpan {
    @_lifetime(copy self) get { option.slice(from: NeighbourDiscoveryOptions.Field.value) }
  }
}
