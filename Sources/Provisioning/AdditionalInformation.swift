package import Messages
import Wire

/// When PvD Additional Information is fetched, and how long it counts (RFC 8801 section 4.1). A fetch is one request, and
/// there is at most one under way on each interface.
extension NetworkState {
  /// The fetches that are due, to be begun now.
  package mutating func takeInformationFetches() -> [InformationFetch] {
    if informationFetches.isEmpty { return [] }
    let taken = informationFetches
    informationFetches.removeAll()
    return taken
  }

  /// A fetch has ended. `moment` has the wall clock's time, which an object's end is told in.
  package mutating func informationFetched(
    _ fetch: InformationFetch, _ report: InformationReport, at moment: Moment
  ) {
    guard let place = places[fetch.interface], let entry = interfaces[place].information.place(fetch.serial),
      case .fetching(let isOutdated) = interfaces[place].information.entries[entry].phase
    else { return }
    interfaces[place].information.entries[entry].phase = .idle
    if isOutdated || !interfaces[place].information.entries[entry].isWanted {
      if interfaces[place].information.entries[entry].isWanted { schedule(entry, place, moment.instant) }
    } else {
      take(report, entry, place, moment)
    }
    arm(entry, place, moment.instant)
    reconcile(place, moment)
  }

  private mutating func take(_ report: InformationReport, _ entry: Int, _ place: Int, _ moment: Moment) {
    let now = moment.instant
    switch report {
    case .known(let expires, let prefixes, let text):
      let wallClock = moment.timestamp / 1_000_000_000
      let known = InformationTable.Known(
        text: text, prefixes: prefixes,
        until: now.adding(nanoseconds: (expires - min(expires, wallClock)).multipliedOrMost(by: 1_000_000_000)))
      guard known.until > now, known.covers(advertisedPrefixes(entry, place)) else { return refuse(entry, place) }
      count(.informationKnown)
      interfaces[place].information.entries[entry].attempts = 0
      interfaces[place].information.entries[entry].known = known
      // "A uniformly random time" in the second half of its life.
      let life = known.until.nanoseconds - now.nanoseconds
      let next = now.adding(nanoseconds: life / 2 + random.next(upTo: life / 2))
      let earliest = interfaces[place].information.entries[entry].earliest
      interfaces[place].information.entries[entry].phase = .waiting(max(next, earliest))
    case .refused: refuse(entry, place)
    case .notReached:
      // The document has no rule for a server that can't be reached: ever more rarely, up to once an hour.
      count(.informationNotReached)
      let attempts = min(interfaces[place].information.entries[entry].attempts, 16)
      interfaces[place].information.entries[entry].attempts = attempts + 1
      let wait = min(InformationTable.interval << UInt64(attempts), InformationTable.longestWait)
      interfaces[place].information.entries[entry].phase = .waiting(
        now.adding(nanoseconds: wait + random.next(upTo: wait / 4)))
    }
  }

  /// "MUST NOT request the information for that PvD ID again for the duration of the local network attachment"
  private mutating func refuse(_ entry: Int, _ place: Int) {
    count(.informationRefused)
    interfaces[place].information.failures += 1
    interfaces[place].information.entries[entry].phase = .refused
  }

  // MARK: What is wanted

  /// Compares what the routers of an interface advertise with what is known or under way.
  mutating func considerInformation(_ place: Int, _ moment: Moment) {
    if !fetchesInformation { return }
    for entry in interfaces[place].information.entries.indices {
      consider(entry, place, moment.instant)
    }
    for source in interfaces[place].sources {
      guard case .explicit(_, let name) = source.identity, source.informationRequest != nil,
        interfaces[place].information.place(name) == nil
      else { continue }
      lastSerial += 1
      let deadline = deadlines.add(.information(interface: interfaces[place].link.index, serial: lastSerial))
      interfaces[place].information.entries.append(
        InformationTable.Entry(name: name, serial: lastSerial, deadline: deadline, isWanted: false))
      consider(interfaces[place].information.entries.count - 1, place, moment.instant)
    }
  }

  private mutating func consider(_ entry: Int, _ place: Int, _ now: Instant) {
    let name = interfaces[place].information.entries[entry].name
    var sequences: [UInt16] = []
    var delay: UInt8 = 0
    for source in interfaces[place].sources {
      guard case .explicit(_, name) = source.identity, let request = source.informationRequest else { continue }
      if !sequences.contains(request.sequence) { sequences.append(request.sequence) }
      delay = max(delay, request.delay)
    }
    let before = interfaces[place].information.entries[entry]
    interfaces[place].information.entries[entry].sequences = sequences
    interfaces[place].information.entries[entry].delay = delay
    interfaces[place].information.entries[entry].isWanted = !sequences.isEmpty
    if let known = before.known, !sequences.isEmpty, !known.covers(advertisedPrefixes(entry, place)) {
      // A router advertises what is not the PvD's: "MUST NOT be used by the host".
      interfaces[place].information.entries[entry].known = nil
      refuse(entry, place)
    }
    // Several routers of a PvD may count apart; a number that none of them had is a new one.
    let isNew = sequences.contains { !before.sequences.contains($0) }
    if sequences.isEmpty || isNew, before.known != nil { interfaces[place].information.entries[entry].known = nil }
    switch interfaces[place].information.entries[entry].phase {
    case .refused: break
    case .fetching(let wasOutdated):
      interfaces[place].information.entries[entry].phase = .fetching(
        isOutdated: wasOutdated || isNew || sequences.isEmpty)
    case .idle: if !sequences.isEmpty { schedule(entry, place, now) }
    case .waiting:
      if sequences.isEmpty {
        interfaces[place].information.entries[entry].phase = .idle
      } else if isNew {
        schedule(entry, place, now)
      }
    }
    arm(entry, place, now)
  }

