#if Pcap
  import Wire

  /// The link layers of capture files (https://www.tcpdump.org/linktypes.html), as libpcap numbers them (DLT_*).
  enum LinkLayer {
    case ethernet
    /// IPv4 or IPv6 from the first byte on.
    case rawIP
    /// Linux "cooked" capture, version 1 and 2: capturing on "any".
    case linuxCooked
    case linuxCooked2
    /// BSD loopback: 4 bytes of address family, in the byte order of the machine that captured.
    case null
    /// OpenBSD loopback: the same in network order.
    case loop

    init?(dataLink: Int32) {
      switch dataLink {
      case 0: self = .null
      case 1: self = .ethernet
      case 12, 101, 228, 229: self = .rawIP
      case 108: self = .loop
      case 113: self = .linuxCooked
      case 276: self = .linuxCooked2
      default: return nil
      }
    }

    /// Where an IP packet is in a frame.
    struct Location: Equatable {
      /// Of the network header.
      var offset: Int
      var family: Family
      /// The frame says so; only cooked captures do.
      var outgoing = false
      /// The frame's interface index; 0 where the frame has none.
      var interface: UInt32 = 0
      /// VLAN ids, 12 bits each, the innermost lowest; 0 without (VLAN 0 is a mere priority).
      var vlans: UInt32 = 0
    }

    enum Found: Equatable {
      case packet(Location)
      /// ARP, or whatever else is not IP.
      case notIP
      /// Heard, but meant for another host (PACKET_OTHERHOST of cooked captures).
      case otherHost
      /// The capture ends within the link layer.
      case cut
    }

    func locate(in frame: RawSpan) -> Found {
      switch self {
      case .ethernet:
        guard let type = frame.big16(at: 12) else { return .cut }
        return LinkLayer.behindEtherType(type, frame, Location(offset: 14, family: .v4))
      case .rawIP:
        guard let first = frame.byte(at: 0) else { return .cut }
        switch first >> 4 {
        case 4: return .packet(Location(offset: 0, family: .v4))
        case 6: return .packet(Location(offset: 0, family: .v6))
        default: return .notIP
        }
      case .linuxCooked:
        guard let kind = frame.big16(at: 0), let type = frame.big16(at: 14) else { return .cut }
        return LinkLayer.behindCookedHeader(kind, type, frame, Location(offset: 16, family: .v4))
      case .linuxCooked2:
        guard let type = frame.big16(at: 0), let high = frame.big16(at: 4), let low = frame.big16(at: 6),
          let kind = frame.byte(at: 10), frame.byteCount >= 20
        else { return .cut }
        let interface = UInt32(high) << 16 | UInt32(low)
        return LinkLayer.behindCookedHeader(
          UInt16(kind), type, frame, Location(offset: 20, family: .v4, interface: interface))
      case .null, .loop:
        guard let high = frame.big16(at: 0), let low = frame.big16(at: 2) else { return .cut }
        // Families are small numbers: the half that is zero tells the byte order.
        let family = high == 0 ? low : self == .null ? high.byteSwapped : 0
        switch family {
        case 2: return .packet(Location(offset: 4, family: .v4))
        // AF_INET6 of Linux, NetBSD and OpenBSD, FreeBSD, macOS.
        case 10, 24, 28, 30: return .packet(Location(offset: 4, family: .v6))
        default: return .notIP
        }
      }
    }

    /// PACKET_OTHERHOST is 3, PACKET_OUTGOING 4.
    private static func behindCookedHeader(
      _ kind: UInt16, _ type: UInt16, _ frame: RawSpan, _ location: Location
    ) -> Found {
      if kind == 3 { return .otherHost }
      var location = location
      location.outgoing = kind == 4
      return behindEtherType(type, frame, location)
    }

    /// Goes over 802.1Q and 802.1ad tags, two at most.
    private static func behindEtherType(_ type: UInt16, _ frame: RawSpan, _ location: Location) -> Found {
      var type = type
      var location = location
      for _ in 0..<2 where type == 0x8100 || type == 0x88A8 {
        guard let tag = frame.big16(at: location.offset), let inner = frame.big16(at: location.offset + 2) else {
          return .cut
        }
        location.vlans = location.vlans << 12 | UInt32(tag & 0x0FFF)
        location.offset += 4
        type = inner
      }
      switch type {
      case 0x0800: location.family = .v4
      case 0x86DD: location.family = .v6
      default: return .notIP
      }
      return .packet(location)
    }
  }

  extension RawSpan {
    func byte(at offset: Int) -> UInt8? {
      offset < byteCount ? unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self) : nil
    }

    func big16(at offset: Int) -> UInt16? {
      offset + 2 <= byteCount
        ? UInt16(bigEndian: unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: UInt16.self)) : nil
    }
  }
#endif
