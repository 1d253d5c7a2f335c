import Fuzzing
import Provisioning

/// Which provisioning domains there were when. A client that reads late, or a request that waits, is answered as things
/// were at one moment between; time is counted in changes of the network.
struct DomainHistory {
  private struct Life {
    let interface: UInt32
    let from: Int
    var end: Int?
  }

  private(set) var now = 0
  private var lives: [UInt32: Life] = [:]
  private var living: Set<UInt32> = []

  mutating func note(_ state: borrowing NetworkState) {
    now += 1
    var present: Set<UInt32> = []
    for link in state.links {
      for domain in state.domains(of: link.index) ?? [] {
        present.insert(domain.id)
        if lives[domain.id] == nil { lives[domain.id] = Life(interface: link.index, from: now) }
      }
    }
    for gone in living.subtracting(present) { lives[gone]?.end = now }
    check(present.allSatisfy { lives[$0]?.end == nil }, "a PvD's identifier came back")
    living = present
  }

  func interface(of pvd: UInt32) -> UInt32? { lives[pvd]?.interface }
  func isThere(_ pvd: UInt32) -> Bool { living.contains(pvd) }

  /// Whether it was there at a moment since `start`.
  func wasThere(_ pvd: UInt32, since start: Int) -> Bool {
    guard let life = lives[pvd] else { return false }
    return life.end.map { $0 > start } ?? true
  }

  /// Whether it was missing at a moment since `start`.
  func wasMissing(_ pvd: UInt32, since start: Int) -> Bool {
    guard let life = lives[pvd] else { return true }
    return life.from > start || life.end != nil
  }
}
