package import Messages

/// A trigger as a client keeps it.
package struct TriggerRecord: Hashable, Sendable {
  /// The database's number for it, from 1.
  package var id: UInt32
  package var type: TriggerType
  /// At most 16.
  package var addresses: [TriggerAddress]
  /// nil where the agent was not asked for it.
  package var origin: Origin?

  package init(id: UInt32, type: TriggerType, addresses: [TriggerAddress] = [], origin: Origin? = nil) {
    self.id = id
    self.type = type
    self.addresses = addresses
    self.origin = origin
  }

  /// nil for a message without a trigger.
  package init?(_ message: TriggerMessage) {
    guard let trigger = message.trigger else { return nil }
    self.init(id: trigger.identifier, type: trigger.type, origin: message.origin)
    addresses.reserveCapacity(message.addresses.count)
    for index in 0..<message.addresses.count { addresses.append(message.addresses[index]) }
  }

  /// What it is about, by which it is found again where the agent was restarted and numbers anew.
  struct Subject: Hashable {
    var type: TriggerType
    var addresses: [TriggerAddress]
    var interface: InterfaceName
    var isClients: Bool
  }

  var subject: Subject {
    Subject(
      type: type, addresses: addresses, interface: origin?.interfaceName ?? .empty, isClients: origin?.source == .client
    )
  }

  /// Whether it says the same as another one. When it was learned does not count.
  func saysTheSame(as other: TriggerRecord) -> Bool {
    var (own, others) = (self, other)
    own.origin?.timestamp = 0
    others.origin?.timestamp = 0
    return own == others
  }
}

/// What a client is told.
package enum TriggerNews: Hashable, Sendable {
  /// It is new, or it existed and had not been told yet.
  case added(TriggerRecord)
  /// It changed. `former` is the id under which it was told before: another one only if the agent was restarted. `former`
  /// is free from then on; nobody that the client knows has the new id.
  case modified(TriggerRecord, former: UInt32)
  /// It is gone: as it was last told, with the reason in its origin where the agent gave one.
  case deleted(TriggerRecord)
  /// Everything that exists has been told: after REGISTER, and again each time when the session had to ask anew.
  case inStep
  /// The agent ended, or closed the connection. What was asked and not answered stays without an answer; the session
  /// connects again by itself and then tells what changed meanwhile.
  case disconnected
}
