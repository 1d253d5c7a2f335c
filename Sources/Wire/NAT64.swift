/// IPv4 destinations as hosts without IPv4 reach them: RFC 6052.
extension IPv6Address {
  /// 64:ff9b::/96, the Well-Known Prefix (RFC 6052 2.1).
  package static let wellKnownPrefix = IPv6Address(0x0064_FF9B_0000_0000, 0)

  /// An IPv4 address embedded in a NAT64 prefix of 32, 40, 48, 56, 64 or 96 bits (RFC 6052 2.2); nil for other
  /// prefixes, and for an address that the Well-Known Prefix must not represent: one that is not global, such as
  /// 10.0.0.0/8 (3.1).
  package init?(embedding v4: IPv4Address, in prefix: IPPrefix) {
    guard case .v6(let network) = prefix.masked.address else { return nil }
    if prefix.length == 96 {
      if network == .wellKnownPrefix, !v4.isGloballyReachable { return nil }
      self.init(network.high, network.low | UInt64(v4.value))
      return
    }
    guard (32...64).contains(prefix.length), prefix.length % 8 == 0 else { return nil }
    // Bits 64 to 71 are zero ("u"): what does not fit in front of them follows behind.
    let inFront = 64 - UInt32(prefix.length)
    let head = UInt64(v4.value) >> (32 - UInt64(inFront))
    let tail = UInt64(v4.value << inFront) << 24
    self.init(network.high | head, inFront == 32 ? 0 : tail)
  }
}

extension IPv4Address {
  /// Not of a network that RFC 6890 keeps from being forwarded beyond its own.
  fileprivate var isGloballyReachable: Bool {
    let local: [(UInt32, UInt32)] = [
      (0x0000_0000, 8), (0x0A00_0000, 8), (0x6440_0000, 10), (0x7F00_0000, 8), (0xA9FE_0000, 16), (0xAC10_0000, 12),
      (0xC000_0000, 24), (0xC000_0200, 24), (0xC0A8_0000, 16), (0xC612_0000, 15), (0xC633_6400, 24),
      (0xCB00_7100, 24), (0xE000_0000, 3),
    ]
    return !local.contains { network, length in (value ^ network) >> (32 - length) == 0 }
  }
}
