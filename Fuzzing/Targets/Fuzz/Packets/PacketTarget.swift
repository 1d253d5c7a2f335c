import Wire

/// What the network sends, from its IP header on: refused by name, or every getter of it can be read, and what is read is
/// the same wherever in memory the packet lies.
///
/// The first byte says how it arrived; the packet follows.
struct PacketTarget: FuzzTarget {
  static let name = "packet"
  static let maximumLength = 1500
  static let vectors = ""

  static var seeds: [(name: String, input: [UInt8])] {
    GoldenPacket.all.map { golden in
      (golden.description.filter { $0 != " " }, [Way(family(of: golden.bytes)).byte] + golden.bytes)
    }
  }

  func run(_ bytes: RawSpan) {
    guard bytes.byteCount > 0 else { return }
    let way = Way(byte: unsafe bytes.unsafeLoad(fromByteOffset: 0, as: UInt8.self))
    let packet = bytes.extracting(droppingFirst: 1)
    let reading = read(packet, way)
    // Behind it lies what a link has padded it with.
    let padded = [UInt8](copying: packet) + [UInt8](repeating: 0xFF, count: 9)
    if case .taken(let amount, let refusals) = reading {
      check(amount >= 0, "nothing was read")
      check(read(padded.rawSpan, way) == .taken(amount, refusals), "with padding it reads otherwise")
    }
  }

  private enum Reading: Equatable {
    case refused(Refusal)
    case taken(Int, [Refusal])
  }

  private func read(_ packet: RawSpan, _ way: Way) -> Reading {
    do throws(Refusal) {
      var reader = Reader()
      try reader.read(try Packet.decode(packet, family: way.family, arrival: way.arrival))
      return .taken(reader.amount, reader.refusals)
    } catch {
      return .refused(error)
    }
  }

  func mend(_ input: UnsafeMutableBufferPointer<UInt8>) {
    guard input.count > 1 else { return }
    unsafe mendPacket(UnsafeMutableBufferPointer(rebasing: input[1...]), Way(byte: input[0]).family)
  }
}

/// How a packet arrives, as one byte of an input.
struct Way {
  let byte: UInt8

  init(byte: UInt8) { self.byte = byte }
  /// Received, with a transport checksum that nobody has filled in.
  init(_ family: Family) { byte = family == .v4 ? 0 : 1 }

  var family: Family { byte & 1 == 0 ? .v4 : .v6 }
  var isOutgoing: Bool { byte & 2 != 0 }
  var arrival: Arrival { arrival(on: 1, timestamp: 0) }

  func arrival(on interface: UInt32, timestamp: UInt64) -> Arrival {
    Arrival(
      interface: interface, outgoing: isOutgoing, checksum: byte & 4 == 0 ? .notReady : .ready, timestamp: timestamp)
  }
}

/// Mended, a packet's version, lengths and IPv4 header checksum are those of the bytes that there are, and so is the
/// length of a UDP datagram right behind the header.
func mendPacket(_ packet: UnsafeMutableBufferPointer<UInt8>, _ family: Family) {
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
