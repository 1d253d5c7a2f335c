package import Messages
package import Platform
package import Provisioning

/// Connectivity management (draft-ietf-mif-api-extension-05, section 3.2.7.26): who needs which interface, and what
/// follows from that. A pure value: requests, connections, ends of subscribers, news of links and time go in, actions
/// come out of `nextAction`.
///
/// *Stakeholders* of an interface are the subscribers that were handed a connection over it, and those that voted on
/// it; they stay so until they end. Where all of them vote, and there is one, the interface can be let go of: that is
/// told, and a grace time later, unless a vote was withdrawn, a hook runs, once.
///
/// Bounds: a stake for each subscriber and interface, what is under way once for each interface.
package struct Connectivity: Sendable {
  package struct Settings: Sendable {
    /// Which interfaces WANTS_TO_CONNECT may set up.
    package var interfaces: [InterfacePattern] = []
    /// From INTERFACE_GOING_AWAY to what it announces, nanoseconds.
    package var graceTime: UInt64 = 1_000_000_000
    /// Which hooks there are.
    package var hooks: Set<Errand.Kind> = []

    package init() {}
  }

  /// What a subscriber tolerates; the second is the stronger one.
  package enum Vote: UInt8, Comparable, Sendable {
    case idle = 1
    case breakable = 2
    package static func < (a: Vote, b: Vote) -> Bool { a.rawValue < b.rawValue }
  }

  package enum Action: Hashable, Sendable {
    case tellGoingUp(UInt32)
    case tellGoingAway(UInt32)
    case run(Errand)
  }

  /// Between two attempts to get one interface up, nanoseconds.
  package static var retryInterval: UInt64 { 5_000_000_000 }
  /// RFC 4861 10: MAX_RTR_SOLICITATIONS, RTR_SOLICITATION_INTERVAL.
  package static var solicitations: Int { 3 }
  package static var solicitationInterval: UInt64 { 4_000_000_000 }
  /// And MAX_RTR_SOLICITATION_DELAY.
  package static var solicitationDelay: UInt64 { 1_000_000_000 }
  /// A link that is coming up is looked at as often for an address to solicit from, and for so long, nanoseconds.
  package static var lookInterval: UInt64 { 250_000_000 }
  package static var lookTime: UInt64 { 30_000_000_000 }

  private let settings: Settings
  private var places: [UInt32: Place] = [:]
  private var voters: [UInt64: Voter] = [:]
  private var actions: [Action] = []
  private var firstAction = 0
  /// When something of what is under way is due.
  private var nextDue: UInt64?

  /// When `advance` is to be called next, nanoseconds; at once while there are actions that nobody has taken.
  package var deadline: UInt64? { firstAction < actions.count ? 0 : nextDue }

  package init(_ settings: Settings = Settings()) { self.settings = settings }

  /// The next thing to do, in order; nil if there is nothing left.
  package mutating func nextAction() -> Action? {
    if firstAction == actions.count {
      if firstAction > 0 { actions.removeAll(keepingCapacity: true) }
      firstAction = 0
      return nil
    }
    firstAction += 1
    return actions[firstAction - 1]
  }

  // MARK: Links

  private struct Place: Sendable {
    enum Phase: Equatable, Sendable {
      case inUse
      /// GOING_AWAY was told, and at this time the hook is due.
      case leaving(UInt64)
      /// This hook has run; not again before a vote is withdrawn.
      case left(Errand.Kind)
    }

    var isUp = false
    var isLoopback = false
    var phase = Phase.inUse
    /// Whether a hook has put it aside, and nobody has used it or got it up again since.
    var isPutAside = false
    /// When somebody has it taken down.
    var downAt: UInt64?
    /// Until then WANTS_TO_CONNECT does nothing here.
    var retryAt: UInt64 = 0
    /// GOING_UP was told, and until then is not to be told again.
    var goingUpUntil: UInt64 = 0
    var soliciting: Soliciting?

    struct Soliciting: Sendable {
      var left = Connectivity.solicitations
      var next: UInt64
      var until: UInt64
    }

    var deadline: UInt64 {
      var deadline = min(downAt ?? .max, soliciting?.next ?? .max)
      if case .leaving(let end) = phase { deadline = min(deadline, end) }
      return deadline
    }
  }

  /// A link exists, or is up or down now.
  package mutating func note(_ link: Link) {
    var place = places[link.index] ?? Place()
    let hadDeadline = place.deadline < .max
    if place.isUp && !link.isUp {
      // Whoever took it down, it is away: what was to happen to it has happened.
      place.phase = .inUse
      place.isPutAside = false
      place.downAt = nil
      place.goingUpUntil = 0
    }
    place.isUp = link.isUp
    place.isLoopback = link.isLoopback
    places[link.index] = place
    if hadDeadline { schedule() }
  }

  package mutating func forget(_ interface: UInt32) {
    let gone = places.removeValue(forKey: interface)
    for who in voters.keys { voters[who]?.own[interface] = nil }
    if let gone, gone.deadline < .max { schedule() }
  }

  /// The kernel says that an interface is up and not running yet. True if that is news.
  package func isGoingUpNews(_ interface: UInt32, at now: UInt64) -> Bool {
    (places[interface]?.goingUpUntil ?? 0) <= now
  }

  // MARK: Votes

  private struct Stake: Sendable {
    var vote: Vote?
  }

  private struct Voter: Sendable {
    /// On interfaces that have no entry in `own`; nil until it voted on all of them.
    var general: Stake?
    var own: [UInt32: Stake] = [:]

    func stake(in interface: UInt32) -> Stake? { own[interface] ?? general }
  }

  /// CONNECTION_IDLE or CONNECTION_CAN_BE_BROKEN on one interface, or with nil on all; replaces what it voted before.
  package mutating func vote(_ vote: Vote, by who: UInt64, on interface: UInt32?, at now: UInt64) {
    var voter = voters[who] ?? Voter()
    if let interface {
      guard places[interface] != nil else { return }
      voter.own[interface] = Stake(vote: vote)
    } else {
      voter.general = Stake(vote: vote)
      voter.own.removeAll()
    }
    voters[who] = voter
    weigh(interface.map { [$0] } ?? places.keys.sorted(), at: now)
  }

  /// A subscriber was handed a connection: what it voted on this interface no longer holds.
  package mutating func connected(_ who: UInt64, over interface: UInt32, at now: UInt64) {
    guard places[interface] != nil else { return }
    voters[who, default: Voter()].own[interface] = Stake()
    places[interface]?.isPutAside = false
    weigh([interface], at: now)
  }

  /// A subscriber is gone, with its votes and its stakes.
  package mutating func end(_ who: UInt64, at now: UInt64) {
    guard let voter = voters.removeValue(forKey: who) else { return }
    weigh(whatConcerned: voter, at: now)
  }

  private mutating func withdraw(_ who: UInt64, at now: UInt64) {
    guard var voter = voters[who] else { return }
    if voter.general != nil { voter.general = Stake() }
    for interface in voter.own.keys { voter.own[interface] = Stake() }
    voters[who] = voter
    weigh(whatConcerned: voter, at: now)
  }

  /// What all stakeholders of an interface tolerate; nil if one of them does not, or there is none.
  private func consensus(on interface: UInt32) -> Vote? {
    var result: Vote?
    for (_, voter) in voters {
      guard let stake = voter.stake(in: interface) else { continue }
      guard let vote = stake.vote else { return nil }
      result = min(result ?? vote, vote)
    }
    return result
  }

  /// The hook that a consensus leads to. Where there is none, nothing would happen, and so nothing is told.
  private func hook(_ vote: Vote?) -> Errand.Kind? {
    guard let vote else { return nil }
    if vote == .breakable, settings.hooks.contains(.breakHook) { return .breakHook }
    return settings.hooks.contains(.idleHook) ? .idleHook : nil
  }

  private mutating func weigh(whatConcerned voter: Voter, at now: UInt64) {
    weigh((voter.general != nil ? Array(places.keys) : Array(voter.own.keys)).sorted(), at: now)
  }

  /// Begins or ends the rounds of these interfaces.
  private mutating func weigh(_ interfaces: [UInt32], at now: UInt64) {
    var isChanged = false
    for interface in interfaces {
      guard let place = places[interface], place.isUp, !place.isLoopback, place.downAt == nil else { continue }
      let hook = hook(consensus(on: interface))
      switch (place.phase, hook) {
      case (.inUse, nil), (.leaving, .some): continue
      case (.leaving, nil), (.left, nil): places[interface]?.phase = .inUse
      case (.left(let last), .some(let hook)) where last == hook || last == .breakHook: continue
      case (.inUse, .some), (.left, .some):
        actions.append(.tellGoingAway(interface))
        places[interface]?.phase = .leaving(now &+ settings.graceTime)
      }
      isChanged = true
    }
    if isChanged { schedule() }
  }

  // MARK: Up and down

  /// WANTS_TO_CONNECT: gets every interface up that may be got up and is of no use yet. `links` are all there are.
  package mutating func wantsToConnect(_ who: UInt64, _ links: [LinkCondition], at now: UInt64) {
    withdraw(who, at: now)
    for link in links {
      guard !link.isLoopback, settings.interfaces.contains(where: { $0.matches(link.name) }),
        var place = places[link.index], place.retryAt <= now, place.downAt == nil,
        !link.isOperational || place.isPutAside
      else { continue }
      place.retryAt = now &+ Connectivity.retryInterval
      if !link.isUp || !link.hasCarrier || place.isPutAside, place.goingUpUntil <= now {
        place.goingUpUntil = place.retryAt
        actions.append(.tellGoingUp(link.index))
      }
      place.isPutAside = false
      if !link.isUp { actions.append(.run(Errand(.setUp, link.index))) }
      if !link.hasRouter, place.soliciting == nil {
        place.soliciting = Place.Soliciting(next: now, until: now &+ Connectivity.lookTime)
      }
      if settings.hooks.contains(.connectHook) { actions.append(.run(Errand(.connectHook, link.index))) }
      places[link.index] = place
    }
    schedule()
  }

  /// The agent has begun: routers that were there before it are asked to say again what only they know.
  package mutating func seekRouters(_ links: [LinkCondition], at now: UInt64) {
    for link in links where link.hasUnheardRouter && places[link.index]?.soliciting == nil {
      // RFC 4861 6.3.7: agents that begin together, after an update of many hosts, don't ask together. The clocks of two
      // hosts have no nanoseconds in common.
      let delay = now % Connectivity.solicitationDelay
      places[link.index]?.soliciting = Place.Soliciting(next: now &+ delay, until: now &+ Connectivity.lookTime)
    }
    schedule()
  }

  /// TAKE_INTERFACE_DOWN: after `grace` nanoseconds, nil for the configured time. Who asks again can only shorten it.
  package mutating func takeDown(_ interface: UInt32, after grace: UInt64?, at now: UInt64) {
    guard var place = places[interface], place.isUp else { return }
    let time = now &+ (grace ?? settings.graceTime)
    if place.downAt == nil { actions.append(.tellGoingAway(interface)) }
    place.downAt = min(place.downAt ?? time, time)
    place.phase = .inUse
    place.soliciting = nil
    places[interface] = place
    schedule()
  }

  // MARK: Time

  /// Does what is due. `condition` says how a link is.
  package mutating func advance(to now: UInt64, _ condition: (UInt32) -> LinkCondition?) {
    guard let nextDue, nextDue <= now else { return }
    for interface in places.keys.sorted() {
      guard var place = places[interface], place.deadline <= now else { continue }
      if let end = place.downAt, end <= now {
        place.downAt = nil
        actions.append(.run(Errand(.setDown, interface)))
      }
      if case .leaving(let end) = place.phase, end <= now {
        if let hook = hook(consensus(on: interface)) {
          place.phase = .left(hook)
          place.isPutAside = true
          actions.append(.run(Errand(hook, interface)))
        } else {
          place.phase = .inUse
        }
      }
      if let soliciting = place.soliciting, soliciting.next <= now {
        place.soliciting = solicit(soliciting, condition(interface), at: now)
      }
      places[interface] = place
    }
    schedule()
  }

  /// RFC 4861 6.3.7: up to three, until a router is known. There is no random delay before the first one of
  /// WANTS_TO_CONNECT: a person or a program has just asked, on this host alone.
  private mutating func solicit(
    _ soliciting: Place.Soliciting, _ condition: LinkCondition?, at now: UInt64
  ) -> Place.Soliciting? {
    guard let condition, !condition.hasRouter || condition.hasUnheardRouter, now < soliciting.until else { return nil }
    var soliciting = soliciting
    guard condition.isUp, condition.hasCarrier, condition.hasLinkLocal else {
      soliciting.next = now &+ Connectivity.lookInterval
      return soliciting
    }
    actions.append(.run(Errand(.solicitRouter, condition.index)))
    soliciting.left -= 1
    soliciting.next = now &+ Connectivity.solicitationInterval
    return soliciting.left > 0 ? soliciting : nil
  }

  private mutating func schedule() {
    var next = UInt64.max
    for (_, place) in places { next = min(next, place.deadline) }
    nextDue = next == .max ? nil : next
  }
}

/// Names of interfaces: one, or with `*` at its end all that begin so.
package struct InterfacePattern: Hashable, Sendable {
  private let prefix: [UInt8]
  private let isOpen: Bool

  /// nil for what no interface can be called.
  package init?(_ text: ArraySlice<UInt8>) {
    isOpen = text.last == UInt8(ascii: "*")
    prefix = Array(isOpen ? text.dropLast() : text)
    let isName = prefix.allSatisfy { $0 > 0x20 && $0 != 0x7F && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "*") }
    if !isName || prefix.count > 15 || (prefix.isEmpty && !isOpen) { return nil }
  }

  package func matches(_ name: InterfaceName) -> Bool {
    let name = name.bytes
    return isOpen ? name.starts(with: prefix) : name == prefix
  }
}
