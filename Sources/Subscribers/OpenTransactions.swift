import Connecting
import Messages
import Resolving

/// What a subscriber asked for that takes time: a translation of a name, or a connection. Its results are answers to
/// the request, and come until the last one.
struct OpenTransaction {
  enum Kind { case translation, connection }

  let kind: Kind
  /// The subscriber's token.
  let subscriber: UInt64
  /// The request's header, which its results repeat.
  let request: FrameHeader
  /// The subscriber's name for it.
  let transaction: Transaction
  let pvd: UInt32
  /// The PvD's interface.
  let interface: UInt32
  /// A result was dropped, because the subscriber does not read: the last one says so.
  var isIncomplete = false
}

/// All open transactions, by a key of our own that is never used again.
struct OpenTransactions {
  private var entries: [UInt64: OpenTransaction] = [:]
  private var lastKey: UInt64 = 0

  var count: Int { entries.count }

  subscript(key: UInt64) -> OpenTransaction? { entries[key] }

  mutating func markIncomplete(_ key: UInt64) { entries[key]?.isIncomplete = true }

  mutating func open(_ transaction: OpenTransaction) -> UInt64 {
    lastKey += 1
    entries[lastKey] = transaction
    return lastKey
  }

  @discardableResult
  mutating func close(_ key: UInt64) -> OpenTransaction? { entries.removeValue(forKey: key) }

  /// The keys of those under a PvD, in the order in which they were opened.
  func keys(under pvd: UInt32) -> [UInt64] {
    var keys: [UInt64] = []
    for (key, entry) in entries where entry.pvd == pvd { keys.append(key) }
    return keys.sorted()
  }
}

extension Subscribers {
  /// A PvD is going: nothing more can come through it.
  func abandon(_ pvd: UInt32) {
    for key in transactions.keys(under: pvd) {
      let failure = Failure(.networkDown, from: .local)
      switch transactions[key]?.kind {
      case .translation:
        resolver.cancel(key: key)
        end(translation: key, failure)
      case .connection:
        connector.cancel(key: key)
        end(connection: key, failure)
      case nil: break
      }
    }
  }

  /// Whoever asked is gone.
  func forgetTransactions(of subscriber: Subscriber) {
    for (_, key) in subscriber.translations {
      resolver.cancel(key: key)
      transactions.close(key)
    }
    subscriber.translations.removeAll()
    for (_, key) in subscriber.connections {
      connector.cancel(key: key)
      transactions.close(key)
    }
    subscriber.connections.removeAll()
  }
}
