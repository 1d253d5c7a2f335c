import Messages

/// A connection to the agent's MIF API for single questions. Its calls wait; it belongs to one task or thread at a
/// time. `NetworkMonitor` follows what changes.
public final class MIFConnection {
  private var channel: Channel
  /// How long an answer may take.
  public var timeout: Duration = .seconds(5)

  /// Connects to `mif.sock` in the agent's runtime directory.
  public init(runtimeDirectory: String = defaultRuntimeDirectory) throws(ClientError) {
    channel = try Channel(path: runtimeDirectory + "/mif.sock")
  }

  /// All interfaces, by index.
  public func interfaces() throws(ClientError) -> [Interface] {
    var result: [Interface] = []
    try snapshot(.announceInterfaces, named: "ANNOUNCE_INTERFACES", end: .stopAnnouncingInterfaces) {
      if case .interface(let interface) = $0 { result.append(Interface(interface)) }
    }
    return result.sorted { $0.index < $1.index }
  }

  /// The provisioning domains of an interface. Refused with ENOENT where there is no such interface (any more).
  public func domains(on interface: Interface) throws(ClientError) -> [ProvisioningDomain] {
    var result: [ProvisioningDomain] = []
    try snapshot(
      .announcePvDs(interface: interface.index), named: "ANNOUNCE_PVDS",
      end: .stopAnnouncingPvDs(interface: interface.index)
    ) {
      if case .pvd(let interface, let pvd) = $0 {
        result.append(ProvisioningDomain(pvd, on: interface.identifier))
      }
    }
    return result.sorted { $0.identifier < $1.identifier }
  }

  /// The elements of a provisioning domain. Refused with ENOENT where there is none such (any more).
  public func elements(of domain: ProvisioningDomain) throws(ClientError) -> [ConfigurationElement] {
    var result: [ConfigurationElement] = []
    try snapshot(
      .announceElements(pvd: domain.identifier), named: "ANNOUNCE_CONFIG_ELEMENTS",
      end: .stopAnnouncingElements(pvd: domain.identifier)
    ) {
      if case .element(_, let element) = $0 { result.append(ConfigurationElement(element)) }
    }
    return result.sorted { $0.rawValue < $1.rawValue }
  }

  /// The addresses of a provisioning domain. Refused with ENOENT where there is none such (any more).
  public func addresses(of domain: ProvisioningDomain) throws(ClientError) -> [DomainAddress] {
    var result: [DomainAddress] = []
    try snapshot(
      .announceAddresses(pvd: domain.identifier), named: "ANNOUNCE_ADDRESSES",
      end: .stopAnnouncingAddresses(pvd: domain.identifier)
    ) {
      if case .address(_, let address) = $0 { result.append(DomainAddress(address)) }
    }
    return result
  }

  /// What an element configures: all of it, or one key. Empty where there is nothing of the kind.
  public func configuration(
    of domain: ProvisioningDomain, from element: ConfigurationElement, key: ConfigurationKey? = nil
  ) throws(ClientError) -> [Configuration] {
    let name = "GET_CONFIG_DATA"
    let deadline = ContinuousClock.now + timeout
    let sequence = try send(.getConfigurationData(pvd: domain.identifier, ElementReference(element, key)))
    while let message = try answer(sequence, named: name, deadline: deadline) {
      switch message.content {
      case .configurationData(_, _, let items): return items.map { Configuration($0, scope: domain.interface) }
      case .noConfigurationData: return []
      default: continue
      }
    }
    throw .timedOut(path: channel.path)
  }

  /// Has everybody told that an interface is going away, and takes it down after a grace time, rounded up to
  /// milliseconds; nil: as long as the agent's configuration says. Returns at once; a second call can only shorten the
  /// time. Refused with EPERM unless this user is root or one that the agent's configuration allows it.
  public func takeDown(_ interface: Interface, after grace: Duration? = nil) throws(ClientError) {
    let deadline = ContinuousClock.now + timeout
    let sequence = try send(.takeInterfaceDown(interface: interface.index, grace: grace?.wholeMilliseconds))
    guard try answer(sequence, named: "TAKE_INTERFACE_DOWN", deadline: deadline) != nil else {
      throw .timedOut(path: channel.path)
    }
  }

  /// Every counter of the agent, sorted by name.
  public func statistics() throws(ClientError) -> [Statistic] {
    var result: [Statistic] = []
    let deadline = ContinuousClock.now + timeout
    let sequence = try send(.getStatistics)
    while let message = try answer(sequence, named: "GET_STATISTICS", deadline: deadline) {
      switch message.content {
      case .statistics(let counters):
        for counter in counters { result.append(Statistic(counter)) }
      case .snapshotEnd: return result.sorted { $0.name < $1.name }
      default: continue
      }
    }
    throw .timedOut(path: channel.path)
  }

  /// Asks for what exists, hands it to `item`, and ends the subscription that came with it.
  private func snapshot(
    _ request: MIFRequest, named name: String, end: MIFRequest, _ item: (MIFAnnouncement) -> Void
  ) throws(ClientError) {
    let deadline = ContinuousClock.now + timeout
    let sequence = try send(request)
    var isThrough = false
    while !isThrough {
      guard let message = try answer(sequence, named: name, deadline: deadline) else {
        throw .timedOut(path: channel.path)
      }
      switch message.content {
      case .announcement(let announcement) where message.isSnapshot: item(announcement)
      case .snapshotEnd: isThrough = true
      default: continue
      }
    }
    let last = try send(end)
    guard try answer(last, named: name, deadline: deadline) != nil else { throw .timedOut(path: channel.path) }
  }

  private func send(_ request: MIFRequest) throws(ClientError) -> UInt32 {
    try channel.send { writer, sequence, pid throws(MessageOverflow) in
      try writer.request(request, sequence: sequence, pid: pid)
    }
  }

  /// The next message that answers this request; news and what answers an older request are passed over.
  private func answer(
    _ sequence: UInt32, named name: String, deadline: ContinuousClock.Instant
  ) throws(ClientError) -> MIFMessage? {
    while true {
      let message = try channel.receive(deadline: deadline) { bytes throws(MessageRefusal) in try MIFMessage(bytes) }
      guard let message else { return nil }
      guard message.header.sequence == sequence, message.header.pid == channel.pid else { continue }
      guard message.header.error == .none else {
        throw .refused(request: name, Refusal(message.header.error))
      }
      return message
    }
  }
}
