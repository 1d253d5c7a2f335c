package import Messages
package import Wire

/// The Trigger Database: every trigger by its id, in the order in which they were added.
///
/// Ids count up from 1 and skip 0 and what is still in use when the counter wraps (wire.md, "trigger ids"). A replay
/// walks the order with a `Cursor`; see there for what makes it neither miss nor double anything.
package struct TriggerTable: Sendable {
  /// A place in the order: triggers added before it have been passed.
  ///
  /// What changes behind the cursor is news to its holder; what changes at or ahead of it will be met by the walk in
  /// its latest form. So a subscriber that is told news only for triggers with a serial below the cursor, and walks
  /// on when it can take more, has at its end exactly the table.
  package struct Cursor: Sendable {
    fileprivate var serial: UInt64
    /// Where the trigger before the cursor was kept; saves the search as long as it is still there.
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

  private struct Slot {
    var trigger: Trigger?
    var previous: Int32 = -1
    var next: Int32 = -1
    /// Its first node in the index, -1 without addresses.
    var node: Int32 = -1
  }

  private var index = TriggerIndex()
  private var slots: [Slot] = []
  private var free: [Int32] = []
  private var places: [UInt32: Int32] = [:]
  private var first: Int32 = -1
  private var last: Int32 = -1
  private var serial: UInt64 = 0

  package init() {}

  package var count: Int { places.count }

  package subscript(id: UInt32) -> Trigger? {
    guard let place = places[id] else { return nil }
    return slots[Int(place)].trigger
  }

  /// Passes over the numbers up to `serial`, as many triggers would that came and went.
  mutating func pass(to serial: UInt64) { self.serial = max(self.serial, serial) }

  /// Adds a trigger under the next id, which it returns filled in.
  mutating func add(_ trigger: Trigger) -> Trigger {
    var trigger = trigger
    repeat {
      serial += 1
    } while UInt32(truncatingIfNeeded: serial) == 0
      || places[UInt32(truncatingIfNeeded: serial)] != nil
    trigger.serial = serial
    let place: Int32
    if let reused = free.popLast() {
      place = reused
    } else {
      slots.append(Slot())
      place = Int32(slots.count - 1)
    }
    slots[Int(place)] = Slot(trigger: trigger, previous: last, next: -1)
    if last >= 0 { slots[Int(last)].next = place } else { first = place }
    last = place
    places[trigger.id] = place
    enter(place)
    return trigger
  }

  /// Changes the trigger with this id in place: what it was and what it is, nil if there is none.
  mutating func update(_ id: UInt32, _ change: (inout Trigger) -> Void) -> (before: Trigger, after: Trigger)? {
    guard let place = places[id], let before = slots[Int(place)].trigger else { return nil }
    change(&slots[Int(place)].trigger!)
    let after = slots[Int(place)].trigger!
    if before.type != after.type || before.addresses != after.addresses {
      index.remove(from: slots[Int(place)].node)
      enter(place)
    }
    return (before, after)
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
    let key = TriggerIndex.Key(type: type, address: address)
    var passed: Int32?
    if cursor.place >= 0, let trigger = slots[Int(cursor.place)].trigger, trigger.serial < cursor.serial,
      trigger.type == type, trigger.addresses.contains(where: { $0.address == address })
    {
      passed = slots[Int(cursor.place)].node
    }
    var node = index.start(key, behind: passed)
    while node >= 0 {
      let place = index.place(node)
      if let trigger = slots[Int(place)].trigger, trigger.serial >= cursor.serial, trigger.type == type,
        trigger.addresses.contains(where: { $0.address == address })
      {
        cursor = Cursor(serial: trigger.serial + 1, place: place)
        return trigger
      }
      node = index.next(node)
    }
    cursor = .end
    return nil
  }

  /// Enters the trigger at a place into the index, once under each of its addresses.
  private mutating func enter(_ place: Int32) {
    if index.isFull {
      index = index.emptied
      var next = first
      while next >= 0 {
        slots[Int(next)].node = -1
        if next != place { enter(next) }
        next = slots[Int(next)].next
      }
    }
    guard let trigger = slots[Int(place)].trigger else { return }
    var node: Int32 = -1
    for position in trigger.addresses.indices {
      let address = trigger.addresses[position].address
      if trigger.addresses[..<position].contains(where: { $0.address == address }) { continue }
      let key = TriggerIndex.Key(type: trigger.type, address: address)
      node = index.insert(key, place: place, sibling: node) { (slots[Int($0)].trigger?.serial ?? 0) > trigger.serial }
    }
    slots[Int(place)].node = node
  }

  /// Changes what is known of a trigger's origin, of which nobody is told. False if there is no such trigger.
  @discardableResult
  mutating func touch(_ id: UInt32, _ change: (inout Origin) -> Void) -> Bool {
    guard let place = places[id] else { return false }
    change(&slots[Int(place)].trigger!.origin)
    return true
  }

  mutating func remove(_ id: UInt32) -> Trigger? {
    guard let place = places.removeValue(forKey: id) else { return nil }
    let slot = slots[Int(place)]
    index.remove(from: slot.node)
    if slot.previous >= 0 { slots[Int(slot.previous)].next = slot.next } else { first = slot.next }
    if slot.next >= 0 { slots[Int(slot.next)].previous = slot.previous } else { last = slot.previous }
    slots[Int(place)] = Slot()
    free.append(place)
    return slot.trigger
  }

  /// The first trigger that the cursor has not passed, nil at the end; the cursor then stands behind it.
  ///
  /// - Complexity: O(1) from one call to the next while nothing is removed in between, else a search by serial.
  package func next(_ cursor: inout Cursor) -> Trigger? {
    var place = first
    if cursor.place >= 0, let passed = slots[Int(cursor.place)].trigger, passed.serial < cursor.serial {
      place = slots[Int(cursor.place)].next
    }
    while place >= 0, let trigger = slots[Int(place)].trigger {
      if trigger.serial >= cursor.serial {
        cursor = Cursor(serial: trigger.serial + 1, place: place)
        return trigger
      }
      place = slots[Int(place)].next
    }
    cursor = .end
    return nil
  }
}
