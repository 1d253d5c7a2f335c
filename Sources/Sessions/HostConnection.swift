import CLinux
package import Messages
package import Platform
package import Wire

/// A connection to a host by name or address, through whichever provisioning domain gives it first: `HappyEyeballs`,
/// driven over a connection to the agent of its own, which ends with it and takes the losers along.
///
/// One thread at a time. Nothing here waits but `wait`.
package struct HostConnection: ~Copyable {
  /// What to connect to, and through what.
  package struct Order: Sendable {
    /// A name, or an IPv4 or IPv6 address as text (`fe80::1%2`: the interface's index behind the percent sign).
    package var host: [UInt8]
    package var port: UInt16
    package var transport = Endpoint.Transport.tcp
    /// Only addresses of this family; nil: both.
    package var family: Family?
    /// Only this domain, only those of this interface; 0: any.
    package var pvd: UInt32 = 0
    package var interface: UInt32 = 0
    package var settings = HappyEyeballs.Settings()
    /// Whether `connect` may follow: the connection to the agent, and what is known of its networks, is kept.
    package var isKept = false
    /// Nanoseconds from now on; nil: as long as it takes.
    package var timeout: UInt64? = 30_000_000_000

    package init(host: [UInt8], port: UInt16) {
      self.host = host
      self.port = port
    }
  }

  package enum Progress: Hashable, Sendable {
    /// Call `step` again when `descriptor` is readable.
    case underWay
    /// `takeSocket` gives the socket.
    case connected(HappyEyeballs.Winner)
    /// A number of `<errno.h>`; `reports` say what happened in each domain.
    case failed(Errno)
  }

  private enum Token {
    static let session: UInt64 = 1
    static let timer: UInt64 = 2
  }
  /// Messages handled in one `step`, so that a caller's loop goes on.
  private static var bite: Int { 256 }
  private static var maximumInterfaces: Int { 256 }

  /// Which request an answer belongs to.
  fileprivate enum Purpose {
    case interfaces
    case domains(interface: UInt32)
    case addresses(pvd: UInt32)
    case preference
    case translators
    case translation(Transaction)
    case attempt(Transaction)

    /// Ended by SNAPSHOT_END; until then not everything is known.
    var isSnapshot: Bool {
      switch self {
      case .interfaces, .domains, .addresses, .translators: true
      case .preference, .translation, .attempt: false
      }
    }
    /// Until these have ended, a domain that was not told may still be.
    var tellsDomains: Bool {
      switch self {
      case .interfaces, .domains: true
      case .addresses, .preference, .translators, .translation, .attempt: false
      }
    }
    var isAboutNetworks: Bool {
      switch self {
      case .interfaces, .domains, .addresses, .preference, .translators: true
      case .translation, .attempt: false
      }
    }
  }
  private struct Outstanding {
    var sequence: UInt32
    var purpose: Purpose
  }
  /// A domain that was told, and its addresses.
  fileprivate struct Known {
    var domain: HappyEyeballs.Domain
    var identifier: UInt32 { domain.pvd.identifier }
    var preference: Int16 = 0
    var translators: [IPPrefix] = []
    var addresses: [AnnouncedAddress] = []
    /// All of its addresses have been told.
    var isWhole = false
    var hasAskedForTranslators = false
    /// Told again since the last OVERRUN.
    var isCurrent = true
  }

  private var session: MIFSession
  private var poller: Poller
  private var timer: Timer
  private var race: HappyEyeballs
  private let path: [UInt8]
  private var order: Order
  /// To be posted as soon as the socket takes it.
  private var queue = Queue<(MIFRequest, Purpose?)>()
  private var awaitsRoom = false
  private var outstanding: [Outstanding] = []
  private var interfaces: [UInt32] = []
  private var known: [Known] = []
  private var socket: Descriptor?
  private var ended: Progress?
  /// Why there is no agent to be asked any more, where that is why it failed.
  package private(set) var agentFailure: MIFFailure?

  /// Connects to the agent's `mif.sock` and begins.
  package init(path: [UInt8], _ order: Order) throws(SystemFailure) {
    guard let target = HappyEyeballs.Target(order.host) else {
      throw SystemFailure("connect to", order.host, .invalidArgument)
    }
    let session = try MIFSession(path: path)
    let poller = try HostConnection.prepare(path) { () throws(Errno) in try Poller() }
    let timer = try HostConnection.prepare(path) { () throws(Errno) in try Timer() }
    try HostConnection.prepare(path) { () throws(Errno) in
      try poller.add(session.descriptor, token: Token.session, .read)
      try poller.add(timer.descriptor.number, token: Token.timer, .read)
    }
    self.session = session
    self.poller = poller
    self.timer = timer
    self.path = path
    self.order = order
    race = HappyEyeballs(target, order, after: 0, at: Clock.bootTime())
    ask(.announceInterfaces, .interfaces)
    _ = step()
  }

  /// Begins another connection, once the one before has ended. What is known of the agent's networks needs not be asked
  /// for again, if that one was `isKept` and over the same networks; else, or where attempts were left under way, it
  /// begins as the first one did.
  package mutating func connect(_ order: Order) throws(SystemFailure) {
    guard let target = HappyEyeballs.Target(order.host) else {
      throw SystemFailure("connect to", order.host, .invalidArgument)
    }
    guard ended != nil else { throw SystemFailure("connect to", order.host, Errno(rawValue: EBUSY)) }
    guard session.isConnected, order.pvd == self.order.pvd, order.interface == self.order.interface else {
      self = try HostConnection(path: path, order)
      return
    }
    self.order = order
    socket = nil
    ended = nil
    agentFailure = nil
    // What belonged to the race before, and its answers, are nothing to this one.
    outstanding.removeAll { !$0.purpose.isAboutNetworks }
    let now = Clock.bootTime()
    race = HappyEyeballs(target, order, after: race.lastTransaction, at: now)
    for place in known.indices where known[place].isCurrent {
      let pvd = known[place].identifier
      race.add(known[place].domain, at: now)
      race.prefer(known[place].preference, pvd: pvd, at: now)
      if !known[place].translators.isEmpty { race.setTranslators(known[place].translators, pvd: pvd, at: now) }
      tellSources(place, at: now)
    }
    _ = step()
  }

  private static func prepare<T: ~Copyable>(
    _ path: [UInt8], _ body: () throws(Errno) -> T
  ) throws(SystemFailure) -> T {
    do throws(Errno) {
      return try body()
    } catch {
      throw SystemFailure("wait for", path, error)
    }
  }

  /// For the caller's own poll(2), the same as long as this lives: readable when `step` has something to do.
  package var descriptor: Int32 { poller.number }
  /// What happened in each domain so far.
  package var reports: [HappyEyeballs.Report] { race.reports }
  /// The same, attempt by attempt.
  package var trials: [HappyEyeballs.Trial] { race.trials }

  /// Does what can be done now. Never waits.
  package mutating func step() -> Progress {
    if let ended { return ended }
    _ = timer.acknowledge()
    for _ in 0..<HostConnection.bite {
      let message: MIFMessage
      do throws(MIFFailure) {
        guard let next = try session.next() else { break }
        message = next
      } catch {
        return lose(error)
      }
      hear(message)
      if case .won(let winner) = race.outcome { return finish(.connected(winner)) }
    }
    let now = Clock.bootTime()
    race.setInStep(!outstanding.contains { $0.purpose.isSnapshot } && !hasSnapshotQueued, at: now)
    do throws(MIFFailure) {
      try post()
    } catch {
      return lose(error)
    }
    if case .lost(let error) = race.outcome { return finish(.failed(Errno(rawValue: Int32(error)))) }
    do throws(Errno) {
      try timer.arm(at: race.wakeUp)
    } catch {
      return finish(.failed(error))
    }
    return .underWay
  }

  /// The connected socket, once.
  package mutating func takeSocket() -> Descriptor? { socket.take() }

  /// Waits until `step` has something to do: false if not in `milliseconds`, or where a signal came; -1 waits for ever.
  package mutating func wait(milliseconds: Int32) throws(Errno) -> Bool {
    if ended != nil { return true }
    return try poller.wait(milliseconds: milliseconds) > 0
  }

  /// Gives up: `step` says ECANCELED from now on, and what was connected already is closed.
  package mutating func cancel() {
    race.abandon(UInt16(ECANCELED))
    socket = nil
    _ = finish(.failed(Errno(rawValue: ECANCELED)))
  }

  private mutating func lose(_ failure: MIFFailure) -> Progress {
    agentFailure = failure
    return finish(.failed(failure.errno))
  }

  private mutating func finish(_ progress: Progress) -> Progress {
    ended = progress
    if order.isKept, race.running == 0, agentFailure == nil {
      // Translations that nobody waits for any more are ended.
      do throws(MIFFailure) {
        try post()
      } catch {
        session.end()
      }
    } else {
      queue = Queue()
      session.end()
    }
    // What has ended is told as often as it is asked for.
    _ = try? timer.arm(at: 1)
    return progress
  }

  // MARK: Asking

  private mutating func ask(_ request: MIFRequest, _ purpose: Purpose) { queue.append((request, purpose)) }

  private var hasSnapshotQueued: Bool { queue.contains { $0.1?.isSnapshot ?? false } }

  /// Posts what waits, as much as the socket takes.
  private mutating func post() throws(MIFFailure) {
    while let request = race.nextRequest() { queue.append((request, Purpose(request))) }
    while let (request, purpose) = queue.first {
      do throws(MIFFailure) {
        let sequence = try session.post(request)
        if let purpose { outstanding.append(Outstanding(sequence: sequence, purpose: purpose)) }
        _ = queue.popFirst()
      } catch {
        guard error == .wouldBlock else { throw error }
        break
      }
    }
    let isFull = !queue.isEmpty
    guard isFull != awaitsRoom else { return }
    awaitsRoom = isFull
    do throws(Errno) {
      try poller.modify(session.descriptor, token: Token.session, isFull ? [.read, .write] : .read)
    } catch {
      throw .system(error)
    }
  }

  // MARK: Hearing

  private mutating func hear(_ message: MIFMessage) {
    let now = Clock.bootTime()
    let place = outstanding.firstIndex { session.isAnswer(message, to: $0.sequence) }
    switch message.content {
    case .announcement(let announcement): hear(announcement, at: now)
    case .snapshotEnd:
      guard let place else { return }
      end(outstanding.remove(at: place).purpose, at: now)
    case .configurationData(let pvd, _, let items):
      if let place { outstanding.remove(at: place) }
      learn(items, pvd: pvd, at: now)
    case .noConfigurationData:
      if let place { outstanding.remove(at: place) }
    case .nameTranslation(let transaction, let found):
      guard order.family == nil || order.family == found.address.family else { return }
      race.found(found.address, scope: found.scope, transaction, at: now)
      if found.address.family == .v4 { for place in known.indices { askForTranslators(place, at: now) } }
    case .nameTranslationEnded(let transaction, let failure):
      if let place { outstanding.remove(at: place) }
      race.translationEnded(transaction, failure, at: now)
    case .connected(let transaction):
      if let place { outstanding.remove(at: place) }
      // A token that did not arrive is as good as none: this process may have no descriptor left.
      guard let came = session.takeSocket() else {
        return race.failed(transaction, Failure(error: UInt16(EMFILE), from: .local), at: now)
      }
      if race.connected(transaction, at: now) { socket = consume came }
    case .notConnected(let transaction, let failure):
      if let place { outstanding.remove(at: place) }
      race.failed(transaction, failure, at: now)
    case .answer:
      guard let place, message.header.error != .none else { return }
      refuse(outstanding.remove(at: place).purpose, message.header.error, at: now)
    case .overrun: startOver()
    case .statistics, .other: return
    }
  }

  private mutating func hear(_ announcement: MIFAnnouncement, at now: UInt64) {
    switch announcement {
    case .interface(let interface):
      guard order.interface == 0 || order.interface == interface.identifier,
        !interfaces.contains(interface.identifier), interfaces.count < HostConnection.maximumInterfaces
      else { return }
      interfaces.append(interface.identifier)
      ask(.announcePvDs(interface: interface.identifier), .domains(interface: interface.identifier))
    case .noInterface(let interface):
      interfaces.removeAll { $0 == interface.identifier }
    case .pvd(let interface, let pvd): meet(pvd, on: interface.identifier, at: now)
    case .noPvD(_, let pvd): forget(pvd.identifier, at: now)
    case .address(let pvd, let address): update(pvd, at: now) { $0.put(address) }
    case .noAddress(let pvd, let address): update(pvd, at: now) { $0.remove(address) }
    case .element, .noElement, .interfaceGoingAway, .interfaceGoingUp: return
    }
  }

  private mutating func learn(_ items: [ConfigurationItem], pvd: UInt32, at now: UInt64) {
    guard let place = known.firstIndex(where: { $0.identifier == pvd }) else { return }
    for item in items {
      if case .router(_, let preference) = item.value {
        known[place].preference = Int16(preference)
        race.prefer(Int16(preference), pvd: pvd, at: now)
      }
      if item.identifier == .pref64, case .prefix(let prefix, _) = item.value {
        known[place].translators.append(prefix)
      }
    }
    if !known[place].translators.isEmpty { race.setTranslators(known[place].translators, pvd: pvd, at: now) }
  }

  private mutating func meet(_ pvd: PvDDescription, on interface: UInt32, at now: UInt64) {
    guard order.pvd == 0 || order.pvd == pvd.identifier else { return }
    let domain = HappyEyeballs.Domain(pvd, interface: interface)
    if let place = known.firstIndex(where: { $0.identifier == pvd.identifier }) {
      let isToBeAsked = !known[place].isCurrent
      known[place].isCurrent = true
      known[place].domain = domain
      race.add(domain, at: now)
      if isToBeAsked { ask(.announceAddresses(pvd: pvd.identifier), .addresses(pvd: pvd.identifier)) }
      return
    }
    guard known.count < HappyEyeballs.maximumDomains else { return }
    known.append(Known(domain: domain))
    // Before the translation: when its answers come, everything else about the domain is known.
    ask(.announceAddresses(pvd: pvd.identifier), .addresses(pvd: pvd.identifier))
    ask(
      .getConfigurationData(pvd: pvd.identifier, ElementReference(.routerAdvertisement, identifier: .defaultRouter)),
      .preference)
    race.add(domain, at: now)
  }

  private mutating func forget(_ pvd: UInt32, at now: UInt64) {
    known.removeAll { $0.identifier == pvd }
    race.remove(pvd: pvd, at: now)
  }

  private mutating func update(_ pvd: UInt32, at now: UInt64, _ body: (inout Known) -> Void) {
    guard let place = known.firstIndex(where: { $0.identifier == pvd }) else { return }
    body(&known[place])
    tellSources(place, at: now)
  }

  private mutating func tellSources(_ place: Int, at now: UInt64) {
    guard known[place].isWhole else { return }
    var sources: [SourceCandidate] = []
    for address in known[place].addresses {
      guard order.family == nil || order.family == address.address.family else { continue }
      if let source = SourceCandidate(address) { sources.append(source) }
    }
    race.setSources(sources, pvd: known[place].identifier, at: now)
    askForTranslators(place, at: now)
  }

  /// Once, where IPv4 addresses were found that nothing but a NAT64 leads to.
  private mutating func askForTranslators(_ place: Int, at now: UInt64) {
    let pvd = known[place].identifier
    guard !known[place].hasAskedForTranslators, order.family == nil, race.needsTranslators(pvd: pvd) else { return }
    known[place].hasAskedForTranslators = true
    ask(.getConfigurationData(pvd: pvd, ElementReference(.routerAdvertisement, identifier: .pref64)), .translators)
    // Not lost before the answer is there.
    race.setInStep(false, at: now)
  }

  private mutating func end(_ purpose: Purpose, at now: UInt64) {
    switch purpose {
    case .addresses(let pvd): update(pvd, at: now) { $0.isWhole = true }
    case .interfaces, .domains:
      // What an OVERRUN may have hidden: whoever was not told again is gone.
      guard !outstanding.contains(where: { $0.purpose.tellsDomains }),
        !queue.contains({ $0.1?.tellsDomains ?? false })
      else { return }
      for gone in known.filter({ !$0.isCurrent }) { forget(gone.identifier, at: now) }
    case .preference, .translators, .translation, .attempt: return
    }
  }

  private mutating func refuse(_ purpose: Purpose, _ error: ErrorNumber, at now: UInt64) {
    let failure = Failure(error: UInt16(error.rawValue), from: .local)
    switch purpose {
    case .translation(let transaction): race.translationEnded(transaction, failure, at: now)
    case .attempt(let transaction): race.failed(transaction, failure, at: now)
    // Gone since it was told, and that it is gone is on its way; ENOSPC and the like leave it without addresses.
    case .addresses(let pvd): update(pvd, at: now) { $0.isWhole = true }
    case .interfaces: race.abandon(UInt16(error.rawValue))
    case .domains, .preference, .translators: return
    }
  }

  /// OVERRUN: every subscription has ended, and what was announced may be out of date. Translations and attempts go on.
  private mutating func startOver() {
    outstanding.removeAll { $0.purpose.isSnapshot }
    queue.removeAll { $0.1?.isSnapshot ?? false }
    interfaces.removeAll()
    for place in known.indices {
      known[place].isCurrent = false
      known[place].addresses.removeAll()
      known[place].isWhole = false
    }
    ask(.announceInterfaces, .interfaces)
  }
}

