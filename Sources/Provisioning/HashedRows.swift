/// Values by a hash of what they are known by: a table whose chains lie in its rows, which stay where they are.
struct HashedRows<Value: Sendable>: Sendable {
  private struct Row: Sendable {
    /// nil where the row is free.
    var value: Value?
    var hash: UInt32 = 0
    /// In the chain, or of the free ones; -1 behind the last.
    var next: Int32 = -1
  }

  private(set) var count = 0
  private var rows: [Row] = []
  private var free: Int32 = -1
  /// The first row of each chain, -1 for none.
  private var buckets = [Int32](repeating: -1, count: 16)

  /// The row with this hash whose value is the one that is meant.
  func find(_ hash: UInt32, where isMeant: (Value) -> Bool) -> Int32? {
    var row = buckets[bucket(hash)]
    while row >= 0 {
      if rows[Int(row)].hash == hash, let value = rows[Int(row)].value, isMeant(value) { return row }
      row = rows[Int(row)].next
    }
    return nil
  }

  /// Of a row that is taken.
  subscript(row: Int32) -> Value {
    get { rows[Int(row)].value! }
    _modify { yield &rows[Int(row)].value! }
  }

  /// Takes a row for a value that is in none; `make` is told which.
  @discardableResult
  mutating func add(_ hash: UInt32, _ make: (Int32) -> Value) -> Int32 {
    if free < 0 {
      rows.append(Row())
      free = Int32(rows.count - 1)
      if rows.count > buckets.count { doubleBuckets() }
    }
    let row = free
    free = rows[Int(row)].next
    rows[Int(row)] = Row(value: make(row), hash: hash)
    enter(row)
    count += 1
    return row
  }

  mutating func remove(_ row: Int32) {
    let bucket = bucket(rows[Int(row)].hash)
    let next = rows[Int(row)].next
    if buckets[bucket] == row {
      buckets[bucket] = next
    } else {
      var before = buckets[bucket]
      while rows[Int(before)].next != row { before = rows[Int(before)].next }
      rows[Int(before)].next = next
    }
    rows[Int(row)] = Row(next: free)
    free = row
    count -= 1
  }

  /// In no order that means anything.
  func forEach(_ body: (Int32, Value) -> Void) {
    for row in rows.indices {
      if let value = rows[row].value { body(Int32(row), value) }
    }
  }

  private func bucket(_ hash: UInt32) -> Int { Int(truncatingIfNeeded: hash) & (buckets.count - 1) }

  private mutating func enter(_ row: Int32) {
    let bucket = bucket(rows[Int(row)].hash)
    rows[Int(row)].next = buckets[bucket]
    buckets[bucket] = row
  }

  private mutating func doubleBuckets() {
    buckets = [Int32](repeating: -1, count: 2 * buckets.count)
    for row in rows.indices where rows[row].value != nil { enter(Int32(row)) }
  }
}
