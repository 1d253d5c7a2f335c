/// A copy of one packet, to know it again by: the same bytes need no second decoding.
package struct HeldPacket: Sendable {
  /// Bytes; what is longer is not held.
  private static let longest = 256
  private static let shortest = 8

  /// Its words, and behind them its last eight bytes once more.
  private var words = [UInt64](repeating: 0, count: HeldPacket.longest / 8 + 1)
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
    for index in 0..<count / 8 { words[index] = bytes.u64(8 * index) }
    words[count / 8] = bytes.u64(count - 8)
  }

  package mutating func forget() { count = 0 }

  /// Whether this is the same packet once more, on the same interface and as well checked.
  package func isSame(_ bytes: RawSpan, _ family: Family, _ arrival: Arrival) -> Bool {
    guard count > 0, bytes.byteCount == count, family == self.family, arrival.interface == interface,
      arrival.checksum == checksum, !arrival.outgoing, !arrival.truncated
    else { return false }
    for index in 0..<count / 8 where words[index] != bytes.u64(8 * index) { return false }
    return words[count / 8] == bytes.u64(count - 8)
  }
}
