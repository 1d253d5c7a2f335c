/// A request of the MIF API that this version serves, checked as docs/protocol.md has it. Others are refused with
/// `messageType`. A PvD of 0 is the one that the subscriber selected by CONNECT_TO_PVD.
package enum MIFRequest: Hashable, Sendable {
  case announceInterfaces
  case stopAnnouncingInterfaces
  case announcePvDs(interface: UInt32)
  case stopAnnouncingPvDs(interface: UInt32)
  case announceElements(pvd: UInt32)
  case stopAnnouncingElements(pvd: UInt32)
  case announceAddresses(pvd: UInt32)
  case stopAnnouncingAddresses(pvd: UInt32)
  case getConfigurationData(pvd: UInt32, ElementReference)
  case getStatistics
  case translateName(pvd: UInt32, Transaction, NodeName)
  case stopTranslatingName(Transaction)
  case connectToPvD(UInt32)
  /// CONNECT_TO_ADDRESS, and with a source CONNECT_TO_ADDRESS_FROM_ADDRESS.
  case connect(pvd: UInt32, Transaction, to: Endpoint, from: Endpoint?)
  case wantsToConnect
  case connectionIdle(pvd: UInt32)
  case connectionCanBeBroken(pvd: UInt32)
  /// The grace time is in milliseconds; without one it is as the agent's configuration says.
  case takeInterfaceDown(interface: UInt32, grace: UInt32?)

  /// Decodes a whole datagram. Its answer's header comes from `FrameHeader(asMuchAsThereIs:)`, also after a refusal.
  package init(_ bytes: RawSpan) throws(MessageRefusal) {
    let frame = try Frame(bytes, accepts: { MIFRequest.isServed($0) })
    guard let type = MIFMessageType(rawValue: frame.header.type) else { throw .messageType }
    let payloads = try MIFRequestPayloads(frame)
    switch type {
    case .announceInterfaces: self = .announceInterfaces
    case .stopAnnouncingInterfaces: self = .stopAnnouncingInterfaces
    case .announcePvDs: self = .announcePvDs(interface: try payloads.needInterface())
    case .stopAnnouncingPvDs: self = .stopAnnouncingPvDs(interface: try payloads.needInterface())
    case .announceConfigurationElements: self = .announceElements(pvd: try payloads.needPvD())
    case .stopAnnouncingConfigurationElements: self = .stopAnnouncingElements(pvd: try payloads.needPvD())
    case .announceAddresses: self = .announceAddresses(pvd: try payloads.needPvD())
    case .stopAnnouncingAddresses: self = .stopAnnouncingAddresses(pvd: try payloads.needPvD())
    case .getConfigurationData:
      self = .getConfigurationData(pvd: try payloads.needPvD(), try payloads.needElement())
    case .getStatistics: self = .getStatistics
    case .translateName:
      self = .translateName(pvd: try payloads.needPvD(), try payloads.needTransaction(), try payloads.needName())
    case .stopTranslatingName: self = .stopTranslatingName(try payloads.needTransaction())
    case .connectToPvD: self = .connectToPvD(try payloads.needPvD())
    case .connectToAddress:
      self = .connect(
        pvd: try payloads.needPvD(), try payloads.needTransaction(), to: try payloads.needDestination(), from: nil)
    case .connectToAddressFromAddress:
      let destination = try payloads.needDestination()
      guard let source = payloads.source else { throw .payloadMissing }
      guard source.transport == destination.transport else { throw .payloadMalformed }
      self = .connect(pvd: try payloads.needPvD(), try payloads.needTransaction(), to: destination, from: source)
    case .wantsToConnect: self = .wantsToConnect
    case .connectionIdle: self = .connectionIdle(pvd: try payloads.needPvD())
    case .connectionCanBeBroken: self = .connectionCanBeBroken(pvd: try payloads.needPvD())
    case .takeInterfaceDown:
      self = .takeInterfaceDown(interface: try payloads.needInterface(), grace: payloads.time)
    default: throw .messageType
    }
  }

  private static func isServed(_ type: UInt8) -> Bool {
    switch MIFMessageType(rawValue: type) {
    case .announceInterfaces, .stopAnnouncingInterfaces, .announcePvDs, .stopAnnouncingPvDs,
      .announceConfigurationElements, .stopAnnouncingConfigurationElements, .announceAddresses,
      .stopAnnouncingAddresses, .getConfigurationData, .getStatistics, .translateName, .stopTranslatingName,
      .connectToPvD, .connectToAddress, .connectToAddressFromAddress, .wantsToConnect, .connectionIdle,
      .connectionCanBeBroken, .takeInterfaceDown:
      true
    default: false
    }
  }
}

/// The payloads that requests are made of, each at most once.
private struct MIFRequestPayloads {
  var interface: UInt32?
  var pvd: UInt32?
  var element: ElementReference?
  var transaction: Transaction?
  var name: NodeName?
  var destination: Endpoint?
  var source: Endpoint?
  var time: UInt32?

