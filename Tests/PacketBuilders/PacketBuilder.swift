package import Wire

/// Packets built field by field, with lengths and checksums that are right unless a test spoils them. The checksum is
/// computed the plain way, so that it doesn't share mistakes with the one under test.
package enum Build {
  package static let router = IPv6Address(0xfe80_0000_0000_0000, 1)
  package static let host = IPv6Address(0xfe80_0000_0000_0000, 2)
  package static let allNodes = IPv6Address(0xff02_0000_0000_0000, 1)
  package static let global = IPv6Address(0x2001_0db8_0001_0000, 0x100)
  package static let far = IPv6Address(0x2001_0db8_ffff_0000, 7)
  package static let server4 = IPv4Address(0xC000_0201)
  package static let host4 = IPv4Address(0xC000_020A)
  package static let far4 = IPv4Address(0xC633_6407)
  package static let hostHardwareAddress: [UInt8] = [0x02, 0x00, 0x5e, 0x10, 0x00, 0x02]

  package static func u16(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 0xFF), UInt8(value & 0xFF)] }
  package static func u32(_ value: UInt32) -> [UInt8] { u16(Int(value >> 16)) + u16(Int(value & 0xFFFF)) }
  package static func bytes(_ address: IPv4Address) -> [UInt8] { u32(address.value) }
  package static func bytes(_ address: IPv6Address) -> [UInt8] {
    [address.high, address.low].flatMap { u32(UInt32($0 >> 32)) + u32(UInt32($0 & 0xFFFF_FFFF)) }
  }

  package static func name(_ text: String) -> [UInt8] {
    text.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + [UInt8]($0.utf8) } + [0]
  }

  /// RFC 1071, word by word.
  package static func checksum(_ bytes: [UInt8]) -> Int {
    var sum = 0
    for index in stride(from: 0, to: bytes.count, by: 2) {
      sum += Int(bytes[index]) << 8 + (index + 1 < bytes.count ? Int(bytes[index + 1]) : 0)
      if sum > 0xFFFF { sum -= 0xFFFF }
    }
    return ~sum & 0xFFFF
  }

  package static func pseudo(_ source: [UInt8], _ destination: [UInt8], _ number: UInt8, _ length: Int) -> [UInt8] {
    source + destination + u32(UInt32(length)) + [0, 0, 0, number]
  }

  /// A message cut off before the field stays as it is.
  package static func put(_ value: Int, at offset: Int, in bytes: [UInt8]) -> [UInt8] {
    guard bytes.count >= offset + 2 else { return bytes }
    var bytes = bytes
    bytes.replaceSubrange(offset..<offset + 2, with: u16(value))
    return bytes
  }

  // MARK: Network layer

  package static func ipv4(
    _ number: UInt8, _ payload: [UInt8], source: IPv4Address = server4, destination: IPv4Address = host4,
    options: [UInt8] = [], fragment: Int = 0, totalLength: Int? = nil
  ) -> [UInt8] {
    let length = 20 + options.count
    let header =
      [UInt8(0x40 + length / 4), 0] + u16(totalLength ?? length + payload.count) + [0, 1] + u16(fragment)
      + [64, number, 0, 0] + bytes(source) + bytes(destination) + options
    return put(checksum(header), at: 10, in: header) + payload
  }

  package static func ipv6(
    _ number: UInt8, _ payload: [UInt8], source: IPv6Address = router, destination: IPv6Address = host,
    hopLimit: UInt8 = 255, payloadLength: Int? = nil
  ) -> [UInt8] {
    [0x60, 0, 0, 0] + u16(payloadLength ?? payload.count) + [number, hopLimit] + bytes(source) + bytes(destination)
      + payload
  }

  // MARK: Transport

  package static func udp(
    _ payload: [UInt8], source: UInt16, destination: UInt16, pseudo addresses: ([UInt8], [UInt8]), length: Int? = nil
  ) -> [UInt8] {
    let length = length ?? 8 + payload.count
    let datagram = u16(Int(source)) + u16(Int(destination)) + u16(length) + [0, 0] + payload
    let sum = checksum(pseudo(addresses.0, addresses.1, 17, length) + datagram.prefix(max(length, 0)))
    return put(sum == 0 ? 0xFFFF : sum, at: 6, in: datagram)
  }

  package static func udp4(
    _ payload: [UInt8], to port: UInt16, source: IPv4Address = server4, destination: IPv4Address = host4,
    length: Int? = nil
  ) -> [UInt8] {
    ipv4(
      17,
      udp(
        payload, source: port == 68 ? 67 : 68, destination: port, pseudo: (bytes(source), bytes(destination)),
        length: length), source: source, destination: destination)
  }

  package static func udp6(
    _ payload: [UInt8], to port: UInt16, source: IPv6Address = router, destination: IPv6Address = host
  ) -> [UInt8] {
    ipv6(
      17,
      udp(
        payload, source: port == 546 ? 547 : 546, destination: port, pseudo: (bytes(source), bytes(destination))),
      source: source, destination: destination)
  }

  /// `extensions` stand between the IPv6 header and the message, the first one being `first`.
  package static func icmpv6(
    _ message: [UInt8], source: IPv6Address = router, destination: IPv6Address = allNodes, hopLimit: UInt8 = 255,
    extensions: [UInt8] = [], first: UInt8 = 58
  ) -> [UInt8] {
    let message = put(0, at: 2, in: message)
    let sum = checksum(pseudo(bytes(source), bytes(destination), 58, message.count) + message)
    return ipv6(
      first, extensions + put(sum, at: 2, in: message), source: source, destination: destination, hopLimit: hopLimit)
  }

  // MARK: Router Advertisements

  package static func raHeader(flags: UInt8 = 0, lifetime: Int = 1800, code: UInt8 = 0) -> [UInt8] {
    [134, code, 0, 0, 64, flags] + u16(lifetime) + u32(30_000) + u32(1000)
  }

  package static func ra(
    _ options: [[UInt8]], source: IPv6Address = router, hopLimit: UInt8 = 255, flags: UInt8 = 0, lifetime: Int = 1800,
    code: UInt8 = 0, extensions: [UInt8] = [], first: UInt8 = 58
  ) -> [UInt8] {
    icmpv6(
      raHeader(flags: flags, lifetime: lifetime, code: code) + options.flatMap { $0 }, source: source,
      hopLimit: hopLimit, extensions: extensions, first: first)
  }

  /// A neighbour discovery option, padded with zeros to 8 bytes; `length` in units of 8 where it is to be wrong.
  package static func option(_ type: UInt8, _ value: [UInt8], length: UInt8? = nil) -> [UInt8] {
    let count = (2 + value.count + 7) / 8
    return [type, length ?? UInt8(count)] + value + [UInt8](repeating: 0, count: count * 8 - 2 - value.count)
  }

  package static func pio(
    _ prefix: IPv6Address, _ length: UInt8 = 64, flags: UInt8 = 0xC0, valid: UInt32 = 7200, preferred: UInt32 = 3600
  ) -> [UInt8] {
    option(3, [length, flags] + u32(valid) + u32(preferred) + [0, 0, 0, 0] + bytes(prefix))
  }

  package static func rio(
    _ prefix: IPv6Address, _ length: UInt8, units: Int, preference: UInt8 = 0, lifetime: UInt32 = 1800
  )
    -> [UInt8]
  {
    option(24, [length, preference << 3] + u32(lifetime) + bytes(prefix).prefix((units - 1) * 8))
  }

  package static func rdnss(_ servers: [IPv6Address], lifetime: UInt32 = 1200) -> [UInt8] {
    option(25, [0, 0] + u32(lifetime) + servers.flatMap(bytes))
  }

  package static func dnssl(_ names: [UInt8], lifetime: UInt32 = 1200) -> [UInt8] {
    option(31, [0, 0] + u32(lifetime) + names)
  }

  /// Flags as the wire has them: H 0x8000, L 0x4000, R 0x2000 and the delay.
  package static func pvd(
    _ id: [UInt8], flags: Int = 0, sequence: Int = 1, header: [UInt8] = [], _ options: [[UInt8]] = []
  )
    -> [UInt8]
  {
    let fixed = u16(flags) + u16(sequence) + id
    let padding = (8 - (2 + fixed.count) % 8) % 8
    return option(21, fixed + [UInt8](repeating: 0, count: padding) + header + options.flatMap { $0 })
  }

  // MARK: DHCPv4

  package static func dhcpv4Option(_ code: UInt8, _ value: [UInt8]) -> [UInt8] { [code, UInt8(value.count)] + value }

  /// The message without its IP and UDP headers.
  package static func dhcpv4Message(
    _ options: [UInt8], operation: UInt8 = 2, hardwareLength: UInt8 = 6, transaction: UInt32 = 0x1234_5678,
    yourAddress: IPv4Address = host4, cookie: UInt32 = 0x6382_5363, file: [UInt8] = [], serverName: [UInt8] = [],
    hardwareAddress: [UInt8] = hostHardwareAddress
  ) -> [UInt8] {
    [operation, 1, hardwareLength, 0] + u32(transaction) + [0, 0, 0, 0] + [0, 0, 0, 0] + bytes(yourAddress)
      + [UInt8](repeating: 0, count: 8) + hardwareAddress + [UInt8](repeating: 0, count: 16 - hardwareAddress.count)
      + serverName + [UInt8](repeating: 0, count: 64 - serverName.count)
      + file + [UInt8](repeating: 0, count: 128 - file.count) + u32(cookie) + options
  }

  /// Message type and server identifier as every message of a server has them.
  package static func fromServer(_ type: UInt8) -> [UInt8] { [53, 1, type, 54, 4] + bytes(server4) }

  /// An ACK with a lease of an hour and these options.
  package static func ack(_ options: [UInt8], file: [UInt8] = [], serverName: [UInt8] = []) -> [UInt8] {
    udp4(
      dhcpv4Message(
        fromServer(5) + [51, 4, 0, 0, 14, 16] + options + [255], file: file, serverName: serverName), to: 68)
  }

  // MARK: DHCPv6

  package static let clientDUID: [UInt8] = [0, 3, 0, 1, 2, 0, 0x5e, 0x10, 0, 2]
  package static let serverDUID: [UInt8] = [0, 3, 0, 1, 2, 0, 0x5e, 0x10, 0, 1]

  package static func dhcpv6Option(_ code: Int, _ value: [UInt8], length: Int? = nil) -> [UInt8] {
    u16(code) + u16(length ?? value.count) + value
  }

  package static let identifiers = dhcpv6Option(1, clientDUID) + dhcpv6Option(2, serverDUID)

  package static func dhcpv6(
    _ type: UInt8, _ options: [UInt8], to port: UInt16 = 546, transaction: UInt32 = 0xAB_CDEF
  ) -> [UInt8] {
    udp6(u32(UInt32(type) << 24 | transaction) + options, to: port)
  }

  /// A REPLY with both identifiers and these options.
  package static func reply(_ options: [UInt8]) -> [UInt8] { dhcpv6(7, identifiers + options) }

  package static func iaNA(renewal: UInt32 = 1800, rebinding: UInt32 = 2880, _ options: [UInt8]) -> [UInt8] {
    dhcpv6Option(3, u32(1) + u32(renewal) + u32(rebinding) + options)
  }

  package static func iaAddress(
    _ address: IPv6Address, preferred: UInt32 = 3600, valid: UInt32 = 7200, _ options: [UInt8] = []
  )
    -> [UInt8]
  {
    dhcpv6Option(5, bytes(address) + u32(preferred) + u32(valid) + options)
  }

  package static func iaPrefix(_ prefix: IPv6Address, _ length: UInt8, preferred: UInt32 = 3600, valid: UInt32 = 7200)
    -> [UInt8]
  {
    dhcpv6Option(26, u32(preferred) + u32(valid) + [length] + bytes(prefix))
  }

  // MARK: ICMP errors

  /// `rest` are the four bytes between checksum and quote.
  package static func icmp4(
    _ type: UInt8, _ code: UInt8, _ quote: [UInt8], rest: [UInt8] = [0, 0, 0, 0], destination: IPv4Address = host4
  ) -> [UInt8] {
    let message = [type, code, 0, 0] + rest + quote
    return ipv4(
      1, put(checksum(message), at: 2, in: message), source: IPv4Address(0xCB00_7101), destination: destination)
  }

  package static func icmp6(
    _ type: UInt8, _ code: UInt8, _ quote: [UInt8], rest: [UInt8] = [0, 0, 0, 0], extensions: [UInt8] = [],
    first: UInt8 = 58, destination: IPv6Address = global
  ) -> [UInt8] {
    icmpv6(
      [type, code, 0, 0] + rest + quote, source: IPv6Address(0x2001_0db8_0000_0000, 1), destination: destination,
      hopLimit: 60, extensions: extensions, first: first)
  }

  /// ICMPv6 type 137 (RFC 4861, 4.5).
  package static func redirect6(
    target: IPv6Address, for destination: IPv6Address, source: IPv6Address = router, to host: IPv6Address = host,
    hopLimit: UInt8 = 255, code: UInt8 = 0, _ options: [UInt8] = [], extensions: [UInt8] = [], first: UInt8 = 58
  ) -> [UInt8] {
    icmpv6(
      [137, code, 0, 0, 0, 0, 0, 0] + bytes(target) + bytes(destination) + options, source: source, destination: host,
      hopLimit: hopLimit, extensions: extensions, first: first)
  }

  /// ICMP type 5 (RFC 792).
  package static func redirect4(
    target: IPv4Address, _ quote: [UInt8], source: IPv4Address = server4, code: UInt8 = 1
  ) -> [UInt8] {
    let message = [5, code, 0, 0] + bytes(target) + quote
    return ipv4(1, put(checksum(message), at: 2, in: message), source: source)
  }

  package static func quote4(
    _ number: UInt8, _ transport: [UInt8], fragment: Int = 0, options: [UInt8] = [], source: IPv4Address = host4,
    destination: IPv4Address = far4
  ) -> [UInt8] {
    ipv4(number, transport, source: source, destination: destination, options: options, fragment: fragment)
  }

  package static func quote6(
    _ number: UInt8, _ rest: [UInt8], source: IPv6Address = global, destination: IPv6Address = far
  ) -> [UInt8] {
    ipv6(number, rest, source: source, destination: destination, hopLimit: 1)
  }

  /// 40000 to 443, sequence number 0xDEADBEEF.
  package static let tcp: [UInt8] = [0x9C, 0x40, 0x01, 0xBB, 0xDE, 0xAD, 0xBE, 0xEF]
}
