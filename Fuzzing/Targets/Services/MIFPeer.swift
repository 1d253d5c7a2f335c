import CFuzzer
import Fuzzing
import Messages
import Platform
import Provisioning
import Wire

/// A client of the MIF API and what it may rely on: what exists is announced once more by whatever asks for it and ends
/// with SNAPSHOT_END, and docs/protocol.md's rules of order hold for all news.
final class MIFPeer: Peer {
  struct Element: Hashable {
    var pvd: UInt32
    var type: ElementType
  }
  struct Address: Hashable {
    var pvd: UInt32
    var address: IPAddress
    var length: UInt8
  }

  private let world: World
  /// Whether it may manage connectivity.
  private let isManager: Bool
  private var expectations = Expectations<MIFRequest>()
  private var transactions: MIFTransactions
  /// Every request's seq is its own, so that results tell which one they are of; with the time when it was sent.
  private var lastSequence: UInt32 = 0x0100_0000
  private var sent: [UInt32: Int] = [:]
  /// What CONNECT_TO_PVD selected.
  private var selected: UInt32 = 0

  /// What it was told exists.
  private(set) var interfaces: Set<UInt32> = []
  /// And on which interface.
  private(set) var pvds: [UInt32: UInt32] = [:]
  private(set) var elements: Set<Element> = []
  private(set) var addresses: Set<Address> = []

  /// What it is told of.
  private(set) var wantsInterfaces = false
  /// Only of interfaces that it would hear the end of.
  private(set) var pvdsOf: Set<UInt32> = []
  private(set) var elementsOf: Set<UInt32> = []
  private(set) var addressesOf: Set<UInt32> = []

  init(_ connection: consuming Connection, _ world: World, isManager: Bool, transactions: Int) {
    self.world = world
    self.isManager = isManager
    self.transactions = MIFTransactions(limit: transactions)
    super.init(connection)
  }

  /// Translations and connections that it waits for, where every other request was answered.
  var underWay: Int { transactions.open.count + expectations.count }

  override var isWaiting: Bool { !expectations.isEmpty || !transactions.open.isEmpty }

  override func request(_ bytes: [UInt8]) {
    var bytes = bytes
    if bytes.count >= 12 {
      lastSequence += 1
      bytes.replaceSubrange(8..<12, with: number(lastSequence))
      sent[lastSequence] = world.history.now
    }
    if send(bytes) {
      expectations.append(bytes) { b throws(MessageRefusal) in try MIFRequest(b) }
    }
  }

  override func take(_ bytes: RawSpan, _ header: FrameHeader) {
    let message = need(
      [UInt8](copying: bytes).read { b throws(MessageRefusal) in try MIFMessage(b) }, "a message that can't be read")
    if header.error == .none {
      switch message.content {
      case .overrun: return overrun(header)
      case .announcement(let announcement) where !message.isSnapshot:
        countNews(header)
        check(header.pid == 0, "pid \(header.pid) of \(announcement)")
        return news(announcement)
      default: break
      }
    }
    accept(before: header)
    if header.error == .none, result(message.content, header) { return }
    let asked = expectations.front(header)
    guard let request = asked.request else { return expectations.removeFirst() }
    if header.error != .none {
      check(header.type == asked.header.type, "error of type \(header.type) to \(request)")
      check(allows(header.error, for: request, header), "errno \(header.error.rawValue) for \(request)")
      return expectations.removeFirst()
    }
    check(!request.managesConnectivity || isManager, "\(request) was not refused with EPERM")
    if answer(message, to: request, header, asked.header) { expectations.removeFirst() }
  }

  // MARK: Transactions

  /// Requests that begin transactions have no answer: an answer to a later one says that they were accepted.
  private func accept(before header: FrameHeader) {
    if transactions.open[header.sequence] != nil { return }
    while let asked = expectations.next, asked.header.sequence != header.sequence, let request = asked.request,
      MIFTransactions.begun(by: request) != nil
    {
      accept(request, asked.header)
    }
  }

  private func accept(_ request: MIFRequest, _ asked: FrameHeader) {
    let pvd = meaning(request.pvd)
    check(world.history.wasThere(pvd, since: sent[asked.sequence] ?? 0), "\(request) was not refused with ENOENT")
    transactions.accept(asked.sequence, request, pvd: pvd)
    expectations.removeFirst()
  }

