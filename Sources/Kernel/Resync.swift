/// What is dumped, in this order: a link before its addresses, a route before its gateway's neighbour.
enum Dump: UInt8, CaseIterable, Sendable {
  case links, addresses, routes4, routes6, neighbours
}

struct Dumps: OptionSet, Sendable {
  var rawValue: UInt8
  static let all = Dumps(rawValue: 0x1F)
  init(rawValue: UInt8) { self.rawValue = rawValue }
  init(_ dump: Dump) { rawValue = 1 << dump.rawValue }
  func contains(_ dump: Dump) -> Bool { contains(Dumps(dump)) }

  var first: Dump? {
    for dump in Dump.allCases where contains(dump) { return dump }
    return nil
  }
}

/// Which dump runs, which come next, and when: a pure plan, the socket is elsewhere.
///
/// A cycle is a run through some dumps, one at a time. What it did not bring is swept when the cycle ends, in the
/// reverse order, so that an address goes before its link. What goes wrong while one runs makes one more after it,
/// never two. After some in a row they begin less often, so that a host whose tables are large and never rest spends
/// a quarter of its time on them at most.
struct Resync: Sendable {
  /// A dump that brought nothing for so long is asked for again.
  static let patience: UInt64 = 5_000_000_000
  /// From the beginning of a cycle to the next: four times as long as it takes, and no less than this.
  static let period: UInt64 = 250_000_000
  /// By how much cycles may be ahead of that.
  static let advance: UInt64 = 2_000_000_000
  static let longestPause: UInt64 = 10_000_000_000
  /// An interrupted dump is repeated so often within its cycle.
  static let attempts = 4

  struct Running: Sendable {
    var dump: Dump
    var sequence: UInt32
    var isInterrupted = false
    var lastProgress: UInt64
  }

  /// Stamped on whatever is seen: what bears an older number when the cycle ends is gone.
  private(set) var cycle: UInt32 = 0
  private(set) var running: Running?
  private(set) var wanted = Dumps.all
  private(set) var isInCycle = false
  private var remaining: Dumps = []
  /// Dumps of this cycle that came through whole: their tables are swept.
  private(set) var complete: Dumps = []
  private var failures = 0
  /// Until when the cycles so far would have taken at that pace.
  private var paced: UInt64 = 0
  private var began: UInt64 = 0
  private var notBefore: UInt64 = 0

  /// When something is to be done even if nothing arrives.
  var deadline: UInt64? {
    if let running { return running.lastProgress &+ Self.patience }
    return isInCycle || !wanted.isEmpty ? notBefore : nil
  }

  /// A cycle is wanted, and none runs.
  var isWaiting: Bool { !isInCycle && !wanted.isEmpty }

  mutating func want(_ dumps: Dumps) { wanted.formUnion(dumps) }

  /// Still to come in this cycle, so that nothing of it needs to be asked for singly.
  func isAhead(_ dump: Dump) -> Bool { isInCycle && remaining.contains(dump) && running?.dump != dump }

  /// Begins a cycle if one is wanted and due. True: it did.
  mutating func begin(at now: UInt64) -> Bool {
    guard !isInCycle, !wanted.isEmpty, now >= notBefore else { return false }
    isInCycle = true
    began = now
    cycle &+= 1
    remaining = wanted
    wanted = []
    complete = []
    failures = 0
    return true
  }

  /// The next dump to be asked for now, nil if one runs, none is left, or it is too early.
  func next(at now: UInt64) -> Dump? {
    guard isInCycle, running == nil, now >= notBefore else { return nil }
    return remaining.first
  }

  mutating func started(_ dump: Dump, sequence: UInt32, at now: UInt64) {
    running = Running(dump: dump, sequence: sequence, lastProgress: now)
  }

  /// A part of the running dump came.
  mutating func progressed(isInterrupted: Bool, at now: UInt64) {
    running?.lastProgress = now
    if isInterrupted { running?.isInterrupted = true }
  }

  /// The running dump's end; one that was interrupted has to be repeated.
  mutating func finished(at now: UInt64) {
    guard let ended = running else { return }
    running = nil
    if ended.isInterrupted { return failed(ended.dump, at: now, retry: true) }
    remaining.remove(Dumps(ended.dump))
    complete.insert(Dumps(ended.dump))
    failures = 0
  }

  /// The kernel refused the running dump. `retry`: it may not the next time.
  mutating func refused(retry: Bool, at now: UInt64) {
    guard let ended = running else { return }
    running = nil
    failed(ended.dump, at: now, retry: retry)
  }

  /// True if the running dump has come to a standstill.
  mutating func stalled(at now: UInt64) -> Bool {
    guard let running, now >= running.lastProgress &+ Self.patience else { return false }
    self.running = nil
    failed(running.dump, at: now, retry: true)
    return true
  }

  private mutating func failed(_ dump: Dump, at now: UInt64, retry: Bool) {
    failures += 1
    if retry, failures < Self.attempts {
      notBefore = now &+ Self.pause(failures)
      return
    }
    // Enough for this cycle: nothing of it is swept, and it comes again in a later one.
    remaining.remove(Dumps(dump))
    failures = 0
    if retry { wanted.insert(Dumps(dump)) }
  }

  /// True if the cycle has ended: sweep `complete`, then call `ended`.
  var isDone: Bool { isInCycle && running == nil && remaining.isEmpty }

  mutating func ended(at now: UInt64) {
    isInCycle = false
    paced = max(paced, began) &+ max(Self.period, 4 &* (now &- began))
    // A cycle that was long because the host slept is no reason to wait as long.
    paced = min(paced, now &+ Self.advance &+ Self.longestPause)
    notBefore = max(now, paced &- min(paced, Self.advance))
  }

  /// Before an interrupted dump is repeated.
  private static func pause(_ failures: Int) -> UInt64 { failures <= 2 ? 0 : 50_000_000 }
}
