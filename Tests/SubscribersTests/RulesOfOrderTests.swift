import Messages
import Platform
import Provisioning
import Subscribers
import Testing
import Wire

/// docs/protocol.md, "Rules of order": kept for every subscriber under every interleaving of its requests, of what it
/// reads and does not read in time, and of what happens to the network.
@Suite struct RulesOfOrderTests {
  @Test(arguments: 1...6 as ClosedRange<UInt64>) func `whatever happens while they come and go`(_ seed: UInt64) throws {
    var settings = Subscribers.Settings()
    settings.queueLimit = 1500
    settings.sendBuffer = 4096
    let world = try World(seed, settings)
    for step in 0..<1500 {
      try world.step()
      if let fault = world.fault {
        Issue.record("seed \(seed), step \(step): \(fault)")
        return
      }
    }
    try world.settle()
    #expect(world.fault == nil, "seed \(seed), at the end")
    #expect(world.server.counter("mif.overruns") > 3, "too much is read to show anything")
  }
}

/// A network that changes, and clients that ask, read and go as they please.
private final class World {
  let server: Server
  private var random: Generator
  private var clients: [Watching] = []
  private(set) var fault: String?

  init(_ seed: UInt64, _ settings: Subscribers.Settings) throws {
    server = try Server(settings)
    random = Generator(state: seed &* 7919)
    for _ in 0..<4 { clients.append(Watching(try server.mifClient())) }
  }

  private func below(_ limit: Int) -> Int { Int(random.next() % UInt64(limit)) }

  func step() throws {
    for _ in 0..<below(4) { try change() }
    let index = below(clients.count)
    let client = clients[index]
    for _ in 0..<below(3) { ask(client) }
    if below(3) > 0 { try server.run() }
    // The first one hardly reads, so that it falls behind.
    if index > 0 || below(25) == 0 { read(client, atMost: below(index == 0 ? 100 : 40)) }
    if below(150) == 0 { clients[index] = Watching(try server.mifClient()) }
  }

  /// Everybody reads what there is; then what they know is what there is.
  func settle() throws {
    for _ in 0..<500 {
      try server.run()
      var count = 0
      for client in clients { count += read(client, atMost: 1000) }
      if count == 0 { break }
    }
    for client in clients {
      if let wrong = client.compare(with: server.state) { fault = fault ?? wrong }
    }
  }

  @discardableResult
  private func read(_ client: Watching, atMost count: Int) -> Int {
    for number in 0..<count {
      guard let bytes = client.client.receive() else { return number }
      guard let message = try? MIFMessage(unsafe bytes.span.bytes) else {
        fault = "a message that can't be read"
        return number
      }
      if let wrong = client.take(message) { fault = fault ?? "\(wrong), in \(message)" }
    }
    return count
  }

  // MARK: The network

  private func change() throws {
    let interface = UInt32(2 + below(3))
    switch below(20) {
    case 0: try server.apply(.linkRemoved(index: interface))
    case 1...3: try link(interface)
    case 4...9: try advertise(interface)
    case 10...16:
      let prefix = IPPrefix(address6(UInt8(below(4)), UInt64(1 + below(4))), 64)
      if below(3) == 0 { return try server.apply(.addressRemoved(interface: interface, prefix)) }
      try server.apply(
        .address(
          InterfaceAddress(
            interface: interface, prefix: prefix, preferredLifetime: UInt32(below(9999)), validLifetime: 9999)))
    default:
      server.now += UInt64(below(20)) * 100_000_000
      try server.happen { state, moment in state.advance(to: moment) }
    }
  }

  private func link(_ interface: UInt32) throws {
    let isUp = below(5) > 0
    try server.apply(
      .link(
        Link(
          index: interface, name: InterfaceName("up\(interface)".utf8), isUp: isUp, hasCarrier: isUp && below(4) > 0)))
  }

  /// Lifetimes of some seconds, and now and then 0, so that elements, prefixes and PvDs go by themselves.
  private func advertise(_ interface: UInt32) throws {
    let lifetime = UInt8(below(4) == 0 ? 0 : below(6))
    var options: [UInt8] = []
    if below(2) == 0 { options += RAOption.prefix(UInt8(below(4)), flags: 0x80, lifetime: lifetime) }
    if below(3) == 0 { options += RAOption.server(UInt8(below(3))) }
    try server.hear(
      routerAdvertisement(from: UInt8(1 + below(2)), lifetime: UInt16(below(6)), options), on: interface)
  }

  // MARK: Requests

