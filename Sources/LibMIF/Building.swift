// swift-format-ignore-file: AlwaysUseLowerCamelCase

// The functions have the names that mif.h gives them.
public import CLinux
public import CMIF
import Messages
import Platform

/// Which payloads a message has, in `trigger_builder.state`: the low bits count the addresses.
private struct Parts {
  static let addresses: UInt32 = 0xFF
  static let trigger: UInt32 = 0x100
  static let origin: UInt32 = 0x200
  static let filter: UInt32 = 0x400
}

extension UnsafeMutablePointer<trigger_builder> {
  fileprivate func begin(
    _ memory: UnsafeMutableRawPointer?, _ size: Int, type: UInt8, error: UInt8 = 0, flags: UInt8, sequence: UInt32,
    pid: UInt32
  ) {
    unsafe pointee = trigger_builder()
    unsafe pointee.memory = memory
    unsafe pointee.size = min(size, FrameHeader.maximumMessageLength)
    unsafe step { (writer: inout MessageWriter) throws(MessageOverflow) in
      try writer.begin(
        type: type, error: ErrorNumber(rawValue: error), flags: flags, sequence: sequence, pid: pid)
    }
  }

  /// Writes the next piece behind what there is; what goes wrong stays.
  fileprivate func step(_ write: (inout MessageWriter) throws(MessageOverflow) -> Void) {
    guard unsafe pointee.error == 0, let memory = unsafe pointee.memory else { return unsafe fail(.invalidArgument) }
    let room = unsafe UnsafeMutableRawBufferPointer(
      start: memory + pointee.length, count: pointee.size - pointee.length)
    var writer = unsafe MessageWriter(room)
    do throws(MessageOverflow) {
      try write(&writer)
      unsafe pointee.length += writer.count
    } catch {
      unsafe fail(.messageTooLong)
    }
  }

  /// A payload that a message has once.
  fileprivate func once(_ part: UInt32, _ write: (inout MessageWriter) throws(MessageOverflow) -> Void) {
    guard unsafe pointee.state & part == 0 else { return unsafe fail(.invalidArgument) }
    unsafe pointee.state |= part
    unsafe step(write)
  }

  /// The first error counts.
  fileprivate func fail(_ error: Errno) {
    if unsafe pointee.error == 0 { unsafe pointee.error = error.rawValue }
  }
}

@c @implementation
public func trigger_build_request(
  _ builder: UnsafeMutablePointer<trigger_builder>!, _ memory: UnsafeMutableRawPointer!, _ size: Int,
  _ msgtype: UInt8, _ flags: UInt8, _ seq: UInt32
) {
  unsafe builder.begin(
    memory, size, type: msgtype, flags: flags, sequence: seq, pid: UInt32(truncatingIfNeeded: getpid()))
}

@c @implementation
public func trigger_build_message(
  _ builder: UnsafeMutablePointer<trigger_builder>!, _ memory: UnsafeMutableRawPointer!, _ size: Int,
  _ header: UnsafePointer<tdb_header>!
) {
  let fields = unsafe header.pointee
  unsafe builder.begin(
    memory, size, type: fields.tdb_header_msgtype, error: fields.tdb_header_errno, flags: fields.tdb_header_reserved1,
    sequence: fields.tdb_header_seq, pid: fields.tdb_header_pid)
}

@c @implementation
public func trigger_build_trigger(_ builder: UnsafeMutablePointer<trigger_builder>!, _ type: UInt16, _ id: UInt32) {
  unsafe builder.once(Parts.trigger) { (writer: inout MessageWriter) throws(MessageOverflow) in
    try writer.trigger(TriggerPayload(type: TriggerType(rawValue: type), identifier: id))
  }
}

@c @implementation
public func trigger_build_address(
  _ builder: UnsafeMutablePointer<trigger_builder>!, _ sockaddr: UnsafePointer<sockaddr>!, _ length: socklen_t,
  _ prefixLength: UInt32
) {
  do throws(Errno) {
    let address = try unsafe TriggerAddress(sockaddr, length: Int(length), prefixLength: prefixLength)
    guard unsafe builder.pointee.state & Parts.addresses < TriggerAddresses.capacity else { throw .invalidArgument }
    unsafe builder.pointee.state += 1
    unsafe builder.step { (writer: inout MessageWriter) throws(MessageOverflow) in try writer.address(address) }
  } catch {
    unsafe builder.fail(error)
  }
}

@c @implementation
public func trigger_build_origin(
  _ builder: UnsafeMutablePointer<trigger_builder>!, _ origin: UnsafePointer<tdb_origin>!
) {
  do throws(Errno) {
    let value = try unsafe Origin(origin.pointee)
    unsafe builder.once(Parts.origin) { (writer: inout MessageWriter) throws(MessageOverflow) in
      try writer.origin(value)
    }
  } catch {
    unsafe builder.fail(error)
  }
}

@c @implementation
public func trigger_build_filter(
  _ builder: UnsafeMutablePointer<trigger_builder>!, _ filter: UnsafePointer<trigger_filter>!
) {
  do throws(Errno) {
    let value = try unsafe TriggerFilter(filter)
    unsafe builder.once(Parts.filter) { (writer: inout MessageWriter) throws(MessageOverflow) in
      try writer.filter(value)
    }
    guard unsafe builder.pointee.error == 0 else { return }
    unsafe builder.pointee.memory.assumingMemoryBound(to: tdb_header.self).pointee.tdb_header_reserved1 |=
      TriggerExtensions.filter.rawValue
  } catch {
    unsafe builder.fail(error)
  }
}

@c @implementation
public func trigger_build_finish(_ builder: UnsafeMutablePointer<trigger_builder>!) -> Int {
  valueOrMinusOne { () throws(Errno) in
    guard unsafe builder.pointee.error == 0 else { throw Errno(rawValue: unsafe builder.pointee.error) }
    guard let memory = unsafe builder.pointee.memory else { throw .invalidArgument }
    let message = unsafe UnsafeMutableRawBufferPointer(start: memory, count: builder.pointee.size)
    var writer = unsafe MessageWriter(message)
    let length = unsafe writer.finish(at: builder.pointee.length)
    unsafe builder.pointee.error = EINVAL
    return length
  }
}
