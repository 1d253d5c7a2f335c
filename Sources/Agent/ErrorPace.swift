/// How ICMP errors are waited for. A few wake the loop, each at once. In a flood a wake-up costs many times what the error
/// does that it brings: then their ring is looked at by the clock, and nobody is woken by what comes into it.
package struct ErrorPace {
  /// A flood begins with so many errors within a window,
  private static let most = 32
  private static let window: UInt64 = 1_000_000
  /// and ends when fewer come from one look to the next.
  private static let least = 8
  /// From one look to the next, nanoseconds: as late as an error of a flood can be. Most of what a flood costs are the looks.
  private static let longest: UInt64 = 2_000_000
  /// The same where that would fill the ring by more than a quarter: of the default size it holds what 500,000 frames a
  /// second bring in six of these.
  private static let shortest: UInt64 = 1_000_000

  /// Frames that may wait.
  private let quarter: Int
  private var interval = ErrorPace.longest

  /// `frames`: as many as their ring holds.
  package init(frames: Int) { quarter = frames / 4 }

  private var heard = 0
  private var windowStart: UInt64 = 0
  /// When the ring is looked at next, nanoseconds of CLOCK_BOOTTIME; nil while errors wake the loop.
  package private(set) var nextLook: UInt64?

  /// Takes in how many errors a look brought. True if from now on they wake the loop, or no longer do.
  package mutating func note(_ count: Int, at now: UInt64) -> Bool {
    if let due = nextLook {
      heard += count
      if now < due { return false }
      let isOver = heard < ErrorPace.least
      // As many are to come as came since the last look began; what it leaves for further bites counts for the next one.
      let isFast = heard * Int(ErrorPace.longest / interval) > quarter
      interval = isFast ? ErrorPace.shortest : ErrorPace.longest
      nextLook = isOver ? nil : now + interval
      heard = 0
      return isOver
    }
    if now - windowStart > ErrorPace.window {
      windowStart = now
      heard = 0
    }
    heard += count
    if heard < ErrorPace.most { return false }
    heard = 0
    interval = ErrorPace.shortest
    nextLook = now + interval
    return true
  }
}
