import CLinux
import Testing

@testable import Platform

/// A connected pair of SOCK_SEQPACKET sockets.
func socketPair() throws -> (Int32, Int32) {
  var ends: [Int32] = [0, 0]
  let kind = Int32(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
  _ = try valueOrErrno { unsafe socketpair(AF_UNIX, kind, 0, &ends) }
  return (ends[0], ends[1])
}

@Suite struct Pollers {
  @Test func tokensAndReadinessComeBack() throws {
    let ends = try socketPair()
    let near = Descriptor(taking: ends.0)
    let far = Descriptor(taking: ends.1)
    var poller = try Poller()
    try poller.add(near.number, token: .max, .read)
    #expect(try poller.wait(milliseconds: 0) == 0)
    #expect(unsafe send(far.number, "x", 1, 0) == 1)
    for _ in 0..<2 {
      // Level-triggered: it is told until it is read.
      #expect(try poller.wait(milliseconds: 1000) == 1)
      let event = poller.event(0)
      #expect(
        event == Poller.Event(token: .max, isReadable: true, isWritable: false, isHungUp: false, hasError: false))
    }
    try poller.modify(near.number, token: 7, .write)
    #expect(try poller.wait(milliseconds: 1000) == 1)
    let writable = poller.event(0)
    #expect(writable == Poller.Event(token: 7, isReadable: false, isWritable: true, isHungUp: false, hasError: false))
    try poller.remove(near.number)
    #expect(try poller.wait(milliseconds: 0) == 0)
  }

  @Test func theOtherEndGoes() throws {
    let ends = try socketPair()
    let near = Descriptor(taking: ends.0)
    var poller = try Poller()
    try poller.add(near.number, token: 1, [])
    close(ends.1)
    #expect(try poller.wait(milliseconds: 1000) == 1)
    let event = poller.event(0)
    #expect(event.isHungUp)
  }

  /// What does not fit one batch comes with the next ones: nobody is starved.
  @Test func moreEventsThanABatchHolds() throws {
    var poller = try Poller()
    var descriptors: [Int32] = []
    defer { for descriptor in descriptors { close(descriptor) } }
    for token in 0..<UInt64(Poller.batch + 10) {
      let descriptor = try valueOrErrno { eventfd(1, Int32(EFD_CLOEXEC)) }
      descriptors.append(descriptor)
      try poller.add(descriptor, token: token, .read)
    }
    var seen: Set<UInt64> = []
    for _ in 0..<2 {
      let count = try poller.wait(milliseconds: 1000)
      #expect(count == Poller.batch)
      for index in 0..<count { seen.insert(poller.event(index).token) }
    }
    #expect(seen.count == Poller.batch + 10)
  }

  @Test func whatIsNotOpenIsRefused() throws {
    let poller = try Poller()
    #expect(throws: Errno(rawValue: EBADF)) { try poller.add(-1, token: 0, .read) }
    let unknown = Descriptor(taking: try valueOrErrno { eventfd(0, Int32(EFD_CLOEXEC)) })
    #expect(throws: Errno.noEntry) { try poller.modify(unknown.number, token: 0, .read) }
    #expect(throws: Errno.noEntry) { try poller.remove(unknown.number) }
  }
}

@Suite struct Timers {
  @Test func firesAtItsDeadlineOnce() throws {
    var timer = try Timer()
    var poller = try Poller()
    try poller.add(timer.descriptor.number, token: 1, .read)
    #expect(try poller.wait(milliseconds: 0) == 0)
    let deadline = Clock.bootTime() + 20_000_000
    try timer.arm(at: deadline)
    let early = timer.acknowledge()
    #expect(!early)
    #expect(try poller.wait(milliseconds: 2000) == 1)
    #expect(Clock.bootTime() >= deadline)
    let fired = timer.acknowledge()
    #expect(fired)
    #expect(try poller.wait(milliseconds: 0) == 0)
  }

  @Test(arguments: [0, 1]) func aDeadlineInThePastIsNow(_ deadline: UInt64) throws {
    var timer = try Timer()
    var poller = try Poller()
    try poller.add(timer.descriptor.number, token: 1, .read)
    try timer.arm(at: deadline)
    #expect(try poller.wait(milliseconds: 2000) == 1)
    // The same deadline again, after it was told, counts as new.
    let fired = timer.acknowledge()
    #expect(fired)
    try timer.arm(at: deadline)
    #expect(try poller.wait(milliseconds: 2000) == 1)
  }

  @Test func disarmedOrFarAwayIsSilent() throws {
    var timer = try Timer()
    var poller = try Poller()
    try poller.add(timer.descriptor.number, token: 1, .read)
    try timer.arm(at: 1)
    try timer.arm(at: nil)
    #expect(try poller.wait(milliseconds: 5) == 0)
    try timer.arm(at: 1)
    try timer.arm(at: .max)
    #expect(try poller.wait(milliseconds: 5) == 0)
  }

  @Test func clocksGoForward() {
    let before = Clock.bootTime()
    #expect(Clock.bootTime() >= before)
    // 2020 to 2100, in nanoseconds.
    #expect((1_577_836_800_000_000_000..<4_102_444_800_000_000_000).contains(Clock.realTime()))
  }
}
