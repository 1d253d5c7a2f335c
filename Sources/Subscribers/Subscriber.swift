import BroadcastRing
import Messages
import Platform
import Provisioning
import Resolving

/// One connection to one of the two sockets, with what it asked to be told.
final class Subscriber {
  enum Service { case trigger, mif }

  let service: Service
  let connection: Connection
  /// What the poller calls it.
  let token: UInt64
  /// The number of its last news; news that are dropped have been numbered, so that the gap tells.
  var sequence: UInt32 = 0
  var queue: Queue
  /// Set where the connection is of no use any more; it is closed when the current events are through.
  var isClosed = false
  /// Set where the peer hears nothing any more, because it is gone or wants it so. What it has sent is still done.
  var isDeaf = false
  /// MIF: news were lost; it is told when the current event is through, and nothing else until then.
  var isOverrun = false
  /// Whether the next `settle` is to look at it.
  var isTouched = false
  /// What the poller was last told to wait for.
  var interest: Poller.Interest = .read

  // TDB: what it may do, and what REGISTER asked for, nil before it.
  let access: Access
  var registration: TriggerExtensions?
  var filter: TriggerFilter?
  /// Where the replay stands; at the table's end once it is through.
  var replay = TriggerTable.Cursor.end
  var isReplaying = false
  /// The first NOTIFY of the batch that it is still to be sent, and the number that this one has; they are consecutive.
  var waitsFrom: UInt64 = 0
  var waitingSequence: UInt32 = 0
  /// Its place at the ring, from the first REGISTER that was granted RING until its socket closes.
  var seat: RingSeat?

  // MIF: what it wants announced.
  var wantsInterfaces = false
  var domainsOf: [UInt32] = []
  var elementsOf: [UInt32] = []
  var addressesOf: [UInt32] = []
  /// What CONNECT_TO_PVD selected, 0 for none.
  var selectedDomain: UInt32 = 0
  /// Keys of the translations and connections that are under way, by the subscriber's own identifiers.
  var translations: [UInt32: UInt64] = [:]
  var connections: [UInt32: UInt64] = [:]

  init(
    _ service: Service, _ connection: consuming Connection, _ access: Access, token: UInt64, queueLimit: Int
  ) {
    self.service = service
    self.access = access
    self.connection = connection
    self.token = token
    queue = Queue(limit: queueLimit)
  }

  var peer: PeerCredentials { connection.peer }

  /// The pid that others are told for what this one did; a process that can't be seen from here has none.
  var verifiedPid: UInt32 { peer.pid > 0 ? UInt32(peer.pid) : .max }

  /// Results of translations that the queue had no room for.
  var waitingResults = ResultQueue()
  /// 40 bytes each, and the end of each translation besides.
  static let mostWaiting = 4096
  var openTransactions: Int { translations.count + connections.count }

  /// The PvD that an identifier in a request means.
  func meaning(_ pvd: UInt32) -> UInt32 { pvd == 0 ? selectedDomain : pvd }

  func nextSequence() -> UInt32 {
    sequence &+= 1
    return sequence
  }

  /// Whether there is any use in telling it something.
  var hears: Bool { !isClosed && !isDeaf }

  /// Whether it is told of every trigger: nearly all are.
  var seesAll: Bool { filter == nil && access.reads.isAll }

  /// Whether it is told of every trigger, with everybody else.
  var takesBatches: Bool { registration != nil && seesAll && !isReplaying }

  /// Whether it may know of a trigger, and asked for it.
  func sees(_ trigger: Trigger) -> Bool {
    access.reads.contains(trigger.type)
      && filter?.matches(trigger.type, interface: trigger.origin.interface, addresses: trigger.addresses) != false
  }

  /// Ends all telling.
  func deafen() {
    isDeaf = true
    isOverrun = false
    isReplaying = false
    queue.clear()
    waitingResults = ResultQueue()
    unsubscribe()
  }

  /// Ends every announcement that the MIF API owes it.
  func unsubscribe() {
    wantsInterfaces = false
    domainsOf.removeAll()
    elementsOf.removeAll()
    addressesOf.removeAll()
  }
}

/// Results in the order in which they came.
struct ResultQueue {
  private var results: [ResolverResult] = []
  private var first = 0

