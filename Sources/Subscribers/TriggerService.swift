import Messages
import Platform
import Provisioning

/// The Trigger Database's socket (draft-schilcher-mobike-trigger-api-00, section 5).
extension Subscribers {
  mutating func serveTrigger(
    _ bytes: RawSpan, from subscriber: Subscriber, _ state: inout NetworkState, _ moment: Moment
  ) {
    count(.triggerRequests)
    let header = FrameHeader(asMuchAsThereIs: bytes)
    let request: TriggerRequest
    do throws(MessageRefusal) {
      request = try TriggerRequest(bytes)
    } catch {
      count(error)
      return fail(subscriber, header, error.errorNumber)
    }
    do throws(ErrorNumber) {
      switch request {
      case .add(let type, let addresses):
        try mayWrite(subscriber)
        let trigger = try refusable { () throws(TriggerRefusal) in
          try state.addTrigger(
            type, addresses: Trigger.Addresses(addresses), user: subscriber.peer.uid, at: moment)
        }
        answer(subscriber, header, trigger, addresses)
      case .modify(let identifier, let type, let addresses):
        try mayWrite(subscriber)
        let trigger = try refusable { () throws(TriggerRefusal) in
          try state.modifyTrigger(
            identifier, type: type, addresses: Trigger.Addresses(addresses), user: subscriber.peer.uid, at: moment)
        }
        answer(subscriber, header, trigger, addresses)
      case .delete(let identifier):
        try mayWrite(subscriber)
        let trigger = try refusable { () throws(TriggerRefusal) in
          try state.deleteTrigger(identifier, user: subscriber.peer.uid, at: moment)
        }
        answer(subscriber, header, trigger, TriggerAddresses())
      case .get(let identifier):
        guard let trigger = state.triggers[identifier] else { throw .noSuchEntry }
        let hasOrigin = subscriber.registration?.contains(.origin) ?? false
        answer(subscriber, header, trigger, trigger.addresses.payloads, origin: hasOrigin ? trigger.origin : nil)
      case .register(let extensions):
        register(subscriber, header, extensions.intersection(.served), state)
      }
    } catch {
      fail(subscriber, header, error)
    }
  }

  private mutating func mayWrite(_ subscriber: Subscriber) throws(ErrorNumber) {
    let peer = subscriber.peer
    if peer.uid == 0 || settings.triggerWriters.contains(peer.uid) || settings.triggerWriterGroups.contains(peer.gid) {
      return
    }
    count(.refused)
    throw .notPermitted
  }

  private func refusable<T>(_ body: () throws(TriggerRefusal) -> T) throws(ErrorNumber) -> T {
    do throws(TriggerRefusal) {
      return try body()
    } catch {
      switch error {
      case .noSuchTrigger: throw .noSuchEntry
      case .notOwner: throw .notPermitted
      case .full: throw .noSpace
      }
    }
  }

  private mutating func answer(
    _ subscriber: Subscriber, _ request: FrameHeader, _ trigger: Trigger, _ addresses: TriggerAddresses,
    origin: Origin? = nil
  ) {
    self.answer(request, to: subscriber) { writer throws(MessageOverflow) in
      try writer.triggerAnswer(to: request, trigger.payload, addresses: addresses.span, origin: origin)
    }
  }

  // MARK: Registration and replay

  private mutating func register(
    _ subscriber: Subscriber, _ request: FrameHeader, _ extensions: TriggerExtensions, _ state: NetworkState
  ) {
    if subscriber.registration == nil { registered.append(subscriber) }
    subscriber.registration = extensions
    subscriber.isReplaying = extensions.contains(.replay)
    subscriber.replay = subscriber.isReplaying ? TriggerTable.Cursor() : .end
    answer(request, to: subscriber) { writer throws(MessageOverflow) in
      try writer.answer(to: request, flags: extensions.rawValue)
    }
    replay(subscriber, state)
  }

  /// Replayed triggers sent before everybody else has a turn.
  private static var replayBite: Int { 256 }

  /// Walks on as far as the socket takes it, in bites. News of what the walk has not reached are left out until then: it will
  /// meet them in their latest form, so that nothing is missed and nothing doubled.
  mutating func replay(_ subscriber: Subscriber, _ state: NetworkState) {
    for _ in 0..<Self.replayBite {
      guard subscriber.isReplaying, subscriber.queue.isEmpty, subscriber.hears else { return }
      guard let trigger = state.triggers.next(&subscriber.replay) else {
        subscriber.isReplaying = false
        let sequence = subscriber.nextSequence()
        write(to: subscriber, isNews: false) { writer throws(MessageOverflow) in
          try writer.replayEnd(sequence: sequence)
        }
        return
      }
      let extensions = subscriber.registration ?? []
      let sequence = subscriber.nextSequence()
      write(to: subscriber, isNews: false) { writer throws(MessageOverflow) in
        let notification = try writer.notification(
          cause: .add, trigger.payload, addresses: trigger.addresses.payloads.span, origin: trigger.origin, pid: 0)
        writer.prepare(notification, sequence: sequence, extensions: extensions)
      }
    }
  }

  // MARK: News

  /// One NOTIFY for all: encoded once, then each subscriber's number and variant are filled in.
  mutating func tell(_ change: TriggerChange, _ trigger: Trigger, pid: UInt32) {
    if registered.isEmpty { return }
    var memory = scratch.takeAnswer()
    defer { scratch.giveAnswer(memory) }
    var span = memory.mutableSpan
    var writer = MessageWriter(unsafe span.mutableBytes)
    let addresses = trigger.addresses.payloads
    do throws(MessageOverflow) {
      let notification = try writer.notification(
        cause: change.cause, trigger.payload, addresses: addresses.span, origin: trigger.origin, pid: pid)
      for subscriber in registered {
        guard let extensions = subscriber.registration, subscriber.hears, subscriber.replay.hasPassed(trigger)
        else { continue }
        writer.prepare(notification, sequence: subscriber.nextSequence(), extensions: extensions)
        send(writer.message, to: subscriber, isNews: true)
      }
    } catch {
      // 16 addresses and an origin always fit.
    }
  }
}

extension Trigger {
  fileprivate var payload: TriggerPayload { TriggerPayload(type: type, identifier: id) }
}

extension TriggerChange {
  fileprivate var cause: TriggerMessageType {
    switch self {
    case .added: .add
    case .modified: .modify
    case .removed: .delete
    }
  }
}
