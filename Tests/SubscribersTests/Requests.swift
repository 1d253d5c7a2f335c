import Wire

/// Requests as docs/protocol.md has them, byte by byte and not by the agent's own writer.
func message(
  _ type: UInt8, version: UInt8 = 1, flags: UInt8 = 0, length: UInt16? = nil, sequence: UInt32 = 1,
  pid: UInt32 = 4711, _ payloads: [UInt8]...
) -> [UInt8] {
  let payloads = payloads.flatMap { $0 }
  return [version, type, 0, flags] + bytes(length ?? UInt16((16 + payloads.count) / 8)) + [0, 0] + bytes(sequence)
    + bytes(pid) + payloads
}

func bytes<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
  var rest = value.littleEndian
  return (0..<T.bitWidth / 8).map { _ in
    defer { rest >>= 8 }
    return UInt8(truncatingIfNeeded: rest)
  }
}

enum TDB {
  static func trigger(type: UInt16 = 0, id: UInt32 = 0) -> [UInt8] {
    bytes(UInt16(2)) + bytes(UInt16(2)) + bytes(type) + [0, 0] + bytes(id) + [0, 0, 0, 0]
  }
  static func address(_ a: UInt8, _ b: UInt8, _ c: UInt8, _ d: UInt8, prefix: UInt8 = 32, family: UInt16 = 2) -> [UInt8]
  {
    bytes(UInt16(3)) + bytes(UInt16(1)) + [prefix, 0, 0, 0] + bytes(family) + [0, 0, a, b, c, d]
      + [UInt8](repeating: 0, count: 8)
  }
  static func address6(_ last: UInt8, prefix: UInt8 = 128) -> [UInt8] {
    bytes(UInt16(5)) + bytes(UInt16(1)) + [prefix, 0, 0, 0] + bytes(UInt16(10)) + [0, 0, 0, 0, 0, 0]
      + [0x20, 0x01, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [last] + [UInt8](repeating: 0, count: 8)
  }

  static func add(type: UInt16 = 7, _ sequence: UInt32 = 1, addresses: [UInt8] = []) -> [UInt8] {
    message(1, sequence: sequence, trigger(type: type), addresses)
  }
  static func get(_ id: UInt32, _ sequence: UInt32 = 1) -> [UInt8] { message(2, sequence: sequence, trigger(id: id)) }
  static func delete(_ id: UInt32, _ sequence: UInt32 = 1) -> [UInt8] {
    message(3, sequence: sequence, trigger(id: id))
  }
  static func register(_ flags: UInt8 = 0, _ sequence: UInt32 = 1) -> [UInt8] {
    message(4, flags: flags, sequence: sequence)
  }
  static func modify(_ id: UInt32, type: UInt16 = 7, _ sequence: UInt32 = 1, addresses: [UInt8] = []) -> [UInt8] {
    message(6, sequence: sequence, trigger(type: type, id: id), addresses)
  }

  /// FILTER by types, and by an IPv4 prefix: two bytes of its address, and its length.
  static func filter(
    _ types: [UInt16] = [], interface: UInt32 = 0, in prefix: (UInt8, UInt8, UInt8)? = nil
  ) -> [UInt8] {
    let padding = [UInt8](repeating: 0, count: (4 - types.count % 4) % 4 * 2)
    let sockaddr = prefix.map { bytes(UInt16(2)) + [0, 0, $0.0, $0.1, 0, 0] } ?? []
    return bytes(UInt16(6 + (types.count + 3) / 4)) + bytes(UInt16(0x8002)) + bytes(interface)
      + [prefix?.2 ?? 0, UInt8(types.count), 0, 0, 0, 0, 0, 0] + sockaddr
      + [UInt8](repeating: 0, count: 32 - sockaddr.count) + types.flatMap { bytes($0) } + padding
  }
  static func register(_ flags: UInt8, _ filter: [UInt8], _ sequence: UInt32 = 1) -> [UInt8] {
    message(4, flags: flags, sequence: sequence, filter)
  }

  static let cause: UInt8 = 1
  static let replay: UInt8 = 2
  static let origin: UInt8 = 4
  static let ring: UInt8 = 8
  static let filtered: UInt8 = 0x10
}

enum MIF {
  static func interface(_ index: UInt32) -> [UInt8] {
    bytes(UInt16(4)) + bytes(UInt16(1)) + bytes(index) + [UInt8](repeating: 0, count: 24)
  }
  static func pvd(_ id: UInt32) -> [UInt8] {
    bytes(UInt16(2)) + bytes(UInt16(2)) + bytes(id) + [UInt8](repeating: 0, count: 8)
  }
  static func element(_ type: UInt16, _ identifier: UInt32 = 0) -> [UInt8] {
    bytes(UInt16(2)) + bytes(UInt16(3)) + bytes(type) + [0, 0] + bytes(identifier) + [0, 0, 0, 0]
  }

