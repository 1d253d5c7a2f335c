import Messages
import Sessions
import Testing
import Wire

/// A race told as a story: what happens when (milliseconds), and what is asked for. Time goes on as `wakeUp` says.
struct Story {
  enum Event {
    /// A domain with its own addresses.
    case domain(UInt32, [String])
    case sources(UInt32, [String])
    case preference(UInt32, Int16)
    case translators(UInt32, [String])
    case gone(UInt32)
    case inStep
    case found(UInt32, String)
    case translated(UInt32, Failure = Failure(from: .nothing))
    case connected(UInt32, String)
    case failed(UInt32, String, UInt16 = 111)
  }

  var race: HappyEyeballs
  private(set) var told: [String] = []
  private var now: UInt64 = 0
  private var translations: [UInt32: Transaction] = [:]
  private var attempts: [String: Transaction] = [:]

  init(
    _ host: String, _ settings: HappyEyeballs.Settings = HappyEyeballs.Settings(), deadline: UInt64 = 30_000
  ) throws {
    race = HappyEyeballs(
      try #require(HappyEyeballs.Target(Array(host.utf8))), port: 443, transport: .tcp, settings,
      deadline: deadline * 1_000_000, at: 0)
  }

  /// A source with the prefix length of most networks.
  static func source(_ text: String) -> SourceCandidate {
    let address = IPAddress(text)!
    return SourceCandidate(IPPrefix(address, address.family == .v4 ? 24 : 64))
  }

  mutating func run(_ events: [(at: UInt64, Event)], until end: UInt64 = 60_000) {
    for (time, event) in events {
      pass(to: time)
      happen(event)
      listen()
    }
    pass(to: end)
  }

  private mutating func pass(to time: UInt64) {
    while let next = race.wakeUp, next <= time * 1_000_000 {
      precondition(next >= now, "asked to be woken in the past")
      now = next
      race.advance(at: now)
      listen()
    }
    now = max(now, time * 1_000_000)
  }

  private mutating func happen(_ event: Event) {
    switch event {
    case .domain(let pvd, let sources):
      race.add(HappyEyeballs.Domain(PvDDescription(identifier: pvd), interface: pvd), at: now)
      race.setSources(sources.map { Story.source($0) }, pvd: pvd, at: now)
    case .sources(let pvd, let sources): race.setSources(sources.map { Story.source($0) }, pvd: pvd, at: now)
    case .preference(let pvd, let preference): race.prefer(preference, pvd: pvd, at: now)
    case .translators(let pvd, let prefixes):
      race.setTranslators(prefixes.map { IPPrefix(IPAddress($0)!, 96) }, pvd: pvd, at: now)
    case .gone(let pvd): race.remove(pvd: pvd, at: now)
    case .inStep: race.setInStep(true, at: now)
    case .found(let pvd, let address): race.found(IPAddress(address)!, translations[pvd]!, at: now)
    case .translated(let pvd, let failure): race.translationEnded(translations[pvd]!, failure, at: now)
    case .connected(let pvd, let address):
      tell(race.connected(attempts["\(address)@\(pvd)"]!, at: now) ? "keep" : "close")
    case .failed(let pvd, let address, let error):
      race.failed(attempts["\(address)@\(pvd)"]!, Failure(error: error, from: .local), at: now)
    }
  }

  private mutating func tell(_ what: String) { told.append("\(now / 1_000_000) \(what)") }

  private mutating func listen() {
    while let request = race.nextRequest() {
      switch request {
      case .translateName(let pvd, let transaction, _):
        translations[pvd] = transaction
        tell("translate @\(pvd)")
      case .stopTranslatingName(let transaction):
        tell("stop @\(translations.first { $0.value == transaction }!.key)")
      case .connect(let pvd, let transaction, let to, _):
        attempts["\(to.socketAddress.address)@\(pvd)"] = transaction
        tell("connect \(to.socketAddress.address)@\(pvd)")
      default: tell("\(request)")
      }
    }
    switch race.outcome {
    case .won(let winner) where !told.contains { $0.contains("won") }:
      tell("won \(winner.destination.address)@\(winner.domain.pvd.identifier)")
    case .lost(let error) where !told.contains { $0.contains("lost") }: tell("lost \(error)")
    default: break
    }
  }
}

/// RFC 8305 over provisioning domains.
@Suite struct HappyEyeballsTests {
  static let dual = ["192.0.2.10", "2001:db8:1::10"]
  static let dual2 = ["198.51.100.10", "2001:db8:2::10"]

  struct Case: CustomTestStringConvertible, Sendable {
    var name: String
    var host = "www.example.org"
    var settings = HappyEyeballs.Settings()
    var deadline: UInt64 = 30_000
    var events: [(at: UInt64, Story.Event)]
    var told: [String]
    var testDescription: String { name }
  }

