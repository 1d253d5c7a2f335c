import Provisioning
import Wire

/// Links and their addresses. An address that comes before its link (a notification in the middle of the dump of
/// links) is held, and told right after the link.
///
/// libnl's address cache is a plain list: 10,000 addresses took it 1.3 s to fill, where reading them takes 16 ms.
/// What is beyond `linkLimit` and `addressLimit` (of all links together) is refused.
struct Interfaces: Sendable {
  struct Address: Sendable {
    var value: InterfaceAddress
    /// The other end's, where it has one: the same address may stand on a link with several peers or lengths.
    var peer: IPAddress?
    /// When its lifetimes run out, nanoseconds; the kernel tells what is left of them, which shrinks by itself.
    var preferredUntil: UInt64
    var validUntil: UInt64
    var cycle: UInt32

    func `is`(_ prefix: IPPrefix, _ other: IPAddress?) -> Bool { value.prefix == prefix && peer == other }
  }

  struct Interface: Sendable {
    /// nil as long as only addresses came.
    var link: Link?
    var cycle: UInt32
    var addresses: [IPAddress: Slot] = [:]
    var ipv4Count = 0
  }

  /// What stands on a link with the same address bits, nearly always one.
  struct Slot: Sendable {
    var first: Address
    var more: [Address] = []

    func find(_ prefix: IPPrefix, _ peer: IPAddress?) -> Address? {
      first.is(prefix, peer) ? first : more.first { $0.is(prefix, peer) }
    }

    mutating func set(_ address: Address) {
      if first.is(address.value.prefix, address.peer) {
        first = address
      } else if let index = more.firstIndex(where: { $0.is(address.value.prefix, address.peer) }) {
        more[index] = address
      } else {
        more.append(address)
      }
    }

    /// nil: nothing is left.
    func removing(_ prefix: IPPrefix, _ peer: IPAddress?) -> Slot? {
      var rest = more
      if first.is(prefix, peer) {
        if rest.isEmpty { return nil }
        return Slot(first: rest.removeFirst(), more: rest)
      }
      rest.removeAll { $0.is(prefix, peer) }
      return Slot(first: first, more: rest)
    }
  }

  let linkLimit: Int
  let addressLimit: Int
  private var interfaces: [UInt32: Interface] = [:]
  private(set) var addressCount = 0

  init(linkLimit: Int = 16_384, addressLimit: Int = 65_536) {
    self.linkLimit = linkLimit
    self.addressLimit = addressLimit
  }

  // MARK: Links

  /// False: there is no room.
  mutating func setLink(_ link: Link, cycle: UInt32, _ body: (KernelEvent) -> Void) -> Bool {
    guard let old = interfaces[link.index] else {
      if interfaces.count >= linkLimit { return false }
      interfaces[link.index] = Interface(link: link, cycle: cycle)
      body(.link(link))
      return true
    }
    interfaces[link.index]?.link = link
    interfaces[link.index]?.cycle = cycle
    if old.link != link { body(.link(link)) }
    if old.link == nil {
      for slot in old.addresses.values {
        body(.address(slot.first.value))
        for address in slot.more { body(.address(address.value)) }
      }
    }
    return true
  }

  func routingTable(of index: UInt32) -> UInt32 { interfaces[index]?.link?.routingTable ?? RoutingTable.main }

  func isTold(_ index: UInt32) -> Bool { interfaces[index]?.link != nil }

  /// Takes a link's addresses away; `removeLink` must follow.
  mutating func removeAddresses(of index: UInt32, _ body: (KernelEvent) -> Void) {
    guard let interface = interfaces[index] else { return }
    interfaces[index]?.addresses = [:]
    interfaces[index]?.ipv4Count = 0
    for slot in interface.addresses.values {
      addressCount -= 1 + slot.more.count
      if interface.link == nil { continue }
      body(.addressRemoved(interface: index, slot.first.value.prefix))
      var told = [slot.first.value.prefix]
      for address in slot.more where !told.contains(address.value.prefix) {
        told.append(address.value.prefix)
        body(.addressRemoved(interface: index, address.value.prefix))
      }
    }
  }

  mutating func removeLink(_ index: UInt32, _ body: (KernelEvent) -> Void) {
    guard let interface = interfaces.removeValue(forKey: index) else { return }
    if interface.link != nil { body(.linkRemoved(index: index)) }
  }

