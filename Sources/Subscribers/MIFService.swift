import Connecting
import Messages
import Platform
import Provisioning
import Wire

/// The MIF API's socket (draft-ietf-mif-api-extension-05, section 3.2.7).
extension Subscribers {
  func serveMIF(
    _ bytes: RawSpan, from subscriber: Subscriber, _ state: borrowing NetworkState, _ moment: Moment,
    _ poller: borrowing Poller, statistics: (_ body: (StaticString, UInt64) -> Void) -> Void
  ) {
    count(.mifRequests)
    let header = FrameHeader(asMuchAsThereIs: bytes)
    let request: MIFRequest
    do throws(MessageRefusal) {
      request = try MIFRequest(bytes)
    } catch {
      count(error)
      return fail(subscriber, header, error.errorNumber)
    }
    let mark = MIFMark.snapshot(of: header)
    switch request {
    case .announceInterfaces:
      subscriber.wantsInterfaces = true
      for link in state.links { announce(.interface(InterfaceDescription(link)), mark, to: subscriber) }
      end(header, subscriber)
    case .stopAnnouncingInterfaces:
      subscriber.wantsInterfaces = false
      acknowledge(header, subscriber)

    case .announcePvDs(let interface):
      guard let link = state.link(interface), let domains = state.domains(of: interface) else {
        return fail(subscriber, header, .noSuchEntry)
      }
      subscriber.domainsOf.insert(interface)
      for domain in domains {
        announce(.pvd(interface: InterfaceDescription(link), PvDDescription(domain)), mark, to: subscriber)
      }
      end(header, subscriber)
    case .stopAnnouncingPvDs(let interface):
      subscriber.domainsOf.removeAll { $0 == interface }
      acknowledge(header, subscriber)

    case .announceElements(let pvd):
      guard let domain = domain(pvd, subscriber, state) else { return fail(subscriber, header, .noSuchEntry) }
      subscriber.elementsOf.insert(domain.id)
      for type in domain.elementTypes { announce(.element(pvd: domain.id, type), mark, to: subscriber) }
      end(header, subscriber)
    case .stopAnnouncingElements(let pvd):
      let pvd = subscriber.meaning(pvd)
      subscriber.elementsOf.removeAll { $0 == pvd }
      acknowledge(header, subscriber)

    case .announceAddresses(let pvd):
      guard let domain = domain(pvd, subscriber, state) else { return fail(subscriber, header, .noSuchEntry) }
      subscriber.addressesOf.insert(domain.id)
      for address in domain.addresses {
        announce(
          .address(pvd: domain.id, AnnouncedAddress(address.remaining(at: moment.instant))), mark, to: subscriber)
      }
      end(header, subscriber)
    case .stopAnnouncingAddresses(let pvd):
      let pvd = subscriber.meaning(pvd)
      subscriber.addressesOf.removeAll { $0 == pvd }
      acknowledge(header, subscriber)

    case .getConfigurationData(let pvd, let reference):
      answerConfigurationData(pvd, reference, header, subscriber, state, moment)

    case .translateName(let pvd, let transaction, let name):
      guard let domain = domain(pvd, subscriber, state) else { return fail(subscriber, header, .noSuchEntry) }
      translate(transaction, name, in: domain, header, subscriber, state, moment, poller)
    case .stopTranslatingName(let transaction):
      stopTranslating(transaction, subscriber)
      acknowledge(header, subscriber)
    case .connectToPvD(let pvd):
      guard pvd == 0 || state.domain(pvd) != nil else { return fail(subscriber, header, .noSuchEntry) }
      subscriber.selectedDomain = pvd
      acknowledge(header, subscriber)
    case .connect(let pvd, let transaction, let destination, let source):
      guard let domain = domain(pvd, subscriber, state) else { return fail(subscriber, header, .noSuchEntry) }
      connect(transaction, to: destination, from: source, in: domain, header, subscriber, state, moment, poller)
    case .wantsToConnect, .connectionIdle, .connectionCanBeBroken, .takeInterfaceDown:
      manageConnectivity(request, header, subscriber, state, at: moment.instant.nanoseconds)

    case .getStatistics:
      answerStatistics(header, subscriber, state, statistics: statistics)
    }
  }

