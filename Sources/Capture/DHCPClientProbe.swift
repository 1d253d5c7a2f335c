import CLinux
package import Platform
package import Wire

/// Where the kernel's socket listings show what may be a DHCP client.
package enum DHCPClientSighting: Hashable, Sendable {
  /// A UDP socket on a client's port, or a packet socket that could be a client's, is bound to this interface.
  case interface(UInt32)
  /// A UDP socket on a client's port is bound to this local address: it runs on the interface that has it.
  case address(IPAddress)
  /// A UDP socket on a client's port is bound to nothing: a client runs, and does not show where.
  case anywhere(Family)
}

/// Asks the kernel where DHCP clients run: NETLINK_SOCK_DIAG (sock_diag(7)). Nothing is sent to a client. The dumps are
/// filled in by the very calls that fetch them, so asking never blocks; it costs some ten system calls.
package enum DHCPClientProbe {
  /// Which questions were answered, and to their end.
  package struct Answered: OptionSet, Hashable, Sendable {
    package var rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    /// AF_PACKET sockets, where most clients without an address hide. Missing without CONFIG_PACKET_DIAG.
    package static var packetSockets: Answered { Answered(rawValue: 1) }
    /// UDP, port 68. Missing without CONFIG_INET_UDP_DIAG.
    package static var udpV4: Answered { Answered(rawValue: 2) }
    /// UDP, port 546.
    package static var udpV6: Answered { Answered(rawValue: 4) }
    package static var everything: Answered { [.packetSockets, .udpV4, .udpV6] }
  }

  /// Calls `body` for each socket found, the same sighting perhaps more than once. Packet sockets count that are bound
  /// to one interface and hear IP or everything: clients' are, some sniffers' too (a needless tap costs little where a
  /// sniffer runs).
  /// - Parameter taps: inodes of our own `ClientTap`s.
  package static func ask(
    ignoring taps: [UInt64], _ body: (DHCPClientSighting) -> Void
  ) throws(SystemFailure) -> Answered {
    let socket = Descriptor(
      taking: try valueOrFailure("open a socket listing") {
        CLinux.socket(
          AF_NETLINK, Int32(SOCK_RAW.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), NETLINK_SOCK_DIAG)
      })
    var answered: Answered = []
    if dump(socket, packetSocketsRequest(), { packetSocket($0, ignoring: taps, body) }) {
      answered.insert(.packetSockets)
    }
    if dump(socket, udpRequest(AF_INET, port: 68), { udpSocket($0, body) }) { answered.insert(.udpV4) }
    if dump(socket, udpRequest(AF_INET6, port: 546), { udpSocket($0, body) }) { answered.insert(.udpV6) }
    return answered
  }

  // MARK: - The questions

  private static func packetSocketsRequest() -> packet_diag_req {
    var request = packet_diag_req()
    request.sdiag_family = UInt8(AF_PACKET)
    request.pdiag_show = UInt32(PACKET_SHOW_INFO)
    return request
  }

  private static func udpRequest(_ family: Int32, port: UInt16) -> inet_diag_req_v2 {
    var request = inet_diag_req_v2()
    request.sdiag_family = UInt8(family)
    request.sdiag_protocol = UInt8(IPPROTO_UDP)
    request.idiag_states = .max
    request.id.idiag_sport = clinux_htons(port)
    return request
  }

  // MARK: - The answers

  private static func packetSocket(
    _ message: RawSpan, ignoring taps: [UInt64], _ body: (DHCPClientSighting) -> Void
  ) {
    guard message.byteCount >= MemoryLayout<packet_diag_msg>.size else { return }
    let found = unsafe message.unsafeLoadUnaligned(as: packet_diag_msg.self)
    // pdiag_num is the protocol in host order.
    let etherType = Int32(found.pdiag_num)
    guard etherType == ETH_P_ALL || etherType == ETH_P_IP || etherType == ETH_P_IPV6 else { return }
    if taps.contains(UInt64(found.pdiag_ino)) { return }
    // Attributes: PACKET_DIAG_INFO begins with the interface's index.
    var offset = MemoryLayout<packet_diag_msg>.size
    let header = MemoryLayout<nlattr>.size
    while offset + header <= message.byteCount {
      let attribute = unsafe message.unsafeLoadUnaligned(fromByteOffset: offset, as: nlattr.self)
      let length = Int(attribute.nla_len)
      guard length >= header, offset + length <= message.byteCount else { return }
      if Int(attribute.nla_type) == Int(PACKET_DIAG_INFO),
        length >= header + MemoryLayout<packet_diag_info>.size
      {
        let info = unsafe message.unsafeLoadUnaligned(fromByteOffset: offset + header, as: packet_diag_info.self)
        if info.pdi_index != 0 { body(.interface(info.pdi_index)) }
        return
      }
      offset += (length + 3) & ~3
    }
  }

  private static func udpSocket(_ message: RawSpan, _ body: (DHCPClientSighting) -> Void) {
    guard message.byteCount >= MemoryLayout<inet_diag_msg>.size else { return }
    let found = unsafe message.unsafeLoadUnaligned(as: inet_diag_msg.self)
    if found.id.idiag_if != 0 {
      body(.interface(found.id.idiag_if))
      return
    }
    let source = found.id.idiag_src
    let address: IPAddress =
      if Int32(found.idiag_family) == AF_INET {
        .v4(IPv4Address(clinux_ntohl(source.0)))
      } else {
        .v6(
          IPv6Address(
            UInt64(clinux_ntohl(source.0)) << 32 | UInt64(clinux_ntohl(source.1)),
            UInt64(clinux_ntohl(source.2)) << 32 | UInt64(clinux_ntohl(source.3))))
      }
    body(address.isUnspecified ? .anywhere(address.family) : .address(address))
  }

  // MARK: - netlink

  private struct Request<Question: BitwiseCopyable>: BitwiseCopyable {
    var header: nlmsghdr
    var question: Question
  }

  /// Sends one dump request and hands the payload of each answer on. False if the kernel can't answer it, or did not
  /// come to the end within 64 datagrams: some thousand sockets.
  private static func dump<Question: BitwiseCopyable>(
    _ socket: borrowing Descriptor, _ question: Question, _ body: (RawSpan) -> Void
  ) -> Bool {
    var request = Request(
      header: nlmsghdr(
        nlmsg_len: UInt32(MemoryLayout<Request<Question>>.size), nlmsg_type: UInt16(SOCK_DIAG_BY_FAMILY),
        nlmsg_flags: UInt16(NLM_F_REQUEST | NLM_F_DUMP), nlmsg_seq: 0, nlmsg_pid: 0),
      question: question)
    let number = socket.number
    let sent = unsafe withUnsafeBytes(of: &request) {
      unsafe send(number, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT))
    }
    if sent < 0 { return false }
    // The kernel fills at most the smaller of a page and 8 KiB before it knows how much we take, and then that.
    return unsafe withUnsafeTemporaryAllocation(byteCount: 16384, alignment: 8) { buffer in
      for _ in 0..<64 {
        let length = unsafe recv(number, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT | MSG_TRUNC))
        guard length > 0, length <= buffer.count else { return false }
        let datagram = unsafe RawSpan(_unsafeStart: buffer.baseAddress!, byteCount: length)
        if let complete = messages(of: datagram, body) { return complete }
      }
      return false
    }
  }

  /// Goes over the messages of one datagram: true at the end of the dump, false at an error, nil if more is to come.
  private static func messages(of datagram: RawSpan, _ body: (RawSpan) -> Void) -> Bool? {
    let headerSize = MemoryLayout<nlmsghdr>.size
    var offset = 0
    while offset + headerSize <= datagram.byteCount {
      let header = unsafe datagram.unsafeLoadUnaligned(fromByteOffset: offset, as: nlmsghdr.self)
      let length = Int(header.nlmsg_len)
      guard length >= headerSize, offset + length <= datagram.byteCount else { return false }
      switch Int32(header.nlmsg_type) {
      case NLMSG_DONE: return true
      case NLMSG_ERROR: return false
      default: body(datagram.extracting((offset + headerSize)..<(offset + length)))
      }
      offset += (length + 3) & ~3
    }
    return nil
  }
}
