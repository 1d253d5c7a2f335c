// swift-format-ignore-file: AlwaysUseLowerCamelCase

// The functions have the names that mif.h gives them.
import CLinux
public import CMIF
import Messages
import Platform
import Sessions

/// What `struct trigger_session` is: the session, and what it lends to the caller.
@safe
private struct Handle: ~Copyable {
  var session: TriggerSession
  let event = UnsafeMutablePointer<trigger_event>.allocate(capacity: 1)
  private let record = UnsafeMutablePointer<trigger_record>.allocate(capacity: 1)

  init(_ session: consuming TriggerSession) { self.session = session }
  deinit {
    unsafe event.deallocate()
    unsafe record.deallocate()
  }

  static func at(_ session: OpaquePointer) -> UnsafeMutablePointer<Handle> { unsafe UnsafeMutablePointer(session) }

  /// Makes the event that the caller gets to see.
  func tell(_ happening: TriggerHappening) {
    unsafe event.pointee = trigger_event()
    switch happening {
    case .news(.added(let trigger)): tell(TRIGGER_ADDED, trigger)
    case .news(.modified(let trigger, let former)):
      tell(TRIGGER_MODIFIED, trigger)
      unsafe event.pointee.former = former
    case .news(.deleted(let trigger)): tell(TRIGGER_DELETED, trigger)
    case .news(.inStep): unsafe event.pointee.kind = TRIGGER_IN_STEP
    case .news(.disconnected): unsafe event.pointee.kind = TRIGGER_DISCONNECTED
    case .refused(let error):
      unsafe event.pointee.kind = TRIGGER_REFUSED
      unsafe event.pointee.error = Int32(error.rawValue)
    case .answer(let message):
      unsafe event.pointee.kind = TRIGGER_ANSWER
      unsafe event.pointee.error = Int32(message.header.error.rawValue)
      unsafe event.pointee.ticket = message.header.sequence
      if let trigger = TriggerRecord(message) { tell(TRIGGER_ANSWER, trigger) }
    }
  }

  private func tell(_ kind: trigger_event_kind, _ trigger: TriggerRecord) {
    unsafe trigger.write(to: record)
    unsafe event.pointee.kind = kind
    unsafe event.pointee.trigger = UnsafePointer(record)
  }
}

extension TriggerRecord {
  fileprivate func write(to record: UnsafeMutablePointer<trigger_record>) {
    unsafe LibMIF.write(id: id, type: type, addresses: addresses.span, origin: origin, to: record)
  }
}

private func failing<R: ~Copyable>(_ body: () throws(TriggerFailure) -> R) throws(Errno) -> R {
  do throws(TriggerFailure) {
    return try uncancelled(body)
  } catch {
    throw error.errno
  }
}

// MARK: Opening

/// TRIGGER_OPEN_... of the options.
private func flags(_ options: UnsafePointer<trigger_options>?) throws(Errno) -> UInt32 {
  guard let options = unsafe options else { return 0 }
  try unsafe checkSize(of: options, options.pointee.size)
  let flags = unsafe options.pointee.flags
  guard flags & ~(waitsForAgent | spins) == 0, unsafe options.pointee.reserved == 0 else { throw .invalidArgument }
  return flags
}

private var spins: UInt32 { UInt32(bitPattern: TRIGGER_OPEN_SPIN) }
private var waitsForAgent: UInt32 { UInt32(bitPattern: TRIGGER_OPEN_WAIT) }

private func open(_ options: UnsafePointer<trigger_options>?) throws(Errno) -> OpaquePointer {
  let flags = try unsafe flags(options)
  let path = unsafe socketPath(options?.pointee.runtime_dir, "/trigger.sock")
  let handle = UnsafeMutablePointer<Handle>.allocate(capacity: 1)
  do throws(SystemFailure) {
    let session = try uncancelled { () throws(SystemFailure) in
      try TriggerSession(path: path, waitsForAgent: flags & waitsForAgent != 0, spins: flags & spins != 0)
    }
    unsafe handle.initialize(to: Handle(session))
  } catch {
    unsafe handle.deallocate()
    throw error.errno
  }
  return OpaquePointer(handle)
}

@c @implementation
public func trigger_open(_ options: UnsafePointer<trigger_options>!) -> OpaquePointer! {
  do throws(Errno) {
    return try unsafe open(options)
  } catch {
    clinux_set_errno(error.rawValue)
    return nil
  }
}

@c @implementation
public func trigger_close(_ session: OpaquePointer!) {
  guard let session = unsafe session else { return }
  let before = clinux_errno()
  let handle = unsafe Handle.at(session)
  uncancelled { _ = unsafe handle.deinitialize(count: 1) }
  unsafe handle.deallocate()
  clinux_set_errno(before)
}

@c @implementation
public func trigger_fd(_ session: OpaquePointer!) -> Int32 { unsafe Handle.at(session).pointee.session.descriptor }

// MARK: Hearing

@c @implementation
public func trigger_register(
  _ session: OpaquePointer!, _ filter: UnsafePointer<trigger_filter>!, _ timeout: Int32
) -> Int32 {
  let handle = unsafe Handle.at(session)
  return valueOrMinusOne { () throws(Errno) in
    var interest = TriggerInterest()
    if let filter = unsafe filter { interest.filter = try unsafe TriggerFilter(filter) }
    try failing { () throws(TriggerFailure) in
      try unsafe handle.pointee.session.register(interest)
      if timeout != 0 { try unsafe handle.pointee.session.awaitRegistration(until: Deadline(timeout).time) }
    }
    return 0
  }
}

