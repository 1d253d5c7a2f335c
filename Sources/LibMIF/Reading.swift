// swift-format-ignore-file: AlwaysUseLowerCamelCase

// The functions have the names that mif.h gives them.
import CLinux
public import CMIF
import Messages
import Platform

@c @implementation
public func trigger_parse(
  _ bytes: UnsafeRawPointer!, _ length: Int, _ message: UnsafeMutablePointer<trigger_message>!
) -> Int32 {
  valueOrMinusOne { () throws(Errno) in
    let parsed = try refusing { () throws(MessageRefusal) in
      try unsafe TriggerMessage(RawSpan(lent: bytes, count: length))
    }
    unsafe message.pointee = trigger_message()
    unsafe message.pointee.msgtype = parsed.type.rawValue
    unsafe message.pointee.error = parsed.header.error.rawValue
    unsafe message.pointee.flags = parsed.header.flags
    unsafe message.pointee.seq = parsed.header.sequence
    unsafe message.pointee.pid = parsed.header.pid
    if let trigger = parsed.trigger {
      unsafe message.pointee.has_trigger = 1
      unsafe write(
        id: trigger.identifier, type: trigger.type, addresses: parsed.addresses.span, origin: parsed.origin,
        to: &message.pointee.trigger)
    }
    return 0
  }
}

@c @implementation
public func trigger_iterate(
  _ iterator: UnsafeMutablePointer<trigger_iterator>!, _ bytes: UnsafeRawPointer!, _ length: Int
) -> Int32 {
  valueOrMinusOne { () throws(Errno) in
    try refusing { () throws(MessageRefusal) in
      _ = try unsafe Frame(RawSpan(lent: bytes, count: length), accepts: { _ in true })
    }
    unsafe iterator.pointee = trigger_iterator()
    unsafe iterator.pointee.bytes = bytes
    unsafe iterator.pointee.length = length
    unsafe iterator.pointee.offset = FrameHeader.size
    return 0
  }
}

@c @implementation
public func trigger_iterate_next(
  _ iterator: UnsafeMutablePointer<trigger_iterator>!,
  _ payload: UnsafeMutablePointer<UnsafePointer<tdb_payload>?>!
) -> Int32 {
  valueOrMinusOne { () throws(Errno) in
    let state = unsafe iterator.pointee
    guard let bytes = unsafe state.bytes else { throw .invalidArgument }
    let next = try refusing { () throws(MessageRefusal) in
      var payloads = unsafe PayloadIterator(RawSpan(lent: bytes, count: state.length), from: state.offset)
      return try payloads.next() == nil ? nil : payloads.offset
    }
    guard let next else { return 0 }
    unsafe payload.pointee = (bytes + state.offset).assumingMemoryBound(to: tdb_payload.self)
    unsafe iterator.pointee.offset = next
    return 1
  }
}

/// Reads a payload that lies in memory as long as its own header says.
private func value<R>(
  of payload: UnsafePointer<tdb_payload>, _ type: UInt16, _ read: (Payload) throws(MessageRefusal) -> R
) throws(Errno) -> R {
  try refusing { () throws(MessageRefusal) in
    guard unsafe payload.pointee.tdb_payload_type == type else { throw .payloadUnexpected }
    let count = unsafe Int(payload.pointee.tdb_payload_len) * 8
    return try read(Payload(type: type, bytes: unsafe RawSpan(lent: payload, count: count)))
  }
}

@c @implementation
public func trigger_payload_trigger(
  _ payload: UnsafePointer<tdb_payload>!, _ type: UnsafeMutablePointer<UInt16>!, _ id: UnsafeMutablePointer<UInt32>!
) -> Int32 {
  valueOrMinusOne { () throws(Errno) in
    let trigger = try unsafe value(of: payload, TriggerPayloadType.trigger) { payload throws(MessageRefusal) in
      try TriggerPayload(payload)
    }
    unsafe type.pointee = trigger.type.rawValue
    unsafe id.pointee = trigger.identifier
    return 0
  }
}

@c @implementation
public func trigger_payload_address(
  _ payload: UnsafePointer<tdb_payload>!, _ address: UnsafeMutablePointer<trigger_address>!
) -> Int32 {
  valueOrMinusOne { () throws(Errno) in
    try unsafe value(of: payload, TriggerPayloadType.address) { payload throws(MessageRefusal) in
      try TriggerAddress(payload)
    }.write(to: address)
    return 0
  }
}

@c @implementation
public func trigger_payload_origin(
  _ payload: UnsafePointer<tdb_payload>!, _ origin: UnsafeMutablePointer<tdb_origin>!
) -> Int32 {
  valueOrMinusOne { () throws(Errno) in
    try unsafe value(of: payload, TriggerPayloadType.origin) { payload throws(MessageRefusal) in
      try Origin(payload)
    }.write(to: origin)
    return 0
  }
}

@c @implementation
public func trigger_payload_filter(
  _ payload: UnsafePointer<tdb_payload>!, _ filter: UnsafeMutablePointer<trigger_filter>!
) -> Int32 {
  valueOrMinusOne { () throws(Errno) in
    try unsafe value(of: payload, TriggerPayloadType.filter) { payload throws(MessageRefusal) in
      try TriggerFilter(payload)
    }.write(to: filter)
    return 0
  }
}
