import Messages
import Platform

/// NOTIFYs that are kept back until `Subscribers.deliver`: each stands here once for everybody, and a subscriber gets all
/// that it is to be told by one system call, which wakes it once. There are so few that nobody waits long for the others;
/// one that finds no room has those before it delivered.
final class NotificationBatch {
  /// 16 addresses and an origin are shorter.
  static let longest = 768
  private static let size = 4096

  fileprivate struct Entry {
    let notification: Notification
    let cause: TriggerMessageType
  }

  /// The number of the first one; they are numbered from 1 on as they come.
  fileprivate private(set) var first: UInt64 = 1
  fileprivate private(set) var entries: [Entry] = []
  /// Where each of them lies in the memory.
  fileprivate private(set) var places: [MessagePlace] = []
  private var memory: [UInt8] = []

  init() {
    entries.reserveCapacity(Connection.mostAtOnce)
    places.reserveCapacity(Connection.mostAtOnce)
    memory.reserveCapacity(NotificationBatch.size)
  }

  var isEmpty: Bool { entries.isEmpty }
  fileprivate var last: UInt64 { first + UInt64(entries.count) - 1 }

  fileprivate var hasRoom: Bool {
    entries.count < Connection.mostAtOnce && memory.count + NotificationBatch.longest <= NotificationBatch.size
  }

  fileprivate func append(_ notification: Notification, _ cause: TriggerMessageType, _ message: RawSpan) {
    places.append(MessagePlace(offset: memory.count, length: message.byteCount))
    unsafe message.withUnsafeBytes { unsafe memory.append(contentsOf: $0) }
    entries.append(Entry(notification: notification, cause: cause))
  }

  fileprivate func clear() {
    first += UInt64(entries.count)
    entries.removeAll(keepingCapacity: true)
    places.removeAll(keepingCapacity: true)
    memory.removeAll(keepingCapacity: true)
  }

  /// Makes one subscriber's variants of those from `index` on, and lends the memory that they lie in.
  fileprivate func lend(from index: Int, sequence: UInt32, extensions: TriggerExtensions) -> [UInt8] {
    var span = memory.mutableSpan
    var bytes = unsafe span.mutableBytes
    for each in index..<entries.count {
      let length = bytes.prepare(
        entries[each].notification, at: Int(places[each].offset), cause: entries[each].cause,
        sequence: sequence &+ UInt32(each - index), extensions: extensions)
      places[each].length = UInt32(length)
    }
    var lent: [UInt8] = []
    swap(&lent, &memory)
    return lent
  }

  fileprivate func giveBack(_ lent: consuming [UInt8]) { memory = lent }
}

extension Subscribers {
  /// Keeps a NOTIFY that was just encoded, with ORIGIN, for those that `keep(for:)` names.
  mutating func keep(_ notification: Notification, _ cause: TriggerMessageType, _ message: RawSpan) {
    if !batch.hasRoom { deliverBatch() }
    batch.append(notification, cause, message)
  }

  /// Numbers the NOTIFY that was kept last for a subscriber. Once it has got one it gets each further one, or those before
  /// are delivered first.
  func keep(for subscriber: Subscriber) {
    let sequence = subscriber.nextSequence()
    if subscriber.waitsFrom >= batch.first { return }
    subscriber.waitsFrom = batch.last
    subscriber.waitingSequence = sequence
  }

  @inline(never)
  mutating func deliverBatch() {
    if batch.isEmpty { return }
    for subscriber in registered { deliverBatch(to: subscriber) }
    batch.clear()
  }

  /// What one subscriber is still to be sent of the batch, before anything else is sent to it.
  mutating func deliverBatch(to subscriber: Subscriber) {
    if subscriber.waitsFrom >= batch.first { deliverWaiting(to: subscriber) }
  }

  @inline(never)
  private mutating func deliverWaiting(to subscriber: Subscriber) {
    var index = Int(subscriber.waitsFrom - batch.first)
    subscriber.waitsFrom = 0
    guard subscriber.hears, let extensions = subscriber.registration else { return }
    let memory = batch.lend(from: index, sequence: subscriber.waitingSequence, extensions: extensions)
    let bytes = unsafe memory.span.bytes
    let places = batch.places
    if places.count - index > 1, subscriber.queue.isEmpty {
      let sent = subscriber.connection.send(bytes, at: places.span.extracting(index...))
      count(.news, sent)
      index += sent
    }
    while index < places.count {
      let begin = Int(places[index].offset)
      send(bytes.extracting(begin..<begin + Int(places[index].length)), to: subscriber, isNews: true)
      index += 1
    }
    batch.giveBack(memory)
  }
}
