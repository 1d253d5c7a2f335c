/// A packet of VICI, the Versatile IKE Control Interface of strongSwan's charon (src/libcharon/plugins/vici/README.md,
/// "VICI protocol"): on a stream, each behind its length in four bytes, in network order.
package enum Packet: Equatable, Sendable {
  /// CMD_RESPONSE: the last word on a command.
  case response(message: ArraySlice<UInt8>)
  /// CMD_UNKNOWN.
  case unknownCommand
  /// EVENT_CONFIRM: (un)registered.
  case confirmed
  /// EVENT_UNKNOWN: the daemon has no such event.
  case unknownEvent
  /// EVENT.
  case event(name: ArraySlice<UInt8>, message: ArraySlice<UInt8>)

  /// What a packet is called in its first byte.
  private enum Kind {
    static let commandRequest: UInt8 = 0
    static let commandResponse: UInt8 = 1
    static let commandUnknown: UInt8 = 2
    static let eventRegister: UInt8 = 3
    static let eventConfirm: UInt8 = 5
    static let eventUnknown: UInt8 = 6
    static let event: UInt8 = 7
  }

  /// Reads what a daemon sends, without the length before it; throws at what a client is never sent.
  init(_ bytes: ArraySlice<UInt8>) throws(VICIRefusal) {
    guard let kind = bytes.first else { throw .packetEmpty }
    let rest = bytes.dropFirst()
    switch kind {
    case Kind.commandResponse: self = .response(message: rest)
    case Kind.commandUnknown: self = .unknownCommand
    case Kind.eventConfirm: self = .confirmed
    case Kind.eventUnknown: self = .unknownEvent
    case Kind.event:
      guard let length = rest.first, rest.count > Int(length) else { throw .nameTruncated }
      let name = rest.dropFirst().prefix(Int(length))
      self = .event(name: name, message: rest[name.endIndex...])
    default: throw .packetType
    }
  }

  /// CMD_REQUEST with a message without elements, ready for the stream.
  package static func request(_ command: StaticString) -> [UInt8] { named(Kind.commandRequest, command) }

  /// EVENT_REGISTER, ready for the stream.
  package static func register(_ event: StaticString) -> [UInt8] { named(Kind.eventRegister, event) }

  /// Names are shorter than 256 bytes: ours all are.
  private static func named(_ kind: UInt8, _ name: StaticString) -> [UInt8] {
    let count = UInt8(name.utf8CodeUnitCount)
    var bytes: [UInt8] = [0, 0, 0, count + 2, kind, count]
    name.withUTF8Buffer { unsafe bytes.append(contentsOf: $0) }
    return bytes
  }
}

/// Why bytes are no VICI. Nothing can be made of what follows on the stream then.
package enum VICIRefusal: Error, Hashable, Sendable {
  /// Longer than `PacketStream.limit`.
  case packetTooLong
  case packetEmpty
  case packetType
  case nameTruncated
  case elementType
  case elementTruncated
  /// A section or list ends that did not begin, or the other way round; or an element where it may not be.
  case nesting
}
