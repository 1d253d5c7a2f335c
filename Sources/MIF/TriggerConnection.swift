import Messages

/// A connection to the agent's trigger database. Its calls wait; it belongs to one task or thread at a time.
///
///     let triggers = try TriggerConnection()
///     try triggers.register(replay: true)
///     while let event = try triggers.next() { ... }
public final class TriggerConnection {
  private var channel: Channel
  /// Until REGISTER's answer came, and while a replay is on, an ADD tells of what exists.
  private var isReplaying = false
  private var expectedNews: UInt32 = 1
  /// News that came while an answer was waited for.
  private var pending: [TriggerEvent] = []

  /// Connects to `trigger.sock` in the agent's runtime directory.
  public init(runtimeDirectory: String = defaultRuntimeDirectory) throws(ClientError) {
    channel = try Channel(path: runtimeDirectory + "/trigger.sock")
  }

  /// For poll(2): readable when `next` may have something. Call `next(timeout: .zero)` until it gives nil.
  public var fileDescriptor: Int32 { channel.socket.fileDescriptor }

  /// Asks for news. With `replay` everything that is in the database comes first, then `replayEnded`.
  public func register(
    replay: Bool = false, origin: Bool = true, timeout: Duration = .seconds(5)
  ) throws(ClientError) {
    var extensions: TriggerExtensions = [.cause]
    if replay { extensions.insert(.replay) }
    if origin { extensions.insert(.origin) }
    isReplaying = replay
    let answer = try request(.register, timeout: timeout) { writer, sequence, pid throws(MessageOverflow) in
      try writer.header(
        type: TriggerMessageType.register.rawValue, flags: extensions.rawValue, sequence: sequence, pid: pid)
    }
    if replay, !TriggerExtensions(rawValue: answer.header.flags).contains(.replay) {
      isReplaying = false
      pending.append(.replayEnded)
    }
  }

  /// The next news; nil where none came in `timeout`. Without one it waits for ever.
  public func next(timeout: Duration? = nil) throws(ClientError) -> TriggerEvent? {
    let deadline = timeout.map { ContinuousClock.now + $0 }
    while pending.isEmpty {
      guard let message = try receive(deadline: deadline) else { return nil }
      take(message)
    }
    return pending.removeFirst()
  }

  /// Adds a trigger, and gives it back with its identifier.
  public func add(
    _ kind: TriggerKind, addresses: [IPPrefix] = [], timeout: Duration = .seconds(5)
  ) throws(ClientError) -> Trigger {
    try trigger(.add, identifier: 0, kind, addresses, timeout)
  }

  /// Everything that is known of a trigger.
  public func get(_ identifier: UInt32, timeout: Duration = .seconds(5)) throws(ClientError) -> Trigger {
    try trigger(.get, identifier: identifier, TriggerKind(rawValue: 0), [], timeout)
  }

  /// Changes a trigger. Without addresses those that it has stay.
  public func modify(
    _ identifier: UInt32, _ kind: TriggerKind, addresses: [IPPrefix] = [], timeout: Duration = .seconds(5)
  ) throws(ClientError) -> Trigger {
    try trigger(.modify, identifier: identifier, kind, addresses, timeout)
  }

  /// Deletes a trigger, and gives back what it was, without its addresses.
  public func delete(_ identifier: UInt32, timeout: Duration = .seconds(5)) throws(ClientError) -> Trigger {
    try trigger(.delete, identifier: identifier, TriggerKind(rawValue: 0), [], timeout)
  }

  private func trigger(
    _ type: TriggerMessageType, identifier: UInt32, _ kind: TriggerKind, _ addresses: [IPPrefix], _ timeout: Duration
  ) throws(ClientError) -> Trigger {
    let payload = TriggerPayload(type: TriggerType(rawValue: kind.rawValue), identifier: identifier)
    let list = addresses.map {
      TriggerAddress($0.address.wire, prefixLength: $0.length, scope: $0.address.scope)
    }
    let answer = try request(type, timeout: timeout) { writer, sequence, pid throws(MessageOverflow) in
      try writer.triggerRequest(type, payload, addresses: list.span, sequence: sequence, pid: pid)
    }
    guard let trigger = answer.trigger else {
      throw .malformed(path: channel.path, "an answer without its trigger")
    }
    return Trigger(trigger, answer)
  }

  private func request(
    _ type: TriggerMessageType, timeout: Duration,
    _ write: (inout MessageWriter, UInt32, UInt32) throws(MessageOverflow) -> Int
  ) throws(ClientError) -> TriggerMessage {
    let deadline = ContinuousClock.now + timeout
    let sequence = try channel.send(write)
    while let message = try receive(deadline: deadline) {
      guard message.type == type, message.header.sequence == sequence, message.header.pid == channel.pid else {
        take(message)
        continue
      }
      guard message.header.error == .none else {
        throw .refused(request: TriggerConnection.names[type]!, errno: Int32(message.header.error.rawValue))
      }
      return message
    }
    throw .timedOut(path: channel.path)
  }

  private func receive(deadline: ContinuousClock.Instant?) throws(ClientError) -> TriggerMessage? {
    try channel.receive(deadline: deadline) { bytes throws(MessageRefusal) in try TriggerMessage(bytes) }
  }

  /// News are kept for `next`; an answer that is nobody's any more is dropped.
  private func take(_ message: TriggerMessage) {
    guard message.type == .notify else { return }
    let lost = message.header.sequence &- expectedNews
    if lost != 0 { pending.append(.lost(lost)) }
    expectedNews = message.header.sequence &+ 1
    guard let payload = message.trigger else {
      isReplaying = false
      pending.append(.replayEnded)
      return
    }
    let trigger = Trigger(payload, message)
    switch message.cause {
    case .modify: pending.append(.modified(trigger))
    case .delete: pending.append(.deleted(trigger))
    default: pending.append(isReplaying ? .exists(trigger) : .added(trigger))
    }
  }

  private static let names: [TriggerMessageType: String] = [
    .add: "ADD", .get: "GET", .delete: "DELETE", .register: "REGISTER", .modify: "MODIFY",
  ]
}
