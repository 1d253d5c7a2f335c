/// An ICMP (RFC 792) or ICMPv6 (RFC 4443) error about a packet that went out from the address it was sent to: a hint,
/// until the state has found the flow that it quotes (RFC 5927).
package struct ICMPError: Hashable, Sendable {
  private enum Field {
    static let type = 0
    static let code = 1
    /// RFC 4884, 4: the quoted packet's length, in units of 4 bytes (ICMP) or 8 (ICMPv6).
    static let lengthV4 = 5
    static let lengthV6 = 4
    /// RFC 1191, 4: next-hop MTU.
    static let mtuV4 = 6
    /// RFC 4443, 3.2.
    static let mtuV6 = 4
    static let quote = 8
  }

  /// Message types of errors (RFC 792; RFC 4443).
  private enum Kinds {
    static let unreachableV4: UInt8 = 3
    static let timeExceededV4: UInt8 = 11
    static let unreachableV6: UInt8 = 1
    static let tooBigV6: UInt8 = 2
    static let timeExceededV6: UInt8 = 3
  }

  /// What an error says about the path or the destination.
  package enum Kind: Hashable, Sendable {
    /// ICMP type 3 codes 0, 1, 5 to 8, 11, 12; ICMPv6 type 1 codes 0, 3, 6.
    case networkOrHost
    /// ICMP type 3 codes 2, 3; ICMPv6 type 1 code 4.
    case protocolOrPort
    /// ICMP type 3 codes 9, 10, 13 to 15; ICMPv6 type 1 codes 1, 5.
    case administrative
    /// ICMP type 3 code 4; ICMPv6 type 2. nil where an old router does not say (RFC 1191, 5).
    case packetTooBig(mtu: UInt32?)
    /// Hop limit exceeded in transit: a routing loop.
    case timeExceeded
    case other
  }

  /// What the quoted packet says of the flow that it belongs to.
  package enum Flow: Hashable, Sendable {
    /// The sequence number is nil where the quote ends before it.
    case tcp(source: UInt16, destination: UInt16, sequence: UInt32?)
    /// With port 4500 the SPI of the ESP packet inside (RFC 3948, 2.1), if that is one and is quoted.
    case udp(source: UInt16, destination: UInt16, spi: UInt32?)
    case echo(identifier: UInt16)
    case esp(spi: UInt32)
    /// Any other protocol, and ICMP other than an echo request.
    case other
  }

  package var family: Family
  package var type: UInt8
  package var code: UInt8
  /// Who sent the error: a router on the way, or the destination.
  package var source: IPAddress
  /// This host's address, which is the quoted packet's source too.
  package var destination: IPAddress
  package var kind: Kind
  /// Where the quoted packet was going to.
  package var quotedDestination: IPAddress
  /// The quoted packet's transport.
  package var quotedProtocol: IPProtocol
  package var flow: Flow

  package var quotedSource: IPAddress { destination }
  /// Bytes.
  package var advertisedMTU: UInt32? {
    guard case .packetTooBig(let mtu) = kind else { return nil }
    return mtu
  }

  static func isErrorV4(_ type: UInt8) -> Bool { type == Kinds.unreachableV4 || type == Kinds.timeExceededV4 }
  static func isErrorV6(_ type: UInt8) -> Bool {
    type == Kinds.unreachableV6 || type == Kinds.tooBigV6 || type == Kinds.timeExceededV6
  }

  @inline(__always)
  package init(_ error: ICMPMessage) throws(Refusal) {
    let packet = error.packet
    switch error.family {
    case .v4: try self.init(v4: packet.message, source: packet.sourceV4, destination: packet.destinationV4)
    case .v6: try self.init(v6: packet.message, source: packet.sourceV6, destination: packet.destinationV6)
    }
  }

  /// `message` is an ICMP message of at least 8 bytes and of one of the error types, its checksum right.
  @inline(__always)
  private init(v4 message: RawSpan, source: IPv4Address, destination: IPv4Address) throws(Refusal) {
    let quote = ICMPError.quote(message, length: Int(message.u8(Field.lengthV4)) * 4)
    guard quote.byteCount >= IPv4Packet.Field.minimum else { throw .icmpQuoteShort }
    guard quote.u8(IPv4Packet.Field.versionAndLength) >> 4 == 4 else { throw .icmpQuoteVersion }
    // RFC 792: the header, options and all, and 8 bytes of what follows.
    let headerLength = IPv4Packet.headerLength(quote)
    guard headerLength >= IPv4Packet.Field.minimum, quote.byteCount >= headerLength + 8 else { throw .icmpQuoteShort }
    guard quote.ipv4(IPv4Packet.Field.source) == destination else { throw .icmpQuoteSource }
    // A later fragment has no ports.
    guard quote.u16(IPv4Packet.Field.fragment) & 0x1FFF == 0 else { throw .icmpQuoteFragment }
    family = .v4
    type = message.u8(Field.type)
    code = message.u8(Field.code)
    self.source = .v4(source)
    self.destination = .v4(destination)
    kind = ICMPError.kindV4(type, code, mtu: message.u16(Field.mtuV4))
    quotedDestination = .v4(quote.ipv4(IPv4Packet.Field.destination))
    quotedProtocol = IPProtocol(rawValue: quote.u8(IPv4Packet.Field.number))
    flow = try ICMPError.flow(quotedProtocol, quote.slice(from: headerLength))
  }

  /// `message` is an ICMPv6 message of at least 8 bytes and of one of the error types, its checksum right.
  private init(v6 message: RawSpan, source: IPv6Address, destination: IPv6Address) throws(Refusal) {
    // The length is there in types 1 and 3; a Packet Too Big has its MTU in that place (RFC 4884, 4).
    let isTooBig = message.u8(Field.type) == Kinds.tooBigV6
    let quote = ICMPError.quote(message, length: isTooBig ? 0 : Int(message.u8(Field.lengthV6)) * 8)
    guard quote.byteCount >= IPv6Packet.Field.end else { throw .icmpQuoteShort }
    guard quote.u8(IPv6Packet.Field.version) >> 4 == 6 else { throw .icmpQuoteVersion }
    guard quote.ipv6(IPv6Packet.Field.source) == destination else { throw .icmpQuoteSource }
    let extensions: ExtensionHeaders
    do {
      extensions = try ExtensionHeaders(walking: quote)
    } catch {
      throw error == .ipExtensionLength ? .icmpQuoteShort : error
    }
    guard !extensions.isLaterFragment else { throw .icmpQuoteFragment }
    family = .v6
    type = message.u8(Field.type)
    code = message.u8(Field.code)
    self.source = .v6(source)
    self.destination = .v6(destination)
    kind = ICMPError.kindV6(type, code, mtu: message.u32(Field.mtuV6))
    quotedDestination = .v6(quote.ipv6(IPv6Packet.Field.destination))
    quotedProtocol = extensions.number
    flow = try ICMPError.flow(quotedProtocol, quote.slice(from: extensions.end))
  }

  /// The quoted packet. RFC 4884, 5.1: with a length, extensions follow it; one that is longer than the message, from
  /// senders that left rubbish there, is no length.
  @_lifetime(copy message)
  @inline(__always)
  private static func quote(_ message: RawSpan, length: Int) -> RawSpan {
    let quote = message.slice(from: Field.quote)
    return length > 0 && length < quote.byteCount ? quote.slice(0, length) : quote
  }

  @inline(__always)
  private static func kindV4(_ type: UInt8, _ code: UInt8, mtu: UInt16) -> Kind {
    // Code 1 of time exceeded is about reassembly.
    if type == Kinds.timeExceededV4 { return code == 0 ? .timeExceeded : .other }
    switch code {
    case 0, 1, 5...8, 11, 12: return .networkOrHost
    case 2, 3: return .protocolOrPort
    case 4: return .packetTooBig(mtu: mtu == 0 ? nil : UInt32(mtu))
    case 9, 10, 13...15: return .administrative
    default: return .other
    }
  }

  private static func kindV6(_ type: UInt8, _ code: UInt8, mtu: UInt32) -> Kind {
    if type == Kinds.timeExceededV6 { return code == 0 ? .timeExceeded : .other }
    // RFC 4443, 3.2: the code of a Packet Too Big is ignored.
    if type == Kinds.tooBigV6 { return .packetTooBig(mtu: mtu == 0 ? nil : mtu) }
    switch code {
    case 0, 3, 6: return .networkOrHost
    case 1, 5: return .administrative
    case 4: return .protocolOrPort
    default: return .other
    }
  }

  /// Where the transports that this host's flows are told by keep what tells them.
  private enum Transport {
    static let source = 0
    static let destination = 2
    static let ports = 4
    static let sequence = 4
    static let sequenceEnd = 8
    static let echoIdentifier = 4
    static let echoIdentifierEnd = 6
    static let udpLength = 4
    static let spiInUDP = 8
    static let spiInUDPEnd = 12
    static let spi = 0
    static let spiEnd = 4
    /// RFC 3948, 2.1: SPI and sequence number at least.
    static let shortestESPInUDP = 16
    static let portOfESPInUDP: UInt16 = 4500
    static let echoRequestV4: UInt8 = 8
    static let echoRequestV6: UInt8 = 128
  }

  /// `transport` is as much of the transport header as is quoted.
  @inline(__always)
  private static func flow(_ number: IPProtocol, _ transport: RawSpan) throws(Refusal) -> Flow {
    switch number {
    case .tcp:
      guard transport.byteCount >= Transport.ports else { throw .icmpQuoteShort }
      return .tcp(
        source: transport.u16(Transport.source), destination: transport.u16(Transport.destination),
        sequence: transport.byteCount >= Transport.sequenceEnd ? transport.u32(Transport.sequence) : nil)
    case .udp:
      guard transport.byteCount >= Transport.ports else { throw .icmpQuoteShort }
      let source = transport.u16(Transport.source)
      let destination = transport.u16(Transport.destination)
      var spi: UInt32?
      if source == Transport.portOfESPInUDP || destination == Transport.portOfESPInUDP,
        transport.byteCount >= Transport.spiInUDPEnd,
        transport.u16(Transport.udpLength) >= Transport.shortestESPInUDP,
        // Four zeros mark IKE (RFC 3948, 2.2).
        transport.u32(Transport.spiInUDP) != 0
      {
        spi = transport.u32(Transport.spiInUDP)
      }
      return .udp(source: source, destination: destination, spi: spi)
    case .icmp, .icmpv6:
      guard transport.byteCount >= Transport.echoIdentifierEnd else { throw .icmpQuoteShort }
      let request = number == .icmp ? Transport.echoRequestV4 : Transport.echoRequestV6
      guard transport.u8(0) == request else { return .other }
      return .echo(identifier: transport.u16(Transport.echoIdentifier))
    case .esp:
      guard transport.byteCount >= Transport.spiEnd else { throw .icmpQuoteShort }
      return .esp(spi: transport.u32(Transport.spi))
    default:
      return .other
    }
  }
}
