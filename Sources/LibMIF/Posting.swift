// swift-format-ignore-file: AlwaysUseLowerCamelCase

// The functions have the names that mif.h gives them.
public import CLinux
public import CMIF
import Messages
import Platform
import Sessions

/// POST MESSAGE (draft-ietf-mif-api-extension-05, 3.2.6.1): the general function, and one for each message.

private func post(
  _ session: OpaquePointer, _ sequence: UnsafeMutablePointer<UInt32>?, _ request: () throws(Errno) -> MIFRequest
) -> Int32 {
  valueOrMinusOne { () throws(Errno) in
    let request = try request()
    do throws(MIFFailure) {
      let number = try unsafe MIFHandle.at(session).pointee.session.post(request)
      unsafe sequence?.pointee = number
    } catch {
      throw error.errno
    }
    return 0
  }
}

extension Endpoint {
  fileprivate init(
    _ transport: Int32, _ role: Role, _ address: UnsafeRawPointer?, _ length: Int
  ) throws(Errno) {
    guard let address = unsafe address else { throw .invalidArgument }
    let found = try refusing { () throws(MessageRefusal) in
      try unsafe SocketAddress(RawSpan(lent: address, count: length), at: 0)
    }
    self.init(try Transport(number: transport), role, found)
  }

  fileprivate init(_ transport: UInt8, _ role: Role, _ address: sockaddr_storage) throws(Errno) {
    self = try unsafe withUnsafeBytes(of: address) { bytes throws(Errno) in
      try unsafe Endpoint(Int32(transport), role, bytes.baseAddress, bytes.count)
    }
  }
}

extension Endpoint.Transport {
  /// IPPROTO_...; 0 is TCP.
  init(number: Int32) throws(Errno) {
    guard let number = UInt8(exactly: number), let found = Endpoint.Transport(rawValue: number == 0 ? 6 : number)
    else { throw .invalidArgument }
    self = found
  }
}

extension NodeName {
  fileprivate init(_ name: UnsafePointer<CChar>?) throws(Errno) {
    guard let name = unsafe name, unsafe name.pointee != 0 else { throw .invalidArgument }
    self.init(unsafe Platform.bytes(ofCString: name))
  }
}

extension MIFRequest {
  fileprivate init(_ request: UnsafePointer<mif_request>) throws(Errno) {
    try unsafe checkSize(of: request, request.pointee.size)
    let given = unsafe request.pointee
    let transaction = unsafe Transaction(identifier: given.transaction)
    let pvd = unsafe given.pvd
    let interface = unsafe given.ifindex
    switch MIFMessageType(rawValue: unsafe given.msgtype) {
    case .announceInterfaces: self = .announceInterfaces
    case .stopAnnouncingInterfaces: self = .stopAnnouncingInterfaces
    case .announcePvDs: self = .announcePvDs(interface: interface)
    case .stopAnnouncingPvDs: self = .stopAnnouncingPvDs(interface: interface)
    case .announceConfigurationElements: self = .announceElements(pvd: pvd)
    case .stopAnnouncingConfigurationElements: self = .stopAnnouncingElements(pvd: pvd)
    case .announceAddresses: self = .announceAddresses(pvd: pvd)
    case .stopAnnouncingAddresses: self = .stopAnnouncingAddresses(pvd: pvd)
    case .getConfigurationData:
      self = unsafe .getConfigurationData(pvd: pvd, .init(element: given.element, given.information))
    case .translateName: self = .translateName(pvd: pvd, transaction, try unsafe NodeName(given.name))
    case .stopTranslatingName: self = .stopTranslatingName(transaction)
    case .connectToPvD: self = .connectToPvD(pvd)
    case .connectToAddress:
      self = .connect(
        pvd: pvd, transaction, to: try unsafe Endpoint(given.transport, .destination, given.destination), from: nil)
    case .connectToAddressFromAddress:
      self = .connect(
        pvd: pvd, transaction, to: try unsafe Endpoint(given.transport, .destination, given.destination),
        from: try unsafe Endpoint(given.transport, .source, given.source))
    case .wantsToConnect: self = .wantsToConnect
    case .connectionIdle: self = .connectionIdle(pvd: pvd)
    case .connectionCanBeBroken: self = .connectionCanBeBroken(pvd: pvd)
    case .getStatistics: self = .getStatistics
    case .takeInterfaceDown: self = unsafe .takeInterfaceDown(interface: interface, grace: given.milliseconds)
    default: throw Errno(rawValue: EOPNOTSUPP)
    }
  }
}

