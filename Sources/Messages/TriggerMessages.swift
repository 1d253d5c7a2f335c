/// Message types of the TDB (draft-schilcher-mobike-trigger-api-00, section 5).
package enum TriggerMessageType: UInt8, Hashable, Sendable, CaseIterable {
  case add = 1
  case get = 2
  case delete = 3
  case register = 4
  case notify = 5
  case modify = 6
}

/// What REGISTER asks for in `tdb_header_reserved1`, and its answer grants.
package struct TriggerExtensions: OptionSet, Hashable, Sendable {
  package var rawValue: UInt8
  package init(rawValue: UInt8) { self.rawValue = rawValue }

  /// NOTIFY's reserved1 tells what caused it.
  package static let cause = TriggerExtensions(rawValue: 0x01)
  /// What is in the database comes first.
  package static let replay = TriggerExtensions(rawValue: 0x02)
  /// NOTIFY and the answer to GET carry ORIGIN.
  package static let origin = TriggerExtensions(rawValue: 0x04)
  /// News on a shared-memory ring.
  package static let ring = TriggerExtensions(rawValue: 0x08)
  /// Only what a FILTER payload selects.
  package static let filter = TriggerExtensions(rawValue: 0x10)

  /// What this version can grant.
  package static let served: TriggerExtensions = [.cause, .replay, .origin, .ring, .filter]
}

/// A request of the TDB, checked as docs/protocol.md has it: what the state has to decide is left.
package enum TriggerRequest: Equatable, Sendable {
  case add(type: TriggerType, TriggerAddresses)
  case get(identifier: UInt32)
  case delete(identifier: UInt32)
  /// With the extension `filter`, and only then, a filter.
  case register(TriggerExtensions, TriggerFilter?)
  /// Without addresses the stored ones stay.
  case modify(identifier: UInt32, type: TriggerType, TriggerAddresses)

  /// Decodes a whole datagram. Its answer's header comes from `FrameHeader(asMuchAsThereIs:)`, also after a refusal.
  package init(_ bytes: RawSpan) throws(MessageRefusal) {
    let frame = try Frame(bytes, accepts: { $0 >= 1 && $0 <= 6 && $0 != TriggerMessageType.notify.rawValue })
    guard let type = TriggerMessageType(rawValue: frame.header.type) else { throw .messageType }
    var payloads = frame.payloads

    if type == .register {
      let extensions = TriggerExtensions(rawValue: frame.header.flags)
      var filter: TriggerFilter?
      while let payload = try payloads.next() {
        guard payload.type == TriggerPayloadType.filter, extensions.contains(.filter) else { throw .payloadUnexpected }
        guard filter == nil else { throw .payloadRepeated }
        filter = try TriggerFilter(payload)
      }
      guard (filter != nil) == extensions.contains(.filter) else { throw .payloadMissing }
      self = .register(extensions, filter)
      return
    }

    var trigger: TriggerPayload?
    var addresses = TriggerAddresses()
    while let payload = try payloads.next() {
      switch payload.type {
      case TriggerPayloadType.trigger:
        guard trigger == nil else { throw .payloadRepeated }
        trigger = try TriggerPayload(payload)
      case TriggerPayloadType.address where type == .add || type == .modify:
        try addresses.append(try TriggerAddress(payload))
      default: continue
      }
    }
    guard let trigger else { throw .payloadMissing }
    switch type {
    case .add:
      guard trigger.identifier == 0 else { throw .triggerIdentifierGiven }
      guard trigger.type.rawValue != 0 else { throw .triggerTypeZero }
      self = .add(type: trigger.type, addresses)
    case .modify:
      guard trigger.type.rawValue != 0 else { throw .triggerTypeZero }
      self = .modify(identifier: trigger.identifier, type: trigger.type, addresses)
    case .get: self = .get(identifier: trigger.identifier)
    case .delete: self = .delete(identifier: trigger.identifier)
    case .register, .notify: throw .messageType
    }
  }
}

