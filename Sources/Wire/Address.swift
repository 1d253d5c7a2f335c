/// An IPv4 address as its 32-bit value in host order: 192.0.2.1 is 0xC0000201.
package struct IPv4Address: Hashable, Sendable {
  package var value: UInt32
  package init(_ value: UInt32) { self.value = value }

  package static let unspecified = IPv4Address(0)
  /// 127.0.0.0/8 (RFC 1122 3.2.1.3).
  package var isLoopback: Bool { value >> 24 == 127 }
  /// 169.254.0.0/16 (RFC 3927).
  package var isLinkLocal: Bool { value >> 16 == 0xA9FE }
  /// 224.0.0.0/4 (RFC 5771).
  package var isMulticast: Bool { value >> 28 == 0xE }
}

/// An IPv6 address as two 64-bit values in host order: 2001:db8::1 is (0x20010db8_00000000, 1).
package struct IPv6Address: Hashable, Sendable {
  package var high: UInt64
  package var low: UInt64
  package init(_ high: UInt64, _ low: UInt64) {
    self.high = high
    self.low = low
  }

  package static let unspecified = IPv6Address(0, 0)
  /// Its first `length` bits, at most 128, and zeros behind them.
  @inline(__always)
  func masked(_ length: UInt8) -> IPv6Address {
    // A shift takes its distance modulo 64.
    let mask = ~(UInt64.max &>> UInt64(length))
    return length >= 64
      ? IPv6Address(high, length >= 128 ? low : low & mask) : IPv6Address(high & mask, 0)
  }
  package var isLoopback: Bool { high == 0 && low == 1 }
  /// fe80::/10 (RFC 4291 2.5.6).
  package var isLinkLocal: Bool { high >> 54 == 0x3FA }
  /// ff00::/8 (RFC 4291 2.7).
  package var isMulticast: Bool { high >> 56 == 0xFF }
}

/// An address of either family.
package enum IPAddress: Hashable, Sendable {
  case v4(IPv4Address)
  case v6(IPv6Address)

  /// Of the address alone: the families differ in how much there is of it.
  package func hash(into hasher: inout Hasher) {
    switch self {
    case .v4(let address): hasher.combine(address.value)
    case .v6(let address):
      hasher.combine(address.high)
      hasher.combine(address.low)
    }
  }

  package var family: Family {
    switch self {
    case .v4: .v4
    case .v6: .v6
    }
  }
  package var isUnspecified: Bool { self == .v4(.unspecified) || self == .v6(.unspecified) }
  package var isLoopback: Bool {
    switch self {
    case .v4(let address): address.isLoopback
    case .v6(let address): address.isLoopback
    }
  }
  package var isLinkLocal: Bool {
    switch self {
    case .v4(let address): address.isLinkLocal
    case .v6(let address): address.isLinkLocal
    }
  }
}

/// The two address families, with the width of their addresses in bits.
package enum Family: UInt8, Hashable, Sendable, CaseIterable {
  case v4 = 4
  case v6 = 6

  package var width: UInt8 { self == .v4 ? 32 : 128 }
}

/// An address and how many of its leading bits count; the others may be set or not (an interface's address
/// keeps its host bits, `masked` clears them). `length` is at most the family's width.
package struct IPPrefix: Hashable, Sendable {
  package var address: IPAddress
  package var length: UInt8

  package init(_ address: IPAddress, _ length: UInt8) {
    self.address = address
    self.length = min(length, address.family.width)
  }

  /// The first `length` bits of `address`, at most 128; all others are 0.
  init(masking address: IPv6Address, _ length: UInt8) {
    self.init(.v6(address.masked(length)), length)
  }

  /// Likewise, of at most 32 bits.
  init(masking address: IPv4Address, _ length: UInt8) {
    self.init(.v4(IPv4Address(address.value & ~(UInt32.max >> UInt32(length)))), length)
  }

  /// The same prefix with all bits past its length cleared.
  package var masked: IPPrefix {
    switch address {
    case .v4(let v4):
      return IPPrefix(masking: v4, length)
    case .v6(let v6):
      return IPPrefix(masking: v6, length)
    }
  }

  package func contains(_ other: IPAddress) -> Bool {
    other.family == address.family && IPPrefix(other, length).masked.address == masked.address
  }
}
