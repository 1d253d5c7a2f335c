import Messages
import Platform
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

  private var expectations = Expectations<MIFRequest>()

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

  override var isWaiting: Bool { !expectations.isEmpty }

  override func request(_ bytes: [UInt8]) {
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
    let asked = expectations.front(header)
    guard let request = asked.request else { return expectations.removeFirst() }
    if header.error != .none {
      check(header.type == asked.header.type, "error of type \(header.type) to \(request)")
      check(header.error == .noSuchEntry && request.mayBeMissing, "errno \(header.error.rawValue) for \(request)")
      return expectations.removeFirst()
    }
    if answer(message, to: request, header, asked.header) { expectations.removeFirst() }
  }

  /// True if this was the last of it.
  private func answer(
    _ message: MIFMessage, to request: MIFRequest, _ header: FrameHeader, _ asked: FrameHeader
  ) -> Bool {
    switch (message.content, request) {
    case (.announcement(let announcement), _):
      check(announcement.isItem(of: request), "\(announcement) for \(request)")
      know(announcement)
      return false
    case (.snapshotEnd, _):
      subscribe(request)
      return true
    case (.statistics, .getStatistics): return false
    case (.configurationData(let pvd, let element, let items), .getConfigurationData(let asked, let reference)):
      check(pvd == asked && element == reference, "\(message) to \(request)")
      check(!items.isEmpty, "CONFIG_DATA without data")
      for item in items {
        let isMeant = element.identifier == .all || element.identifier == item.identifier
        check(isMeant, "\(item) for \(element)")
      }
      return true
    case (.noConfigurationData(let pvd, let element), .getConfigurationData(let asked, let reference)):
      check(pvd == asked && element == reference, "\(message) to \(request)")
      return true
    case (.answer, .stopAnnouncingInterfaces), (.answer, .stopAnnouncingPvDs), (.answer, .stopAnnouncingElements),
      (.answer, .stopAnnouncingAddresses):
      check(header.type == asked.type && header.length == 2, "\(header) to \(request)")
      unsubscribe(request)
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
    case .announceElements(let pvd): elementsOf.insert(pvd)
    case .announceAddresses(let pvd): addressesOf.insert(pvd)
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
    case .stopAnnouncingElements(let pvd):
      elementsOf.remove(pvd)
      elements = elements.filter { $0.pvd != pvd }
    case .stopAnnouncingAddresses(let pvd):
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
}

extension MIFPeer.Address {
  fileprivate init(_ pvd: UInt32, _ address: AnnouncedAddress) {
    self.init(pvd: pvd, address: address.address, length: address.prefixLength)
  }
}

extension MIFRequest {
  /// Whether ENOENT is an answer to it.
  fileprivate var mayBeMissing: Bool {
    switch self {
    case .announcePvDs, .announceElements, .announceAddresses, .getConfigurationData: true
    default: false
    }
  }
}

extension MIFAnnouncement {
  fileprivate func isItem(of request: MIFRequest) -> Bool {
    switch (self, request) {
    case (.interface, .announceInterfaces): true
    case (.pvd(let interface, _), .announcePvDs(let asked)): interface.identifier == asked
    case (.element(let pvd, _), .announceElements(let asked)): pvd == asked
    case (.address(let pvd, _), .announceAddresses(let asked)): pvd == asked
    default: false
    }
  }
}
