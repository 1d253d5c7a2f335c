/// How a message of the agent is marked on the MIF API's socket: news with a number of their own, or an item that a
/// request asked for, with the request's seq and pid.
package struct MIFMark: Hashable, Sendable {
  package var flags: MIFFlags
  package var sequence: UInt32
  package var pid: UInt32

  /// News, numbered per socket from 1 without gaps.
  package static func news(sequence: UInt32, pid: UInt32 = 0) -> MIFMark {
    MIFMark(flags: [], sequence: sequence, pid: pid)
  }
  /// An item of the snapshot that an ANNOUNCE_* asked for.
  package static func snapshot(of request: FrameHeader) -> MIFMark {
    MIFMark(flags: .snapshot, sequence: request.sequence, pid: request.pid)
  }
}

/// An announcement, or its opposite. The same message with a new value says that something of it changed.
package enum MIFAnnouncement: Hashable, Sendable {
  case interface(InterfaceDescription)
  case noInterface(InterfaceDescription)
  case pvd(interface: InterfaceDescription, PvDDescription)
  case noPvD(interface: InterfaceDescription, PvDDescription)
  case element(pvd: UInt32, ElementType)
  case noElement(pvd: UInt32, ElementType)
  case address(pvd: UInt32, AnnouncedAddress)
  case noAddress(pvd: UInt32, AnnouncedAddress)
  case interfaceGoingAway(InterfaceDescription)
  case interfaceGoingUp(InterfaceDescription)

  package var type: MIFMessageType {
    switch self {
    case .interface: .interfaceAnnouncement
    case .noInterface: .noInterfaceAnnouncement
    case .pvd: .pvdAnnouncement
    case .noPvD: .noPvDAnnouncement
    case .element: .configurationElementAnnouncement
    case .noElement: .noConfigurationElementAnnouncement
    case .address: .addressAnnouncement
    case .noAddress: .noAddressAnnouncement
    case .interfaceGoingAway: .interfaceGoingAway
    case .interfaceGoingUp: .interfaceGoingUp
    }
  }
}

extension MessageWriter {
  /// A whole announcement.
  @discardableResult
  package mutating func announcement(
    _ announcement: MIFAnnouncement, _ mark: MIFMark
  ) throws(MessageOverflow) -> Int {
    try begin(
      type: announcement.type.rawValue, flags: mark.flags.rawValue, sequence: mark.sequence, pid: mark.pid)
    switch announcement {
    case .interface(let interface), .noInterface(let interface), .interfaceGoingAway(let interface),
      .interfaceGoingUp(let interface):
      try self.interface(interface)
    case .pvd(let interface, let pvd), .noPvD(let interface, let pvd):
      try self.interface(interface)
      try self.pvd(pvd)
    case .element(let pvd, let element), .noElement(let pvd, let element):
      try self.pvd(pvd)
      try self.element(ElementReference(element))
    case .address(let pvd, let address), .noAddress(let pvd, let address):
      try self.pvd(pvd)
      try announcedAddress(address)
    }
    return finish()
  }

  /// The end of the snapshot that `request` asked for, and of STATISTICS.
  @discardableResult
  package mutating func snapshotEnd(of request: FrameHeader) throws(MessageOverflow) -> Int {
    try header(type: MIFMessageType.snapshotEnd.rawValue, sequence: request.sequence, pid: request.pid)
  }

  /// News were lost and every subscription of this socket has ended. `sequence` is the next number of its news.
  @discardableResult
  package mutating func overrun(sequence: UInt32) throws(MessageOverflow) -> Int {
    try header(type: MIFMessageType.overrun.rawValue, sequence: sequence, pid: 0)
  }

  /// NAME_TRANSLATION: one address that the name stands for; lifetimes are the record's TTL.
  @discardableResult
  package mutating func nameTranslation(
    to request: FrameHeader, _ transaction: Transaction, _ address: AnnouncedAddress
  ) throws(MessageOverflow) -> Int {
    try begin(type: MIFMessageType.nameTranslation.rawValue, sequence: request.sequence, pid: request.pid)
    try self.transaction(transaction)
    try announcedAddress(address)
    return finish()
  }

