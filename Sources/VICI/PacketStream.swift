/// Cuts what comes on the stream into packets.
package struct PacketStream: Sendable {
  /// Longest packet, bytes: charon's own bound (VICI_MESSAGE_SIZE_MAX).
  package static let limit = 512 * 1024

  private var bytes: [UInt8] = []
  /// Where the next packet begins.
  private var start = 0

  package init() {}

  package mutating func append(_ received: some Sequence<UInt8>) {
    // What was handed out already makes room first.
    bytes.removeSubrange(..<start)
    start = 0
    bytes.append(contentsOf: received)
  }

  /// The next whole packet, nil until more has come.
  package mutating func next() throws(VICIRefusal) -> Packet? {
    let rest = bytes[start...]
    guard rest.count >= 4 else { return nil }
    var length = 0
    for byte in rest.prefix(4) { length = length << 8 | Int(byte) }
    guard length <= PacketStream.limit else { throw .packetTooLong }
    guard rest.count >= 4 + length else { return nil }
    let packet = rest.dropFirst(4).prefix(length)
    start = packet.endIndex
    return try Packet(packet)
  }
}
