package import Messages
package import Wire

/// The Trigger Database: every trigger by its id, in the order in which they were added.
///
/// Ids count up from 1 and skip 0 and what is still in use when the counter wraps (wire.md, "trigger ids"). A replay
/// walks the order with a `Cursor`; see there for what makes it neither miss nor double anything.
///
/// A trigger with up to two addresses takes some 90 bytes, all told: a row of 64, 8 in the order of serials, 16 in the
/// index by address and its share of the buckets. Each two addresses more take another row.
package struct TriggerTable: ~Copyable, Sendable {
  private let anchor = Anchor()
  /// A place in the order: triggers added before it have been passed.
  ///
  /// What changes behind the cursor is news to its holder; what changes at or ahead of it will be met by the walk in
  /// its latest form. So a subscriber that is told news only for triggers with a serial below the cursor, and walks
  /// on when it can take more, has at its end exactly the table.
  package struct Cursor: Sendable {
    fileprivate var serial: UInt64
    /// Where the trigger before the cursor was kept; saves a walk by address the search as long as it is still there.
    fileprivate var place: Int32 = -1

    package init() { serial = 0 }
    fileprivate init(serial: UInt64, place: Int32) {
      self.serial = serial
      self.place = place
    }
    package static let end = Cursor(serial: .max, place: -1)
    package var isAtEnd: Bool { serial == .max }
    package func hasPassed(_ trigger: Trigger) -> Bool { trigger.serial < serial }
  }

  private var rows: [TriggerRow] = []
  /// Rows that nobody uses: the last one that became free, and from each the next in its `more`.
  private var free: Int32 = -1
  private var order = TriggerOrder()
  private var index = TriggerIndex()
  private var provenances = Provenances()
  /// Interfaces of link-local addresses, by node.
  private var scopes: [Int32: UInt32] = [:]
  private var serial: UInt64 = 0
  /// Which trigger was repeated last, and where it is kept: 0 for none. A flood repeats one.
  private var repeated: (id: UInt32, place: Int32) = (0, 0)

  package init() {}

  package var count: Int { order.count }

  package subscript(id: UInt32) -> Trigger? { order.place(ofID: id).map { trigger(at: $0) } }

  /// Lets it grow to so many triggers with two addresses without being copied, but for the order, of which a row has 8 bytes.
  mutating func reserve(_ count: Int) {
    rows.reserveCapacity(count + Stock.rows)
    index.reserve(2 * (count + Stock.rows))
  }

  /// Makes rows that wait to be taken, if there are none, and buckets for their addresses.
  mutating func stock() {
    while index.isFull(with: 2 * Stock.rows) { addBucket() }
    makeRows()
  }

  private mutating func makeRows() {
    if free >= 0 { return }
    for _ in 0..<Stock.rows {
      rows.append(TriggerRow(serial: 0))
      rows[rows.count - 1].more = Int32(rows.count)
    }
    rows[rows.count - 1].more = -1
    free = Int32(rows.count - Stock.rows)
    index.makeRoom(for: 2 * rows.count)
  }

  /// Passes over the numbers up to `serial`, as many triggers would that came and went.
  mutating func pass(to serial: UInt64) { self.serial = max(self.serial, serial) }

  /// Adds a trigger under the next id, which is filled in.
  mutating func add(_ trigger: inout Trigger) {
    repeat {
      serial += 1
    } while serial > UInt64(UInt32.max) && isTaken(UInt32(truncatingIfNeeded: serial))
    trigger.serial = serial
    let place = takeRow(serial)
    rows[Int(place)].provenance = provenances.take(trigger.provenance)
    rows[Int(place)].set(trigger)
    order.append(serial, place)
    enter(trigger.addresses, trigger.type, place)
  }

  /// Whether the counter, which has wrapped, has to skip this id.
  private func isTaken(_ id: UInt32) -> Bool { id == 0 || order.place(ofID: id) != nil }

  /// Changes the trigger with this id in place: what it was and what it is, nil if there is none.
  ///
  /// - Complexity: O(log n) and, under an address or a type that it did not have, the triggers with that key which
  ///   were added later.
  mutating func update(_ id: UInt32, _ change: (inout Trigger) -> Void) -> (before: Trigger, after: Trigger)? {
    guard let place = order.place(ofID: id) else { return nil }
    let before = trigger(at: place)
    var after = before
    change(&after)
    set(after.provenance, place)
    rows[Int(place)].set(after)
    if before.type != after.type || before.addresses != after.addresses {
      setAddresses(after.addresses, instead: before.addresses, after.type, before: before.type, place)
    }
    return (before, after)
  }

  /// Changes what is known of a trigger's origin, of which nobody is told. False if there is no such trigger.
  @discardableResult
  mutating func touch(_ id: UInt32, _ change: (inout Origin) -> Void) -> Bool {
    guard let place = order.place(ofID: id) else { return false }
    let provenance = provenances[rows[Int(place)].provenance]
    var origin = rows[Int(place)].origin(provenance)
    change(&origin)
    if !provenance.holds(origin) { set(Provenance(origin, provenance.owner), place) }
    rows[Int(place)].set(origin)
    return true
  }

  /// One more event is folded into a trigger, of the same origin as the last one.
  mutating func `repeat`(_ id: UInt32, timestamp: UInt64) {
    if id != repeated.id {
      guard let place = order.place(ofID: id) else { return }
      repeated = (id, place)
    }
    rows[Int(repeated.place)].repeat(timestamp)
  }

  mutating func remove(_ id: UInt32) -> Trigger? {
    guard let place = order.place(ofID: id) else { return nil }
    if id == repeated.id { repeated.id = 0 }
    let trigger = trigger(at: place)
    order.remove(trigger.serial)
    setAddresses(Trigger.Addresses(), instead: trigger.addresses, trigger.type, before: trigger.type, place)
    provenances.release(rows[Int(place)].provenance)
    giveRow(place)
    return trigger
  }

  /// The first trigger that the cursor has not passed, nil at the end; the cursor then stands behind it.
  ///
  /// - Complexity: O(log n).
  package func next(_ cursor: inout Cursor) -> Trigger? {
    guard let place = order.first(from: cursor.serial) else {
      cursor = .end
      return nil
    }
    let trigger = trigger(at: place)
    cursor = Cursor(serial: trigger.serial + 1, place: place)
    return trigger
  }

  // MARK: By type and address

  /// The first trigger of a type with an address, whatever its prefix length.
  ///
  /// - Complexity: O(1), on average.
  package func first(_ type: TriggerType, _ address: IPAddress) -> Trigger? {
    var cursor = Cursor()
    return next(&cursor, type, address)
  }

  /// Like `next(_:)`, for the triggers of a type with an address.
  ///
  /// - Complexity: O(1) from one call to the next, on average, while nothing is removed in between.
  package func next(_ cursor: inout Cursor, _ type: TriggerType, _ address: IPAddress) -> Trigger? {
    var node: Int32?
    if cursor.place >= 0, rows[Int(cursor.place)].serial + 1 == cursor.serial,
      rows[Int(cursor.place)].type == type.rawValue
    {
      forEachNode(cursor.place) { if index.contains($0), self.address($0) == address { node = index.next($0) } }
    }
    var next = node ?? index.first(TriggerIndex.Key(type: type, address: address))
    while next >= 0 {
      let row = rows[Int(next >> 1)]
      if row.serial >= cursor.serial, row.type == type.rawValue, self.address(next) == address {
        let place = row.isContinuation ? Int32(row.count) : next >> 1
        cursor = Cursor(serial: row.serial + 1, place: place)
        return trigger(at: place)
      }
      next = index.next(next)
    }
    cursor = .end
    return nil
  }
}