private func next(_ handle: UnsafeMutablePointer<Handle>, _ timeout: Int32) throws(Errno) {
  let deadline = Deadline(timeout)
  while true {
    if let happening = try failing({ () throws(TriggerFailure) in try unsafe handle.pointee.session.next() }) {
      return unsafe handle.pointee.tell(happening)
    }
    if deadline.hasPassed { throw .wouldBlock }
    let isReady = try failing { () throws(TriggerFailure) in
      try unsafe handle.pointee.session.wait(milliseconds: deadline.rest)
    }
    // Not ready before its time: a signal.
    if !isReady, !deadline.hasPassed { throw .interrupted }
  }
}

@c @implementation
public func trigger_next(_ session: OpaquePointer!, _ timeout: Int32) -> UnsafePointer<trigger_event>! {
  let handle = unsafe Handle.at(session)
  do throws(Errno) {
    try unsafe next(handle, timeout)
    return unsafe UnsafePointer(handle.pointee.event)
  } catch {
    clinux_set_errno(error.rawValue)
    return nil
  }
}

// MARK: Asking

/// Waits for the answer to a request; `take` gets the trigger that is in it.
private func ask(
  _ session: OpaquePointer, _ timeout: Int32, _ take: (TriggerRecord) -> Void = { _ in },
  _ order: () throws(Errno) -> TriggerOrder
) -> Int32 {
  let handle = unsafe Handle.at(session)
  return valueOrMinusOne { () throws(Errno) in
    let order = try order()
    take(
      try failing { () throws(TriggerFailure) in
        try unsafe handle.pointee.session.ask(order, until: Deadline(timeout).time)
      })
    return 0
  }
}

private func submit(
  _ session: OpaquePointer, _ ticket: UnsafeMutablePointer<UInt32>?, _ order: () throws(Errno) -> TriggerOrder
) -> Int32 {
  let handle = unsafe Handle.at(session)
  return valueOrMinusOne { () throws(Errno) in
    let order = try order()
    let sequence = try failing { () throws(TriggerFailure) in
      try unsafe handle.pointee.session.submit(order)
    }
    unsafe ticket?.pointee = sequence
    return 0
  }
}

@c @implementation
public func trigger_add(
  _ session: OpaquePointer!, _ type: UInt16, _ addresses: UnsafePointer<trigger_address>!, _ count: Int,
  _ id: UnsafeMutablePointer<UInt32>!, _ timeout: Int32
) -> Int32 {
  unsafe ask(session, timeout, { unsafe id?.pointee = $0.id }) { () throws(Errno) in
    .add(TriggerType(rawValue: type), try unsafe TriggerAddress.list(addresses, count: count))
  }
}

@c @implementation
public func trigger_get(
  _ session: OpaquePointer!, _ id: UInt32, _ trigger: UnsafeMutablePointer<trigger_record>!, _ timeout: Int32
) -> Int32 {
  unsafe ask(session, timeout, { unsafe $0.write(to: trigger) }) { () throws(Errno) in .get(id) }
}

@c @implementation
public func trigger_modify(
  _ session: OpaquePointer!, _ id: UInt32, _ type: UInt16, _ addresses: UnsafePointer<trigger_address>!,
  _ count: Int, _ timeout: Int32
) -> Int32 {
  unsafe ask(session, timeout) { () throws(Errno) in
    .modify(id, TriggerType(rawValue: type), try unsafe TriggerAddress.list(addresses, count: count))
  }
}

@c @implementation
public func trigger_delete(_ session: OpaquePointer!, _ id: UInt32, _ timeout: Int32) -> Int32 {
  unsafe ask(session, timeout) { () throws(Errno) in .delete(id) }
}

@c @implementation
public func trigger_submit_add(
  _ session: OpaquePointer!, _ type: UInt16, _ addresses: UnsafePointer<trigger_address>!, _ count: Int,
  _ ticket: UnsafeMutablePointer<UInt32>!
) -> Int32 {
  unsafe submit(session, ticket) { () throws(Errno) in
    .add(TriggerType(rawValue: type), try unsafe TriggerAddress.list(addresses, count: count))
  }
}

@c @implementation
public func trigger_submit_get(
  _ session: OpaquePointer!, _ id: UInt32, _ ticket: UnsafeMutablePointer<UInt32>!
) -> Int32 {
  unsafe submit(session, ticket) { () throws(Errno) in .get(id) }
}

@c @implementation
public func trigger_submit_modify(
  _ session: OpaquePointer!, _ id: UInt32, _ type: UInt16, _ addresses: UnsafePointer<trigger_address>!,
  _ count: Int, _ ticket: UnsafeMutablePointer<UInt32>!
) -> Int32 {
  unsafe submit(session, ticket) { () throws(Errno) in
    .modify(id, TriggerType(rawValue: type), try unsafe TriggerAddress.list(addresses, count: count))
  }
}

@c @implementation
public func trigger_submit_delete(
  _ session: OpaquePointer!, _ id: UInt32, _ ticket: UnsafeMutablePointer<UInt32>!
) -> Int32 {
  unsafe submit(session, ticket) { () throws(Errno) in .delete(id) }
}
