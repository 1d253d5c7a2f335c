import Provisioning
import Wire

/// A peer, the path to it, and what is known of others.
struct Peer: Sendable {
  let address: IPAddress
  var port: UInt16
  /// What the IKE_SA has, where that is told.
  var local: IPAddress?
  /// The path that packets to it take: ours where it was moved, else the kernel's choice.
  var current: Path?
  /// The kernel's choice is known: before that nothing can be said about the peer.
  var isRouted = false
  /// Where it was moved to; nil while nothing is changed for it.
  var moved: Path?
  /// It has answered a probe at least once.
  var hasAnswered = false
  /// Round trips last measured, nanoseconds.
  var roundTrips: [(path: Path, time: UInt64)] = []
  var check: Check?
  /// The next look at it, if nothing happens before.
  var nextLook = Instant.never
  /// How long until the next look where this one brought nothing.
  var retry: UInt64
  /// Since when each look found the usual path good.
  var goodSince: Instant?
  var damping: Damping
  /// Triggers that say that the path in use does not reach it.
  var triggers: Set<UInt32> = []
  /// The path in use failed, and nothing could be done about it yet.
  var isStuck = false
  /// An ICMP error came that has led to no check yet,
  var hasDoubt = false
  /// and leads to none before this.
  var quietUntil = Instant(nanoseconds: 0)
  /// When it is forgotten; nil as long as there is an IKE_SA with it.
  var leavesAt: Instant?

  init(_ association: Association, _ settings: Settings) {
    address = association.peer
    port = association.port
    local = association.local
    retry = settings.retryInterval
    damping = Damping(least: settings.moveInterval, most: settings.moveLimit)
  }

  mutating func measured(_ path: Path, _ time: UInt64) {
    hasAnswered = true
    if let index = roundTrips.firstIndex(where: { $0.path == path }) {
      roundTrips[index].time = time
    } else {
      if roundTrips.count >= Uplinks.pathLimit { roundTrips.removeFirst() }
      roundTrips.append((path, time))
    }
  }

  /// How long a probe may take: RFC 4555 leaves it open; twice what it took last.
  func patience(_ path: Path, _ settings: Settings) -> UInt64 {
    guard let known = roundTrips.first(where: { $0.path == path }) else { return settings.firstPatience }
    return max(settings.leastPatience, 2 * known.time)
  }
}
