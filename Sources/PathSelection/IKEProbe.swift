/// The probe: the header of an IKE message (RFC 7296 section 3.1) of a major version that there is not. Whoever takes
/// IKE answers INVALID_MAJOR_VERSION (section 2.5) and keeps nothing of it. The answer repeats both SPIs, which are the
/// cookie: 128 bits that nobody can guess who does not see the probe.
package struct IKEProbe: Sendable {
  /// Bytes, without the marker.
  private static let length = 28
  private static let versionOffset = 17
  /// The port of IKE behind NATs (RFC 7296 section 2.23), where four zeros tell it from ESP.
  package static let markedPort: UInt16 = 4500

  private let cookie: [16 of UInt8]
  private let hasMarker: Bool

  package init(cookie: [16 of UInt8], port: UInt16) {
    self.cookie = cookie
    hasMarker = port == IKEProbe.markedPort
  }

  /// What goes into the UDP datagram.
  package var bytes: [UInt8] {
    var bytes: [UInt8] = hasMarker ? [0, 0, 0, 0] : []
    for index in 0..<16 { bytes.append(cookie[index]) }
    // No payload, version 3.0, IKE_SA_INIT (34), from the initiator, message 0.
    bytes += [0, 0x30, 34, 0x08, 0, 0, 0, 0, 0, 0, 0, UInt8(IKEProbe.length)]
    return bytes
  }

  /// Whether a datagram answers it: a header of a version that there is, with both SPIs.
  package func isAnswered(by datagram: ArraySlice<UInt8>) -> Bool {
    guard let header = header(in: datagram), header.count >= IKEProbe.length else { return false }
    return header[header.startIndex + IKEProbe.versionOffset] >> 4 < 3
  }

  /// Whether an ICMP error quotes it: what is quoted must reach to the end of the cookie.
  package func isQuoted(by datagram: ArraySlice<UInt8>) -> Bool { header(in: datagram) != nil }

  /// What begins with the cookie.
  private func header(in datagram: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
    var rest = datagram
    if hasMarker {
      guard rest.count >= 4, rest.prefix(4).allSatisfy({ $0 == 0 }) else { return nil }
      rest = rest.dropFirst(4)
    }
    guard rest.count >= 16 else { return nil }
    for (index, byte) in rest.prefix(16).enumerated() where byte != cookie[index] { return nil }
    return rest
  }

}
