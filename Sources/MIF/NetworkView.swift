import Messages

/// What the network of this host looks like to a subscriber of everything: takes the agent's messages, gives events
/// and the requests that keep the subscriptions complete. It knows no socket.
struct NetworkView {
  private(set) var interfaces: [UInt32: Interface] = [:]
  /// Those of them that came as news: what is found on them is new as well.
  private var newInterfaces: Set<UInt32> = []
  private(set) var domains: [UInt32: Domain] = [:]
  /// ANNOUNCE_* that were asked and not yet answered to the end.
  private var unanswered = 0
  private var isComplete = false
  private var expectedNews: UInt32 = 1

  struct Domain {
    var domain: ProvisioningDomain
    /// It came as news, or on an interface that did: what is found in it is new as well.
    var isNew: Bool
    var elements: Set<ConfigurationElement> = []
    /// By address, however its lifetimes and state change.
    var addresses: [IPPrefix: DomainAddress] = [:]
  }

  /// The first request.
  mutating func start() -> [MIFRequest] {
    unanswered += 1
    return [.announceInterfaces]
  }

  mutating func take(_ message: MIFMessage) -> (events: [NetworkEvent], requests: [MIFRequest]) {
    var events: [NetworkEvent] = []
    var requests: [MIFRequest] = []
    switch message.content {
    case .announcement(let announcement):
      if !message.isSnapshot, let lost = lost(before: message.header) {
        events.append(.lost(lost))
        requests += startOver()
      }
      take(announcement, isSnapshot: message.isSnapshot, &events, &requests)
    case .overrun:
      events.append(.lost(lost(before: message.header) ?? 0))
      requests += startOver()
    case .snapshotEnd: unanswered -= 1
    // ENOENT: what it asked about went away meanwhile, and its NO_* has come or comes.
    case .answer where MIFMessageType(rawValue: message.header.type)?.asksForItems == true: unanswered -= 1
    case .answer, .configurationData, .noConfigurationData, .statistics, .nameTranslation, .nameTranslationEnded,
      .connected, .notConnected, .other:
      break
    }
    unanswered += requests.count
    if unanswered == 0, !isComplete {
      isComplete = true
      events.append(.complete)
    }
    return (events, requests)
  }

  /// How many news are missing before this one.
  private mutating func lost(before header: FrameHeader) -> UInt32? {
    let lost = header.sequence &- expectedNews
    expectedNews = header.sequence &+ 1
    return lost == 0 ? nil : lost
  }

  private mutating func startOver() -> [MIFRequest] {
    interfaces = [:]
    newInterfaces = []
    domains = [:]
    isComplete = false
    return [.announceInterfaces]
  }

  private mutating func take(
    _ announcement: MIFAnnouncement, isSnapshot: Bool, _ events: inout [NetworkEvent],
    _ requests: inout [MIFRequest]
  ) {
    /// nil: nothing that was not known already.
    func change<T: Equatable>(_ old: T?, _ new: T, in isNew: Bool) -> NetworkEvent.Change? {
      guard let old else { return isSnapshot && !isNew ? .exists : .new }
      return isSnapshot && old == new ? nil : .changed
    }
    switch announcement {
    case .interface(let description):
      let interface = Interface(description)
      let old = interfaces.updateValue(interface, forKey: interface.index)
      if let change = change(old, interface, in: false) { events.append(.interface(change, interface)) }
      if old == nil {
        if !isSnapshot { newInterfaces.insert(interface.index) }
        requests.append(.announcePvDs(interface: interface.index))
      }
    case .noInterface(let description):
      guard let interface = interfaces.removeValue(forKey: description.identifier) else { return }
      newInterfaces.remove(interface.index)
      domains = domains.filter { $0.value.domain.interface != interface.index }
      events.append(.interface(.gone, interface))
    case .interfaceGoingAway(let description):
      if let interface = interfaces[description.identifier] { events.append(.interface(.goingAway, interface)) }
    case .interfaceGoingUp(let description):
      if let interface = interfaces[description.identifier] { events.append(.interface(.goingUp, interface)) }
    case .pvd(let description, let pvd):
      guard let interface = interfaces[description.identifier] else { return }
      let domain = ProvisioningDomain(pvd, on: interface.index)
      let old = domains[domain.identifier]?.domain
      let isNew = !isSnapshot || newInterfaces.contains(interface.index)
      domains[domain.identifier, default: Domain(domain: domain, isNew: isNew)].domain = domain
      if let change = change(old, domain, in: isNew) { events.append(.domain(change, domain, interface)) }
      if old == nil {
        requests.append(.announceElements(pvd: domain.identifier))
        requests.append(.announceAddresses(pvd: domain.identifier))
      }
    case .noPvD(_, let pvd):
      guard let old = domains.removeValue(forKey: pvd.identifier)?.domain, let interface = interfaces[old.interface]
      else { return }
      events.append(.domain(.gone, old, interface))
    case .element(let identifier, let type):
      guard let parent = domains[identifier], let interface = interfaces[parent.domain.interface] else { return }
      let element = ConfigurationElement(type)
      let old = domains[identifier]!.elements.update(with: element)
      if let change = change(old, element, in: parent.isNew) {
        events.append(.element(change, element, parent.domain, interface))
      }
    case .noElement(let identifier, let type):
      guard let domain = domains[identifier]?.domain, let interface = interfaces[domain.interface],
        let element = domains[identifier]!.elements.remove(ConfigurationElement(type))
      else { return }
      events.append(.element(.gone, element, domain, interface))
    case .address(let identifier, let announced):
      guard let parent = domains[identifier], let interface = interfaces[parent.domain.interface] else { return }
      let address = DomainAddress(announced)
      let old = domains[identifier]!.addresses.updateValue(address, forKey: address.prefix)
      if let change = change(old, address, in: parent.isNew) {
        events.append(.address(change, address, parent.domain, interface))
      }
    case .noAddress(let identifier, let announced):
      guard let domain = domains[identifier]?.domain, let interface = interfaces[domain.interface],
        let address = domains[identifier]!.addresses.removeValue(forKey: DomainAddress(announced).prefix)
      else { return }
      events.append(.address(.gone, address, domain, interface))
    }
  }
}

extension MIFMessageType {
  /// Whether its answer ends with SNAPSHOT_END, or with an error.
  fileprivate var asksForItems: Bool {
    switch self {
    case .announceInterfaces, .announcePvDs, .announceConfigurationElements, .announceAddresses: true
    default: false
    }
  }
}
