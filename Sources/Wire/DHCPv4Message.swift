/// What went to or came from a client's UDP port, not looked into. A message carries an index of its options: it is
/// made where it is used, and so never copied.
package struct DHCPv4Datagram: ~Escapable {
  let packet: CheckedPacket
  /// True for what goes to a client (UDP port 68), false for a client's own request (port 67).
  package let isToClient: Bool

  @_lifetime(copy packet)
  @inline(__always)
  init(packet: CheckedPacket, isToClient: Bool) {
    self.packet = packet
    self.isToClient = isToClient
  }
}

/// A DHCPv4 message (RFC 2131, 2) whose options end where they say, with a message type that suits its direction; an
/// OFFER, ACK or NAK with a server identifier. Whether it answers this host (xid, chaddr) is for the state to know.
package struct DHCPv4Message: ~Escapable {
  enum Field {
    static let operation = 0
    static let hardwareType = 1
    static let hardwareLength = 2
    static let transaction = 4
    static let seconds = 8
    static let flags = 10
    static let clientAddress = 12
    static let yourAddress = 16
    static let nextServerAddress = 20
    static let relayAddress = 24
    static let hardwareAddress = 28
    static let hardwareAddressLength = 16
    static let serverName = 44
    static let file = 108
    static let cookie = 236
    static let options = 240
  }

  /// RFC 2131, 3: 99, 130, 83, 99.
  private static let cookie: UInt32 = 0x6382_5363

  /// UDP ports (RFC 2131, 4.1).
  static let clientPort: UInt16 = 68
  static let serverPort: UInt16 = 67

  /// The messages that configure clients or ask for it (RFC 2132, 9.6).
  package enum Kind: UInt8, Hashable, Sendable, CaseIterable {
    case discover = 1
    case offer = 2
    case request = 3
    case decline = 4
    case ack = 5
    case nak = 6
    case release = 7
    case inform = 8

    var isFromServer: Bool {
      switch self {
      case .offer, .ack, .nak: true
      case .discover, .request, .decline, .release, .inform: false
      }
    }
  }

  // Few enough to be passed in registers, and in this order: a copy of what was just written in other widths would wait
  // for the writing.
  private let packet: CheckedPacket
  package let kind: Kind
  private let places: DHCPv4OptionPlaces.Found

  var index: DHCPv4OptionIndex {
    @_lifetime(copy self) @inline(__always) get { DHCPv4OptionIndex(message, places) }
  }

  /// Addresses of the IP header.
  package var source: IPv4Address { packet.sourceV4 }
  package var destination: IPv4Address { packet.destinationV4 }

  /// Uses `places` for as long as the message is used.
  @_lifetime(copy datagram, &places)
  @inline(always)
  package init(_ datagram: DHCPv4Datagram, _ places: inout DHCPv4OptionPlaces) throws(Refusal) {
    let message = datagram.packet.message
    let isToClient = datagram.isToClient
    guard message.byteCount >= Field.options else { throw .dhcpv4Length }
    // BOOTREPLY to clients, BOOTREQUEST from them.
    guard message.u8(Field.operation) == (isToClient ? 2 : 1) else { throw .dhcpv4Operation }
    guard Int(message.u8(Field.hardwareLength)) <= Field.hardwareAddressLength else { throw .dhcpv4HardwareLength }
    guard message.u32(Field.cookie) == DHCPv4Message.cookie else { throw .dhcpv4Cookie }

    try places.find(in: message)
    let found = DHCPv4OptionPlaces.Found(&places)
    let index = DHCPv4OptionIndex(message, found)
    guard let type = index.value(DHCPv4Option.messageType), type.byteCount == 1,
      let kind = Kind(rawValue: type.u8(0)), kind.isFromServer == isToClient
    else { throw .dhcpv4MessageType }
    // RFC 2131, table 3.
    if kind.isFromServer, index.u32(DHCPv4Option.serverIdentifier) == nil {
      throw .dhcpv4ServerIdentifier
    }
    packet = datagram.packet
    self.kind = kind
    self.places = found
  }

  /// True for what goes to a client (UDP port 68), false for a client's own request (port 67).
  package var isToClient: Bool { kind.isFromServer }

  var message: RawSpan {
    @_lifetime(copy self) @inline(__always) get { packet.message }
  }

  /// The message, from `op` on.
  package var bytes: RawSpan {
    @_lifetime(copy self) get { message }
  }

  // RFC 2131, 2, table 1.
  package var transaction: UInt32 {
    @inline(__always) get { message.u32(Field.transaction) }
  }
  package var hardwareType: UInt8 { message.u8(Field.hardwareType) }
  /// Seconds since the client began.
  package var seconds: UInt16 { message.u16(Field.seconds) }
  package var flags: UInt16 { message.u16(Field.flags) }
  /// chaddr, `hlen` bytes of it.
  package var hardwareAddress: RawSpan {
    @_lifetime(copy self) get {
      message.slice(Field.hardwareAddress, Int(message.u8(Field.hardwareLength)))
    }
  }
  /// ciaddr.
  package var clientAddress: IPv4Address { message.ipv4(Field.clientAddress) }
  /// yiaddr: what the client gets.
  package var yourAddress: IPv4Address {
    @inline(__always) get { message.ipv4(Field.yourAddress) }
  }
  /// siaddr.
  package var nextServerAddress: IPv4Address { message.ipv4(Field.nextServerAddress) }
  /// giaddr.
  package var relayAddress: IPv4Address { message.ipv4(Field.relayAddress) }

  /// The whole value of an option that there is a getter for, and of `rapidCommit`; nil where it is absent or in too
  /// many pieces. Prefer the getters, which check.
  @_lifetime(copy self)
  @inline(__always)
  package func option(_ code: UInt8) -> OptionBytes? {
    guard let value = index.value(code) else { return nil }
    return OptionBytes(value)
  }

  /// Whether such an option is there, be it malformed.
  package func contains(_ code: UInt8) -> Bool { index.contains(code) }

  /// Whether the client asks for such an option (RFC 2132, 9.8).
  package func requests(_ code: UInt8) -> Bool { index.requests(code) }

  /// The options that no getter reads, each whole, in the order in which they first occur.
  package var unreadOptions: [(code: UInt8, content: [UInt8])] { index.unread }
}
