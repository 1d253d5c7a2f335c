import Messages

/// What a client was told, so that asking again can be told as differences. It holds what the client's filter lets
/// through of the database, which the agent bounds.
struct TriggerMirror {
  private struct Entry {
    var record: TriggerRecord
    /// The replay in which it was met last.
    var replay: UInt32
  }

  private var entries: [UInt32: Entry] = [:]
  /// What an agent that numbered otherwise has told. As long as there is something in it, the client knows this and
  /// nothing of `entries`: the same id may be another trigger in both, so the differences wait for the replay's end.
  private var former: [UInt32: TriggerRecord] = [:]
  private var replay: UInt32 = 0
  /// Between REGISTER and the replay's end.
  private(set) var isReplaying = false

  /// A replay begins. Where the agent may be another one, ids mean nothing: what is met is found by its subject.
  mutating func beginReplay(ofAnotherAgent isAnother: Bool) {
    replay &+= 1
    isReplaying = true
    guard isAnother else { return }
    if former.isEmpty { former = entries.mapValues { $0.record } }
    entries.removeAll()
  }

  /// What a NOTIFY of this cause says.
  mutating func apply(_ record: TriggerRecord, _ cause: TriggerMessageType?) -> TriggerNews? {
    switch cause {
    case .modify: change(record)
    case .delete: delete(record)
    default: meet(record)
    }
  }

  /// It exists, or was added.
  mutating func meet(_ record: TriggerRecord) -> TriggerNews? {
    let known = entries.updateValue(Entry(record: record, replay: replay), forKey: record.id)?.record
    guard former.isEmpty else { return nil }
    guard let known else { return .added(record) }
    return known.saysTheSame(as: record) ? nil : .modified(record, former: record.id)
  }

  /// It was changed. One that the filter had kept back is new to the client.
  mutating func change(_ record: TriggerRecord) -> TriggerNews? {
    let known = entries.updateValue(Entry(record: record, replay: replay), forKey: record.id)
    guard former.isEmpty else { return nil }
    return known == nil ? .added(record) : .modified(record, former: record.id)
  }

  /// It was deleted; nil if it had not been told.
  mutating func delete(_ record: TriggerRecord) -> TriggerNews? {
    let known = entries.removeValue(forKey: record.id)
    return known == nil || !former.isEmpty ? nil : .deleted(record)
  }

  /// The replay is over. What it did not meet is gone.
  mutating func endReplay() -> [TriggerNews] {
    isReplaying = false
    var gone: [TriggerRecord] = []
    for (_, entry) in entries where entry.replay != replay { gone.append(entry.record) }
    for record in gone { entries.removeValue(forKey: record.id) }
    guard former.isEmpty else { return endRenumbering() }
    gone.sort { $0.id < $1.id }
    return gone.map { .deleted($0) }
  }

  /// The differences between two agents' databases. A client that keeps triggers by their ids never has two of one id:
  /// what is gone is told first, and a new id only after the trigger that had it.
  private mutating func endRenumbering() -> [TriggerNews] {
    var renumbering = Renumbering(from: former)
    former.removeAll()
    var present = entries.values.map { $0.record }
    present.sort { $0.id < $1.id }
    for record in present { renumbering.meet(record) }
    return renumbering.differences()
  }
}

/// How triggers of one numbering are found again in another one.
private struct Renumbering {
  private let former: [UInt32: TriggerRecord]
  /// Those that were not met yet, by what they are about; the lowest id last.
  private var missing: [TriggerRecord.Subject: [TriggerRecord]] = [:]
  /// What became of a former id.
  private var successors: [UInt32: TriggerRecord] = [:]
  private var added: [TriggerRecord] = []
  private var news: [TriggerNews] = []

  init(from former: [UInt32: TriggerRecord]) {
    self.former = former
    for record in Renumbering.sorted(former.values.map { $0 }).reversed() {
      missing[record.subject, default: []].append(record)
    }
  }

  mutating func meet(_ record: TriggerRecord) {
    guard let found = missing[record.subject]?.popLast() else { return added.append(record) }
    successors[found.id] = record
  }

  consuming func differences() -> [TriggerNews] {
    for record in Renumbering.sorted(missing.values.flatMap { $0 }) { news.append(.deleted(record)) }
    for record in Renumbering.sorted(former.values.map { $0 }) { follow(record.id) }
    for record in Renumbering.sorted(added) { news.append(.added(record)) }
    return news
  }

  /// Tells of `start` and, before it, of those whose ids are taken over, one by the other.
  private mutating func follow(_ start: UInt32) {
    var path: [UInt32] = []
    var id = start
    while let successor = successors[id] {
      path.append(id)
      id = successor.id
      if id == start { break }
    }
    // A circle has no end to begin with: it is cut.
    if path.count > 1, id == start, let before = former[start], let after = successors.removeValue(forKey: start) {
      news.append(.deleted(before))
      added.append(after)
      path.removeFirst()
    }
    for id in path.reversed() {
      guard let before = former[id], let after = successors.removeValue(forKey: id) else { continue }
      if !before.saysTheSame(as: after) { news.append(.modified(after, former: id)) }
    }
  }

  private static func sorted(_ records: [TriggerRecord]) -> [TriggerRecord] {
    var records = records
    records.sort { $0.id < $1.id }
    return records
  }
}
