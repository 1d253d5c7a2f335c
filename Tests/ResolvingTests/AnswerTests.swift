import CLinux
import Testing
import Wire

@testable import Resolving

/// What servers say, from plain to odd.
@Suite struct Answers {
  @Test func eachFamilyIsToldWhenItIsThere() throws {
    let bench = try Bench([
      try FakeServer { question, _ in
        [
          .answer(
            DNSAnswer(question, [.address(question, v4: "192.0.2.1", v6: "2001:db8::1")]),
            after: question.type == DNSQuestion.a ? 0 : 0.1)
        ]
      }
    ])
    let outcome = try bench.resolve("www.example.com")
    #expect(outcome.addresses == ["192.0.2.1", "2001:db8::1"])
    #expect(outcome.ttls == [300, 300])
    #expect(outcome.verdict == .complete)
    #expect(outcome.times[0] < 80 && outcome.times[1] >= 100)
    #expect(bench.servers[0].questions.map(\.type).sorted() == [DNSQuestion.a, DNSQuestion.aaaa])
    #expect(bench.resolver.count == 0 && bench.resolver.questionCount == 0)
  }

  @Test func manyAddressesOnceEach() throws {
    let bench = try Bench([
      try FakeServer { question, _ in
        let all = [1, 2, 2, 3, 1].map { DNSRecord.address(question, v4: "192.0.2.\($0)", v6: "2001:db8::\($0)") }
        return [.answer(DNSAnswer(question, all))]
      }
    ])
    let outcome = try bench.resolve("many.example")
    #expect(Set(outcome.addresses).count == 6 && outcome.addresses.count == 6)
  }

  @Test func moreAddressesThanAreToldAreCounted() throws {
    let script: FakeServer.Script = { question, _ in
      [.answer(DNSAnswer(question, (1...6).map { .address(question, v4: "192.0.2.\($0)", v6: "2001:db8::\($0)") }))]
    }
    let bench = try Bench([try FakeServer(script)]) { $0.addresses = 8 }
    #expect(try bench.resolve("many.example").addresses.count == 8)
    #expect(bench.counter("resolver.addresses-dropped") == 4)
  }

  @Test func aliasesWithinOneAnswer() throws {
    let bench = try Bench([
      try FakeServer { question, _ in
        let last = labels("c.example")
        let address: DNSRecord =
          question.type == DNSQuestion.a ? .a("192.0.2.1", last, ttl: 500) : .aaaa("2001:db8::1", last, ttl: 500)
        return [
          .answer(
            DNSAnswer(
              question,
              [.cname("b.example", ttl: 400), .cname("c.example", labels("b.example"), ttl: 60), address]))
        ]
      }
    ])
    let outcome = try bench.resolve("a.example")
    #expect(Set(outcome.addresses) == ["192.0.2.1", "2001:db8::1"])
    // The alias is forgotten first.
    #expect(outcome.ttls == [60, 60])
    #expect(bench.servers[0].questions.count == 2)
  }

  @Test func aliasesThatAServerLeavesAreFollowed() throws {
    let bench = try Bench([
      try FakeServer { question, _ in
        switch question.name {
        case "a.example": [.answer(DNSAnswer(question, [.cname("b.example")]))]
        case "b.example": [.answer(DNSAnswer(question, [.cname("c.example")]))]
        default: [.answer(DNSAnswer(question, [.address(question, v4: "192.0.2.1", v6: "2001:db8::1")]))]
        }
      }
    ])
    #expect(Set(try bench.resolve("a.example").addresses) == ["192.0.2.1", "2001:db8::1"])
    #expect(bench.servers[0].questions.count == 6)
  }

  /// A server that followed the alias and found no such address says so by SOA: nothing is asked again.
  @Test func anAliasToANameWithoutAddresses() throws {
    let bench = try Bench([
      try FakeServer { question, _ in
        question.type == DNSQuestion.a
          ? [.answer(DNSAnswer(question, [.cname("b.example"), .a("192.0.2.1", labels("b.example"))]))]
          : [.answer(DNSAnswer(question, [.cname("b.example")], authority: [.soa()]))]
      }
    ])
    let outcome = try bench.resolve("a.example")
    #expect(outcome.addresses == ["192.0.2.1"] && outcome.verdict == .complete)
    #expect(bench.servers[0].questions.count == 2)
  }

