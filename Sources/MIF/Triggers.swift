import Messages
import Wire

/// What a trigger says.
public struct TriggerKind: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  /// `tdb_trigger_type`: 1 to 6 are named, larger ones are a client's own.
  public let rawValue: UInt16
  public init(rawValue: UInt16) { self.rawValue = rawValue }

  public static let interfaceAdded = TriggerKind(rawValue: 1)
  public static let interfaceRemoved = TriggerKind(rawValue: 2)
  public static let addressChanged = TriggerKind(rawValue: 3)
  public static let connectionEstablished = TriggerKind(rawValue: 4)
  public static let connectionLost = TriggerKind(rawValue: 5)
  public static let destinationUnreachable = TriggerKind(rawValue: 6)

  public var description: String {
    switch rawValue {
    case 1: "IF_ADDED"
    case 2: "IF_REMOVED"
    case 3: "IF_ADDRCHANGED"
    case 4: "CONN_ESTABLISHED"
    case 5: "CONN_LOST"
    case 6: "DEST_UNREACHABLE"
    default: "TYPE_\(rawValue)"
    }
  }
}

/// Where the knowledge behind a trigger comes from.
public struct TriggerOrigin: Hashable, Sendable {
  public enum Source: String, Hashable, Sendable {
    case kernel
    case routerAdvertisement = "RA"
    case dhcpv4 = "DHCPv4"
    case dhcpv6 = "DHCPv6"
    case icmp = "ICMP"
    case client
  }
  /// Why a trigger was deleted.
  public enum Removal: String, Hashable, Sendable {
    /// Nothing is known any more: the hold time ran out without a repeat.
    case expired
    /// It is good again, or its interface is gone.
    case contradicted
    /// A client deleted it.
    case deleted
  }

  /// The interface's index, 0 where none is known.
  public let interface: UInt32
  /// Empty where none is known.
  public let interfaceName: String
  /// The provisioning domain's identifier, 0 where none is known.
  public let domain: UInt32
  public let source: Source
  /// The error, for the source ICMP.
  public let icmp: ICMPError?
  public let removal: Removal?
  /// How many events were folded into this one, itself included.
  public let count: UInt32
  /// Of the trigger's first address.
  public let addressState: AddressState
  /// When the packet was received, or the agent learned it otherwise: nanoseconds since 1970.
  public let timestamp: UInt64

  init(_ origin: Origin, isIPv6: Bool) {
    interface = origin.interface
    interfaceName = String(decoding: origin.interfaceName.bytes, as: UTF8.self)
    domain = origin.pvd
    source =
      switch origin.source {
      case .kernel: .kernel
      case .routerAdvertisement: .routerAdvertisement
      case .dhcpv4: .dhcpv4
      case .dhcpv6: .dhcpv6
      case .icmp: .icmp
      case .client: .client
      }
    icmp =
      origin.source == .icmp ? ICMPError(isIPv6: isIPv6, type: origin.icmpType, code: origin.icmpCode) : nil
    removal =
      switch origin.reason {
      case .none: nil
      case .expired: .expired
      case .contradicted: .contradicted
      case .deleted: .deleted
      }
    count = origin.count
    addressState = AddressState(rawValue: origin.addressFlags)
    timestamp = origin.timestamp
  }
}

/// A trigger of the database.
public struct Trigger: Hashable, Sendable {
  public let identifier: UInt32
  public let kind: TriggerKind
  /// For DEST_UNREACHABLE first the local address, then the destination.
  public let addresses: [IPPrefix]
  /// With the extension ORIGIN.
  public let origin: TriggerOrigin?

  init(_ trigger: TriggerPayload, _ message: TriggerMessage) {
    identifier = trigger.identifier
    kind = TriggerKind(rawValue: trigger.type.rawValue)
    addresses = (0..<message.addresses.count).map { index in
      let address = message.addresses[index]
      return IPPrefix(address: IPAddress(address.address, scope: address.scope), length: address.prefixLength)
    }
    let isIPv6 = addresses.first?.address.isIPv6 ?? false
    origin = message.origin.map { TriggerOrigin($0, isIPv6: isIPv6) }
  }
}

/// News of the trigger database.
public enum TriggerEvent: Hashable, Sendable {
  /// It was in the database when the replay came to it.
  case exists(Trigger)
  case added(Trigger)
  case modified(Trigger)
  case deleted(Trigger)
  /// Every trigger that existed has been told.
  case replayEnded
  /// So many news were lost, because this client did not read fast enough.
  case lost(UInt32)
}
