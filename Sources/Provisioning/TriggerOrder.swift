/// Where triggers are, by serial: a sorted list that only grows at its end. What is removed leaves a gap; when half of
/// the list are gaps they go, so that removing costs O(log n) on average.
struct TriggerOrder: Sendable {
  private struct Entry {
    /// The low half of the serial.
    var id: UInt32
    /// -1 for a gap.
    var place: Int32
  }
  /// Entries whose serials have the same high half. There is nearly always one: ids begin anew after 2^32 triggers.
  private struct Era {
    var high: UInt32
    /// In `entries`; where the next era begins this one ends.
    var start: Int
  }

  private var entries: [Entry] = []
  private var eras: [Era] = []
  private var gaps = 0
  /// So few gaps aren't worth the trouble.
  private static let fewest = 64
  /// A list of fewer may stay longer than it need be.
  private static let most = 16_384

  var count: Int { entries.count - gaps }

  /// `serial` is larger than any before.
  mutating func append(_ serial: UInt64, _ place: Int32) {
    let high = UInt32(serial >> 32)
    if eras.last?.high != high { eras.append(Era(high: high, start: entries.count)) }
    entries.append(Entry(id: UInt32(truncatingIfNeeded: serial), place: place))
  }

  mutating func remove(_ serial: UInt64) {
    for era in eras.indices where eras[era].high == UInt32(serial >> 32) {
      guard let position = position(ofID: UInt32(truncatingIfNeeded: serial), era) else { return }
      entries[position].place = -1
      gaps += 1
    }
    if gaps > TriggerOrder.fewest, gaps > entries.count / 2 { removeGaps() }
  }

  /// In place: a flood comes by here again and again. Only a list that has become far too long is given back.
  private mutating func removeGaps() {
    var (kept, began) = (0, 0)
    for era in eras.indices {
      let (high, range, start) = (eras[era].high, range(era), kept)
      for position in range where entries[position].place >= 0 {
        entries[kept] = entries[position]
        kept += 1
      }
      guard kept > start else { continue }
      eras[began] = Era(high: high, start: start)
      began += 1
    }
    eras.removeLast(eras.count - began)
    entries.removeLast(entries.count - kept)
    gaps = 0
    if entries.capacity > TriggerOrder.most, entries.capacity / 4 > kept {
      var shorter: [Entry] = []
      shorter.reserveCapacity(kept + kept / 4)
      shorter += entries
      entries = shorter
    }
  }

  /// The first one whose serial is not below.
  func first(from serial: UInt64) -> Int32? {
    var position = position(from: serial)
    while position < entries.count {
      if entries[position].place >= 0 { return entries[position].place }
      position += 1
    }
    return nil
  }

  /// The one with this id: of the last era, or of an earlier one if ids have begun anew since.
  func place(ofID id: UInt32) -> Int32? {
    for era in eras.indices.reversed() {
      if let position = position(ofID: id, era) { return entries[position].place }
    }
    return nil
  }

  private func range(_ era: Int) -> Range<Int> {
    eras[era].start..<(era + 1 < eras.count ? eras[era + 1].start : entries.count)
  }

  /// nil for a gap, too.
  private func position(ofID id: UInt32, _ era: Int) -> Int? {
    let range = range(era)
    let position = position(fromID: id, in: range)
    return position < range.upperBound && entries[position].id == id && entries[position].place >= 0 ? position : nil
  }

  /// How many entries have a smaller serial.
  private func position(from serial: UInt64) -> Int {
    let high = UInt32(serial >> 32)
    for era in eras.indices.reversed() where eras[era].high <= high {
      let range = range(era)
      return eras[era].high < high
        ? range.upperBound : position(fromID: UInt32(truncatingIfNeeded: serial), in: range)
    }
    return 0
  }

  /// The first place in an era whose id is not below, or the era's end.
  private func position(fromID id: UInt32, in range: Range<Int>) -> Int {
    guard let first = range.first, id > entries[first].id else { return range.lowerBound }
    var high = range.upperBound
    // Where it would be if none had gone for good since the first one; it can't be behind that.
    let latest = id - entries[first].id
    if latest < UInt32(clamping: range.count) {
      high = first + Int(latest)
      if entries[high].id == id { return high }
    }
    return entries.search(first + 1..<high) { $0.id < id }
  }
}
