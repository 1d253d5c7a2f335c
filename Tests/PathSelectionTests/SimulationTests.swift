import Messages
import PathSelection
import Provisioning
import Testing
import Wire

/// Random events in random order, a word of the oracle at each action: what must hold whatever happens.
@Suite struct SimulationTests {
  private struct Oracle {
    var peers: Set<IPAddress> = []
    /// Probes that were sent and not forgotten.
    var flying: [UInt32: (peer: IPAddress, path: Path)] = [:]
    /// Paths that have answered since the last move or since the peer came.
    var answered: Set<Pair> = []
    var failed: Set<Pair> = []
    var moved: [IPAddress: Path] = [:]

    struct Pair: Hashable {
      let peer: IPAddress
      let path: Path
    }

    mutating func hear(_ action: Action) {
      switch action {
      case .probe(let number, let peer, let port, let path):
        #expect(peers.contains(peer), "a probe to nobody")
        #expect(flying[number] == nil, "a number twice")
        #expect(port == 500 && path.source.family == peer.family)
        flying[number] = (peer, path)
        answered.remove(Pair(peer: peer, path: path))
        failed.remove(Pair(peer: peer, path: path))
        #expect(flying.values.count { $0.peer == peer } <= Uplinks.pathLimit + 1, "more probes than paths")
      case .repeat(let number): #expect(flying[number] != nil, "an unknown probe again")
      case .forget(let number):
        #expect(flying[number] != nil, "an unknown probe forgotten")
        flying[number] = nil
      case .move(let peer, let from, let to, let verdict):
        #expect(from != to, "moved to where it is")
        if verdict.roundTrip != nil {
          #expect(answered.contains(Pair(peer: peer, path: to)), "moved to a path that has not answered")
        } else {
          #expect(verdict.failure == .unsendable(errno: 101), "moved unproven for what can be forged")
        }
        if let from { #expect(!answered.contains(Pair(peer: peer, path: from)), "moved from a path that answers") }
        moved[peer] = to
      case .restore(let peer, _, _): #expect(moved.removeValue(forKey: peer) != nil, "restored what was not moved")
      case .notice(let peer, _): #expect(peers.contains(peer) || moved[peer] != nil)
      }
    }
  }

  @Test(arguments: 1...24)
  func `No move without proof, nothing forgotten, nothing for ever`(_ seed: UInt64) {
    var random = Generator(seed)
    var world = World(ways: 1 + Int(seed % 4), family: seed % 2 == 0 ? .v4 : .v6)
    var oracle = Oracle()
    let names = (1...3).map {
      world.peer.family == .v4 ? IPAddress("203.0.113.\($0)")! : IPAddress("2001:db8:99::\($0)")!
    }
    func drain() {
      var actions = world.selector.takeActions()
      while !actions.isEmpty {
        for action in actions {
          oracle.hear(action)
          if case .probe(let number, let peer, _, let path) = action, random.next() % 8 == 0 {
            oracle.failed.insert(Oracle.Pair(peer: peer, path: path))
            world.selector.hear(.unsendable(errno: 101), of: number, at: world.now)
          }
        }
        actions = world.selector.takeActions()
      }
    }
    for _ in 0..<4_000 {
      let way = Int(random.next() % UInt64(world.ways.count))
      let path = world.ways[way].path
      switch random.next() % 16 {
      case 0:
        oracle.peers = Set(names.filter { _ in random.next() % 4 != 0 })
        oracle.peers.formUnion(oracle.moved.keys)
        world.selector.hear(
          oracle.peers.map { Association(peer: $0, port: 500, local: path.source) }, at: world.now)
      case 1, 2:
        world.selector.hear(pathTo: names[Int(random.next() % 3)], random.next() % 8 == 0 ? nil : path, at: world.now)
      case 3, 4:
        world.selector.hear(
          .unreachable(trigger: UInt32(random.next() % 8), source: path.source, IPPrefix(names[0], 0)), at: world.now)
      case 5: world.selector.hear(.withdrawn(trigger: UInt32(random.next() % 8)), at: world.now)
      case 6: world.selector.hear(.connectionLost(interface: path.interface, path.source), at: world.now)
      case 7: world.selector.hear(.connectionEstablished, at: world.now)
      case 8: _ = world.selector.hear(.defaultRoute(world.route(way)), at: world.now)
      case 9: _ = world.selector.hear(.defaultRouteRemoved(world.route(way)), at: world.now)
      case 10:
        _ = world.selector.hear(
          .link(world.link(path.interface, isUp: random.next() % 4 != 0, hasCarrier: random.next() % 4 != 0)),
          at: world.now)
      case 11, 12, 13:
        if let (number, probe) = oracle.flying.randomElement(using: &random) {
          let answers = random.next() % 2 == 0
          let pair = Oracle.Pair(peer: probe.peer, path: probe.path)
          if answers { oracle.answered.insert(pair) } else { oracle.failed.insert(pair) }
          world.selector.hear(answers ? .answered(0) : .unreachable(type: 3, code: 0), of: number, at: world.now)
        }
      default:
        world.now = world.now.adding(
          nanoseconds: random.next() % (random.next() % 8 == 0 ? 40 * seconds : 50 * milliseconds))
        world.selector.advance(to: world.now)
        #expect(world.selector.deadline > world.now || !world.selector.actions.isEmpty, "a deadline that does not pass")
      }
      drain()
    }
    // All peers go; a minute later nothing is left of them.
    world.selector.hear([], at: world.now)
    drain()
    world.selector.advance(to: world.now.adding(nanoseconds: 61 * seconds))
    drain()
    #expect(oracle.flying.isEmpty && oracle.moved.isEmpty)
    #expect(world.selector.associations.isEmpty && world.selector.deadline == .never)
  }
}

/// SplitMix64.
private struct Generator: RandomNumberGenerator {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = state
    word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
    return word ^ word >> 31
  }
}
