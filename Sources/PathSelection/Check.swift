import Provisioning
import Wire

/// One look at paths of a peer: a probe on each, and what came of them.
struct Check: Sendable {
  enum Purpose: Hashable, Sendable {
    /// Is the path in use dead, and which other one works? All are asked at once.
    case doubt(Doubt)
    /// Does the path in use still work, and does the usual one again?
    case watch

    /// Whether something speaks against the path, beside that it is silent.
    var isHinted: Bool {
      switch self {
      case .doubt(.unreachable), .doubt(.connectionLost), .doubt(.pathGone): true
      case .doubt(.unknown), .doubt(.silence), .doubt(.stuck), .watch: false
      }
    }
  }

  struct Probe: Sendable {
    var number: UInt32
    var path: Path
    var sent: Instant
    /// When it goes out a second time.
    var again: Instant?
    var end: Instant
    var outcome = ProbeOutcome.waiting
  }

  let purpose: Purpose
  /// Something speaks against the path in use, beside that it is silent.
  let isHinted: Bool
  /// The path in use; nil where there is none.
  var current: Path?
  var probes: [Probe] = []
  /// All is done that can come of it, but round trips are still being measured.
  var isDecided = false

  init(_ purpose: Purpose, current: Path?, isHinted: Bool) {
    self.purpose = purpose
    self.current = current
    self.isHinted = isHinted
  }

  func outcome(of path: Path?) -> ProbeOutcome? { probes.first { $0.path == path }?.outcome }

  /// How long the path in use was waited for, nanoseconds.
  var patience: UInt64 {
    probes.first { $0.path == current }.map { $0.end.nanoseconds - $0.sent.nanoseconds } ?? .max
  }

  var isSettled: Bool { !probes.contains { $0.outcome == .waiting } }

  /// The first to answer of all other paths.
  var alternative: (path: Path, roundTrip: UInt64)? {
    var best: (path: Path, roundTrip: UInt64)?
    for probe in probes where probe.path != current {
      if case .answered(let time) = probe.outcome, time < best?.roundTrip ?? .max { best = (probe.path, time) }
    }
    return best
  }

  var deadline: Instant {
    var earliest = Instant.never
    for probe in probes where probe.outcome == .waiting {
      earliest = min(earliest, probe.again ?? probe.end, probe.end)
    }
    return earliest
  }
}
