/// A copy of one packet, to know it again by: the same bytes need no second decoding.
package struct HeldPacket: Sendable {
  /// Bytes; what is longer is not held.
  private static let longest = 256
  private static let shortest = 8

  private var copy = [UInt8](repeating: 0, count: HeldPacket.longest)
  /// How many of these; 0 while none is held.
  private var count = 0
  private var family = Family.v4
  private var interface: UInt32 = 0
  private var checksum: Arrival.Checksum = .notReady

  package init() {}

  /// Holds this one instead. It came from the network, whole.
  package mutating func hold(_ bytes: RawSpan, _ family: Family, _ arrival: Arrival) {
    forget()
    guard !arrival.outgoing, !arrival.truncated, bytes.byteCount >= HeldPacket.shortest,
      bytes.byteCount <= HeldPacket.longest
    else { return }
    count = bytes.byteCount
    self.family = family
    interface = arrival.interface
    checksum = arrival.checksum
    for index in 0..<count { copy[index] = bytes.u8(index) }
  }

  package mutating func forget() { count = 0 }

  /// Whether this is the same packet once more, on the same interface and as well checked.
  package func isSame(_ bytes: RawSpan, _ family: Family, _ arrival: Arrival) -> Bool {
    guard count > 0, bytes.byteCount == count, family == self.family, arrival.interface == interface,
      arrival.checksum == checksum, !arrival.outgoing, !arrival.truncated
    else { return false }
    return bytes.isSame(as: copy.rawSpan)
  }
}
