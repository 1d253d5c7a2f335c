import Provisioning

/// What the kernel said of a flow a moment ago, so that a flood about one flow asks once: a table of fixed size whose
/// entries are known by 64 bits of a hash that strangers can't work out.
///
/// A live flow is believed for a second. That there is none is believed for a twentieth, since the flow may begin right
/// after; such answers never push a live one out.
struct RecentAnswers {
  private struct Entry {
    var fingerprint: UInt64 = 0
    /// Nanoseconds of CLOCK_BOOTTIME.
    var end: UInt64 = 0
    var isLive = false
  }

  static let liveFor: UInt64 = 1_000_000_000
  static let noneFor: UInt64 = 50_000_000
  static let sets = 128
  static let ways = 4

  private var entries = [Entry](repeating: Entry(), count: sets * ways)

  private func set(_ fingerprint: UInt64) -> Range<Int> {
    let first = Int(truncatingIfNeeded: fingerprint % UInt64(RecentAnswers.sets)) * RecentAnswers.ways
    return first..<first + RecentAnswers.ways
  }

  /// nil if nothing is known, or not any more.
  func verdict(_ fingerprint: UInt64, at now: UInt64) -> FlowVerdict? {
    for index in set(fingerprint) where entries[index].fingerprint == fingerprint && entries[index].end > now {
      return entries[index].isLive ? .live : .notOurs
    }
    return nil
  }

  /// For a flow of which `verdict` knows nothing.
  mutating func note(_ fingerprint: UInt64, isLive: Bool, at now: UInt64) {
    // What is over goes first, then what is not live, then what runs out first.
    func worth(_ entry: Entry) -> UInt64 { entry.end <= now ? 0 : entry.isLive ? entry.end | 1 << 63 : entry.end }
    let set = set(fingerprint)
    var place = set.lowerBound
    for index in set where worth(entries[index]) < worth(entries[place]) { place = index }
    if !isLive && entries[place].isLive && entries[place].end > now { return }
    let end = now + (isLive ? RecentAnswers.liveFor : RecentAnswers.noneFor)
    entries[place] = Entry(fingerprint: fingerprint, end: end, isLive: isLive)
  }
}
