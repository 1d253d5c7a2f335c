import Wire

/// A question's bytes (RFC 1035, 4.1).
enum Query {
  private static let typeA: UInt16 = 1
  private static let typeAAAA: UInt16 = 28
  private static let typeOPT: UInt16 = 41
  private static let classIN: UInt16 = 1

  /// Recursion desired, one question. With `payloadSize` an OPT record behind it (RFC 6891, 6.1.2), of 11 bytes as
  /// c-ares takes it off again for a server that doesn't know it.
  static func bytes(id: UInt16, _ labels: [UInt8], _ family: Family, payloadSize: UInt16?) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(labels.count + 27)
    append(id, to: &bytes)
    append(0x0100, to: &bytes)
    append(1, to: &bytes)
    append(0, to: &bytes)
    append(0, to: &bytes)
    append(payloadSize == nil ? 0 : 1, to: &bytes)
    bytes += labels
    append(family == .v4 ? typeA : typeAAAA, to: &bytes)
    append(classIN, to: &bytes)
    if let payloadSize {
      bytes.append(0)
      append(typeOPT, to: &bytes)
      append(payloadSize, to: &bytes)
      append(0, to: &bytes)
      append(0, to: &bytes)
      append(0, to: &bytes)
    }
    return bytes
  }

  /// What a server would send that knows no such name: QR, RD, RA and NXDOMAIN, the question repeated.
  static func denial(id: UInt16, _ labels: [UInt8], _ family: Family) -> [UInt8] {
    var bytes = self.bytes(id: id, labels, family, payloadSize: nil)
    bytes[2] = 0x81
    bytes[3] = 0x80 | RCODE.nameError
    return bytes
  }

  private static func append(_ value: UInt16, to bytes: inout [UInt8]) {
    bytes.append(UInt8(truncatingIfNeeded: value >> 8))
    bytes.append(UInt8(truncatingIfNeeded: value))
  }
}
