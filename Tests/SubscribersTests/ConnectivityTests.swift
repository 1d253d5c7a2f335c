import Messages
import Platform
import Provisioning
import Testing

@testable import Subscribers

/// draft-ietf-mif-api-extension-05, section 3.2.7.26, without sockets: what goes in and what comes out.
@Suite struct ConnectivityTests {
  private static let second: UInt64 = 1_000_000_000
  private var now: UInt64 = 100 * second
  private var connectivity: Connectivity
  private var links: [UInt32: LinkCondition] = [:]

  init() { connectivity = Self.make() }

  private static func make(
    _ hooks: Set<Errand.Kind> = [.connectHook, .idleHook, .breakHook], interfaces: [String] = ["up*"]
  ) -> Connectivity {
    var settings = Connectivity.Settings()
    settings.interfaces = interfaces.map { InterfacePattern(Array($0.utf8)[...])! }
    settings.hooks = hooks
    return Connectivity(settings)
  }

  private mutating func link(
    _ index: UInt32, _ name: String? = nil, up: Bool = true, carrier: Bool? = nil, address: Bool = false,
    router: Bool = false, unheard: Bool = false, linkLocal: Bool = false, loopback: Bool = false
  ) {
    let condition = LinkCondition(
      index: index, name: InterfaceName((name ?? "up\(index)").utf8), isUp: up, hasCarrier: carrier ?? up,
      isLoopback: loopback, hasAddress: address, hasRouter: router, hasUnheardRouter: unheard, hasLinkLocal: linkLocal)
    links[index] = condition
    connectivity.note(
      Link(
        index: index, name: condition.name, isUp: up, hasCarrier: condition.hasCarrier, isLoopback: loopback))
  }

  private mutating func actions() -> [Connectivity.Action] {
    var actions: [Connectivity.Action] = []
    while let action = connectivity.nextAction() { actions.append(action) }
    return actions
  }

  private mutating func wait(_ milliseconds: UInt64) -> [Connectivity.Action] {
    let end = now + milliseconds * 1_000_000
    while let deadline = connectivity.deadline, deadline <= end {
      now = max(now, deadline)
      connectivity.advance(to: now) { links[$0] }
      if connectivity.deadline == 0 { break }
    }
    now = end
    return actions()
  }

  private mutating func wants(_ who: UInt64) -> [Connectivity.Action] {
    connectivity.wantsToConnect(who, links.values.sorted { $0.index < $1.index }, at: now)
    connectivity.advance(to: now) { links[$0] }
    return actions()
  }

  private mutating func vote(_ who: UInt64, _ vote: Connectivity.Vote, _ interface: UInt32?) -> [Connectivity.Action] {
    connectivity.vote(vote, by: who, on: interface, at: now)
    return actions()
  }

  private mutating func connected(_ who: UInt64, _ interface: UInt32) -> [Connectivity.Action] {
    connectivity.connected(who, over: interface, at: now)
    return actions()
  }

  private mutating func end(_ who: UInt64) -> [Connectivity.Action] {
    connectivity.end(who, at: now)
    return actions()
  }

  private func run(_ kind: Errand.Kind, _ interface: UInt32) -> Connectivity.Action { .run(Errand(kind, interface)) }

  // MARK: Votes

  @Test mutating func `all stakeholders have to agree`() {
    link(1)
    #expect(connected(10, 1) == [])
    #expect(vote(11, .idle, 1) == [], "10 uses it")
    #expect(vote(10, .breakable, 1) == [.tellGoingAway(1)])
    #expect(wait(999) == [])
    #expect(wait(1) == [run(.idleHook, 1)], "one of them only tolerates idle")
    #expect(wait(100_000) == [], "once")
    #expect(vote(11, .idle, 1) == [], "said before")
    #expect(vote(11, .breakable, 1) == [.tellGoingAway(1)], "now all tolerate more")
    #expect(wait(1000) == [run(.breakHook, 1)])
    #expect(vote(11, .idle, 1) == [] && wait(5000) == [], "more has happened already")
  }

