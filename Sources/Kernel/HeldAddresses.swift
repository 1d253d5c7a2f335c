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

/// The addresses of all links in one table: one for each link would be half empty a thousand times. What stands on a link
/// with the same bits is nearly always one address without a peer, which takes 48 bytes.
struct HeldAddresses: Sendable {
  private struct Key: Hashable {
    var ip: IPAddress
    var interface: UInt32
  }

  /// One without a peer, without what its key says.
  private struct Plain: Sendable {
    var toldAt: UInt64
    var preferredLifetime: UInt32
    var validLifetime: UInt32
    var cycle: UInt32
    var length: UInt8
    var flags: InterfaceAddress.Flags
    var isHostScope: Bool

    init(_ address: HeldAddress) {
      toldAt = address.toldAt
      preferredLifetime = address.value.preferredLifetime
      validLifetime = address.value.validLifetime
      cycle = address.cycle
      length = address.value.prefix.length
      flags = address.value.flags
      isHostScope = address.value.isHostScope
    }

    func whole(_ key: Key) -> HeldAddress {
      let value = InterfaceAddress(
        interface: key.interface, prefix: IPPrefix(key.ip, length), flags: flags, isHostScope: isHostScope,
        preferredLifetime: preferredLifetime, validLifetime: validLifetime)
      return HeldAddress(value: value, peer: nil, toldAt: toldAt, cycle: cycle)
    }
  }

  /// The first one without a peer.
  private var plain: [Key: Plain] = [:]
  private var more: [Key: [HeldAddress]] = [:]

  func contains(_ ip: IPAddress, on interface: UInt32) -> Bool {
    let key = Key(ip: ip, interface: interface)
    return plain[key] != nil || more[key] != nil
  }

  func find(_ prefix: IPPrefix, _ peer: IPAddress?, on interface: UInt32) -> HeldAddress? {
    let key = Key(ip: prefix.address, interface: interface)
    if peer == nil, let plain = plain[key], plain.length == prefix.length { return plain.whole(key) }
    return more.isEmpty ? nil : more[key]?.first { $0.is(prefix, peer) }
  }

  /// The first one with this prefix, whatever its peer.
  func find(_ prefix: IPPrefix, on interface: UInt32) -> HeldAddress? {
    if let plain = find(prefix, nil, on: interface) { return plain }
    return more[Key(ip: prefix.address, interface: interface)]?.first { $0.value.prefix == prefix }
  }

  mutating func set(_ address: HeldAddress) {
    let key = Key(ip: address.value.prefix.address, interface: address.value.interface)
    if let place = more[key]?.firstIndex(where: { $0.is(address.value.prefix, address.peer) }) {
      more[key]?[place] = address
    } else if address.peer == nil, plain[key] == nil || plain[key]?.length == address.value.prefix.length {
      plain[key] = Plain(address)
    } else {
      more[key, default: []].append(address)
    }
  }

  mutating func remove(_ prefix: IPPrefix, _ peer: IPAddress?, on interface: UInt32) {
    let key = Key(ip: prefix.address, interface: interface)
    if peer == nil, plain[key]?.length == prefix.length {
      plain[key] = nil
    } else if var rest = more[key] {
      rest.removeAll { $0.is(prefix, peer) }
      more[key] = rest.isEmpty ? nil : rest
    }
  }

  /// Those of one link, or of all.
  func filter(_ isWanted: (HeldAddress) -> Bool, on interface: UInt32? = nil) -> [HeldAddress] {
    var result: [HeldAddress] = []
    for (key, plain) in plain where interface == nil || key.interface == interface {
      let whole = plain.whole(key)
      if isWanted(whole) { result.append(whole) }
    }
    for (key, addresses) in more where interface == nil || key.interface == interface {
      for address in addresses where isWanted(address) { result.append(address) }
    }
    return result
  }
}
