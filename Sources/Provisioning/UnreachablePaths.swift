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

/// The paths that an ICMP error speaks of, each with its trigger.
struct UnreachablePaths: Sendable {
  /// From one of our addresses to a destination; the interface is the one on which the error arrived.
  struct Key: Hashable, Sendable {
    var local: IPAddress
    var destination: IPAddress
    var interface: UInt32
  }

  struct Path: Sendable {
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

  /// The error that was last folded, and where: a flood of the same is known by comparing. Forgotten when `paths` gets another
  /// key or loses one.
  struct Last: Sendable {
    var error: ICMPError
    var interface: UInt32
    var index: Dictionary<Key, Path>.Index
  }

  private(set) var paths: [Key: Path] = [:]
  var last: Last?

  /// Of a path that is there.
  subscript(index: Dictionary<Key, Path>.Index) -> Path {
    get { paths.values[index] }
    _modify { yield &paths.values[index] }
  }

  mutating func add(_ path: Path, for key: Key) {
    last = nil
    paths[key] = path
  }

  mutating func remove(_ key: Key) -> Path? {
    last = nil
    return paths.removeValue(forKey: key)
  }
}

extension NetworkState {
  /// An ICMP error whose quoted packet claims to be ours. It is believed only for an address that is ours and a flow
  /// that `verify` calls live, and repeats of one path fold into one trigger, told at most once per
  /// `Limits.foldInterval`: a flood multiplies nothing. Repeats for the flow that was found live last are believed for
  /// `Limits.flowInterval` without asking; what is not believed leaves its path as it is.
  package mutating func hear(
    _ error: ICMPError, on interface: UInt32, at moment: Moment, verify: (FlowQuestion) -> FlowVerdict = { _ in .live }
  ) {
    count(.icmpErrors)
    judge(error, on: interface, at: moment, verify: verify)
  }

  /// The same for an error that was heard a moment ago, now that its flow is known to have been live.
  package mutating func believe(_ error: ICMPError, on interface: UInt32, at moment: Moment) {
    judge(error, on: interface, at: moment) { _ in .live }
  }

  private mutating func judge(
    _ error: ICMPError, on interface: UInt32, at moment: Moment, verify: (FlowQuestion) -> FlowVerdict
  ) {
    if let last = unreachable.last, last.interface == interface, last.error == error,
      unreachable[last.index].lastVerified.adding(nanoseconds: limits.flowInterval) > moment.instant
    {
      count(.icmpFolded)
      return fold(error, into: last.index, moment)
    }
    var key = UnreachablePaths.Key(
      local: error.quotedSource, destination: error.quotedDestination, interface: interface)
    // A path that is known is of an address that is ours: with the address it would have gone.
    var found = unreachable.paths.index(forKey: key)
    guard found != nil || assumesAddresses || localAddresses[error.quotedSource.asIPv6] != nil else {
      return count(.icmpForeignAddress)
    }
    if error.isBelowLeastMTU { return count(.icmpBelowLeastMTU) }
    guard unreachableKinds.contains(UnreachableKinds(error.kind)) else { return count(.icmpKindIgnored) }
    if found == nil, unreachable.paths.count >= limits.unreachablePaths {
      key.destination = error.family == .v4 ? .v4(.unspecified) : .v6(.unspecified)
      found = unreachable.paths.index(forKey: key)
    }
    if let index = found {
      let path = unreachable[index]
      let isRenewal = path.flow == error.flowIdentity && key.destination == error.quotedDestination
      if !isRenewal || path.lastVerified.adding(nanoseconds: limits.flowInterval) <= moment.instant {
        guard isLive(question(error, on: interface, isRenewal: isRenewal), verify) else { return }
        unreachable[index].flow = error.flowIdentity
        unreachable[index].lastVerified = moment.instant
      }
      if key.destination == error.quotedDestination {
        unreachable.last = UnreachablePaths.Last(error: error, interface: interface, index: index)
      }
      count(.icmpFolded)
      fold(error, into: index, moment)
      return
    }
    guard unreachable.paths.count < limits.unreachablePaths * 5 / 4 else { return count(.icmpPathsFull) }
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
    let deadline = deadlines.add(.path(key))
    deadlines.set(deadline, moment.instant.adding(nanoseconds: limits.holdTime))
    unreachable.add(
      UnreachablePaths.Path(
        trigger: trigger, lastHeard: moment.instant, lastTold: moment.instant, flow: error.flowIdentity,
        lastVerified: moment.instant, deadline: deadline),
      for: key)
  }

  private mutating func isLive(_ question: FlowQuestion, _ verify: (FlowQuestion) -> FlowVerdict) -> Bool {
    switch verify(question) {
    case .live: return true
    case .notOurs: count(.icmpFlowNotOurs)
    case .unverified: count(.icmpFlowUnverified)
    }
    return false
  }

  private mutating func fold(
    _ error: ICMPError, into index: Dictionary<UnreachablePaths.Key, UnreachablePaths.Path>.Index, _ moment: Moment
  ) {
    let path = unreachable[index]
    unreachable[index].lastHeard = moment.instant
    triggers.touch(path.trigger) {
      $0.count &+= 1
      $0.icmpType = error.type
      $0.icmpCode = error.code
      $0.timestamp = moment.timestamp
    }
    let mayTell = path.lastTold.adding(nanoseconds: limits.foldInterval)
    if mayTell <= moment.instant {
      tell(index, moment)
    } else if !path.isFolded {
      unreachable[index].isFolded = true
      deadlines.set(path.deadline, mayTell)
    }
  }

  private mutating func tell(
    _ index: Dictionary<UnreachablePaths.Key, UnreachablePaths.Path>.Index, _ moment: Moment
  ) {
    unreachable[index].isFolded = false
    unreachable[index].lastTold = moment.instant
    modifyTrigger(unreachable[index].trigger) { _ in }
  }

  mutating func expirePath(_ key: UnreachablePaths.Key, _ moment: Moment) {
    guard let index = unreachable.paths.index(forKey: key) else { return }
    let path = unreachable[index]
    let end = path.lastHeard.adding(nanoseconds: limits.holdTime)
    if end <= moment.instant {
      _ = unreachable.remove(key)
      deadlines.remove(path.deadline)
      removeTrigger(path.trigger, .expired, moment)
      return
    }
    if path.isFolded { tell(index, moment) }
    deadlines.set(path.deadline, end)
  }

  /// Takes back what was said of paths whose address or route changed: it may be good again.
  mutating func forgetPaths(_ moment: Moment, where isMeant: (UnreachablePaths.Key) -> Bool) {
    if unreachable.paths.isEmpty { return }
    // In the order in which they were told, not in the dictionary's.
    var meant: [(key: UnreachablePaths.Key, trigger: Trigger)] = []
    for (key, path) in unreachable.paths where isMeant(key) {
      if let trigger = triggers[path.trigger] { meant.append((key, trigger)) }
    }
    meant.sort { $0.trigger.serial < $1.trigger.serial }
    for (key, trigger) in meant {
      guard let path = unreachable.remove(key) else { continue }
      deadlines.remove(path.deadline)
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