  @Test mutating func `what all tolerate when the grace time is over counts`() {
    link(1)
    #expect(vote(10, .idle, 1) == [.tellGoingAway(1)])
    #expect(wait(500) == [])
    #expect(vote(10, .breakable, 1) == [], "the time is not begun anew")
    #expect(wait(500) == [run(.breakHook, 1)])
  }

  @Test mutating func `a vote withdrawn ends the round`() {
    link(1)
    _ = connected(10, 1)
    #expect(vote(10, .idle, 1) == [.tellGoingAway(1)])
    #expect(connected(10, 1) == [])
    #expect(wait(2000) == [])
    #expect(vote(10, .idle, 1) == [.tellGoingAway(1)], "a new round")
    #expect(connected(11, 1) == [], "somebody else has use for it")
    #expect(wait(2000) == [])
    #expect(end(11) == [.tellGoingAway(1)])
    links[1]?.hasAddress = true
    #expect(wants(10) == [], "it is operational, but the votes are withdrawn")
    #expect(wait(2000) == [])
    #expect(vote(11, .idle, 1) == [], "who withdrew its vote still has its stake")
    #expect(end(10) == [.tellGoingAway(1)])
    #expect(wait(1000) == [run(.idleHook, 1)])
  }

  @Test mutating func `a subscriber that ends takes its vote and its stake along`() {
    link(1)
    _ = connected(10, 1)
    _ = connected(11, 1)
    #expect(vote(10, .idle, 1) == [])
    #expect(end(11) == [.tellGoingAway(1)], "the rest agrees")
    #expect(end(10) == [])
    #expect(wait(2000) == [], "nobody is left that voted")
    _ = connected(12, 1)
    #expect(end(12) == [] && wait(2000) == [], "that nobody uses it is no vote")
  }

  @Test mutating func `a vote on everything is on every interface`() {
    link(1)
    link(2)
    link(3, up: false)
    link(4, "lo", loopback: true)
    #expect(connected(10, 2) == [])
    #expect(vote(11, .breakable, nil) == [.tellGoingAway(1)])
    #expect(vote(10, .breakable, 2) == [.tellGoingAway(2)])
    #expect(wait(1000) == [run(.breakHook, 1), run(.breakHook, 2)])
    #expect(connected(11, 1) == [], "its own stake on 1; its vote on 2 stands")
    #expect(vote(10, .breakable, 1) == [])
    #expect(vote(11, .breakable, nil) == [.tellGoingAway(1)])
  }

  @Test mutating func `without a hook nothing would happen and nothing is told`() {
    connectivity = Self.make([])
    link(1)
    #expect(vote(10, .breakable, 1) == [] && wait(5000) == [])
    connectivity = Self.make([.breakHook])
    link(1)
    #expect(vote(10, .idle, 1) == [] && wait(5000) == [])
    #expect(vote(10, .breakable, 1) == [.tellGoingAway(1)])
    #expect(wait(1000) == [run(.breakHook, 1)])
    connectivity = Self.make([.idleHook])
    link(1)
    #expect(vote(10, .breakable, 1) == [.tellGoingAway(1)])
    #expect(wait(1000) == [run(.idleHook, 1)])
  }

  @Test mutating func `a link that goes ends what was under way`() {
    link(1)
    _ = vote(10, .idle, 1)
    link(1, up: false)
    #expect(wait(2000) == [])
    link(1)
    #expect(vote(10, .idle, 1) == [.tellGoingAway(1)], "votes outlast it")
    connectivity.forget(1)
    #expect(wait(2000) == [])
    link(1)
    _ = connected(11, 1)
    #expect(end(11) == [], "another interface of that index: 10 has no vote on it")
  }

  // MARK: WANTS_TO_CONNECT

