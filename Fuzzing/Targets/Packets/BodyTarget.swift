import Fuzzing
import Wire

/// One decoder's input: what it is packed in is right, whatever the input is.
protocol Body {
  static var name: String { get }
  static var maximumLength: Int { get }
  static var family: Family { get }
  /// Everything before the input, but for lengths and checksums: the IP header, and UDP's where it has one.
  static var head: [UInt8] { get }
  /// Whether a packet of the captures is of this kind.
  static func takes(_ packet: [UInt8]) -> Bool
  /// Makes the head fit the body, which lies behind it in the room.
  static func fit(_ room: Room)
}

struct BodyTarget<Kind: Body>: FuzzTarget {
  static var name: String { Kind.name }
  static var maximumLength: Int { Kind.maximumLength }
  static var vectors: String { "" }

  static var seeds: [(name: String, input: [UInt8])] {
    GoldenPacket.all.compactMap { golden in
      seed(ofPacket: golden.bytes, golden.bytes[0] >> 4 == 4 ? .v4 : .v6).map {
        (golden.description.filter { $0 != " " }, $0)
      }
    }
  }

  static func seed(ofPacket packet: [UInt8], _ family: Family) -> [UInt8]? {
    guard family == Kind.family, packet.count >= Kind.head.count, Kind.takes(packet) else { return nil }
    return Array(packet[Kind.head.count...])
  }

  private let room = Room()
  private let head = Kind.head

  func run(_ bytes: RawSpan) {
    room.place(head: head, bytes)
    let count = bytes.byteCount
    let network = Kind.family == .v4 ? 20 : 40
    if head.count > network { room.put(head.count - network + count, at: network + 4) }
    if count > 0 { Kind.fit(room) }
    switch Kind.family {
    case .v4:
      room.put(head.count + count, at: 2)
      room.put(0, at: 10)
      room.put(room.headerChecksum, at: 10)
    case .v6: room.put(head.count - network + count, at: 4)
    }
    readTwice(room, Kind.family, Arrival(interface: 1, checksum: .notReady))
  }
}

enum RouterAdvertisementBody: Body {
  static let name = "router-advertisement"
  static let maximumLength = 1024
  static let family = Family.v6
  static let head = header6(58, hopLimit: 255)
  static func takes(_ packet: [UInt8]) -> Bool { packet[6] == 58 && packet[7] == 255 }
  static func fit(_ room: Room) {}
}

enum DHCPv4Body: Body {
  static let name = "dhcpv4"
  static let maximumLength = 1024
  static let family = Family.v4
  static let head = header4(17) + zeros(8)
  static func takes(_ packet: [UInt8]) -> Bool { packet[0] == 0x45 && packet[9] == 17 }

  /// Requests go to the server's port, everything else to the client's.
  static func fit(_ room: Room) {
    let isRequest = room[head.count] == 1
    room.put(isRequest ? 68 : 67, at: 20)
    room.put(isRequest ? 67 : 68, at: 22)
  }
}

enum DHCPv6Body: Body {
  static let name = "dhcpv6"
  static let maximumLength = 1024
  static let family = Family.v6
  static let head = header6(17, hopLimit: 64) + zeros(8)
  static func takes(_ packet: [UInt8]) -> Bool { packet[6] == 17 }

  /// ADVERTISE, REPLY and RECONFIGURE go to the client's port, everything else to the server's.
  static func fit(_ room: Room) {
    let isToClient = [2, 7, 10].contains(room[head.count])
    room.put(isToClient ? 547 : 546, at: 40)
    room.put(isToClient ? 546 : 547, at: 42)
  }
}

enum ICMPErrorBody: Body {
  static let name = "icmp-error"
  static let maximumLength = 576
  static let family = Family.v4
  static let head = header4(1)
  static func takes(_ packet: [UInt8]) -> Bool { packet[0] == 0x45 && packet[9] == 1 }
  /// Whoever has sent what is quoted is told of it.
  static func fit(_ room: Room) { room.copy(4, from: 20 + 8 + 12, to: 16) }
}

enum ICMPv6ErrorBody: Body {
  static let name = "icmpv6-error"
  static let maximumLength = 1240
  static let family = Family.v6
  static let head = header6(58, hopLimit: 64)
  static func takes(_ packet: [UInt8]) -> Bool { packet[6] == 58 && packet[7] != 255 }
  static func fit(_ room: Room) { room.copy(16, from: 40 + 8 + 8, to: 24) }
}

private func header4(_ number: UInt8) -> [UInt8] {
  [0x45, 0, 0, 0, 0, 0, 0, 0, 64, number, 0, 0, 192, 0, 2, 1, 192, 0, 2, 10]
}

/// From a router to a host, both link-local.
private func header6(_ number: UInt8, hopLimit: UInt8) -> [UInt8] {
  let end: [UInt8] = [0xFE, 0x80] + zeros(13)
  return [0x60, 0, 0, 0, 0, 0, number, hopLimit] + end + [1] + end + [2]
}
