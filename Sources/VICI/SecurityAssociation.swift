import Text
package import Wire

/// An IKE_SA as a `list-sa` event tells it.
package struct SecurityAssociation: Hashable, Sendable {
  /// charon's number for it.
  package var identifier: UInt32
  /// The name of its connection in the daemon's configuration.
  package var connection: [UInt8]
  package var local: IPAddress
  package var remote: IPAddress
  /// UDP, of the peer: 500, or 4500 once a NAT was found or MOBIKE is spoken.
  package var remotePort: UInt16
  /// It carries traffic: it is established, or being replaced and still in use.
  package var isEstablished: Bool
  /// This host began it: in MOBIKE it is the initiator who chooses the path (RFC 4555 section 3.5).
  package var isInitiator: Bool

  package init(
    identifier: UInt32, connection: [UInt8], local: IPAddress, remote: IPAddress, remotePort: UInt16,
    isEstablished: Bool = true, isInitiator: Bool = true
  ) {
    self.identifier = identifier
    self.connection = connection
    self.local = local
    self.remote = remote
    self.remotePort = remotePort
    self.isEstablished = isEstablished
    self.isInitiator = isInitiator
  }

  /// Reads the message of a `list-sa` event, which is about one IKE_SA of version 2; nil for one of another version, and
  /// for one that has no addresses yet.
  package static func read(_ message: ArraySlice<UInt8>) throws(VICIRefusal) -> SecurityAssociation? {
    var elements = Elements(message)
    var connection: ArraySlice<UInt8> = []
    var (number, port): (UInt32?, UInt16?)
    var (local, remote): (IPAddress?, IPAddress?)
    var (isVersion2, isEstablished, isInitiator) = (false, false, false)
    while let element = try elements.next() {
      switch element {
      case .sectionStart(let name) where elements.depth == 1: connection = name
      // What stands deeper is of its CHILD_SAs.
      case .keyValue(let key, let value) where elements.depth == 1:
        if key == "uniqueid" { number = UInt32(decimal: value) }
        if key == "version" { isVersion2 = value == "2" }
        if key == "state" { isEstablished = value == "ESTABLISHED" || value == "REKEYING" }
        if key == "initiator" { isInitiator = value == "yes" }
        if key == "local-host" { local = IPAddress(parsing: Array(value)) }
        if key == "remote-host" { remote = IPAddress(parsing: Array(value)) }
        if key == "remote-port" { port = UInt16(decimal: value) }
      default: break
      }
    }
    guard isVersion2, let number, let local, let remote, let port, !remote.isUnspecified else { return nil }
    return SecurityAssociation(
      identifier: number, connection: Array(connection), local: local, remote: remote, remotePort: port,
      isEstablished: isEstablished, isInitiator: isInitiator)
  }
}
