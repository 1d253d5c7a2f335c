import Provisioning
import Wire

/// Links and their addresses. An address that comes before its link (a notification in the middle of the dump of
/// links) is held, and told right after the link.
///
/// libnl's address cache is a plain list: 10,000 addresses took it 1.3 s to fill, where reading them takes 16 ms.
/// What is beyond `linkLimit` and `addressLimit` (of all links together) is refused.
struct Interfaces: Sendable {
  struct Interface: Sendable {
    /// nil as long as only addresses came.
    var link: Link?
    var cycle: UInt32
    var addressCount: UInt32 = 0
    var ipv4Count: UInt32 = 0
  }

  let linkLimit: Int
  let addressLimit: Int
  private var interfaces: [UInt32: Interface] = [:]
  private var addresses = HeldAddresses()
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
    if old.link == nil, old.addressCount > 0 {
      for address in addresses.filter({ _ in true }, on: link.index) { body(.address(address.value)) }
    }
    return true
  }

  func routingTable(of index: UInt32) -> UInt32 { interfaces[index]?.link?.routingTable ?? RoutingTable.main }

  func isTold(_ index: UInt32) -> Bool { interfaces[index]?.link != nil }

  /// Takes a link's addresses away; `removeLink` must follow. The kernel has said before that they went, so there are
  /// none, unless it could not say so.
  mutating func removeAddresses(of index: UInt32, _ body: (KernelEvent) -> Void) {
    guard let interface = interfaces[index], interface.addressCount > 0 else { return }
    interfaces[index]?.addressCount = 0
    interfaces[index]?.ipv4Count = 0
    for address in addresses.filter({ _ in true }, on: index) {
      let prefix = address.value.prefix
      addresses.remove(prefix, address.peer, on: index)
      addressCount -= 1
      if interface.link != nil, addresses.find(prefix, on: index) == nil {
        body(.addressRemoved(interface: index, prefix))
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
    var address = HeldAddress(value: value, peer: peer, toldAt: now, cycle: cycle)
    let old = addresses.find(value.prefix, peer, on: value.interface)
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
    addresses.set(address)
    if old == nil {
      addressCount += 1
      interfaces[value.interface]?.addressCount += 1
      if value.prefix.address.family == .v4 { interfaces[value.interface]?.ipv4Count += 1 }
    }
    if isNews { body(.address(value)) }
    return old == nil ? .new : .known
  }

  /// Whether `new` says nothing that `old` doesn't.
  private static func repeats(_ old: HeldAddress, _ new: HeldAddress, _ isDump: Bool) -> Bool {
    var same = old.value
    same.preferredLifetime = new.value.preferredLifetime
    same.validLifetime = new.value.validLifetime
    return same == new.value && isNear(old.preferredUntil, new.preferredUntil, isDump)
      && isNear(old.validUntil, new.validUntil, isDump)
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
    if addresses.find(prefix, peer, on: index) == nil { return nil }
    addresses.remove(prefix, peer, on: index)
    addressCount -= 1
    interfaces[index]?.addressCount -= 1
    if prefix.address.family == .v4 { interfaces[index]?.ipv4Count -= 1 }
    guard let interface = interfaces[index] else { return nil }
    if interface.link == nil {
      if interface.addressCount == 0 { interfaces[index] = nil }
    } else if let twin = addresses.find(prefix, on: index) {
      body(.address(twin.value))
    } else {
      body(.addressRemoved(interface: index, prefix))
    }
    return Removed(
      sourceIsGone: !addresses.contains(prefix.address, on: index),
      wasLastIPv4: prefix.address.family == .v4 && interface.ipv4Count == 0)
  }

  /// Addresses that the dump did not bring.
  func addressesLeft(cycle: UInt32) -> [HeldAddress] {
    addresses.filter { $0.cycle != cycle }
  }
}
