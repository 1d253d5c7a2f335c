/// What capture knows of a packet beside its bytes.
package struct Arrival: Sendable {
  /// Whether the sender's stack filled the transport checksum in before we saw the packet
  /// (`TP_STATUS_CSUMNOTREADY`; veth and virtual machines leave it to the card that never was).
  package enum Checksum: Sendable { case ready, notReady }

  /// The interface's index, 1 or more.
  package var interface: UInt32
  /// True for what this host itself sent (`PACKET_OUTGOING`).
  package var outgoing: Bool
  package var checksum: Checksum
  /// True if the capture kept fewer bytes than were on the wire.
  package var truncated: Bool
  /// The kernel's receive timestamp, nanoseconds of CLOCK_REALTIME.
  package var timestamp: UInt64

  package init(
    interface: UInt32, outgoing: Bool = false, checksum: Checksum = .ready, truncated: Bool = false,
    timestamp: UInt64 = 0
  ) {
    self.interface = interface
    self.outgoing = outgoing
    self.checksum = checksum
    self.truncated = truncated
    self.timestamp = timestamp
  }
}
