/// An option in which a router tells more of itself. Nothing depends on these; they are recognised, and kept as they came.
package struct RouterOption: ~Escapable {
  private typealias Kind = NeighbourDiscoveryOptions.Kind
  private typealias Field = NeighbourDiscoveryOptions.Field

  package enum Value: Hashable, Sendable {
    /// RFC 5175, 4: the first 48 flags behind those of the header, the first one highest. None of them is assigned.
    case flagsExtension(UInt64)
    /// RFC 6275, 7.3: milliseconds between advertisements that nobody asked for, at the most.
    case advertisementInterval(UInt32)
    /// RFC 6275, 7.4: a home agent of Mobile IPv6. Of preferences the larger is better; the lifetime is in seconds.
    case homeAgent(preference: UInt16, lifetime: UInt16)
  }

  private let option: RawSpan

  /// `option` is of type 7, 8 or 26. The first two have a length of 1, and a home agent's lifetime is not 0; a flags
  /// extension that is longer has more flags behind those that are read here.
  @_lifetime(copy option)
  init(_ option: RawSpan) throws(Refusal) {
    self.option = option
    switch value {
    case .flagsExtension: break
    case .advertisementInterval:
      guard option.byteCount == Field.unit else { throw .advertisementIntervalLength }
    case .homeAgent(_, let lifetime):
      guard option.byteCount == Field.unit else { throw .homeAgentLength }
      guard lifetime > 0 else { throw .homeAgentLifetime }
    }
  }

  package var type: UInt8 { option.u8(0) }
  package var value: Value {
    switch type {
    case Kind.flagsExtension: .flagsExtension(UInt64(option.u16(2)) << 32 | UInt64(option.u32(4)))
    case Kind.advertisementInterval: .advertisementInterval(option.u32(4))
    default: .homeAgent(preference: option.u16(4), lifetime: option.u16(6))
    }
  }
  /// What is behind type and length.
  package var content: RawSpan {
    @_lifetime(copy self) get { option.slice(from: Field.value) }
  }
}