  /// NAME_TRANSLATION_ENDED and NOT_CONNECTED: the last message of a translation or a connection.
  @discardableResult
  package mutating func ended(
    _ type: MIFMessageType, to request: FrameHeader, _ transaction: Transaction, _ failure: Failure
  ) throws(MessageOverflow) -> Int {
    try begin(type: type.rawValue, sequence: request.sequence, pid: request.pid)
    try self.transaction(transaction)
    try self.failure(failure)
    return finish()
  }

  /// CONNECTED, beside which the socket goes by SCM_RIGHTS.
  @discardableResult
  package mutating func connected(
    to request: FrameHeader, _ transaction: Transaction
  ) throws(MessageOverflow) -> Int {
    try begin(type: MIFMessageType.connected.rawValue, sequence: request.sequence, pid: request.pid)
    try self.transaction(transaction)
    return finish()
  }

  /// Begins CONFIG_DATA; `data` adds each item, `finish` ends it.
  package mutating func beginConfigurationData(
    to request: FrameHeader, pvd: UInt32, _ element: ElementReference
  ) throws(MessageOverflow) {
    try begin(type: MIFMessageType.configurationData.rawValue, sequence: request.sequence, pid: request.pid)
    try self.pvd(pvd)
    try self.element(element)
  }

  /// The answer to GET_CONFIG_DATA where there is nothing of what was asked for.
  @discardableResult
  package mutating func noConfigurationData(
    to request: FrameHeader, pvd: UInt32, _ element: ElementReference
  ) throws(MessageOverflow) -> Int {
    try begin(type: MIFMessageType.noConfigurationData.rawValue, sequence: request.sequence, pid: request.pid)
    try self.pvd(pvd)
    try self.element(element)
    return finish()
  }

  /// Begins STATISTICS; `counter` adds each counter, `finish` ends it. As many as it takes, then `snapshotEnd`.
  package mutating func beginStatistics(to request: FrameHeader) throws(MessageOverflow) {
    try begin(type: MIFMessageType.statistics.rawValue, sequence: request.sequence, pid: request.pid)
  }
}

/// What the agent sends on the MIF API's socket, as a client reads it.
package struct MIFMessage: Hashable, Sendable {
  package enum Content: Hashable, Sendable {
    case announcement(MIFAnnouncement)
    case configurationData(pvd: UInt32, ElementReference, [ConfigurationItem])
    case noConfigurationData(pvd: UInt32, ElementReference)
    case statistics([Counter])
    case snapshotEnd
    case overrun
    /// One of the addresses that a name stands for.
    case nameTranslation(Transaction, AnnouncedAddress)
    /// The last message of a translation; its failure's `from` is `nothing` where nothing failed.
    case nameTranslationEnded(Transaction, Failure)
    /// The connected socket came beside it (SCM_RIGHTS).
    case connected(Transaction)
    case notConnected(Transaction, Failure)
    /// The answer to a request without items of its own, and every error: `header.type` and `header.error` tell.
    case answer
    /// A message of a type that this client does not know, or does not use.
    case other
  }

  package var header: FrameHeader
  package var content: Content

  package var isSnapshot: Bool { MIFFlags(rawValue: header.flags).contains(.snapshot) }

  /// Decodes a whole datagram; payloads that are not known are skipped.
  package init(_ bytes: RawSpan) throws(MessageRefusal) {
    let frame = try Frame(bytes, accepts: { _ in true })
    header = frame.header
    guard let type = MIFMessageType(rawValue: header.type), header.error == .none else {
      content = header.error == .none ? .other : .answer
      return
    }
    let payloads = try MIFMessagePayloads(frame)
    switch type {
    case .interfaceAnnouncement: content = .announcement(.interface(try payloads.needInterface()))
    case .noInterfaceAnnouncement: content = .announcement(.noInterface(try payloads.needInterface()))
    case .pvdAnnouncement:
      content = .announcement(.pvd(interface: try payloads.needInterface(), try payloads.needPvD()))
    case .noPvDAnnouncement:
      content = .announcement(.noPvD(interface: try payloads.needInterface(), try payloads.needPvD()))
    case .configurationElementAnnouncement:
      content = .announcement(.element(pvd: try payloads.needPvD().identifier, try payloads.needElementType()))
    case .noConfigurationElementAnnouncement:
      content = .announcement(.noElement(pvd: try payloads.needPvD().identifier, try payloads.needElementType()))
    case .addressAnnouncement:
      content = .announcement(.address(pvd: try payloads.needPvD().identifier, try payloads.needAddress()))
    case .noAddressAnnouncement:
      content = .announcement(.noAddress(pvd: try payloads.needPvD().identifier, try payloads.needAddress()))
    case .configurationData:
      content = .configurationData(
        pvd: try payloads.needPvD().identifier, try payloads.needElement(), payloads.items)
    case .noConfigurationData:
      content = .noConfigurationData(pvd: try payloads.needPvD().identifier, try payloads.needElement())
    case .statistics: content = .statistics(payloads.counters)
    case .snapshotEnd: content = .snapshotEnd
    case .overrun: content = .overrun
    case .announceInterfaces, .stopAnnouncingInterfaces, .announcePvDs, .stopAnnouncingPvDs,
      .announceConfigurationElements, .stopAnnouncingConfigurationElements, .announceAddresses,
      .stopAnnouncingAddresses, .getConfigurationData, .getStatistics, .stopTranslatingName, .connectToPvD,
      .wantsToConnect, .connectionIdle, .connectionCanBeBroken, .takeInterfaceDown:
      content = .answer
    case .interfaceGoingAway: content = .announcement(.interfaceGoingAway(try payloads.needInterface()))
    case .interfaceGoingUp: content = .announcement(.interfaceGoingUp(try payloads.needInterface()))
    case .nameTranslation:
      content = .nameTranslation(try payloads.needTransaction(), try payloads.needAddress())
    case .nameTranslationEnded:
      content = .nameTranslationEnded(try payloads.needTransaction(), try payloads.needFailure())
    case .connected: content = .connected(try payloads.needTransaction())
    case .notConnected: content = .notConnected(try payloads.needTransaction(), try payloads.needFailure())
    case .translateName, .connectToAddress, .connectToAddressFromAddress, .explain, .explanation:
      content = .other
    }
  }
}

