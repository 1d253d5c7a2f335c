/// ENDPOINT, 24 or 40 bytes: one end of a connection, with its port.
package struct Endpoint: Hashable, Sendable {
  /// IPPROTO_TCP and IPPROTO_UDP.
  package enum Transport: UInt8, Hashable, Sendable, CaseIterable {
    case tcp = 6
    case udp = 17
  }
  package enum Role: UInt8, Hashable, Sendable, CaseIterable {
    case destination = 1
    case source = 2
  }

  package var transport: Transport
  package var role: Role
  package var socketAddress: SocketAddress

  package init(_ transport: Transport, _ role: Role, _ socketAddress: SocketAddress) {
    self.transport = transport
    self.role = role
    self.socketAddress = socketAddress
  }

  package init(_ payload: Payload) throws(MessageRefusal) {
    let bytes = payload.bytes
    let sockaddr = try SocketAddress(bytes, at: 8)
    guard bytes.byteCount == 8 + sockaddr.paddedSize, let transport = Transport(rawValue: bytes.u8(4)),
      let role = Role(rawValue: bytes.u8(5))
    else { throw .payloadMalformed }
    self.init(transport, role, sockaddr)
  }
}

/// FAILURE, 16 bytes: why a connection or a translation came to nothing.
package struct Failure: Hashable, Sendable {
  package static let size = 16

  /// Where the verdict came from.
  package enum From: UInt8, Hashable, Sendable, CaseIterable {
    case nothing = 0
    case local = 1
    case icmp = 2
    case icmpv6 = 3
    case resolver = 4
    case timeOut = 5
    /// The other end: a TCP reset.
    case peer = 6
  }

  /// A number of `<errno.h>`.
  package var error: UInt16
  package var from: From
  package var icmpType: UInt8
  package var icmpCode: UInt8
  /// The DNS RCODE (RFC 6895).
  package var resolverStatus: UInt32

  package init(
    error: UInt16 = 0, from: From, icmpType: UInt8 = 0, icmpCode: UInt8 = 0, resolverStatus: UInt32 = 0
  ) {
    self.error = error
    self.from = from
    self.icmpType = icmpType
    self.icmpCode = icmpCode
    self.resolverStatus = resolverStatus
  }

  package init(_ error: ErrorNumber, from: From) { self.init(error: UInt16(error.rawValue), from: from) }

  package init(_ payload: Payload) throws(MessageRefusal) {
    let bytes = payload.bytes
    guard bytes.byteCount == Failure.size, let from = From(rawValue: bytes.u8(6)) else { throw .payloadMalformed }
    self.init(
      error: bytes.u16(4), from: from, icmpType: bytes.u8(8), icmpCode: bytes.u8(9), resolverStatus: bytes.u32(12))
  }
}

/// TRANSACTION, 8 bytes: the client's identifier of a translation or connection.
package struct Transaction: Hashable, Sendable {
  package var identifier: UInt32
  package init(identifier: UInt32) { self.identifier = identifier }

  package init(_ payload: Payload) throws(MessageRefusal) {
    guard payload.bytes.byteCount == 8 else { throw .payloadMalformed }
    self.init(identifier: payload.bytes.u32(4))
  }
}

/// TIME, 8 bytes: how long the agent waits before it acts, milliseconds.
package struct GraceTime: Hashable, Sendable {
  package var milliseconds: UInt32
  package init(milliseconds: UInt32) { self.milliseconds = milliseconds }

  package init(_ payload: Payload) throws(MessageRefusal) {
    guard payload.bytes.byteCount == 8 else { throw .payloadMalformed }
    self.init(milliseconds: payload.bytes.u32(4))
  }
}

/// NAME, 8 bytes and the name: of a network node, UTF-8, at most 255 bytes.
package struct NodeName: Hashable, Sendable {
  package static let maximumLength = 255

  package var bytes: [UInt8]
  package init(_ bytes: [UInt8]) { self.bytes = bytes }

  package init(_ payload: Payload) throws(MessageRefusal) {
    let room = payload.bytes
    guard room.byteCount >= 8 else { throw .payloadMalformed }
    let length = Int(room.u16(4))
    guard length <= NodeName.maximumLength, room.byteCount == (8 + length + 7) & ~7 else { throw .payloadMalformed }
    self.init(room.copy(8, length))
  }
}

extension MessageWriter {
  package mutating func endpoint(_ endpoint: Endpoint) throws(MessageOverflow) {
    let offset = try payload(MIFPayloadType.endpoint, size: 8 + endpoint.socketAddress.size)
    put(endpoint.transport.rawValue, at: offset + 4)
    put(endpoint.role.rawValue, at: offset + 5)
    put(endpoint.socketAddress, at: offset + 8)
  }

  package mutating func failure(_ failure: Failure) throws(MessageOverflow) {
    let offset = try payload(MIFPayloadType.failure, size: Failure.size)
    put(failure.error, at: offset + 4)
    put(failure.from.rawValue, at: offset + 6)
    put(failure.icmpType, at: offset + 8)
    put(failure.icmpCode, at: offset + 9)
    put(failure.resolverStatus, at: offset + 12)
  }

  package mutating func transaction(_ transaction: Transaction) throws(MessageOverflow) {
    let offset = try payload(MIFPayloadType.transaction, size: 8)
    put(transaction.identifier, at: offset + 4)
  }

  package mutating func time(_ time: GraceTime) throws(MessageOverflow) {
    let offset = try payload(MIFPayloadType.time, size: 8)
    put(time.milliseconds, at: offset + 4)
  }

  /// A name past 255 bytes is cut.
  package mutating func name(_ name: NodeName) throws(MessageOverflow) {
    let text = name.bytes.span.extracting(first: NodeName.maximumLength)
    let offset = try payload(MIFPayloadType.name, size: 8 + text.count)
    put(UInt16(truncatingIfNeeded: text.count), at: offset + 4)
    put(text, at: offset + 8)
  }
}
