import BroadcastRing
import Messages
import Platform
import Provisioning

/// News on the broadcast ring: one record for all who listen there.
extension Subscribers {
  /// Answers REGISTER. RING is granted to who is told of everything: each record is for all, and nobody reads for another
  /// what that one may not know, or has not asked for. Its descriptors go with the answer, at once or not at all: where
  /// they can't, news come on the socket.
  ///
  /// - Returns: what was granted.
  func answerRegister(
    _ subscriber: Subscriber, _ request: FrameHeader, _ asked: TriggerExtensions, _ filter: TriggerFilter?
  ) -> TriggerExtensions {
    var granted = asked
    if asked.contains(.ring) {
      if subscriber.seesAll, subscriber.seat == nil, takeSeat(subscriber, request, asked) { return asked }
      if !subscriber.seesAll || subscriber.seat == nil {
        granted.remove(.ring)
        count(.ringRefused)
      }
    }
    let place = granted.contains(.ring) ? ringPlace(subscriber) : nil
    answer(request, to: subscriber) { writer throws(MessageOverflow) in
      try writer.register(granted, filter: filter, ring: place, sequence: request.sequence, pid: request.pid)
    }
    return granted
  }

  /// Where the subscriber begins to read, if it does so now.
  func ringPlace(_ subscriber: Subscriber) -> RingPlace? {
    guard let ring, let seat = subscriber.seat else { return nil }
    return RingPlace(offset: UInt32(truncatingIfNeeded: seat.offset), position: ring.position)
  }

  /// Seats it at the ring, which is made for the first one, and answers with what it needs there. False if that can't be.
  private func takeSeat(
    _ subscriber: Subscriber, _ request: FrameHeader, _ granted: TriggerExtensions
  ) -> Bool {
    guard settings.ringSize > 0, subscriber.hears, subscriber.queue.isEmpty else { return false }
    let ring: RingWriter
    let seat: RingSeat
    do throws(Errno) {
      if let present = self.ring { ring = present } else { ring = try RingWriter(size: settings.ringSize) }
      seat = try RingSeat(number: ringSeatCount)
    } catch {
      return false
    }
    let place = RingPlace(offset: UInt32(truncatingIfNeeded: seat.offset), position: ring.position)
    var memory = scratch.takeAnswer()
    defer { scratch.giveAnswer(memory) }
    var span = memory.mutableSpan
    var writer = MessageWriter(unsafe span.mutableBytes)
    do throws(MessageOverflow) {
      try writer.register(granted, filter: nil, ring: place, sequence: request.sequence, pid: request.pid)
    } catch {
      return false
    }
    guard seat.hand(ring, over: subscriber.connection, with: writer.message) == .sent else { return false }
    count(.answers)
    if self.ring == nil { wokenBefore = ring.position }
    self.ring = ring
    subscriber.seat = seat
    ringSeatCount += 1
    return true
  }

  /// Has it told on the ring, or on its socket.
  func place(_ subscriber: Subscriber, onRing: Bool) {
    registered.removeAll { $0 === subscriber }
    if let seat = subscriber.seat { ringSeats.remove(seat) }
    if onRing, let seat = subscriber.seat { ringSeats.append(seat) } else { registered.append(subscriber) }
  }

  /// Its socket has closed. With the last one the ring goes.
  func leaveRing(_ subscriber: Subscriber) {
    guard let seat = subscriber.seat else { return }
    ringSeats.remove(seat)
    subscriber.seat = nil
    ringSeatCount -= 1
    if ringSeatCount == 0 { ring = nil }
  }

  /// Puts a NOTIFY that stands in the writer's memory on the ring. Who sleeps is woken by `deliver`.
  func publish(
    _ notification: Notification, _ cause: TriggerMessageType, from writer: inout MessageWriter
  ) {
    guard let ring, !ringSeats.isEmpty else { return }
    writer.prepare(
      notification, cause: cause, sequence: UInt32(truncatingIfNeeded: ring.position), extensions: [.cause, .origin])
    ring.publish(writer.message)
    count(.ringRecords)
  }

  /// Wakes who sleeps and has something to read on the ring.
  func wakeReaders() {
    guard let ring, ring.position != wokenBefore else { return }
    wokenBefore = ring.position
    for _ in 0..<ringSeats.wake(before: ring.position) { count(.ringWakes) }
  }
}
