import Agent
import Testing

@Suite struct ErrorPaces {
  private static let millisecond: UInt64 = 1_000_000

  @Test func aFewWakeTheLoop() {
    var pace = ErrorPace(frames: 3072)
    // 30 in one millisecond of two, for ever.
    for round in 1...100 as ClosedRange<UInt64> {
      let isChanged = pace.note(30, at: round * 2 * Self.millisecond)
      #expect(!isChanged)
      #expect(pace.nextLook == nil)
    }
  }

  /// Each look: how many errors, when, whether that changes how they are waited for, and when the next look is due.
  @Test func aFloodIsLookedAtByTheClockUntilItIsOver() {
    var pace = ErrorPace(frames: 3072)
    let start: UInt64 = 5_000_000_000
    let first = start + 10 + Self.millisecond
    let looks: [(count: Int, at: UInt64, isChange: Bool, next: UInt64?)] = [
      (16, start, false, nil),
      (16, start + 10, true, first),
      // Somebody else woke the loop: what is heard then counts for the look that is due.
      (20, start + 100, false, first),
      (0, first, false, first + 2 * Self.millisecond),
      (3, first + 2 * Self.millisecond, true, nil),
      (31, first + 2 * Self.millisecond, false, nil),
    ]
    for look in looks {
      let isChange = pace.note(look.count, at: look.at)
      #expect(isChange == look.isChange)
      #expect(pace.nextLook == look.next)
    }
  }

  /// A ring of 256, of which a quarter may fill from one look to the next. Each look: how many errors it brought, and how many
  /// milliseconds later the next one is due.
  @Test func aFloodThatWouldFillTheRingIsLookedAtMoreOften() {
    var pace = ErrorPace(frames: 256)
    var now: UInt64 = 5_000_000_000
    let isFlood = pace.note(32, at: now)
    #expect(isFlood)
    #expect(pace.nextLook == now + Self.millisecond)
    let looks: [(count: Int, interval: UInt64)] = [
      (40, 1), (33, 1), (32, 2), (64, 2), (65, 1), (200, 1), (8, 2), (16, 2),
    ]
    for look in looks {
      now = pace.nextLook!
      let isOver = pace.note(look.count, at: now)
      #expect(!isOver)
      #expect(pace.nextLook == now + look.interval * Self.millisecond)
    }
    now = pace.nextLook!
    let isOver = pace.note(7, at: now)
    #expect(isOver)
    #expect(pace.nextLook == nil)
  }
}