  init(_ frame: Frame) throws(MessageRefusal) {
    var payloads = frame.payloads
    while let payload = try payloads.next() {
      switch payload.type {
      case MIFPayloadType.interface:
        guard interface == nil else { throw .payloadRepeated }
        interface = try InterfaceDescription(payload).identifier
      case MIFPayloadType.pvd:
        guard pvd == nil else { throw .payloadRepeated }
        pvd = try PvDDescription.identifier(payload)
      case MIFPayloadType.element:
        guard element == nil else { throw .payloadRepeated }
        element = try ElementReference(payload)
      case MIFPayloadType.transaction:
        guard transaction == nil else { throw .payloadRepeated }
        transaction = try Transaction(payload)
      case MIFPayloadType.name:
        guard name == nil else { throw .payloadRepeated }
        name = try NodeName(payload)
      case MIFPayloadType.endpoint: try take(try Endpoint(payload))
      case MIFPayloadType.time:
        guard time == nil else { throw .payloadRepeated }
        time = try GraceTime(payload).milliseconds
      default: continue
      }
    }
  }

  private mutating func take(_ endpoint: Endpoint) throws(MessageRefusal) {
    switch endpoint.role {
    case .destination:
      guard destination == nil else { throw .payloadRepeated }
      destination = endpoint
    case .source:
      guard source == nil else { throw .payloadRepeated }
      source = endpoint
    }
  }

  func needTransaction() throws(MessageRefusal) -> Transaction {
    guard let transaction else { throw .payloadMissing }
    return transaction
  }
  func needName() throws(MessageRefusal) -> NodeName {
    guard let name else { throw .payloadMissing }
    guard !name.bytes.isEmpty else { throw .payloadMalformed }
    return name
  }
  func needDestination() throws(MessageRefusal) -> Endpoint {
    guard let destination else { throw .payloadMissing }
    return destination
  }
  func needInterface() throws(MessageRefusal) -> UInt32 {
    guard let interface else { throw .payloadMissing }
    return interface
  }
  func needPvD() throws(MessageRefusal) -> UInt32 {
    guard let pvd else { throw .payloadMissing }
    return pvd
  }
  func needElement() throws(MessageRefusal) -> ElementReference {
    guard let element else { throw .payloadMissing }
    return element
  }
}

extension MessageWriter {
  /// A request of a client.
  @discardableResult
  package mutating func request(
    _ request: MIFRequest, sequence: UInt32, pid: UInt32
  ) throws(MessageOverflow) -> Int {
    func type(_ type: MIFMessageType) -> UInt8 { type.rawValue }
    switch request {
    case .announceInterfaces: try begin(type: type(.announceInterfaces), sequence: sequence, pid: pid)
    case .stopAnnouncingInterfaces: try begin(type: type(.stopAnnouncingInterfaces), sequence: sequence, pid: pid)
    case .announcePvDs(let identifier):
      try begin(type: type(.announcePvDs), sequence: sequence, pid: pid)
      try interface(InterfaceDescription(identifier: identifier))
    case .stopAnnouncingPvDs(let identifier):
      try begin(type: type(.stopAnnouncingPvDs), sequence: sequence, pid: pid)
      try interface(InterfaceDescription(identifier: identifier))
    case .announceElements(let identifier):
      try begin(type: type(.announceConfigurationElements), sequence: sequence, pid: pid)
      try pvd(identifier)
    case .stopAnnouncingElements(let identifier):
      try begin(type: type(.stopAnnouncingConfigurationElements), sequence: sequence, pid: pid)
      try pvd(identifier)
    case .announceAddresses(let identifier):
      try begin(type: type(.announceAddresses), sequence: sequence, pid: pid)
      try pvd(identifier)
    case .stopAnnouncingAddresses(let identifier):
      try begin(type: type(.stopAnnouncingAddresses), sequence: sequence, pid: pid)
      try pvd(identifier)
    case .getConfigurationData(let identifier, let reference):
      try begin(type: type(.getConfigurationData), sequence: sequence, pid: pid)
      try pvd(identifier)
      try element(reference)
    case .getStatistics: try begin(type: type(.getStatistics), sequence: sequence, pid: pid)
    case .translateName(let identifier, let transaction, let name):
      try begin(type: type(.translateName), sequence: sequence, pid: pid)
      try pvd(identifier)
      try self.name(name)
      try self.transaction(transaction)
    case .stopTranslatingName(let transaction):
      try begin(type: type(.stopTranslatingName), sequence: sequence, pid: pid)
      try self.transaction(transaction)
    case .connectToPvD(let identifier):
      try begin(type: type(.connectToPvD), sequence: sequence, pid: pid)
      try pvd(identifier)
    case .connect(let identifier, let transaction, let destination, let source):
      let message = source == nil ? MIFMessageType.connectToAddress : .connectToAddressFromAddress
      try begin(type: type(message), sequence: sequence, pid: pid)
      try pvd(identifier)
      try self.transaction(transaction)
      try endpoint(destination)
      if let source { try endpoint(source) }
    case .wantsToConnect: try begin(type: type(.wantsToConnect), sequence: sequence, pid: pid)
    case .connectionIdle(let identifier):
      try begin(type: type(.connectionIdle), sequence: sequence, pid: pid)
      try pvd(identifier)
    case .connectionCanBeBroken(let identifier):
      try begin(type: type(.connectionCanBeBroken), sequence: sequence, pid: pid)
      try pvd(identifier)
    case .takeInterfaceDown(let identifier, let grace):
      try begin(type: type(.takeInterfaceDown), sequence: sequence, pid: pid)
      try interface(InterfaceDescription(identifier: identifier))
      if let grace { try time(GraceTime(milliseconds: grace)) }
    }
    return finish()
  }
}
