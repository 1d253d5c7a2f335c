import Capture
import Flows
import Kernel
import Messages
package import Platform
import Provisioning
import Subscribers
import Wire

/// The engine: one thread, one loop, run to completion. A packet or a kernel message is decoded, applied and told
/// before the next one is looked at.
///
/// What is ready is served in this order: control packets (RA, DHCP), the kernel, ICMP errors in bites, subscribers,
/// lifetimes. Control comes before the kernel because the kernel acts on an advertisement after we have it: the
/// address that it makes is to find its provisioning domain there.
package final class Agent {
  private enum Token {
    static let signals: UInt64 = 1
    static let timer: UInt64 = 2
    static let kernel: UInt64 = 3
    static let packets: UInt64 = 4
    static let taps: UInt64 = 5
    static let keeper: UInt64 = 6
    static let fetches: UInt64 = 7
    static let flows: UInt64 = 8
  }

  /// ICMP errors looked at before everybody else has a turn, and at most a few more,
  private static let errorBite = 256
  /// and those before control packets have.
  private static let errorMorsel = 32
  /// Netlink messages likewise.
  private static let kernelBite = 32

  /// Of each table, as long as it may have so many: 6 MB of address space in all. What is larger is copied as it grows, since
  /// a gateway with 64 MB of memory has no 100 MB to give away even on paper.
  private static let rowsReserved = 16_384

  private var state: NetworkState
  private var poller: Poller
  private var timer: Timer
  private let signals: Signals
  private var kernel: KernelState
  private var packets: PacketSockets
  /// The last look at control packets left some, perhaps: the poller says so only when the next one comes.
  private var controlMayWait = false
  private var errorPace: ErrorPace
  private let busyPolls: Bool
  /// nil where an ICMP error need only quote an address of this host's.
  private var flows: FlowCheck?
  private var taps: ClientTaps
  private let followsClients: Bool
  private let keeper: Keeper
  private var errands = ErrandCounts()
  private var fetches = InformationFetches()
  private let subscribers: Subscribers
  /// Held as long as the agent runs.
  private let lock: InstanceLock
  /// The kernel's first dump is through: what comes now is news.
  private var isComplete = false

  /// Opens everything: the network first, so that nothing is missed while the kernel is asked for what there is. The
  /// subscribers' sockets are open then too, but nobody is served before `run` knows what there is: what was there
  /// before is never told as change.
  package init(_ configuration: Configuration, directory: [UInt8]) throws(StartFailure) {
    do throws(SystemFailure) {
      try RuntimeDirectory.create(directory)
    } catch { throw .system(error) }
    let lock = try Agent.lock(directory)
    do throws(SystemFailure) {
      let identity = Process.effectiveUser == 0 ? configuration.identity : nil
      // First of all: the keeper, and what it runs, inherits what is open and what is set.
      var hooks = configuration.hooks
      var noFetcher: SystemFailure?
      do throws(SystemFailure) {
        hooks.fetcher = try InformationFetches.fetcher(configuration, directory, identity)
      } catch { noFetcher = error }
      let keeper = try Agent.keeper(directory, hooks)
      Process.raiseDescriptorLimit()
      Process.returnLargeMemory()
      let signals = try Agent.prepare("signals") { () throws(Errno) in try Signals() }
      let poller = try Agent.prepare("epoll") { () throws(Errno) in try Poller() }
      let timer = try Agent.prepare("a timer") { () throws(Errno) in try Timer() }
      let packets = try PacketSockets(controlRing: configuration.controlRing, errorRing: configuration.errorRing)
      let kernel = try Agent.kernel()
      let flows = configuration.checksFlows ? try Agent.flowCheck() : nil
      let subscribers = try Subscribers(directory: directory, settings: configuration.subscribers)
      try Agent.prepare("epoll") { () throws(Errno) in
        try poller.add(signals.descriptor.number, token: Token.signals, .read)
        try poller.add(timer.descriptor.number, token: Token.timer, .read)
        try poller.add(kernel.descriptor, token: Token.kernel, .read)
        try poller.add(keeper.reports, token: Token.keeper, .read)
      }
      if let identity { try Privileges.drop(to: identity.user, group: identity.group) }
      taps = ClientTaps(keeper: keeper)
      state = NetworkState(limits: configuration.limits, unreachableKinds: configuration.unreachableKinds)
      state.fetchesInformation = hooks.fetcher != nil
      state.reserve(Agent.rowsReserved)
      state.random = RandomTimes(seed: .random(in: 0 ... .max))
      self.keeper = keeper
      followsClients = configuration.followsDHCPClients
      self.lock = lock
      self.signals = signals
      self.poller = poller
      self.timer = timer
      errorPace = ErrorPace(frames: packets.errorFrames)
      self.packets = packets
      busyPolls = configuration.busyPolls
      self.kernel = kernel
      self.flows = flows
      self.subscribers = subscribers
      // Said when nothing else can go wrong: who fails to start says in one line why.
      if let noFetcher { Log.notice("PvD Additional Information is not fetched: \(noFetcher)") }
    } catch { throw .system(error) }
  }

  /// The keeper of an instance that has just ended holds the lock until it has tidied up: half a second for that.
  private static func lock(_ directory: [UInt8]) throws(StartFailure) -> InstanceLock {
    var attempts = 0
    while true {
      attempts += 1
      do throws(LockRefusal) {
        return try InstanceLock(directory: directory)
      } catch {
        switch error {
        case .held where attempts < 20: Clock.sleep(milliseconds: 25)
        case .held(let pid): throw .alreadyRunning(directory: directory, pid: pid)
        case .failed(let failure): throw .system(failure)
        }
      }
    }
  }

  private static func keeper(_ directory: [UInt8], _ hooks: Hooks) throws(SystemFailure) -> Keeper {
    func removeSockets() {
      for name in Subscribers.socketNames { removeFile(directory + name) }
    }
    return try Keeper(hooks: hooks) { request, argument throws(SystemFailure) in
      switch request {
      case .openClientTap: return try ClientTap.open(interface: argument.number)
      case .removeSockets:
        removeSockets()
        return nil
      case .findSecurityAssociation:
        try SecurityAssociations.answer(argument)
        return nil
      }
    } finish: {
      // Also where the engine ended without a word.
      removeSockets()
    }
  }

  private static func flowCheck() throws(SystemFailure) -> FlowCheck {
    let check = try FlowCheck()
    for kind in check.unaskable {
      Log.warning("the kernel can't be asked for flows of \(kind): their ICMP errors are checked by address only")
    }
    if check.ends == nil {
      Log.warning("the kernel doesn't tell which TCP sockets end: ICMP errors that end a connection attempt go untold")
    }
    return check
  }

  private static func kernel() throws(SystemFailure) -> KernelState {
    do throws(KernelError) {
      return try KernelState(at: Clock.bootTime())
    } catch {
      throw SystemFailure("ask the kernel for the network", [], Errno(rawValue: error.code))
    }
  }

  private static func prepare<T: ~Copyable>(
    _ what: StaticString, _ body: () throws(Errno) -> T
  ) throws(SystemFailure) -> T {
    do throws(Errno) {
      return try body()
    } catch {
      throw SystemFailure("prepare", what.bytes, error)
    }
  }
}

