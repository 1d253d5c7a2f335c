/// Values by a hash of what they are known by: a table whose chains lie in its rows, which stay where they are. It grows by a
/// bucket at a time (linear hashing), so that no value has to wait until all others have been hashed anew.
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
  private var buckets = GrowingBuckets()

  /// Lets it grow to so many values without being copied.
  mutating func reserve(_ count: Int) {
    rows.reserveCapacity(count + Stock.rows)
    buckets.reserve(count + Stock.rows)
  }

  /// Makes rows that wait to be taken, if there are none, and buckets for so many more.
  mutating func stock() {
    while count + Stock.rows > buckets.count { addBucket() }
    makeRows()
  }

  private mutating func makeRows() {
    if free >= 0 { return }
    for _ in 0..<Stock.rows { rows.append(Row(next: Int32(rows.count + 1))) }
    free = Int32(rows.count - Stock.rows)
    rows[rows.count - 1].next = -1
  }

  /// The row with this hash whose value is the one that is meant.
  func find(_ hash: UInt32, where isMeant: (Value) -> Bool) -> Int32? {
    var row = buckets[hash]
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
    makeRows()
    if count >= buckets.count { addBucket() }
    let row = free
    free = rows[Int(row)].next
    rows[Int(row)] = Row(value: make(row), hash: hash)
    enter(row)
    count += 1
    return row
  }

  mutating func remove(_ row: Int32) {
    let hash = rows[Int(row)].hash
    let next = rows[Int(row)].next
    if buckets[hash] == row {
      buckets[hash] = next
    } else {
      var before = buckets[hash]
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

  private mutating func enter(_ row: Int32) {
    rows[Int(row)].next = buckets[rows[Int(row)].hash]
    buckets[rows[Int(row)].hash] = row
  }

  private mutating func addBucket() {
    var row = buckets.split()
    while row >= 0 {
      let next = rows[Int(row)].next
      enter(row)
      row = next
    }
  }
}
