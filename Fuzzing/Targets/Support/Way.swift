package import Wire

/// How a packet arrives, as one byte of an input.
package struct Way {
  package let byte: UInt8

  package init(byte: UInt8) { self.byte = byte }
  /// Received, with a transport checksum that nobody has filled in.
  package init(_ family: Family) { byte = family == .v4 ? 0 : 1 }

  package var family: Family { byte & 1 == 0 ? .v4 : .v6 }
  package var isOutgoing: Bool { byte & 2 != 0 }
  package var arrival: Arrival { arrival(on: 1, timestamp: 0) }

  package func arrival(on interface: UInt32, timestamp: UInt64) -> Arrival {
    Arrival(
      interface: interface, outgoing: isOutgoing, checksum: byte & 4 == 0 ? .notReady : .ready, timestamp: timestamp)
  }
}

/// Mends the packets of an input of steps. A step whose first byte has its highest bit set has `otherStep` bytes; another
/// is a packet's way, the low 11 bits of two bytes as its length, and the packet.
package func mendPackets(_ input: UnsafeMutableBufferPointer<UInt8>, otherStep: Int) {
  var offset = 0
  while offset + 3 < input.count {
    let way = unsafe input[offset]
    if way & 0x80 != 0 {
      offset += otherStep
      continue
    }
    let rest = input.count - offset - 3
    let length = unsafe min((Int(input[offset + 1]) & 7) << 8 | Int(input[offset + 2]), rest)
    unsafe input[offset + 1] = UInt8(length >> 8)
    unsafe input[offset + 2] = UInt8(length & 0xFF)
    let packet = unsafe UnsafeMutableBufferPointer(rebasing: input[(offset + 3)..<(offset + 3 + length)])
    unsafe mendPacket(packet, Way(byte: way).family)
    offset += 3 + length
  }
}

/// Mended, a packet's version, lengths and IPv4 header checksum are those of the bytes that there are, and so is the
/// length of a UDP datagram right behind the header.
package func mendPacket(_ packet: UnsafeMutableBufferPointer<UInt8>, _ family: Family) {
  func put(_ value: Int, at offset: Int) {
    guard offset + 2 <= packet.count else { return }
    unsafe packet[offset] = UInt8(truncatingIfNeeded: value >> 8)
    unsafe packet[offset + 1] = UInt8(truncatingIfNeeded: value)
  }
  let udp: UInt8 = 17
  switch family {
  case .v4:
    guard packet.count >= 20 else { return }
    let header = unsafe max(20, min(Int(packet[0] & 15) * 4, packet.count & ~3, 60))
    unsafe packet[0] = 0x40 | UInt8(header / 4)
    put(packet.count, at: 2)
    put(0, at: 10)
    let sum = internetChecksum(unsafe Array(packet[..<header]))
    unsafe (packet[10], packet[11]) = (sum[0], sum[1])
    if unsafe packet[9] == udp { put(packet.count - header, at: header + 4) }
  case .v6:
    guard packet.count >= 40 else { return }
    unsafe packet[0] = 0x60 | packet[0] & 15
    put(packet.count - 40, at: 4)
    if unsafe packet[6] == udp { put(packet.count - 40, at: 44) }
  }
}