  /// After "a random time between zero and 2^(10 + Delay) milliseconds".
  private mutating func schedule(_ entry: Int, _ place: Int, _ now: Instant) {
    let most = (UInt64(1) << (10 + UInt64(interfaces[place].information.entries[entry].delay))) * 1_000_000
    let time = now.adding(nanoseconds: random.next(upTo: most))
    let earliest = interfaces[place].information.entries[entry].earliest
    interfaces[place].information.entries[entry].phase = .waiting(max(time, earliest))
  }

  /// The prefixes of the PvD's Prefix Information options.
  private func advertisedPrefixes(_ entry: Int, _ place: Int) -> [IPPrefix] {
    let name = interfaces[place].information.entries[entry].name
    var prefixes: [IPPrefix] = []
    for source in interfaces[place].sources {
      guard case .explicit(_, name) = source.identity else { continue }
      for item in source.items where item.identifier == .prefixes {
        if case .prefix(let prefix, _) = item.value { prefixes.append(prefix) }
      }
    }
    return prefixes
  }

  // MARK: Time

  private mutating func arm(_ entry: Int, _ place: Int, _ now: Instant) {
    let one = interfaces[place].information.entries[entry]
    var next = one.known?.until ?? .never
    switch one.phase {
    case .waiting(let time):
      // What is due already waits for an address, for another fetch, or for the network's turn.
      if time > now { next = min(next, time) } else { next = min(next, laterTurn(place, now)) }
    case .idle where !one.isWanted: next = min(next, max(one.earliest, now))
    case .idle, .fetching, .refused: break
    }
    deadlines.set(one.deadline, next)
  }

  /// When the network may be asked again, if that is not now.
  private func laterTurn(_ place: Int, _ now: Instant) -> Instant {
    let earliest = interfaces[place].information.earliest
    return earliest > now ? earliest : .never
  }

  mutating func informationIsDue(_ interface: UInt32, _ serial: UInt64, _ moment: Moment) {
    guard let place = places[interface], let entry = interfaces[place].information.place(serial) else { return }
    let one = interfaces[place].information.entries[entry]
    if case .idle = one.phase, !one.isWanted, one.earliest <= moment.instant {
      // It was kept only so that the PvD, if it came back, would not be asked too early.
      deadlines.remove(one.deadline)
      interfaces[place].information.entries.remove(at: entry)
      return
    }
    if let known = one.known, known.until <= moment.instant {
      interfaces[place].information.entries[entry].known = nil
      arm(entry, place, moment.instant)
      reconcile(place, moment)
    } else {
      arm(entry, place, moment.instant)
      startInformationFetch(place, moment)
    }
  }

  /// Begins the next fetch that is due on an interface, if it is the network's turn and the PvD has an address to ask
  /// from.
  mutating func startInformationFetch(_ place: Int, _ moment: Moment) {
    if interfaces[place].information.entries.isEmpty || !interfaces[place].link.hasCarrier { return }
    let now = moment.instant
    let table = interfaces[place].information
    if table.failures >= InformationTable.failureLimit { return }
    let isBusy = table.entries.contains { if case .fetching = $0.phase { true } else { false } }
    if isBusy { return }
    var chosen: (entry: Int, domain: ProvisioningDomain, time: Instant)?
    for (entry, one) in table.entries.enumerated() {
      guard case .waiting(let time) = one.phase, time <= now, time < chosen?.time ?? .never,
        let domain = interfaces[place].domains.first(where: { $0.key == .explicit(name: one.name) }),
        !domain.addresses.isEmpty
      else { continue }
      chosen = (entry, domain, time)
    }
    guard let chosen else { return }
    if table.earliest <= now {
      interfaces[place].information.request(chosen.entry, at: now)
      count(.informationRequests)
      informationFetches.append(
        InformationFetch(
          interface: interfaces[place].link.index, pvd: chosen.domain.id, name: chosen.domain.name,
          serial: table.entries[chosen.entry].serial))
    }
    arm(chosen.entry, place, now)
  }

  /// A link has found or lost its network.
  mutating func reattachInformation(_ place: Int, _ moment: Moment) {
    if !interfaces[place].link.hasCarrier { return interfaces[place].information.detach() }
    considerInformation(place, moment)
    startInformationFetch(place, moment)
  }

  mutating func removeInformation(_ place: Int) {
    for entry in interfaces[place].information.entries { deadlines.remove(entry.deadline) }
    interfaces[place].information = InformationTable()
  }
}

extension ConfigurationSource {
  /// The sequence number and the delay of a PvD option with the H flag.
  fileprivate var informationRequest: (sequence: UInt16, delay: UInt8)? {
    for item in items {
      if case .pvd(let flags, let sequence) = item.value {
        return flags & 0x8000 != 0 ? (sequence, UInt8(flags & 0xF)) : nil
      }
    }
    return nil
  }
}

extension UInt64 {
  fileprivate func multipliedOrMost(by other: UInt64) -> UInt64 {
    let (product, overflow) = multipliedReportingOverflow(by: other)
    return overflow ? .max : product
  }
}