  /// The PvD that a request names; 0 is the one that this subscriber selected (3.2.7.21).
  func domain(_ pvd: UInt32, _ subscriber: Subscriber, _ state: borrowing NetworkState) -> ProvisioningDomain? {
    state.domain(subscriber.meaning(pvd))
  }

  private func announce(_ announcement: MIFAnnouncement, _ mark: MIFMark, to subscriber: Subscriber) {
    write(to: subscriber, isNews: false) { writer throws(MessageOverflow) in
      try writer.announcement(announcement, mark)
    }
  }

  private func end(_ request: FrameHeader, _ subscriber: Subscriber) {
    answer(request, to: subscriber) { writer throws(MessageOverflow) in try writer.snapshotEnd(of: request) }
  }

  func acknowledge(_ request: FrameHeader, _ subscriber: Subscriber) {
    answer(request, to: subscriber) { writer throws(MessageOverflow) in try writer.answer(to: request) }
  }

  private func answerConfigurationData(
    _ pvd: UInt32, _ reference: ElementReference, _ request: FrameHeader, _ subscriber: Subscriber,
    _ state: borrowing NetworkState, _ moment: Moment
  ) {
    guard let domain = domain(pvd, subscriber, state) else { return fail(subscriber, request, .noSuchEntry) }
    let pvd = domain.id
    var items: [ConfigurationItem] = []
    if let element = ElementType(rawValue: reference.type) {
      state.forEachItem(reference.identifier, of: element, in: domain, at: moment.instant) { items.append($0) }
    }
    answer(request, to: subscriber) { writer throws(MessageOverflow) in
      if items.isEmpty {
        try writer.noConfigurationData(to: request, pvd: pvd, reference)
        return
      }
      try writer.beginConfigurationData(to: request, pvd: pvd, reference)
      for item in items { try writer.data(item, interface: domain.interface) }
      writer.finish()
    }
  }

  /// Every counter of every part, in messages of at most 64 each.
  private func answerStatistics(
    _ request: FrameHeader, _ subscriber: Subscriber, _ state: borrowing NetworkState,
    statistics: (_ body: (StaticString, UInt64) -> Void) -> Void
  ) {
    var counters: [(StaticString, UInt64)] = []
    state.forEachCounter { counters.append(($0, $1)) }
    forEachCounter { counters.append(($0, $1)) }
    statistics { counters.append(($0, $1)) }
    var rest = counters[...]
    while !rest.isEmpty {
      let part = rest.prefix(64)
      rest = rest.dropFirst(64)
      answer(request, to: subscriber) { writer throws(MessageOverflow) in
        try writer.beginStatistics(to: request)
        for (name, value) in part { try writer.counter(name, value) }
        writer.finish()
      }
    }
    end(request, subscriber)
  }

  // MARK: News