  @Test func aliasesInACircle() throws {
    let bench = try Bench([
      try FakeServer { question, _ in
        [.answer(DNSAnswer(question, [.cname(question.name == "a.example" ? "b.example" : "a.example")]))]
      }
    ])
    let outcome = try bench.resolve("a.example")
    #expect(outcome.verdict == .failed(rcode: 0, errno: ELOOP))
    #expect(bench.servers[0].questions.count == 18)
  }

  @Test(
    arguments: [
      (3, .failed(rcode: 3, errno: ENOENT)), (0, .failed(rcode: 0, errno: ENODATA)),
      (1, .failed(rcode: 1, errno: EBADMSG)), (2, .failed(rcode: 2, errno: EREMOTEIO)),
      (4, .failed(rcode: 4, errno: EOPNOTSUPP)), (5, .failed(rcode: 5, errno: EACCES)),
      (9, .failed(rcode: 9, errno: EPROTO)),
    ] as [(UInt16, ResolverVerdict)])
  func codesOfTheOnlyServer(_ code: UInt16, _ verdict: ResolverVerdict) throws {
    let bench = try Bench([try FakeServer(always(code: code))])
    let outcome = try bench.resolve("none.example")
    #expect(outcome.addresses == [] && outcome.verdict == verdict)
    #expect(outcome.duration < 100)
  }

  /// One family is not there, which some servers call NXDOMAIN: the other one decides.
  @Test func oneFamilyOnly() throws {
    let bench = try Bench([
      try FakeServer { question, _ in
        question.type == DNSQuestion.a
          ? [.answer(DNSAnswer(question, [.a("192.0.2.1")]), after: 0.02)] : [.answer(DNSAnswer(question, code: 3))]
      }
    ])
    let outcome = try bench.resolve("v4.example")
    #expect(outcome.addresses == ["192.0.2.1"] && outcome.verdict == .complete)
  }

  @Test func aFamilyThatFailsDoesNotHideTheOther() throws {
    let bench = try Bench([
      try FakeServer { question, _ in
        question.type == DNSQuestion.a
          ? [.answer(DNSAnswer(question, [.a("192.0.2.1")]))] : [.answer(DNSAnswer(question, code: 2))]
      }
    ])
    let outcome = try bench.resolve("v4.example")
    #expect(outcome.addresses == ["192.0.2.1"] && outcome.verdict == .complete)
  }

  // MARK: Sizes

  @Test func extendedDNSAnnouncesThePayloadSize() throws {
    let bench = try Bench([
      try FakeServer { question, _ in
        // 12 + 17 + 40 * 28 bytes: more than 512, and not cut off.
        var answer = DNSAnswer(
          question, (1...40).map { .address(question, v4: "192.0.2.\($0)", v6: "2001:db8::\($0)") })
        answer.hasOPT = true
        return question.type == DNSQuestion.a ? [.answer(answer)] : [.answer(DNSAnswer(question, code: 3))]
      }
    ])
    #expect(try bench.resolve("big.example").addresses.count == 40)
    #expect(bench.servers[0].questions.allSatisfy { $0.payloadSize == 1232 })
    #expect(bench.counter("resolver.truncated") == 0)
  }

  /// RFC 6891, 7: FORMERR without OPT. The server is not asked with OPT again.
  @Test func aServerThatKnowsNoEDNS() throws {
    let bench = try Bench([
      try FakeServer { question, _ in
        question.payloadSize != nil
          ? [.answer(DNSAnswer(question, code: 1))]
          : [.answer(DNSAnswer(question, [.address(question, v4: "192.0.2.1", v6: "2001:db8::1")]))]
      }
    ])
    #expect(Set(try bench.resolve("old.example").addresses) == ["192.0.2.1", "2001:db8::1"])
    #expect(Set(try bench.resolve("again.example").addresses) == ["192.0.2.1", "2001:db8::1"])
    let late = bench.servers[0].questions.suffix(2)
    #expect(late.allSatisfy { $0.payloadSize == nil })
    // Each of the first two once with and once without.
    #expect(bench.servers[0].questions.count == 6)
  }

