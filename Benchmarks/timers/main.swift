import Platform
import Provisioning

// Deadlines, as many as a large host has and a thousand of them. Prints "name nanoseconds" per operation: the least of
// five rounds.

/// Numbers that are the same in each run (xorshift).
struct Numbers {
  var state: UInt64 = 0x9E37_79B9_7F4A_7C15

  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }
}

/// Among so many deadlines: moves one at a time to another time, as a Router Advertisement does that renews a lifetime;
/// and lets the earliest one pass and sets it anew.
func measure(_ count: Int, _ repetitions: Int) {
  var numbers = Numbers()
  var deadlines = Deadlines<Int>()
  let handles = (0..<count).map { deadlines.add($0) }
  for handle in handles { deadlines.set(handle, Instant(nanoseconds: numbers.next() >> 8)) }
  var leastMove = UInt64.max
  var leastPass = UInt64.max
  for _ in 0..<5 {
    var begin = Clock.bootTime()
    for _ in 0..<repetitions {
      let number = numbers.next()
      deadlines.set(handles[Int(number & 0xFFFF_FFFF) % count], Instant(nanoseconds: number >> 8))
    }
    leastMove = min(leastMove, Clock.bootTime() - begin)
    begin = Clock.bootTime()
    for _ in 0..<repetitions {
      let next = deadlines.next
      guard let subject = deadlines.due(next) else { fatalError("a deadline is due") }
      deadlines.set(handles[subject], next.adding(nanoseconds: numbers.next() >> 8))
    }
    leastPass = min(leastPass, Clock.bootTime() - begin)
    // Deadlines go on and on: they begin again.
    for handle in handles { deadlines.set(handle, Instant(nanoseconds: numbers.next() >> 8)) }
  }
  report("move-\(count)", leastMove, repetitions)
  report("pass-\(count)", leastPass, repetitions)
}

func report(_ name: String, _ least: UInt64, _ repetitions: Int) {
  let tenths = Int(least) * 10 / repetitions
  print("\(name) \(tenths / 10).\(tenths % 10)")
}

func run() throws(SystemFailure) {
  let words = try Process.arguments()
  guard words.count == 1 else { fatalError("usage: timers REPETITIONS") }
  let repetitions = words[0].reduce(0) { $0 * 10 + Int($1 & 0x0F) }
  measure(1000, repetitions)
  measure(100_000, repetitions)
}

do throws(SystemFailure) {
  try run()
} catch {
  fatalError("cannot read the arguments")
}
