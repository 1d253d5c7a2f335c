import Messages
import Platform
import Provisioning
import Resolving
import Wire

/// TRANSLATE_NAME and its results (draft-ietf-mif-api-extension-05, section 3.2.7.18 to 20).
extension Subscribers {
  func translate(
    _ transaction: Transaction, _ name: NodeName, in domain: ProvisioningDomain, _ request: FrameHeader,
    _ subscriber: Subscriber, _ state: borrowing NetworkState, _ moment: Moment, _ poller: borrowing Poller
  ) {
    guard subscriber.translations[transaction.identifier] == nil else { return fail(subscriber, request, .exists) }
    guard subscriber.openTransactions < settings.transactionsPerSubscriber else {
      return fail(subscriber, request, .noSpace)
    }
    let key = transactions.open(
      OpenTransaction(
        kind: .translation, subscriber: subscriber.token, request: request, transaction: transaction, pvd: domain.id,
        interface: domain.interface))
    subscriber.translations[transaction.identifier] = key
    resolver.translate(
      name.bytes, resolverServers(of: domain, state, moment), key: key, at: moment.instant.nanoseconds, poller)
    deliverTranslations()
  }

  func stopTranslating(_ transaction: Transaction, _ subscriber: Subscriber) {
    guard let key = subscriber.translations.removeValue(forKey: transaction.identifier) else { return }
    resolver.cancel(key: key)
    transactions.close(key)
  }

  /// Hands over what the resolver has found. While a subscriber's queue is full its results wait as they are, which takes
  /// a quarter of the room; addresses past `mostWaiting` are dropped.
  func deliverTranslations() {
    while let result = resolver.nextResult() {
      guard let open = transactions[result.key], let subscriber = subscribers[open.subscriber] else { continue }
      guard subscriber.queue.isFull || !subscriber.waitingResults.isEmpty else {
        deliver(result, open, subscriber)
        continue
      }
      if case .address = result, subscriber.waitingResults.count >= Subscriber.mostWaiting {
        count(.resultsDropped)
        transactions.markIncomplete(result.key)
      } else {
        subscriber.waitingResults.append(result)
      }
    }
  }

  /// Hands over what waited for room.
  func deliverWaiting(_ subscriber: Subscriber) {
    while !subscriber.queue.isFull, let result = subscriber.waitingResults.popFirst() {
      if let open = transactions[result.key] { deliver(result, open, subscriber) }
    }
  }

  private func deliver(_ result: ResolverResult, _ open: OpenTransaction, _ subscriber: Subscriber) {
    switch result {
    case .address(_, let address, let ttl):
      let found = AnnouncedAddress(
        address, prefixLength: address.family.width, scope: address.isScoped ? open.interface : 0,
        preferredLifetime: ttl, validLifetime: ttl)
      write(to: subscriber, isNews: false) { writer throws(MessageOverflow) in
        try writer.nameTranslation(to: open.request, open.transaction, found)
      }
    case .ended(let key, let verdict): end(translation: key, Failure(verdict))
    }
  }

  func end(translation key: UInt64, _ verdict: Failure) {
    guard let open = transactions.close(key), let subscriber = subscribers[open.subscriber] else { return }
    subscriber.translations[open.transaction.identifier] = nil
    let failure = open.isIncomplete ? Failure(.noBufferSpace, from: .local) : verdict
    write(to: subscriber, isNews: false) { writer throws(MessageOverflow) in
      try writer.ended(.nameTranslationEnded, to: open.request, open.transaction, failure)
    }
  }

  /// The DNS servers that a PvD's configuration names, and no others (draft, 3.2.7.18).
  private func resolverServers(
    of domain: ProvisioningDomain, _ state: borrowing NetworkState, _ moment: Moment
  ) -> ResolverServers {
    var servers: [IPAddress] = []
    var searchList: [[UInt8]] = []
    for type in domain.elementTypes {
      state.forEachItem(.dnsServers, of: type, in: domain, at: moment.instant) { item in
        if case .address(let address) = item.value, !servers.contains(address) { servers.append(address) }
      }
      for identifier in [InformationIdentifier.searchList, .domainName] {
        state.forEachItem(identifier, of: type, in: domain, at: moment.instant) { item in
          if case .text(let name) = item.value, !searchList.contains(name) { searchList.append(name) }
        }
      }
    }
    return ResolverServers(
      interface: domain.interface, servers: servers,
      sources: state.usableAddresses(of: domain, linkLocal: true), searchList: searchList)
  }
}

extension ResolverResult {
  fileprivate var key: UInt64 {
    switch self {
    case .address(let key, _, _), .ended(let key, _): key
    }
  }
}

extension Failure {
  fileprivate init(_ verdict: ResolverVerdict) {
    switch verdict {
    case .complete: self.init(error: 0, from: .nothing)
    case .failed(let code, let errno):
      self.init(error: UInt16(truncatingIfNeeded: errno), from: .resolver, resolverStatus: UInt32(code))
    case .timedOut: self.init(.timedOut, from: .timeOut)
    case .refused(let errno): self.init(error: UInt16(truncatingIfNeeded: errno), from: .local)
    }
  }
}

extension IPAddress {
  /// Whether it means nothing without its interface: fe80::/10.
  fileprivate var isScoped: Bool { family == .v6 && isLinkLocal }
}
