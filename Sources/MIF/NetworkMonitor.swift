import Messages

/// What happened to the host's network.
public enum NetworkEvent: Hashable, Sendable {
  public enum Change: String, Hashable, Sendable {
    /// It was there before it was asked for.
    case exists
    /// It came, or was found in something that came.
    case new
    case changed
    case gone
    /// An interface that is about to be taken down.
    case goingAway = "going away"
    /// An interface that was set up and has no carrier yet.
    case goingUp = "going up"
  }

  case interface(Change, Interface)
  case domain(Change, ProvisioningDomain, Interface)
  /// `changed`: something that the element configures is new, changed or gone.
  case element(Change, ConfigurationElement, ProvisioningDomain, Interface)
  case address(Change, DomainAddress, ProvisioningDomain, Interface)
  /// Everything that exists has been told.
  case complete
  /// So many news were lost, because this client did not read fast enough. Forget what was told: everything that
  /// exists comes again, then `complete`.
  case lost(UInt32)
}

/// Follows all interfaces, provisioning domains, their elements and addresses. Its calls wait; it belongs to one task
/// or thread at a time.
///
///     let monitor = try NetworkMonitor()
///     while let event = try monitor.next() { ... }
public final class NetworkMonitor {
  /// Requests on their way at a time. The agent stops reading from a client that doesn't read its answers: with few
  /// on their way, sending never waits for that.
  private static let window = 8

  private var channel: Channel
  private var view = NetworkView()
  private var requests: [MIFRequest]
  private var onTheirWay = 0
  private var pending: [NetworkEvent] = []

  /// Connects to `mif.sock` in the agent's runtime directory and asks for everything.
  public init(runtimeDirectory: String = defaultRuntimeDirectory) throws(ClientError) {
    channel = try Channel(path: runtimeDirectory + "/mif.sock")
    requests = view.start()
    try sendRequests()
  }

  /// For poll(2): readable when `next` may have something. Call `next(timeout: .zero)` until it gives nil.
  public var fileDescriptor: Int32 { channel.socket.fileDescriptor }

  /// The next event; nil where none came in `timeout`. Without one it waits for ever.
  public func next(timeout: Duration? = nil) throws(ClientError) -> NetworkEvent? {
    let deadline = timeout.map { ContinuousClock.now + $0 }
    while pending.isEmpty {
      let message = try channel.receive(deadline: deadline) { bytes throws(MessageRefusal) in try MIFMessage(bytes) }
      guard let message else { return nil }
      switch message.content {
      case .snapshotEnd, .answer: onTheirWay -= 1
      default: break
      }
      let (events, more) = view.take(message)
      pending += events
      requests += more
      try sendRequests()
    }
    return pending.removeFirst()
  }

  private func sendRequests() throws(ClientError) {
    while onTheirWay < NetworkMonitor.window, !requests.isEmpty {
      let request = requests.removeFirst()
      _ = try channel.send { writer, sequence, pid throws(MessageOverflow) in
        try writer.request(request, sequence: sequence, pid: pid)
      }
      onTheirWay += 1
    }
  }
}
