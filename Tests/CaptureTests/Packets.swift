// Packets to send and to filter, put together from their parts with true lengths and checksums.

func bytes(_ hex: String) -> [UInt8] {
  let digits = hex.filter { !$0.isWhitespace }.compactMap(\.hexDigitValue)
  return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

extension UInt16 {
  var big: [UInt8] { [UInt8(self >> 8), UInt8(self & 0xFF)] }
}

/// The ones' complement of the ones' complement sum (RFC 1071).
func internetChecksum(_ bytes: [UInt8]) -> UInt16 {
  var sum: UInt32 = 0
  for (index, byte) in bytes.enumerated() { sum += index % 2 == 0 ? UInt32(byte) << 8 : UInt32(byte) }
  while sum > 0xFFFF { sum = (sum & 0xFFFF) + (sum >> 16) }
  return ~UInt16(sum)
}

let routerV4: [UInt8] = [192, 0, 2, 1]
let hostV4: [UInt8] = [192, 0, 2, 2]
/// fe80::1
let routerV6 = bytes("fe80 0000 0000 0000 0000 0000 0000 0001")
/// ff02::1
let allNodes = bytes("ff02 0000 0000 0000 0000 0000 0000 0001")
/// 2001:db8::2
let hostV6 = bytes("2001 0db8 0000 0000 0000 0000 0000 0002")

/// RFC 791 3.1. `fragment` is the 16-bit field of flags and offset.
func ipv4(_ protocolNumber: UInt8, _ payload: [UInt8], options: [UInt8] = [], fragment: UInt16 = 0) -> [UInt8] {
  let headerLength = 20 + options.count
  var header: [UInt8] = [0x40 | UInt8(headerLength / 4), 0] + UInt16(headerLength + payload.count).big
  header += [0x12, 0x34] + fragment.big + [64, protocolNumber, 0, 0] + routerV4 + hostV4 + options
  header.replaceSubrange(10..<12, with: internetChecksum(header).big)
  return header + payload
}

/// RFC 8200 3.
func ipv6(_ nextHeader: UInt8, _ payload: [UInt8], to destination: [UInt8] = allNodes) -> [UInt8] {
  [0x60, 0, 0, 0] + UInt16(payload.count).big + [nextHeader, 255] + routerV6 + destination + payload
}

/// RFC 768, without a checksum.
func udp(from source: UInt16, to destination: UInt16, _ data: [UInt8] = [1, 2, 3, 4]) -> [UInt8] {
  source.big + destination.big + UInt16(8 + data.count).big + [0, 0] + data
}

/// ICMPv4: type, code, checksum, four bytes, and what is quoted (RFC 792).
func icmpV4(_ type: UInt8, code: UInt8 = 0, quoting: [UInt8] = ipv4(17, udp(from: 500, to: 500))) -> [UInt8] {
  var message: [UInt8] = [type, code, 0, 0, 0, 0, 0, 0] + quoting
  message.replaceSubrange(2..<4, with: internetChecksum(message).big)
  return message
}

/// ICMPv6: type, code, checksum over the pseudo-header too (RFC 4443 2.3), and the body.
func icmpV6(_ type: UInt8, code: UInt8 = 0, to destination: [UInt8] = allNodes, _ body: [UInt8]) -> [UInt8] {
  var message: [UInt8] = [type, code, 0, 0] + body
  let pseudo = routerV6 + destination + [0, 0] + UInt16(message.count).big + [0, 0, 0, 58]
  message.replaceSubrange(2..<4, with: internetChecksum(pseudo + message).big)
  return message
}

/// A Router Advertisement without options (RFC 4861 4.2), lifetime 1800 s.
let routerAdvertisement = ipv6(58, icmpV6(134, bytes("40 00 0708 00000000 00000000")))

/// An IPv6 extension header of `units` times 8 bytes more than 8 (RFC 8200 4.3).
func extensionHeader(next: UInt8, units: UInt8 = 0) -> [UInt8] {
  // PadN fills it (RFC 8200 4.2).
  [next, units, 1, UInt8(4 + 8 * Int(units))] + [UInt8](repeating: 0, count: 4 + 8 * Int(units))
}

/// RFC 8200 4.5. `offset` in units of 8.
func fragmentHeader(next: UInt8, offset: UInt16, more: Bool, reserved: UInt8 = 0) -> [UInt8] {
  [next, reserved] + (offset << 3 | (more ? 1 : 0)).big + [0, 0, 0, 7]
}

let routerMAC: [UInt8] = [2, 0, 0, 0, 0, 1]
let broadcastMAC = [UInt8](repeating: 0xFF, count: 6)

func ethernet(_ type: UInt16, _ payload: [UInt8], to destination: [UInt8] = broadcastMAC) -> [UInt8] {
  destination + routerMAC + type.big + payload
}
