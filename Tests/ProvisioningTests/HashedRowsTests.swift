import Testing

@testable import Provisioning

/// The hash table of paths and provenances against a dictionary.
@Suite struct HashedRowsTests {
  /// `spread` is how many hashes there are: few make long chains.
  @Test(arguments: [1, 3, 64, 1 << 20], 0..<5)
  func `has what was added and not removed`(_ spread: Int, _ seed: UInt64) {
    var random = Random(seed)
    var table = HashedRows<Int>()
    var places: [Int: Int32] = [:]
    func hash(_ value: Int) -> UInt32 { UInt32(value % spread) &* 0x9E37_79B1 }
    for step in 0..<2000 {
      let value = random.below(600)
      let found = table.find(hash(value)) { $0 == value }
      #expect(found == places[value])
      if let found {
        // More are added than removed until there are some hundred.
        if random.below(1000) < places.count * 2 {
          table.remove(found)
          places[value] = nil
        }
      } else {
        places[value] = table.add(hash(value)) { _ in value }
      }
      if step % 7 == 0 { table.stock() }
    }
    #expect(table.count == places.count)
    for (value, place) in places { #expect(table[place] == value) }
    var all: Set<Int> = []
    table.forEach { all.insert($1) }
    #expect(all == Set(places.keys))
  }

  /// Rows that wait are no values, and each is taken by one.
  @Test func `more rows than were stocked`() {
    var table = HashedRows<Int>()
    table.reserve(Stock.rows)
    table.stock()
    table.forEach { _, _ in Issue.record("a row that nobody took") }
    let places = (0...Stock.rows).map { value in table.add(UInt32(value)) { _ in value } }
    #expect(Set(places).count == Stock.rows + 1)
    for value in 0...Stock.rows { #expect(table[places[value]] == value) }
  }
}