  @Test mutating func `what is down and may be used is set up`() {
    link(1, up: false)
    link(2, "eth0", up: false)
    link(3, address: true, router: true)
    #expect(wants(10) == [.tellGoingUp(1), run(.setUp, 1), run(.connectHook, 1)])
    #expect(wants(11) == [], "once in five seconds")
    #expect(!connectivity.isGoingUpNews(1, at: now), "it was told")
    link(1, carrier: false)
    #expect(wait(1000) == [])
    link(1, linkLocal: true)
    #expect(wait(500) == [run(.solicitRouter, 1)])
    #expect(wait(3500) == [])
    #expect(wants(10) == [run(.connectHook, 1)], "five seconds later, without an address; it is not going up any more")
    #expect(wait(500) == [run(.solicitRouter, 1)])
    #expect(wait(4000) == [run(.solicitRouter, 1)])
    #expect(wait(100_000) == [], "three at most")
  }

  @Test mutating func `solicitations end with a router, with the link and with time`() {
    link(1, linkLocal: true)
    #expect(wants(10) == [run(.connectHook, 1), run(.solicitRouter, 1)])
    link(1, router: true, linkLocal: true)
    #expect(wait(60_000) == [])
    #expect(connectivity.deadline == nil)
    link(1)
    _ = wants(10)
    #expect(wait(60_000) == [] && connectivity.deadline == nil, "it never had an address to send from")
    _ = wants(10)
    links[1] = nil
    connectivity.forget(1)
    #expect(wait(60_000) == [] && connectivity.deadline == nil)
  }

  /// RFC 4861 6.3.7: after a random delay of a second at most.
  @Test mutating func `routers that were there before the agent are asked when it begins`() {
    link(1, address: true, router: true, unheard: true, linkLocal: true)
    link(2, address: true, router: true, linkLocal: true)
    now += 700_000_000
    connectivity.seekRouters(links.values.sorted { $0.index < $1.index }, at: now)
    #expect(wait(699) == [])
    #expect(wait(1) == [run(.solicitRouter, 1)])
    #expect(wait(3999) == [])
    #expect(wait(1) == [run(.solicitRouter, 1)], "it has not answered")
    link(1, address: true, router: true, linkLocal: true)
    #expect(wait(60_000) == [] && connectivity.deadline == nil, "it has")
  }

  @Test mutating func `what is operational needs nothing`() {
    link(1, address: true)
    link(2, "lo", loopback: true)
    #expect(wants(10) == [])
    connectivity = Self.make(interfaces: [])
    link(1, up: false)
    #expect(wants(10) == [], "none may be used")
  }

  @Test mutating func `what a hook has put aside is got back`() {
    link(1, address: true, router: true)
    _ = vote(10, .idle, 1)
    _ = wait(1000)
    #expect(wants(10) == [.tellGoingUp(1), run(.connectHook, 1)])
    #expect(wait(6000) == [] && wants(10) == [])
    _ = vote(10, .idle, 1)
    #expect(wait(1000) == [run(.idleHook, 1)])
    _ = connected(11, 1)
    #expect(wants(11) == [], "a connection over it shows that it is there")
  }

  // MARK: TAKE_INTERFACE_DOWN

  @Test mutating func `taken down after a grace time`() {
    link(1)
    connectivity.takeDown(1, after: 2 * Self.second, at: now)
    #expect(actions() == [.tellGoingAway(1)])
    #expect(wait(1999) == [])
    #expect(wait(1) == [run(.setDown, 1)])
    link(1, up: false)
    connectivity.takeDown(1, after: 0, at: now)
    #expect(wait(1000) == [], "it is down")
  }

  @Test mutating func `said again it can only be sooner, and votes are of no interest`() {
    link(1, up: true)
    connectivity.takeDown(1, after: nil, at: now)
    connectivity.takeDown(1, after: 10 * Self.second, at: now)
    #expect(actions() == [.tellGoingAway(1)])
    #expect(vote(10, .idle, 1) == [])
    #expect(wants(10) == [], "it is about to go")
    #expect(wait(1000) == [run(.setDown, 1)])
    link(2)
    connectivity.takeDown(2, after: 5 * Self.second, at: now)
    connectivity.takeDown(2, after: 0, at: now)
    _ = actions()
    connectivity.advance(to: now) { links[$0] }
    #expect(actions() == [run(.setDown, 2)])
  }