// MARK: Rows

extension TriggerTable {
  private func trigger(at place: Int32) -> Trigger {
    let row = rows[Int(place)]
    let provenance = provenances[row.provenance]
    var addresses = Trigger.Addresses()
    forEachNode(place) { node in
      let row = rows[Int(node >> 1)]
      if row.holds(node) { addresses.append(row.address(node, scope: row.hasScope(node) ? scopes[node] ?? 0 : 0)) }
    }
    var trigger = Trigger(
      type: TriggerType(rawValue: row.type), owner: provenance.owner, addresses: addresses,
      origin: row.origin(provenance))
    trigger.serial = row.serial
    return trigger
  }

  private mutating func set(_ provenance: Provenance, _ place: Int32) {
    let known = rows[Int(place)].provenance
    if provenances[known] == provenance { return }
    rows[Int(place)].provenance = provenances.take(provenance)
    provenances.release(known)
  }

  private mutating func takeRow(_ serial: UInt64) -> Int32 {
    makeRows()
    let place = free
    free = rows[Int(place)].more
    rows[Int(place)] = TriggerRow(serial: serial)
    return place
  }

  private mutating func giveRow(_ place: Int32) {
    rows[Int(place)] = TriggerRow(serial: 0)
    rows[Int(place)].more = free
    free = place
  }