extension HappyEyeballs {
  fileprivate init(_ target: Target, _ order: HostConnection.Order, after transaction: UInt32, at now: UInt64) {
    let deadline = order.timeout.map { now.addingReportingOverflow($0) }.map { $0.overflow ? .max : $0.partialValue }
    self.init(
      target, port: order.port, transport: order.transport, order.settings, deadline: deadline ?? .max,
      after: transaction, at: now)
  }
}

extension HostConnection.Purpose {
  /// What a request of the race is for; nil where its answer says nothing.
  fileprivate init?(_ request: MIFRequest) {
    switch request {
    case .translateName(_, let transaction, _): self = .translation(transaction)
    case .connect(_, let transaction, _, _): self = .attempt(transaction)
    default: return nil
    }
  }
}

extension HostConnection.Known {
  fileprivate mutating func put(_ address: AnnouncedAddress) {
    remove(address)
    if addresses.count < HappyEyeballs.maximumSources { addresses.append(address) }
  }
  fileprivate mutating func remove(_ address: AnnouncedAddress) {
    addresses.removeAll { $0.address == address.address }
  }
}

extension HappyEyeballs.Target {
  /// An address as text, or else a name. nil: neither, as it is empty, too long or has a zero byte.
  package init?(_ host: [UInt8]) {
    guard !host.isEmpty, host.count <= NodeName.maximumLength, !host.contains(0) else { return nil }
    if let address = IPAddress(parsing: host) {
      self = .address(address, scope: 0)
      return
    }
    if let percent = host.firstIndex(of: UInt8(ascii: "%")), let address = IPv6Address(parsing: Array(host[..<percent]))
    {
      guard let scope = HappyEyeballs.Target.interface(host[(percent + 1)...]) else { return nil }
      self = .address(.v6(address), scope: scope)
      return
    }
    self = .name(host)
  }

  /// The interface that a scope names (RFC 4007 11.2): its index, or its name.
  private static func interface(_ text: ArraySlice<UInt8>) -> UInt32? {
    var index: UInt32 = 0
    var isNumber = !text.isEmpty && text.count < 10
    for byte in text where isNumber {
      guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else {
        isNumber = false
        break
      }
      index = index * 10 + UInt32(byte - UInt8(ascii: "0"))
    }
    if !isNumber { index = interfaceIndex(of: text) }
    return index == 0 ? nil : index
  }
}

extension MIFFailure {
  package var errno: Errno {
    switch self {
    case .disconnected(let error): Errno(rawValue: Int32(error.rawValue))
    case .wouldBlock: .wouldBlock
    case .nameTooLong: .nameTooLong
    case .system(let error): error
    }
  }
}