  @Test mutating func `a link that went down by itself is not taken down when it is back`() {
    link(1)
    connectivity.takeDown(1, after: nil, at: now)
    link(1, up: false)
    link(1)
    #expect(actions() == [.tellGoingAway(1)] && wait(5000) == [])
  }

  // MARK: Names

  @Test(arguments: [
    ("up0", "up0", true), ("up0", "up01", false), ("up0", "up", false), ("up*", "up0", true), ("up*", "up", true),
    ("up*", "wan", false), ("*", "lo", true), ("wwan0.100", "wwan0.100", true),
  ])
  func `names of interfaces`(_ pattern: String, _ name: String, _ matches: Bool) throws {
    let pattern = try #require(InterfacePattern(Array(pattern.utf8)[...]))
    #expect(pattern.matches(InterfaceName(name.utf8)) == matches)
  }

  @Test(arguments: ["", "a b", "a/b", "*a", "a**", "sixteen-bytes-lo", "tab\t"])
  func `what no interface is called`(_ text: String) {
    #expect(InterfacePattern(Array(text.utf8)[...]) == nil)
  }

  // MARK: Any order

  /// 8 × 20,000 random steps against a plain model of what the rules say.
  @Test(arguments: 1...8 as ClosedRange<UInt64>)
  func `whatever happens, a hook runs only where all agreed and were warned`(_ seed: UInt64) {
    var model = Model(seed)
    for step in 0..<20_000 {
      if let fault = model.step() {
        Issue.record("seed \(seed), step \(step), after \(model.last): \(fault)")
        return
      }
    }
    #expect(model.seen.count == 8, "everything has happened: \(model.seen)")
  }
}

/// Every subscriber's vote written down once for each interface, and when each interface was last warned of.
private struct Model {
  var last = ""
  var seen: Set<String> = []
  private var random: SplitMix
  private var connectivity: Connectivity
  private var now: UInt64 = 1_000_000_000_000
  private var up: [UInt32: Bool] = [:]
  /// nil in it: a stake without a vote.
  private var stakes: [UInt32: [UInt64: Connectivity.Vote?]] = [:]
  private var warned: [UInt32: UInt64] = [:]
  private var agreedSince: [UInt32: UInt64] = [:]
  private var downDue: [UInt32: UInt64] = [:]
  private var attempt: [UInt32: UInt64] = [:]
  private let grace: UInt64 = 1_000_000_000

  init(_ seed: UInt64) {
    random = SplitMix(state: seed)
    var settings = Connectivity.Settings()
    settings.hooks = [.connectHook, .idleHook, .breakHook]
    settings.interfaces = [InterfacePattern(Array("up*".utf8)[...])!]
    connectivity = Connectivity(settings)
    for index in 1...4 as ClosedRange<UInt32> { note(index, true) }
  }

  private mutating func note(_ index: UInt32, _ isUp: Bool) {
    connectivity.note(Link(index: index, name: InterfaceName("up\(index)".utf8), isUp: isUp, hasCarrier: isUp))
    up[index] = isUp
    if !isUp { downDue[index] = nil }
  }

  private func condition(_ index: UInt32) -> LinkCondition? {
    up[index].map {
      LinkCondition(
        index: index, name: InterfaceName("up\(index)".utf8), isUp: $0, hasCarrier: $0,
        hasAddress: index.isMultiple(of: 2),
        hasRouter: false, hasLinkLocal: $0)
    }
  }

  private func agreement(_ index: UInt32) -> Connectivity.Vote? {
    guard let votes = stakes[index]?.values, !votes.isEmpty, !votes.contains(where: { $0 == nil }) else { return nil }
    return votes.compactMap { $0 }.min()
  }

