import Messages
import Platform
import Provisioning
import Traffic
import Wire

// ICMP errors through decoding, folding and state, as the agent takes them, with every flow taken for live. Prints
// "name nanoseconds" per kind of flood, or for the one that is named: the least of five rounds.

/// Nanoseconds for one error, in tenths. `errors` are heard in turn, microseconds apart; where `expires`, paths are
/// forgotten after each turn, and that is part of the time.
func measure(_ errors: [[UInt8]], repetitions: Int, expires: Bool) -> Int {
  var least = UInt64.max
  for _ in 0..<5 {
    var state = Traffic.host()
    var clock: UInt64 = 0
    let begin = Clock.bootTime()
    for _ in 0..<max(repetitions / errors.count, 1) {
      for packet in errors {
        clock += 1000
        state.hear(packet.rawSpan, .v4, Arrival(interface: Traffic.interface), at: Instant(nanoseconds: clock))
        if clock >= state.nextDeadline.nanoseconds { advance(&state, to: clock) }
        state.clearAnnouncements()
      }
      if expires {
        clock += state.limits.holdTime
        advance(&state, to: clock)
      }
    }
    least = min(least, Clock.bootTime() - begin)
    precondition(state.value(.icmpErrors) > 0 && state.value(.icmpForeignAddress) == 0, "errors are not heard")
  }
  return Int(least) * 10 / (max(repetitions / errors.count, 1) * errors.count)
}

func advance(_ state: inout NetworkState, to clock: UInt64) {
  state.advance(to: Moment(Instant(nanoseconds: clock), timestamp: clock))
  state.clearAnnouncements()
}

func run() throws(SystemFailure) {
  let words = try Process.arguments()
  guard words.count == 1 || words.count == 2 else { fatalError("usage: state REPETITIONS [KIND]") }
  let repetitions = words[0].reduce(0) { $0 * 10 + Int($1 & 0x0F) }
  let limit = Limits().unreachablePaths
  report("repeated", words) { measure([Traffic.unreachable], repetitions: repetitions, expires: false) }
  report("unique", words) {
    measure((0..<limit).map { Traffic.error(about: $0) }, repetitions: repetitions, expires: true)
  }
  report("flood", words) {
    measure((0..<4 * limit).map { Traffic.error(about: $0) }, repetitions: repetitions, expires: false)
  }
}

func report(_ name: String, _ words: [[UInt8]], _ measure: () -> Int) {
  if words.count > 1, words[1] != Array(name.utf8) { return }
  let tenths = measure()
  print("\(name) \(tenths / 10).\(tenths % 10)")
}

do throws(SystemFailure) {
  try run()
} catch {
  fatalError("cannot read the arguments")
}
