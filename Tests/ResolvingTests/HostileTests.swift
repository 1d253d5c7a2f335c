import CLinux
import Testing
import Wire

@testable import Resolving

/// Answers that no server should send, under the right id and question: each translation ends, and with a verdict.
@Suite struct Hostile {
  private static func answer(_ rest: [UInt8], count: UInt8 = 1) -> FakeServer.Script {
    { question, _ in
      [.send(bigEndian(question.id) + [0x81, 0x80, 0, 1, 0, count, 0, 0, 0, 0] + question.bytes + rest)]
    }
  }

  /// An A record's type, class and TTL.
  private static let recordA: [UInt8] = [0, 1, 0, 1, 0, 0, 1, 0]
  private static let recordCNAME: [UInt8] = [0, 5, 0, 1, 0, 0, 1, 0]

  @Test(
    arguments: [
      ("a record's name points at itself", [0xC0, 29] + recordA + [0, 4, 192, 0, 2, 1]),
      ("two pointers at each other", [0xC0, 31, 0xC0, 29] + recordA + [0, 4, 192, 0, 2, 1]),
      ("a pointer past the end", [0xFF, 0xFF] + recordA + [0, 4, 192, 0, 2, 1]),
      ("half a pointer", [0xC0]),
      ("a label past the end", [63, 1, 2]),
      ("a label length of 64", [0x40, 1] + recordA + [0, 4, 192, 0, 2, 1]),
      ("a label length of 128", [0x80, 1] + recordA + [0, 4, 192, 0, 2, 1]),
      ("no record at all", []),
      ("a record cut off in its header", [0xC0, 12, 0, 1, 0]),
      ("data longer than the message", [0xC0, 12] + recordA + [0xFF, 0xFF, 192, 0, 2, 1]),
      ("an alias that points at itself", [0xC0, 12] + recordCNAME + [0, 2, 0xC0, 41]),
      ("an alias that points into its own record", [0xC0, 12] + recordCNAME + [0, 4, 1, 0x61, 0xC0, 41]),
      ("an alias with a zero byte", [0xC0, 12] + recordCNAME + [0, 5, 3, 0x61, 0, 0x62, 0]),
      ("an alias with an escape", [0xC0, 12] + recordCNAME + [0, 5, 3, 0x61, 0x5C, 0x62, 0]),
      ("an alias with a space", [0xC0, 12] + recordCNAME + [0, 5, 3, 0x61, 0x20, 0x62, 0]),
      ("an alias to the root", [0xC0, 12] + recordCNAME + [0, 1, 0]),
      ("an alias without a name", [0xC0, 12] + recordCNAME + [0, 0]),
    ] as [(String, [UInt8])])
  func badMessages(_ what: String, _ rest: [UInt8]) throws {
    let bench = try Bench([try FakeServer(Hostile.answer(rest))])
    #expect(try bench.resolve("www.example").verdict == .failed(rcode: 0, errno: EBADMSG), "\(what)")
    #expect(bench.resolver.questionCount == 0)
    // Another server is asked.
    let good = try Bench(try Bench.servers([Hostile.answer(rest), always("192.0.2.1", "2001:db8::1")]))
    #expect(try good.resolve("www.example").addresses.count == 2, "\(what)")
  }

  @Test(
    arguments: [
      ("an address of 3 bytes", [0xC0, 12] + recordA + [0, 3, 192, 0, 2]),
      ("an address of 5 bytes", [0xC0, 12] + recordA + [0, 5, 192, 0, 2, 1, 1]),
      ("an address of no bytes", [0xC0, 12] + recordA + [0, 0]),
      ("somebody else's address", [4, 0x62, 0x61, 0x6E, 0x6B, 0] + recordA + [0, 4, 203, 0, 113, 66]),
      ("an address of another class", [0xC0, 12, 0, 1, 0, 3, 0, 0, 1, 0, 0, 4, 203, 0, 113, 66]),
    ] as [(String, [UInt8])])
  func whatIsNoAddressOfTheName(_ what: String, _ rest: [UInt8]) throws {
    let bench = try Bench([try FakeServer(Hostile.answer(rest))])
    #expect(try bench.resolve("www.example").verdict == noData(), "\(what)")
  }

  /// The loop stands in the question: c-ares takes it for no answer to ours.
  @Test func aLoopInTheQuestion() throws {
    let bench = try Bench([
      try FakeServer { question, _ in
        [.send(bigEndian(question.id) + [0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, 0xC0, 12, 0, 1, 0, 1])]
      }
    ]) { $0.tries = 1 }
    #expect(try bench.resolve("www.example").verdict == .timedOut)
  }

  @Test func aTimeToLiveWithTheHighestBit() throws {
    let bench = try Bench([
      try FakeServer { question, _ in
        [
          .answer(
            DNSAnswer(
              question,
              [
                question.type == DNSQuestion.a
                  ? .a("192.0.2.1", ttl: 0x8000_0001) : .aaaa("2001:db8::1", ttl: 0x7FFF_FFFF)
              ]))
        ]
      }
    ])
    #expect(Set(try bench.resolve("www.example").ttls) == [0, 0x7FFF_FFFF])
  }

  /// Good answers with bytes changed, cut off or added, over both transports: ended, always, and nothing left behind.
  @Test func mutations() throws {
    let random = Generator(seed: 0x6D69_6664)
    let bench = try Bench([
      try FakeServer { question, transport in
        let last = labels("b.example")
        var answer = DNSAnswer(
          question,
          [
            .cname("b.example"), .a("192.0.2.1", last), .aaaa("2001:db8::1", last),
            .a("192.0.2.2", last), .aaaa("2001:db8::2", last),
          ], authority: [.soa()])
        answer.hasOPT = true
        if transport == .udp, random.below(8) == 0 { answer.flags |= 0x0200 }
        var bytes = answer.bytes
        for _ in 0..<(1 + random.below(4)) {
          switch random.below(8) {
          case 0: bytes.removeLast(random.below(bytes.count - 12))
          case 1: bytes += (0..<random.below(40)).map { _ in UInt8(random.below(256)) }
          case 2: bytes[2 + random.below(10)] = UInt8(random.below(256))
          case 3: bytes[random.below(bytes.count)] = 0xC0
          default: bytes[12 + random.below(bytes.count - 12)] = UInt8(random.below(256))
          }
        }
        return transport == .tcp && random.below(8) == 0 ? [.send(bytes), .hangUp] : [.send(bytes)]
      }
    ]) {
      $0.timeout = 20
      $0.tries = 2
    }
    for round in 0..<30 {
      for index in 0..<100 { bench.start("host\(round)-\(index).example") }
      try bench.run { bench.outcomes.values.allSatisfy { $0.verdict != nil } }
    }
    #expect(bench.outcomes.count == 3000)
    #expect(bench.resolver.count == 0)
  }

  /// Datagrams without end from the server itself: others have their turn.
  @Test func aFlood() throws {
    let bench = try Bench(
      try Bench.servers([
        { question, _ in (0..<200).map { _ in .send([UInt8](repeating: 0xFF, count: 30)) } },
        always("192.0.2.1", "2001:db8::1"),
      ]))
    #expect(try bench.resolve("www.example").addresses.count == 2)
  }
}

/// SplitMix64.
private final class Generator: @unchecked Sendable {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  func below(_ bound: Int) -> Int {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
    return bound <= 0 ? 0 : Int((value ^ value >> 31) % UInt64(bound))
  }
}
