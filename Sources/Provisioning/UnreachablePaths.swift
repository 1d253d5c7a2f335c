import Messages
package import Wire

/// Which kinds of ICMP error make a DEST_UNREACHABLE: a hint for the IKE daemon, never more (RFC 4555 5.4).
package struct UnreachableKinds: OptionSet, Sendable {
  package var rawValue: UInt8
  package init(rawValue: UInt8) { self.rawValue = rawValue }
  package static let network = UnreachableKinds(rawValue: 0x01)
  package static let protocolOrPort = UnreachableKinds(rawValue: 0x02)
  package static let administrative = UnreachableKinds(rawValue: 0x04)
  package static let timeExceeded = UnreachableKinds(rawValue: 0x08)
  package static let packetTooBig = UnreachableKinds(rawValue: 0x10)
  package static let other = UnreachableKinds(rawValue: 0x20)
  package static let `default`: UnreachableKinds = [.network, .administrative]
}

/// The paths that ICMP errors speak of, each with its trigger.
struct UnreachablePaths: ~Copyable, Sendable {
  private let anchor = Anchor()
  /// From one of our addresses to a destination; the interface is the one on which the error arrived.
  struct Key: Equatable, Sendable {
    var local: IPAddress
    var destination: IPAddress
    var interface: UInt32
  }

  struct Path: Sendable {
    let key: Key
    var trigger: UInt32
    var lastHeard: Instant
    var lastTold: Instant
    /// The flow whose packet was quoted when the kernel was last asked, and found it live.
    var flow: ICMPError.Flow
    var lastVerified: Instant
    /// Heard again since it was last told.
    var isFolded = false
    var deadline: Deadlines<TimedSubject>.Handle
  }

  /// Where a path is, as long as it is there.
  struct Place: Equatable, Sendable { fileprivate var row: Int32 }

  /// The error that was last folded, and where: a flood of the same is known by comparing. Forgotten with its path.
  struct Last: Sendable {
    var error: ICMPError
    var interface: UInt32
    var place: Place
  }

  var last: Last? { didSet { packet.forget() } }
  /// A packet that said the same as `last`: bit by bit the same again, it is not decoded.
  var packet = HeldPacket()
  private var paths = HashedRows<Path>()
  private let hash = KeyHash()

  mutating func reserve(_ count: Int) { paths.reserve(count) }
  mutating func stock() { paths.stock() }

  var count: Int { paths.count }
  var isEmpty: Bool { count == 0 }

  func find(_ key: Key) -> Place? { paths.find(hash(key)) { $0.key == key }.map { Place(row: $0) } }

  /// Of a path that is there.
  subscript(place: Place) -> Path {
    get { paths[place.row] }
    _modify { yield &paths[place.row] }
  }

  /// Adds a path whose key has none; `make` is told where it will be.
  mutating func add(_ key: Key, _ make: (Place) -> Path) { paths.add(hash(key)) { make(Place(row: $0)) } }

  mutating func remove(_ place: Place) {
    paths.remove(place.row)
    if last?.place == place { last = nil }
  }

  /// In no order that means anything.
  func forEach(_ body: (Place, Path) -> Void) { paths.forEach { body(Place(row: $0), $1) } }

  private func hash(_ key: Key) -> UInt32 { hash(key.interface, key.local, key.destination) }
}

extension NetworkState {
  /// An ICMP error whose quoted packet claims to be ours. It is believed only for an address that is ours and a flow
  /// that `verify` calls live, and repeats of one path fold into one trigger, told at most once per
  /// `Limits.foldInterval`: a flood multiplies nothing. Repeats for the flow that was found live last are believed for
  /// `Limits.flowInterval` without asking; what is not believed leaves its path as it is.
  ///
  /// - Returns: whether it is the one that was folded last, once more.
  @discardableResult
  package mutating func hear(
    _ error: ICMPError, on interface: UInt32, at moment: Moment, verify: (FlowQuestion) -> FlowVerdict = { _ in .live }
  ) -> Bool {
    count(.icmpErrors)
    if let last = unreachable.last, last.interface == interface, last.error == error, repeatLast(at: moment) {
      return true
    }
    judge(error, on: interface, at: moment, verify: verify)
    return false
  }

  /// An ICMP error that came before, byte by byte. False where it has to be decoded.
  mutating func hearAgain(_ bytes: RawSpan, _ family: Family, _ arrival: Arrival, at moment: Moment) -> Bool {
    guard unreachable.packet.isSame(bytes, family, arrival), repeatLast(at: moment) else { return false }
    count(.icmpErrors)
    return true
  }

  /// The error that was folded last, once more. False if its flow is to be asked for again.
  private mutating func repeatLast(at moment: Moment) -> Bool {
    guard let place = unreachable.last?.place,
      unreachable[place].lastVerified.adding(nanoseconds: limits.flowInterval) > moment.instant
    else { return false }
    count(.icmpFolded)
    triggers.repeat(unreachable[place].trigger, timestamp: moment.timestamp)
    settleFold(place, moment)
    return true
  }

  /// The same for an error that was heard a moment ago, now that its flow is known to have been live.
  package mutating func believe(_ error: ICMPError, on interface: UInt32, at moment: Moment) {
    judge(error, on: interface, at: moment) { _ in .live }
  }

