import Provisioning
import Wire

/// An address of a link as it is held.
struct HeldAddress: Sendable {
  var value: InterfaceAddress
  /// The other end's, where it has one: the same address may stand on a link with several peers or lengths.
  var peer: IPAddress?
  /// When the kernel told what is left of its lifetimes, which shrinks by itself; nanoseconds.
  var toldAt: UInt64
  var cycle: UInt32

  /// When its lifetimes run out, nanoseconds.
  var preferredUntil: UInt64 { end(value.preferredLifetime) }
  var validUntil: UInt64 { end(value.validLifetime) }

  private func end(_ seconds: UInt32) -> UInt64 {
    seconds == .max ? .max : toldAt &+ UInt64(seconds) * 1_000_000_000
  }

  func `is`(_ prefix: IPPrefix, _ other: IPAddress?) -> Bool { value.prefix == prefix && peer == other }
}

/// What stands on a link with the same address bits: nearly always one address without a peer, which takes 32 bytes.
struct AddressSlot: Sendable {
  /// The first one without a peer, without what whoever asks knows.
  private struct Plain: Sendable {
    var toldAt: UInt64
    var preferredLifetime: UInt32
    var validLifetime: UInt32
    var cycle: UInt32
    var length: UInt8
    var flags: InterfaceAddress.Flags
    var isHostScope: Bool
  }

  private var plain: Plain?
  private var more: [HeldAddress] = []

  init(_ address: HeldAddress) { set(address) }

  var isEmpty: Bool { plain == nil && more.isEmpty }

  /// `ip` and `interface` are those that the slot is held under.
  func forEach(_ ip: IPAddress, on interface: UInt32, _ body: (HeldAddress) -> Void) {
    if let plain { body(AddressSlot.whole(plain, ip, interface)) }
    for address in more { body(address) }
  }

  private static func whole(_ plain: Plain, _ ip: IPAddress, _ interface: UInt32) -> HeldAddress {
    let value = InterfaceAddress(
      interface: interface, prefix: IPPrefix(ip, plain.length), flags: plain.flags, isHostScope: plain.isHostScope,
      preferredLifetime: plain.preferredLifetime, validLifetime: plain.validLifetime)
    return HeldAddress(value: value, peer: nil, toldAt: plain.toldAt, cycle: plain.cycle)
  }

  func find(_ prefix: IPPrefix, _ peer: IPAddress?, on interface: UInt32) -> HeldAddress? {
    if peer == nil, let plain, plain.length == prefix.length {
      return AddressSlot.whole(plain, prefix.address, interface)
    }
    return more.first { $0.is(prefix, peer) }
  }

  /// The first one with this prefix, whatever its peer.
  func find(_ prefix: IPPrefix, on interface: UInt32) -> HeldAddress? {
    find(prefix, nil, on: interface) ?? more.first { $0.value.prefix == prefix }
  }

  mutating func set(_ address: HeldAddress) {
    if let index = more.firstIndex(where: { $0.is(address.value.prefix, address.peer) }) {
      more[index] = address
    } else if address.peer == nil, plain == nil || plain?.length == address.value.prefix.length {
      plain = Plain(
        toldAt: address.toldAt, preferredLifetime: address.value.preferredLifetime,
        validLifetime: address.value.validLifetime,
        cycle: address.cycle, length: address.value.prefix.length, flags: address.value.flags,
        isHostScope: address.value.isHostScope)
    } else {
      more.append(address)
    }
  }

  mutating func remove(_ prefix: IPPrefix, _ peer: IPAddress?) {
    if peer == nil, plain?.length == prefix.length { plain = nil } else { more.removeAll { $0.is(prefix, peer) } }
  }
}
