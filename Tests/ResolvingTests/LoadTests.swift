import CLinux
import Testing
import Wire

@testable import Platform
@testable import Resolving

private let good = always("192.0.2.1", "2001:db8::1")

/// Many at once, and what is left of them.
@Suite struct Load {
  @Test func aThousandAtOnce() throws {
    let count = 1000
    let server = try FakeServer { question, _ in
      [.answer(DNSAnswer(question, [.address(question, v4: "192.0.2.1", v6: "2001:db8::1")]), after: 1.5)]
    }
    let bench = try Bench([server]) { $0.timeout = 8000 }
    for index in 0..<count {
      bench.start("host\(index).example")
      if index % 25 == 0 { server.serve() }
    }
    #expect(bench.resolver.count == count)
    try bench.run { server.questions.count == 2 * count }
    #expect(bench.resolver.socketCount == 1)
    try bench.run { bench.outcomes.values.allSatisfy { $0.verdict != nil } }
    #expect(bench.outcomes.values.allSatisfy { $0.addresses.count == 2 && $0.verdict == .complete })
    #expect(Set(server.questions.map { "\($0.name) \($0.type)" }).count == 2 * count)
    #expect(bench.resolver.questionCount == 0 && bench.resolver.socketCount == 0)
  }

  /// Far more than a socket's buffer holds go out as fast as they are answered, and none is lost.
  @Test func asFastAsTheServerReads() throws {
    let server = try FakeServer { question, _ in
      [.answer(DNSAnswer(question, [.address(question, v4: "192.0.2.1", v6: "2001:db8::1")]))]
    }
    let bench = try Bench([server]) {
      $0.pause = 60_000
      $0.timeout = 60_000
      $0.patience = 60_000
    }
    for index in 0..<2000 { bench.start("host\(index).example") }
    #expect(bench.resolver.questionCount == 128)
    try bench.run(seconds: 30) { bench.outcomes.values.allSatisfy { $0.verdict != nil } }
    #expect(bench.outcomes.values.allSatisfy { $0.addresses.count == 2 && $0.verdict == .complete })
    #expect(server.questions.count == 4000)
  }

  /// One that is slow has time to read a burst before the next one comes.
  @Test func asSlowAsTheServerAnswers() throws {
    let server = try FakeServer(silent)
    let bench = try Bench([server]) {
      $0.timeout = 10_000
      $0.burst = 10
    }
    for index in 0..<50 { bench.start("host\(index).example") }
    try bench.run { server.questions.count == 100 }
    #expect(bench.resolver.questionCount == 100)
  }

  @Test func aThousandThatNobodyAnswers() throws {
    let bench = try Bench([try FakeServer(silent)]) { $0.tries = 2 }
    for index in 0..<1000 { bench.start("host\(index).example") }
    try bench.run { bench.outcomes.values.allSatisfy { $0.verdict != nil } }
    #expect(bench.outcomes.values.allSatisfy { $0.verdict == .timedOut })
    #expect(bench.resolver.questionCount == 0)
  }

  /// One ICMP error speaks for all that are under way. No more than another server's socket has room for at once.
  @Test func aHundredAndTheServerGoes() throws {
    let bench = try Bench(try Bench.servers([silent, good])) { $0.timeout = 3000 }
    for index in 0..<100 { bench.start("host\(index).example") }
    bench.servers[0].shut()
    let last = bench.start("last.example")
    try bench.run(seconds: 2) { bench.outcomes.values.allSatisfy { $0.verdict != nil } }
    #expect(bench.outcomes.values.allSatisfy { $0.addresses.count == 2 && $0.verdict == .complete })
    #expect((bench.outcomes[last]?.duration ?? 1000) < 500)
  }

  @Test func moreThanAllowedAreRefused() throws {
    let bench = try Bench([try FakeServer(silent)]) { $0.translations = 10 }
    let keys = (0..<12).map { bench.start("host\($0).example") }
    #expect(keys.filter { bench.outcomes[$0]?.verdict == .refused(errno: EAGAIN) } == [11, 12])
    #expect(bench.counter("resolver.refused.full") == 2)
    #expect(bench.counter("resolver.under-way") == 10)
    bench.resolver.cancel(key: keys[0])
    #expect(bench.outcomes[bench.start("again.example")]?.verdict == nil)
  }

  // MARK: Cancelling

  /// Its questions are gone from c-ares as well, and others' are not touched.
  @Test func cancellingIsSilentAndWhole() throws {
    let server = try FakeServer { question, _ in
      [.answer(DNSAnswer(question, [.address(question, v4: "192.0.2.1", v6: "2001:db8::1")]), after: 0.05)]
    }
    let bench = try Bench([server])
    let keys = (0..<10).map { bench.start("host\($0).example") }
    #expect(bench.resolver.questionCount == 20)
    for key in keys.prefix(9) { bench.resolver.cancel(key: key) }
    #expect(bench.resolver.count == 1 && bench.resolver.questionCount == 2)
    try bench.run { bench.outcomes[keys[9]]?.verdict != nil }
    #expect(bench.outcomes[keys[9]]?.addresses.count == 2)
    #expect(keys.prefix(9).allSatisfy { bench.outcomes[$0] == Bench.Outcome() })
    #expect(bench.counter("resolver.cancelled") == 9)
    // Twice, and unknown ones: nothing.
    bench.resolver.cancel(key: keys[0])
    bench.resolver.cancel(key: 999_999)
    #expect(bench.counter("resolver.cancelled") == 9)
  }