  var isEmpty: Bool { first == results.count }
  var count: Int { results.count - first }

  mutating func append(_ result: ResolverResult) { results.append(result) }

  mutating func popFirst() -> ResolverResult? {
    guard !isEmpty else { return nil }
    defer {
      first += 1
      if isEmpty || first > 1024 {
        results.removeFirst(first)
        first = 0
      }
    }
    return results[first]
  }
}

/// A connection on its way to a subscriber, beside CONNECTED.
final class Handover {
  let socket: PassedDescriptor
  /// What is sent in place of CONNECTED where the kernel passes no more descriptors.
  let refusal: [UInt8]

  init(_ socket: PassedDescriptor, refusal: [UInt8]) {
    self.socket = socket
    self.refusal = refusal
  }
}

extension Subscriber {
  /// What the socket would not take yet, in order. Its bound counts bytes, with what keeping a message costs; past it
  /// the oldest news are dropped. Answers are not, and stand past the bound if they must: no more than one request's
  /// can, because nothing is read from a subscriber while answers wait for it, and the last one of each translation and
  /// connection. What these gave before that is dropped while the queue `isFull`.
  struct Queue {
    private struct Entry {
      /// Empty where it was sent or dropped.
      var bytes: [UInt8]
      var isNews: Bool
      /// What goes beside it by SCM_RIGHTS.
      var passed: Handover?
    }

    /// Bytes that a message costs beside its own: its entry and its allocation's header.
    private static let overhead = 64

    private let limit: Int
    private var entries: [Entry] = []
    /// Empty entries. They are never more than the others and a few, so that their room is bounded too.
    private var holes = 0
    /// Nothing stands before this place,
    private var first = 0
    /// and no news before this one.
    private var firstNews = 0
    private var size = 0
    private(set) var answers = 0

    init(limit: Int) { self.limit = limit }

    var isEmpty: Bool { holes == entries.count }
    /// Only what must be said finds room.
    var isFull: Bool { size >= limit }

    /// - Returns: how many news had to go for it, itself included where there was no other.
    mutating func append(_ message: RawSpan, isNews: Bool, passing passed: Handover? = nil) -> Int {
      let cost = message.byteCount + Queue.overhead
      var dropped = 0
      while size + cost > limit, let place = oldestNews() {
        remove(place)
        dropped += 1
      }
      if isNews, size + cost > limit { return dropped + 1 }
      var bytes: [UInt8] = []
      bytes.reserveCapacity(message.byteCount)
      for index in message.byteOffsets {
        bytes.append(unsafe message.unsafeLoad(fromByteOffset: index, as: UInt8.self))
      }
      entries.append(Entry(bytes: bytes, isNews: isNews, passed: passed))
      size += cost
      if !isNews { answers += 1 }
      return dropped
    }

    /// Drops all news.
    ///
    /// - Returns: how many there were.
    mutating func dropNews() -> Int {
      var dropped = 0
      while let place = oldestNews() {
        remove(place)
        dropped += 1
      }
      return dropped
    }

    /// The oldest message, and what goes beside it; nil if there is none.
    mutating func front() -> (message: [UInt8], passed: Handover?)? {
      if isEmpty { return nil }
      while entries[first].bytes.isEmpty { first += 1 }
      return (entries[first].bytes, entries[first].passed)
    }

    /// Takes away what `front` gave.
    mutating func removeFront() { remove(first) }

    mutating func clear() {
      entries.removeAll(keepingCapacity: false)
      holes = 0
      first = 0
      firstNews = 0
      size = 0
      answers = 0
    }

    private mutating func oldestNews() -> Int? {
      var place = max(first, firstNews)
      while place < entries.count, !entries[place].isNews || entries[place].bytes.isEmpty { place += 1 }
      firstNews = place
      return place < entries.count ? place : nil
    }

    private mutating func remove(_ place: Int) {
      size -= entries[place].bytes.count + Queue.overhead
      if !entries[place].isNews { answers -= 1 }
      entries[place].bytes = []
      entries[place].passed = nil
      holes += 1
      if isEmpty {
        clear()
      } else if holes > 64, holes > entries.count / 2 {
        entries.removeAll { $0.bytes.isEmpty }
        holes = 0
        first = 0
        firstNews = 0
      }
    }
  }
}
