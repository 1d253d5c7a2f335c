import Fuzzing
import Messages
import Provisioning
import Wire

/// A trigger as a client knows it.
struct KnownTrigger: Equatable {
  var type: UInt16
  var addresses: [TriggerAddress]

  init(type: UInt16, addresses: [TriggerAddress]) {
    self.type = type
    self.addresses = addresses
  }

  /// What the message says of its trigger.
  init(_ message: TriggerMessage, _ trigger: TriggerPayload) {
    self.init(type: trigger.type.rawValue, addresses: message.addresses.array)
  }

  init(_ trigger: Trigger) { self.init(type: trigger.type.rawValue, addresses: Array(trigger.addresses)) }
}

extension TriggerAddresses {
  var array: [TriggerAddress] { (0..<count).map { self[$0] } }
}

/// What of the database a client is to be told: a second opinion on FILTER and on who may read what.
struct TriggerView {
  var types: [ClosedRange<UInt16>]
  var filter: TriggerFilter?

  var isEverything: Bool { filter == nil && types == [0...UInt16.max] }

  func holds(_ trigger: Trigger) -> Bool {
    guard types.contains(where: { $0.contains(trigger.type.rawValue) }) else { return false }
    guard let filter else { return true }
    if !filter.types.isEmpty && !filter.types.contains(trigger.type) { return false }
    if filter.interface != 0 && filter.interface != trigger.origin.interface { return false }
    guard let prefix = filter.prefix else { return true }
    return trigger.addresses.contains { address in
      address.address.family == prefix.address.family
        && bits(address.address).prefix(Int(prefix.length)) == bits(prefix.address).prefix(Int(prefix.length))
        && (filter.scope == 0 || filter.scope == address.scope)
    }
  }

  private func bits(_ address: IPAddress) -> [Bool] {
    func bits<T: FixedWidthInteger>(_ value: T) -> [Bool] {
      (0..<T.bitWidth).map { value >> T(T.bitWidth - 1 - $0) & 1 != 0 }
    }
    switch address {
    case .v4(let v4): return bits(v4.value)
    case .v6(let v6): return bits(v6.high) + bits(v6.low)
    }
  }
}

/// Every change of the database, as one socket that lost nothing was told.
struct TriggerHistory {
  struct Change {
    var cause: TriggerMessageType
    var identifier: UInt32
    var trigger: KnownTrigger
    var timestamp: UInt64
  }

  private(set) var changes: [Change] = []
  /// Everything that each trigger has been.
  private(set) var versions: [UInt32: [KnownTrigger]] = [:]

  mutating func append(_ change: Change) {
    changes.append(change)
    versions[change.identifier, default: []].append(change.trigger)
  }

  /// Whether what a socket was told is part of this, in this order.
  func holds(_ told: [TriggerPeer.Told]) {
    var next = 0
    for each in told {
      while next < changes.count, !each.isAbout(changes[next]) { next += 1 }
      check(next < changes.count, "told in another order, or never happened: \(each)")
      next += 1
    }
  }
}
