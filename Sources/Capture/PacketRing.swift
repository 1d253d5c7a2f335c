import CLinux
package import Platform
package import Wire

/// What became of the frames of one ring.
package struct RingCounters: Hashable, Sendable {
  /// Handed on.
  package var packets: UInt64 = 0
  /// Not for this host: heard because the interface is promiscuous, or with a VLAN tag that no interface takes
  /// (the kernel marks both PACKET_OTHERHOST). Not handed on.
  package var otherHost: UInt64 = 0
  /// With a VLAN tag still on: it belongs to the VLAN's interface. Not handed on.
  package var tagged: UInt64 = 0
  /// The kernel found the ring full, as of the last `refreshDropped`.
  package var dropped: UInt64 = 0
}

/// A memory-mapped TPACKET_V2 receive ring (Linux: Documentation/networking/packet_mmap.rst). Its memory is resident
/// from the start and bounds what waits: when it is full, the kernel drops what comes and counts it, and what waits
/// in it stays whole.
@safe package struct PacketRing: ~Copyable {
  package enum Kind: Hashable, Sendable, CaseIterable {
    /// Router Advertisements, DHCP to clients.
    case control
    /// ICMP and ICMPv6 errors.
    case errors

    /// In bytes: both kinds in both families are a MiB.
    package var defaultSize: Int {
      switch self {
      case .control: 128 << 10
      case .errors: 384 << 10
      }
    }
  }

  /// One frame holds one packet and about 80 bytes about it. What does not fit is cut and marked truncated.
  package static var frameSize: Int { 2048 }

  package let descriptor: Descriptor
  package private(set) var counters = RingCounters()
  /// A frame since the last `refreshDropped` was marked TP_STATUS_LOSING: there are drops to be read.
  package private(set) var isLosing = false

  private let memory: SharedMemory
  private let frames: Int
  private var next = 0

  /// Hears one kind of one family on all interfaces, present and future.
  /// - Parameter size: in bytes; rounded up to whole pages.
  /// The kernel takes some 10 ms to set a ring up and to take it down: for the start, not for the loop.
  package init(_ kind: Kind, _ family: Family, size: Int? = nil) throws(SystemFailure) {
    let filter =
      switch (kind, family) {
      case (.control, .v4): Filter.controlV4()
      case (.control, .v6): Filter.controlV6()
      case (.errors, .v4): Filter.errorsV4()
      case (.errors, .v6): Filter.errorsV6()
      }
    try self.init(
      filter, etherType: UInt16(family == .v4 ? ETH_P_IP : ETH_P_IPV6), interface: 0, size: size ?? kind.defaultSize)
  }

  /// - Parameter interface: its index, or 0 for all.
  init(_ filter: Filter, etherType: UInt16, interface: UInt32, size: Int) throws(SystemFailure) {
    // Blocks of one page: larger ones would need memory that hangs together. The mapping has them end to end.
    let page = Int(getpagesize())
    let size = max(size, page).roundedUp(toMultipleOf: page)
    let layout = tpacket_req(
      tp_block_size: UInt32(page), tp_block_nr: UInt32(size / page), tp_frame_size: UInt32(PacketRing.frameSize),
      tp_frame_nr: UInt32(size / PacketRing.frameSize))
    let descriptor = Descriptor(
      taking: try openPacketSocket(filter, etherType: etherType, interface: interface) { number throws(SystemFailure) in
        try setPacketOption(number, PACKET_VERSION, Int32(TPACKET_V2.rawValue), "use TPACKET_V2")
        try setPacketOption(number, PACKET_RX_RING, layout, "set a packet ring up")
      })
    do throws(Errno) {
      memory = try SharedMemory(descriptor, size: size)
    } catch {
      throw SystemFailure("map a packet ring", error)
    }
    self.descriptor = descriptor
    frames = size / PacketRing.frameSize
  }

  /// Whether `drain` would have something to hand on. No system call.
  package var hasWaiting: Bool {
    unsafe clinux_load_acquire(memory.base + next * PacketRing.frameSize) & UInt32(TP_STATUS_USER) != 0
  }

  /// Hands on what waits, oldest first and in place, at most `limit` frames: what it holds is gone when `body`
  /// returns. The number of frames that were taken out; at `limit` there may be more. No system call.
  package mutating func drain(limit: Int, _ body: (RawSpan, Family, Arrival) -> Void) -> Int {
    var taken = 0
    while taken < limit {
      let frame = unsafe memory.base + next * PacketRing.frameSize
      // The frame's first word. The acquiring load sees all that the kernel wrote before it gave the frame to us,
      // the releasing store gives it back after all our reads.
      let status = unsafe clinux_load_acquire(frame)
      if status & UInt32(TP_STATUS_USER) == 0 { break }
      unsafe handOn(UnsafeRawPointer(frame), status, body)
      unsafe clinux_store_release(frame, UInt32(TP_STATUS_KERNEL))
      next = next + 1 == frames ? 0 : next + 1
      taken += 1
    }
    return taken
  }

  private mutating func handOn(
    _ frame: UnsafeRawPointer, _ status: UInt32, _ body: (RawSpan, Family, Arrival) -> Void
  ) {
    let header = unsafe frame.load(as: tpacket2_hdr.self)
    // The link-layer address stands behind the header, aligned to 16 (TPACKET_ALIGN).
    let address = unsafe frame.load(
      fromByteOffset: MemoryLayout<tpacket2_hdr>.size.roundedUp(toMultipleOf: Int(TPACKET_ALIGNMENT)),
      as: sockaddr_ll.self)
    if status & UInt32(TP_STATUS_LOSING) != 0 { isLosing = true }
    if Int32(address.sll_pkttype) == PACKET_OTHERHOST {
      counters.otherHost &+= 1
      return
    }
    // VLAN 0 is a priority without a VLAN (IEEE 802.1Q): such a frame is the interface's own.
    if status & UInt32(TP_STATUS_VLAN_VALID) != 0 && header.tp_vlan_tci & 0x0FFF != 0 {
      counters.tagged &+= 1
      return
    }
    let family: Family = Int32(clinux_ntohs(address.sll_protocol)) == ETH_P_IP ? .v4 : .v6
    let isCut = status & UInt32(TP_STATUS_COPY) != 0 || header.tp_len > header.tp_snaplen
    let arrival = Arrival(
      interface: UInt32(bitPattern: address.sll_ifindex),
      outgoing: Int32(address.sll_pkttype) == PACKET_OUTGOING,
      checksum: status & UInt32(TP_STATUS_CSUMNOTREADY) != 0 ? .notReady : .ready,
      truncated: isCut,
      timestamp: UInt64(header.tp_sec) &* 1_000_000_000 &+ UInt64(header.tp_nsec))
    counters.packets &+= 1
    // On a cooked socket tp_mac and tp_net are one, and the kernel has cut the packet to fit the frame.
    body(unsafe RawSpan(_unsafeStart: frame + Int(header.tp_net), byteCount: Int(header.tp_snaplen)), family, arrival)
  }

  /// Adds what the kernel dropped since the last time to `counters.dropped`; a system call.
  package mutating func refreshDropped() {
    counters.dropped &+= takeDropped(descriptor)
    isLosing = false
  }

  /// To be called when the poller says that the socket has an error: takes it away and says which.
  package func takeError() -> Errno? { pendingError(descriptor) }
}

extension Int {
  fileprivate func roundedUp(toMultipleOf unit: Int) -> Int { (self + unit - 1) / unit * unit }
}
