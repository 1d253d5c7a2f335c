/// An IPv4 packet (RFC 791) that is whole: header and payload are inside the captured bytes, the header's checksum is
/// right, and it is no fragment. Bytes past the total length (a link's padding) are left off.
struct IPv4Packet: ~Escapable {
  enum Field {
    static let versionAndLength = 0
    static let totalLength = 2
    static let fragment = 6
    static let timeToLive = 8
    static let number = 9
    static let source = 12
    static let destination = 16
    static let minimum = 20
  }

  private let bytes: RawSpan
  private let headerLength: Int

  @_lifetime(copy captured)
  @inline(__always)
  init(_ captured: RawSpan) throws(Refusal) {
    guard captured.byteCount >= Field.minimum else { throw .ipTruncated }
    guard captured.u8(Field.versionAndLength) >> 4 == 4 else { throw .ipVersion }
    let headerLength = IPv4Packet.headerLength(captured)
    guard headerLength >= Field.minimum else { throw .ipHeaderLength }
    let totalLength = Int(captured.u16(Field.totalLength))
    guard totalLength >= headerLength else { throw .ipTotalLength }
    guard totalLength <= captured.byteCount else { throw .ipTruncated }
    var checksum = Checksum()
    if headerLength == Field.minimum {
      // Nearly all: without a loop.
      checksum.add(captured.u64(0))
      checksum.add(captured.u64(8))
      checksum.add(captured.u32(16))
    } else {
      checksum.add(captured.slice(0, headerLength))
    }
    guard checksum.isRight else { throw .ipChecksum }
    guard captured.u16(Field.fragment) & 0x3FFF == 0 else { throw .ipFragment }
    self.bytes = captured.slice(0, totalLength)
    self.headerLength = headerLength
  }

  /// What the header claims of its own length, in bytes, of a span that holds at least one byte (RFC 791, 3.1).
  static func headerLength(_ bytes: RawSpan) -> Int { Int(bytes.u8(Field.versionAndLength) & 0x0F) * 4 }

  var number: IPProtocol { IPProtocol(rawValue: bytes.u8(Field.number)) }
  var source: IPv4Address { bytes.ipv4(Field.source) }
  var destination: IPv4Address { bytes.ipv4(Field.destination) }
  var payload: RawSpan {
    @_lifetime(copy self) @inline(__always) get { bytes.slice(from: headerLength) }
  }

  /// The packet with the message that begins `skipped` bytes behind its header and has `length` bytes.
  @_lifetime(copy self)
  @inline(__always)
  func checked(behind skipped: Int, _ length: Int) -> CheckedPacket {
    CheckedPacket(bytes, from: headerLength &+ skipped, to: headerLength &+ skipped &+ length)
  }

  /// The pseudo header for a transport of `length` bytes.
  @inline(__always)
  func pseudoHeader(length: Int) -> Checksum {
    Checksum(source: source, destination: destination, protocol: number, length: length)
  }
}
