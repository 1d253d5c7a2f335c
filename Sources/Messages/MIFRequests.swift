/// A request of the MIF API that this version serves, checked as docs/protocol.md has it. Others are refused with
/// `messageType`.
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
    default: throw .messageType
    }
  }

  private static func isServed(_ type: UInt8) -> Bool {
    switch MIFMessageType(rawValue: type) {
    case .announceInterfaces, .stopAnnouncingInterfaces, .announcePvDs, .stopAnnouncingPvDs,
      .announceConfigurationElements, .stopAnnouncingConfigurationElements, .announceAddresses,
      .stopAnnouncingAddresses, .getConfigurationData, .getStatistics:
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
      default: continue
      }
    }
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
    }
    return finish()
  }
}