  private func ask(_ client: Watching) {
    let interface = UInt32(2 + below(3))
    let known = client.knownDomains
    let pvd = known.isEmpty || below(10) == 0 ? UInt32(below(30)) : known[below(known.count)]
    switch below(14) {
    case 0, 1: client.ask(.interfaces)
    case 2: client.stop(.interfaces)
    case 3...6: client.ask(.domains(interface))
    case 7: client.stop(.domains(interface))
    case 8, 9: client.ask(.elements(pvd))
    case 10: client.stop(.elements(pvd))
    case 11, 12: client.ask(.addresses(pvd))
    default: client.stop(.addresses(pvd))
    }
  }
}

/// What one subscriber makes of what it is told, and whether that keeps the rules.
private final class Watching {
  enum Scope: Hashable {
    case interfaces
    case domains(UInt32)
    case elements(UInt32)
    case addresses(UInt32)

    var announce: [UInt8] {
      switch self {
      case .interfaces: message(1)
      case .domains(let interface): message(5, MIF.interface(interface))
      case .elements(let pvd): message(9, MIF.pvd(pvd))
      case .addresses(let pvd): message(13, MIF.pvd(pvd))
      }
    }
    var stop: [UInt8] {
      switch self {
      case .interfaces: message(2)
      case .domains(let interface): message(6, MIF.interface(interface))
      case .elements(let pvd): message(12, MIF.pvd(pvd))
      case .addresses(let pvd): message(15, MIF.pvd(pvd))
      }
    }
  }
  enum Item: Hashable {
    case interface(UInt32)
    case domain(UInt32)
    case element(ElementType)
    case address(IPPrefix)
  }
  struct Subscription {
    var known: Set<Item> = []
    /// Whether the end of an interface would be told, which ends its PvDs' announcements too.
    var isCertain = true
  }

  let client: Client
  private var subscriptions: [Scope: Subscription] = [:]
  private var pending: [UInt32: (scope: Scope, isStop: Bool)] = [:]
  /// What a snapshot has told so far.
  private var snapshots: [UInt32: Set<Item>] = [:]
  /// PvDs that were told to be gone: their numbers never come back.
  private var gone: Set<UInt32> = []
  private var lastRequest: UInt32 = 1_000_000
  private var lastNews: UInt32 = 0
  /// What is wrong unless an OVERRUN is next: the answer pushed news out.
  private var suspicion: String?

  init(_ client: Client) { self.client = client }

  var knownDomains: [UInt32] {
    subscriptions.values.flatMap { $0.known.compactMap { if case .domain(let id) = $0 { id } else { nil } } }.sorted()
  }

  func ask(_ scope: Scope) { post(scope, scope.announce, isStop: false) }
  func stop(_ scope: Scope) { post(scope, scope.stop, isStop: true) }

  private func post(_ scope: Scope, _ request: [UInt8], isStop: Bool) {
    var request = request
    request.replaceSubrange(8..<12, with: bytes(lastRequest + 1))
    // One that is not read from takes no more requests.
    guard case .sent = client.send(request) else { return }
    lastRequest += 1
    pending[lastRequest] = (scope, isStop)
  }

  /// Takes one message in; says what was wrong with it.
  func take(_ message: MIFMessage) -> String? {
    if let suspicion, message.content != .overrun { return suspicion }
    suspicion = nil
    switch message.content {
    case .announcement(let announcement):
      if message.isSnapshot { return takeItem(announcement, of: message.header.sequence) }
      lastNews += 1
      if message.header.sequence != lastNews { return "news are missing" }
      return takeNews(announcement)
    case .snapshotEnd: return end(message.header.sequence)
    case .overrun:
      if message.header.sequence <= lastNews + 1 { return "an overrun without a loss" }
      lastNews = message.header.sequence
      subscriptions = [:]
      return nil
    case .answer:
      guard let request = pending.removeValue(forKey: message.header.sequence) else { return "an answer to nothing" }
      if message.header.error == .noSuchEntry, !request.isStop {
        if case .interfaces = request.scope { return "there are always interfaces" }
        return subscriptions[request.scope]?.known.isEmpty == false ? "what was told is not there" : nil
      }
      if message.header.error != .none || !request.isStop { return "not the answer to this" }
      subscriptions[request.scope] = nil
      if request.scope == .interfaces { forgetCertainty() }
      return nil
    default: return "nobody asked for that"
    }
  }

  private func forgetCertainty() {
    for scope in subscriptions.keys { if case .domains = scope { subscriptions[scope]?.isCertain = false } }
  }

