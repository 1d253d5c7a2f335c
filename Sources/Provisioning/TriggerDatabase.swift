package import Messages
import Wire

/// Why a client's request to the Trigger Database was not carried out.
package enum TriggerRefusal: Error, Sendable {
  /// ENOENT.
  case noSuchTrigger
  /// EPERM: it belongs to another user, or to the agent.
  case notOwner
  /// ENOSPC.
  case full
}

/// What clients do to the Trigger Database.
extension NetworkState {
  /// Adds a client's trigger and returns it with its id.
  package mutating func addTrigger(
    _ type: TriggerType, addresses: Trigger.Addresses, user: UInt32, at moment: Moment
  ) throws(TriggerRefusal) -> Trigger {
    let owned = triggersOfUsers[user] ?? 0
    guard clientTriggers < limits.clientTriggers, user == 0 || owned < limits.triggersPerUser else {
      throw refuse(.full)
    }
    clientTriggers += 1
    triggersOfUsers[user] = owned + 1
    let origin = Origin(pvd: user, source: .client, timestamp: moment.timestamp)
    var trigger = Trigger(type: type, owner: .user(uid: user), addresses: addresses, origin: origin)
    triggers.add(&trigger)
    count(.triggersAdded)
    announce(.added, trigger)
    return trigger
  }

  /// Changes a client's trigger; with no address the stored ones stay.
  package mutating func modifyTrigger(
    _ id: UInt32, type: TriggerType, addresses: Trigger.Addresses, user: UInt32, at moment: Moment
  ) throws(TriggerRefusal) -> Trigger {
    try mayChange(id, user)
    modifyTrigger(id) {
      $0.type = type
      if !addresses.isEmpty { $0.addresses = addresses }
      $0.origin.timestamp = moment.timestamp
    }
    return triggers[id]!
  }

  /// Deletes a client's trigger and returns it as it was.
  package mutating func deleteTrigger(
    _ id: UInt32, user: UInt32, at moment: Moment
  ) throws(TriggerRefusal) -> Trigger {
    try mayChange(id, user)
    let trigger = triggers[id]!
    removeTrigger(id, .deleted, moment)
    return trigger
  }

  fileprivate mutating func release(_ user: UInt32) {
    clientTriggers -= 1
    let owned = (triggersOfUsers[user] ?? 1) - 1
    triggersOfUsers[user] = owned > 0 ? owned : nil
  }

  private mutating func mayChange(_ id: UInt32, _ user: UInt32) throws(TriggerRefusal) {
    guard let trigger = triggers[id] else { throw refuse(.noSuchTrigger) }
    switch trigger.owner {
    case .agent: throw refuse(.notOwner)
    case .user(let uid): if user != uid && user != 0 { throw refuse(.notOwner) }
    }
  }

  private mutating func refuse(_ refusal: TriggerRefusal) -> TriggerRefusal {
    count(.triggersRefused)
    return refusal
  }
}

/// The agent's own triggers.
extension NetworkState {
  func origin(_ link: Link, _ source: Source, _ moment: Moment) -> Origin {
    Origin(interface: link.index, interfaceName: link.name, source: source, timestamp: moment.timestamp)
  }

  /// An address as an ADDRESS payload names it: link-local ones with their interface (RFC 4007).
  func triggerAddress(_ prefix: IPPrefix, _ interface: UInt32) -> TriggerAddress {
    TriggerAddress(
      prefix.address, prefixLength: prefix.length,
      scope: prefix.address.family == .v6 && prefix.address.isLinkLocal ? interface : 0)
  }

  /// Adds a trigger of the agent's own and returns its id.
  mutating func addTrigger(_ type: TriggerType, _ addresses: Trigger.Addresses, _ origin: Origin) -> UInt32 {
    var trigger = Trigger(type: type, owner: .agent, addresses: addresses, origin: origin)
    triggers.add(&trigger)
    let id = trigger.id
    count(.triggersAdded)
    announce(.added, trigger)
    return id
  }

  mutating func modifyTrigger(_ id: UInt32, _ change: (inout Trigger) -> Void) {
    guard let (before, after) = triggers.update(id, change) else { return }
    count(.triggersModified)
    let isOfSameSubject =
      before.type == after.type && before.addresses == after.addresses
      && before.origin.interface == after.origin.interface
    announce(isOfSameSubject ? .modified : .turned(from: before), after)
  }

  /// Removes a trigger, if the id names one (0 never does), and tells why.
  mutating func removeTrigger(_ id: UInt32, _ reason: RemovalReason, _ moment: Moment) {
    guard id != 0, var trigger = triggers.remove(id) else { return }
    if let held = holds.removeValue(forKey: id) { deadlines.remove(held) }
    if trigger.type == .interfaceRemoved, removedInterfaces[trigger.origin.interfaceName] == id {
      removedInterfaces[trigger.origin.interfaceName] = nil
    }
    if trigger.type == .connectionLost, trigger.owner == .agent { forgetLost(trigger) }
    if case .user(let user) = trigger.owner { release(user) }
    trigger.origin.reason = reason
    trigger.origin.timestamp = moment.timestamp
    count(.triggersRemoved)
    announce(.removed, trigger)
  }

  /// Whoever refers to a CONN_LOST that went: an interface under that name, or what is kept of one that is gone.
  private mutating func forgetLost(_ trigger: Trigger) {
    let name = trigger.origin.interfaceName
    for family in Family.allCases {
      let connection = LostConnection(name: name, family: family)
      if lostConnections[connection] == trigger.id { lostConnections[connection] = nil }
    }
    if let place = places[trigger.origin.interface] {
      for family in Family.allCases where interfaces[place][family].lost == trigger.id {
        interfaces[place][family].lost = 0
      }
    }
  }

  /// Lets a trigger of the agent's go by itself after the hold time.
  mutating func hold(_ id: UInt32, _ moment: Moment) {
    let handle = deadlines.add(.hold(trigger: id))
    holds[id] = handle
    deadlines.set(handle, moment.instant.adding(nanoseconds: limits.holdTime))
  }

  mutating func expireHold(_ id: UInt32, _ moment: Moment) {
    removeTrigger(id, .expired, moment)
  }
}