extension ElementReference {
  fileprivate init(element: UInt16, _ information: UInt32) {
    self.init(type: element, identifier: InformationIdentifier(rawValue: information))
  }
}

@c @implementation
public func mif_post(
  _ session: OpaquePointer!, _ request: UnsafePointer<mif_request>!, _ seq: UnsafeMutablePointer<UInt32>!
) -> Int32 {
  unsafe post(session, seq) { () throws(Errno) in try unsafe MIFRequest(request) }
}

@c @implementation
public func mif_announce_interfaces(_ session: OpaquePointer!, _ seq: UnsafeMutablePointer<UInt32>!) -> Int32 {
  unsafe post(session, seq) { () throws(Errno) in .announceInterfaces }
}

@c @implementation
public func mif_stop_announcing_interfaces(
  _ session: OpaquePointer!, _ seq: UnsafeMutablePointer<UInt32>!
) -> Int32 {
  unsafe post(session, seq) { () throws(Errno) in .stopAnnouncingInterfaces }
}

@c @implementation
public func mif_announce_pvds(
  _ session: OpaquePointer!, _ ifindex: UInt32, _ seq: UnsafeMutablePointer<UInt32>!
) -> Int32 {
  unsafe post(session, seq) { () throws(Errno) in .announcePvDs(interface: ifindex) }
}

@c @implementation
public func mif_stop_announcing_pvds(
  _ session: OpaquePointer!, _ ifindex: UInt32, _ seq: UnsafeMutablePointer<UInt32>!
) -> Int32 {
  unsafe post(session, seq) { () throws(Errno) in .stopAnnouncingPvDs(interface: ifindex) }
}

@c @implementation
public func mif_announce_config_elements(
  _ session: OpaquePointer!, _ pvd: UInt32, _ seq: UnsafeMutablePointer<UInt32>!
) -> Int32 {
  unsafe post(session, seq) { () throws(Errno) in .announceElements(pvd: pvd) }
}

@c @implementation
public func mif_stop_announcing_config_elements(
  _ session: OpaquePointer!, _ pvd: UInt32, _ seq: UnsafeMutablePointer<UInt32>!
) -> Int32 {
  unsafe post(session, seq) { () throws(Errno) in .stopAnnouncingElements(pvd: pvd) }
}

@c @implementation
public func mif_announce_addresses(
  _ session: OpaquePointer!, _ pvd: UInt32, _ seq: UnsafeMutablePointer<UInt32>!
) -> Int32 {
  unsafe post(session, seq) { () throws(Errno) in .announceAddresses(pvd: pvd) }
}

@c @implementation
public func mif_stop_announcing_addresses(
  _ session: OpaquePointer!, _ pvd: UInt32, _ seq: UnsafeMutablePointer<UInt32>!
) -> Int32 {
  unsafe post(session, seq) { () throws(Errno) in .stopAnnouncingAddresses(pvd: pvd) }
}

@c @implementation
public func mif_get_config_data(
  _ session: OpaquePointer!, _ pvd: UInt32, _ element: UInt16, _ information: UInt32,
  _ seq: UnsafeMutablePointer<UInt32>!
) -> Int32 {
  unsafe post(session, seq) { () throws(Errno) in
    .getConfigurationData(pvd: pvd, .init(element: element, information))
  }
}