  static func settings(_ change: (inout HappyEyeballs.Settings) -> Void) -> HappyEyeballs.Settings {
    var settings = HappyEyeballs.Settings()
    change(&settings)
    return settings
  }

  static let cases: [Case] = [
    Case(
      name: "AAAA first: begun at once (RFC 8305 3)",
      events: [
        (0, .domain(1, dual)), (0, .inStep), (10, .found(1, "2001:db8:80::1")), (12, .found(1, "203.0.113.1")),
        (40, .connected(1, "2001:db8:80::1")),
      ],
      told: ["0 translate @1", "10 connect 2001:db8:80::1@1", "40 keep", "40 stop @1", "40 won 2001:db8:80::1@1"]),
    Case(
      name: "A first: AAAA has 50 ms",
      events: [
        (0, .domain(1, dual)), (0, .inStep), (10, .found(1, "203.0.113.1")), (30, .found(1, "2001:db8:80::1")),
        (31, .translated(1)), (90, .connected(1, "2001:db8:80::1")),
      ],
      told: ["0 translate @1", "30 connect 2001:db8:80::1@1", "90 keep", "90 won 2001:db8:80::1@1"]),
    Case(
      name: "A first, AAAA too late",
      events: [
        (0, .domain(1, dual)), (0, .inStep), (10, .found(1, "203.0.113.1")), (200, .found(1, "2001:db8:80::1")),
        (400, .connected(1, "203.0.113.1")),
      ],
      told: [
        "0 translate @1", "60 connect 203.0.113.1@1", "310 connect 2001:db8:80::1@1", "400 keep", "400 stop @1",
        "400 won 203.0.113.1@1",
      ]),
    Case(
      name: "A alone: not waited for AAAA once the translation has ended",
      events: [
        (0, .domain(1, dual)), (0, .inStep), (10, .found(1, "203.0.113.1")), (15, .translated(1)),
        (20, .connected(1, "203.0.113.1")),
      ],
      told: ["0 translate @1", "15 connect 203.0.113.1@1", "20 keep", "20 won 203.0.113.1@1"]),
    Case(
      name: "a domain without IPv6 doesn't wait for AAAA",
      events: [
        (0, .domain(1, ["192.0.2.10", "fe80::10"])), (0, .inStep), (10, .found(1, "203.0.113.1")),
        (20, .connected(1, "203.0.113.1")),
      ],
      told: ["0 translate @1", "10 connect 203.0.113.1@1", "20 keep", "20 stop @1", "20 won 203.0.113.1@1"]),
    Case(
      name: "an IPv4 literal with IPv6 alone goes through the NAT64 (RFC 8305 7.1)", host: "203.0.113.1",
      events: [
        (0, .domain(1, ["2001:db8:1::10"])), (5, .translators(1, ["2001:db8:64::"])), (5, .inStep),
        (20, .connected(1, "2001:db8:64::cb00:7101")),
      ],
      told: ["5 connect 2001:db8:64::cb00:7101@1", "20 keep", "20 won 2001:db8:64::cb00:7101@1"]),
    Case(
      name: "a name with A alone likewise, where DNS64 has left it so (RFC 8305 7.3)",
      events: [
        (0, .domain(1, ["2001:db8:1::10"])), (0, .translators(1, ["64:ff9b::"])), (0, .inStep),
        (10, .found(1, "198.18.0.1")), (10, .found(1, "8.8.8.8")), (12, .translated(1)),
        (20, .connected(1, "64:ff9b::808:808")),
      ],
      told: ["0 translate @1", "10 connect 64:ff9b::808:808@1", "20 keep", "20 won 64:ff9b::808:808@1"]),
    Case(
      name: "with IPv4 the NAT64 is left alone", host: "203.0.113.1",
      events: [
        (0, .domain(1, dual)), (0, .translators(1, ["2001:db8:64::"])), (0, .inStep), (9, .failed(1, "203.0.113.1")),
      ],
      told: ["0 connect 203.0.113.1@1", "9 lost 111"]),
    Case(
      name: "families take turns, 250 ms apart (RFC 8305 4 and 5)",
      events: [
        (0, .domain(1, dual)), (0, .inStep), (1, .found(1, "2001:db8:80::1")), (1, .found(1, "2001:db8:80::2")),
        (1, .found(1, "203.0.113.1")), (1, .found(1, "203.0.113.2")), (1, .translated(1)),
        (5000, .connected(1, "203.0.113.2")),
      ],
      told: [
        "0 translate @1", "1 connect 2001:db8:80::1@1", "251 connect 203.0.113.1@1",
        "501 connect 2001:db8:80::2@1", "751 connect 203.0.113.2@1", "5000 keep", "5000 won 203.0.113.2@1",
      ]),
    Case(
      name: "domains take turns with the families: the second attempt differs in both",
      events: [
        (0, .domain(1, dual)), (0, .domain(2, dual2)), (0, .inStep), (1, .found(1, "2001:db8:80::1")),
        (1, .found(2, "2001:db8:80::1")), (1, .found(1, "203.0.113.1")), (1, .found(2, "203.0.113.1")),
        (900, .connected(2, "203.0.113.1")),
      ],
      told: [
        "0 translate @1", "0 translate @2", "1 connect 2001:db8:80::1@1", "251 connect 203.0.113.1@2",
        "501 connect 2001:db8:80::1@2", "751 connect 203.0.113.1@1", "900 keep", "900 stop @1", "900 stop @2",
        "900 won 203.0.113.1@2",
      ]),
    Case(
      name: "a failed attempt starts the next at once, and what has failed is not tried again",
      events: [
        (0, .domain(1, dual)), (0, .inStep), (0, .found(1, "2001:db8:80::1")), (0, .found(1, "203.0.113.1")),
        (0, .translated(1)), (7, .failed(1, "2001:db8:80::1", 113)), (9, .failed(1, "203.0.113.1")),
      ],
      told: ["0 translate @1", "0 connect 2001:db8:80::1@1", "7 connect 203.0.113.1@1", "9 lost 113"]),
    Case(
      name: "losers that connect after all are closed",
      events: [
        (0, .domain(1, dual)), (0, .inStep), (0, .found(1, "2001:db8:80::1")), (0, .found(1, "203.0.113.1")),
        (0, .translated(1)), (300, .connected(1, "203.0.113.1")), (301, .connected(1, "2001:db8:80::1")),
      ],
      told: [
        "0 translate @1", "0 connect 2001:db8:80::1@1", "250 connect 203.0.113.1@1", "300 keep",
        "300 won 203.0.113.1@1", "301 close",
      ]),
    Case(
      name: "attempts of a domain that goes are dropped, and the next begins at once",
      events: [
        (0, .domain(1, dual)), (0, .domain(2, dual2)), (0, .inStep), (0, .found(1, "2001:db8:80::1")),
        (0, .found(2, "2001:db8:80::1")), (20, .gone(1)), (30, .connected(1, "2001:db8:80::1")),
        (40, .connected(2, "2001:db8:80::1")),
      ],
      told: [
        "0 translate @1", "0 translate @2", "0 connect 2001:db8:80::1@1", "20 stop @1", "20 connect 2001:db8:80::1@2",
        "30 close", "40 keep", "40 stop @2", "40 won 2001:db8:80::1@2",
      ]),
    Case(
      name: "a domain joins while the race is on",
      events: [
        (0, .domain(1, dual)), (0, .inStep), (0, .found(1, "2001:db8:80::1")), (100, .domain(2, dual2)),
        (120, .found(2, "203.0.113.1")), (120, .translated(2)), (300, .connected(2, "203.0.113.1")),
      ],
      told: [
        "0 translate @1", "0 connect 2001:db8:80::1@1", "100 translate @2", "250 connect 203.0.113.1@2", "300 keep",
        "300 stop @1", "300 won 203.0.113.1@2",
      ]),
    Case(
      name: "a preferred domain comes first",
      events: [
        (0, .domain(1, dual)), (0, .domain(2, dual2)), (0, .preference(2, 1)), (5, .found(1, "2001:db8:80::1")),
        (5, .found(2, "2001:db8:80::1")), (6, .inStep), (9, .connected(2, "2001:db8:80::1")),
      ],
      told: [
        "0 translate @1", "0 translate @2", "6 connect 2001:db8:80::1@2", "9 keep", "9 stop @1", "9 stop @2",
        "9 won 2001:db8:80::1@2",
      ]),
    Case(
      name: "the first attempt waits until all domains are known, 50 ms at most",
      events: [(0, .domain(1, dual)), (5, .found(1, "2001:db8:80::1")), (60, .connected(1, "2001:db8:80::1"))],
      told: [
        "0 translate @1", "50 connect 2001:db8:80::1@1", "60 keep", "60 stop @1", "60 won 2001:db8:80::1@1",
      ]),
    Case(
      name: "an address needs no translation", host: "203.0.113.7",
      events: [
        (0, .domain(1, ["2001:db8:1::10"])), (0, .domain(2, dual2)), (0, .inStep), (3, .connected(2, "203.0.113.7")),
      ],
      told: ["0 connect 203.0.113.7@2", "3 keep", "3 won 203.0.113.7@2"]),
    Case(
      name: "a link-local address with its interface", host: "fe80::1%2",
      events: [
        (0, .domain(1, ["fe80::10"])), (0, .domain(2, ["fe80::20"])), (0, .inStep), (3, .connected(2, "fe80::1")),
      ],
      told: ["0 connect fe80::1@2", "3 keep", "3 won fe80::1@2"]),
    Case(
      name: "no domain at all", events: [(1, .inStep)], told: ["1 lost 101"]),
    Case(
      name: "no domain has a source for it", host: "203.0.113.7",
      events: [(0, .domain(1, ["2001:db8:1::10"])), (1, .inStep)], told: ["1 lost 99"]),
    Case(
      name: "link-local sources lead nowhere",
      host: "203.0.113.7", events: [(0, .domain(1, ["169.254.3.4"])), (1, .inStep)], told: ["1 lost 99"]),
    Case(
      name: "a source comes later", host: "203.0.113.7", settings: settings { $0.waitsForNetwork = true },
      events: [
        (0, .domain(1, [])), (1, .inStep), (900, .sources(1, ["192.0.2.10"])), (901, .connected(1, "203.0.113.7")),
      ],
      told: ["900 connect 203.0.113.7@1", "901 keep", "901 won 203.0.113.7@1"]),
    Case(
      name: "a name that nobody knows",
      events: [
        (0, .domain(1, dual)), (0, .domain(2, dual2)), (0, .inStep),
        (9, .translated(1, Failure(from: .resolver, resolverStatus: 3))),
        (11, .translated(2, Failure(from: .resolver, resolverStatus: 3))),
      ],
      told: ["0 translate @1", "0 translate @2", "11 lost 2"]),
    Case(
      name: "the deadline", deadline: 1000,
      events: [(0, .domain(1, dual)), (0, .inStep), (10, .found(1, "2001:db8:80::1"))],
      told: ["0 translate @1", "10 connect 2001:db8:80::1@1", "1000 stop @1", "1000 lost 110"]),
    Case(
      name: "a delay under 100 ms is lengthened", settings: settings { $0.attemptDelay = 1 },
      events: [
        (0, .domain(1, dual)), (0, .inStep), (0, .found(1, "2001:db8:80::1")), (0, .found(1, "203.0.113.1")),
        (200, .connected(1, "203.0.113.1")),
      ],
      told: [
        "0 translate @1", "0 connect 2001:db8:80::1@1", "100 connect 203.0.113.1@1", "200 keep", "200 stop @1",
        "200 won 203.0.113.1@1",
      ]),
    Case(
      name: "less than 10 ms is never taken",
      settings: settings {
        $0.attemptDelay = 1
        $0.minimumAttemptDelay = 1
      },
      events: [
        (0, .domain(1, dual)), (0, .inStep), (0, .found(1, "2001:db8:80::1")), (0, .found(1, "203.0.113.1")),
        (20, .connected(1, "203.0.113.1")),
      ],
      told: [
        "0 translate @1", "0 connect 2001:db8:80::1@1", "10 connect 203.0.113.1@1", "20 keep", "20 stop @1",
        "20 won 203.0.113.1@1",
      ]),
  ]

