/// Message types of the MIF API: one for each of draft-ietf-mif-api-extension-05, section 3.2.7, in its order, then
/// those that it lacks.
package enum MIFMessageType: UInt8, Hashable, Sendable, CaseIterable {
  case announceInterfaces = 1
  case stopAnnouncingInterfaces = 2
  case interfaceAnnouncement = 3
  case noInterfaceAnnouncement = 4
  case announcePvDs = 5
  case stopAnnouncingPvDs = 6
  case pvdAnnouncement = 7
  case noPvDAnnouncement = 8
  case announceConfigurationElements = 9
  case configurationElementAnnouncement = 10
  case noConfigurationElementAnnouncement = 11
  case stopAnnouncingConfigurationElements = 12
  case announceAddresses = 13
  case addressAnnouncement = 14
  case stopAnnouncingAddresses = 15
  case noAddressAnnouncement = 16
  case getConfigurationData = 17
  case configurationData = 18
  case noConfigurationData = 19
  case translateName = 20
  case stopTranslatingName = 21
  case nameTranslation = 22
  case connectToPvD = 23
  case connectToAddress = 24
  case connectToAddressFromAddress = 25
  case connected = 26
  case notConnected = 27
  case wantsToConnect = 28
  case connectionIdle = 29
  case connectionCanBeBroken = 30
  case interfaceGoingAway = 31
  case interfaceGoingUp = 32
  case nameTranslationEnded = 33
  case snapshotEnd = 34
  case overrun = 35
  case getStatistics = 36
  case statistics = 37
  case explain = 38
  case explanation = 39
  case takeInterfaceDown = 40
}

/// Payload types of the MIF API.
package enum MIFPayloadType {
  package static let interface: UInt16 = 1
  package static let pvd: UInt16 = 2
  package static let element: UInt16 = 3
  package static let address: UInt16 = 4
  package static let data: UInt16 = 5
  package static let name: UInt16 = 6
  package static let transaction: UInt16 = 7
  package static let endpoint: UInt16 = 8
  package static let failure: UInt16 = 9
  package static let counter: UInt16 = 10
  package static let time: UInt16 = 11
}

/// The header's flags byte in messages of the agent on the MIF API's socket.
package struct MIFFlags: OptionSet, Hashable, Sendable {
  package var rawValue: UInt8
  package init(rawValue: UInt8) { self.rawValue = rawValue }

  /// An announcement of what exists, asked for by the ANNOUNCE_* with this seq and pid. An announcement without it is
  /// news, and its seq counts the news of this socket.
  package static let snapshot = MIFFlags(rawValue: 0x01)
}

/// Flags of an interface in INTERFACE.
package struct InterfaceFlags: OptionSet, Hashable, Sendable {
  package var rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Administratively up (IFF_UP).
  package static let up = InterfaceFlags(rawValue: 0x01)
  /// Has carrier (IFF_RUNNING).
  package static let carrier = InterfaceFlags(rawValue: 0x02)
  package static let loopback = InterfaceFlags(rawValue: 0x04)
  package static let pointToPoint = InterfaceFlags(rawValue: 0x08)
}

extension InformationIdentifier {
  /// In GET_CONFIG_DATA: every item of the element, whatever its identifier.
  package static let all = InformationIdentifier(rawValue: 0)
}
