#if Pcap
  import Wire

  /// Whether a UDP packet's checksum is one that the sender left to its network card. A capture file does not say,
  /// but the field does: until the card fills it in, it holds the sum of the pseudo-header alone, not complemented.
  /// That a true checksum happens to be this number is a chance of 1 in 65,536; then a damaged packet passes.
  /// The kernel sums up ICMP and ICMPv6 itself before a packet leaves it, so only UDP asks for this.
  func hasUnfilledUDPChecksum(_ packet: RawSpan, _ family: Family) -> Bool {
    let header: Int
    let addresses: Range<Int>
    switch family {
    case .v4:
      guard let first = packet.byte(at: 0), packet.byte(at: 9) == 17 else { return false }
      header = Int(first & 15) * 4
      addresses = 12..<20
    case .v6:
      guard packet.byte(at: 6) == 17 else { return false }
      header = 40
      addresses = 8..<40
    }
    guard header >= addresses.upperBound, let length = packet.big16(at: header + 4),
      let checksum = packet.big16(at: header + 6)
    else { return false }
    var sum = UInt32(17) + UInt32(length)
    for offset in stride(from: addresses.lowerBound, to: addresses.upperBound, by: 2) {
      sum += UInt32(packet.big16(at: offset) ?? 0)
    }
    while sum > 0xFFFF { sum = (sum & 0xFFFF) + sum >> 16 }
    return sum == UInt32(checksum)
  }
#endif