  static func interfaces(_ sequence: UInt32 = 1) -> [UInt8] { message(1, sequence: sequence) }
  static func stopInterfaces(_ sequence: UInt32 = 1) -> [UInt8] { message(2, sequence: sequence) }
  static func pvds(_ index: UInt32, _ sequence: UInt32 = 1) -> [UInt8] {
    message(5, sequence: sequence, interface(index))
  }
  static func elements(_ id: UInt32, _ sequence: UInt32 = 1) -> [UInt8] { message(9, sequence: sequence, pvd(id)) }
  static func addresses(_ id: UInt32, _ sequence: UInt32 = 1) -> [UInt8] { message(13, sequence: sequence, pvd(id)) }
  static func configuration(
    _ id: UInt32, _ type: UInt16, _ identifier: UInt32 = 0, _ sequence: UInt32 = 1
  ) -> [UInt8] {
    message(17, sequence: sequence, pvd(id), element(type, identifier))
  }
  static func statistics(_ sequence: UInt32 = 1) -> [UInt8] { message(36, sequence: sequence) }
}

/// A Router Advertisement (RFC 4861 4.2) with its IPv6 header; the checksum is left to a card that never was.
func routerAdvertisement(from router: UInt8 = 1, lifetime: UInt16 = 1800, _ options: [UInt8]...) -> [UInt8] {
  let options = options.flatMap { $0 }
  let body: [UInt8] =
    [134, 0, 0, 0, 64, 0, UInt8(lifetime >> 8), UInt8(lifetime & 0xFF), 0, 0, 0, 0, 0, 0, 0, 0] + options
  let linkLocal: [UInt8] = [0xFE, 0x80] + [UInt8](repeating: 0, count: 13)
  let allNodes: [UInt8] = [0xFF, 0x02] + [UInt8](repeating: 0, count: 13) + [1]
  return [0x60, 0, 0, 0, UInt8(body.count >> 8), UInt8(body.count & 0xFF), 58, 255] + linkLocal + [router] + allNodes
    + body
}

enum RAOption {
  /// 2001:db8:0:`subnet`::/64 on-link and autonomous, for an hour (RFC 4861 4.6.2).
  static func prefix(_ subnet: UInt8) -> [UInt8] {
    [3, 4, 64, 0xC0, 0, 0, 0x0E, 0x10, 0, 0, 0x0E, 0x10, 0, 0, 0, 0, 0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, subnet]
      + [UInt8](repeating: 0, count: 8)
  }
  /// RDNSS with one server (RFC 8106 5.1).
  static func server(_ last: UInt8) -> [UInt8] {
    [25, 3, 0, 0, 0, 0, 0x0E, 0x10, 0x20, 0x01, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [last]
  }
  /// DNSSL with one name of 255 bytes on the wire: four labels, the last one told apart by `number` (RFC 8106 5.2).
  static func longName(_ number: UInt16) -> [UInt8] {
    let label: [UInt8] = [63] + [UInt8](repeating: UInt8(ascii: "a"), count: 63)
    let digits = String(number).utf8.map { $0 }
    let last = [UInt8](repeating: UInt8(ascii: "b"), count: 61 - digits.count) + digits
    let name = label + label + label + [61] + last + [0]
    return [31, 33, 0, 0, 0, 0, 0x0E, 0x10] + name + [0]
  }
}

func address6(_ subnet: UInt8, _ host: UInt64) -> IPAddress {
  .v6(IPv6Address(0x2001_0DB8_0000_0000 | UInt64(subnet), host))
}

extension RAOption {
  /// The PvD option (RFC 8801 3.1) for pvd.example, without a header of its own, with options inside.
  static func pvd(_ options: [UInt8]...) -> [UInt8] {
    let options = options.flatMap { $0 }
    let name: [UInt8] = [3] + Array("pvd".utf8) + [7] + Array("example".utf8) + [0]
    return [21, UInt8((24 + options.count) / 8), 0, 0, 0, 1] + name + [UInt8](repeating: 0, count: 5) + options
  }
}
