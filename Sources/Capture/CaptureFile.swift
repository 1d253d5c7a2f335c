#if Pcap
  import CPcap
  import Platform
  package import Wire

  package enum CaptureFileError: Error, Hashable, Sendable {
    /// It can't be opened, or is no capture file: the path, and libpcap's reason, which often names the path too.
    case cannotOpen(path: [UInt8], reason: [UInt8])
    /// A link layer that is not decoded here: its number (LINKTYPE_*) and libpcap's name for it.
    case unsupportedLinkType(path: [UInt8], number: Int32, name: [UInt8])
    /// The file ends or breaks within what comes after so many frames.
    case damaged(path: [UInt8], afterFrames: UInt64, reason: [UInt8])

    /// One line that says what, where and why.
    package var message: [UInt8] {
      let line: LogLine =
        switch self {
        case .cannotOpen(let path, let reason): "cannot open the capture file \(path): \(reason)"
        case .unsupportedLinkType(let path, let number, let name):
          "cannot read the capture file \(path): link type \(number) (\(name)) is not supported"
        case .damaged(let path, let frames, let reason):
          "the capture file \(path) is damaged after \(frames) frames: \(reason)"
        }
      return line.text
    }
  }

  /// What became of the frames of one capture file.
  package struct CaptureFileCounters: Hashable, Sendable {
    /// All frames read.
    package var frames: UInt64 = 0
    /// IP packets, handed on.
    package var packets: UInt64 = 0
    package var notIP: UInt64 = 0
    /// Heard, but meant for another host.
    package var otherHost: UInt64 = 0
    /// The capture kept not even the link layer.
    package var cut: UInt64 = 0
  }

  /// One frame of a capture file: what it is, and what its link layer says.
  package struct CaptureFrame: Hashable, Sendable {
    package enum Content: Sendable {
      /// IP, handed on.
      case packet
      case notIP, otherHost, cut
    }

    package var content: Content
    /// Nanoseconds since 1970.
    package var timestamp: UInt64
    /// Tags, 12 bits each, the innermost lowest; 0 without.
    package var vlans: UInt32 = 0
    /// Of a LINUX_SLL2 frame; else what the file was opened with.
    package var interface: UInt32
  }

  /// A pcap or pcapng file, read through libpcap as if its packets arrived.
  ///
  /// Interfaces: libpcap does not tell which interface of a pcapng file a frame is from, so all count as one, whose
  /// number the caller chooses; only LINUX_SLL2 frames carry a number of their own. A frame with an 802.1Q tag belongs to
  /// the VLAN's interface: its number is (VLAN id << 8) | number of the untagged interface, two tags the same with 24 bits.
  ///
  /// Direction: only Linux cooked captures tell it. In others everything counts as received.
  ///
  /// Checksums: what the capturing host itself sent may have none yet, and so may what it received from a veth neighbour or a
  /// virtual machine. `notReady` is what is known to be outgoing, and UDP that still holds its pseudo-header's sum.
  @safe package struct CaptureFile: ~Copyable {
    package private(set) var counters = CaptureFileCounters()

    private let handle: Handle
    private let linkLayer: LinkLayer
    private let path: [UInt8]
    private let interface: UInt32

    /// - Parameter path: of the file; "-" is standard input.
    /// - Parameter interface: what number, 1 or more, untagged packets are said to come from.
    package init(path: [UInt8], interface: UInt32 = 1) throws(CaptureFileError) {
      let handle = try Handle(path)
      let number = unsafe pcap_datalink(handle.pcap)
      guard let linkLayer = LinkLayer(dataLink: number) else {
        let name = unsafe pcap_datalink_val_to_name(number)
        throw .unsupportedLinkType(
          path: path, number: number, name: unsafe name.map { unsafe bytes(ofCString: $0) } ?? Array("unknown".utf8))
      }
      self.handle = handle
      self.linkLayer = linkLayer
      self.path = path
      self.interface = interface
    }

    /// Hands the next IP packet on; what lies between is counted and skipped. False at the end of the file.
    package mutating func next(
      _ body: (RawSpan, Family, Arrival) -> Void
    ) throws(CaptureFileError) -> Bool {
      while let frame = try nextFrame(body) {
        if frame.content == .packet { return true }
      }
      return false
    }

    /// Reads one frame, and hands it on if it holds an IP packet. Nil at the end of the file.
    package mutating func nextFrame(
      _ body: (RawSpan, Family, Arrival) -> Void
    ) throws(CaptureFileError) -> CaptureFrame? {
      var header: UnsafeMutablePointer<pcap_pkthdr>?
      var data: UnsafePointer<UInt8>?
      switch unsafe pcap_next_ex(handle.pcap, &header, &data) {
      case 1: break
      case PCAP_ERROR_BREAK: return nil
      default:
        throw .damaged(
          path: path, afterFrames: counters.frames, reason: unsafe bytes(ofCString: pcap_geterr(handle.pcap)))
      }
      guard let header = unsafe header?.pointee, let data = unsafe data else { return nil }
      counters.frames &+= 1
      let frame = unsafe RawSpan(_unsafeStart: data, byteCount: Int(header.caplen))
      // With nanosecond precision asked for, tv_usec counts them.
      let timestamp = UInt64(header.ts.tv_sec) &* 1_000_000_000 &+ UInt64(header.ts.tv_usec)
      var found = CaptureFrame(content: .notIP, timestamp: timestamp, interface: interface)
      switch linkLayer.locate(in: frame) {
      case .notIP: counters.notIP &+= 1
      case .otherHost:
        counters.otherHost &+= 1
        found.content = .otherHost
      case .cut:
        counters.cut &+= 1
        found.content = .cut
      case .packet(let location):
        counters.packets &+= 1
        let packet = frame.extracting(location.offset...)
        found.content = .packet
        found.vlans = location.vlans
        if location.interface != 0 { found.interface = location.interface }
        let isUnfilled = location.outgoing || hasUnfilledUDPChecksum(packet, location.family)
        body(
          packet, location.family,
          Arrival(
            interface: location.vlans == 0 ? found.interface : location.vlans << 8 | found.interface,
            outgoing: location.outgoing,
            checksum: isUnfilled ? .notReady : .ready,
            truncated: header.caplen < header.len,
            timestamp: timestamp))
      }
      return found
    }
  }

  /// pcap_open_offline_with_tstamp_precision(3), pcap_close(3).
  @safe private struct Handle: ~Copyable {
    let pcap: OpaquePointer

    init(_ path: [UInt8]) throws(CaptureFileError) {
      var reason = [CChar](repeating: 0, count: Int(PCAP_ERRBUF_SIZE))
      let opened = try unsafe withPath(path, orThrow: { .cannotOpen(path: path, reason: $0.message) }) {
        (name) throws(CaptureFileError) in
        unsafe pcap_open_offline_with_tstamp_precision(name, UInt32(PCAP_TSTAMP_PRECISION_NANO), &reason)
      }
      guard let opened = unsafe opened else {
        throw .cannotOpen(
          path: path, reason: unsafe reason.withUnsafeBufferPointer { unsafe bytes(ofCString: $0.baseAddress!) })
      }
      unsafe pcap = opened
    }

    deinit { unsafe pcap_close(pcap) }
  }
#endif
