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
  /// The kernel's choice when it was last told, which is what is gone back to.
  var usual: Usual?
  /// The kernel's choice is known: before that nothing can be said about the peer.
  var isRouted = false
  /// Both, before the last move.
  var former: (current: Path?, moved: Path?) = (nil, nil)
  /// Where it was moved to; nil while nothing is changed for it.
  var moved: Path?
  /// It has answered a probe at least once.
  var hasAnswered = false
  /// What probes found out about paths.
  private var measures: [Measure] = []
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

  /// A probe was answered after so many nanoseconds, or not at all (nil).
  mutating func measured(_ path: Path, _ time: UInt64?) {
    if time != nil { hasAnswered = true }
    let silences = measures.first { $0.path == path }?.silences ?? 0
    measures.removeAll { $0.path == path }
    if measures.count >= Uplinks.pathLimit { measures.removeFirst() }
    // A figure that was too small once, because the path has become slower, says nothing any more.
    measures.append(Measure(path: path, roundTrip: time, silences: time == nil ? min(silences + 1, 8) : 0))
  }

  /// How long a probe may take. Where something speaks against the path already it is twice the round trip last measured;
  /// where nothing does, each silence makes the next probe wait twice as long as the one before.
  func patience(_ path: Path, isHinted: Bool, _ settings: Settings) -> UInt64 {
    let known = measures.first { $0.path == path }
    if isHinted { return known?.roundTrip.map { max(settings.leastPatience, 2 * $0) } ?? settings.firstPatience }
    let patience = max(settings.firstPatience << UInt64(known?.silences ?? 0), 4 * (known?.roundTrip ?? 0))
    return min(patience, settings.silence)
  }
}

/// The kernel's choice for a peer.
struct Usual: Sendable {
  let path: Path
  /// It is a default route: then it is known to be gone when that is.
  let isDefault: Bool
}

private struct Measure: Sendable {
  let path: Path
  /// nil after a silence.
  let roundTrip: UInt64?
  /// How often it was silent in a row.
  let silences: Int
}
