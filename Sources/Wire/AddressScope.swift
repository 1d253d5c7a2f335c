/// How far an address reaches, smallest first: the scope field of IPv6 multicast addresses (RFC 4291 2.7), on which
/// RFC 6724 maps all others.
package struct AddressScope: RawRepresentable, Hashable, Comparable, Sendable {
  /// 0 to 15.
  package var rawValue: UInt8
  package init(rawValue: UInt8) { self.rawValue = rawValue }

  package static let interfaceLocal = AddressScope(rawValue: 0x1)
  package static let linkLocal = AddressScope(rawValue: 0x2)
  package static let realmLocal = AddressScope(rawValue: 0x3)
  package static let siteLocal = AddressScope(rawValue: 0x5)
  package static let organizationLocal = AddressScope(rawValue: 0x8)
  package static let global = AddressScope(rawValue: 0xE)

  package static func < (a: AddressScope, b: AddressScope) -> Bool { a.rawValue < b.rawValue }
}

extension IPv4Address {
  /// RFC 6724 3.2: loopback and 169.254.0.0/16 are link-local, all other unicast, private addresses among it, global.
  /// Multicast as RFC 2365 8 maps it to IPv6's scopes.
  package var scope: AddressScope {
    if isLoopback || isLinkLocal { return .linkLocal }
    if value >> 8 == 0xE00000 { return .linkLocal }
    if value >> 16 == 0xEFFF { return .realmLocal }
    if value >> 18 == 0xEFC0_0000 >> 18 { return .organizationLocal }
    return .global
  }
}

extension IPv6Address {
  /// RFC 6724 3.1 and 3.4; unique local addresses are global. An IPv4 address inside has the scope that it has outside.
  package var scope: AddressScope {
    if isMulticast { return AddressScope(rawValue: UInt8(truncatingIfNeeded: high >> 48) & 0x0F) }
    if isLoopback || isLinkLocal { return .linkLocal }
    // fec0::/10, deprecated by RFC 3879.
    if high >> 54 == 0x3FB { return .siteLocal }
    if let mapped { return mapped.scope }
    return .global
  }

  /// The IPv4 address in ::ffff:0:0/96 (RFC 4291 2.5.5.2).
  package var mapped: IPv4Address? {
    high == 0 && low >> 32 == 0xFFFF ? IPv4Address(UInt32(truncatingIfNeeded: low)) : nil
  }

  fileprivate init(mapping v4: IPv4Address) { self.init(0, 0xFFFF_0000_0000 | UInt64(v4.value)) }
}

extension IPAddress {
  /// An IPv4 address as it stands in ::ffff:0:0/96.
  package var asIPv6: IPv6Address {
    switch self {
    case .v4(let address): IPv6Address(mapping: address)
    case .v6(let address): address
    }
  }

  package var scope: AddressScope {
    switch self {
    case .v4(let address): address.scope
    case .v6(let address): address.scope
    }
  }

  /// How many leading bits two addresses have in common; 0 where their families differ.
  package func commonPrefixLength(_ other: IPAddress) -> UInt8 {
    switch (self, other) {
    case (.v4(let a), .v4(let b)): UInt8((a.value ^ b.value).leadingZeroBitCount)
    case (.v6(let a), .v6(let b)):
      a.high != b.high
        ? UInt8((a.high ^ b.high).leadingZeroBitCount) : 64 + UInt8((a.low ^ b.low).leadingZeroBitCount)
    default: 0
    }
  }
}

/// The default policy table (RFC 6724 2.1).
package struct AddressPolicy: Hashable, Sendable {
  /// Destinations of a higher one are tried first.
  package var precedence: UInt8
  /// A source goes best with destinations of its own label.
  package var label: UInt8

  /// The entry of an address, the longest prefix first. A chain and not a table in memory: a library of C's has nobody
  /// to set one up before its first call, from whichever thread that comes.
  package init(of address: IPAddress) {
    let key = address.asIPv6
    if key.isLoopback {
      self.init(precedence: 50, label: 0)
    } else if key.high == 0, key.low >> 32 == 0xFFFF {  // ::ffff:0:0/96, which is IPv4
      self.init(precedence: 35, label: 4)
    } else if key.high == 0, key.low >> 32 == 0 {  // ::/96, IPv4-compatible, deprecated
      self.init(precedence: 1, label: 3)
    } else if key.high >> 32 == 0x2001_0000 {  // 2001::/32, Teredo
      self.init(precedence: 5, label: 5)
    } else if key.high >> 48 == 0x2002 {  // 2002::/16, 6to4
      self.init(precedence: 30, label: 2)
    } else if key.high >> 48 == 0x3FFE {  // 3ffe::/16, 6bone, returned
      self.init(precedence: 1, label: 12)
    } else if key.high >> 54 == 0x3FB {  // fec0::/10, site-local, deprecated
      self.init(precedence: 1, label: 11)
    } else if key.high >> 57 == 0x7E {  // fc00::/7, unique local
      self.init(precedence: 3, label: 13)
    } else {
      self.init(precedence: 40, label: 1)
    }
  }

  private init(precedence: UInt8, label: UInt8) {
    self.precedence = precedence
    self.label = label
  }
}
