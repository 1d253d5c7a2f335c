package import Provisioning
package import Wire

/// Decides over which path a host and its IKE peers talk: a pure value. What happens goes in with its time, what is to
/// be done comes out as actions; it has no socket and no clock.
///
/// Nothing that a stranger can forge moves anything: a hint leads to probes of the path in use and of all others at
/// once, and a peer is moved where its path has failed and another one has answered.
package struct PathSelector: Sendable {
  package var uplinks = Uplinks()
  private var peers: [Peer] = []
  private let settings: Settings
  private var nextNumber: UInt32 = 1
  /// To be taken, in order.
  package private(set) var actions: [Action] = []

  package init(_ settings: Settings = Settings()) { self.settings = settings }

  package mutating func takeActions() -> [Action] {
    defer { actions = [] }
    return actions
  }

  /// When `advance` is to be called next.
  package var deadline: Instant {
    var earliest = Instant.never
    for peer in peers { earliest = min(earliest, peer.check?.deadline ?? peer.nextLook, peer.leavesAt ?? .never) }
    return earliest
  }

  /// Where each peer is, and from which address it is spoken to: what a look-up of the kernel's path needs.
  package var associations: [Association] {
    peers.map { Association(peer: $0.address, port: $0.port, local: $0.local) }
  }

  /// Whether packets to a peer are led over a path of our choice.
  package func isMoved(_ peer: IPAddress) -> Bool { peers.contains { $0.address == peer && $0.moved != nil } }

  // MARK: What happens

  /// All IKE_SAs that there are now; of several with the same peer the first one counts.
  package mutating func hear(_ associations: [Association], at now: Instant) {
    for index in peers.indices.reversed() where !associations.contains(where: { $0.peer == peers[index].address }) {
      if peers[index].moved == nil {
        leave(index)
      } else if peers[index].leavesAt == nil {
        peers[index].leavesAt = now.adding(nanoseconds: settings.absence)
      }
    }
    for association in associations {
      if let index = peers.firstIndex(where: { $0.address == association.peer }) {
        peers[index].port = association.port
        peers[index].local = association.local
        peers[index].leavesAt = nil
      } else if peers.count < settings.peers {
        peers.append(Peer(association, settings))
      }
    }
  }

  /// The kernel's word on links, addresses and routes. True where the kernel's path to a peer may be another one now.
  package mutating func hear(_ event: KernelEvent, at now: Instant) -> Bool {
    guard uplinks.apply(event) else { return false }
    for index in peers.indices where peers[index].isRouted {
      if let moved = peers[index].moved {
        if !uplinks.has(moved) {
          restore(index, .pathGone)
          doubt(index, .pathGone, at: now)
        } else if usual(index)?.sharesUplink(with: moved) ?? false {
          restore(index, .needless)
          reconsider(index, at: now)
        }
      } else if let usual = peers[index].usual, !uplinks.mayHave(usual) || !uplinks.isUsable(usual.path) {
        doubt(index, .pathGone, at: now)
      } else if peers[index].isStuck {
        doubt(index, .stuck, at: now)
      }
    }
    return true
  }

  /// What the kernel's routing says: the path to a peer, nil where there is none.
  package mutating func hear(pathTo peer: IPAddress, _ path: Path?, at now: Instant) {
    guard let index = peers.firstIndex(where: { $0.address == peer }) else { return }
    if peers[index].moved == nil {
      peers[index].usual = path.map { Usual(path: $0, isDefault: uplinks.hasDefault($0)) }
    }
    guard peers[index].isRouted else {
      peers[index].isRouted = true
      peers[index].current = path
      peers[index].nextLook = now
      return
    }
    var path = path
    // Until the daemon has followed it still speaks from its old address.
    if let moved = peers[index].moved, path?.sharesUplink(with: moved) ?? false { path = moved }
    guard peers[index].current != path else { return }
    peers[index].current = path
    peers[index].triggers = []
    reconsider(index, at: now)
  }

  package mutating func hear(_ hint: Hint, at now: Instant) {
    for index in peers.indices where peers[index].isRouted {
      let current = peers[index].current
      switch hint {
      case .unreachable(let trigger, let source, let destination):
        guard destination.contains(peers[index].address), current.map({ $0.source == source }) ?? true else { continue }
        // As many as there can be errors with different prefixes.
        if peers[index].triggers.count < 64 { peers[index].triggers.insert(trigger) }
        doubt(index, .unreachable, at: now)
      case .withdrawn(let trigger): peers[index].triggers.remove(trigger)
      case .connectionLost(let interface, let source):
        guard current?.interface == interface || source != nil && current?.source == source else { continue }
        doubt(index, .connectionLost, at: now)
      case .connectionEstablished:
        peers[index].retry = settings.retryInterval
        if peers[index].isStuck {
          doubt(index, .stuck, at: now)
        } else if peers[index].moved != nil {
          look(index, soon: now)
        }
      }
    }
  }

  package mutating func hear(_ outcome: ProbeOutcome, of number: UInt32, at now: Instant) {
    for index in peers.indices {
      guard let probe = peers[index].check?.probes.firstIndex(where: { $0.number == number }),
        let known = peers[index].check?.probes[probe], known.outcome == .waiting
      else { continue }
      settle(index, probe, outcome.isAnswer ? .answered(now.nanoseconds - known.sent.nanoseconds) : outcome)
      return evaluate(index, at: now)
    }
  }

  /// The kernel would not have the move: it is tried again, but ever more rarely.
  package mutating func hear(refusalToMove peer: IPAddress, at now: Instant) {
    guard let index = peers.firstIndex(where: { $0.address == peer }) else { return }
    endCheck(index)
    (peers[index].current, peers[index].moved) = peers[index].former
    peers[index].isStuck = true
    schedule(index, at: now)
  }

  /// Lets time pass.
  package mutating func advance(to now: Instant) {
    for index in peers.indices.reversed() where peers[index].leavesAt.map({ $0 <= now }) ?? false { leave(index) }
    for index in peers.indices {
      guard let check = peers[index].check else {
        if peers[index].nextLook <= now { look(index, at: now) }
        continue
      }
      guard check.deadline <= now else { continue }
      for (place, probe) in check.probes.enumerated() where probe.outcome == .waiting {
        if probe.end <= now {
          settle(index, place, .silent)
        } else if let again = probe.again, again <= now {
          peers[index].check?.probes[place].again = nil
          actions.append(.repeat(number: probe.number))
        }
      }
      evaluate(index, at: now)
    }
  }

  // MARK: Checks

  private mutating func settle(_ index: Int, _ place: Int, _ outcome: ProbeOutcome) {
    guard let probe = peers[index].check?.probes[place] else { return }
    peers[index].check?.probes[place].outcome = outcome
    actions.append(.forget(number: probe.number))
    switch outcome {
    case .answered(let time): peers[index].measured(probe.path, time)
    case .silent: peers[index].measured(probe.path, nil)
    case .waiting, .unreachable, .unsendable: break
    }
  }

  /// Begins a check of all paths, unless one is under way already.
  private mutating func doubt(_ index: Int, _ doubt: Doubt, at now: Instant) {
    let purpose = Check.Purpose.doubt(doubt)
    if let check = peers[index].check, case .doubt = check.purpose, doubt != .pathGone,
      check.isHinted || check.isDecided || !purpose.isHinted
    {
      // What was decided already did not know of it.
      if check.isDecided, doubt == .unreachable { peers[index].hasDoubt = true }
      return
    }
    if doubt == .unreachable, now < peers[index].quietUntil {
      peers[index].hasDoubt = true
      peers[index].nextLook = min(peers[index].nextLook, peers[index].quietUntil)
      return
    }
    begin(index, purpose, at: now)
  }

  /// The path in use is another one now: what was asked of the former one is asked of this.
  private mutating func reconsider(_ index: Int, at now: Instant) {
    let current = peers[index].current
    guard let check = peers[index].check, case .doubt = check.purpose else { return look(index, soon: now) }
    if current == nil || check.probes.contains(where: { $0.path == current }) {
      peers[index].check?.current = current
      evaluate(index, at: now)
    } else {
      begin(index, check.purpose, at: now)
    }
  }

  private mutating func begin(_ index: Int, _ purpose: Check.Purpose, at now: Instant) {
    endCheck(index)
    peers[index].hasDoubt = false
    let peer = peers[index]
    let isHinted = purpose.isHinted || !peer.triggers.isEmpty
    var check = Check(purpose, current: peer.current, isHinted: isHinted)
    var paths = peer.current.map { [$0] } ?? []
    switch purpose {
    case .doubt: paths += uplinks.paths(peer.address.family)
    case .watch: if peer.moved != nil, let usual = usual(index) { paths.append(usual) }
    }
    for path in paths where !check.probes.contains(where: { $0.path == path }) {
      let patience = peer.patience(path, isHinted: isHinted, settings)
      check.probes.append(
        Check.Probe(
          number: nextNumber, path: path, sent: now, again: now.adding(nanoseconds: patience / 4),
          end: now.adding(nanoseconds: patience)))
      actions.append(.probe(number: nextNumber, peer: peer.address, port: peer.port, path))
      nextNumber = nextNumber == .max ? 1 : nextNumber + 1
    }
    peers[index].check = check
    if check.probes.isEmpty { evaluate(index, at: now) }
  }

  private mutating func endCheck(_ index: Int) {
    for probe in peers[index].check?.probes ?? [] where probe.outcome == .waiting {
      actions.append(.forget(number: probe.number))
    }
    peers[index].check = nil
  }

  private mutating func evaluate(_ index: Int, at now: Instant) {
    guard let check = peers[index].check else { return }
    switch check.purpose {
    case .doubt(let doubt):
      if !check.isDecided { decide(index, check, doubt, at: now) }
      // The others' round trips are wanted as well.
      if peers[index].check?.isSettled ?? false {
        peers[index].check = nil
        schedule(index, at: now)
      }
    case .watch:
      if let outcome = check.outcome(of: check.current), outcome.isFailure {
        return begin(index, .doubt(.silence), at: now)
      }
      guard check.isSettled else { return }
      peers[index].check = nil
      watched(index, check, at: now)
    }
  }

  private mutating func decide(_ index: Int, _ check: Check, _ doubt: Doubt, at now: Instant) {
    let failure = check.current.flatMap { check.outcome(of: $0) }
    if case .answered(let time)? = failure {
      peers[index].check?.isDecided = true
      peers[index].isStuck = false
      // A path that is gone has been replaced by the kernel itself.
      if doubt != .unknown, doubt != .pathGone {
        actions.append(.notice(peer: peers[index].address, .lives(doubt, roundTrip: time)))
      }
      return
    }
    guard failure?.isFailure ?? true else { return }
    if failure == .silent, !check.isHinted, check.patience < settings.silence {
      // Congested, perhaps, or further away than was thought.
      return begin(index, check.purpose, at: now)
    }
    if let (path, time) = check.alternative {
      move(index, to: path, Verdict(doubt: doubt, failure: failure, roundTrip: time), at: now)
    } else if check.isSettled {
      giveUp(index, check, doubt, failure, at: now)
    }
  }

  /// No path answers.
  private mutating func giveUp(
    _ index: Int, _ check: Check, _ doubt: Doubt, _ failure: ProbeOutcome?, at now: Instant
  ) {
    peers[index].check?.isDecided = true
    let peer = peers[index]
    // What the kernel itself can't send is gone for certain, and some peers never answer: the next path is as good a
    // guess as any.
    if case .unsendable? = failure, !peer.hasAnswered,
      let path = check.probes.first(where: { $0.path != check.current && $0.outcome == .silent })?.path
    {
      return move(index, to: path, Verdict(doubt: doubt, failure: failure, roundTrip: nil), at: now)
    }
    if !peer.isStuck {
      actions.append(
        .notice(peer: peer.address, peer.hasAnswered ? .noPath(doubt, failure) : .unprovable(failure)))
    }
    peers[index].isStuck = true
  }

  private mutating func watched(_ index: Int, _ check: Check, at now: Instant) {
    if peers[index].moved != nil {
      if let usual = usual(index), let outcome = check.outcome(of: usual), outcome.isAnswer {
        peers[index].retry = settings.retryInterval
        let since = peers[index].goodSince ?? now
        peers[index].goodSince = since
        if since.adding(nanoseconds: peers[index].damping.patience) <= now { restore(index, .pathIsBack, at: now) }
      } else {
        peers[index].goodSince = nil
        peers[index].retry = min(2 * peers[index].retry, settings.retryLimit)
      }
    }
    schedule(index, at: now)
  }

  // MARK: Moves

  private mutating func move(_ index: Int, to path: Path, _ verdict: Verdict, at now: Instant) {
    peers[index].check?.isDecided = true
    if !peers[index].isStuck { peers[index].retry = settings.retryInterval }
    guard peers[index].damping.nextMove <= now else {
      // It is asked again when it is time.
      peers[index].isStuck = true
      return
    }
    let peer = peers[index]
    peers[index].former = (peer.current, peer.moved)
    peers[index].isStuck = false
    peers[index].damping.moved(at: now)
    peers[index].goodSince = nil
    peers[index].triggers = []
    if peer.moved != nil, usual(index)?.sharesUplink(with: path) ?? false {
      restore(index, .pathFailed)
    } else {
      peers[index].moved = path
      actions.append(.move(peer: peer.address, from: peer.current, to: path, verdict))
    }
    peers[index].current = path
  }

  private mutating func restore(_ index: Int, _ reason: Restoration, at now: Instant? = nil) {
    peers[index].current = usual(index)
    peers[index].moved = nil
    peers[index].goodSince = nil
    if let now { peers[index].damping.moved(at: now) }
    actions.append(.restore(peer: peers[index].address, to: peers[index].current, reason))
  }

  /// Where packets to it would go if nothing were done for it: the kernel's choice of then, or else the least metric.
  private func usual(_ index: Int) -> Path? {
    if let usual = peers[index].usual, uplinks.mayHave(usual) { return usual.path }
    return uplinks.usual(peers[index].address.family)
  }

  // MARK: Looking after

  private mutating func look(_ index: Int, at now: Instant) {
    let peer = peers[index]
    let doubt: Doubt? =
      if peer.isStuck { .stuck } else if peer.hasDoubt { .unreachable } else if !peer.hasAnswered { .unknown } else {
        nil
      }
    begin(index, doubt.map { .doubt($0) } ?? .watch, at: now)
  }

  private mutating func look(_ index: Int, soon now: Instant) {
    if case .doubt? = peers[index].check?.purpose { return }
    endCheck(index)
    peers[index].nextLook = now
  }

  private mutating func leave(_ index: Int) {
    endCheck(index)
    if peers[index].moved != nil { actions.append(.restore(peer: peers[index].address, to: usual(index), .peerGone)) }
    peers.remove(at: index)
  }

  private mutating func schedule(_ index: Int, at now: Instant) {
    let peer = peers[index]
    var pause: UInt64? = settings.probeInterval > 0 ? settings.probeInterval : nil
    if peer.isStuck, now < peer.damping.nextMove {
      pause = peer.damping.nextMove.nanoseconds - now.nanoseconds
    } else if peer.isStuck {
      pause = peer.retry
      peers[index].retry = min(2 * peer.retry, settings.retryLimit)
    } else if peer.moved != nil {
      pause = peer.retry
    } else if !peer.triggers.isEmpty {
      pause = min(pause ?? .max, settings.retryInterval)
    }
    peers[index].quietUntil = now.adding(nanoseconds: settings.checkInterval)
    if peer.hasDoubt { pause = min(pause ?? .max, settings.checkInterval) }
    peers[index].nextLook = pause.map { now.adding(nanoseconds: $0) } ?? .never
  }
}