  /// Links that the dump did not bring.
  func linksLeft(cycle: UInt32) -> [UInt32] {
    var result: [UInt32] = []
    for (index, interface) in interfaces where interface.link != nil && interface.cycle != cycle {
      result.append(index)
    }
    return result
  }

  // MARK: Addresses

  /// How much two reports of one expiry may differ: the kernel rounds to seconds, and `now` is when it was read.
  private static let tolerance: UInt64 = 2_000_000_000

  enum Added: Sendable { case new, known, refused }

  /// `isDump`: a dump repeats what is known; a notification with a finite lifetime always says that it runs anew.
  mutating func setAddress(
    _ value: InterfaceAddress, peer: IPAddress?, isDump: Bool, cycle: UInt32, at now: UInt64,
    _ body: (KernelEvent) -> Void
  ) -> Added {
    var address = Address(
      value: value, peer: peer, preferredUntil: Self.expiry(value.preferredLifetime, now),
      validUntil: Self.expiry(value.validLifetime, now), cycle: cycle)
    let slot = interfaces[value.interface]?.addresses[value.prefix.address]
    let old = slot?.find(value.prefix, peer)
    if old == nil && addressCount >= addressLimit { return .refused }
    if interfaces[value.interface] == nil {
      if interfaces.count >= linkLimit { return .refused }
      interfaces[value.interface] = Interface(link: nil, cycle: cycle)
    }
    var isNews = interfaces[value.interface]?.link != nil
    if let old, Self.repeats(old, address, isDump) {
      isNews = false
      address = old
      address.cycle = cycle
    }
    if slot == nil {
      interfaces[value.interface]?.addresses[value.prefix.address] = Slot(first: address)
    } else {
      interfaces[value.interface]?.addresses[value.prefix.address]?.set(address)
    }
    if old == nil {
      addressCount += 1
      if value.prefix.address.family == .v4 { interfaces[value.interface]?.ipv4Count += 1 }
    }
    if isNews { body(.address(value)) }
    return old == nil ? .new : .known
  }

  /// Whether `new` says nothing that `old` doesn't.
  private static func repeats(_ old: Address, _ new: Address, _ isDump: Bool) -> Bool {
    var same = old.value
    same.preferredLifetime = new.value.preferredLifetime
    same.validLifetime = new.value.validLifetime
    return same == new.value && isNear(old.preferredUntil, new.preferredUntil, isDump)
      && isNear(old.validUntil, new.validUntil, isDump)
  }

  private static func expiry(_ seconds: UInt32, _ now: UInt64) -> UInt64 {
    seconds == .max ? .max : now &+ UInt64(seconds) * 1_000_000_000
  }

  private static func isNear(_ a: UInt64, _ b: UInt64, _ isDump: Bool) -> Bool {
    if a == b { return true }
    return isDump && a != .max && b != .max && (a > b ? a - b : b - a) <= tolerance
  }

  struct Removed: Sendable {
    /// No address with these bits is left on the link.
    var sourceIsGone: Bool
    /// No IPv4 address is left on the link.
    var wasLastIPv4: Bool
  }

  /// nil: it was not there.
  mutating func removeAddress(
    _ prefix: IPPrefix, peer: IPAddress?, on index: UInt32, _ body: (KernelEvent) -> Void
  ) -> Removed? {
    guard let slot = interfaces[index]?.addresses[prefix.address], slot.find(prefix, peer) != nil else { return nil }
    let rest = slot.removing(prefix, peer)
    interfaces[index]?.addresses[prefix.address] = rest
    addressCount -= 1
    if prefix.address.family == .v4 { interfaces[index]?.ipv4Count -= 1 }
    guard let interface = interfaces[index] else { return nil }
    if interface.link == nil {
      if interface.addresses.isEmpty { interfaces[index] = nil }
    } else if let twin = rest.flatMap({
      $0.first.value.prefix == prefix ? $0.first : $0.more.first { $0.value.prefix == prefix }
    }) {
      body(.address(twin.value))
    } else {
      body(.addressRemoved(interface: index, prefix))
    }
    return Removed(
      sourceIsGone: rest == nil, wasLastIPv4: prefix.address.family == .v4 && interface.ipv4Count == 0)
  }

  /// Addresses that the dump did not bring.
  func addressesLeft(cycle: UInt32) -> [Address] {
    var result: [Address] = []
    for interface in interfaces.values {
      for slot in interface.addresses.values {
        if slot.first.cycle != cycle { result.append(slot.first) }
        for address in slot.more where address.cycle != cycle { result.append(address) }
      }
    }
    return result
  }
}