  @Test func theLastOneCancelledClosesTheSocket() throws {
    let bench = try Bench([try FakeServer(silent)])
    let key = bench.start("www.example")
    #expect(bench.resolver.socketCount == 1)
    bench.resolver.cancel(key: key)
    #expect(bench.resolver.questionCount == 0 && bench.resolver.socketCount == 0)
    try bench.run(seconds: 0.3)
    #expect(bench.outcomes[key] == Bench.Outcome())
  }

  @Test func cancelledOverTCP() throws {
    let server = try FakeServer { question, transport in
      if transport == .tcp { return [] }
      var answer = DNSAnswer(question)
      answer.flags |= 0x0200
      return [.answer(answer)]
    }
    let bench = try Bench([server]) { $0.timeout = 1000 }
    let keys = [bench.start("a.example"), bench.start("b.example")]
    try bench.run { server.transports.filter { $0 == .tcp }.count == 4 }
    bench.resolver.cancel(key: keys[0])
    // These run on, unheard, until the other one ends.
    #expect(bench.resolver.questionCount == 4)
    bench.resolver.cancel(key: keys[1])
    #expect(bench.resolver.questionCount == 0 && bench.resolver.socketCount == 0)
  }

  // MARK: Channels

  @Test func domainsShareTheChannelOfAServer() throws {
    let bench = try Bench([try FakeServer(good)])
    _ = try bench.resolve("a.example")
    _ = try bench.resolve("b.example", bench.domain(search: ["example"]))
    #expect(bench.resolver.channelCount == 1)
    _ = try bench.resolve("a.example", bench.domain(sources: ["127.0.0.9"]))
    #expect(bench.resolver.channelCount == 2)
  }

  @Test func anUnusedChannelIsDropped() throws {
    let bench = try Bench([try FakeServer(good)]) { $0.idle = 200 }
    _ = try bench.resolve("a.example")
    #expect(bench.resolver.channelCount == 1 && bench.resolver.deadline != nil)
    try bench.run(seconds: 0.3)
    #expect(bench.resolver.channelCount == 0 && bench.resolver.deadline == nil)
    #expect(try bench.resolve("a.example").addresses.count == 2)
  }

  @Test func atTheMostTheOneUnusedForLongestGoes() throws {
    let bench = try Bench([try FakeServer(good)]) { $0.channels = 2 }
    for last in 1...5 {
      #expect(try bench.resolve("a.example", bench.domain(sources: ["127.0.0.\(last)"])).addresses.count == 2)
      #expect(bench.resolver.channelCount == min(last, 2))
    }
    bench.servers[0].script = silent
    for last in 6...7 { bench.start("a.example", bench.domain(sources: ["127.0.0.\(last)"])) }
    let refused = try bench.resolve("a.example", bench.domain(sources: ["127.0.0.8"]))
    #expect(refused.verdict == .failed(rcode: 0, errno: EMFILE))
    #expect(bench.counter("resolver.refused.channel") == 2)
  }

  @Test func descriptorsAreClosed() throws {
    func answered() throws -> [Int32] {
      let bench = try Bench(try Bench.servers([silent, good]))
      for index in 0..<20 { bench.start("host\(index).example") }
      try bench.run { bench.outcomes.values.allSatisfy { $0.verdict != nil } }
      #expect(bench.resolver.socketCount == 0)
      // And some that are open when it ends.
      bench.servers[1].script = silent
      for index in 0..<20 { bench.start("late\(index).example") }
      return bench.resolver.openSockets
    }
    let left = try answered()
    #expect(!left.isEmpty)
    // Another test may have got the number since: then it is no datagram socket to our server.
    for number in left { #expect(!isConnectedToLoopback2(number)) }
  }

  private func isConnectedToLoopback2(_ number: Int32) -> Bool {
    var name = [UInt8](repeating: 0, count: 28)
    var length = socklen_t(name.count)
    let result = unsafe name.withUnsafeMutableBytes {
      unsafe getpeername(
        number, __SOCKADDR_ARG(__sockaddr__: $0.baseAddress?.assumingMemoryBound(to: sockaddr.self)), &length)
    }
    return result == 0 && Array(name[4..<8]) == [127, 0, 0, 3]
  }

  /// An event that the poller had fetched before its socket was closed.
  @Test func aStaleEventDoesNothing() throws {
    let bench = try Bench([try FakeServer(good)])
    _ = try bench.resolve("a.example")
    for number in 0..<10 as Range<UInt64> {
      bench.resolver.handle(
        Poller.Event(
          token: Bench.tokenBase | number, isReadable: true, isWritable: true, isHungUp: true, hasError: true),
        at: Clock.bootTime(), bench.poller)
    }
    #expect(try bench.resolve("b.example").addresses.count == 2)
  }
}
