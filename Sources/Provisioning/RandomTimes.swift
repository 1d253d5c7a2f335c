/// Random delays, drawn from a seed so that the state stays a value (SplitMix64). What strangers gain by guessing one is
/// nothing: they only spread load.
package struct RandomTimes: Sendable {
  private var state: UInt64

  package init(seed: UInt64) { state = seed }

  /// From 0 to `most`, both included; uniform but for what is left over of 2^64.
  mutating func next(upTo most: UInt64) -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    mixed ^= mixed >> 31
    return most == .max ? mixed : mixed % (most + 1)
  }
}
