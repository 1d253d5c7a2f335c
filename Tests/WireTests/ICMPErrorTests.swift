import PacketBuilders
import Testing
import Wire

/// What an ICMP error says, and about what.
@Suite struct ICMPErrorTests {
  private func error(_ bytes: [UInt8]) throws -> ICMPError? {
    guard
      case .icmpError(let message) = try Packet.decode(
        bytes.rawSpan, family: family(of: bytes), arrival: Arrival(interface: 1))
    else { return nil }
    return try ICMPError(message)
  }

  static let kinds4: [ICMPError.Kind] = [
    .networkOrHost, .networkOrHost, .protocolOrPort, .protocolOrPort, .packetTooBig(mtu: nil), .networkOrHost,
    .networkOrHost, .networkOrHost, .networkOrHost, .administrative, .administrative, .networkOrHost, .networkOrHost,
    .administrative, .administrative, .administrative, .other, .other,
  ]

  @Test("Codes of type 3 (RFC 792, RFC 1122 3.2.2.1, RFC 1812 5.2.7.1)", arguments: 0..<kinds4.count)
  func unreachable4(code: Int) throws {
    #expect(
      try error(Build.icmp4(3, UInt8(code), Build.quote4(6, Build.tcp)))?.kind == ICMPErrorTests.kinds4[code])
  }

  static let kinds6: [ICMPError.Kind] = [
    .networkOrHost, .administrative, .other, .networkOrHost, .protocolOrPort, .administrative, .networkOrHost, .other,
    .other, .other,
  ]

  @Test("Codes of type 1 (RFC 4443 3.1)", arguments: 0..<kinds6.count)
  func unreachable6(code: Int) throws {
    #expect(
      try error(Build.icmp6(1, UInt8(code), Build.quote6(6, Build.tcp)))?.kind == ICMPErrorTests.kinds6[code])
  }

  @Test("Time exceeded in transit, and in reassembly (RFC 792, RFC 4443 3.3)")
  func timeExceeded() throws {
    #expect(try error(Build.icmp4(11, 0, Build.quote4(6, Build.tcp)))?.kind == .timeExceeded)
    #expect(try error(Build.icmp4(11, 1, Build.quote4(6, Build.tcp)))?.kind == .other)
    #expect(try error(Build.icmp6(3, 0, Build.quote6(6, Build.tcp)))?.kind == .timeExceeded)
    #expect(try error(Build.icmp6(3, 1, Build.quote6(6, Build.tcp)))?.kind == .other)
  }

  @Test("The MTU that is told (RFC 1191 4, RFC 4443 3.2)")
  func mtu() throws {
    let quote4 = Build.quote4(6, Build.tcp)
    let quote6 = Build.quote6(6, Build.tcp)
    #expect(try error(Build.icmp4(3, 4, quote4, rest: [0, 0, 0x05, 0x78]))?.advertisedMTU == 1400)
    #expect(try error(Build.icmp4(3, 4, quote4))?.kind == .packetTooBig(mtu: nil))
    #expect(try error(Build.icmp4(3, 1, quote4, rest: [0, 0, 0x05, 0x78]))?.advertisedMTU == nil)
    #expect(try error(Build.icmp6(2, 0, quote6, rest: [0, 1, 0, 0]))?.advertisedMTU == 65536)
    #expect(try error(Build.icmp6(2, 9, quote6, rest: [0, 0, 5, 0]))?.advertisedMTU == 1280)
    #expect(try error(Build.icmp6(2, 0, quote6))?.kind == .packetTooBig(mtu: nil))
  }

  struct FlowCase: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let bytes: [UInt8]
    let number: IPProtocol
    let flow: ICMPError.Flow

    init(_ name: String, _ bytes: [UInt8], _ number: IPProtocol, _ flow: ICMPError.Flow) {
      testDescription = name
      self.bytes = bytes
      self.number = number
      self.flow = flow
    }
  }

  static let udp4500: [UInt8] = [0x11, 0x94, 0x11, 0x94]
  static let spi: [UInt8] = [0xC0, 0xFF, 0xEE, 0x01]
  static let atomic: [UInt8] = [6, 0, 0, 0, 0, 0, 0, 1]

  static let flows: [FlowCase] = [
    .init(
      "TCP, header and 8 bytes", Build.icmp4(3, 0, Build.quote4(6, Build.tcp)), .tcp,
      .tcp(source: 40000, destination: 443, sequence: 0xDEAD_BEEF)),
    .init(
      "TCP behind IP options", Build.icmp4(3, 0, Build.quote4(6, Build.tcp, options: [1, 1, 1, 0])), .tcp,
      .tcp(source: 40000, destination: 443, sequence: 0xDEAD_BEEF)),
    .init(
      "TCP of a first fragment", Build.icmp4(11, 1, Build.quote4(6, Build.tcp, fragment: 0x2000)), .tcp,
      .tcp(source: 40000, destination: 443, sequence: 0xDEAD_BEEF)),
    .init(
      "TCP ports and no more", Build.icmp6(1, 0, Build.quote6(6, [0x9C, 0x40, 0x01, 0xBB])), .tcp,
      .tcp(source: 40000, destination: 443, sequence: nil)),
    .init(
      "TCP and half a sequence number", Build.icmp6(1, 0, Build.quote6(6, [UInt8](Build.tcp.prefix(7)))), .tcp,
      .tcp(source: 40000, destination: 443, sequence: nil)),
    .init(
      "TCP behind extension headers",
      Build.icmp6(1, 0, Build.quote6(0, [60, 0, 1, 4, 0, 0, 0, 0] + [44, 0, 1, 4, 0, 0, 0, 0] + atomic + Build.tcp)),
      .tcp, .tcp(source: 40000, destination: 443, sequence: 0xDEAD_BEEF)),
    .init(
      "TCP behind a routing header on its way",
      Build.icmp6(1, 0, Build.quote6(43, [6, 0, 4, 1, 0, 0, 0, 0] + Build.tcp)),
      .tcp, .tcp(source: 40000, destination: 443, sequence: 0xDEAD_BEEF)),
    .init(
      "the error behind an atomic fragment header",
      Build.icmp6(1, 0, Build.quote6(6, Build.tcp), extensions: [58, 0, 0, 0, 0, 0, 0, 1], first: 44), .tcp,
      .tcp(source: 40000, destination: 443, sequence: 0xDEAD_BEEF)),
    .init(
      "UDP", Build.icmp4(3, 3, Build.quote4(17, [0, 53, 0, 54, 0, 20, 0, 0] + [1, 2, 3, 4])), .udp,
      .udp(source: 53, destination: 54, spi: nil)),
    .init(
      "ESP in UDP", Build.icmp4(3, 1, Build.quote4(17, udp4500 + [0, 32, 0, 0] + spi)), .udp,
      .udp(source: 4500, destination: 4500, spi: 0xC0FF_EE01)),
    .init(
      "ESP in UDP from a mapped port", Build.icmp6(1, 0, Build.quote6(17, [0x11, 0x94, 0, 99, 0, 32, 0, 0] + spi)),
      .udp,
      .udp(source: 4500, destination: 99, spi: 0xC0FF_EE01)),
    .init(
      "ESP in UDP, SPI not quoted", Build.icmp4(3, 1, Build.quote4(17, udp4500 + [0, 32, 0, 0] + spi.prefix(3))), .udp,
      .udp(source: 4500, destination: 4500, spi: nil)),
    .init(
      "IKE on port 4500", Build.icmp4(3, 1, Build.quote4(17, udp4500 + [0, 32, 0, 0, 0, 0, 0, 0])), .udp,
      .udp(source: 4500, destination: 4500, spi: nil)),
    .init(
      "keepalive on port 4500, then padding",
      Build.icmp4(3, 1, Build.quote4(17, udp4500 + [0, 9, 0, 0, 0xFF, 0, 0, 0])),
      .udp, .udp(source: 4500, destination: 4500, spi: nil)),
    .init(
      "ping", Build.icmp4(3, 1, Build.quote4(1, [8, 0, 0, 0, 0x42, 0x42, 0, 1])), .icmp, .echo(identifier: 0x4242)),
    .init(
      "ping", Build.icmp6(1, 3, Build.quote6(58, [128, 0, 0, 0, 0x42, 0x42])), .icmpv6, .echo(identifier: 0x4242)),
    .init("ping's answer", Build.icmp4(3, 1, Build.quote4(1, [0, 0, 0, 0, 0x42, 0x42, 0, 1])), .icmp, .other),
    .init("ESP", Build.icmp4(3, 1, Build.quote4(50, spi + [0, 0, 0, 1])), .esp, .esp(spi: 0xC0FF_EE01)),
    .init("ESP's SPI and no more", Build.icmp6(1, 0, Build.quote6(50, spi)), .esp, .esp(spi: 0xC0FF_EE01)),
    .init("SCTP", Build.icmp4(3, 1, Build.quote4(132, Build.tcp)), .sctp, .other),
    .init("nothing behind the header", Build.icmp6(1, 0, Build.quote6(59, [])), IPProtocol(rawValue: 59), .other),
  ]

  @Test(arguments: flows)
  func flow(expected: FlowCase) throws {
    let error = try error(expected.bytes)
    #expect(error?.quotedProtocol == expected.number)
    #expect(error?.flow == expected.flow)
  }

  @Test("The length of RFC 4884 ends the quote; one past the message is none")
  func multipart() throws {
    // ESP in UDP whose SPI would come from the extension behind the quote.
    let quote = Build.quote4(17, ICMPErrorTests.udp4500 + [0, 32, 0, 0])
    let bytes = quote + ICMPErrorTests.spi
    let flow = ICMPError.Flow.udp(source: 4500, destination: 4500, spi: nil)
    #expect(try error(Build.icmp4(3, 1, bytes, rest: [0, 7, 0, 0]))?.flow == flow)
    #expect(try error(Build.icmp4(3, 1, bytes, rest: [0, 8, 0, 0]))?.flow != flow)
    #expect(try error(Build.icmp4(3, 1, bytes, rest: [0, 0xFF, 0, 0]))?.flow != flow)
    let quote6 = Build.quote6(17, ICMPErrorTests.udp4500 + [0, 32, 0, 0])
    let bytes6 = quote6 + ICMPErrorTests.spi + [0, 0, 0, 0]
    #expect(try error(Build.icmp6(1, 0, bytes6, rest: [6, 0, 0, 0]))?.flow == flow)
    #expect(try error(Build.icmp6(1, 0, bytes6, rest: [7, 0, 0, 0]))?.flow != flow)
    // In a Packet Too Big these bytes are the MTU's.
    #expect(try error(Build.icmp6(2, 0, bytes6, rest: [6, 0, 0, 0]))?.flow != flow)
  }
}
