import Connecting
import Messages

/// What a subscriber asked for that takes time: a connection. Its result is the answer to the request.
struct OpenTransaction {
  /// The subscriber's token.
  let subscriber: UInt64
  /// The request's header, which its results repeat.
  let request: FrameHeader
  /// The subscriber's name for it.
  let transaction: Transaction
  let pvd: UInt32
  /// The PvD's interface.
  let interface: UInt32
}

/// All open transactions, by a key of our own that is never used again.
struct OpenTransactions {
  private var entries: [UInt64: OpenTransaction] = [:]
  private var lastKey: UInt64 = 0

  subscript(key: UInt64) -> OpenTransaction? { entries[key] }

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
  mutating func abandon(_ pvd: UInt32) {
    for key in transactions.keys(under: pvd) {
      connector.cancel(key: key)
      end(connection: key, Failure(.networkDown, from: .local))
    }
  }

  /// Whoever asked is gone.
  mutating func forgetTransactions(of subscriber: Subscriber) {
    for (_, key) in subscriber.connections {
      connector.cancel(key: key)
      transactions.close(key)
    }
    subscriber.connections.removeAll()
  }
}
