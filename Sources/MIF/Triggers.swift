import Messages
import Sessions
import Wire

/// What a trigger says.
public struct TriggerKind: RawRepresentable, Hashable, Sendable, LosslessStringConvertible {
  /// `tdb_trigger_type`: 1 to 6 are named, larger ones are a client's own.
  public let rawValue: UInt16
  public init(rawValue: UInt16) { self.rawValue = rawValue }

  public static let interfaceAdded = TriggerKind(rawValue: 1)
  public static let interfaceRemoved = TriggerKind(rawValue: 2)
  public static let addressChanged = TriggerKind(rawValue: 3)
  public static let connectionEstablished = TriggerKind(rawValue: 4)
  public static let connectionLost = TriggerKind(rawValue: 5)
  public static let destinationUnreachable = TriggerKind(rawValue: 6)

  /// The draft's names, without their TDB_TTYPE_.
  private static let names: [(UInt16, String)] = [
    (1, "IF_ADDED"), (2, "IF_REMOVED"), (3, "IF_ADDRCHANGED"), (4, "CONN_ESTABLISHED"), (5, "CONN_LOST"),
    (6, "DEST_UNREACHABLE"),
  ]
  /// Every kind that has a name, by number.
  public static let named: [TriggerKind] = names.map { TriggerKind(rawValue: $0.0) }

  /// A name of the draft's, with or without its TDB_TTYPE_, in any case and with "-" for "_"; what `description` gives;
  /// or a number from 1 to 65535.
  public init?(_ text: String) {
    var word = text.uppercased().replacing("-", with: "_")
    if word.hasPrefix("TDB_TTYPE_") { word.removeFirst("TDB_TTYPE_".count) }
    if let known = TriggerKind.names.first(where: { $0.1 == word }) {
      self.init(rawValue: known.0)
      return
    }
    if word.hasPrefix("TYPE_") { word.removeFirst("TYPE_".count) }
    guard word.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }), let number = UInt16(word), number > 0
    else { return nil }
    self.init(rawValue: number)
  }

  public var description: String {
    TriggerKind.names.first { $0.0 == rawValue }?.1 ?? "TYPE_\(rawValue)"
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
    /// It was changed, and is no longer what was asked for.
    case unmatched
  }

  /// The interface's index, 0 where none is known.
  public let interface: UInt32
  /// Empty where none is known.
  public let interfaceName: String
  /// The provisioning domain's identifier, 0 where none is known.
  public let domain: UInt32
  /// Who added it, for the source client.
  public let user: UInt32?
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
    domain = origin.source == .client ? 0 : origin.pvd
    user = origin.source == .client ? origin.pvd : nil
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
      case .unmatched: .unmatched
      }
    count = origin.count
    addressState = AddressState(rawValue: origin.addressFlags)
    timestamp = origin.timestamp
  }
}

/// A trigger of the database.
public struct Trigger: Hashable, Sendable {
  /// The database's number for it, from 1; not given again before four billion others.
  public let identifier: UInt32
  public let kind: TriggerKind
  /// At most 16. For DEST_UNREACHABLE first the local address, then the destination.
  public let addresses: [IPPrefix]
  /// nil in the answers to add, modify and delete.
  public let origin: TriggerOrigin?

  init(_ record: TriggerRecord) {
    identifier = record.id
    kind = TriggerKind(rawValue: record.type.rawValue)
    addresses = record.addresses.map {
      IPPrefix(address: IPAddress($0.address, scope: $0.scope), length: $0.prefixLength)
    }
    let isIPv6 = addresses.first?.address.isIPv6 ?? false
    origin = record.origin.map { TriggerOrigin($0, isIPv6: isIPv6) }
  }
}

extension IPPrefix {
  /// As a trigger has it.
  var triggerAddress: TriggerAddress {
    TriggerAddress(address.wire, prefixLength: length, scope: address.scope)
  }
}

/// News of the trigger database. Whoever applies all of them in order has what the database has: news that were lost on
/// the way, and an agent that was restarted, come as differences.
public enum TriggerEvent: Hashable, Sendable {
  /// It was there before it was asked for; told before the first `inStep`.
  case exists(Trigger)
  case added(Trigger)
  /// It is what it says now. `former` is the identifier under which it was told before: another one only after the
  /// agent was restarted, which numbers anew. `former` is free from then on, and no other trigger has the new one.
  case modified(Trigger, former: UInt32)
  /// As it was last; why it went is in its origin, where the agent was there to say it.
  case deleted(Trigger)
  /// All that exists has been told: after what existed at first, and again where differences had to be found.
  case inStep
  /// The agent ended, or closed the connection. What was told stays true as far as anybody knows; when the agent is
  /// back the differences come, then `inStep`.
  case disconnected

  /// `isFirst`: before the first `inStep`.
  init(_ news: TriggerNews, isFirst: Bool) {
    self =
      switch news {
      case .added(let record): isFirst ? .exists(Trigger(record)) : .added(Trigger(record))
      case .modified(let record, let former): .modified(Trigger(record), former: former)
      case .deleted(let record): .deleted(Trigger(record))
      case .inStep: .inStep
      case .disconnected: .disconnected
      }
  }
}
