import Testing

@testable import Kernel

/// The plan in a box: what changes it can be expected.
@dynamicMemberLookup
final class Plan {
  private var resync = Resync()
  subscript<T>(dynamicMember path: KeyPath<Resync, T>) -> T { resync[keyPath: path] }

  func begin(at now: UInt64) -> Bool { resync.begin(at: now) }
  func next(at now: UInt64) -> Dump? { resync.next(at: now) }
  func stalled(at now: UInt64) -> Bool { resync.stalled(at: now) }
  func want(_ dumps: Dumps) { resync.want(dumps) }
  func started(_ dump: Dump, at now: UInt64) { resync.started(dump, sequence: 1, at: now) }
  func progressed(at now: UInt64) { resync.progressed(isInterrupted: false, at: now) }
  func finished(at now: UInt64) { resync.finished(at: now) }
  func refused(retry: Bool, at now: UInt64) { resync.refused(retry: retry, at: now) }
  func ended(at now: UInt64) { resync.ended(at: now) }

  /// Lets the next dump begin and end.
  @discardableResult
  func play(at now: UInt64, interrupted: Bool = false) throws -> Dump {
    let dump = try #require(resync.next(at: now))
    resync.started(dump, sequence: 1, at: now)
    resync.progressed(isInterrupted: interrupted, at: now)
    resync.finished(at: now)
    return dump
  }

  func playCycle(at now: UInt64) throws {
    #expect(begin(at: now))
    while !resync.isDone { try play(at: now) }
    resync.ended(at: now)
  }
}

/// Without a socket.
@Suite("Resync")
struct ResyncTests {
  static let second: UInt64 = 1_000_000_000

  @Test("everything once, in order, one at a time")
  func order() throws {
    let plan = Plan()
    #expect(plan.begin(at: 0))
    #expect(!plan.begin(at: 0))
    for dump in Dump.allCases {
      #expect(plan.next(at: 0) == dump)
      plan.started(dump, at: 0)
      #expect(plan.next(at: 0) == nil)
      plan.finished(at: 0)
    }
    #expect(plan.isDone)
    #expect(plan.complete == .all)
    plan.ended(at: 0)
    #expect(plan.deadline == nil)
  }

  @Test("what goes wrong during a cycle makes one more after it")
  func oneMore() throws {
    let plan = Plan()
    _ = plan.begin(at: 0)
    try plan.play(at: 0)
    for _ in 0..<100 { plan.want(.all) }
    while !plan.isDone { try plan.play(at: 0) }
    plan.ended(at: 0)
    try plan.playCycle(at: 0)
    #expect(plan.cycle == 2)
    #expect(!plan.begin(at: Self.second))
    #expect(plan.deadline == nil)
  }

  @Test("only what is wanted is dumped")
  func some() throws {
    let plan = Plan()
    try plan.playCycle(at: 0)
    plan.want(Dumps(.routes6))
    #expect(plan.begin(at: 0))
    #expect(try plan.play(at: 0) == .routes6)
    #expect(plan.isDone)
    #expect(plan.complete == Dumps(.routes6))
  }

  @Test("an interrupted dump is repeated; after four times it is left for a later cycle, and not swept")
  func interrupted() throws {
    let plan = Plan()
    _ = plan.begin(at: 0)
    var now: UInt64 = 0
    for _ in 0..<Resync.attempts {
      now += Self.second
      #expect(try plan.play(at: now, interrupted: true) == .links)
    }
    #expect(try plan.play(at: now) == .addresses)
    while !plan.isDone { try plan.play(at: now) }
    #expect(!plan.complete.contains(.links))
    #expect(plan.complete.contains(.addresses))
    plan.ended(at: now)
    #expect(plan.wanted == Dumps(.links))
    try plan.playCycle(at: try #require(plan.deadline))
    #expect(plan.wanted.isEmpty)
  }

  @Test("a dump that brings nothing for five seconds is asked for again; one that goes on is not")
  func stalled() throws {
    let plan = Plan()
    _ = plan.begin(at: 0)
    plan.started(.links, at: 0)
    #expect(plan.deadline == Resync.patience)
    plan.progressed(at: 4 * Self.second)
    #expect(!plan.stalled(at: 8 * Self.second))
    #expect(plan.stalled(at: 9 * Self.second))
    #expect(plan.next(at: 9 * Self.second) == .links)
    // A late end of the first request ends nothing.
    plan.finished(at: 9 * Self.second)
    #expect(plan.next(at: 9 * Self.second) == .links)
  }

  @Test("a table that the kernel doesn't have is passed over, one that it refuses now is asked for again")
  func refused() throws {
    let plan = Plan()
    _ = plan.begin(at: 0)
    for _ in 0..<3 { try plan.play(at: 0) }
    plan.started(.routes6, at: 0)
    plan.refused(retry: false, at: 0)
    #expect(plan.next(at: 0) == .neighbours)
    plan.started(.neighbours, at: 0)
    plan.refused(retry: true, at: 0)
    #expect(plan.next(at: 0) == .neighbours)
    try plan.play(at: 0)
    #expect(plan.isDone)
    #expect(!plan.complete.contains(.routes6))
    plan.ended(at: 0)
    #expect(plan.wanted.isEmpty)
  }

  @Test("cycles in a row take a quarter of the time at most, once the first are through")
  func pauses() throws {
    let plan = Plan()
    var now: UInt64 = 100 * Self.second
    let start = now
    for number in 0..<40 {
      plan.want(.all)
      if let deadline = plan.deadline, deadline > now {
        #expect(number >= 5)
        #expect(!plan.begin(at: now))
        now = deadline
      }
      #expect(plan.begin(at: now))
      while !plan.isDone { try plan.play(at: now) }
      now += Self.second / 10
      plan.ended(at: now)
    }
    #expect(now - start >= 40 * 4 * Self.second / 10 - 3 * Self.second)
    #expect(now - start <= 40 * 4 * Self.second / 10)
    // Calm brings the advance back.
    now += 10 * Self.second
    plan.want(.all)
    try plan.playCycle(at: now)
    plan.want(.all)
    #expect(plan.begin(at: now))
  }
}
