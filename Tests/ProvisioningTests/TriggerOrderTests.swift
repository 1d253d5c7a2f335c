import Testing

@testable import Provisioning

@Suite struct TriggerOrderTests {
  /// Against a dictionary, while most triggers go again and ids begin anew now and then.
  @Test(arguments: 0..<50 as Range<UInt64>)
  func `Each trigger is found where it is, whatever came and went`(_ seed: UInt64) {
    var random = Random(seed)
    var order = TriggerOrder()
    var places: [UInt64: Int32] = [:]
    var serial: UInt64 = 0
    for place in 0..<600 as Range<Int32> {
      serial += random.below(80) == 0 ? 0xFFFF_FFF0 : 1 + UInt64(random.below(3))
      // As the table does: an id that is in use is passed over.
      while places.keys.contains(where: { UInt32(truncatingIfNeeded: $0) == UInt32(truncatingIfNeeded: serial) }) {
        serial += 1
      }
      order.append(serial, place)
      places[serial] = place
      if random.below(4) > 0 {
        let gone = places.keys.sorted()[random.below(places.count)]
        order.remove(gone)
        // Once more changes nothing.
        order.remove(gone)
        places[gone] = nil
      }
    }
    #expect(order.count == places.count)
    let sorted = places.keys.sorted()
    for (position, serial) in sorted.enumerated() {
      #expect(order.place(ofID: UInt32(truncatingIfNeeded: serial)) == places[serial])
      #expect(order.first(from: serial) == places[serial])
      #expect(order.first(from: serial + 1) == (position + 1 < sorted.count ? places[sorted[position + 1]] : nil))
    }
    #expect(order.first(from: 0) == sorted.first.map { places[$0]! })
    #expect(order.first(from: serial + 1 << 32) == nil)
  }
}
