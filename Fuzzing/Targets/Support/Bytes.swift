/// Messages as docs/protocol.md has them, byte by byte and not by the agent's own writer. Little-endian hosts.
package func number<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
  (0..<T.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> T(8 * $0)) }
}

package func message(_ type: UInt8, flags: UInt8 = 0, sequence: UInt32, pid: UInt32 = 77, _ payloads: [UInt8])
  -> [UInt8]
{
  [1, type, 0, flags] + number(UInt16(2 + payloads.count / 8)) + [0, 0] + number(sequence) + number(pid) + payloads
}

/// A payload's header and body, padded.
package func payload(_ type: UInt16, _ body: [UInt8]) -> [UInt8] {
  let length = (4 + body.count + 7) / 8
  return number(UInt16(length)) + number(type) + body + zeros(8 * length - 4 - body.count)
}

package func zeros(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }

/// The Internet checksum (RFC 1071), in network byte order.
package func internetChecksum(_ bytes: [UInt8]) -> [UInt8] {
  var sum = 0
  for index in bytes.indices { sum += Int(bytes[index]) << (index % 2 == 0 ? 8 : 0) }
  while sum > 0xFFFF { sum = sum & 0xFFFF + sum >> 16 }
  return number((~UInt16(sum)).byteSwapped)
}
