import CLinux
import CNetlink
import Platform
import Wire

/// Requests to the kernel over a netlink route socket of their own, each answered before the call returns.
@safe final class NetlinkExchange {
  private let socket: OpaquePointer
  private let buffer: UnsafeMutableRawBufferPointer
  private var sequence: UInt32 = 0

  init() throws(KernelError) {
    guard let socket = unsafe nl_socket_alloc() else { throw KernelError(.open, ENOMEM) }
    unsafe nl_socket_disable_auto_ack(socket)
    guard unsafe nl_connect(socket, NETLINK_ROUTE) == 0 else {
      let code = Errno.current.rawValue
      unsafe nl_socket_free(socket)
      throw KernelError(.open, code)
    }
    unsafe self.socket = socket
    unsafe buffer = .allocate(byteCount: 65_536, alignment: 16)
    let descriptor = unsafe nl_socket_get_fd(socket)
    // The kernel then filters what it lists; older ones don't know this, and list more.
    var one: Int32 = 1
    _ = unsafe setsockopt(descriptor, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, 4)
    // It answers before send(2) returns. Should it not, nobody waits for ever.
    var patience = timeval(tv_sec: 1, tv_usec: 0)
    _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit {
    unsafe nl_socket_free(socket)
    unsafe buffer.deallocate()
  }

  /// Sends one request and reads until its end: an error, an acknowledgement, NLMSG_DONE, or the one answer to what was
  /// no dump and wants no acknowledgement. Throws the kernel's refusal.
  func ask<Header: BitwiseCopyable>(
    _ type: Int32, _ flags: Int32, _ header: Header, filling fill: (borrowing Request) -> Void = { _ in },
    each: (Message) -> Void = { _ in }
  ) throws(Errno) {
    sequence = sequence == .max ? 1 : sequence + 1
    guard let request = Request(type, flags | NLM_F_REQUEST, sequence, header) else {
      throw Errno(rawValue: ENOMEM)
    }
    fill(request)
    guard unsafe nl_send_auto(socket, request.message) >= 0 else { throw .current }
    let (sequence, isDump) = (sequence, flags & NLM_F_DUMP == NLM_F_DUMP)
    let descriptor = unsafe nl_socket_get_fd(socket)
    var end: Errno??
    while end == nil {
      let count = try valueOrErrno { unsafe recv(descriptor, buffer.baseAddress, buffer.count, 0) }
      _ = unsafe Message.walk(unsafe: buffer, count) { message in
        guard message.sequence == sequence else { return }
        if message.type == Int(NLMSG_ERROR) || message.type == Int(NLMSG_DONE) {
          end = .some(message.status == 0 ? nil : Errno(rawValue: -message.status))
        } else {
          each(message)
          if !isDump { end = .some(nil) }
        }
      }
    }
    if let refusal = end ?? nil { throw refusal }
  }
}

/// A message to the kernel that is being put together.
@safe struct Request: ~Copyable {
  fileprivate let message: OpaquePointer

  fileprivate init?<Header: BitwiseCopyable>(_ type: Int32, _ flags: Int32, _ sequence: UInt32, _ header: Header) {
    guard let message = unsafe nlmsg_alloc_simple(type, flags) else { return nil }
    unsafe self.message = message
    unsafe nlmsg_hdr(message).pointee.nlmsg_seq = sequence
    var header = header
    _ = unsafe nlmsg_append(message, &header, MemoryLayout<Header>.size, Int32(NLMSG_ALIGNTO))
  }

  deinit { unsafe nlmsg_free(message) }

  /// In host order.
  func put(_ type: rtattr_type_t, _ value: UInt32) { put(Int32(type.rawValue), value) }
  func put(_ type: Int32, _ value: UInt32) { _ = unsafe nla_put_u32(message, type, value) }
  func put(_ type: Int32, byte value: UInt8) { _ = unsafe nla_put_u8(message, type, value) }

  func put(_ type: rtattr_type_t, _ address: IPAddress) {
    switch address {
    case .v4(let v4): _ = unsafe nla_put_u32(message, Int32(type.rawValue), v4.value.bigEndian)
    case .v6(let v6):
      var words = (v6.high.bigEndian, v6.low.bigEndian)
      _ = unsafe nla_put(message, Int32(type.rawValue), 16, &words)
    }
  }

  /// An attribute as it came, nested ones and all.
  func put(_ type: rtattr_type_t, bytes: [UInt8]) {
    _ = unsafe bytes.withUnsafeBytes { unsafe nla_put(message, Int32(type.rawValue), Int32($0.count), $0.baseAddress) }
  }
}
