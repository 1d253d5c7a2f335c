import CLinux
import CNetlink
import Platform
import Wire

/// Requests to the kernel over a netlink route socket of their own, each answered before the call returns.
@safe final class NetlinkExchange {
  private let socket: OpaquePointer
  private let buffer: UnsafeMutableRawBufferPointer
  private var sequence: UInt32 = 0
  /// How often a list is asked for that changes all the time.
  private static let attempts = 3

  init() throws(KernelError) {
    unsafe socket = try connectToKernel()
    unsafe buffer = .allocate(byteCount: 65_536, alignment: 16)
    let descriptor = unsafe nl_socket_get_fd(socket)
    // The kernel then filters what it lists; older ones don't know this, and list more.
    var one: Int32 = 1
    _ = unsafe setsockopt(descriptor, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, 4)
    // It answers before send(2) returns. Should it not, nobody waits for ever.
    clinux_receive_timeout(descriptor, 1)
  }

  deinit {
    unsafe nl_socket_free(socket)
    unsafe buffer.deallocate()
  }

  /// All that the kernel lists and `read` makes something of, `limit` entries at most; asked for again, a few times, where
  /// the list changed while it was told.
  func list<Header: BitwiseCopyable, Entry>(
    _ type: Int32, _ header: Header, limit: Int, filling fill: (inout Request) -> Void = { _ in },
    _ read: (Message) -> Entry?
  ) throws(Errno) -> [Entry] {
    var entries: [Entry] = []
    for _ in 0..<NetlinkExchange.attempts {
      entries = []
      let isWhole = try ask(type, NLM_F_DUMP, header, filling: fill) { message in
        if entries.count < limit, let entry = read(message) { entries.append(entry) }
      }
      if isWhole { break }
    }
    return entries
  }

  /// Sends one request and reads until its end: an error, an acknowledgement, NLMSG_DONE, or the one answer to what was
  /// no dump and wants no acknowledgement. Throws the kernel's refusal. False for a dump that something was changed
  /// under (NLM_F_DUMP_INTR).
  @discardableResult
  func ask<Header: BitwiseCopyable>(
    _ type: Int32, _ flags: Int32, _ header: Header, filling fill: (inout Request) -> Void = { _ in },
    each: (Message) -> Void = { _ in }
  ) throws(Errno) -> Bool {
    sequence = sequence == .max ? 1 : sequence + 1
    guard var request = Request(type, flags | NLM_F_REQUEST, sequence, header) else {
      throw Errno(rawValue: ENOMEM)
    }
    fill(&request)
    guard request.isWhole else { throw .messageTooLong }
    guard unsafe request.send(over: socket) else { throw .current }
    let (sequence, isDump) = (sequence, flags & NLM_F_DUMP == NLM_F_DUMP)
    let descriptor = unsafe nl_socket_get_fd(socket)
    var end: Errno??
    var isWhole = true
    while end == nil {
      let count = try valueOrErrno { unsafe recv(descriptor, buffer.baseAddress, buffer.count, 0) }
      _ = unsafe Message.walk(unsafe: buffer, count) { message in
        guard message.sequence == sequence else { return }
        if isDump, message.flags & NLM_F_DUMP_INTR != 0 { isWhole = false }
        if message.type == Int(NLMSG_ERROR) || message.type == Int(NLMSG_DONE) {
          end = .some(message.status == 0 ? nil : Errno(rawValue: -message.status))
        } else {
          each(message)
          if !isDump { end = .some(nil) }
        }
      }
    }
    if let refusal = end ?? nil { throw refusal }
    return isWhole
  }
}

/// A message to the kernel that is being put together.
@safe struct Request: ~Copyable {
  private let message: OpaquePointer
  /// Nothing was left out for want of room.
  private(set) var isWhole = true

  /// nil where there is no memory for it.
  init?<Header: BitwiseCopyable>(_ type: Int32, _ flags: Int32, _ sequence: UInt32, _ header: Header) {
    guard let message = unsafe nlmsg_alloc_simple(type, flags) else { return nil }
    unsafe self.message = message
    unsafe nlmsg_hdr(message).pointee.nlmsg_seq = sequence
    var header = header
    note(unsafe nlmsg_append(message, &header, MemoryLayout<Header>.size, Int32(NLMSG_ALIGNTO)))
  }

  deinit { unsafe nlmsg_free(message) }

  /// False if it could not be sent: errno.
  func send(over socket: OpaquePointer) -> Bool { unsafe nl_send_auto(socket, message) >= 0 }

  private mutating func note(_ result: Int32) {
    if result != 0 { isWhole = false }
  }

  /// In host order.
  mutating func put(_ type: rtattr_type_t, _ value: UInt32) { put(Int32(type.rawValue), value) }
  mutating func put(_ type: Int32, _ value: UInt32) { note(unsafe nla_put_u32(message, type, value)) }
  mutating func put(_ type: Int32, byte value: UInt8) { note(unsafe nla_put_u8(message, type, value)) }

  mutating func put(_ type: rtattr_type_t, _ address: IPAddress) { put(Int32(type.rawValue), address) }
  mutating func put(_ type: Int32, _ address: IPAddress) {
    switch address {
    case .v4(let v4): put(type, v4.value.bigEndian)
    case .v6(let v6):
      var words = (v6.high.bigEndian, v6.low.bigEndian)
      note(unsafe nla_put(message, type, 16, &words))
    }
  }

  /// The router of a route, of whichever family it is: RTA_VIA (struct rtvia: the family in host order, and the address)
  /// where it is not the route's.
  mutating func put(gateway: IPAddress, ofRoute family: Family) {
    if gateway.family == family { return put(RTA_GATEWAY, gateway) }
    var bytes: [UInt8] = []
    let number = UInt16(gateway.family == .v4 ? AF_INET : AF_INET6)
    unsafe withUnsafeBytes(of: number) { unsafe bytes.append(contentsOf: $0) }
    switch gateway {
    case .v4(let v4): unsafe withUnsafeBytes(of: v4.value.bigEndian) { unsafe bytes.append(contentsOf: $0) }
    case .v6(let v6):
      for word in [v6.high, v6.low] {
        unsafe withUnsafeBytes(of: word.bigEndian) { unsafe bytes.append(contentsOf: $0) }
      }
    }
    put(RTA_VIA, bytes: bytes)
  }

  /// An attribute as it came, nested ones and all.
  mutating func put(_ type: rtattr_type_t, bytes: [UInt8]) {
    note(
      unsafe bytes.withUnsafeBytes { unsafe nla_put(message, Int32(type.rawValue), Int32($0.count), $0.baseAddress) })
  }
}

/// A netlink route socket that waits for answers.
func connectToKernel() throws(KernelError) -> OpaquePointer {
  guard let socket = unsafe nl_socket_alloc() else { throw KernelError(.open, ENOMEM) }
  unsafe nl_socket_disable_auto_ack(socket)
  guard unsafe nl_connect(socket, NETLINK_ROUTE) == 0 else {
    let code = Errno.current.rawValue
    unsafe nl_socket_free(socket)
    throw KernelError(.open, code)
  }
  return unsafe socket
}
