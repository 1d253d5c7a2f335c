import Messages
import Platform
import Provisioning
import Traffic
import Wire

// ICMP errors, and Router Advertisements that change something, through decoding, folding and state, as the agent takes
// them, with every flow taken for live. Prints "name nanoseconds" for each kind, or for the one that is named: the least of
// five rounds.

/// Nanoseconds for one packet, in tenths. `packets` are heard in turn, microseconds apart; where `expires`, paths are
/// forgotten after each turn, and that is part of the time.
func measure(_ packets: [[UInt8]], _ family: Family = .v4, repetitions: Int, expires: Bool) -> Int {
  var least = UInt64.max
  for _ in 0..<5 {
    var state = Traffic.host()
    var clock: UInt64 = 0
    let begin = Clock.bootTime()
    for _ in 0..<max(repetitions / packets.count, 1) {
      for packet in packets {
        clock += 1000
        state.hear(packet.rawSpan, family, Arrival(interface: Traffic.interface), at: Instant(nanoseconds: clock))
        if clock >= state.nextDeadline.nanoseconds { advance(&state, to: clock) }
        state.clearAnnouncements()
      }
      if expires {
        clock += state.limits.holdTime
        advance(&state, to: clock)
      }
    }
    least = min(least, Clock.bootTime() - begin)
    let heard = state.value(.icmpErrors) &+ state.value(.routerAdvertisements)
    precondition(heard > 0 && state.value(.icmpForeignAddress) == 0, "packets are not heard")
  }
  return Int(least) * 10 / (max(repetitions / packets.count, 1) * packets.count)
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
  report("changed", words) {
    let packets = (0..<2).map { Traffic.advertisement(hopLimit: 64 + $0) }
    return measure(packets, .v6, repetitions: repetitions, expires: false)
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
