import Fuzzing
import Glibc
import Messages
import Subscribers

/// One program's run: the agent's sockets and the clients of one of them, that read or don't, come and go.
class ServiceRun<Client: Peer> {
  private static var slots: Int { 5 }

  let world: World
  let queueLimit: Int
  private(set) var peers = [Client?](repeating: nil, count: slots)
  /// Those who are gone.
  private(set) var former: [Client] = []
  private var sequence: UInt32 = 0

  init(_ world: World, queueLimit: Int) {
    self.world = world
    self.queueLimit = queueLimit
  }

  // MARK: For subclasses

  /// `choice` says who it is.
  func connect(_ choice: UInt8) -> Client? { nil }
  /// A request that is mostly right.
  func request(_ program: inout Program) -> [UInt8] { [] }
  /// What is read beside the peers. Gives how many bytes there were.
  func readOthers() -> Int { 0 }
  /// Brings to its end what takes time.
  func complete() {}
  /// What has to hold when everything has been read.
  func checkEnd() {}
  func closeOthers() {}

  /// Those who were let in and have not left.
  var open: [Client] { peers.compactMap { $0 }.filter { $0.isOpen && !$0.isTurnedAway } }

  func nextSequence() -> UInt32 {
    sequence += 1
    return sequence
  }

  // MARK: Steps

  func execute(_ program: inout Program) {
    while !program.isAtEnd {
      let step = program.byte()
      self.step(step & 0x0F, &program)
      // Else it goes on before the agent has seen it.
      if step & 0x80 == 0 { turn(times: step & 0x40 == 0 ? 4 : 1) }
    }
  }

  private func step(_ step: UInt8, _ program: inout Program) {
    switch step {
    case 0...5: request(&program, times: 1)
    case 6: request(&program, times: 1 + program.number(below: 64))
    case 7: spoiltRequest(&program)
    case 8: peer(&program)?.read(atMost: 1 + program.number(below: 20))
    case 9:
      guard let peer = peer(&program) else { return }
      if peer.isReading { peer.isReading = false } else { wake(peer) }
    case 10: leave(program.number(below: Self.slots), program.byte())
    case 11, 12, 13: NetworkEvent.happen(&program, in: world)
    case 14:
      guard let peer = peer(&program) else { return }
      peer.request(program.bytes(program.number(below: 256)))
    default: world.pass(nanoseconds: UInt64(program.byte()) * 1_000_000)
    }
  }

  private func peer(_ program: inout Program) -> Client? {
    let choice = program.byte()
    let slot = Int(choice & 0x0F) % Self.slots
    if let peer = peers[slot], peer.isOpen { return peer }
    retire(slot)
    peers[slot] = connect(choice)
    return peers[slot]
  }

  private func retire(_ slot: Int) {
    if let peer = peers[slot] { former.append(peer) }
    peers[slot] = nil
  }

  private func request(_ program: inout Program, times: Int) {
    guard let peer = peer(&program) else { return }
    let request = request(&program)
    for _ in 0..<times { peer.request(request) }
  }

  /// One with a byte changed, and perhaps cut.
  private func spoiltRequest(_ program: inout Program) {
    guard let peer = peer(&program) else { return }
    var request = request(&program)
    request[program.number(below: request.count)] = program.byte()
    let length = program.byte()
    peer.request(length & 0x80 == 0 ? request : Array(request.prefix(Int(length & 0x7F))))
  }

  private func leave(_ slot: Int, _ how: UInt8) {
    guard let peer = peers[slot] else { return }
    if how & 3 == 3 {
      peer.close()
      retire(slot)
    } else {
      peer.shutDown(Int(how & 3))
    }
  }

  // MARK: The agent's turns

  private func turn(times: Int) {
    for _ in 0..<times {
      let hasTurned = world.turn()
      if readAll() == 0, !hasTurned { return }
    }
  }

  private func readAll() -> Int {
    var total = readOthers()
    for case let peer? in peers where peer.isReading { total += peer.read() }
    return total
  }

  /// Until nothing is ready any more.
  func settle() {
    for _ in 0..<20_000 {
      let hasTurned = world.turn()
      if readAll() == 0, !hasTurned { return }
    }
    check(false, "the loop never rests")
  }

  /// A client that has slept reads what is there, then what the agent has kept for it: no more than its queue may hold,
  /// beside one request's answers.
  private func wake(_ peer: Client) {
    let mayWait = peer.isWaiting || peer.isReplaying
    settle()
    peer.isReading = true
    peer.read()
    var kept = 0
    for _ in 0..<20_000 {
      let hasTurned = world.turn()
      let count = peer.read()
      kept += count
      if count == 0, !hasTurned { break }
    }
    if !mayWait { check(kept <= queueLimit, "\(kept) bytes were kept where \(queueLimit) may be") }
  }

  // MARK: The end

  func finish() {
    for case let peer? in peers { peer.isReading = true }
    settle()
    complete()
    for peer in open where peer.isWhole {
      check(!peer.isWaiting, "a request has no answer")
      check(!peer.isReplaying, "a replay has no end")
    }
    checkEnd()
    for slot in peers.indices {
      peers[slot]?.close()
      retire(slot)
    }
    closeOthers()
    settle()
    check(world.counter("subscribers.connected") == 0, "somebody is still connected")
    check(world.counter("subscribers.accepted") == world.counter("subscribers.closed"), "accepted and closed differ")
  }
}
