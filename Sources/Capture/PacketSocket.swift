import CLinux
import Platform

/// Opens a cooked packet socket of all protocols. It is created for no protocol and bound last, when filter and all else stand: it hears
/// nothing before that, so nothing that the filter refuses ever waits in it.
/// - Parameter interface: an index, or 0 for all interfaces, present and future.
/// - Parameter prepare: sets the socket up before it hears anything.
func openPacketSocket(
  _ filter: Filter, interface: UInt32, _ prepare: (Int32) throws(SystemFailure) -> Void
) throws(SystemFailure) -> Int32 {
  let number = try valueOrFailure("open a packet socket", hint: "it needs root or CAP_NET_RAW") {
    socket(AF_PACKET, Int32(SOCK_DGRAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
  }
  do throws(SystemFailure) {
    try prepare(number)
    try attach(filter, to: number)
    var address = sockaddr_ll()
    address.sll_family = UInt16(AF_PACKET)
    address.sll_protocol = clinux_htons(UInt16(ETH_P_ALL))
    address.sll_ifindex = Int32(bitPattern: interface)
    _ = try valueOrFailure("bind a packet socket") {
      unsafe clinux_bind(number, &address, socklen_t(MemoryLayout<sockaddr_ll>.size))
    }
  } catch {
    closeDescriptor(number)
    throw error
  }
  return number
}

/// How many packets the kernel had no room for since the last time that somebody asked: getsockopt(2),
/// PACKET_STATISTICS.
func takeDropped(_ socket: borrowing Descriptor) -> UInt64 {
  var statistics = tpacket_stats()
  var length = socklen_t(MemoryLayout<tpacket_stats>.size)
  let result = unsafe getsockopt(socket.number, SOL_PACKET, PACKET_STATISTICS, &statistics, &length)
  return result == 0 ? UInt64(statistics.tp_drops) : 0
}

/// The error that waits on a socket, if there is one, taken away: getsockopt(2), SO_ERROR.
func pendingError(_ socket: borrowing Descriptor) -> Errno? {
  var error: Int32 = 0
  var length = socklen_t(MemoryLayout<Int32>.size)
  let result = unsafe getsockopt(socket.number, SOL_SOCKET, SO_ERROR, &error, &length)
  return result == 0 && error != 0 ? Errno(rawValue: error) : nil
}

/// setsockopt(2) at SOL_PACKET.
func setPacketOption<Value: BitwiseCopyable>(
  _ number: Int32, _ name: Int32, _ value: Value, _ action: StaticString
) throws(SystemFailure) {
  var value = value
  _ = try valueOrFailure(action) {
    unsafe setsockopt(number, SOL_PACKET, name, &value, socklen_t(MemoryLayout<Value>.size))
  }
}

/// setsockopt(2), SO_ATTACH_FILTER.
private func attach(_ filter: Filter, to number: Int32) throws(SystemFailure) {
  var instructions: [sock_filter] = []
  instructions.reserveCapacity(filter.instructions.count)
  for instruction in filter.instructions {
    instructions.append(
      sock_filter(
        code: instruction.code, jt: instruction.whenTrue, jf: instruction.whenFalse, k: instruction.operand))
  }
  _ = try valueOrFailure("attach a packet filter") {
    unsafe instructions.withUnsafeMutableBufferPointer {
      var program = unsafe sock_fprog(len: UInt16($0.count), filter: $0.baseAddress)
      return unsafe setsockopt(
        number, SOL_SOCKET, SO_ATTACH_FILTER, &program, socklen_t(MemoryLayout<sock_fprog>.size))
    }
  }
}
