import Messages
import Sessions
import Testing
import Wire

/// Any order of events: exactly one winner or one verdict, every socket closed but the winner's, bounded state.
@Suite struct HappyEyeballsSimulationTests {
  /// splitmix64: the same story for the same seed.
  struct Dice: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z >> 31)
    }
    mutating func one(in count: UInt64) -> Bool { next() % count == 0 }
  }

  /// An agent that answers, late, twice, never, or for domains that it took back.
  struct Agent {
    var domains: Set<UInt32> = []
    var translations: [Transaction: UInt32] = [:]
    var attempts: [Transaction: UInt32] = [:]
    var everAttempted: Set<Transaction> = []
    var open: Set<Transaction> = []
  }

  static func address(_ dice: inout Dice) -> IPAddress {
    let number = dice.next() % 200
    return dice.one(in: 2)
      ? .v4(IPv4Address(0xCB00_7100 + UInt32(number))) : .v6(IPv6Address(0x2001_0DB8_0080_0000, number))
  }

  @Test(arguments: 0..<400) func anything(seed: UInt64) throws {
    var dice = Dice(state: seed)
    var settings = HappyEyeballs.Settings()
    settings.waitsForNetwork = dice.one(in: 2)
    settings.attemptDelay = dice.next() % 1_000_000_000
    let target: HappyEyeballs.Target =
      dice.one(in: 5) ? .address(Self.address(&dice), scope: 0) : .name(Array("www.example.org".utf8))
    var race = HappyEyeballs(
      target, port: 443, transport: .tcp, settings, deadline: 10_000_000_000, at: 0)
    var agent = Agent()
    var now: UInt64 = 0
    var delays: [UInt64] = []
    var hasFailed = true
    for _ in 0..<2000 where race.outcome == .racing {
      try step(&race, &agent, &dice, now, &hasFailed)
      while let request = race.nextRequest() {
        switch request {
        case .translateName(let pvd, let transaction, _):
          #expect(agent.domains.contains(pvd))
          agent.translations[transaction] = pvd
        case .stopTranslatingName(let transaction): agent.translations[transaction] = nil
        case .connect(let pvd, let transaction, _, _):
          #expect(agent.domains.contains(pvd), "an attempt over a domain that is gone")
          #expect(!agent.everAttempted.contains(transaction))
          agent.everAttempted.insert(transaction)
          agent.attempts[transaction] = pvd
          if !hasFailed, let last = delays.last { #expect(now - last >= 100_000_000) }
          delays.append(now)
          hasFailed = false
        default: Issue.record("\(request)")
        }
      }
      #expect(race.reports.count <= HappyEyeballs.maximumDomains)
      for report in race.reports { #expect(report.candidates.count <= HappyEyeballs.maximumAddresses) }
      #expect(agent.open.count <= 1, "two sockets are kept")
      if dice.one(in: 3) {
        now += dice.next() % 20_000_000
      } else if let wakeUp = race.wakeUp, dice.one(in: 3) {
        now = max(now, wakeUp)
        race.advance(at: now)
      }
    }
    race.advance(at: 10_000_000_000)
    switch race.outcome {
    case .racing: Issue.record("neither winner nor verdict at the deadline")
    case .won(let winner): #expect(agent.open == [winner.transaction])
    case .lost: #expect(agent.open.isEmpty)
    }
    #expect(race.wakeUp == nil)
    // Whatever comes after that changes nothing, and leaves nothing open.
    let outcome = race.outcome
    for transaction in agent.attempts.keys {
      let isKept = race.connected(transaction, at: now)
      #expect(!isKept)
    }
    race.add(HappyEyeballs.Domain(PvDDescription(identifier: 9999), interface: 1), at: now)
    #expect(race.outcome == outcome)
  }

  /// One of those that there are, or one that there never was.
  private func one(of transactions: [Transaction: UInt32], _ dice: inout Dice) -> Transaction {
    let sorted = transactions.keys.sorted { $0.identifier < $1.identifier }
    return sorted.randomElement(using: &dice) ?? Transaction(identifier: 1_000_000)
  }

  private func step(
    _ race: inout HappyEyeballs, _ agent: inout Agent, _ dice: inout Dice, _ now: UInt64, _ hasFailed: inout Bool
  ) throws {
    let pvd = UInt32(dice.next() % 100 + 1)
    switch dice.next() % 14 {
    case 0, 1:
      // Some are beyond the bound, and are not tried.
      agent.domains.insert(pvd)
      race.add(HappyEyeballs.Domain(PvDDescription(identifier: pvd), interface: pvd % 4 + 1), at: now)
    case 2:
      if dice.one(in: 3) {
        agent.domains.remove(pvd)
        race.remove(pvd: pvd, at: now)
        hasFailed = true
      }
    case 3, 4:
      let sources = ["192.0.2.10", "2001:db8:1::10", "fe80::10"].filter { _ in dice.one(in: 2) }
      race.setSources(sources.map { Story.source($0) }, pvd: pvd, at: now)
    case 5: race.setInStep(dice.one(in: 2), at: now)
    case 6: race.prefer(Int16(dice.next() % 3) - 1, pvd: pvd, at: now)
    case 7, 8, 9:
      let transaction = one(of: agent.translations, &dice)
      race.found(Self.address(&dice), transaction, at: now)
    case 10:
      let transaction = one(of: agent.translations, &dice)
      race.translationEnded(transaction, Failure(from: .nothing), at: now)
    case 11, 12:
      let transaction = one(of: agent.attempts, &dice)
      hasFailed = true
      race.failed(transaction, Failure(error: 111, from: .local), at: now)
    default:
      guard dice.one(in: 20) else { return }
      let transaction = one(of: agent.attempts, &dice)
      if race.connected(transaction, at: now) { agent.open.insert(transaction) }
    }
  }
}
