package import Wire

/// `tdb_trigger_type` (draft-schilcher-mobike-trigger-api-00, section 3). Larger ones are a client's own.
package struct TriggerType: RawRepresentable, Hashable, Sendable {
  package var rawValue: UInt16
  package init(rawValue: UInt16) { self.rawValue = rawValue }

  package static let interfaceAdded = TriggerType(rawValue: 1)
  package static let interfaceRemoved = TriggerType(rawValue: 2)
  package static let addressChanged = TriggerType(rawValue: 3)
  package static let connectionEstablished = TriggerType(rawValue: 4)
  package static let connectionLost = TriggerType(rawValue: 5)
  package static let destinationUnreachable = TriggerType(rawValue: 6)
}

/// Where a trigger's knowledge comes from (ORIGIN payload).
package enum Source: UInt8, Hashable, Sendable, CaseIterable {
  case kernel = 1
  case routerAdvertisement = 2
  case dhcpv4 = 3
  case dhcpv6 = 4
  case icmp = 5
  case client = 6
}

/// Why a trigger was deleted (ORIGIN payload).
package enum RemovalReason: UInt8, Hashable, Sendable, CaseIterable {
  case none = 0
  /// Nothing is known any more: the hold time ran out without a repeat.
  case expired = 1
  /// It is good again, or its interface is gone.
  case contradicted = 2
  /// A client deleted it.
  case deleted = 3
  /// It was changed, and is no longer what this subscriber asked for or may read.
  case unmatched = 4
}

/// Configuration Element Type (MIF API, section 3.2.7.10).
package enum ElementType: UInt16, Hashable, Sendable, CaseIterable {
  case routerAdvertisement = 1
  case dhcpv6 = 2
  case dhcpv4 = 3
  case kernel = 4
}

/// Configuration Information Identifier (MIF API, section 3.2.7.17): which piece of an element's configuration.
package struct InformationIdentifier: RawRepresentable, Hashable, Sendable {
  package var rawValue: UInt32
  package init(rawValue: UInt32) { self.rawValue = rawValue }

  package static let dnsServers = InformationIdentifier(rawValue: 1)
  package static let searchList = InformationIdentifier(rawValue: 2)
  package static let mtu = InformationIdentifier(rawValue: 3)
  package static let hopLimit = InformationIdentifier(rawValue: 4)
  package static let prefixes = InformationIdentifier(rawValue: 5)
  package static let routes = InformationIdentifier(rawValue: 6)
  package static let defaultRouter = InformationIdentifier(rawValue: 7)
  package static let ntpServers = InformationIdentifier(rawValue: 8)
  package static let captivePortal = InformationIdentifier(rawValue: 9)
  package static let pref64 = InformationIdentifier(rawValue: 10)
  package static let encryptedDNS = InformationIdentifier(rawValue: 11)
  package static let pvdOption = InformationIdentifier(rawValue: 12)
  package static let lease = InformationIdentifier(rawValue: 13)
  package static let delegatedPrefixes = InformationIdentifier(rawValue: 14)
  package static let domainName = InformationIdentifier(rawValue: 15)
  package static let hostName = InformationIdentifier(rawValue: 16)
  package static let timeZone = InformationIdentifier(rawValue: 17)
  package static let additionalInformation = InformationIdentifier(rawValue: 18)
  /// The raw bytes of an option by its number, for what has no identifier of its own.
  package static func rawOption(_ number: UInt16) -> InformationIdentifier {
    InformationIdentifier(rawValue: 0x1_0000 | UInt32(number))
  }
}

/// One piece of configuration, as state keeps it and CONFIG_DATA carries it. Which case belongs to which
/// identifier is in docs/protocol.md.
package enum ConfigurationValue: Hashable, Sendable {
  /// dnsServers, ntpServers.
  case address(IPAddress)
  /// searchList, domainName, hostName, timeZone, captivePortal: presentation form, UTF-8, without a final dot.
  case text([UInt8])
  /// mtu, hopLimit.
  case number(UInt32)
  /// prefixes, delegatedPrefixes, pref64. `flags` are the PIO's flag byte (L 0x80, A 0x40, R 0x20, P 0x10), else 0.
  case prefix(IPPrefix, flags: UInt8)
  /// routes. An unspecified gateway is on-link. Preference as RFC 4191: 1 high, 0 medium, -1 low.
  case route(IPPrefix, gateway: IPAddress, preference: Int8)
  /// defaultRouter.
  case router(IPAddress, preference: Int8)
  /// pvdOption (RFC 8801, 3.1): the flags H 0x8000, L 0x4000, R 0x2000 with the delay in the low 4 bits.
  case pvd(flags: UInt16, sequence: UInt16)
  /// lease: server identifier, T1 and T2 in seconds; the lease's own time is the item's lifetime.
  case lease(server: IPAddress, renewal: UInt32, rebinding: UInt32)
  /// rawOption, and what is handed on unread.
  case bytes([UInt8])
}
