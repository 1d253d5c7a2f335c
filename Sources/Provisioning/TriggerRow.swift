import Messages
import Wire

/// A trigger as the table keeps it, with its first two addresses; further rows, two addresses each, hang on `more`.
/// 64 bytes, in an order that leaves no room between them.
///
/// An address's node is twice its row's place, and one more for the second address.
struct TriggerRow: Sendable {
  private struct Address: Sendable {
    /// An IPv4 address is the low 32 bits.
    var high: UInt64 = 0
    var low: UInt64 = 0
  }

  /// 0 where nobody uses the row. 48 bits: a million triggers a second would take nine years.
  var serial: UInt64 { UInt64(serialHigh) << 32 | UInt64(serialLow) }
  private var timestamp: UInt64 = 0
  private var first = Address()
  private var second = Address()
  private let serialLow: UInt32
  var provenance: Int32 = -1
  /// `Origin.count`; of a continuation the place of its trigger.
  var count: UInt32 = 0
  /// The trigger's next row, -1 for none.
  var more: Int32 = -1
  private let serialHigh: UInt16
  var type: UInt16 = 0
  private var firstLength: UInt8 = 0
  private var secondLength: UInt8 = 0
  /// Of the first address in the low, of the second in the high four bits; `continuation` is of the row.
  private var bits: UInt8 = 0

  private static let held: UInt8 = 0x01
  private static let ipv6: UInt8 = 0x02
  private static let scoped: UInt8 = 0x04
  private static let continuation: UInt8 = 0x08

  init(serial: UInt64) {
    serialLow = UInt32(truncatingIfNeeded: serial)
    serialHigh = UInt16(serial >> 32)
  }

  var isContinuation: Bool {
    get { bits & TriggerRow.continuation != 0 }
    set { if newValue { bits |= TriggerRow.continuation } else { bits &= ~TriggerRow.continuation } }
  }

  mutating func set(_ trigger: Trigger) {
    type = trigger.type.rawValue
    set(trigger.origin)
  }

  /// All of an origin but what is in its `Provenance`. A trigger that stands has no reason to be removed.
  mutating func set(_ origin: Origin) {
    timestamp = origin.timestamp
    count = origin.count
  }

  mutating func `repeat`(_ timestamp: UInt64) {
    count &+= 1
    self.timestamp = timestamp
  }

  func origin(_ provenance: Provenance) -> Origin {
    Origin(
      interface: provenance.interface, interfaceName: provenance.interfaceName, pvd: provenance.pvd,
      source: provenance.source, icmpType: provenance.icmpType, icmpCode: provenance.icmpCode, count: count,
      timestamp: timestamp, addressFlags: provenance.addressFlags)
  }

  // MARK: Addresses, by node

  private func bits(_ node: Int32) -> UInt8 { node & 1 == 0 ? bits : bits >> 4 }

  func holds(_ node: Int32) -> Bool { bits(node) & TriggerRow.held != 0 }
  func hasScope(_ node: Int32) -> Bool { bits(node) & TriggerRow.scoped != 0 }

  func address(_ node: Int32, scope: UInt32) -> TriggerAddress {
    let (address, length) = node & 1 == 0 ? (first, firstLength) : (second, secondLength)
    let ip: IPAddress =
      bits(node) & TriggerRow.ipv6 != 0
      ? .v6(IPv6Address(address.high, address.low)) : .v4(IPv4Address(UInt32(truncatingIfNeeded: address.low)))
    return TriggerAddress(ip, prefixLength: length, scope: scope)
  }

  func key(_ node: Int32) -> TriggerIndex.Key {
    TriggerIndex.Key(type: TriggerType(rawValue: type), address: address(node, scope: 0).address)
  }

  mutating func set(_ node: Int32, _ new: TriggerAddress) {
    var address = Address()
    var set = TriggerRow.held | (new.scope != 0 ? TriggerRow.scoped : 0)
    switch new.address {
    case .v4(let v4): address.low = UInt64(v4.value)
    case .v6(let v6):
      address.high = v6.high
      address.low = v6.low
      set |= TriggerRow.ipv6
    }
    clear(node)
    if node & 1 == 0 {
      first = address
      firstLength = new.prefixLength
      bits |= set
    } else {
      second = address
      secondLength = new.prefixLength
      bits |= set &<< 4
    }
  }

  mutating func clear(_ node: Int32) {
    let all = TriggerRow.held | TriggerRow.ipv6 | TriggerRow.scoped
    bits &= node & 1 == 0 ? ~all : ~(all << 4)
  }
}

/// What many triggers have in common: whose they are, and where the knowledge behind them comes from.
struct Provenance: Hashable, Sendable {
  var interfaceName: InterfaceName
  var interface: UInt32
  var pvd: UInt32
  var addressFlags: UInt32
  var owner: Trigger.Owner
  var source: Source
  var icmpType: UInt8
  var icmpCode: UInt8

  init(_ origin: Origin, _ owner: Trigger.Owner) {
    interfaceName = origin.interfaceName
    interface = origin.interface
    pvd = origin.pvd
    addressFlags = origin.addressFlags
    self.owner = owner
    source = origin.source
    icmpType = origin.icmpType
    icmpCode = origin.icmpCode
  }

  func holds(_ origin: Origin) -> Bool {
    icmpType == origin.icmpType && icmpCode == origin.icmpCode && interface == origin.interface && pvd == origin.pvd
      && source == origin.source && addressFlags == origin.addressFlags && interfaceName == origin.interfaceName
  }
}

extension Trigger {
  var provenance: Provenance { Provenance(origin, owner) }
}

/// Each provenance once, with how many triggers have it.
struct Provenances: Sendable {
  private struct Entry: Sendable {
    let value: Provenance
    var users: UInt32
  }

  private var entries = HashedRows<Entry>()
  /// The one that was taken last: what comes in a flood comes from one place.
  private var last: Int32 = -1

  subscript(number: Int32) -> Provenance { entries[number].value }

  mutating func take(_ value: Provenance) -> Int32 {
    if last < 0 || entries[last].value != value {
      let hash = UInt32(truncatingIfNeeded: value.hashValue)
      last = entries.find(hash) { $0.value == value } ?? entries.add(hash) { _ in Entry(value: value, users: 0) }
    }
    entries[last].users += 1
    return last
  }

  mutating func release(_ number: Int32) {
    entries[number].users -= 1
    if entries[number].users > 0 { return }
    entries.remove(number)
    if last == number { last = -1 }
  }
}