/// The payloads that messages of the agent are made of.
private struct MIFMessagePayloads {
  var interface: InterfaceDescription?
  var pvd: PvDDescription?
  var element: ElementReference?
  var address: AnnouncedAddress?
  var transaction: Transaction?
  var failure: Failure?
  var items: [ConfigurationItem] = []
  var counters: [Counter] = []

  init(_ frame: Frame) throws(MessageRefusal) {
    var payloads = frame.payloads
    while let payload = try payloads.next() {
      switch payload.type {
      case MIFPayloadType.interface:
        guard interface == nil else { throw .payloadRepeated }
        interface = try InterfaceDescription(payload)
      case MIFPayloadType.pvd:
        guard pvd == nil else { throw .payloadRepeated }
        pvd = try PvDDescription(payload)
      case MIFPayloadType.element:
        guard element == nil else { throw .payloadRepeated }
        element = try ElementReference(payload)
      case MIFPayloadType.address:
        guard address == nil else { throw .payloadRepeated }
        address = try AnnouncedAddress(payload)
      case MIFPayloadType.transaction:
        guard transaction == nil else { throw .payloadRepeated }
        transaction = try Transaction(payload)
      case MIFPayloadType.failure:
        guard failure == nil else { throw .payloadRepeated }
        failure = try Failure(payload)
      case MIFPayloadType.data:
        if let item = try ConfigurationItem(payload) { items.append(item) }
      case MIFPayloadType.counter: counters.append(try Counter(payload))
      default: continue
      }
    }
  }

  func needInterface() throws(MessageRefusal) -> InterfaceDescription {
    guard let interface else { throw .payloadMissing }
    return interface
  }
  func needPvD() throws(MessageRefusal) -> PvDDescription {
    guard let pvd else { throw .payloadMissing }
    return pvd
  }
  func needElement() throws(MessageRefusal) -> ElementReference {
    guard let element else { throw .payloadMissing }
    return element
  }
  func needElementType() throws(MessageRefusal) -> ElementType {
    guard let type = ElementType(rawValue: try needElement().type) else { throw .payloadMalformed }
    return type
  }
  func needTransaction() throws(MessageRefusal) -> Transaction {
    guard let transaction else { throw .payloadMissing }
    return transaction
  }
  func needFailure() throws(MessageRefusal) -> Failure {
    guard let failure else { throw .payloadMissing }
    return failure
  }
  func needAddress() throws(MessageRefusal) -> AnnouncedAddress {
    guard let address else { throw .payloadMissing }
    return address
  }
}
