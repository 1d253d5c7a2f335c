/// How many questions may be asked: so many a second in all, fewer for one pair of addresses, so that a flood about one
/// path leaves room for the others. Pairs that fall on one of the 1024 meters share it.
///
/// A meter is when its allowance would be used up (the generic cell rate algorithm): 8 bytes.
struct QuestionBudget {
  struct Rate {
    /// Nanoseconds from one question to the next.
    var interval: UInt64
    /// How many may come at once.
    var burst: UInt64
  }

  static let all = Rate(interval: 125_000, burst: 512)
  static let pair = Rate(interval: 1_000_000, burst: 128)
  /// For flows that have a trigger: a flood can't keep one from being renewed.
  static let renewals = Rate(interval: 250_000, burst: 512)
  static let meters = 1024

  private var total: UInt64 = 0
  private var renewed: UInt64 = 0
  private var pairs = [UInt64](repeating: 0, count: meters)

  /// - Parameters:
  ///   - pair: a hash of the two addresses.
  ///   - weight: what the question costs, in look-ups of a socket.
  mutating func take(_ pair: UInt64, weight: UInt64, isRenewal: Bool, at now: UInt64) -> Bool {
    if isRenewal, QuestionBudget.take(&renewed, QuestionBudget.renewals, weight, now) { return true }
    let meter = Int(truncatingIfNeeded: pair % UInt64(QuestionBudget.meters))
    return QuestionBudget.take(&pairs[meter], QuestionBudget.pair, weight, now)
      && QuestionBudget.take(&total, QuestionBudget.all, weight, now)
  }

  private static func take(_ meter: inout UInt64, _ rate: Rate, _ weight: UInt64, _ now: UInt64) -> Bool {
    let start = max(meter, now)
    let next = start + rate.interval * weight
    if next - now > rate.interval * rate.burst { return false }
    meter = next
    return true
  }
}
