package import Messages
package import Wire

/// Connecting to a host by name over every provisioning domain at once: RFC 8305 (Happy Eyeballs v2), with the domains
/// as one more thing that addresses differ in. A state machine without clock and socket: it is told what happened and
/// when (nanoseconds, of any clock that does not go back), and says which requests to post, which sockets to close and
/// when to come again.
///
/// - The name is translated in each domain as soon as that is known (RFC 8305 3). IPv4 addresses of a domain wait for
///   its IPv6 ones for the resolution delay, if it can use IPv6 at all.
/// - What is found is put in the order of RFC 6724 6, with the preference of domains; then families and domains take
///   turns (RFC 8305 4): what was tried least comes first, so that neither a dead uplink nor a broken family costs more
///   than one attempt delay.
/// - In a domain with IPv6 alone and a NAT64 (RFC 8781), IPv4 addresses are tried as the addresses that it translates
///   (RFC 8305 7).
/// - Attempts begin one attempt delay apart, or at once where one failed (RFC 8305 5). Addresses and domains may join
///   and go at any time; attempts of a domain that goes are dropped.
/// - The first connection wins.
///
/// Bounds: `maximumDomains`, of each `maximumAddresses`, `maximumAttempts` at a time; what is beyond them is not tried.
package struct HappyEyeballs: Sendable {
  package static let maximumDomains = 64
  package static let maximumAddresses = 32
  package static let maximumSources = 64
  package static let maximumTranslators = 4
  package static let maximumAttempts = 32

  package enum Target: Hashable, Sendable {
    case name([UInt8])
    /// The scope is the interface that a link-local address was given with, 0 for none.
    case address(IPAddress, scope: UInt32)
  }

  /// Times in nanoseconds.
  package struct Settings: Hashable, Sendable {
    /// How long IPv4 waits for IPv6: Resolution Delay.
    package var resolutionDelay: UInt64 = 50_000_000
    /// Connection Attempt Delay. Kept between the two below.
    package var attemptDelay: UInt64 = 250_000_000
    /// Minimum Connection Attempt Delay: 100 ms are recommended, less than 10 ms are not taken.
    package var minimumAttemptDelay: UInt64 = 100_000_000
    /// Maximum Connection Attempt Delay.
    package var maximumAttemptDelay: UInt64 = 2_000_000_000
    /// Where no domain is left that could lead to the host, others are waited for until the deadline.
    package var waitsForNetwork = false

    package init() {}

    fileprivate var delay: UInt64 {
      let least = max(minimumAttemptDelay, 10_000_000)
      return min(max(attemptDelay, least), max(maximumAttemptDelay, least))
    }
  }

  package struct Domain: Hashable, Sendable {
    /// As PVD_ANNOUNCEMENT has it.
    package var pvd: PvDDescription
    package var interface: UInt32

    package init(_ pvd: PvDDescription, interface: UInt32) {
      self.pvd = pvd
      self.interface = interface
    }
  }

  /// What became of one address.
  package enum Fate: Hashable, Sendable {
    /// Its turn has not come.
    case waiting
    case attempted(Transaction)
    case connected
    case failed(Failure)
  }

  package struct Candidate: Hashable, Sendable {
    package var address: IPAddress
    package var scope: UInt32
    package var fate = Fate.waiting
  }

  package enum Translation: Hashable, Sendable {
    /// An address needs none.
    case none
    case running(Transaction)
    case ended(Failure)
  }

  /// What happened in one domain: what a verdict is made of.
  package struct Report: Hashable, Sendable {
    package fileprivate(set) var domain: Domain
    package fileprivate(set) var translation = Translation.none
    package fileprivate(set) var candidates: [Candidate] = []
    /// It went while the race was on.
    package fileprivate(set) var isGone = false

    fileprivate var preference: Int16 = 0
    /// Its addresses; nil until all of them have been told.
    fileprivate var sources: [SourceCandidate]?
    /// What its network's NAT64 embeds IPv4 addresses in.
    fileprivate var translators: [IPPrefix] = []
    /// Until when its IPv4 addresses wait.
    fileprivate var heldUntil: UInt64?
    /// Attempts begun, of each family.
    fileprivate var attempts4 = 0
    fileprivate var attempts6 = 0

    fileprivate init(_ domain: Domain) { self.domain = domain }

    fileprivate var identifier: UInt32 { domain.pvd.identifier }
    fileprivate func source(for address: IPAddress) -> SourceCandidate? {
      guard let sources, let place = SourceCandidate.select(among: sources, for: address) else { return nil }
      // A link-local source leads to nothing beyond its link (rule 2 leaves it as the last resort).
      let source = sources[place]
      return source.address.isLinkLocal && !address.isLinkLocal ? nil : source
    }
    /// IPv4 addresses that it has no source for get others beside them that its NAT64 translates.
    fileprivate mutating func synthesise() {
      guard let sources, !translators.isEmpty, !sources.contains(where: { $0.address.family == .v4 }) else { return }
      for candidate in candidates {
        guard case .v4(let v4) = candidate.address else { continue }
        for prefix in translators {
          guard candidates.count < HappyEyeballs.maximumAddresses,
            let address = IPv6Address(embedding: v4, in: prefix).map({ IPAddress.v6($0) }),
            !candidates.contains(where: { $0.address == address })
          else { continue }
          candidates.append(Candidate(address: address, scope: 0))
        }
      }
    }

    /// Whether IPv6 addresses are worth waiting for.
    fileprivate var hasIPv6: Bool {
      sources?.contains { $0.address.family == .v6 && !$0.address.isLinkLocal } ?? true
    }
    fileprivate var hasFoundIPv6: Bool { candidates.contains { $0.address.family == .v6 } }
    fileprivate var isTranslating: Bool {
      if case .running = translation { true } else { false }
    }
    fileprivate func holds(_ address: IPAddress, at now: UInt64) -> Bool {
      guard address.family == .v4, let heldUntil, now < heldUntil else { return false }
      return isTranslating && hasIPv6 && !hasFoundIPv6
    }
  }

  package struct Winner: Hashable, Sendable {
    package var domain: Domain
    package var transaction: Transaction
    package var destination: SocketAddress
  }

  package enum Outcome: Hashable, Sendable {
    case racing
    case won(Winner)
    /// `reports` say what happened. The number is one of `<errno.h>`: the first attempt's, else why there was none.
    case lost(UInt16)
  }

  /// One line of the verdict.
  package struct Trial: Hashable, Sendable {
    package var domain: Domain
    /// nil: the name came to nothing in this domain.
    package var destination: SocketAddress?
    package var isConnected = false
    /// nil: it is under way.
    package var failure: Failure?
  }

  package let target: Target
  package let port: UInt16
  package let transport: Endpoint.Transport
  package private(set) var outcome = Outcome.racing
  package private(set) var reports: [Report] = []

  private let settings: Settings
  private let deadline: UInt64
  /// Until when the first attempt waits for all domains to be known.
  private let gatherUntil: UInt64
  private var isInStep = false
  /// The last number that it gave a translation or an attempt.
  package private(set) var lastTransaction: UInt32
  private var nextAttempt: UInt64 = 0
  /// Where the attempt before went, for the turns.
  private var last: (family: Family, pvd: UInt32)?
  private var firstFailure: UInt16?
  /// Attempts under way.
  package private(set) var running = 0
  private var requests: [MIFRequest] = []

  package init(
    _ target: Target, port: UInt16, transport: Endpoint.Transport, _ settings: Settings = Settings(),
    deadline: UInt64 = .max, after lastTransaction: UInt32 = 0, at now: UInt64
  ) {
    self.lastTransaction = lastTransaction
    self.target = target
    self.port = port
    self.transport = transport
    self.settings = settings
    self.deadline = deadline
    gatherUntil = now.advanced(settings.resolutionDelay)
  }

  // MARK: What it wants

  /// The next request to post: TRANSLATE_NAME, STOP_TRANSLATING_NAME or CONNECT_TO_ADDRESS.
  package mutating func nextRequest() -> MIFRequest? { requests.isEmpty ? nil : requests.removeFirst() }

  /// When to call `advance` if nothing happens before; nil where time changes nothing.
  package var wakeUp: UInt64? {
    guard outcome == .racing else { return nil }
    var earliest = deadline
    if let release = firstRelease, running < HappyEyeballs.maximumAttempts {
      earliest = min(earliest, max(nextAttempt, isInStep ? 0 : gatherUntil, release))
    }
    return earliest == .max ? nil : earliest
  }

  /// From when on there is something to be tried: 0 for what is not held; nil where there is nothing.
  private var firstRelease: UInt64? {
    var earliest: UInt64?
    for report in reports where !report.isGone {
      for candidate in report.candidates where candidate.fate == .waiting {
        guard report.source(for: candidate.address) != nil else { continue }
        let isHeld = report.holds(candidate.address, at: 0)
        earliest = min(earliest ?? .max, isHeld ? report.heldUntil ?? 0 : 0)
      }
    }
    return earliest
  }

  /// What was tried so far, and why it failed: domain by domain, and where it is lost every address that was found.
  package var trials: [Trial] {
    var isLost = false
    if case .lost = outcome { isLost = true }
    var trials: [Trial] = []
    for report in reports {
      if report.candidates.isEmpty, case .ended(let failure) = report.translation {
        trials.append(Trial(domain: report.domain, failure: failure))
      }
      for candidate in report.candidates {
        var trial = Trial(
          domain: report.domain,
          destination: SocketAddress(candidate.address, port: port, scope: candidate.scope))
        switch candidate.fate {
        case .waiting where !isLost: continue
        case .waiting:
          let hasSource = report.source(for: candidate.address) != nil
          let error =
            report.isGone ? Number.networkDown : hasSource ? Number.cancelled : Number.addressNotAvailable
          trial.failure = Failure(error: error, from: .local)
        case .attempted: break
        case .connected: trial.isConnected = true
        case .failed(let failure): trial.failure = failure
        }
        trials.append(trial)
      }
    }
    return trials
  }

  // MARK: What it is told

  /// A domain is there (or has another name): the name is translated in it.
  package mutating func add(_ domain: Domain, at now: UInt64) {
    guard outcome == .racing else { return }
    if let place = place(of: domain.pvd.identifier) {
      reports[place].domain = domain
      return
    }
    if reports.count >= HappyEyeballs.maximumDomains {
      guard let gone = reports.firstIndex(where: { $0.isGone }) else { return }
      reports.remove(at: gone)
    }
    var report = Report(domain)
    switch target {
    case .name(let name):
      let transaction = open()
      report.translation = .running(transaction)
      requests.append(.translateName(pvd: domain.pvd.identifier, transaction, NodeName(name)))
    case .address(let address, let scope):
      // A scope says which interface is meant.
      if scope == 0 || scope == domain.interface {
        report.candidates.append(
          Candidate(address: address, scope: address.family == .v6 && address.isLinkLocal ? domain.interface : 0))
      }
    }
    reports.append(report)
    advance(at: now)
  }

  /// How much a domain is wanted: the preference of its router (RFC 4191), or what the caller knows better.
  package mutating func prefer(_ preference: Int16, pvd: UInt32, at now: UInt64) {
    guard let place = place(of: pvd) else { return }
    reports[place].preference = preference
  }

  /// All addresses of a domain that can be a source now.
  package mutating func setSources(_ sources: [SourceCandidate], pvd: UInt32, at now: UInt64) {
    guard outcome == .racing, let place = place(of: pvd) else { return }
    reports[place].sources = Array(sources.prefix(HappyEyeballs.maximumSources))
    reports[place].synthesise()
    advance(at: now)
  }

  /// Whether `setTranslators` could lead to something: there are IPv4 addresses, and the domain has IPv6 alone.
  package func needsTranslators(pvd: UInt32) -> Bool {
    guard outcome == .racing, let place = place(of: pvd), let sources = reports[place].sources else { return false }
    return !sources.isEmpty && !sources.contains { $0.address.family == .v4 }
      && reports[place].candidates.contains { $0.address.family == .v4 }
  }

  /// The NAT64 prefixes of a domain's network (PREF64, RFC 8781).
  package mutating func setTranslators(_ prefixes: [IPPrefix], pvd: UInt32, at now: UInt64) {
    guard outcome == .racing, let place = place(of: pvd) else { return }
    reports[place].translators = Array(prefixes.prefix(HappyEyeballs.maximumTranslators))
    reports[place].synthesise()
    advance(at: now)
  }

  /// Whether all domains that exist have been told, with their addresses.
  package mutating func setInStep(_ isInStep: Bool, at now: UInt64) {
    self.isInStep = isInStep
    advance(at: now)
  }

  /// A domain is gone, and its attempts with it.
  package mutating func remove(pvd: UInt32, at now: UInt64) {
    guard outcome == .racing, let place = place(of: pvd) else { return }
    for index in reports[place].candidates.indices {
      guard case .attempted = reports[place].candidates[index].fate else { continue }
      end(place, index, Failure(error: Number.networkDown, from: .local), at: now)
    }
    if case .running(let transaction) = reports[place].translation {
      requests.append(.stopTranslatingName(transaction))
      reports[place].translation = .ended(Failure(error: Number.networkDown, from: .local))
    }
    reports[place].isGone = true
    advance(at: now)
  }

  /// NAME_TRANSLATION.
  package mutating func found(_ address: IPAddress, scope: UInt32 = 0, _ transaction: Transaction, at now: UInt64) {
    guard outcome == .racing, let place = place(ofTranslation: transaction) else { return }
    guard reports[place].candidates.count < HappyEyeballs.maximumAddresses,
      !reports[place].candidates.contains(where: { $0.address == address })
    else { return }
    reports[place].candidates.append(Candidate(address: address, scope: scope))
    reports[place].synthesise()
    if address.family == .v4, reports[place].heldUntil == nil {
      reports[place].heldUntil = now.advanced(settings.resolutionDelay)
    }
    advance(at: now)
  }

  /// NAME_TRANSLATION_ENDED, or an error in its place.
  package mutating func translationEnded(_ transaction: Transaction, _ failure: Failure, at now: UInt64) {
    guard outcome == .racing, let place = place(ofTranslation: transaction) else { return }
    reports[place].translation = .ended(failure)
    advance(at: now)
  }

  /// CONNECTED. True: it has won, and its socket is the result. False: its socket is to be closed.
  package mutating func connected(_ transaction: Transaction, at now: UInt64) -> Bool {
    guard outcome == .racing, let (place, index) = attempt(transaction) else { return false }
    running -= 1
    reports[place].candidates[index].fate = .connected
    let candidate = reports[place].candidates[index]
    settle(
      .won(
        Winner(
          domain: reports[place].domain, transaction: transaction,
          destination: SocketAddress(candidate.address, port: port, scope: candidate.scope))))
    return true
  }

  /// NOT_CONNECTED, or an error in its place.
  package mutating func failed(_ transaction: Transaction, _ failure: Failure, at now: UInt64) {
    guard outcome == .racing, let (place, index) = attempt(transaction) else { return }
    end(place, index, failure, at: now)
    advance(at: now)
  }

  /// Time has passed.
  package mutating func advance(at now: UInt64) {
    guard outcome == .racing else { return }
    if now >= deadline { return settle(.lost(Number.timedOut)) }
    while now >= nextAttempt, isInStep || now >= gatherUntil, running < HappyEyeballs.maximumAttempts,
      let next = choose(at: now)
    {
      begin(next.report, next.candidate, at: now)
    }
    if isLost { settle(.lost(verdict)) }
  }

  /// The caller gives up.
  package mutating func abandon(_ error: UInt16) {
    if outcome == .racing { settle(.lost(error)) }
  }

  // MARK: Attempts

  private mutating func begin(_ place: Int, _ index: Int, at now: UInt64) {
    let transaction = open()
    let candidate = reports[place].candidates[index]
    reports[place].candidates[index].fate = .attempted(transaction)
    if candidate.address.family == .v4 { reports[place].attempts4 += 1 } else { reports[place].attempts6 += 1 }
    running += 1
    last = (candidate.address.family, reports[place].identifier)
    nextAttempt = now.advanced(settings.delay)
    let destination = SocketAddress(candidate.address, port: port, scope: candidate.scope)
    requests.append(
      .connect(
        pvd: reports[place].identifier, transaction, to: Endpoint(transport, .destination, destination), from: nil))
  }

  /// An attempt came to nothing: the next one need not wait.
  private mutating func end(_ place: Int, _ index: Int, _ failure: Failure, at now: UInt64) {
    reports[place].candidates[index].fate = .failed(failure)
    running -= 1
    nextAttempt = now
    if firstFailure == nil, failure.error != 0 { firstFailure = failure.error }
  }

  /// What to try next: of what can be tried now, what has had the fewest turns, then what differs from the attempt
  /// before, then RFC 6724's first.
  private func choose(at now: UInt64) -> (report: Int, candidate: Int)? {
    var candidates: [DestinationCandidate] = []
    var places: [(report: Int, candidate: Int)] = []
    for (place, report) in reports.enumerated() where !report.isGone {
      for (index, candidate) in report.candidates.enumerated() where candidate.fate == .waiting {
        guard let source = report.source(for: candidate.address), !report.holds(candidate.address, at: now) else {
          continue
        }
        candidates.append(
          DestinationCandidate(
            candidate.address, from: source, pvd: report.identifier, preference: report.preference))
        places.append((place, index))
      }
    }
    guard !candidates.isEmpty else { return nil }
    DestinationCandidate.sort(&candidates)
    var best: (turns: Int, likeness: Int, candidate: DestinationCandidate)?
    for candidate in candidates {
      guard let place = place(of: candidate.pvd) else { continue }
      let family = candidate.destination.family
      let turns = family == .v4 ? reports[place].attempts4 : reports[place].attempts6
      var likeness = 0
      if let last {
        if last.family == family { likeness += 2 }
        if last.pvd == candidate.pvd { likeness += 1 }
      }
      if best == nil || (turns, likeness) < (best!.turns, best!.likeness) { best = (turns, likeness, candidate) }
    }
    return best.flatMap { best in
      places.first {
        reports[$0.report].identifier == best.candidate.pvd
          && reports[$0.report].candidates[$0.candidate].address == best.candidate.destination
      }
    }
  }

  // MARK: Bookkeeping

  private mutating func open() -> Transaction {
    lastTransaction &+= 1
    return Transaction(identifier: lastTransaction)
  }

  private func place(of pvd: UInt32) -> Int? { reports.firstIndex { $0.identifier == pvd && !$0.isGone } }
  private func place(ofTranslation transaction: Transaction) -> Int? {
    reports.firstIndex { $0.translation == .running(transaction) }
  }
  private func attempt(_ transaction: Transaction) -> (Int, Int)? {
    for (place, report) in reports.enumerated() {
      if let index = report.candidates.firstIndex(where: { $0.fate == .attempted(transaction) }) {
        return (place, index)
      }
    }
    return nil
  }

  private mutating func settle(_ outcome: Outcome) {
    self.outcome = outcome
    requests.removeAll()
    for report in reports {
      if case .running(let transaction) = report.translation { requests.append(.stopTranslatingName(transaction)) }
    }
  }

  /// Nothing is under way and nothing is left to try.
  private var isLost: Bool {
    guard isInStep, !settings.waitsForNetwork, running == 0 else { return false }
    return choose(at: .max) == nil && !reports.contains { !$0.isGone && $0.isTranslating }
  }

  /// Why it is lost, in one number: that of the first attempt; of an address that no domain has a source for; of a
  /// name that none knows.
  private var verdict: UInt16 {
    if let firstFailure { return firstFailure }
    let present = reports.filter { !$0.isGone }
    if present.isEmpty { return Number.networkUnreachable }
    if present.contains(where: { !$0.candidates.isEmpty }) { return Number.addressNotAvailable }
    for report in present {
      if case .ended(let failure) = report.translation, failure.error != 0 { return failure.error }
    }
    return Number.noSuchEntry
  }

  /// Of `<errno.h>`.
  private enum Number {
    static var noSuchEntry: UInt16 { 2 }
    static var addressNotAvailable: UInt16 { 99 }
    static var networkDown: UInt16 { 100 }
    static var networkUnreachable: UInt16 { 101 }
    static var timedOut: UInt16 { 110 }
    static var cancelled: UInt16 { 125 }
  }
}

extension UInt64 {
  fileprivate func advanced(_ delay: UInt64) -> UInt64 {
    let (sum, isOver) = addingReportingOverflow(delay)
    return isOver ? .max : sum
  }
}
