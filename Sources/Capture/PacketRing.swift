import CLinux
package import Platform
package import Wire

/// What became of the frames of one ring.
package struct RingCounters: Hashable, Sendable {
  /// Handed on.
  package var packets: UInt64 = 0
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

    /// In bytes: both together are a MiB.
    package var defaultSize: Int {
      switch self {
      case .control: 256 << 10
      case .errors: 768 << 10
      }
    }

    /// One frame holds one packet and about 80 bytes about it. Most errors are small, and a flood of them is to fit: a
    /// longer one comes through the socket's buffer.
    package var frameSize: Int {
      switch self {
      case .control: 2048
      case .errors: 256
      }
    }
  }

  /// What is longer is cut and marked truncated.
  package static var longestPacket: Int { 2048 }

  package let descriptor: Descriptor
  package private(set) var counters = RingCounters()
  /// A frame since the last `refreshDropped` was marked TP_STATUS_LOSING: there are drops to be read.
  package private(set) var isLosing = false

  private let memory: SharedMemory
  /// How many packets can wait.
  package let frames: Int
  private let frameSize: Int
  /// Whole packets that a frame has only the start of. None where frames hold the longest.
  private var long: [UInt8]
  private var next = 0

  /// Hears one kind of both families on all interfaces, present and future.
  /// - Parameter size: in bytes; rounded up to whole pages.
  /// The kernel takes some 10 ms to set a ring up and to take it down: for the start, not for the loop.
  package init(_ kind: Kind, size: Int? = nil) throws(SystemFailure) {
    let filter =
      switch kind {
      case .control: Filter.control()
      case .errors: Filter.errors()
      }
    try self.init(filter, size: size ?? kind.defaultSize, frameSize: kind.frameSize)
  }

  /// A socket of all protocols is served before the kernel's IP: one of IP's alone comes after it, and the packet that
  /// it may still look at IP has to copy. So it hears what comes in on ports of bridges too, and before the host's
  /// own filters; what goes out it need not hear, which would be a copy as well.
  init(_ filter: Filter, size: Int, frameSize: Int = PacketRing.longestPacket) throws(SystemFailure) {
    // Blocks of one page: larger ones would need memory that hangs together. The mapping has them end to end.
    let page = Int(getpagesize())
    let size = max(size, page).roundedUp(toMultipleOf: page)
    let layout = tpacket_req(
      tp_block_size: UInt32(page), tp_block_nr: UInt32(size / page), tp_frame_size: UInt32(frameSize),
      tp_frame_nr: UInt32(size / frameSize))
    let descriptor = Descriptor(
      taking: try openPacketSocket(filter, interface: 0) { number throws(SystemFailure) in
        try setPacketOption(number, PACKET_IGNORE_OUTGOING, Int32(1), "hear only what comes in")
        try setPacketOption(number, PACKET_VERSION, Int32(TPACKET_V2.rawValue), "use TPACKET_V2")
        try setPacketOption(number, PACKET_COPY_THRESH, Int32(1), "ask for long packets")
        try setPacketOption(number, PACKET_RX_RING, layout, "set a packet ring up")
      })
    do throws(Errno) {
      memory = try SharedMemory(descriptor, size: size)
    } catch {
      throw SystemFailure("map a packet ring", error)
    }
    self.descriptor = descriptor
    self.frameSize = frameSize
    frames = size / frameSize
    long = [UInt8](repeating: 0, count: frameSize < PacketRing.longestPacket ? PacketRing.longestPacket : 0)
  }

  /// Whether `drain` would have something to hand on. No system call.
  package var hasWaiting: Bool {
    unsafe clinux_load_acquire(memory.base + next * frameSize) & UInt32(TP_STATUS_USER) != 0
  }

  /// Hands on what waits, oldest first and in place, at most `limit` frames: what it holds is gone when `body`
  /// returns. The number of frames that were taken out; at `limit` there may be more. No system call.
  package mutating func drain(limit: Int, _ body: (RawSpan, Family, Arrival) -> Void) -> Int {
    var taken = 0
    while taken < limit {
      let frame = unsafe memory.base + next * frameSize
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
    let length = status & UInt32(TP_STATUS_COPY) != 0 ? receiveLong() : 0
    let family: Family = Int32(clinux_ntohs(address.sll_protocol)) == ETH_P_IP ? .v4 : .v6
    let kept = unsafe RawSpan(_unsafeStart: frame + Int(header.tp_net), byteCount: Int(header.tp_snaplen))
    var arrival = Arrival(
      interface: UInt32(bitPattern: address.sll_ifindex),
      outgoing: Int32(address.sll_pkttype) == PACKET_OUTGOING,
      checksum: status & UInt32(TP_STATUS_CSUMNOTREADY) != 0 ? .notReady : .ready,
      truncated: header.tp_len > header.tp_snaplen,
      timestamp: UInt64(header.tp_sec) &* 1_000_000_000 &+ UInt64(header.tp_nsec))
    counters.packets &+= 1
    // On a cooked socket tp_mac and tp_net are one, and the kernel has cut the packet to fit the frame.
    if length == 0 { return body(kept, family, arrival) }
    let whole = unsafe long.span.bytes.extracting(first: min(length, long.count))
    // Two processors that had a long packet at once may have queued the wrong one first: then neither is believed.
    guard isPrefix(kept, of: whole) else { return body(kept, family, arrival) }
    arrival.truncated = length > long.count
    body(whole, family, arrival)
  }

  /// recv(2): takes the next packet out of the socket's buffer, one for each frame with TP_STATUS_COPY. Its length, which may
  /// be more than there is room for.
  private mutating func receiveLong() -> Int {
    let number = descriptor.number
    var room = long.mutableSpan
    return unsafe room.withUnsafeMutableBytes {
      max(0, unsafe recv(number, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT | MSG_TRUNC)))
    }
  }

  /// Adds what the kernel dropped since the last time to `counters.dropped`; a system call.
  package mutating func refreshDropped() {
    counters.dropped &+= takeDropped(descriptor)
    isLosing = false
  }

  /// To be called when the poller says that the socket has an error: takes it away and says which.
  package func takeError() -> Errno? { pendingError(descriptor) }
}

private func isPrefix(_ start: RawSpan, of whole: RawSpan) -> Bool {
  guard start.byteCount <= whole.byteCount else { return false }
  return unsafe start.withUnsafeBytes { start in
    unsafe whole.withUnsafeBytes { whole in unsafe start.elementsEqual(whole.prefix(start.count)) }
  }
}

extension Int {
  fileprivate func roundedUp(toMultipleOf unit: Int) -> Int { (self + unit - 1) / unit * unit }
}
