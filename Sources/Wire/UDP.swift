/// A UDP datagram (RFC 768) whose length fits the packet around it and whose checksum is right.
struct UDPDatagram: ~Escapable {
  enum Field {
    static let source = 0
    static let destination = 2
    static let length = 4
    static let checksum = 6
    static let end = 8
  }

  private let bytes: RawSpan

  /// `payload` is the IP packet's, `pseudoHeader` the sum of it with a length of 0, or nil where the checksum is not
  /// in the packet yet.
  @_lifetime(copy payload)
  @inline(__always)
  init(_ payload: RawSpan, family: Family, pseudoHeader: Checksum?) throws(Refusal) {
    guard payload.byteCount >= Field.end else { throw .udpLength }
    let length = Int(payload.u16(Field.length))
    guard length >= Field.end, length <= payload.byteCount else { throw .udpLength }
    let bytes = payload.slice(0, length)
    if var checksum = pseudoHeader {
      if bytes.u16(Field.checksum) == 0 {
        // None was computed: allowed in IPv4 alone (RFC 8200, 8.1).
        guard family == .v4 else { throw .udpChecksum }
      } else {
        checksum.add(UInt32(length))
        checksum.add(bytes)
        guard checksum.isRight else { throw .udpChecksum }
      }
    }
    self.bytes = bytes
  }

  var destinationPort: UInt16 { bytes.u16(Field.destination) }
  var payload: RawSpan {
    @_lifetime(copy self) get { bytes.slice(from: Field.end) }
  }
}