  /// Tells one announcement to those who asked for it. What goes ends the subscriptions to it.
  func tell(_ announcement: Announcement, _ state: borrowing NetworkState, _ moment: Moment) {
    switch announcement {
    case .interface(let link):
      tell(.interface(InterfaceDescription(link))) { $0.wantsInterfaces }
    case .interfaceGoingUp(let link):
      tell(.interfaceGoingUp(InterfaceDescription(link))) { $0.wantsInterfaces }
    case .interfaceGone(let link):
      tell(.noInterface(InterfaceDescription(link))) { $0.wantsInterfaces }
      for subscriber in mif { subscriber.domainsOf.removeAll { $0 == link.index } }
    case .pvd(let domain):
      tell(.pvd(interface: describe(domain.interface, state), PvDDescription(domain))) {
        $0.domainsOf.contains(domain.interface)
      }
    case .pvdGone(let domain):
      // Nothing about a PvD comes after this.
      abandon(domain.id)
      tell(.noPvD(interface: describe(domain.interface, state), PvDDescription(domain))) {
        $0.domainsOf.contains(domain.interface)
      }
      for subscriber in mif {
        subscriber.elementsOf.removeAll { $0 == domain.id }
        subscriber.addressesOf.removeAll { $0 == domain.id }
        if subscriber.selectedDomain == domain.id { subscriber.selectedDomain = 0 }
      }
    case .element(let pvd, let type):
      tell(.element(pvd: pvd, type)) { $0.elementsOf.contains(pvd) }
    case .elementGone(let pvd, let type):
      tell(.noElement(pvd: pvd, type)) { $0.elementsOf.contains(pvd) }
    case .address(let pvd, let address):
      tell(.address(pvd: pvd, AnnouncedAddress(address))) { $0.addressesOf.contains(pvd) }
    case .addressGone(let pvd, let prefix):
      // Two routers may advertise one prefix: the address is the other PvD's still.
      if let interface = state.domain(pvd)?.interface,
        state.domains(of: interface)?.contains(where: { $0.holds(prefix.address) }) == false
      {
        connector.withdraw(prefix.address, interface: interface)
        deliverConnections()
      }
      let gone = AnnouncedAddress(
        prefix.address, prefixLength: prefix.length, preferredLifetime: 0, validLifetime: 0)
      tell(.noAddress(pvd: pvd, gone)) { $0.addressesOf.contains(pvd) }
    case .trigger: break
    }
  }

  /// The interface as it is, or as it was where this event took it away.
  private func describe(_ interface: UInt32, _ state: borrowing NetworkState) -> InterfaceDescription {
    if let link = state.link(interface) { return InterfaceDescription(link) }
    for announcement in state.announcements {
      if case .interfaceGone(let link) = announcement, link.index == interface { return InterfaceDescription(link) }
    }
    return InterfaceDescription(identifier: interface)
  }

  func tell(_ announcement: MIFAnnouncement, to isInterested: (Subscriber) -> Bool) {
    for subscriber in mif where subscriber.hears && !subscriber.isOverrun && isInterested(subscriber) {
      let mark = MIFMark.news(sequence: subscriber.nextSequence())
      write(to: subscriber, isNews: true) { writer throws(MessageOverflow) in
        try writer.announcement(announcement, mark)
      }
    }
  }

  /// A subscriber that fell behind is told so once, in place of all the news that it has not got yet, and asks again:
  /// what it would miss could be the opposite of what it knows.
  func overrun(_ subscriber: Subscriber) {
    for _ in 0..<subscriber.queue.dropNews() { count(.newsDropped) }
    subscriber.isOverrun = false
    subscriber.unsubscribe()
    count(.overruns)
    let sequence = subscriber.nextSequence()
    write(to: subscriber, isNews: false) { writer throws(MessageOverflow) in
      try writer.overrun(sequence: sequence)
    }
  }
}

extension [UInt32] {
  fileprivate mutating func insert(_ element: UInt32) {
    if !contains(element) { append(element) }
  }
}

extension InterfaceDescription {
  init(_ link: Link) {
    var flags: InterfaceFlags = []
    if link.isUp { flags.insert(.up) }
    if link.hasCarrier { flags.insert(.carrier) }
    if link.isLoopback { flags.insert(.loopback) }
    if link.isPointToPoint { flags.insert(.pointToPoint) }
    self.init(identifier: link.index, name: link.name, flags: flags)
  }
}

extension ProvisioningDomain {
  fileprivate func holds(_ address: IPAddress) -> Bool { addresses.contains { $0.address.prefix.address == address } }
}

extension PvDDescription {
  fileprivate init(_ domain: ProvisioningDomain) {
    self.init(identifier: domain.id, isExplicit: domain.isExplicit, name: domain.name)
  }
}

extension AnnouncedAddress {
  fileprivate init(_ address: InterfaceAddress) {
    self.init(
      address.prefix.address, prefixLength: address.prefix.length,
      flags: AddressFlags(rawValue: UInt32(address.flags.rawValue)), preferredLifetime: address.preferredLifetime,
      validLifetime: address.validLifetime)
  }
}