extension StaticString {
  fileprivate var bytes: [UInt8] {
    var bytes: [UInt8] = []
    append(self, to: &bytes)
    return bytes
  }
}

/// Why the agent does not run.
package enum StartFailure: Error, Sendable {
  case system(SystemFailure)
  case alreadyRunning(directory: [UInt8], pid: Int32?)
  /// The kernel did not tell within ten seconds what there is.
  case kernelSilent
  case replay([UInt8])
}

// MARK: The loop

extension Agent {
  /// Runs until SIGTERM or SIGINT, then removes the sockets.
  package func run() throws(StartFailure) {
    if try !learnWhatIsThere() { return end() }
    Log.notice("ready")
    Process.releaseStart()
    var hasMore = false
    while true {
      arm()
      let count: Int
      do throws(Errno) {
        count = try busyPolls ? spin() : poller.wait(milliseconds: hasMore || controlMayWait ? 0 : -1)
      } catch {
        throw .system(SystemFailure("wait for events", [], error))
      }
      var isKernelReady = false
      for index in 0..<count {
        let event = poller.event(index)
        switch event.token {
        case Token.kernel: isKernelReady = true
        case Token.packets: if event.hasError { packets.takeErrors() }
        case Token.taps:
          if event.hasError { taps.takeErrors() }
          taps.drain(hear)
        case Token.flows: flows?.hearEnds(at: Clock.bootTime())
        default: break
        }
      }
      hearControl()
      if isKernelReady || hasMore || kernelIsDue { hasMore = try serveKernel() } else { hasMore = false }
      // Before the errors, of which there may be many.
      subscribers.deliver()
      if hearErrors() { hasMore = true }
      subscribers.deliver()
      hearEndedAttempts()
      for index in 0..<count {
        let event = poller.event(index)
        switch event.token {
        case Token.signals: if try handleSignals() { return end() }
        case Token.timer: _ = timer.acknowledge()
        case Token.keeper: heed(event)
        case Token.fetches: takeInformation()
        case Token.kernel, Token.packets, Token.taps, Token.flows: break
        default:
          subscribers.handle(event, &state, at: now(), poller) { body in
            for counter in KernelCounters.Counter.allCases { body(counter.name, kernel.counters[counter]) }
            packets.forEachCounter(body)
            taps.forEachCounter(body)
            errands.forEachCounter(body)
            forEachFlowCounter(body)
          }
        }
      }
      advance()
      runErrands()
      fetches.begin(&state, keeper, poller, token: Token.fetches, at: now)
      subscribers.settle(poller)
      state.stock()
    }
  }