@c @implementation
public func mif_translate_name(
  _ session: OpaquePointer!, _ pvd: UInt32, _ name: UnsafePointer<CChar>!, _ transaction: UInt32,
  _ seq: UnsafeMutablePointer<UInt32>!
) -> Int32 {
  unsafe post(session, seq) { () throws(Errno) in
    .translateName(pvd: pvd, Transaction(identifier: transaction), try unsafe NodeName(name))
  }
}

@c @implementation
public func mif_stop_translating_name(
  _ session: OpaquePointer!, _ transaction: UInt32, _ seq: UnsafeMutablePointer<UInt32>!
) -> Int32 {
  unsafe post(session, seq) { () throws(Errno) in .stopTranslatingName(Transaction(identifier: transaction)) }
}

@c @implementation
public func mif_connect_to_pvd(
  _ session: OpaquePointer!, _ pvd: UInt32, _ seq: UnsafeMutablePointer<UInt32>!
) -> Int32 {
  unsafe post(session, seq) { () throws(Errno) in .connectToPvD(pvd) }
}

@c @implementation
public func mif_connect_to_address(
  _ session: OpaquePointer!, _ pvd: UInt32, _ transaction: UInt32, _ transport: Int32,
  _ destination: UnsafePointer<sockaddr>!, _ length: socklen_t, _ seq: UnsafeMutablePointer<UInt32>!
) -> Int32 {
  unsafe post(session, seq) { () throws(Errno) in
    .connect(
      pvd: pvd, Transaction(identifier: transaction),
      to: try unsafe Endpoint(transport, .destination, destination, Int(length)), from: nil)
  }
}

@c @implementation
public func mif_connect_to_address_from_address(
  _ session: OpaquePointer!, _ pvd: UInt32, _ transaction: UInt32, _ transport: Int32,
  _ destination: UnsafePointer<sockaddr>!, _ length: socklen_t, _ source: UnsafePointer<sockaddr>!,
  _ sourceLength: socklen_t, _ seq: UnsafeMutablePointer<UInt32>!
) -> Int32 {
  unsafe post(session, seq) { () throws(Errno) in
    .connect(
      pvd: pvd, Transaction(identifier: transaction),
      to: try unsafe Endpoint(transport, .destination, destination, Int(length)),
      from: try unsafe Endpoint(transport, .source, source, Int(sourceLength)))
  }
}

@c @implementation
public func mif_wants_to_connect(_ session: OpaquePointer!, _ seq: UnsafeMutablePointer<UInt32>!) -> Int32 {
  unsafe post(session, seq) { () throws(Errno) in .wantsToConnect }
}

@c @implementation
public func mif_connection_idle(
  _ session: OpaquePointer!, _ pvd: UInt32, _ seq: UnsafeMutablePointer<UInt32>!
) -> Int32 {
  unsafe post(session, seq) { () throws(Errno) in .connectionIdle(pvd: pvd) }
}

@c @implementation
public func mif_connection_can_be_broken(
  _ session: OpaquePointer!, _ pvd: UInt32, _ seq: UnsafeMutablePointer<UInt32>!
) -> Int32 {
  unsafe post(session, seq) { () throws(Errno) in .connectionCanBeBroken(pvd: pvd) }
}

@c @implementation
public func mif_take_interface_down(
  _ session: OpaquePointer!, _ ifindex: UInt32, _ milliseconds: UInt32, _ seq: UnsafeMutablePointer<UInt32>!
) -> Int32 {
  unsafe post(session, seq) { () throws(Errno) in .takeInterfaceDown(interface: ifindex, grace: milliseconds) }
}

@c @implementation
public func mif_get_statistics(_ session: OpaquePointer!, _ seq: UnsafeMutablePointer<UInt32>!) -> Int32 {
  unsafe post(session, seq) { () throws(Errno) in .getStatistics }
}
