import Testing

@testable import Provisioning

/// Lifetimes: the order in which they end, what never ends, and what it costs.
@Suite struct DeadlineTests {
  /// A generator of its own, so that each run is the same.
  private struct Numbers {
    var state: UInt64 = 88_172_645_463_325_252
    mutating func next(below limit: UInt64) -> UInt64 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return state % limit
    }
  }

  /// A list that is searched from end to end would take minutes.
  @Test func `A hundred thousand deadlines, moved and cleared, come in exact order`() {
    var numbers = Numbers()
    var deadlines = Deadlines<Int>()
    var expected: [(end: UInt64, order: Int, subject: Int)] = []
    let handles = (0..<100_000).map { deadlines.add($0) }
    var ends = [UInt64?](repeating: nil, count: handles.count)
    var order = [Int](repeating: 0, count: handles.count)
    for step in 0..<200_000 {
      let subject = Int(numbers.next(below: 100_000))
      let end = numbers.next(below: 50_000)
      let isCleared = numbers.next(below: 8) == 0
      deadlines.set(handles[subject], isCleared ? .never : Instant(nanoseconds: end))
      // Setting what is set keeps its place.
      if isCleared || ends[subject] != end { order[subject] = step }
      ends[subject] = isCleared ? nil : end
    }
    for (subject, end) in ends.enumerated() { if let end { expected.append((end, order[subject], subject)) } }
    expected.sort { ($0.end, $0.order) < ($1.end, $1.order) }
    var came: [Int] = []
    while let subject = deadlines.due(Instant(nanoseconds: 50_000)) { came.append(subject) }
    #expect(came == expected.map(\.subject))
    #expect(deadlines.next == .never)
  }

  @Test func `Nothing is due before its time, and handles are used anew`() {
    var deadlines = Deadlines<Int>()
    let first = deadlines.add(1)
    deadlines.set(first, Instant(nanoseconds: 10))
    #expect(deadlines.due(Instant(nanoseconds: 9)) == nil)
    #expect(deadlines.due(Instant(nanoseconds: 10)) == 1)
    deadlines.remove(first)
    for round in 0..<1000 {
      let handle = deadlines.add(round)
      deadlines.set(handle, Instant(nanoseconds: 5))
      deadlines.remove(handle)
    }
    #expect(deadlines.count == 0)
    #expect(deadlines.next == .never)
  }

  @Test(
    arguments: [
      (.max, 5, .max), (.max - 1, 0, 4_294_967_294_000_000_000), (.max - 1, .max - 1, .max), (0, 7, 7),
    ] as [(seconds: UInt32, at: UInt64, end: UInt64)])
  func `A lifetime never wraps around: past the clock's end it is for ever (RFC 4861, 4.6.2)`(
    _ lifetime: (seconds: UInt32, at: UInt64, end: UInt64)
  ) {
    #expect(
      Instant(nanoseconds: lifetime.at).adding(lifetime: lifetime.seconds) == Instant(nanoseconds: lifetime.end))
  }

  @Test(
    arguments: [
      (.max, .max), (.max - 1, .max - 1), (1_000_000_001, 2), (1, 1), (0, 0),
    ] as [(end: UInt64, left: UInt32)])
  func `What is left is rounded up, and no end but for ever reads as for ever`(_ time: (end: UInt64, left: UInt32)) {
    #expect(Instant(nanoseconds: 0).lifetime(until: Instant(nanoseconds: time.end)) == time.left)
  }
}