  /// False for what is no transaction's.
  private func result(_ content: MIFMessage.Content, _ header: FrameHeader) -> Bool {
    switch content {
    case .nameTranslation, .nameTranslationEnded, .connected, .notConnected: break
    default: return false
    }
    if let asked = expectations.next, asked.header.sequence == header.sequence, let request = asked.request {
      accept(request, asked.header)
    }
    switch content {
    case .nameTranslation(let transaction, let address):
      transactions.found(header.sequence, transaction.identifier, address.address)
    case .nameTranslationEnded(let transaction, let failure):
      let ended = transactions.end(header.sequence, .translation, transaction.identifier)
      failure.checkTranslation(ended.request, found: ended.addresses.count)
    case .connected(let transaction):
      connected(transactions.end(header.sequence, .connection, transaction.identifier))
    case .notConnected(let transaction, let failure):
      let ended = transactions.end(header.sequence, .connection, transaction.identifier)
      check(failure.error != 0 && failure.from != .nothing, "\(failure) for \(ended.request)")
    default: break
    }
    return true
  }

  /// What a program may rely on of the socket that it is handed.
  private func connected(_ transaction: MIFTransactions.Transaction) {
    let passed = takePassed()
    guard case .connect(_, _, let destination, let source) = transaction.request, passed.count == 1 else {
      return check(false, "CONNECTED with \(passed.count) sockets for \(transaction.request)")
    }
    let socket = passed[0]
    defer { withExtendedLifetime(socket) {} }
    let interface = fuzzing_interface(socket.descriptor.number)
    check(
      UInt32(interface) == world.history.interface(of: transaction.pvd),
      "\(transaction.request): bound to interface \(interface)")
    check(fuzzing_is_blocking(socket.descriptor.number) != 0, "\(transaction.request): a socket that does not block")
    for (isPeer, end) in [(true, destination), (false, source)] {
      guard let end = end?.socketAddress, let (address, port) = self.end(of: socket.descriptor, isPeer: isPeer) else {
        continue
      }
      check(
        address == end.address && (port == end.port || end.port == 0), "\(transaction.request): \(address) \(port)")
    }
  }

  /// nil where the other end is gone.
  private func end(of socket: borrowing Descriptor, isPeer: Bool) -> (IPAddress, UInt16)? {
    var bytes = [UInt8](repeating: 0, count: 16)
    let port = unsafe fuzzing_end(socket.number, isPeer ? 1 : 0, &bytes)
    if port < 0 { return nil }
    let halves = [bytes[..<8], bytes[8...]].map { $0.reduce(UInt64(0)) { $0 << 8 | UInt64($1) } }
    let address = IPv6Address(halves[0], halves[1])
    return (address.mapped.map { .v4($0) } ?? .v6(address), UInt16(port))
  }

  /// The PvD that an identifier in a request means.
  private func meaning(_ pvd: UInt32) -> UInt32 { pvd == 0 ? selected : pvd }

  /// Whether an error is right for a request that is right in itself.
  private func allows(_ error: ErrorNumber, for request: MIFRequest, _ header: FrameHeader) -> Bool {
    if request.managesConnectivity, error == .notPermitted || !isManager { return error == .notPermitted && !isManager }
    switch (error, request) {
    // Which interfaces there were is not kept.
    case (.noSuchEntry, .announcePvDs), (.noSuchEntry, .takeInterfaceDown): return true
    case (.noSuchEntry, .announceElements), (.noSuchEntry, .announceAddresses), (.noSuchEntry, .getConfigurationData),
      (.noSuchEntry, .translateName), (.noSuchEntry, .connect):
      return world.history.wasMissing(meaning(request.pvd), since: sent[header.sequence] ?? 0)
    case (.noSuchEntry, .connectToPvD(let pvd)), (.noSuchEntry, .connectionIdle(let pvd)),
      (.noSuchEntry, .connectionCanBeBroken(let pvd)):
      return pvd != 0 && world.history.wasMissing(pvd, since: sent[header.sequence] ?? 0)
    case (.exists, _):
      return MIFTransactions.begun(by: request).map { transactions.uses($0.kind, $0.identifier) } ?? false
    // What doesn't fit a message.
    case (.messageSize, .getConfigurationData): return true
    case (.noSpace, _):
      return MIFTransactions.begun(by: request) != nil && transactions.open.count == transactions.limit
    default: return false
    }
  }

