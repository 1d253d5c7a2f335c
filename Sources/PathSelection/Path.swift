package import Wire

/// A way for packets to a peer: out of which interface, to which router, from which address.
package struct Path: Hashable, Sendable {
  /// The index of the interface.
  package var interface: UInt32
  /// nil where the peer is on the link, or the link has two ends only.
  package var gateway: IPAddress?
  package var source: IPAddress

  package init(interface: UInt32, gateway: IPAddress?, source: IPAddress) {
    self.interface = interface
    self.gateway = gateway
    self.source = source
  }

  /// Whether both leave by the same interface to the same router.
  package func sharesUplink(with other: Path) -> Bool { interface == other.interface && gateway == other.gateway }
}
