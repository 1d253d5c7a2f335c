import Messages
import Platform
import Provisioning
import Wire

// ICMP errors through decoding, folding and state, as the agent takes them, with every flow taken for live. Prints
// "name nanoseconds" per kind of flood, or for the one that is named: the least of five rounds.

/// Network unreachable, from 192.0.2.1 to 192.0.2.10, quoting a TCP segment to 198.51.100.7.
let unreachable: [UInt8] = [
  0x45, 0, 0, 68, 0, 1, 0, 0, 64, 1, 0xF6, 0xAC, 192, 0, 2, 1, 192, 0, 2, 10, 3, 0, 0xFB, 0xA8, 0, 0, 0, 0, 0x45, 0,
  0, 40, 0, 1, 0, 0, 64, 6, 0x8E, 0x8A, 192, 0, 2, 10, 198, 51, 100, 7, 0x9C, 0x40, 1, 0xBB, 0x11, 0x22, 0x33, 0x44,
  0x55, 0x66, 0x77, 0x88, 0x50, 0x10, 1, 0xF6, 0, 0, 0, 0,
]
let interface: UInt32 = 2
let host = IPPrefix(.v4(IPv4Address(0xC000_020A)), 24)

/// The same error about destination `number` of 198.18.0.0/15.
func error(about number: Int) -> [UInt8] {
  var bytes = unreachable
  bytes.replaceSubrange(44..<48, with: [198, 18, UInt8(number >> 8 & 0xFF), UInt8(number & 0xFF)])
  bytes.replaceSubrange(22..<24, with: [0, 0])
  let checksum = checksum(of: bytes[20...])
  bytes.replaceSubrange(22..<24, with: [UInt8(checksum >> 8), UInt8(checksum & 0xFF)])
  return bytes
}

func checksum(of bytes: ArraySlice<UInt8>) -> UInt16 {
  let message = [UInt8](bytes)
  var sum = Checksum()
  sum.add(message.rawSpan)
  return sum.value
}

/// A host with one interface and address.
func started() -> NetworkState {
  var state = NetworkState()
  let moment = Moment(Instant(nanoseconds: 0), timestamp: 0)
  state.apply(
    .link(Link(index: interface, name: InterfaceName("up0".utf8), isUp: true, hasCarrier: true)), at: moment)
  state.apply(.address(InterfaceAddress(interface: interface, prefix: host)), at: moment)
  state.clearAnnouncements()
  return state
}

/// Nanoseconds for one error, in tenths. `errors` are heard in turn, microseconds apart; where `expires`, paths are
/// forgotten after each turn, and that is part of the time.
func measure(_ errors: [[UInt8]], repetitions: Int, expires: Bool) -> Int {
  var least = UInt64.max
  for _ in 0..<5 {
    var state = started()
    var clock: UInt64 = 0
    let begin = Clock.bootTime()
    for _ in 0..<max(repetitions / errors.count, 1) {
      for packet in errors {
        clock += 1000
        state.hear(packet.rawSpan, .v4, Arrival(interface: interface), at: Instant(nanoseconds: clock))
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
  report("repeated", words) { measure([unreachable], repetitions: repetitions, expires: false) }
  report("unique", words) { measure((0..<limit).map { error(about: $0) }, repetitions: repetitions, expires: true) }
  report("flood", words) { measure((0..<4 * limit).map { error(about: $0) }, repetitions: repetitions, expires: false) }
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