/// What the agent sends on the TDB's socket, as a client reads it: one shape for all answers and for NOTIFY.
package struct TriggerMessage: Equatable, Sendable {
  package var header: FrameHeader
  package var type: TriggerMessageType
  /// nil in errors, in the answer to REGISTER and in the NOTIFY that ends a replay.
  package var trigger: TriggerPayload?
  package var addresses: TriggerAddresses
  package var origin: Origin?
  /// In the answer to REGISTER.
  package var filter: TriggerFilter?
  /// With the extension RING in the answer to REGISTER and in the NOTIFY that ends a replay.
  package var ring: RingPlace?

  /// Decodes a whole datagram; payloads that are not known are skipped.
  package init(_ bytes: RawSpan) throws(MessageRefusal) {
    let frame = try Frame(bytes, accepts: { TriggerMessageType(rawValue: $0) != nil })
    guard let type = TriggerMessageType(rawValue: frame.header.type) else { throw .messageType }
    header = frame.header
    self.type = type
    addresses = TriggerAddresses()
    var payloads = frame.payloads
    while let payload = try payloads.next() {
      switch payload.type {
      case TriggerPayloadType.trigger:
        guard trigger == nil else { throw .payloadRepeated }
        trigger = try TriggerPayload(payload)
      case TriggerPayloadType.address: try addresses.append(try TriggerAddress(payload))
      case TriggerPayloadType.origin:
        guard origin == nil else { throw .payloadRepeated }
        origin = try Origin(payload)
      case TriggerPayloadType.filter:
        guard filter == nil else { throw .payloadRepeated }
        filter = try TriggerFilter(payload)
      case TriggerPayloadType.ring:
        guard ring == nil else { throw .payloadRepeated }
        ring = try RingPlace(payload)
      default: continue
      }
    }
  }

  /// What caused a NOTIFY: ADD, MODIFY or DELETE; nil without the CAUSE extension.
  package var cause: TriggerMessageType? {
    type == .notify ? TriggerMessageType(rawValue: header.flags) : nil
  }
  /// Whether this is the NOTIFY without a trigger that ends a replay.
  package var isReplayEnd: Bool { type == .notify && trigger == nil }
}

extension MessageWriter {
  /// A request of a client, except REGISTER (`register`). For GET and DELETE only the identifier is set.
  @discardableResult
  @_lifetime(self: copy self)
  package mutating func triggerRequest(
    _ type: TriggerMessageType, _ trigger: TriggerPayload, addresses: Span<TriggerAddress> = Span(), sequence: UInt32,
    pid: UInt32
  ) throws(MessageOverflow) -> Int {
    try begin(type: type.rawValue, sequence: sequence, pid: pid)
    try self.trigger(trigger)
    for index in addresses.indices { try address(addresses[index]) }
    return finish()
  }

  /// The answer to ADD, MODIFY, DELETE and GET: TRIGGER, addresses (none for DELETE), and for GET the origin where
  /// the subscriber was granted it.
  @discardableResult
  @_lifetime(self: copy self)
  package mutating func triggerAnswer(
    to request: FrameHeader, _ trigger: TriggerPayload, addresses: Span<TriggerAddress> = Span(),
    origin: Origin? = nil
  ) throws(MessageOverflow) -> Int {
    try begin(type: request.type, sequence: request.sequence, pid: request.pid)
    try self.trigger(trigger)
    for index in addresses.indices { try address(addresses[index]) }
    if let origin { try self.origin(origin) }
    return finish()
  }

  /// One NOTIFY for all subscribers, with ORIGIN as its last payload; `prepare` then makes each subscriber's variant of
  /// it in the same memory.
  package mutating func notification(
    _ trigger: TriggerPayload, addresses: some RandomAccessCollection<TriggerAddress>, origin: Origin, pid: UInt32
  ) throws(MessageOverflow) -> Notification {
    try begin(type: TriggerMessageType.notify.rawValue, sequence: 0, pid: pid)
    try self.trigger(trigger)
    for index in addresses.indices { try address(addresses[index]) }
    let plain = count
    try self.origin(origin)
    return Notification(plainLength: plain, fullLength: finish())
  }

  /// Makes a subscriber's variant of the notification that was written last: its seq, what caused it as this subscriber
  /// sees it, and what its extensions ask for. Gives the length to send, in bytes.
  @discardableResult
  package mutating func prepare(
    _ notification: Notification, cause: TriggerMessageType, sequence: UInt32, extensions: TriggerExtensions
  ) -> Int {
    finish(at: bytes.prepare(notification, at: 0, cause: cause, sequence: sequence, extensions: extensions))
  }

  /// The NOTIFY without a trigger that ends a replay; `ring` is where the ring goes on.
  @discardableResult
  package mutating func replayEnd(sequence: UInt32, ring: RingPlace? = nil) throws(MessageOverflow) -> Int {
    try begin(type: TriggerMessageType.notify.rawValue, sequence: sequence, pid: 0)
    if let ring { try self.ring(ring) }
    return finish()
  }
}

extension MutableRawSpan {
  /// The same for a notification that lies at `offset`.
  package mutating func prepare(
    _ notification: Notification, at offset: Int, cause: TriggerMessageType, sequence: UInt32,
    extensions: TriggerExtensions
  ) -> Int {
    let length = extensions.contains(.origin) ? notification.fullLength : notification.plainLength
    storeBytes(of: extensions.contains(.cause) ? cause.rawValue : 0, toByteOffset: offset + 3, as: UInt8.self)
    storeBytes(of: UInt16(truncatingIfNeeded: length / 8), toByteOffset: offset + 4, as: UInt16.self)
    storeBytes(of: sequence, toByteOffset: offset + 8, as: UInt32.self)
    return length
  }
}

/// A NOTIFY as it lies in a writer's memory, and the lengths of its two variants in bytes.
package struct Notification: Hashable, Sendable {
  /// Without ORIGIN.
  package let plainLength: Int
  /// With ORIGIN.
  package let fullLength: Int

  /// Where none has been written.
  package static let empty = Notification(plainLength: 0, fullLength: 0)
}
