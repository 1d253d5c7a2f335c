import Text
package import Wire

/// What an `ike-update` event tells: MOBIKE is about to take an IKE_SA to other addresses. The IKE_SA itself, which the
/// event describes as well, has its former ones yet.
package struct AddressUpdate: Hashable, Sendable {
  package var local: IPAddress
  package var remote: IPAddress

  package init(local: IPAddress, remote: IPAddress) {
    self.local = local
    self.remote = remote
  }

  /// nil for a message without them.
  package static func read(_ message: ArraySlice<UInt8>) throws(VICIRefusal) -> AddressUpdate? {
    var elements = Elements(message)
    var (local, remote): (IPAddress?, IPAddress?)
    while let element = try elements.next() {
      guard case .keyValue(let key, let value) = element, elements.depth == 0 else { continue }
      if key == "local-host" { local = IPAddress(parsing: Array(value)) }
      if key == "remote-host" { remote = IPAddress(parsing: Array(value)) }
    }
    guard let local, let remote else { return nil }
    return AddressUpdate(local: local, remote: remote)
  }
}
