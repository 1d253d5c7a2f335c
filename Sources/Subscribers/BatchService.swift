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
  fileprivate private(set) var count = 0
  private var entries: [Entry]
  /// Where each of them lies in the memory.
  fileprivate private(set) var places: [MessagePlace]
  private var memory = [UInt8](repeating: 0, count: NotificationBatch.size)
  private var used = 0

  init() {
    let empty = Entry(notification: .empty, cause: .add)
    entries = [Entry](repeating: empty, count: Connection.mostAtOnce)
    places = [MessagePlace](repeating: MessagePlace(offset: 0, length: 0), count: Connection.mostAtOnce)
  }

  var isEmpty: Bool { count == 0 }
  fileprivate var last: UInt64 { first + UInt64(count) - 1 }

  fileprivate var hasRoom: Bool {
    count < Connection.mostAtOnce && used + NotificationBatch.longest <= NotificationBatch.size
  }

  fileprivate func append(_ notification: Notification, _ cause: TriggerMessageType, _ message: RawSpan) {
    precondition(message.byteCount <= NotificationBatch.longest, "a NOTIFY is longer than any")
    entries[count] = Entry(notification: notification, cause: cause)
    places[count] = MessagePlace(offset: used, length: message.byteCount)
    count += 1
    let place = used..<used + message.byteCount
    used = place.upperBound
    unsafe memory.withUnsafeMutableBytes { memory in
      unsafe message.withUnsafeBytes {
        unsafe UnsafeMutableRawBufferPointer(rebasing: memory[place]).copyMemory(from: $0)
      }
    }
  }

  fileprivate func clear() {
    first += UInt64(count)
    count = 0
    used = 0
  }

  /// The memory that the messages lie in, taken out as long as it is sent from: whoever sends may look elsewhere in this
  /// object. In between nothing is kept back.
  fileprivate func takeMemory() -> [UInt8] {
    var taken: [UInt8] = []
    swap(&taken, &memory)
    return taken
  }
  fileprivate func giveMemory(_ taken: consuming [UInt8]) { memory = taken }

  /// Makes one subscriber's variants of those from `index` on, in the memory that was taken.
  fileprivate func prepare(
    _ bytes: inout MutableRawSpan, from index: Int, sequence: UInt32, extensions: TriggerExtensions
  ) {
    for each in index..<count {
      let length = bytes.prepare(
        entries[each].notification, at: Int(places[each].offset), cause: entries[each].cause,
        sequence: sequence &+ UInt32(each - index), extensions: extensions)
      places[each].length = UInt32(length)
    }
  }
}

extension Subscribers {
  /// Keeps a NOTIFY that was just encoded, with ORIGIN, for those that `keep(for:)` names.
  func keep(_ notification: Notification, _ cause: TriggerMessageType, _ message: RawSpan) {
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
  func deliverBatch() {
    if batch.isEmpty { return }
    var memory = batch.takeMemory()
    for subscriber in registered where subscriber.waitsFrom >= batch.first { deliverWaiting(to: subscriber, &memory) }
    batch.giveMemory(memory)
    batch.clear()
  }

  /// What one subscriber is still to be sent of the batch, before anything else is sent to it.
  func deliverBatch(to subscriber: Subscriber) {
    if subscriber.waitsFrom < batch.first { return }
    var memory = batch.takeMemory()
    deliverWaiting(to: subscriber, &memory)
    batch.giveMemory(memory)
  }

  private func deliverWaiting(to subscriber: Subscriber, _ memory: inout [UInt8]) {
    var index = Int(subscriber.waitsFrom - batch.first)
    subscriber.waitsFrom = 0
    guard subscriber.hears, let extensions = subscriber.registration else { return }
    var span = memory.mutableSpan
    var bytes = unsafe span.mutableBytes
    batch.prepare(&bytes, from: index, sequence: subscriber.waitingSequence, extensions: extensions)
    if batch.count - index > 1, subscriber.queue.isEmpty {
      let places = batch.places
      let sent = subscriber.connection.send(bytes.bytes, at: places.span.extracting(index..<batch.count))
      count(.news, sent)
      index += sent
    }
    while index < batch.count {
      let begin = Int(batch.places[index].offset)
      send(bytes.bytes.extracting(begin..<begin + Int(batch.places[index].length)), to: subscriber, isNews: true)
      index += 1
    }
  }
}
