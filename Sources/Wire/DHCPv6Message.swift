/// A DHCPv6 message between client and server (RFC 8415, 8) whose options end where they say, with a type that suits
/// its direction; an ADVERTISE or REPLY with a server identifier, an ADVERTISE with a client's too. Whether it answers
/// this host (transaction, client identifier) is for the state to know.
package struct DHCPv6Message: ~Escapable {
  private enum Field {
    static let typeAndTransaction = 0
    static let options = 4
  }

  /// UDP ports (RFC 8415, 7.2).
  static let clientPort: UInt16 = 546
  static let serverPort: UInt16 = 547

  /// RFC 8415, 7.3, without the relays' messages.
  package enum Kind: UInt8, Hashable, Sendable, CaseIterable {
    case solicit = 1
    case advertise = 2
    case request = 3
    case confirm = 4
    case renew = 5
    case rebind = 6
    case reply = 7
    case release = 8
    case decline = 9
    case reconfigure = 10
    case informationRequest = 11

    var isFromServer: Bool {
      switch self {
      case .advertise, .reply, .reconfigure: true
      case .solicit, .request, .confirm, .renew, .rebind, .release, .decline, .informationRequest: false
      }
    }

    /// RELAY-FORW and RELAY-REPL.
    static func isRelay(_ type: UInt8) -> Bool { type == 12 || type == 13 }
  }

  package let kind: Kind
  private let packet: CheckedPacket

  @_lifetime(copy packet)
  init(_ packet: CheckedPacket, isToClient: Bool) throws(Refusal) {
    let message = packet.message
    guard message.byteCount >= Field.options else { throw .dhcpv6Length }
    let type = message.u8(Field.typeAndTransaction)
    guard !Kind.isRelay(type) else { throw .dhcpv6Relay }
    guard let kind = Kind(rawValue: type), kind.isFromServer == isToClient else { throw .dhcpv6MessageType }
    let options = message.slice(from: Field.options)
    guard DHCPv6Options.areWhole(options) else { throw .dhcpv6OptionOverrun }
    // RFC 8415, 16.3 and 16.10.
    if kind == .advertise || kind == .reply {
      guard DHCPv6Message.identifier(DHCPv6OptionCode.serverIdentifier, in: options) != nil else {
        throw .dhcpv6ServerIdentifier
      }
    }
    if kind == .advertise {
      guard DHCPv6Message.identifier(DHCPv6OptionCode.clientIdentifier, in: options) != nil else {
        throw .dhcpv6ClientIdentifier
      }
    }
    self.packet = packet
    self.kind = kind
  }

  // Addresses of the IPv6 header.
  package var source: IPv6Address { packet.sourceV6 }
  package var destination: IPv6Address { packet.destinationV6 }

  private var message: RawSpan {
    @_lifetime(copy self) get { packet.message }
  }

  /// True for what goes to a client (UDP port 546), false for a client's own request (port 547).
  package var isToClient: Bool { kind.isFromServer }

  /// The message, from its type on.
  package var bytes: RawSpan {
    @_lifetime(copy self) get { message }
  }

  /// 24 bits.
  package var transaction: UInt32 { message.u32(Field.typeAndTransaction) & 0x00FF_FFFF }

  package var options: DHCPv6Options {
    @_lifetime(copy self) get { DHCPv6Options(checked: message.slice(from: Field.options)) }
  }

  /// The client's DUID, 3 to 130 bytes; nil where it is absent or malformed.
  package var clientIdentifier: RawSpan? {
    @_lifetime(copy self) get {
      DHCPv6Message.identifier(DHCPv6OptionCode.clientIdentifier, in: message.slice(from: Field.options))
    }
  }

  /// The server's DUID, never nil in an ADVERTISE or REPLY.
  package var serverIdentifier: RawSpan? {
    @_lifetime(copy self) get {
      DHCPv6Message.identifier(DHCPv6OptionCode.serverIdentifier, in: message.slice(from: Field.options))
    }
  }

  /// What happened to the message as a whole (RFC 8415, 21.13); success where nothing is said.
  package var status: DHCPv6Status { DHCPv6Status(within: message.slice(from: Field.options)) }

  /// RFC 8415, 21.14: a REPLY to a SOLICIT, without ADVERTISE between.
  package var hasRapidCommit: Bool {
    guard let value = DHCPv6Options.first(DHCPv6OptionCode.rapidCommit, in: message.slice(from: Field.options)) else {
      return false
    }
    return value.byteCount == 0
  }

  @_lifetime(copy options)
  private static func identifier(_ code: UInt16, in options: RawSpan) -> RawSpan? {
    guard let value = DHCPv6Options.first(code, in: options), DHCPv6Option.isIdentifier(value) else { return nil }
    return value
  }
}

/// Status codes (RFC 8415, 21.13).
package struct DHCPv6Status: RawRepresentable, Hashable, Sendable {
  package var rawValue: UInt16
  package init(rawValue: UInt16) { self.rawValue = rawValue }

  package static let success = DHCPv6Status(rawValue: 0)
  package static let unspecifiedFailure = DHCPv6Status(rawValue: 1)
  package static let noAddressesAvailable = DHCPv6Status(rawValue: 2)
  package static let noBinding = DHCPv6Status(rawValue: 3)
  package static let notOnLink = DHCPv6Status(rawValue: 4)
  package static let useMulticast = DHCPv6Status(rawValue: 5)
  package static let noPrefixesAvailable = DHCPv6Status(rawValue: 6)
}