  private func end() {
    do throws(SystemFailure) {
      _ = try keeper.ask(.removeSockets)
    } catch {
      // It is gone; root can do it itself.
      subscribers.removeSockets()
    }
  }

  /// Has the keeper do what connectivity management asks for.
  private func runErrands() {
    while let errand = subscribers.nextErrand() {
      if !keeper.run(errand) { errands.count(errand, .busy) }
    }
  }

  private func takeInformation() {
    let moment = now()
    fetches.take(&state, poller, at: moment)
    subscribers.publish(&state, at: moment)
  }

  /// Hears from the keeper how errands ended, or that it has gone.
  private func heed(_ event: Poller.Event) {
    while let (errand, outcome) = keeper.nextReport() { errands.count(errand, outcome) }
    if !event.isHungUp && !event.hasError { return }
    Log.error("the keeper has ended: no link is set up or down any more, no hook runs, no DHCP client is followed")
    _ = try? poller.remove(keeper.reports)
  }

  private var kernelIsDue: Bool { kernel.deadline.map { $0 <= Clock.bootTime() } ?? false }

  /// Waits for the first dump to be through; packets that arrive meanwhile are heard after it. False if a signal ended
  /// the wait.
  private func learnWhatIsThere() throws(StartFailure) -> Bool {
    let giveUp = Clock.bootTime() + 10_000_000_000
    while !isComplete {
      let now = Clock.bootTime()
      if now >= giveUp { throw .kernelSilent }
      if try serveKernel() { continue }
      if isComplete { break }
      do throws(Errno) {
        try timer.arm(at: min(kernel.deadline ?? giveUp, giveUp))
        _ = try poller.wait()
        _ = timer.acknowledge()
      } catch {
        throw .system(SystemFailure("wait for the kernel", [], error))
      }
      if try handleSignals() { return false }
    }
    state.clearAnnouncements()
    subscribers.learn(state, at: Clock.bootTime())
    do throws(Errno) {
      try packets.watch(poller, token: Token.packets, wakes: !busyPolls)
      if let ends = flows?.ends { try poller.add(ends, token: Token.flows, .read) }
      try subscribers.watch(poller)
    } catch {
      throw .system(SystemFailure("watch the sockets", [], error))
    }
    return true
  }

  /// One timer for the state's lifetimes and the kernel's retries.
  private func arm() {
    var deadline = state.nextDeadline
    if let kernel = kernel.deadline { deadline = min(deadline, Instant(nanoseconds: kernel)) }
    if let look = errorPace.nextLook { deadline = min(deadline, Instant(nanoseconds: look)) }
    if let subscribers = subscribers.deadline { deadline = min(deadline, Instant(nanoseconds: subscribers)) }
    if followsClients, let taps = taps.deadline { deadline = min(deadline, Instant(nanoseconds: taps)) }
    // Fails only for times that no clock has.
    _ = try? timer.arm(at: deadline == .never ? nil : deadline.nanoseconds)
  }

  private func now() -> Moment {
    Moment(Instant(nanoseconds: Clock.bootTime()), timestamp: Clock.realTime())
  }

  private func hear(_ bytes: RawSpan, _ family: Family, _ arrival: Arrival) {
    hear(bytes, family, arrival, at: Instant(nanoseconds: Clock.bootTime()))
  }

  @inline(never)
  private func hear(_ bytes: RawSpan, _ family: Family, _ arrival: Arrival, at instant: Instant) {
    state.hear(bytes, family, arrival, at: instant) { question in
      flows?.verdict(question, at: instant.nanoseconds, keeper) ?? .live
    }
    if !state.announcements.isEmpty {
      subscribers.publish(&state, at: Moment(instant, timestamp: arrival.timestamp))
    }
  }

  /// Hands the control packets that wait to the state. A client's request is heard before the answer to it: both may
  /// have come since the last look.
  private func hearControl() {
    controlMayWait = packets.hearControl { bytes, family, arrival in
      if followsClients, !isICMP(bytes, family) { taps.drain(hear) }
      let before = state.dhcpReplies
      hear(bytes, family, arrival)
      guard followsClients else { return }
      if state.dhcpReplies != before {
        taps.heardServer(on: arrival.interface, state, at: Clock.bootTime(), poller, token: Token.taps)
      } else if !taps.isTapped(arrival.interface), state.expectsDHCPClient(arrival.interface) {
        // A router asks for DHCPv6.
        taps.consider(arrival.interface, state, at: Clock.bootTime(), poller, token: Token.taps)
      }
    }
  }

