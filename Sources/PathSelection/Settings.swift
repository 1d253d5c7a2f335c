/// How paths are checked and left. Times in nanoseconds.
package struct Settings: Sendable {
  /// A path that was never measured must answer within this,
  package var firstPatience: UInt64 = 200_000_000
  /// and one that was within twice its round trip, but never sooner than this.
  package var leastPatience: UInt64 = 25_000_000
  /// A path that nothing speaks against has failed when it was silent for so long.
  package var silence: UInt64 = 800_000_000
  /// How often the path in use is asked whether it lives; 0 for only when there is reason to doubt it.
  package var probeInterval: UInt64 = 10_000_000_000
  /// The same while something is wrong: the path is in doubt, the peer is off its usual path, or no path answers.
  package var retryInterval: UInt64 = 1_000_000_000
  /// What that grows to, doubling, while nothing comes of it.
  package var retryLimit: UInt64 = 30_000_000_000
  /// At most one move of a peer in this time; and for how long the usual path must have been good before it is gone
  /// back to, doubling with each move that follows soon after another,
  package var moveInterval: UInt64 = 2_000_000_000
  /// up to this.
  package var moveLimit: UInt64 = 300_000_000_000
  /// For how long a moved peer stays so without an IKE_SA: one that is established anew wants the path that works.
  package var absence: UInt64 = 60_000_000_000
  /// At least so long after a path in doubt was found alive the next ICMP error leads to another check.
  package var checkInterval: UInt64 = 125_000_000
  /// Peers that are looked after; further ones are not.
  package var peers = 256

  package init() {}
}
