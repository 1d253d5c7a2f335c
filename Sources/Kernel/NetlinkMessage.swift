import CLinux
import CNetlink
import Messages
import Wire

/// One netlink message in the receive buffer: checked to lie in it whole (nlmsg_ok), valid until the next receive.
@safe struct Message {
  private let pointer: UnsafeMutablePointer<nlmsghdr>

  /// `bytes` hold the whole message.
  init(unsafe pointer: UnsafeMutablePointer<nlmsghdr>) { unsafe self.pointer = pointer }

  /// Calls `body` with each message in `count` bytes. False if they don't make whole ones.
  static func walk(unsafe bytes: UnsafeMutableRawBufferPointer, _ count: Int, _ body: (Message) -> Void) -> Bool {
    guard var next = unsafe bytes.baseAddress?.assumingMemoryBound(to: nlmsghdr.self) else { return false }
    var remaining = Int32(count)
    while unsafe nlmsg_ok(next, remaining) != 0 {
      body(unsafe Message(unsafe: next))
      guard let following = unsafe nlmsg_next(next, &remaining) else { break }
      unsafe next = following
    }
    return remaining <= 0
  }

  var type: Int { unsafe Int(pointer.pointee.nlmsg_type) }
  var flags: Int32 { unsafe Int32(pointer.pointee.nlmsg_flags) }
  var sequence: UInt32 { unsafe pointer.pointee.nlmsg_seq }
  var port: UInt32 { unsafe pointer.pointee.nlmsg_pid }
  var isDumpPart: Bool { flags & NLM_F_MULTI != 0 }

  /// The family's own header, nil if the message is too short for it.
  func header<Header: BitwiseCopyable>(_ type: Header.Type) -> Header? {
    guard unsafe nlmsg_valid_hdr(pointer, Int32(MemoryLayout<Header>.size)) != 0, let data = unsafe nlmsg_data(pointer)
    else { return nil }
    return unsafe data.loadUnaligned(as: Header.self)
  }

  /// NLMSG_ERROR and NLMSG_DONE begin with an error number, negative, or 0.
  var status: Int32 { header(Int32.self) ?? 0 }

  func attributes<Header: BitwiseCopyable>(after: Header.Type, _ body: (Attribute) -> Void) {
    let size = Int32(MemoryLayout<Header>.size)
    unsafe Attribute.walk(nlmsg_attrdata(pointer, size), nlmsg_attrlen(pointer, size), body)
  }
}

/// One attribute of a message: its length is checked by whoever reads a value, and the value is nil if it doesn't fit.
@safe struct Attribute {
  private let pointer: UnsafeMutablePointer<nlattr>

  fileprivate init(unsafe pointer: UnsafeMutablePointer<nlattr>) { unsafe self.pointer = pointer }

  static func walk(_ first: UnsafeMutablePointer<nlattr>?, _ length: Int32, _ body: (Attribute) -> Void) {
    var remaining = length
    guard var next = unsafe first else { return }
    while unsafe nla_ok(next, remaining) != 0 {
      body(unsafe Attribute(unsafe: next))
      guard let following = unsafe nla_next(next, &remaining) else { return }
      unsafe next = following
    }
  }

  /// The attributes that are nested in this one.
  func forEach(_ body: (Attribute) -> Void) {
    unsafe Attribute.walk(nla_data(pointer)?.assumingMemoryBound(to: nlattr.self), nla_len(pointer), body)
  }

  var type: Int { unsafe Int(nla_type(pointer)) }
  /// The same, of a route's attributes, whose numbers are a type of their own in C.
  var routeType: rtattr_type_t { rtattr_type_t(UInt32(type)) }
  var count: Int { unsafe Int(nla_len(pointer)) }
  private var bytes: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(start: nla_data(pointer), count: count) }

  var copy: [UInt8] { unsafe Array(bytes) }
  var uint8: UInt8? { count >= 1 ? unsafe bytes[0] : nil }
  /// Host order.
  var uint32: UInt32? { uint32(at: 0) }
  func uint32(at offset: Int) -> UInt32? {
    count >= offset + 4 ? unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self) : nil
  }

  var name: InterfaceName { unsafe InterfaceName(bytes) }

  /// Left-aligned; 0 bytes if there are more than 8 (Infiniband's 20 are no name of a card).
  var hardwareAddress: (UInt64, UInt8) {
    guard count <= 8 else { return (0, 0) }
    var value: UInt64 = 0
    for index in 0..<count { value |= unsafe UInt64(bytes[index]) << UInt64(56 - 8 * index) }
    return (value, UInt8(count))
  }

  func address(_ family: Family) -> IPAddress? { address(family, at: 0) }

  private func address(_ family: Family, at offset: Int) -> IPAddress? {
    guard count >= offset + Int(family.width) / 8 else { return nil }
    switch family {
    case .v4:
      return .v4(IPv4Address(unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self).bigEndian))
    case .v6:
      return .v6(
        IPv6Address(
          unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self).bigEndian,
          unsafe bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self).bigEndian))
    }
  }

  /// RTA_VIA: a family in host order, and an address of it (struct rtvia).
  var via: IPAddress? {
    guard count >= 2 else { return nil }
    let number = unsafe bytes.loadUnaligned(as: UInt16.self)
    return number > 0xFF ? nil : Decoding.family(UInt8(number)).flatMap { address($0, at: 2) }
  }

  /// RTA_MULTIPATH: next hops, each a struct rtnexthop with attributes of its own. False if they don't fill it.
  func hops(_ family: Family, into hops: inout [Hop]) -> Bool {
    let header = MemoryLayout<rtnexthop>.size
    var offset = 0
    while offset + header <= count {
      let next = unsafe bytes.loadUnaligned(fromByteOffset: offset, as: rtnexthop.self)
      let length = Int(next.rtnh_len)
      guard length >= header, offset + length <= count, let start = unsafe bytes.baseAddress else { return false }
      var hop = Hop(
        interface: UInt32(bitPattern: next.rtnh_ifindex), gateway: nil,
        isDead: Int32(next.rtnh_flags) & RTNH_F_DEAD != 0)
      let first = unsafe UnsafeMutableRawPointer(mutating: start + offset + header).assumingMemoryBound(to: nlattr.self)
      unsafe Attribute.walk(first, Int32(length - header)) { attribute in
        switch attribute.routeType {
        case RTA_GATEWAY: hop.gateway = attribute.address(family)
        case RTA_VIA: hop.gateway = attribute.via
        default: break
        }
      }
      hops.append(hop)
      offset += (length + 3) & ~3
    }
    return offset >= count
  }
}
