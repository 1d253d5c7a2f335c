import Fuzzing
import Wire

/// Frames of capture files, of every link layer: where the packet is lies within the frame, and is decoded from there.
///
/// The first byte chooses the link layer; the frame follows.
struct FrameTarget: FuzzTarget {
  static let name = "frame"
  static let maximumLength = 600
  static let vectors = ""
  private static let dataLinks: [Int32] = [1, 113, 276, 0, 108, 12]

  static var seeds: [(name: String, input: [UInt8])] {
    GoldenPacket.all.flatMap { golden in
      heads(family(of: golden.bytes)).enumerated().map { number, head in
        ("\(golden.description.filter { $0 != " " })-\(number)", head + golden.bytes)
      }
    }
  }

  static func seed(ofPacket packet: [UInt8], _ family: Family) -> [UInt8]? { heads(family)[1] + packet }

  /// One of each link layer, and Ethernet with two VLAN tags.
  private static func heads(_ family: Family) -> [[UInt8]] {
    let type: [UInt8] = family == .v4 ? [0x08, 0x00] : [0x86, 0xDD]
    let number: UInt8 = family == .v4 ? 2 : 10
    let tags: [UInt8] = [0x88, 0xA8, 0, 7, 0x81, 0, 0, 9]
    return [
      [0] + zeros(12) + type, [1] + zeros(14) + type, [2] + type + zeros(18), [3, number, 0, 0, 0],
      [4, 0, 0, 0, number], [5], [0] + zeros(12) + tags + type,
    ]
  }

  private let room = Room()

  func run(_ bytes: RawSpan) {
    guard bytes.byteCount > 0 else { return }
    let choice = Int(unsafe bytes.unsafeLoad(fromByteOffset: 0, as: UInt8.self)) % Self.dataLinks.count
    let layer = need(LinkLayer(dataLink: Self.dataLinks[choice]), "a link layer that is not known")
    room.place(bytes.extracting(droppingFirst: 1))
    guard case .packet(let location) = layer.locate(in: room.packet) else { return }
    check(location.offset <= room.packet.byteCount, "a packet at \(location.offset)")
    check(location.vlans < 1 << 24, "more than two tags: \(location.vlans)")
    let packet = room.packet.extracting(location.offset...)
    let isUnfilled = location.outgoing || hasUnfilledUDPChecksum(packet, location.family)
    let arrival = Arrival(interface: 1, outgoing: location.outgoing, checksum: isUnfilled ? .notReady : .ready)
    _ = refusals(of: packet.array, family: location.family, arrival: arrival)
  }
}
