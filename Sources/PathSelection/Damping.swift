import Provisioning

/// How long a path must have been good before it is gone back to: longer each time that it failed soon after.
struct Damping: Sendable {
  private let least: UInt64
  private let most: UInt64
  private var strikes = 0
  private var last: Instant?

  /// Nanoseconds.
  init(least: UInt64, most: UInt64) {
    self.least = least
    self.most = max(least, most)
  }

  /// For how long, nanoseconds.
  var patience: UInt64 {
    let (doubled, isTooMuch) = least.multipliedReportingOverflow(by: 1 << UInt64(min(max(strikes - 1, 0), 32)))
    return isTooMuch ? most : min(doubled, most)
  }

  /// The earliest moment of the next move: there is one at most in the least time.
  var nextMove: Instant { last.map { $0.adding(nanoseconds: least) } ?? Instant(nanoseconds: 0) }

  mutating func moved(at now: Instant) {
    // Quiet for long enough, what was before doesn't count any more.
    let isSoon = last.map { now < $0.adding(nanoseconds: patience).adding(nanoseconds: 4 * patience) } ?? false
    strikes = isSoon ? strikes + 1 : 1
    last = now
  }
}
