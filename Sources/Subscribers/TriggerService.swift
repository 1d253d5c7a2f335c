import BroadcastRing
import Messages
import Platform
import Provisioning

/// The Trigger Database's socket (draft-schilcher-mobike-trigger-api-00, section 5).
extension Subscribers {
  func serveTrigger(
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
        try allow(subscriber.access.writes.contains(type))
        let trigger = try refusable { () throws(TriggerRefusal) in
          try state.addTrigger(
            type, addresses: Trigger.Addresses(addresses), user: subscriber.peer.uid, at: moment)
        }
        answer(subscriber, header, trigger, addresses)
      case .modify(let identifier, let type, let addresses):
        // Of the type that it was, and of the one that it is to be.
        _ = try existing(identifier, state, subscriber.access.writes)
        try allow(subscriber.access.writes.contains(type))
        let trigger = try refusable { () throws(TriggerRefusal) in
          try state.modifyTrigger(
            identifier, type: type, addresses: Trigger.Addresses(addresses), user: subscriber.peer.uid, at: moment)
        }
        answer(subscriber, header, trigger, addresses)
      case .delete(let identifier):
        _ = try existing(identifier, state, subscriber.access.writes)
        let trigger = try refusable { () throws(TriggerRefusal) in
          try state.deleteTrigger(identifier, user: subscriber.peer.uid, at: moment)
        }
        answer(subscriber, header, trigger, TriggerAddresses())
      case .get(let identifier):
        let trigger = try existing(identifier, state, subscriber.access.reads)
        let hasOrigin = subscriber.registration?.contains(.origin) ?? false
        answer(subscriber, header, trigger, trigger.addresses.payloads, origin: hasOrigin ? trigger.origin : nil)
      case .register(let extensions, let filter):
        try allow(!subscriber.access.reads.isEmpty)
        register(subscriber, header, extensions.intersection(.served), filter, state)
      }
    } catch {
      if error == .notPermitted { refuse(subscriber) }
      fail(subscriber, header, error)
    }
  }

  private func allow(_ isAllowed: Bool) throws(ErrorNumber) {
    if !isAllowed { throw .notPermitted }
  }

  /// The trigger with this id, of a type that is allowed. Who is allowed none learns nothing of what exists.
  private func existing(
    _ identifier: UInt32, _ state: borrowing NetworkState, _ allowed: TriggerTypes
  ) throws(ErrorNumber) -> Trigger {
    try allow(!allowed.isEmpty)
    guard let trigger = state.triggers[identifier] else { throw .noSuchEntry }
    try allow(allowed.contains(trigger.type))
    return trigger
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

  private func answer(
    _ subscriber: Subscriber, _ request: FrameHeader, _ trigger: Trigger, _ addresses: TriggerAddresses,
    origin: Origin? = nil
  ) {
    self.answer(request, to: subscriber) { writer throws(MessageOverflow) in
      try writer.triggerAnswer(to: request, trigger.payload, addresses: addresses.span, origin: origin)
    }
  }

  // MARK: Registration and replay

  private func register(
    _ subscriber: Subscriber, _ request: FrameHeader, _ extensions: TriggerExtensions, _ filter: TriggerFilter?,
    _ state: borrowing NetworkState
  ) {
    // What it was to be told before is told as it wanted it then.
    deliverBatch(to: subscriber)
    // Nobody waits for the socket of one that reads nothing any more.
    subscriber.isReplaying = extensions.contains(.replay) && subscriber.hears
    subscriber.replay = subscriber.isReplaying ? TriggerTable.Cursor() : .end
    subscriber.filter = filter
    let granted = answerRegister(subscriber, request, extensions, filter)
    subscriber.registration = granted
    place(subscriber, onRing: granted.contains(.ring) && !subscriber.isReplaying)
    replay(subscriber, state)
  }

  /// Triggers looked at for a replay before everybody else has a turn.
  private static var replayBite: Int { 256 }

  /// Walks on as far as the socket takes it, in bites. News of what the walk has not reached are left out until then: it will
  /// meet them in their latest form, so that nothing is missed and nothing doubled.
  func replay(_ subscriber: Subscriber, _ state: borrowing NetworkState) {
    let exact = subscriber.filter?.exact
    for _ in 0..<Self.replayBite {
      guard subscriber.isReplaying, subscriber.queue.isEmpty, subscriber.hears else { return }
      let met =
        if let exact {
          state.triggers.next(&subscriber.replay, exact.type, exact.address)
        } else {
          state.triggers.next(&subscriber.replay)
        }
      guard let trigger = met else {
        subscriber.isReplaying = false
        let sequence = subscriber.nextSequence()
        let isOnRing = subscriber.registration?.contains(.ring) ?? false
        let ring = isOnRing ? ringPlace(subscriber) : nil
        place(subscriber, onRing: isOnRing)
        write(to: subscriber, isNews: false) { writer throws(MessageOverflow) in
          try writer.replayEnd(sequence: sequence, ring: ring)
        }
        return
      }
      if !subscriber.seesAll, !subscriber.sees(trigger) { continue }
      let extensions = subscriber.registration ?? []
      let sequence = subscriber.nextSequence()
      write(to: subscriber, isNews: false) { writer throws(MessageOverflow) in
        let notification = try writer.notification(
          trigger.payload, addresses: trigger.addresses, origin: trigger.origin, pid: 0)
        writer.prepare(notification, cause: .add, sequence: sequence, extensions: extensions)
      }
    }
  }

  // MARK: News

  /// One NOTIFY for all: encoded once, then the ring's position, and each subscriber's number and variant are filled in.
  ///
  /// What a subscriber asked for and may read is a view of the database: a trigger that a MODIFY brings into it is told
  /// as added, one that it takes out as deleted.
  func tell(_ news: borrowing TriggerNews, pid: UInt32) {
    if registered.isEmpty, ringSeats.isEmpty { return }
    var losing: [Subscriber] = []
    let cause = news.change.cause
    notify(news.trigger, pid: pid, forAll: cause) { subscriber in
      if subscriber.seesAll { return cause }
      let sees = subscriber.sees(news.trigger)
      guard case .turned(let former) = news.change, subscriber.sees(former) != sees else {
        return sees ? cause : nil
      }
      if sees { return .add }
      losing.append(subscriber)
      return nil
    }
    guard !losing.isEmpty, case .turned(var former) = news.change else { return }
    former.origin.reason = .unmatched
    former.origin.timestamp = news.trigger.origin.timestamp
    notify(former, pid: pid) { subscriber in losing.contains { $0 === subscriber } ? .delete : nil }
  }

  /// A NOTIFY to each registered subscriber for whom `cause` gives one. `forAll` is what it says to those who are told of
  /// every trigger: they get it with the batch, or from the ring.
  private func notify(
    _ trigger: borrowing Trigger, pid: UInt32, forAll: TriggerMessageType? = nil,
    cause: (Subscriber) -> TriggerMessageType?
  ) {
    var memory = scratch.takeAnswer()
    defer { scratch.giveAnswer(memory) }
    var span = memory.mutableSpan
    var writer = MessageWriter(unsafe span.mutableBytes)
    do throws(MessageOverflow) {
      let notification = try writer.notification(
        trigger.payload, addresses: trigger.addresses, origin: trigger.origin, pid: pid)
      if let forAll {
        publish(notification, forAll, from: &writer)
        if !registered.isEmpty { keep(notification, forAll, writer.message) }
      }
      for subscriber in registered {
        if forAll != nil, subscriber.takesBatches {
          if subscriber.hears { keep(for: subscriber) }
          continue
        }
        guard let extensions = subscriber.registration, subscriber.hears, subscriber.replay.hasPassed(trigger),
          let cause = cause(subscriber)
        else { continue }
        writer.prepare(notification, cause: cause, sequence: subscriber.nextSequence(), extensions: extensions)
        send(writer.message, to: subscriber, isNews: true)
      }
    } catch {
      // 16 addresses and an origin always fit.
    }
  }
}

extension Trigger {
  var payload: TriggerPayload { TriggerPayload(type: type, identifier: id) }
}

extension TriggerChange {
  fileprivate var cause: TriggerMessageType {
    switch self {
    case .added: .add
    case .modified, .turned: .modify
    case .removed: .delete
    }
  }
}