  private func place(_ announcement: MIFAnnouncement) -> (scope: Scope, item: Item)? {
    switch announcement {
    case .interface(let link), .noInterface(let link): (.interfaces, .interface(link.identifier))
    case .pvd(let link, let pvd), .noPvD(let link, let pvd): (.domains(link.identifier), .domain(pvd.identifier))
    case .element(let pvd, let type), .noElement(let pvd, let type): (.elements(pvd), .element(type))
    case .address(let pvd, let address), .noAddress(let pvd, let address):
      (.addresses(pvd), .address(IPPrefix(address.address, address.prefixLength)))
    case .interfaceGoingAway, .interfaceGoingUp: nil
    }
  }

  private func takeItem(_ announcement: MIFAnnouncement, of request: UInt32) -> String? {
    guard let place = place(announcement), let asked = pending[request], asked.scope == place.scope, !asked.isStop
    else { return "an item that nobody asked for" }
    if isGone(place.scope, place.item) { return "an item of what is gone" }
    return snapshots[request, default: []].insert(place.item).inserted ? nil : "an item twice"
  }

  private func end(_ request: UInt32) -> String? {
    guard let asked = pending.removeValue(forKey: request), !asked.isStop else { return "an end to nothing" }
    let told = snapshots.removeValue(forKey: request) ?? []
    if let before = subscriptions[asked.scope], before.isCertain, before.known != told {
      suspicion = "what was told and what is there differ: \(before.known), \(told)"
    }
    var subscription = Subscription(known: told)
    if case .domains = asked.scope { subscription.isCertain = subscriptions[.interfaces] != nil }
    subscriptions[asked.scope] = subscription
    return nil
  }

  private func isGone(_ scope: Scope, _ item: Item) -> Bool {
    switch (scope, item) {
    case (.elements(let pvd), _), (.addresses(let pvd), _): gone.contains(pvd)
    case (_, .domain(let pvd)): gone.contains(pvd)
    default: false
    }
  }

  private func takeNews(_ announcement: MIFAnnouncement) -> String? {
    guard let (scope, item) = place(announcement) else {
      guard case .interfaceGoingUp(let link) = announcement,
        subscriptions[.interfaces]?.known.contains(.interface(link.identifier)) == true
      else { return "going up, or away, without a cause" }
      return nil
    }
    guard subscriptions[scope] != nil else { return "news that nobody asked for" }
    if isGone(scope, item) { return "news of what is gone" }
    switch announcement {
    case .interface, .element, .address:
      subscriptions[scope]?.known.insert(item)
      return nil
    case .pvd(let link, _):
      if let interfaces = subscriptions[.interfaces], !interfaces.known.contains(.interface(link.identifier)) {
        return "a PvD of an interface that was not told"
      }
      return subscriptions[scope]!.known.insert(item).inserted ? nil : "a PvD told twice"
    default: break
    }
    if subscriptions[scope]?.known.remove(item) == nil { return "the end of what was not told" }
    switch announcement {
    case .noInterface(let link):
      if subscriptions[.domains(link.identifier)]?.known.isEmpty == false { return "an interface before its PvDs" }
      subscriptions[.domains(link.identifier)] = nil
    case .noPvD(_, let pvd):
      for scope in [Scope.elements(pvd.identifier), .addresses(pvd.identifier)] {
        if subscriptions.removeValue(forKey: scope)?.known.isEmpty == false { return "a PvD before what it has" }
      }
      gone.insert(pvd.identifier)
    default: break
    }
    return nil
  }

  /// When nothing is on its way any more.
  func compare(with state: borrowing NetworkState) -> String? {
    if let suspicion { return suspicion }
    if !pending.isEmpty { return "requests without an answer" }
    for (scope, subscription) in subscriptions where subscription.isCertain {
      let there: Set<Item>
      switch scope {
      case .interfaces: there = Set(state.links.map { .interface($0.index) })
      case .domains(let interface): there = Set((state.domains(of: interface) ?? []).map { .domain($0.id) })
      case .elements(let pvd): there = Set((state.domain(pvd)?.elementTypes ?? []).map { .element($0) })
      case .addresses(let pvd):
        there = Set((state.domain(pvd)?.addresses ?? []).map { .address($0.address.prefix) })
      }
      if there != subscription.known { return "\(scope): told \(subscription.known), and there is \(there)" }
    }
    return nil
  }
}

extension RAOption {
  /// As `prefix`, with these flags and both lifetimes in seconds.
  fileprivate static func prefix(_ subnet: UInt8, flags: UInt8, lifetime: UInt8) -> [UInt8] {
    var option = prefix(subnet)
    option[3] = flags
    option.replaceSubrange(4..<12, with: [0, 0, 0, lifetime, 0, 0, 0, lifetime])
    return option
  }
}
