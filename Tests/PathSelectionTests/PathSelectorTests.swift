import PathSelection
import Provisioning
import Testing
import Wire

/// What moves a peer, and what doesn't: RFC 4555 leaves the choice of a path to the initiator, RFC 4621 section 5.1 says
/// that what comes unprotected is a hint.
@Suite struct PathSelectorTests {
  /// A host that has been connected for a while.
  private func settled(ways: Int = 2, family: Family = .v4, _ settings: Settings = Settings()) -> World {
    var world = World(ways: ways, family: family, settings)
    world.connect()
    world.pass(1 * seconds)
    #expect(world.done.isEmpty)
    return world
  }

  @Test(arguments: Family.allCases)
  func `An ICMP error about a dead path moves the peer as soon as the other path answers`(_ family: Family) {
    var world = settled(family: family)
    world.ways[0].condition = .refused
    world.unreachable()
    #expect(world.moves.isEmpty)
    world.pass(1 * milliseconds)
    #expect(world.moves == [world.ways[1].path])
    guard case .move(let peer, let from, _, let verdict) = world.done[0] else { return }
    #expect(peer == world.peer && from == world.ways[0].path)
    #expect(
      verdict
        == Verdict(doubt: .unreachable, failure: .unreachable(type: 3, code: 0), roundTrip: 1 * milliseconds))
  }

  @Test func `An ICMP error about a path that lives moves nothing`() {
    var world = settled()
    world.unreachable()
    world.pass(10 * seconds)
    #expect(world.moves.isEmpty)
    #expect(world.notices == [.lives(.unreachable, roundTrip: 1 * milliseconds)])
  }

  @Test(arguments: [1, 80, 160] as [UInt64])
  func `Forged errors without end move nothing and cost few probes`(_ delay: UInt64) {
    var world = World()
    for index in world.ways.indices { world.ways[index].roundTrip = delay * milliseconds }
    world.connect()
    world.pass(1 * seconds)
    let before = world.probes
    for number in 0..<100_000 {
      world.unreachable(UInt32(number))
      world.pass(100_000)
    }
    #expect(world.moves.isEmpty)
    // Ten seconds, and at most two probes in each of checkInterval.
    #expect(world.probes - before <= 2 * 90)
  }

  @Test func `While the trigger stands the path is looked at again and again`() {
    var world = settled()
    world.unreachable()
    world.pass(1 * seconds)
    // The agent does not tell of the next error: the trigger stands already.
    world.ways[0].condition = .blackHole
    world.pass(1200 * milliseconds)
    #expect(world.moves == [world.ways[1].path])
  }

  @Test func `A trigger that is withdrawn is no reason to look`() {
    var world = settled(Settings())
    world.unreachable(9)
    world.pass(100 * milliseconds)
    world.hear(.withdrawn(trigger: 9))
    world.pass(1 * seconds)
    let before = world.probes
    world.pass(8 * seconds)
    #expect(world.probes == before)
  }

  @Test func `A trigger about another address or another peer is nothing to this one`() {
    var world = settled()
    let before = world.probes
    world.hear(.unreachable(trigger: 1, source: world.ways[1].path.source, IPPrefix(world.peer, 32)))
    world.hear(.unreachable(trigger: 2, source: world.ways[0].path.source, IPPrefix(IPAddress("203.0.113.2")!, 32)))
    #expect(world.probes == before)
    // All destinations: how the agent folds more than it can hold apart.
    world.hear(.unreachable(trigger: 3, source: world.ways[0].path.source, IPPrefix(IPAddress("0.0.0.0")!, 0)))
    #expect(world.probes == before + 2)
  }

  @Test func `Without an ICMP error about the probe it fails after twice the round trip, at least 25 ms`() {
    var world = settled()
    world.ways[0].condition = .blackHole
    world.unreachable()
    world.pass(24 * milliseconds)
    #expect(world.moves.isEmpty)
    world.pass(1 * milliseconds)
    #expect(world.moves == [world.ways[1].path])
  }

  @Test func `A slow path is given twice its round trip`() {
    var world = World()
    world.ways[0].roundTrip = 80 * milliseconds
    world.connect()
    world.pass(1 * seconds)
    world.ways[0].condition = .blackHole
    world.unreachable()
    world.pass(159 * milliseconds)
    #expect(world.moves.isEmpty)
    world.pass(1 * milliseconds)
    #expect(world.moves == [world.ways[1].path])
  }

  @Test func `A black hole is found by the next look`() {
    var settings = Settings()
    settings.probeInterval = 5 * seconds
    var world = settled(settings)
    world.ways[0].condition = .blackHole
    // 0.2, 0.4 and 0.8 s of silence: a path that has become slower would have answered.
    world.pass(5 * seconds)
    #expect(world.moves.isEmpty)
    world.pass(1 * seconds)
    #expect(world.moves == [world.ways[1].path])
  }

  @Test func `No look where it is switched off`() {
    var settings = Settings()
    settings.probeInterval = 0
    var world = settled(settings)
    let before = world.probes
    world.pass(3600 * seconds)
    #expect(world.probes == before)
  }

  @Test func `A lost probe alone moves nothing`() {
    var world = World()
    world.connect()
    // The first one gets lost, its repetition comes through: the world answers the action that is not taken back.
    var selector = PathSelector()
    _ = selector.hear(.link(world.link(1)), at: world.now)
    _ = selector.hear(
      .address(InterfaceAddress(interface: 1, prefix: IPPrefix(world.ways[0].path.source, 24))), at: world.now)
    _ = selector.hear(.defaultRoute(world.route(0)), at: world.now)
    selector.hear([Association(peer: world.peer, port: 500, local: nil)], at: world.now)
    selector.hear(pathTo: world.peer, world.ways[0].path, at: world.now)
    selector.advance(to: world.now)
    guard case .probe(let number, _, _, _)? = selector.takeActions().first else { return #expect(Bool(false)) }
    let later = world.now.adding(nanoseconds: 50 * milliseconds)
    #expect(selector.deadline == later)
    selector.advance(to: later)
    #expect(selector.takeActions() == [.repeat(number: number)])
    selector.hear(.answered(0), of: number, at: later.adding(nanoseconds: 1 * milliseconds))
    #expect(selector.takeActions() == [.forget(number: number)])
  }

  @Test func `The path that answers first is taken`() {
    var world = World(ways: 3)
    world.ways[1].roundTrip = 9 * milliseconds
    world.connect()
    world.pass(1 * seconds)
    world.ways[0].condition = .unsendable
    world.unreachable()
    world.pass(10 * milliseconds)
    #expect(world.moves == [world.ways[2].path])
  }

  @Test func `Both paths dead: nothing is moved, and the first that is back is taken`() {
    var world = settled()
    world.ways[0].condition = .refused
    world.ways[1].condition = .blackHole
    world.unreachable()
    world.pass(20 * seconds)
    #expect(world.moves.isEmpty)
    #expect(world.notices == [.noPath(.unreachable, .unreachable(type: 3, code: 0))])
    world.ways[1].condition = .alive
    world.hear(.connectionEstablished)
    world.pass(10 * milliseconds)
    #expect(world.moves == [world.ways[1].path])
  }

  @Test func `... and without a word of it by the next look, half a minute later at most`() {
    var world = settled()
    world.ways[0].condition = .refused
    world.ways[1].condition = .blackHole
    world.unreachable()
    world.pass(120 * seconds)
    world.ways[1].condition = .alive
    world.pass(31 * seconds)
    #expect(world.moves == [world.ways[1].path])
  }

  @Test func `A peer that never answers a probe is not moved by what can be forged`() {
    var world = World()
    for index in world.ways.indices { world.ways[index].condition = .blackHole }
    world.connect()
    world.pass(1 * seconds)
    world.unreachable()
    world.pass(60 * seconds)
    #expect(world.moves.isEmpty)
    #expect(world.notices == [.unprovable(.silent)])
  }

  @Test func `... but is when the kernel itself can't send`() {
    var world = World()
    for index in world.ways.indices { world.ways[index].condition = .blackHole }
    world.connect()
    world.pass(1 * seconds)
    world.ways[0].condition = .unsendable
    world.hear(.connectionLost(interface: 1, world.ways[0].path.source))
    world.pass(1 * seconds)
    #expect(world.moves == [world.ways[1].path])
  }

  // MARK: Links, addresses, routes

  @Test func `A link without carrier`() {
    var world = settled()
    world.ways[0].condition = .blackHole
    world.hear(.link(world.link(1, hasCarrier: false)))
    world.pass(25 * milliseconds)
    #expect(world.moves == [world.ways[1].path])
    // The kernel still has the route, and would go back to it.
    #expect(world.restorations.isEmpty)
  }

  @Test func `A default route that is gone`() {
    var world = settled()
    world.ways[0].condition = .unsendable
    world.hear(.defaultRouteRemoved(world.route(0)))
    world.pass(25 * milliseconds)
    #expect(world.moves.isEmpty, "the kernel has moved by itself")
    #expect(world.current == world.ways[1].path)
  }

  @Test func `What the kernel does by itself needs nothing of ours`() {
    var world = settled()
    world.ways[0].condition = .refused
    world.unreachable()
    world.pass(10 * milliseconds)
    #expect(world.moves.count == 1)
    world.hear(.defaultRouteRemoved(world.route(0)))
    #expect(world.restorations == [.needless])
  }

  @Test func `The path that was taken goes as well`() {
    var world = World(ways: 3)
    world.connect()
    world.pass(1 * seconds)
    world.ways[0].condition = .refused
    world.ways[2].roundTrip = 5 * milliseconds
    world.unreachable()
    world.pass(3 * seconds)
    #expect(world.moves == [world.ways[1].path])
    world.ways[1].condition = .unsendable
    world.hear(.linkRemoved(index: 2))
    world.pass(10 * milliseconds)
    #expect(world.restorations == [.pathGone])
    #expect(world.moves.last == world.ways[2].path)
  }

  // MARK: Back again

  @Test func `Back when the usual path has been good for the least time between moves`() {
    var world = settled()
    world.ways[0].condition = .refused
    world.unreachable()
    world.pass(10 * seconds)
    #expect(world.restorations.isEmpty)
    world.ways[0].condition = .alive
    world.hear(.connectionEstablished)
    world.pass(1500 * milliseconds)
    #expect(world.restorations.isEmpty)
    world.pass(1 * seconds)
    #expect(world.restorations == [.pathIsBack])
    #expect(world.current == world.ways[0].path)
  }

  @Test func `The other path fails while the usual one is back: no waiting`() {
    var world = settled()
    world.ways[0].condition = .refused
    world.unreachable()
    world.pass(10 * seconds)
    world.ways[0].condition = .alive
    world.ways[1].condition = .refused
    world.unreachable()
    world.pass(10 * milliseconds)
    #expect(world.restorations == [.pathFailed])
    #expect(world.current == world.ways[0].path)
  }

  @Test func `A path that comes and goes each second is left alone`() {
    var world = settled()
    for second in 0..<600 {
      world.ways[0].condition = second % 2 == 0 ? .refused : .alive
      if second % 2 == 0, world.current == world.ways[0].path { world.unreachable(UInt32(second)) }
      world.pass(1 * seconds)
    }
    #expect(world.moves.count == 1)
    #expect(world.restorations.isEmpty)
  }

  @Test func `A path that is good for ten seconds at a time is gone back to ever more rarely`() {
    var world = settled()
    for round in 0..<90 {
      world.ways[0].condition = .refused
      if world.current == world.ways[0].path { world.unreachable(UInt32(round)) }
      world.pass(10 * seconds)
      world.ways[0].condition = .alive
      world.pass(10 * seconds)
    }
    // Half an hour; without damping each round has one.
    #expect((2...6).contains(world.restorations.count), "\(world.restorations.count)")
  }

  @Test func `At most one move in the time that is set`() {
    var settings = Settings()
    settings.moveInterval = 10 * seconds
    var world = World(ways: 3, settings)
    world.connect()
    world.pass(1 * seconds)
    world.ways[0].condition = .refused
    world.ways[2].roundTrip = 5 * milliseconds
    world.unreachable()
    world.pass(1 * seconds)
    world.ways[1].condition = .refused
    world.unreachable(2)
    world.pass(8 * seconds)
    #expect(world.moves == [world.ways[1].path])
    world.pass(2 * seconds)
    #expect(world.moves == [world.ways[1].path, world.ways[2].path])
  }

  // MARK: Peers

  @Test func `An IKE_SA that ends takes its route with it, but not at once`() {
    var world = settled()
    world.ways[0].condition = .refused
    world.unreachable()
    world.pass(1 * seconds)
    world.disconnect()
    world.pass(59 * seconds)
    #expect(world.restorations.isEmpty)
    world.pass(2 * seconds)
    #expect(world.restorations == [.peerGone])
    #expect(world.selector.associations.isEmpty)
  }

  @Test func `An IKE_SA that is established anew keeps the path that works`() {
    var world = settled()
    world.ways[0].condition = .refused
    world.unreachable()
    world.pass(1 * seconds)
    world.disconnect()
    world.pass(30 * seconds)
    world.connect()
    world.pass(120 * seconds)
    #expect(world.restorations.isEmpty)
  }

  @Test func `A path that is dead when the IKE_SA is first seen is left`() {
    var world = World()
    world.ways[0].condition = .refused
    world.connect()
    world.pass(10 * milliseconds)
    #expect(world.moves == [world.ways[1].path])
  }

  @Test func `No more peers than are allowed`() {
    var settings = Settings()
    settings.peers = 2
    var world = World(settings)
    world.selector.hear(
      (1...5).map { Association(peer: IPAddress("203.0.113.\($0)")!, port: 500, local: nil) }, at: world.now)
    #expect(world.selector.associations.count == 2)
  }

  // MARK: What is no reason

  @Test(arguments: [30, 60, 150, 350, 700] as [UInt64])
  func `A path that has become slower`(_ time: UInt64) {
    var settings = Settings()
    settings.probeInterval = 1 * seconds
    var world = settled(settings)
    world.ways[0].roundTrip = time * milliseconds
    world.pass(60 * seconds)
    #expect(world.moves.isEmpty)
  }

  @Test func `A peer behind a slow path from the beginning`() {
    var world = World()
    world.ways[0].roundTrip = 600 * milliseconds
    world.connect()
    world.pass(60 * seconds)
    #expect(world.moves.isEmpty)
  }

  @Test func `The kernel's choice is what is gone back to, though another route has a better metric`() {
    var world = World()
    // As by a more specific route: the kernel sends to the peer over the second uplink.
    let specific = world.ways[1].path
    world.selector.hear([Association(peer: world.peer, port: 500, local: specific.source)], at: world.now)
    world.selector.hear(pathTo: world.peer, specific, at: world.now)
    world.pass(1 * seconds)
    world.ways[1].condition = .refused
    world.hear(.unreachable(trigger: 1, source: specific.source, IPPrefix(world.peer, 32)))
    world.pass(60 * seconds)
    #expect(world.moves == [world.ways[0].path])
    #expect(world.restorations.isEmpty, "what the default route leads to is not where it would go back to")
    world.ways[1].condition = .alive
    world.pass(60 * seconds)
    #expect(world.restorations == [.pathIsBack])
  }

  @Test func `A move that the kernel refuses is not believed done`() {
    var world = settled()
    world.ways[0].condition = .refused
    world.refusesMoves = true
    world.unreachable()
    world.pass(10 * seconds)
    #expect(!world.selector.isMoved(world.peer))
    #expect(world.notices.allSatisfy { if case .lives = $0 { false } else { true } })
    world.refusesMoves = false
    world.pass(60 * seconds)
    #expect(world.moves.last == world.ways[1].path)
    #expect(world.selector.isMoved(world.peer))
  }
}