  private mutating func judge(
    _ error: ICMPError, on interface: UInt32, at moment: Moment, verify: (FlowQuestion) -> FlowVerdict
  ) {
    var key = UnreachablePaths.Key(
      local: error.quotedSource, destination: error.quotedDestination, interface: interface)
    // A path that is known is of an address that is ours: with the address it would have gone.
    var found = unreachable.find(key)
    guard found != nil || assumesAddresses || isLocal(error.quotedSource) else {
      return count(.icmpForeignAddress)
    }
    if error.isBelowLeastMTU { return count(.icmpBelowLeastMTU) }
    guard unreachableKinds.contains(UnreachableKinds(error.kind)) else { return count(.icmpKindIgnored) }
    if found == nil, unreachable.count >= limits.unreachablePaths {
      key.destination = error.family == .v4 ? .v4(.unspecified) : .v6(.unspecified)
      found = unreachable.find(key)
    }
    if let place = found {
      let isRenewal = unreachable[place].flow == error.flowIdentity && key.destination == error.quotedDestination
      if !isRenewal || unreachable[place].lastVerified.adding(nanoseconds: limits.flowInterval) <= moment.instant {
        guard isLive(question(error, on: interface, isRenewal: isRenewal), verify) else { return }
        unreachable[place].flow = error.flowIdentity
        unreachable[place].lastVerified = moment.instant
      }
      if key.destination == error.quotedDestination {
        unreachable.last = UnreachablePaths.Last(error: error, interface: interface, place: place)
      } else if unreachable.last?.place == place {
        // The entry for all further destinations: what it says now is this error's.
        unreachable.last = nil
      }
      count(.icmpFolded)
      return fold(error, into: place, moment)
    }
    guard unreachable.count < limits.unreachablePaths * 5 / 4 else { return count(.icmpPathsFull) }
    guard let place = known(interface), isLive(question(error, on: interface, isRenewal: false), verify) else { return }
    var origin = origin(interfaces[place].link, .icmp, moment)
    origin.icmpType = error.type
    origin.icmpCode = error.code
    origin.pvd = domain(holding: key.local, place)
    let isWildcard = key.destination.isUnspecified
    let destination = IPPrefix(key.destination, isWildcard ? 0 : key.destination.family.width)
    let trigger = addTrigger(
      .destinationUnreachable,
      Trigger.Addresses(
        triggerAddress(IPPrefix(key.local, key.local.family.width), interface), triggerAddress(destination, interface)),
      origin)
    unreachable.add(key) { path in
      let deadline = deadlines.add(.path(path))
      deadlines.set(deadline, moment.instant.adding(nanoseconds: limits.holdTime))
      return UnreachablePaths.Path(
        key: key, trigger: trigger, lastHeard: moment.instant, lastTold: moment.instant, flow: error.flowIdentity,
        lastVerified: moment.instant, deadline: deadline)
    }
  }

  private mutating func isLive(_ question: FlowQuestion, _ verify: (FlowQuestion) -> FlowVerdict) -> Bool {
    switch verify(question) {
    case .live: return true
    case .notOurs: count(.icmpFlowNotOurs)
    case .unverified: count(.icmpFlowUnverified)
    }
    return false
  }

  private mutating func fold(_ error: ICMPError, into place: UnreachablePaths.Place, _ moment: Moment) {
    triggers.touch(unreachable[place].trigger) {
      $0.count &+= 1
      $0.icmpType = error.type
      $0.icmpCode = error.code
      $0.timestamp = moment.timestamp
    }
    settleFold(place, moment)
  }

  private mutating func settleFold(_ place: UnreachablePaths.Place, _ moment: Moment) {
    unreachable[place].lastHeard = moment.instant
    let mayTell = unreachable[place].lastTold.adding(nanoseconds: limits.foldInterval)
    if mayTell <= moment.instant {
      tell(place, moment)
    } else if !unreachable[place].isFolded {
      unreachable[place].isFolded = true
      deadlines.set(unreachable[place].deadline, mayTell)
    }
  }

  private mutating func tell(_ place: UnreachablePaths.Place, _ moment: Moment) {
    unreachable[place].isFolded = false
    unreachable[place].lastTold = moment.instant
    modifyTrigger(unreachable[place].trigger) { _ in }
  }

  mutating func expirePath(_ place: UnreachablePaths.Place, _ moment: Moment) {
    let path = unreachable[place]
    let end = path.lastHeard.adding(nanoseconds: limits.holdTime)
    if end <= moment.instant {
      unreachable.remove(place)
      deadlines.remove(path.deadline)
      removeTrigger(path.trigger, .expired, moment)
      return
    }
    if path.isFolded { tell(place, moment) }
    deadlines.set(path.deadline, end)
  }

  /// Takes back what was said of paths whose address or route changed: it may be good again.
  mutating func forgetPaths(_ moment: Moment, where isMeant: (UnreachablePaths.Key) -> Bool) {
    if unreachable.isEmpty { return }
    // In the order in which they were told, not in the table's.
    var meant: [(place: UnreachablePaths.Place, trigger: Trigger)] = []
    unreachable.forEach { place, path in
      if isMeant(path.key), let trigger = triggers[path.trigger] { meant.append((place, trigger)) }
    }
    meant.sort { $0.trigger.serial < $1.trigger.serial }
    for (place, trigger) in meant {
      deadlines.remove(unreachable[place].deadline)
      unreachable.remove(place)
      removeTrigger(trigger.id, .contradicted, moment)
    }
  }
}

extension UnreachableKinds {
  fileprivate init(_ kind: ICMPError.Kind) {
    switch kind {
    case .networkOrHost: self = .network
    case .protocolOrPort: self = .protocolOrPort
    case .administrative: self = .administrative
    case .packetTooBig: self = .packetTooBig
    case .timeExceeded: self = .timeExceeded
    case .other: self = .other
    }
  }
}
