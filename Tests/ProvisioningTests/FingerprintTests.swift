import Testing

@testable import Provisioning

/// What the provisioning domains of an interface are compared by.
@Suite struct FingerprintTests {
  /// A DHCPv6 grant counts up the changes of each server at once, by one or by two: the sum has to show it.
  @Test(arguments: [(1, 1), (1, 2), (2, 1), (2, 2)] as [(UInt64, UInt64)])
  func `two that count further do not cancel out`(_ first: UInt64, _ second: UInt64) {
    var equal = 0
    for one in 1..<24 as Range<UInt64> {
      for other in one + 1..<24 {
        for (a, b) in (0..<256 as Range<UInt64>).map({ ($0 / 16, $0 % 16) }) {
          let before = Fingerprint(one, a).value &+ Fingerprint(other, b).value
          let after = Fingerprint(one, a + first).value &+ Fingerprint(other, b + second).value
          if before == after { equal += 1 }
        }
      }
    }
    #expect(equal == 0)
  }
}
