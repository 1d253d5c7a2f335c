import Messages
package import Wire

/// A provisioning domain as it has been announced: one consistent set of configuration on one interface (RFC 7556).
package struct ProvisioningDomain: Sendable {
  /// What makes two PvDs of an interface different.
  package enum Key: Hashable, Sendable {
    /// By the FQDN of a PvD option (RFC 8801), lower case, presentation form; several routers may share it.
    case explicit(name: [UInt8])
    /// Implicit: one router of the interface.
    case router(IPv6Address)
    /// Implicit: one DHCPv4 server of the interface.
    case dhcpv4(IPv4Address)
    /// Implicit: what the kernel has that nobody on the network was heard to configure.
    case kernel
  }

  /// From 1, counting up.
  package let id: UInt32
  package let interface: UInt32
  package let key: Key
  /// The FQDN, or for an implicit PvD `up0/ra/fe80::1`, `up0/dhcpv4/192.0.2.1`, `up0/kernel`; at most 255 bytes.
  package let name: [UInt8]
  var elements = Elements()
  /// The addresses announced, in the kernel's order.
  package internal(set) var addresses: [Address] = []

  /// An announced address.
  package struct Address: Sendable {
    package var address: InterfaceAddress
    /// When the kernel told its lifetimes.
    var toldAt: Instant
    /// The serial of the interface's address.
    var serial: UInt64
  }

  func holds(_ prefix: IPPrefix) -> Bool { addresses.contains { $0.address.prefix == prefix } }

  package var isExplicit: Bool { if case .explicit = key { true } else { false } }

  /// Element types, and what tells what each configures from what it configured before; nil where there is none.
  struct Elements: Sendable {
    private var fingerprints = InlineArray<4, UInt64>(repeating: 0)
    /// Which there are, a bit for each.
    private var present: UInt8 = 0

    subscript(type: ElementType) -> UInt64? {
      get { present & 1 << type.place != 0 ? fingerprints[type.place] : nil }
      set {
        if newValue == nil { present &= ~(1 << type.place) } else { present |= 1 << type.place }
        fingerprints[type.place] = newValue ?? 0
      }
    }

    /// Whether there is one here that is not there.
    func hasMore(than other: Elements) -> Bool { present & ~other.present != 0 }

    /// Whether each that is here is the same there.
    func areAll(in other: Elements) -> Bool {
      if hasMore(than: other) { return false }
      for place in fingerprints.indices
      where present & 1 << place != 0 && fingerprints[place] != other.fingerprints[place] { return false }
      return true
    }

    /// One of those who configure an element, in any order.
    mutating func add(_ fingerprint: Fingerprint, to type: ElementType) {
      self[type] = (self[type] ?? 0) &+ fingerprint.value
    }
  }
}

extension ElementType {
  fileprivate var place: Int {
    switch self {
    case .routerAdvertisement: 0
    case .dhcpv6: 1
    case .dhcpv4: 2
    case .kernel: 3
    }
  }
}

extension ProvisioningDomain.Key {
  func name(on interface: InterfaceName) -> [UInt8] {
    var name = interface.bytes
    switch self {
    case .explicit(let fqdn): return fqdn
    case .router(let address):
      name.append(contentsOf: "/ra/".utf8)
      address.append(to: &name)
    case .dhcpv4(let server):
      name.append(contentsOf: "/dhcpv4/".utf8)
      server.append(to: &name)
    case .kernel: name.append(contentsOf: "/kernel".utf8)
    }
    return name
  }
}