  /// Hands the ICMP errors that wait to the state, a bite of them at most. True if there may be more.
  private func hearErrors() -> Bool {
    var heard = 0
    var isDrained = false
    while !isDrained, heard < Agent.errorBite {
      // Asked for once: what is heard in one go was there when it began.
      let instant = Instant(nanoseconds: Clock.bootTime())
      let count = packets.hearErrors(limit: Agent.errorMorsel) { hear($0, $1, $2, at: instant) }
      heard += count
      isDrained = count < Agent.errorMorsel
      if !isDrained { hearControl() }
    }
    if !busyPolls, heard > 0 || errorPace.nextLook != nil, errorPace.note(heard, at: Clock.bootTime()) {
      _ = try? packets.watchErrors(poller, token: Token.packets, wakes: errorPace.nextLook == nil)
    }
    return !isDrained
  }

  /// Waits without sleeping (`busy-poll`): looks at the rings, which takes no system call, and now and then at everything
  /// else.
  private func spin() throws(Errno) -> Int {
    while true {
      let count = try poller.wait(milliseconds: 0)
      if count > 0 { return count }
      for _ in 0..<128 {
        if packets.hasWaiting { return 0 }
        Process.relax()
      }
    }
  }

  /// Believes the ICMP errors that were about connections of which the kernel has told meanwhile that they ended.
  private func hearEndedAttempts() {
    while let question = flows?.nextEnded(at: Clock.bootTime) {
      let moment = now()
      state.believe(question.error, on: question.interface, at: moment)
      if !state.announcements.isEmpty { subscribers.publish(&state, at: moment) }
    }
  }

  private func forEachFlowCounter(_ body: (StaticString, UInt64) -> Void) {
    let counters = flows?.counters ?? FlowCounters()
    for counter in FlowCounters.Counter.allCases { body(counter.name, counters[counter]) }
  }

  private func follow(_ event: KernelEvent, _ moment: Moment) {
    // Before everything is known, all links seem to wait for a client: their addresses come later.
    guard followsClients, isComplete else { return }
    let now = moment.instant.nanoseconds
    switch event {
    case .link(let link): taps.consider(link.index, state, at: now, poller, token: Token.taps)
    case .address(let address): taps.consider(address.interface, state, at: now, poller, token: Token.taps)
    case .addressRemoved(let interface, _): taps.consider(interface, state, at: now, poller, token: Token.taps)
    case .linkRemoved(let index): taps.close(index)
    case .snapshotComplete:
      for link in state.links { taps.consider(link.index, state, at: now, poller, token: Token.taps) }
    case .defaultRoute, .defaultRouteRemoved, .neighbour: break
    }
  }

  private func advance() {
    let instant = Clock.bootTime()
    if followsClients, let due = taps.deadline, due <= instant {
      taps.ask(state, at: instant, poller, token: Token.taps)
    }
    if let due = subscribers.deadline, due <= instant { subscribers.advance(at: instant, state, poller) }
    if state.nextDeadline.nanoseconds > instant { return }
    let moment = now()
    state.advance(to: moment)
    subscribers.publish(&state, at: moment)
  }

  private func serveKernel() throws(StartFailure) -> Bool {
    do throws(KernelError) {
      return try kernel.service(limit: Agent.kernelBite, at: Clock.bootTime()) { event in
        // An advertisement that has arrived was there before what the kernel made of it.
        hearControl()
        let moment = now()
        state.apply(event, at: moment)
        if case .snapshotComplete = event { isComplete = true }
        // What was there before is told to nobody; kept to the end, it would be the most of what a large host needs.
        if isComplete { subscribers.publish(&state, at: moment) } else { state.clearAnnouncements() }
        follow(event, moment)
      }
    } catch {
      throw .system(SystemFailure("read from the kernel", [], Errno(rawValue: error.code)))
    }
  }

  /// True if the agent is to end. Rereading the configuration is the keeper's: SIGHUP changes nothing yet.
  private func handleSignals() throws(StartFailure) -> Bool {
    while let signal = signals.next() {
      switch signal {
      case .terminate, .interrupt: return true
      case .hangup: Log.notice("SIGHUP: the configuration is read at the start only")
      }
    }
    return false
  }
}

/// Whether a control packet is plainly a Router Advertisement, so that no client's request can have led to it.
private func isICMP(_ bytes: RawSpan, _ family: Family) -> Bool {
  let nextHeader = 6
  let icmpv6: UInt8 = 58
  guard family == .v6, bytes.byteCount > nextHeader else { return false }
  return unsafe bytes.unsafeLoad(fromByteOffset: nextHeader, as: UInt8.self) == icmpv6
}
