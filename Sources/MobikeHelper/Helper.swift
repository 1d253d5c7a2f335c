import Kernel
import Messages
import PathSelection
package import Platform
import Provisioning
import Sessions
import VICI
import Wire

/// Has an unmodified IKE daemon with MOBIKE leave a path that fails: hears the trigger database and the kernel, asks the
/// daemon which IKE_SAs there are, probes, and changes routes. What it decides is `PathSelector`'s; here is what that
/// hears with and acts by. One thread, one loop.
package final class Helper {
  private enum Token {
    static let signals: UInt64 = 1
    static let timer: UInt64 = 2
    static let triggers: UInt64 = 3
    static let kernel: UInt64 = 4
    static let daemon: UInt64 = 5
    /// And above, the number of a probe.
    static let probe: UInt64 = 1 << 32
  }

  /// Datagrams of the kernel and news of the agent looked at before the others have their turn.
  private static let bite = 256
  private static let firstRetry: UInt64 = 250_000_000
  private static let lastRetry: UInt64 = 5_000_000_000

  private let configuration: Configuration
  private let daemonPath: [UInt8]
  private var poller: Poller
  private var timer: Timer
  private let signals: Signals
  private var kernel: KernelState
  private var triggers: TriggerSession
  private let routes: RouteChanges
  private var daemon: Daemon?
  /// When to try to connect to the daemon.
  private var retryAt: UInt64? = 0
  private var retry = firstRetry
  /// Why it could not be connected to.
  private var hindrance: Errno?
  private var selector: PathSelector
  private var probes = Probes()
  private var names = InterfaceNames()
  private let detours: Detours
  /// The addresses of this host's that the IKE_SAs with a peer have, by peers.
  private var locals: [IPAddress: Set<IPAddress>] = [:]
  /// There are more peers than are looked after.
  private var isFull = false
  /// The kernel has told what there is; before that there are no paths.
  private var isComplete = false
  /// The kernel's choice may have changed.
  private var mustLookUp = true
  private var isConnected = true

  /// Opens all sockets, takes back what an earlier process left behind, and gives up root's privileges but one.
  package init(_ configuration: Configuration, directory: [UInt8], vici: [UInt8]) throws(SystemFailure) {
    self.configuration = configuration
    daemonPath = vici
    selector = PathSelector(configuration.paths)
    let signals = try Helper.prepare("signals") { () throws(Errno) in try Signals() }
    let poller = try Helper.prepare("epoll") { () throws(Errno) in try Poller() }
    let timer = try Helper.prepare("a timer") { () throws(Errno) in try Timer() }
    let routes = try Helper.ask { () throws(KernelError) -> RouteChanges in try RouteChanges() }
    let kernel = try Helper.ask { () throws(KernelError) -> KernelState in try KernelState(at: Clock.bootTime()) }
    try Helper.takeBackLeft(routes)
    if Process.effectiveUser == 0, let identity = configuration.identity {
      let group = if let group = configuration.group { group } else { try Helper.group(of: vici) }
      try Privileges.drop(to: identity, group: group, keeping: .networkAdministration)
    }
    let triggers = try TriggerSession(path: directory + Array("/trigger.sock".utf8), waitsForAgent: true)
    try Helper.prepare("epoll") { () throws(Errno) in
      try poller.add(signals.descriptor.number, token: Token.signals, .read)
      try poller.add(timer.descriptor.number, token: Token.timer, .read)
      try poller.add(triggers.descriptor, token: Token.triggers, .read)
      try poller.add(kernel.descriptor, token: Token.kernel, .read)
    }
    self.signals = signals
    self.poller = poller
    self.timer = timer
    self.routes = routes
    detours = Detours(routes, configuration.means)
    self.kernel = kernel
    self.triggers = triggers
  }

  private static func prepare<T: ~Copyable>(
    _ what: StaticString, _ body: () throws(Errno) -> T
  ) throws(SystemFailure) -> T {
    do throws(Errno) {
      return try body()
    } catch {
      var subject: [UInt8] = []
      append(what, to: &subject)
      throw SystemFailure("set up", subject, error)
    }
  }

  private static func ask<T: ~Copyable>(_ body: () throws(KernelError) -> T) throws(SystemFailure) -> T {
    do throws(KernelError) {
      return try body()
    } catch {
      throw SystemFailure("ask the kernel for the network", [], Errno(rawValue: error.code))
    }
  }

  /// What an earlier process left behind.
  private static func takeBackLeft(_ routes: RouteChanges) throws(SystemFailure) {
    do throws(Errno) {
      let left = try routes.releaseAll()
      if left > 0 { Log.notice("took back \(left) routes that an earlier mif-mobike had left") }
    } catch {
      throw SystemFailure("take routes back", [], error, hint: "it needs root or CAP_NET_ADMIN")
    }
  }

  /// Whose the daemon's socket is; root's where it is not there yet, as charon does it unless it is told otherwise.
  private static func group(of path: [UInt8]) throws(SystemFailure) -> UInt32 {
    do throws(Errno) {
      return try File.group(of: path)
    } catch {
      if error == .noEntry { return 0 }
      throw SystemFailure("look at", path, error)
    }
  }

  // MARK: The loop

  /// Until SIGTERM or SIGINT; then everything is as it was found.
  package func run() throws(SystemFailure) {
    defer { takeBack() }
    do throws(TriggerFailure) {
      try triggers.register(
        TriggerInterest(
          filter: TriggerFilter(types: [
            .destinationUnreachable, .connectionLost, .connectionEstablished, .addressChanged,
          ])))
    } catch {
      // Nobody is there yet: it is said again with each connection.
      guard case .notConnected = error else {
        throw SystemFailure("register for triggers", .protocolError)
      }
    }
    // Those that the configuration names.
    hearAssociations([], asked: 0)
    while true {
      do throws(Errno) {
        try timer.arm(at: deadline)
        let count = try poller.wait()
        for index in 0..<count where try !serve(poller.event(index)) { return }
      } catch {
        throw SystemFailure("wait for what happens", error)
      }
      try advance()
    }
  }

  private var deadline: UInt64? {
    var earliest = selector.deadline.nanoseconds
    if let kernel = kernel.deadline { earliest = min(earliest, kernel) }
    if let daemon = daemon?.deadline { earliest = min(earliest, daemon) }
    if let retryAt { earliest = min(earliest, retryAt) }
    if let detours = detours.deadline { earliest = min(earliest, detours) }
    return earliest == .max ? nil : earliest
  }

  private func serve(_ event: Poller.Event) throws(Errno) -> Bool {
    switch event.token {
    case Token.signals:
      while let signal = signals.next() {
        if signal != .hangup { return false }
      }
    case Token.timer: _ = timer.acknowledge()
    case Token.daemon: hearDaemon()
    case Token.triggers, Token.kernel: break
    default:
      let number = UInt32(truncatingIfNeeded: event.token)
      let outcome = probes.receive(number)
      if outcome != .waiting { selector.hear(outcome, of: number, at: now) }
    }
    return true
  }

  private func advance() throws(SystemFailure) {
    try hearKernel()
    try hearTriggers()
    connectToDaemon()
    detours.advance(to: Clock.bootTime(), &selector.uplinks, names)
    lookUp()
    selector.advance(to: now)
    perform()
  }

  private var now: Instant { Instant(nanoseconds: Clock.bootTime()) }

  // MARK: Hearing

  private func hearKernel() throws(SystemFailure) {
    do throws(KernelError) {
      let (now, time) = (now, Clock.bootTime())
      var hasMore = true
      while hasMore {
        hasMore = try kernel.service(limit: Helper.bite, at: time) { event in
          switch event {
          case .link(let link): names.set(link.name, link.index)
          case .linkRemoved(let index): names.remove(index)
          case .defaultRoute(let route): detours.hear(route)
          case .snapshotComplete: isComplete = true
          default: break
          }
          if selector.hear(event, at: now) { mustLookUp = true }
        }
      }
    } catch {
      throw SystemFailure("read from the kernel", [], Errno(rawValue: error.code))
    }
  }

  private func hearTriggers() throws(SystemFailure) {
    do throws(TriggerFailure) {
      for _ in 0..<Helper.bite {
        guard let happening = try triggers.next() else { return }
        switch happening {
        case .news(.added(let trigger)), .news(.modified(let trigger, _)): hear(trigger)
        case .news(.deleted(let trigger)) where trigger.type == .destinationUnreachable:
          selector.hear(.withdrawn(trigger: trigger.id), at: now)
        case .news(.inStep):
          if !isConnected { Log.notice("mifd is back") }
          isConnected = true
        case .news(.disconnected):
          if isConnected { Log.warning("mifd is gone: paths are watched by probes alone until it is back") }
          isConnected = false
        case .refused(let error):
          throw TriggerFailure.refused(error)
        case .news(.deleted), .answer: break
        }
      }
    } catch {
      switch error {
      case .refused(let number):
        throw SystemFailure(
          "read triggers", [], Errno(rawValue: Int32(number.rawValue)), hint: "trigger-read of mifd's configuration")
      case .system(let errno): throw SystemFailure("read triggers", errno)
      default: break
      }
    }
  }

  private func hear(_ trigger: TriggerRecord) {
    // What other programs say is not the agent's word; theirs have their user for a PvD.
    guard let origin = trigger.origin,
      origin.source != .client || configuration.trustedUsers.contains(origin.pvd)
    else { return }
    switch trigger.type {
    case .destinationUnreachable:
      guard trigger.addresses.count == 2 else { return }
      let destination = IPPrefix(trigger.addresses[1].address, trigger.addresses[1].prefixLength)
      selector.hear(
        .unreachable(trigger: trigger.id, source: trigger.addresses[0].address, destination), at: now)
    case .connectionLost:
      selector.hear(
        .connectionLost(interface: origin.interface, trigger.addresses.first?.address), at: now)
    default: selector.hear(.connectionEstablished, at: now)
    }
  }

  private func connectToDaemon() {
    let time = Clock.bootTime()
    do throws(Errno) { try daemon?.advance(to: time, isMoving: detours.isWaiting) } catch { dropDaemon(.failed(error)) }
    guard let due = retryAt, due <= time else { return }
    do throws(SystemFailure) {
      let connected = try Daemon(daemonPath, at: time)
      do throws(Errno) {
        try poller.add(connected.descriptor.number, token: Token.daemon, .read)
      } catch { throw SystemFailure("wait for", daemonPath, error) }
      daemon = consume connected
      retryAt = nil
      retry = Helper.firstRetry
      hindrance = nil
      Log.notice("connected to the IKE daemon at \(daemonPath)")
    } catch {
      // Each reason is said once; then it is tried until it is there.
      if hindrance != error.errno { Log.warning("\(error)") }
      hindrance = error.errno
      retryAt = time + retry
      retry = min(2 * retry, Helper.lastRetry)
    }
  }

  private func hearDaemon() {
    while let word = daemon?.receive(at: Clock.bootTime()) {
      switch word {
      case .associations(let associations, let asked): hearAssociations(associations, asked: asked)
      case .moving(let update):
        // Which of several it is the list tells.
        if locals[update.remote]?.count == 1 { locals[update.remote] = [update.local] }
        detours.hear(locals, asked: 0, selector.uplinks)
      case .gone(let reason): return dropDaemon(reason)
      }
    }
  }

  private func dropDaemon(_ reason: Daemon.Reason) {
    daemon = nil
    retryAt = Clock.bootTime() + Helper.firstRetry
    retry = 2 * Helper.firstRetry
    switch reason {
    case .closed: Log.warning("the IKE daemon has closed the connection")
    case .failed(let errno): Log.warning("the connection to the IKE daemon failed: \(errno)")
    case .refused: Log.error("what the IKE daemon says is no VICI")
    }
    hearAssociations([], asked: 0)
  }

  private func hearAssociations(_ all: [SecurityAssociation], asked: UInt64) {
    var wanted = configuration.peers
    locals = [:]
    for association in all where association.isEstablished {
      let isFirst = locals[association.remote] == nil
      locals[association.remote, default: []].insert(association.local)
      guard isFirst else { continue }
      let known = wanted.firstIndex { $0.peer == association.remote }
      let told = Association(peer: association.remote, port: association.remotePort, local: association.local)
      if let known { wanted[known] = told } else { wanted.append(told) }
    }
    detours.hear(locals, asked: asked, selector.uplinks)
    let limit = configuration.paths.peers
    if wanted.count > limit, !isFull {
      Log.warning("\(wanted.count) peers, and only the first \(limit) are looked after")
    }
    isFull = wanted.count > limit
    selector.hear(wanted, at: now)
    mustLookUp = true
  }

  /// Asks the kernel over which path it sends to each peer.
  private func lookUp() {
    guard mustLookUp, isComplete else { return }
    mustLookUp = false
    for association in selector.associations {
      let via = routes.route(to: association.peer, from: association.local)
      let path = via.flatMap { via in
        via.source.map { Path(interface: via.interface, gateway: via.gateway, source: $0) }
      }
      selector.hear(pathTo: association.peer, path, at: now)
    }
  }

  // MARK: Acting

  private func perform() {
    // What can't be sent is known at once, and leads to further actions.
    var actions = selector.takeActions()
    while !actions.isEmpty {
      for action in actions { perform(action) }
      actions = selector.takeActions()
    }
  }

  private func perform(_ action: Action) {
    switch action {
    case .probe(let number, let peer, let port, let path):
      let outcome = send(number, peer, port, path)
      if outcome != .waiting { selector.hear(outcome, of: number, at: now) }
    case .repeat(let number):
      let outcome = probes.sendAgain(number)
      if outcome != .waiting { selector.hear(outcome, of: number, at: now) }
    case .forget(let number): forget(number)
    case .move(let peer, let former, let path, let verdict): move(peer, former, path, verdict)
    case .restore(let peer, let path, let reason): restore(peer, path, reason)
    case .notice(let peer, let notice): tell(peer, notice)
    }
  }

  private func send(_ number: UInt32, _ peer: IPAddress, _ port: UInt16, _ path: Path) -> ProbeOutcome {
    var mark: UInt32 = 0
    if !selector.uplinks.isAlone(path) {
      do throws(Errno) {
        mark = try routes.mark(
          for: RouteVia(interface: path.interface, gateway: path.gateway, source: nil), path.source.family)
      } catch {
        return error.isLocal ? .unsendable(errno: error.rawValue) : .waiting
      }
    }
    return probes.send(
      number, to: peer, port: port, path, mark: mark, in: poller, token: Token.probe | UInt64(number))
  }

  private func forget(_ number: UInt32) {
    guard let mark = probes.forget(number) else { return }
    do throws(Errno) {
      try routes.release(mark: mark)
    } catch {
      Log.error("the route for a probe can't be taken back: \(error)")
    }
  }

  private func move(_ peer: IPAddress, _ former: Path?, _ path: Path, _ verdict: Verdict) {
    let failure = verdict.failure
    if let time = verdict.roundTrip {
      Log.notice(
        "\(peer): led over \(path, names), which answers in \(nanoseconds: time): \(verdict.doubt), and \(failure)")
    } else {
      Log.notice("\(peer): led over \(path, names), unproven: \(verdict.doubt), and \(failure)")
    }
    do throws(Errno) {
      try detours.lead(peer, over: path)
    } catch {
      Log.error("\(peer) can't be led over \(path, names): \(error)")
      mustLookUp = true
      return selector.hear(refusalToMove: peer, at: now)
    }
    changed(peer, from: former, to: path)
  }

  private func restore(_ peer: IPAddress, _ usual: Path?, _ reason: Restoration) {
    guard let path = detours.path(to: peer) else { return }
    do throws(Errno) {
      try detours.release(peer)
      Log.notice("\(peer): no longer led over \(path, names): \(reason)")
    } catch {
      Log.error("the route to \(peer) can't be taken back: \(error)")
    }
    let isMove = reason == .pathIsBack || reason == .pathFailed
    changed(peer, from: path, to: isMove ? usual : nil)
  }

  /// The daemon is to follow.
  private func changed(_ peer: IPAddress, from former: Path?, to path: Path?) {
    mustLookUp = true
    daemon?.askSoon(at: Clock.bootTime())
    detours.expectNothing(of: peer)
    if let former, let path, let local = locals[peer] {
      detours.expect(peer, local, from: former, to: path, selector.uplinks, at: Clock.bootTime())
    }
  }

  private func tell(_ peer: IPAddress, _ notice: Notice) {
    switch notice {
    case .lives(let doubt, let time):
      Log.notice("\(peer): not moved, its path answers in \(nanoseconds: time), though \(doubt)")
    case .noPath(let doubt, let failure):
      Log.warning("\(peer): \(doubt), and \(failure); no other path answers")
    case .unprovable(let failure):
      Log.warning("\(peer): never answered a probe (\(failure)): what ICMP errors say of it can't be checked")
    }
  }

  /// At the end.
  private func takeBack() {
    do throws(Errno) {
      try detours.takeBack()
    } catch {
      Log.error("what was changed can't be taken back: \(error) (the next mif-mobike tries again)")
    }
  }
}
