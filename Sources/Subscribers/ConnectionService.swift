import Connecting
import Messages
import Platform
import Provisioning
import Wire

/// CONNECT_TO_ADDRESS and its results (draft-ietf-mif-api-extension-05, section 3.2.7.22 to 25).
extension Subscribers {
  func connect(
    _ transaction: Transaction, to destination: Endpoint, from source: Endpoint?, in domain: ProvisioningDomain,
    _ request: FrameHeader, _ subscriber: Subscriber, _ state: borrowing NetworkState, _ moment: Moment,
    _ poller: borrowing Poller
  ) {
    guard subscriber.connections[transaction.identifier] == nil else { return fail(subscriber, request, .exists) }
    guard subscriber.openTransactions < settings.transactionsPerSubscriber else {
      return fail(subscriber, request, .noSpace)
    }
    let key = transactions.open(
      OpenTransaction(
        kind: .connection, subscriber: subscriber.token, request: request, transaction: transaction, pvd: domain.id,
        interface: domain.interface))
    subscriber.connections[transaction.identifier] = key
    for address in [destination.socketAddress, source?.socketAddress] {
      // A link-local address of another interface's.
      if let scope = address?.scope, scope != 0, scope != domain.interface {
        return end(connection: key, Failure(.invalid, from: .local))
      }
    }
    // A source that is not the PvD's own is refused here: it would lead through another network, or nowhere.
    let own = state.usableAddresses(of: domain, linkLocal: true)
    let chosen =
      source.map { $0.socketAddress.address } ?? state.source(for: destination.socketAddress.address, of: domain)
    if let source, source.socketAddress.address.family != destination.socketAddress.address.family {
      return end(connection: key, Failure(.addressFamilyNotSupported, from: .local))
    }
    guard let chosen, own.contains(chosen) else {
      return end(connection: key, Failure(.addressNotAvailable, from: .local))
    }
    connector.connect(
      ConnectOrder(
        key: key, transport: destination.transport == .tcp ? .tcp : .udp,
        destination: destination.socketAddress.address, port: destination.socketAddress.port, source: chosen,
        sourcePort: source?.socketAddress.port ?? 0, interface: domain.interface, timeout: settings.connectTimeout),
      at: moment.instant.nanoseconds, poller)
    deliverConnections()
  }

  /// Hands over what the connector has reached.
  func deliverConnections() {
    while let result = connector.nextResult() {
      switch result {
      case .connected(let key, let socket):
        guard let open = transactions[key], let subscriber = subscribers[open.subscriber] else { continue }
        if subscriber.queue.isFull {
          count(.resultsDropped)
          end(connection: key, Failure(.noBufferSpace, from: .local))
          continue
        }
        transactions.close(key)
        subscriber.connections[open.transaction.identifier] = nil
        connectivity.connected(subscriber.token, over: open.interface, at: Clock.bootTime())
        let handover = Handover(socket, refusal: refusal(of: open))
        write(to: subscriber, isNews: false, passing: handover) { writer throws(MessageOverflow) in
          try writer.connected(to: open.request, open.transaction)
        }
      case .failed(let key, let failure): end(connection: key, Failure(failure))
      }
    }
  }

  private func refusal(of open: OpenTransaction) -> [UInt8] {
    var memory = [UInt8](repeating: 0, count: 64)
    var span = memory.mutableSpan
    var writer = MessageWriter(unsafe span.mutableBytes)
    let failure = Failure(.tooManyReferences, from: .local)
    guard let length = try? writer.ended(.notConnected, to: open.request, open.transaction, failure) else { return [] }
    return Array(memory.prefix(length))
  }

  func end(connection key: UInt64, _ failure: Failure) {
    guard let open = transactions.close(key), let subscriber = subscribers[open.subscriber] else { return }
    subscriber.connections[open.transaction.identifier] = nil
    write(to: subscriber, isNews: false) { writer throws(MessageOverflow) in
      try writer.ended(.notConnected, to: open.request, open.transaction, failure)
    }
  }
}

extension Failure {
  fileprivate init(_ failure: ConnectFailure) {
    let from: From =
      switch failure.origin {
      case .local: .local
      case .peer: .peer
      case .icmp: .icmp
      case .icmpv6: .icmpv6
      case .timeOut: .timeOut
      }
    self.init(
      error: UInt16(truncatingIfNeeded: failure.errno.rawValue), from: from, icmpType: failure.icmpType,
      icmpCode: failure.icmpCode)
  }
}