  /// Calls `body` with each place of an address that the trigger's rows have, in order; the last may be empty.
  private func forEachNode(_ place: Int32, _ body: (Int32) -> Void) {
    var row = place
    while row >= 0 {
      body(2 * row)
      body(2 * row + 1)
      row = rows[Int(row)].more
    }
  }

  private func address(_ node: Int32) -> IPAddress { rows[Int(node >> 1)].address(node, scope: 0).address }

  /// Gives the trigger other addresses, or the same ones under another type. What stays as it was stays in the index.
  private mutating func setAddresses(
    _ new: Trigger.Addresses, instead old: Trigger.Addresses, _ type: TriggerType, before: TriggerType, _ place: Int32
  ) {
    var node = 2 * place
    for position in old.indices {
      let address = old[position].address
      let stays =
        type == before && position < new.count && new[position].address == address
        && isFirst(position, new) == isFirst(position, old)
      if !stays, index.contains(node) { index.remove(node, TriggerIndex.Key(type: before, address: address)) }
      if rows[Int(node >> 1)].hasScope(node) { scopes[node] = nil }
      rows[Int(node >> 1)].clear(node)
      node = following(node)
    }
    enter(new, type, place)
  }

  /// Gives the trigger its addresses. Where there are some already, they have been cleared, and are in the index where
  /// they stay.
  private mutating func enter(_ new: Trigger.Addresses, _ type: TriggerType, _ place: Int32) {
    if new.count > 2 || rows[Int(place)].more >= 0 { resize(place, to: new.count) }
    // All of them first: an index that grows looks at the addresses of those that are in it.
    var node = 2 * place
    for position in new.indices {
      rows[Int(node >> 1)].set(node, new[position])
      if new[position].scope != 0 { scopes[node] = new[position].scope }
      node = following(node)
    }
    node = 2 * place
    for position in new.indices {
      if !index.contains(node), isFirst(position, new) {
        enter(node, TriggerIndex.Key(type: type, address: new[position].address))
      }
      node = following(node)
    }
  }

  /// The node after this one in its trigger; behind the last row's second one there is none, and nobody asks.
  private func following(_ node: Int32) -> Int32 { node & 1 == 0 ? node + 1 : 2 * rows[Int(node >> 1)].more }

  /// An address that a trigger has twice is in the index once.
  private func isFirst(_ position: Int, _ addresses: Trigger.Addresses) -> Bool {
    for earlier in 0..<position where addresses[earlier].address == addresses[position].address { return false }
    return true
  }

  /// Lets the trigger at `place` have as many rows as that many addresses need, and no more.
  private mutating func resize(_ place: Int32, to count: Int) {
    var row = place
    for _ in 0..<max(0, (count - 1) / 2) {
      if rows[Int(row)].more < 0 {
        let more = takeRow(rows[Int(place)].serial)
        rows[Int(more)].isContinuation = true
        rows[Int(more)].count = UInt32(place)
        rows[Int(more)].type = rows[Int(place)].type
        rows[Int(row)].more = more
      }
      row = rows[Int(row)].more
      rows[Int(row)].type = rows[Int(place)].type
    }
    var surplus = rows[Int(row)].more
    rows[Int(row)].more = -1
    while surplus >= 0 {
      let next = rows[Int(surplus)].more
      giveRow(surplus)
      surplus = next
    }
  }

  private mutating func enter(_ node: Int32, _ key: TriggerIndex.Key) {
    if index.isFull(with: 0) { addBucket() }
    let serial = rows[Int(node >> 1)].serial
    index.insert(node, key) { rows[Int($0 >> 1)].serial > serial }
  }

  private mutating func addBucket() { index.addBucket { rows[Int($0 >> 1)].key($0) } }
}
