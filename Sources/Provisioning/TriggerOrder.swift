/// Where triggers are, by serial: a sorted list that only grows at its end. What is removed leaves a gap; when half of
/// the list are gaps they go, so that removing costs O(log n) on average.
struct TriggerOrder: Sendable {
  /// 12 bytes: a whole UInt64 would make it 16.
  private struct Entry {
    var high: UInt32
    /// The id.
    var low: UInt32
    /// -1 for a gap.
    var place: Int32

    var serial: UInt64 { UInt64(high) << 32 | UInt64(low) }
  }

  private var entries: [Entry] = []
  private var gaps = 0
  /// So few gaps aren't worth the trouble.
  private static let fewest = 64

  var count: Int { entries.count - gaps }

  /// `serial` is larger than any before.
  mutating func append(_ serial: UInt64, _ place: Int32) {
    entries.append(Entry(high: UInt32(serial >> 32), low: UInt32(truncatingIfNeeded: serial), place: place))
  }

  mutating func remove(_ serial: UInt64) {
    let position = position(from: serial)
    guard position < entries.count, entries[position].serial == serial, entries[position].place >= 0 else { return }
    entries[position].place = -1
    gaps += 1
    if gaps > TriggerOrder.fewest, gaps > entries.count / 2 {
      entries.removeAll { $0.place < 0 }
      gaps = 0
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

  /// The one with this id: the low half of a serial whose high half is that of the last one, or an earlier one if ids
  /// have begun anew since.
  func place(ofID id: UInt32) -> Int32? {
    guard let oldest = entries.first?.high, let newest = entries.last?.high else { return nil }
    var high = newest
    while true {
      let serial = UInt64(high) << 32 | UInt64(id)
      let position = position(from: serial)
      if position < entries.count, entries[position].serial == serial, entries[position].place >= 0 {
        return entries[position].place
      }
      if high == oldest { return nil }
      high -= 1
    }
  }

  /// How many entries have a smaller serial.
  private func position(from serial: UInt64) -> Int {
    guard let first = entries.first?.serial, serial > first else { return 0 }
    var high = entries.count
    // Where it would be if none had gone for good since the first one; it can't be behind that.
    let latest = serial - first
    if latest < UInt64(entries.count) {
      high = Int(latest)
      if entries[high].serial == serial { return high }
    }
    return entries.search(1..<high) { $0.serial < serial }
  }
}