  mutating func step() -> String? {
    let index = UInt32(random.below(4) + 1)
    let who = UInt64(random.below(5) + 10)
    switch random.below(100) {
    case 0..<25:
      let vote = random.below(2) == 0 ? Connectivity.Vote.idle : .breakable
      last = "\(who) votes \(vote) on \(index)"
      connectivity.vote(vote, by: who, on: index, at: now)
      if up[index] != nil { stakes[index, default: [:]][who] = .some(vote) }
    case 25..<32:
      let vote = random.below(2) == 0 ? Connectivity.Vote.idle : .breakable
      last = "\(who) votes \(vote) on all"
      connectivity.vote(vote, by: who, on: nil, at: now)
      for index in 1...4 as ClosedRange<UInt32> { stakes[index, default: [:]][who] = .some(vote) }
    case 32..<40:
      last = "\(who) connects over \(index)"
      connectivity.connected(who, over: index, at: now)
      if up[index] != nil { stakes[index, default: [:]][who] = .some(nil) }
    case 40..<52:
      last = "\(who) ends"
      connectivity.end(who, at: now)
      for index in stakes.keys { stakes[index]?[who] = nil }
    case 52..<60:
      last = "\(who) wants to connect"
      connectivity.wantsToConnect(who, up.keys.sorted().compactMap(condition), at: now)
      for index in stakes.keys where stakes[index]?[who] != nil { stakes[index]?[who] = .some(nil) }
    case 60..<66:
      last = "\(index) flips"
      if let isUp = up[index] { note(index, !isUp) }
    case 66..<68:
      last = "\(index) is to be taken down"
      connectivity.takeDown(index, after: grace, at: now)
      if up[index] == true { downDue[index] = min(downDue[index] ?? .max, now + grace) }
    default:
      last = "time"
      now += UInt64(random.below(700)) * 1_000_000
      connectivity.advance(to: now, condition)
    }
    for index in 1...4 as ClosedRange<UInt32> {
      if up[index] == true, agreement(index) != nil {
        agreedSince[index] = agreedSince[index] ?? now
      } else {
        agreedSince[index] = nil
        if downDue[index] == nil { warned[index] = nil }
      }
    }
    return check()
  }

  private mutating func check() -> String? {
    while let action = connectivity.nextAction() {
      switch action {
      case .tellGoingAway(let index):
        seen.insert("away")
        if up[index] != true { return "GOING_AWAY of \(index), which is down" }
        if downDue[index] == nil, agreement(index) == nil { return "GOING_AWAY of \(index) without reason" }
        warned[index] = now
      case .tellGoingUp(let index):
        seen.insert("up")
        if last.contains("wants") == false { return "GOING_UP of \(index)" }
      case .run(let errand):
        let index = errand.interface
        seen.insert("\(errand.kind)")
        switch errand.kind {
        case .idleHook, .breakHook:
          guard let agreed = agreement(index), let since = agreedSince[index], let told = warned[index] else {
            return "\(errand.kind) of \(index) where not all agree"
          }
          if since + grace > now || told + grace > now { return "\(errand.kind) of \(index) too soon" }
          if (errand.kind == .breakHook) != (agreed == .breakable) { return "the wrong hook" }
        case .setDown:
          guard let due = downDue.removeValue(forKey: index), due <= now else { return "\(index) is taken down" }
        case .setUp, .connectHook:
          if last.contains("wants") == false { return "\(errand.kind) of \(index)" }
          if errand.kind == .setUp, up[index] == true { return "\(index) is up" }
          if errand.kind == .connectHook {
            if let before = attempt[index], before + 5_000_000_000 > now { return "\(index) again too soon" }
            attempt[index] = now
          }
        case .fetchInformation: return "a fetch that is no program's to ask for"
        case .solicitRouter: if up[index] != true { return "solicits on \(index), which is down" }
        }
      }
    }
    return nil
  }
}

private struct SplitMix {
  var state: UInt64
  mutating func below(_ bound: UInt64) -> Int {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return Int((z ^ z >> 31) % bound)
  }
}