  // MARK: Answers

  /// True if this was the last of it.
  private func answer(
    _ message: MIFMessage, to request: MIFRequest, _ header: FrameHeader, _ asked: FrameHeader
  ) -> Bool {
    switch (message.content, request) {
    case (.announcement(let announcement), _):
      check(announcement.isItem(of: request, meaning), "\(announcement) for \(request)")
      know(announcement)
      return false
    case (.snapshotEnd, _):
      subscribe(request)
      return true
    case (.statistics, .getStatistics): return false
    case (.configurationData(let pvd, let element, let items), .getConfigurationData(let asked, let reference)):
      check(pvd == meaning(asked) && element == reference, "\(message) to \(request)")
      check(!items.isEmpty, "CONFIG_DATA without data")
      for item in items {
        let isMeant = element.identifier == .all || element.identifier == item.identifier
        check(isMeant, "\(item) for \(element)")
      }
      return true
    case (.noConfigurationData(let pvd, let element), .getConfigurationData(let asked, let reference)):
      check(pvd == meaning(asked) && element == reference, "\(message) to \(request)")
      return true
    case (.answer, _):
      check(request.isAnsweredByHeader, "\(header) to \(request)")
      check(header.type == asked.type && header.length == 2, "\(header) to \(request)")
      switch request {
      case .stopTranslatingName(let transaction): transactions.stop(transaction.identifier)
      case .connectToPvD(let pvd): selected = pvd
      default: unsubscribe(request)
      }
      return true
    default:
      check(false, "\(message) to \(request)")
      return true
    }
  }

  private func subscribe(_ request: MIFRequest) {
    switch request {
    case .announceInterfaces: wantsInterfaces = true
    case .announcePvDs(let interface): if wantsInterfaces { pvdsOf.insert(interface) }
    case .announceElements(let pvd): elementsOf.insert(meaning(pvd))
    case .announceAddresses(let pvd): addressesOf.insert(meaning(pvd))
    case .getStatistics: break
    default: check(false, "SNAPSHOT_END for \(request)")
    }
  }

  /// What it knows grows old from now on, so that it is forgotten.
  private func unsubscribe(_ request: MIFRequest) {
    switch request {
    case .stopAnnouncingInterfaces:
      wantsInterfaces = false
      interfaces = []
      pvdsOf = []
    case .stopAnnouncingPvDs(let interface):
      pvdsOf.remove(interface)
      pvds = pvds.filter { $0.value != interface }
    case .stopAnnouncingElements(let identifier):
      let pvd = meaning(identifier)
      elementsOf.remove(pvd)
      elements = elements.filter { $0.pvd != pvd }
    case .stopAnnouncingAddresses(let identifier):
      let pvd = meaning(identifier)
      addressesOf.remove(pvd)
      addresses = addresses.filter { $0.pvd != pvd }
    default: break
    }
  }

  private func overrun(_ header: FrameHeader) {
    countNews(header)
    check(header.pid == 0 && header.flags == 0, "OVERRUN as \(header)")
    (wantsInterfaces, pvdsOf, elementsOf, addressesOf) = (false, [], [], [])
    (interfaces, pvds, elements, addresses) = ([], [:], [], [])
    isMissing = false
  }

  /// News may be missing before an OVERRUN, and nowhere else.
  private var isMissing = false
  override func loseNews() { isMissing = true }

  // MARK: What it knows

  private func know(_ announcement: MIFAnnouncement) {
    switch announcement {
    case .interface(let interface): interfaces.insert(interface.identifier)
    case .pvd(let interface, let pvd): pvds[pvd.identifier] = interface.identifier
    case .element(let pvd, let type): elements.insert(Element(pvd: pvd, type: type))
    case .address(let pvd, let address): addresses.insert(Address(pvd, address))
    default: break
    }
  }