  @Test(arguments: cases) func race(_ each: Case) throws {
    var story = try Story(each.host, each.settings, deadline: each.deadline)
    story.run(each.events)
    #expect(story.told == each.told)
  }

  @Test func `the verdict says per domain what happened`() throws {
    var story = try Story("www.example.org")
    story.run([
      (0, .domain(1, Self.dual)), (0, .domain(2, Self.dual2)), (0, .domain(3, [])), (0, .inStep),
      (5, .found(1, "2001:db8:80::1")), (5, .translated(1)),
      (6, .translated(2, Failure(error: 110, from: .timeOut))), (7, .found(3, "203.0.113.1")), (7, .translated(3)),
      (8, .failed(1, "2001:db8:80::1", 111)),
    ])
    #expect(story.race.outcome == .lost(111))
    let reports = story.race.reports
    #expect(reports.map(\.domain.pvd.identifier) == [1, 2, 3])
    #expect(reports[0].candidates.map(\.fate) == [.failed(Failure(error: 111, from: .local))])
    #expect(reports[1].translation == .ended(Failure(error: 110, from: .timeOut)))
    #expect(reports[2].candidates.map(\.fate) == [.waiting])
  }

  @Test func `hosts that are neither name nor address`() {
    for host in ["", "a\0b", String(repeating: "a", count: 256), "fe80::1%", "fe80::1%0", "fe80::1%nosuchthing"] {
      #expect(HappyEyeballs.Target(Array(host.utf8)) == nil, "\(host)")
    }
    #expect(HappyEyeballs.Target(Array("10.0.0.1.example".utf8)) == .name(Array("10.0.0.1.example".utf8)))
    #expect(HappyEyeballs.Target(Array("fe80::1%lo".utf8)) == .address(IPAddress("fe80::1")!, scope: 1))
  }
}
