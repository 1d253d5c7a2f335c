/// An IPv6 packet (RFC 8200) that is whole, its extension headers walked. Bytes past the payload length are left off.
struct IPv6Packet: ~Escapable {
  enum Field {
    static let version = 0
    static let payloadLength = 4
    static let nextHeader = 6
    static let hopLimit = 7
    static let source = 8
    static let destination = 24
    static let end = 40
  }

  private let bytes: RawSpan
  private let extensions: ExtensionHeaders

  @_lifetime(copy captured)
  @inline(__always)
  init(_ captured: RawSpan) throws(Refusal) {
    guard captured.byteCount >= Field.end else { throw .ipTruncated }
    guard captured.u8(Field.version) >> 4 == 6 else { throw .ipVersion }
    let length = Field.end + Int(captured.u16(Field.payloadLength))
    guard length <= captured.byteCount else { throw .ipTruncated }
    let bytes = captured.slice(0, length)
    let extensions = try ExtensionHeaders(walking: bytes)
    // An atomic fragment is a whole packet (RFC 8200, 4.5); anything else needs its neighbours.
    guard !extensions.isFragment else { throw .ipFragment }
    // With segments left this is not the packet's last destination, and the checksum speaks of another (8.1).
    guard !extensions.hasSegmentsLeft else { throw .ipRoutingHeader }
    self.bytes = bytes
    self.extensions = extensions
  }

  /// The upper-layer protocol.
  var number: IPProtocol { extensions.number }
  /// Whether there was a Fragment header, be it an atomic one.
  var hasFragmentHeader: Bool { extensions.hasFragmentHeader }
  var hopLimit: UInt8 { bytes.u8(Field.hopLimit) }
  var source: IPv6Address { bytes.ipv6(Field.source) }
  var destination: IPv6Address { bytes.ipv6(Field.destination) }
  var payload: RawSpan {
    @_lifetime(copy self) @inline(__always) get { bytes.slice(from: extensions.end) }
  }

  /// The packet with the message that begins `skipped` bytes behind its headers and has `length` bytes.
  @_lifetime(copy self)
  @inline(__always)
  func checked(behind skipped: Int, _ length: Int) -> CheckedPacket {
    CheckedPacket(bytes, from: extensions.end &+ skipped, to: extensions.end &+ skipped &+ length)
  }

  /// The pseudo header for a transport of `length` bytes (RFC 8200, 8.1).
  @inline(__always)
  func pseudoHeader(length: Int) -> Checksum {
    Checksum(source: source, destination: destination, protocol: number, length: length)
  }
}

/// What stands between an IPv6 header and its upper layer (RFC 8200, 4): hop-by-hop options, routing, fragment and
/// destination options; everything else counts as the upper layer.
struct ExtensionHeaders {
  enum Field {
    static let nextHeader = 0
    static let length = 1
    static let segmentsLeft = 3
    static let fragment = 2
    static let unit = 8
  }

  /// No real packet has more: each kind once, destination options twice.
  static let limit = 8

  // In this order the view around these is passed in registers.
  /// Where the upper layer begins, counted from the IPv6 header.
  private(set) var end: Int
  private(set) var number: IPProtocol
  private(set) var hasFragmentHeader = false
  /// True for a fragment that has neighbours (offset or M flag set).
  private(set) var isFragment = false
  /// True for a fragment that is not the first one: its upper layer has no header.
  private(set) var isLaterFragment = false
  private(set) var hasSegmentsLeft = false

  /// `bytes` begin with an IPv6 header, whole; the headers after it may be cut off (`ip.extension-length`).
  @inline(__always)
  init(walking bytes: RawSpan) throws(Refusal) {
    number = IPProtocol(rawValue: bytes.u8(IPv6Packet.Field.nextHeader))
    end = IPv6Packet.Field.end
    if number.isExtensionHeader { try walk(bytes) }
  }

  @inline(never)
  private mutating func walk(_ bytes: RawSpan) throws(Refusal) {
    var count = 0
    while !isLaterFragment, number.isExtensionHeader {
      guard count < ExtensionHeaders.limit else { throw .ipExtensionCount }
      // Hop-by-hop options come first or not at all (RFC 8200, 4.1).
      guard number != .hopByHop || count == 0 else { throw .ipExtensionOrder }
      guard bytes.byteCount - end >= Field.unit else { throw .ipExtensionLength }
      let isFragmentHeader = number == .fragment
      // A Fragment header has no length field, and always 8 bytes (4.5).
      let length = isFragmentHeader ? Field.unit : (Int(bytes.u8(end + Field.length)) + 1) * Field.unit
      guard bytes.byteCount - end >= length else { throw .ipExtensionLength }
      if isFragmentHeader {
        let field = bytes.u16(end + Field.fragment)
        hasFragmentHeader = true
        if field & 0xFFF9 != 0 { isFragment = true }
        if field & 0xFFF8 != 0 { isLaterFragment = true }
      } else if number == .routing, bytes.u8(end + Field.segmentsLeft) != 0 {
        hasSegmentsLeft = true
      }
      number = IPProtocol(rawValue: bytes.u8(end + Field.nextHeader))
      end += length
      count += 1
    }
  }
}
