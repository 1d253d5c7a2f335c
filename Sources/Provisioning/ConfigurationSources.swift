import Messages
import Wire

/// The sources of configuration of an interface: made, settled after each change, ended when they run out.
extension NetworkState {
  mutating func removeSources(_ place: Int, where isMeant: (ConfigurationSource) -> Bool) {
    interfaces[place].sources.removeAll { source in
      if !isMeant(source) { return false }
      deadlines.remove(source.deadline)
      return true
    }
  }

  /// The place of a source, made if it isn't there. nil, and counted, if there is no room: the established ones stay.
  mutating func source(
    _ identity: ConfigurationSource.Identity, _ place: Int, limit: Int, full: StateCounter
  ) -> Int? {
    if let known = interfaces[place].place(of: identity) { return known }
    let element = identity.element
    if interfaces[place].sources.count(where: { $0.identity.element == element }) >= limit {
      count(full)
      return nil
    }
    lastSerial += 1
    let deadline = deadlines.add(.source(interface: interfaces[place].link.index, serial: lastSerial))
    interfaces[place].sources.append(
      ConfigurationSource(identity: identity, serial: lastSerial, deadline: deadline))
    return interfaces[place].sources.count - 1
  }

  /// As many items as a source may have; more are counted.
  mutating func bounded(_ items: [ConfigurationSource.Item]) -> [ConfigurationSource.Item] {
    var kept: [ConfigurationSource.Item] = []
    for item in items where kept.hasRoom(for: item, limits) { kept.append(item) }
    if kept.count < items.count { count(.itemsFull) }
    return kept
  }

  /// After a source was changed: gone if nothing holds it any more, else its next item runs out at its time. Places of
  /// sources are not valid afterwards.
  mutating func settle(_ index: Int, _ place: Int) {
    let deadline = interfaces[place].sources[index].deadline
    if interfaces[place].sources[index].isAlive {
      deadlines.set(deadline, interfaces[place].sources[index].nextExpiry)
    } else {
      deadlines.remove(deadline)
      interfaces[place].sources.remove(at: index)
    }
  }

  mutating func expireSource(_ interface: UInt32, _ serial: UInt64, _ end: Instant, _ moment: Moment) {
    guard let place = places[interface],
      let index = interfaces[place].sources.firstIndex(where: { $0.serial == serial })
    else { return }
    interfaces[place].sources[index].expire(at: end)
    settle(index, place)
    reconcile(place, moment)
    // A prefix that is gone may make another address the preferred source.
    reconnect(place, moment)
  }
}

extension Interface {
  func place(of identity: ConfigurationSource.Identity) -> Int? {
    for place in sources.indices where sources[place].identity == identity { return place }
    return nil
  }
}
