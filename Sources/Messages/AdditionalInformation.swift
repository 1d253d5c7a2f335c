package import Wire

/// What the engine asks `mif-pvdinfo`: one datagram. Numbers are in network byte order here.
///
///     offset  size  field
///          0     4  identifier of the provisioning domain
///          4        its name, 1 to 255 bytes
package struct InformationRequest: Equatable, Sendable {
  package static let largest = 4 + 255

  package var pvd: UInt32
  /// Lower case, presentation form, without a final dot.
  package var name: [UInt8]

  package init(pvd: UInt32, name: [UInt8]) {
    self.pvd = pvd
    self.name = name
  }

  /// nil where it is none.
  package init?(_ bytes: RawSpan) {
    guard bytes.byteCount > 4, bytes.byteCount <= InformationRequest.largest else { return nil }
    pvd = UInt32(bigEndian: bytes.u32(0))
    name = bytes.copy(4, bytes.byteCount - 4)
  }

  package var bytes: [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(number: pvd)
    return bytes + name
  }
}

/// What `mif-pvdinfo` answers: one datagram, so that the engine reads no JSON.
///
///     offset  size  field
///          0     1  version, 1
///          1     1  outcome: 1 known, 2 refused, 3 not reached
///          2     2  number of prefixes, at most 64; 0 unless known
///          4     4  0
///          8     8  when it expires, seconds since 1970
///         16   17n  the prefixes: length, and the address
///                   the text, 1 to 4,096 bytes; none unless known
package enum InformationReport: Equatable, Sendable {
  /// A checked object. `text` is what this host knows of it, as JSON.
  case known(expires: UInt64, prefixes: [IPPrefix], text: [UInt8])
  /// An error of TLS or HTTP, or what came was no such object (RFC 8801 4.1).
  case refused
  /// There was no server to talk to.
  case notReached

  package static let prefixLimit = 64
  package static let textLimit = 4096
  package static let largest = headerSize + prefixLimit * prefixSize + textLimit
  private static let headerSize = 16
  private static let prefixSize = 17
  private static let version: UInt8 = 1

  private enum Outcome: UInt8 {
    case known = 1
    case refused = 2
    case notReached = 3
  }

  /// nil for anything that is not exactly such a datagram.
  package init?(_ bytes: RawSpan) {
    let size = bytes.byteCount
    guard size >= Self.headerSize, size <= Self.largest, bytes.u8(0) == Self.version, bytes.u32(4) == 0,
      let outcome = Outcome(rawValue: bytes.u8(1))
    else { return nil }
    let count = Int(UInt16(bigEndian: bytes.u16(2)))
    let expires = UInt64(bigEndian: bytes.u64(8))
    if outcome != .known {
      guard size == Self.headerSize, count == 0, expires == 0 else { return nil }
      self = outcome == .refused ? .refused : .notReached
      return
    }
    let text = Self.headerSize + count * Self.prefixSize
    guard count <= Self.prefixLimit, size > text, size - text <= Self.textLimit else { return nil }
    var prefixes: [IPPrefix] = []
    for place in 0..<count {
      let offset = Self.headerSize + place * Self.prefixSize
      let length = bytes.u8(offset)
      if length > 128 { return nil }
      let address = IPv6Address(UInt64(bigEndian: bytes.u64(offset + 1)), UInt64(bigEndian: bytes.u64(offset + 9)))
      prefixes.append(IPPrefix(.v6(address), length))
    }
    self = .known(expires: expires, prefixes: prefixes, text: bytes.copy(text, size - text))
  }

  /// Prefixes of IPv4 and those past the limit are left out.
  package var bytes: [UInt8] {
    var outcome = Outcome.refused
    var (expires, list, rest): (UInt64, [UInt8], [UInt8]) = (0, [], [])
    switch self {
    case .refused: break
    case .notReached: outcome = .notReached
    case .known(let end, let prefixes, let text):
      (outcome, expires, rest) = (.known, end, text)
      for prefix in prefixes.prefix(Self.prefixLimit) {
        guard case .v6(let address) = prefix.address else { continue }
        list.append(prefix.length)
        list.append(number: address.high)
        list.append(number: address.low)
      }
    }
    var bytes = [Self.version, outcome.rawValue]
    bytes.append(number: UInt16(list.count / Self.prefixSize))
    bytes.append(number: UInt32(0))
    bytes.append(number: expires)
    return bytes + list + rest
  }
}

extension [UInt8] {
  fileprivate mutating func append(number: some FixedWidthInteger & UnsignedInteger) {
    for shift in stride(from: number.bitWidth - 8, through: 0, by: -8) {
      append(UInt8(truncatingIfNeeded: number >> shift))
    }
  }
}
