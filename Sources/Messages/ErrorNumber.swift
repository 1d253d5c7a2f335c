/// An error of the operating system in a message's errno field: Linux's numbers as x86, ARM and RISC-V have them
/// (asm-generic/errno.h). They are named here because this target imports no C.
package struct ErrorNumber: RawRepresentable, Hashable, Sendable, Error {
  package var rawValue: UInt8
  package init(rawValue: UInt8) { self.rawValue = rawValue }

  package static let none = ErrorNumber(rawValue: 0)
  package static let notPermitted = ErrorNumber(rawValue: 1)  // EPERM
  package static let noSuchEntry = ErrorNumber(rawValue: 2)  // ENOENT
  package static let exists = ErrorNumber(rawValue: 17)  // EEXIST
  package static let invalid = ErrorNumber(rawValue: 22)  // EINVAL
  package static let noSpace = ErrorNumber(rawValue: 28)  // ENOSPC
  package static let protocolError = ErrorNumber(rawValue: 71)  // EPROTO
  package static let messageSize = ErrorNumber(rawValue: 90)  // EMSGSIZE
  package static let protocolNotSupported = ErrorNumber(rawValue: 93)  // EPROTONOSUPPORT
  package static let operationNotSupported = ErrorNumber(rawValue: 95)  // EOPNOTSUPP
  package static let addressFamilyNotSupported = ErrorNumber(rawValue: 97)  // EAFNOSUPPORT
  package static let addressNotAvailable = ErrorNumber(rawValue: 99)  // EADDRNOTAVAIL
  package static let networkDown = ErrorNumber(rawValue: 100)  // ENETDOWN
  package static let connectionReset = ErrorNumber(rawValue: 104)  // ECONNRESET
  package static let noBufferSpace = ErrorNumber(rawValue: 105)  // ENOBUFS
  package static let tooManyReferences = ErrorNumber(rawValue: 109)  // ETOOMANYREFS
  package static let timedOut = ErrorNumber(rawValue: 110)  // ETIMEDOUT
}

/// Why a message was refused: the reason that is counted, and the errno that its sender is told.
package enum MessageRefusal: UInt8, Error, Hashable, Sendable, CaseIterable {
  /// Shorter than a header.
  case headerTruncated
  /// Header version other than 1.
  case version
  /// A message type that there is not, that only the agent sends, or that this version does not serve.
  case messageType
  /// The header's length is not the datagram's.
  case length
  /// A payload of length 0, or one that goes past the message's end.
  case payloadLength
  /// A payload whose own length, or a length in it, is not what its type has.
  case payloadMalformed
  /// A payload that this message type needs is not there.
  case payloadMissing
  /// A payload that may be there once is there twice.
  case payloadRepeated
  /// A payload in TDB_REGISTER other than the FILTER that it announces.
  case payloadUnexpected
  /// Trigger type 0 in TDB_ADD or TDB_MODIFY.
  case triggerTypeZero
  /// A trigger id in TDB_ADD, where the database assigns it.
  case triggerIdentifierGiven
  /// More than 16 ADDRESS payloads.
  case tooManyAddresses
  /// A prefix length past 32 or 128.
  case prefixLength
  /// A sockaddr that is neither AF_INET nor AF_INET6.
  case addressFamily

  package var errorNumber: ErrorNumber {
    switch self {
    case .headerTruncated, .length: .messageSize
    case .version: .protocolNotSupported
    case .messageType: .operationNotSupported
    case .addressFamily: .addressFamilyNotSupported
    case .payloadLength, .payloadMalformed, .payloadMissing, .payloadRepeated, .payloadUnexpected, .triggerTypeZero,
      .triggerIdentifierGiven, .tooManyAddresses, .prefixLength:
      .invalid
    }
  }

  /// The reason's name in a counter.
  package var name: StaticString {
    switch self {
    case .headerTruncated: "message.header-truncated"
    case .version: "message.version"
    case .messageType: "message.message-type"
    case .length: "message.length"
    case .payloadLength: "message.payload-length"
    case .payloadMalformed: "message.payload-malformed"
    case .payloadMissing: "message.payload-missing"
    case .payloadRepeated: "message.payload-repeated"
    case .payloadUnexpected: "message.payload-unexpected"
    case .triggerTypeZero: "message.trigger-type-zero"
    case .triggerIdentifierGiven: "message.trigger-id-given"
    case .tooManyAddresses: "message.too-many-addresses"
    case .prefixLength: "message.prefix-length"
    case .addressFamily: "message.address-family"
    }
  }
}

/// The message does not fit the buffer that it is written to, or the 64 KiB that a message may have.
package struct MessageOverflow: Error, Hashable, Sendable {
  package init() {}
}
