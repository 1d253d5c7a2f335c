import PacketBuilders
import Provisioning
import Testing
import Wire

@testable import Flows

/// What is asked, and what is not: recent answers, then the budget.
@Suite struct LedgerTests {
  private let local = IPAddress.v4(Build.host4)
  private let second: UInt64 = 1_000_000_000

  private func question(
    _ source: UInt16 = 40_000, to remote: UInt32 = 0xC633_6407, sequence: UInt32 = 7, isRenewal: Bool = false
  ) throws -> FlowQuestion {
    let error = try error(6, Quote.tcp(source, 443, sequence: sequence), from: local, to: .v4(IPv4Address(remote)))
    return FlowQuestion(error: error, interface: 2, isRenewal: isRenewal)
  }

  @Test(arguments: [
    (FlowAnswer.live, FlowVerdict.live, FlowCounters.Counter.asked),
    (.none, .notOurs, .asked),
    (.unknown, .unverified, .unanswered),
    (.unaskable, .live, .notCheckable),
  ])
  func `Each answer has its verdict and its counter`(
    _ answer: FlowAnswer, _ verdict: FlowVerdict, _ counter: FlowCounters.Counter
  ) throws {
    var ledger = FlowLedger()
    #expect(ledger.verdict(try question(), at: second) { answer } == verdict)
    #expect(ledger.counters[counter] == 1)
  }

  @Test func `A live flow is asked for once a second, whatever its segments' sequence numbers`() throws {
    var ledger = FlowLedger()
    var asked = 0
    for millisecond in 0..<3000 as Range<UInt64> {
      let question = try question(sequence: UInt32(millisecond))
      #expect(
        ledger.verdict(question, at: second + millisecond * 1_000_000) {
          asked += 1; return .live
        } == .live)
    }
    #expect(asked == 3)
    #expect(ledger.counters[.remembered] == 2997)
  }

  @Test func `A flow that was not there is looked for again after a twentieth of a second`() throws {
    var ledger = FlowLedger()
    let question = try question()
    #expect(ledger.verdict(question, at: second) { .none } == .notOurs)
    #expect(ledger.verdict(question, at: second + 49_999_999) { .live } == .notOurs)
    #expect(ledger.verdict(question, at: second + 50_000_000) { .live } == .live)
  }

  @Test func `Answers of other interfaces and other flows are not taken`() throws {
    var ledger = FlowLedger()
    #expect(ledger.verdict(try question(), at: second) { .live } == .live)
    var elsewhere = try question()
    elsewhere.interface = 3
    #expect(ledger.verdict(elsewhere, at: second) { .none } == .notOurs)
    #expect(ledger.verdict(try question(40_001), at: second) { .none } == .notOurs)
    #expect(ledger.verdict(try question(to: 0xC633_6408), at: second) { .none } == .notOurs)
  }

  @Test func `A flood about one pair of addresses leaves the budget to others`() throws {
    var ledger = FlowLedger()
    var asked = 0
    for port in 1...60_000 as ClosedRange<UInt16> {
      _ = ledger.verdict(try question(port), at: second + UInt64(port) * 10_000) {
        asked += 1; return .none
      }
    }
    // 128 at once, then a thousand a second for six tenths of one.
    #expect(asked >= 128 + 595 && asked <= 128 + 605)
    #expect(ledger.counters[.overBudget] == UInt64(60_000 - asked))
    #expect(ledger.verdict(try question(to: 0xC633_6408), at: second + 600_000_000) { .live } == .live)
  }

  @Test func `A flood about everything is bounded in all, and what has a trigger is renewed`() throws {
    var ledger = FlowLedger()
    var asked = 0
    for number in 1...60_000 as ClosedRange<UInt32> {
      let question = try question(to: 0x0A00_0000 + number)
      _ = ledger.verdict(question, at: second + UInt64(number) * 10_000) {
        asked += 1; return .none
      }
    }
    // 512 at once, then eight thousand a second.
    #expect(asked > 3000 && asked <= 512 + 4805)
    let now = second + 600_000_000
    #expect(ledger.verdict(try question(), at: now) { .live } == .unverified)
    #expect(ledger.verdict(try question(isRenewal: true), at: now) { .live } == .live)
  }

  @Test func `What is not live never pushes out what is`() {
    var recent = RecentAnswers()
    let sets = UInt64(RecentAnswers.sets)
    recent.note(sets, isLive: true, at: second)
    for other in 2..<40 as Range<UInt64> { recent.note(other * sets, isLive: false, at: second) }
    #expect(recent.verdict(sets, at: second) == .live)
    #expect(recent.verdict(39 * sets, at: second) != nil || recent.verdict(2 * sets, at: second) != nil)
    for other in 40..<44 as Range<UInt64> { recent.note(other * sets, isLive: true, at: second + 1) }
    #expect(recent.verdict(sets, at: second + 1) == nil)
    #expect(recent.verdict(43 * sets, at: second + 1) == .live)
    #expect(recent.verdict(43 * sets, at: 2 * second + 1) == nil)
  }
}