  @Test func truncatedAnswersComeOverTCP() throws {
    let bench = try Bench([
      try FakeServer { question, transport in
        var answer = DNSAnswer(
          question, (1...60).map { .address(question, v4: "192.0.2.\($0)", v6: "2001:db8::\($0)") })
        if transport == .tcp { return [.answer(answer)] }
        answer.flags |= 0x0200
        answer.answers = [answer.answers[0]]
        return [.answer(answer)]
      }
    ]) { $0.addresses = 200 }
    let outcome = try bench.resolve("big.example")
    #expect(outcome.addresses.count == 120 && outcome.verdict == .complete)
    #expect(bench.servers[0].transports.filter { $0 == .tcp }.count == 2)
    #expect(bench.counter("resolver.truncated") == 2)
  }

  @Test func truncatedAndNobodyThereOverTCP() throws {
    let truncate: FakeServer.Script = { question, transport in
      if transport == .tcp { return [.hangUp] }
      var answer = DNSAnswer(question)
      answer.flags |= 0x0200
      return [.answer(answer)]
    }
    let bench = try Bench(try Bench.servers([truncate, always("192.0.2.1", "2001:db8::1")]))
    #expect(Set(try bench.resolve("big.example").addresses) == ["192.0.2.1", "2001:db8::1"])

    let alone = try Bench([try FakeServer(truncate)])
    let outcome = try alone.resolve("big.example")
    #expect(outcome.verdict == .failed(rcode: 0, errno: ECONNRESET))
    #expect(alone.servers[0].transports.filter { $0 == .tcp }.count <= 6)
  }

  /// RFC 7766, 6.2.4: a server may end a connection while questions wait on it. More often than a server has its turn.
  @Test func aServerThatEndsConnections() throws {
    let bench = try Bench([
      try FakeServer { question, transport in
        var answer = DNSAnswer(question, [.address(question, v4: "192.0.2.1", v6: "2001:db8::1")])
        if transport == .tcp {
          return question.name.hasSuffix("9.example") ? [.answer(answer), .hangUp] : [.answer(answer)]
        }
        answer.flags |= 0x0200
        answer.answers = []
        return [.answer(answer)]
      }
    ])
    for index in 0..<60 { bench.start("host\(index).example") }
    try bench.run { bench.outcomes.values.allSatisfy { $0.verdict != nil } }
    #expect(bench.outcomes.values.allSatisfy { $0.addresses.count == 2 && $0.verdict == .complete })
    // Nobody began anew with UDP.
    #expect(bench.counter("resolver.truncated") == 120 && bench.counter("resolver.servers.unreachable") == 0)
  }

  @Test func truncatedOverTCPAsWell() throws {
    let bench = try Bench([
      try FakeServer { question, _ in
        var answer = DNSAnswer(question)
        answer.flags |= 0x0200
        return [.answer(answer)]
      }
    ])
    #expect(try bench.resolve("big.example").verdict == .failed(rcode: 0, errno: EBADMSG))
  }

  /// An error of the connection leaves the questions alone that go over UDP to the same server.
  @Test func aBrokenConnectionIsNobodyElses() throws {
    let bench = try Bench([
      try FakeServer { question, transport in
        if question.name == "slow.example" {
          return [.answer(DNSAnswer(question, [.address(question, v4: "192.0.2.1", v6: "2001:db8::1")]), after: 0.1)]
        }
        if transport == .tcp { return [.hangUp] }
        var answer = DNSAnswer(question)
        answer.flags |= 0x0200
        return [.answer(answer)]
      }
    ])
    let slow = bench.start("slow.example")
    let big = bench.start("big.example")
    try bench.run { bench.outcomes[slow]?.verdict != nil && bench.outcomes[big]?.verdict != nil }
    #expect(bench.outcomes[slow]?.addresses.count == 2)
    #expect(bench.servers[0].questions.filter { $0.name == "slow.example" }.count == 2)
  }
}
