import CLinux
package import Platform
package import Wire

/// Hears what DHCP clients on this host send on one interface: that is what ties a reply to this host. The socket sees
/// all protocols (only those are shown what goes out), so every packet of that interface, in and out, costs the
/// kernel a clone while it is open: open it only where a client runs (`DHCPClientProbe`).
///
/// A plain socket, not a ring, because taps come and go while the agent runs: to set a ring up takes the kernel some
/// 10 ms. Closing still does (it waits until no processor looks at the socket any more): it need not be done at once.
package struct ClientTap: ~Copyable {
  package let descriptor: Descriptor
  package let interface: UInt32
  /// The socket's inode: the probe must not take it for a client's.
  package let inode: UInt64
  package private(set) var counters = Counters()

  package struct Counters: Hashable, Sendable {
    /// Handed on.
    package var packets: UInt64 = 0
    /// The kernel found the socket's buffer full, as of the last `refreshDropped`.
    package var dropped: UInt64 = 0
  }

  /// What is longer is cut and marked truncated.
  package static var longestPacket: Int { 2048 }

  /// Opens the socket of a tap: what needs CAP_NET_RAW.
  /// - Parameter interface: its index. It may be down: it is heard once it is up.
  package static func open(interface: UInt32) throws(SystemFailure) -> Descriptor {
    Descriptor(
      taking: try openPacketSocket(Filter.clientRequests(), interface: interface) { number throws(SystemFailure) in
        try setPacketOption(number, PACKET_AUXDATA, Int32(1), "ask for checksum states")
        // A dozen requests: a client sends a few a minute.
        _ = try valueOrFailure("bound a packet socket's buffer") {
          var size: Int32 = 16384
          return unsafe setsockopt(number, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
      })
  }

  /// Takes over what `open` opened, here or in another process.
  package init(taking descriptor: consuming Descriptor, interface: UInt32) throws(SystemFailure) {
    do throws(Errno) {
      inode = try descriptor.inode()
    } catch {
      throw SystemFailure("look at a packet socket", error)
    }
    self.descriptor = descriptor
    self.interface = interface
  }

  package init(interface: UInt32) throws(SystemFailure) {
    try self.init(taking: ClientTap.open(interface: interface), interface: interface)
  }

  /// Hands on what waits, oldest first, at most `limit` packets: recvmsg(2). The number of packets; at `limit` there may
  /// be more. Timestamps are of now: kernel ones would cost every packet of the host.
  package mutating func drain(limit: Int, _ body: (RawSpan, Family, Arrival) -> Void) -> Int {
    // Too large for the stack by the library's measure: one allocation a drain. Requests are rare.
    unsafe withUnsafeTemporaryAllocation(byteCount: ClientTap.longestPacket, alignment: 8) { buffer in
      for taken in 0..<max(limit, 0) {
        if unsafe !receive(into: buffer, body) { return taken }
      }
      return max(limit, 0)
    }
  }

  private mutating func receive(
    into buffer: UnsafeMutableRawBufferPointer, _ body: (RawSpan, Family, Arrival) -> Void
  ) -> Bool {
    var address = sockaddr_ll()
    var control = InlineArray<8, UInt64>(repeating: 0)
    var controls = control.mutableSpan
    let received = unsafe withUnsafeMutablePointer(to: &address) { address in
      unsafe controls.withUnsafeMutableBytes { control -> (length: Int, checksum: Arrival.Checksum) in
        var part = unsafe iovec(iov_base: buffer.baseAddress, iov_len: buffer.count)
        return unsafe withUnsafeMutablePointer(to: &part) { part in
          var message = unsafe msghdr()
          unsafe message.msg_name = UnsafeMutableRawPointer(address)
          unsafe message.msg_namelen = socklen_t(MemoryLayout<sockaddr_ll>.size)
          unsafe message.msg_iov = part
          unsafe message.msg_iovlen = 1
          unsafe message.msg_control = control.baseAddress
          unsafe message.msg_controllen = control.count
          let length = unsafe recvmsg(descriptor.number, &message, Int32(MSG_DONTWAIT | MSG_TRUNC))
          return (length, length < 0 ? .ready : unsafe checksumState(&message))
        }
      }
    }
    guard received.length >= 0 else { return false }
    let kept = min(received.length, buffer.count)
    counters.packets &+= 1
    body(
      unsafe RawSpan(_unsafeStart: buffer.baseAddress!, byteCount: kept),
      Int32(clinux_ntohs(address.sll_protocol)) == ETH_P_IP ? .v4 : .v6,
      Arrival(
        interface: UInt32(bitPattern: address.sll_ifindex), outgoing: Int32(address.sll_pkttype) == PACKET_OUTGOING,
        checksum: received.checksum, truncated: received.length > kept, timestamp: Clock.realTime()))
    return true
  }

  /// Adds what the kernel dropped since the last time to `counters.dropped`; a system call.
  package mutating func refreshDropped() { counters.dropped &+= takeDropped(descriptor) }

  /// To be called when the poller says that the socket has an error: takes it away and says which. ENETDOWN where its
  /// interface went down; it hears again when that comes up.
  package func takeError() -> Errno? { pendingError(descriptor) }
}

/// TP_STATUS_CSUMNOTREADY in the message's PACKET_AUXDATA.
private func checksumState(_ message: inout msghdr) -> Arrival.Checksum {
  var header = unsafe clinux_cmsg_first(&message)
  while let found = unsafe header {
    if unsafe found.pointee.cmsg_level == SOL_PACKET && found.pointee.cmsg_type == PACKET_AUXDATA {
      let auxiliary = unsafe UnsafeRawPointer(clinux_cmsg_data(found)).loadUnaligned(as: tpacket_auxdata.self)
      return auxiliary.tp_status & UInt32(TP_STATUS_CSUMNOTREADY) != 0 ? .notReady : .ready
    }
    unsafe header = clinux_cmsg_next(&message, found)
  }
  return .ready
}
