/// What runs out, and when: a binary heap whose entries know their place, so that moving a deadline neither leaves
/// a stale one behind nor grows the heap. Setting, clearing and taking cost O(log n); equal deadlines come in the
/// order in which they were set.
package struct Deadlines<Subject: Sendable>: Sendable {
  /// Names one entry from `add` to `remove`.
  package struct Handle: Equatable, Sendable { fileprivate var slot: Int32 }

  private struct Slot {
    var subject: Subject?
    var deadline = Instant.never
    var order: UInt64 = 0
    /// Index in `heap`, or -1 without a deadline.
    var position: Int32 = -1
  }

  private var slots: [Slot] = []
  private var free: [Int32] = []
  private var heap: [Int32] = []
  private var counter: UInt64 = 0

  package init() {}

  /// The earliest deadline, `.never` if there is none.
  package var next: Instant { heap.isEmpty ? .never : slots[Int(heap[0])].deadline }
  package var count: Int { slots.count - free.count }

  /// Lets it grow to so many entries without being copied.
  mutating func reserve(_ count: Int) {
    slots.reserveCapacity(count + Stock.rows)
    heap.reserveCapacity(count)
  }

  /// Makes entries that wait to be taken, if there are none.
  mutating func stock() {
    if !free.isEmpty { return }
    for _ in 0..<Stock.rows { slots.append(Slot()) }
    for slot in (slots.count - Stock.rows..<slots.count).reversed() { free.append(Int32(slot)) }
  }

  /// A new entry without a deadline.
  package mutating func add(_ subject: Subject) -> Handle {
    stock()
    let slot = free.removeLast()
    slots[Int(slot)] = Slot(subject: subject)
    return Handle(slot: slot)
  }

  package mutating func remove(_ handle: Handle) {
    set(handle, .never)
    slots[Int(handle.slot)].subject = nil
    free.append(handle.slot)
  }

  /// Moves the entry's deadline; `.never` clears it.
  package mutating func set(_ handle: Handle, _ deadline: Instant) {
    let slot = Int(handle.slot)
    if slots[slot].deadline == deadline { return }
    let position = slots[slot].position
    slots[slot].deadline = deadline
    counter += 1
    slots[slot].order = counter
    if deadline == .never {
      if position >= 0 { take(Int(position)) }
    } else if position >= 0 {
      sift(Int(position))
    } else {
      heap.append(handle.slot)
      slots[slot].position = Int32(heap.count - 1)
      _ = rise(heap.count - 1)
    }
  }

  /// The subject of the earliest deadline that is not after `instant`; its entry stays, without a deadline.
  package mutating func due(_ instant: Instant) -> Subject? {
    guard let first = heap.first, slots[Int(first)].deadline <= instant else { return nil }
    take(0)
    slots[Int(first)].deadline = .never
    return slots[Int(first)].subject
  }

  private func before(_ a: Int32, _ b: Int32) -> Bool {
    let (x, y) = (Int(a), Int(b))
    return slots[x].deadline != slots[y].deadline
      ? slots[x].deadline < slots[y].deadline : slots[x].order < slots[y].order
  }

  private mutating func place(_ slot: Int32, _ position: Int) {
    heap[position] = slot
    slots[Int(slot)].position = Int32(position)
  }

  private mutating func take(_ position: Int) {
    let slot = heap[position]
    let last = heap.removeLast()
    slots[Int(slot)].position = -1
    if position < heap.count {
      place(last, position)
      sift(position)
    }
  }

  private mutating func sift(_ start: Int) {
    if rise(start) { return }
    let slot = heap[start]
    var position = start
    while true {
      var child = 2 * position + 1
      if child >= heap.count { break }
      if child + 1 < heap.count, before(heap[child + 1], heap[child]) { child += 1 }
      if !before(heap[child], slot) { break }
      place(heap[child], position)
      position = child
    }
    place(slot, position)
  }

  /// Moves the entry there up, in front of those that are due later. False if it stays: it may be due after what is below it.
  private mutating func rise(_ start: Int) -> Bool {
    let slot = heap[start]
    var position = start
    while position > 0 {
      let parent = (position - 1) / 2
      if !before(slot, heap[parent]) { break }
      place(heap[parent], position)
      position = parent
    }
    if position == start { return false }
    place(slot, position)
    return true
  }
}
