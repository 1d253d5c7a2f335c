// swift-format-ignore-file: AlwaysUseLowerCamelCase

// The functions have the names that mif.h gives them.
public import CLinux
public import CMIF
import Messages
import Platform
import Wire

/// Between the structs of mif.h and the values of the codec. Layouts that are the wire's own (a sockaddr, ORIGIN) are read
/// and written by the codec, in place.

extension RawSpan {
  /// Memory that a C caller lends for the time of the call.
  @_lifetime(immortal)
  init(lent memory: UnsafeRawPointer, count: Int) {
    let span = unsafe RawSpan(_unsafeStart: memory, byteCount: count)
    self = unsafe _overrideLifetime(span, copying: ())
  }
}

extension TriggerAddress {
  init(_ sockaddr: UnsafeRawPointer, length: Int, prefixLength: UInt32) throws(Errno) {
    let found = try refusing { () throws(MessageRefusal) in
      let found = try unsafe SocketAddress(RawSpan(lent: sockaddr, count: length), at: 0)
      guard prefixLength <= found.address.family.width else { throw .prefixLength }
      return found
    }
    self.init(found.address, prefixLength: UInt8(truncatingIfNeeded: prefixLength), scope: found.scope)
  }

  /// An array of C's; nil where there are more than a trigger may have.
  static func list(_ first: UnsafePointer<trigger_address>?, count: Int) throws(Errno) -> [TriggerAddress] {
    guard count > 0 else { return [] }
    guard let first = unsafe first, count <= TriggerAddresses.capacity else { throw .invalidArgument }
    var result: [TriggerAddress] = []
    result.reserveCapacity(count)
    for index in 0..<count {
      let each = unsafe first + index
      result.append(
        try unsafe TriggerAddress(
          each, length: MemoryLayout<sockaddr_storage>.size, prefixLength: UInt32(each.pointee.prefix_length)))
    }
    return result
  }

  func write(to address: UnsafeMutablePointer<trigger_address>) {
    unsafe address.pointee = trigger_address()
    unsafe address.pointee.address.store(self.address, scope: scope)
    unsafe address.pointee.prefix_length = prefixLength
  }
}

extension sockaddr_storage {
  mutating func store(_ address: IPAddress, scope: UInt32) { store(SocketAddress(address, scope: scope)) }

  mutating func store(_ address: SocketAddress) {
    unsafe withUnsafeMutableBytes(of: &self) {
      var writer = unsafe MessageWriter($0)
      writer.put(address, at: 0)
    }
  }
}

extension Origin {
  init(_ origin: tdb_origin) throws(Errno) {
    self = try refusing { () throws(MessageRefusal) in
      try unsafe withUnsafeBytes(of: origin) { bytes throws(MessageRefusal) in
        try unsafe Origin(
          Payload(type: TriggerPayloadType.origin, bytes: RawSpan(lent: bytes.baseAddress!, count: bytes.count)))
      }
    }
  }

  func write(to origin: UnsafeMutablePointer<tdb_origin>) {
    var writer = unsafe MessageWriter(UnsafeMutableRawBufferPointer(start: origin, count: Origin.size))
    // There is room for exactly this.
    do throws(MessageOverflow) { try writer.origin(self) } catch { preconditionFailure() }
  }
}

extension TriggerFilter {
  init(_ filter: UnsafePointer<trigger_filter>) throws(Errno) {
    let fields = unsafe filter.pointee
    guard fields.type_count <= TriggerFilter.capacity else { throw .invalidArgument }
    self.init(interface: fields.ifindex)
    if fields.prefix.ss_family == 0 {
      guard fields.prefix_length == 0 else { throw .invalidArgument }
    } else {
      let prefix = try unsafe withUnsafeBytes(of: fields.prefix) { bytes throws(Errno) in
        try unsafe TriggerAddress(
          bytes.baseAddress!, length: bytes.count, prefixLength: UInt32(fields.prefix_length))
      }
      self.prefix = IPPrefix(prefix.address, prefix.prefixLength)
      scope = prefix.scope
    }
    unsafe withUnsafeBytes(of: fields.types) {
      for index in 0..<Int(fields.type_count) {
        types.append(TriggerType(rawValue: unsafe $0.load(fromByteOffset: 2 * index, as: UInt16.self)))
      }
    }
  }

  func write(to filter: UnsafeMutablePointer<trigger_filter>) {
    unsafe filter.pointee = trigger_filter()
    unsafe filter.pointee.ifindex = interface
    if let prefix {
      unsafe filter.pointee.prefix.store(prefix.address, scope: scope)
      unsafe filter.pointee.prefix_length = prefix.length
    }
    unsafe filter.pointee.type_count = UInt8(truncatingIfNeeded: types.count)
    unsafe withUnsafeMutableBytes(of: &filter.pointee.types) {
      for index in types.indices {
        unsafe $0.storeBytes(of: types[index].rawValue, toByteOffset: 2 * index, as: UInt16.self)
      }
    }
  }
}

/// Fills a trigger in. `addresses` are at most 16.
func write(
  id: UInt32, type: TriggerType, addresses: Span<TriggerAddress>, origin: Origin?,
  to record: UnsafeMutablePointer<trigger_record>
) {
  unsafe record.pointee = trigger_record()
  unsafe record.pointee.id = id
  unsafe record.pointee.type = type.rawValue
  unsafe record.pointee.address_count = UInt8(truncatingIfNeeded: addresses.count)
  unsafe withUnsafeMutableBytes(of: &record.pointee.addresses) {
    let list = unsafe $0.assumingMemoryBound(to: trigger_address.self)
    for index in addresses.indices { unsafe addresses[index].write(to: list.baseAddress! + index) }
  }
  if let origin {
    unsafe record.pointee.has_origin = 1
    unsafe origin.write(to: &record.pointee.origin)
  }
}

@c @implementation
public func trigger_address_set(
  _ address: UnsafeMutablePointer<trigger_address>!, _ sockaddr: UnsafePointer<sockaddr>!, _ length: socklen_t,
  _ prefixLength: UInt32
) -> Int32 {
  valueOrMinusOne { () throws(Errno) in
    try unsafe TriggerAddress(sockaddr, length: Int(length), prefixLength: prefixLength).write(to: address)
    return 0
  }
}