  private func news(_ announcement: MIFAnnouncement) {
    check(!isMissing, "news are missing, and no OVERRUN says so")
    know(announcement)
    switch announcement {
    case .interface, .pvd, .element, .address: break
    case .interfaceGoingAway(let interface), .interfaceGoingUp(let interface):
      check(interfaces.contains(interface.identifier), "not announced: \(announcement)")
    case .noInterface(let interface):
      check(interfaces.remove(interface.identifier) != nil, "gone before it was announced: \(announcement)")
      if pvdsOf.remove(interface.identifier) != nil {
        check(!pvds.values.contains(interface.identifier), "NO_INTERFACE before the NO_PVD of its PvDs")
      }
      pvds = pvds.filter { $0.value != interface.identifier }
    case .noPvD(_, let pvd):
      transactions.lose(pvd.identifier)
      check(pvds.removeValue(forKey: pvd.identifier) != nil, "gone before it was announced: \(announcement)")
      if elementsOf.remove(pvd.identifier) != nil {
        check(!elements.contains { $0.pvd == pvd.identifier }, "NO_PVD before NO_CONFIG_ELEMENT")
      }
      if addressesOf.remove(pvd.identifier) != nil {
        check(!addresses.contains { $0.pvd == pvd.identifier }, "NO_PVD before NO_ADDRESS")
      }
      elements = elements.filter { $0.pvd != pvd.identifier }
      addresses = addresses.filter { $0.pvd != pvd.identifier }
    case .noElement(let pvd, let type):
      check(elements.remove(Element(pvd: pvd, type: type)) != nil, "gone before it was announced: \(announcement)")
    case .noAddress(let pvd, let address):
      check(addresses.remove(Address(pvd, address)) != nil, "gone before it was announced: \(announcement)")
    }
  }

  /// What it knows of what it follows is what there is, once it has read everything.
  func checkKnowledge() {
    if wantsInterfaces {
      let links = Set(world.state.links.map { $0.index })
      check(interfaces == links, "knows interfaces \(interfaces) of \(links)")
    }
    // A subscription to what is gone ends by itself, of which only those hear who follow what it belonged to.
    for interface in pvdsOf {
      let domains = need(world.state.domains(of: interface), "follows interface \(interface), which is gone")
      let known = Set(pvds.filter { $0.value == interface }.keys)
      check(known == Set(domains.map { $0.id }), "knows PvDs \(known) of \(domains.map { $0.id })")
    }
    for pvd in elementsOf {
      let known = Set(elements.filter { $0.pvd == pvd }.map { $0.type })
      let there = Set(world.state.domain(pvd)?.elementTypes ?? [])
      check(known == there, "knows elements \(known) of \(there)")
    }
    for pvd in addressesOf {
      let known = Set(addresses.filter { $0.pvd == pvd }.map { IPPrefix($0.address, $0.length) })
      let there = Set(world.state.domain(pvd)?.addresses.map { $0.address.prefix } ?? [])
      check(known == there, "knows addresses \(known) of \(there)")
    }
  }
}

extension MIFPeer.Address {
  fileprivate init(_ pvd: UInt32, _ address: AnnouncedAddress) {
    self.init(pvd: pvd, address: address.address, length: address.prefixLength)
  }
}

extension MIFRequest {
  /// The PvD that it names, where 0 is the one that was selected.
  fileprivate var pvd: UInt32 {
    switch self {
    case .announceElements(let pvd), .announceAddresses(let pvd), .getConfigurationData(let pvd, _),
      .translateName(let pvd, _, _), .connect(let pvd, _, _, _):
      pvd
    default: 0
    }
  }

  fileprivate var managesConnectivity: Bool {
    switch self {
    case .wantsToConnect, .connectionIdle, .connectionCanBeBroken, .takeInterfaceDown: true
    default: false
    }
  }

  fileprivate var isAnsweredByHeader: Bool {
    switch self {
    case .stopAnnouncingInterfaces, .stopAnnouncingPvDs, .stopAnnouncingElements, .stopAnnouncingAddresses,
      .stopTranslatingName, .connectToPvD:
      true
    default: managesConnectivity
    }
  }
}

extension MIFAnnouncement {
  fileprivate func isItem(of request: MIFRequest, _ meaning: (UInt32) -> UInt32) -> Bool {
    switch (self, request) {
    case (.interface, .announceInterfaces): true
    case (.pvd(let interface, _), .announcePvDs(let asked)): interface.identifier == asked
    case (.element(let pvd, _), .announceElements(let asked)): pvd == meaning(asked)
    case (.address(let pvd, _), .announceAddresses(let asked)): pvd == meaning(asked)
    default: false
    }
  }
}
