import Provisioning
import Wire

/// What stands between an ICMP error and a question to the kernel: the table of recent answers, then the budget.
struct FlowLedger {
  private var recent = RecentAnswers()
  private var budget = QuestionBudget()
  private(set) var counters = FlowCounters()

  /// - Parameters:
  ///   - now: nanoseconds of CLOCK_BOOTTIME.
  ///   - ask: asks the kernel.
  mutating func verdict(_ question: FlowQuestion, at now: UInt64, ask: () -> FlowAnswer) -> FlowVerdict {
    let error = question.error
    var hasher = Hasher()
    hasher.combine(error.quotedSource)
    hasher.combine(error.quotedDestination)
    // Hashing is seeded at random for each process: strangers can't choose what falls together.
    let pair = hasher
    hasher.combine(error.quotedProtocol)
    hasher.combine(error.flowIdentity)
    hasher.combine(question.interface)
    let fingerprint = UInt64(truncatingIfNeeded: hasher.finalize())
    if let known = recent.verdict(fingerprint, at: now) {
      counters.count(.remembered)
      return known
    }
    let meter = UInt64(truncatingIfNeeded: pair.finalize())
    guard budget.take(meter, weight: FlowLedger.weight(error.flow), isRenewal: question.isRenewal, at: now) else {
      counters.count(.overBudget)
      return .unverified
    }
    counters.count(.asked)
    switch ask() {
    case .live:
      recent.note(fingerprint, isLive: true, at: now)
      return .live
    case .none:
      recent.note(fingerprint, isLive: false, at: now)
      return .notOurs
    case .unknown:
      counters.count(.unanswered)
      return .unverified
    case .unaskable:
      counters.count(.notCheckable)
      return .live
    }
  }

  mutating func count(_ counter: FlowCounters.Counter) { counters.count(counter) }

  /// What a question costs, in look-ups of one socket: sockets that are listed take two files of /proc, an ESP state
  /// two changes of process.
  private static func weight(_ flow: ICMPError.Flow) -> UInt64 {
    switch flow {
    case .tcp, .udp(_, _, nil): 1
    case .echo, .other: 8
    case .udp, .esp: 16
    }
  }
}
