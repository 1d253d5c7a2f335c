import Fuzzing
import Messages
import Provisioning
import Wire

/// From a captured packet to the messages that subscribers read, without a socket in between: packets of strangers, what
/// the kernel says, clients' triggers and time change a state, and what it announces is written, read again and compared
/// with what there is.
///
/// An input is a row of steps. Below 0x80 a step's first byte says how a packet arrives; its length, 2 bytes, and the
/// packet follow. From 0x80 on it is an event of four bytes.
struct StateTarget: FuzzTarget {
  static let name = "state"
  static let maximumLength = 1500
  static let vectors = ""

  static var seeds: [(name: String, input: [UInt8])] {
    let packets = GoldenPacket.all.map { golden in
      let steps = step(golden.bytes, isOutgoing: false) + step(golden.bytes, isOutgoing: true)
      return (golden.description.filter { $0 != " " }, steps)
    }
    let leases =
      step(GoldenPacket.request.bytes, isOutgoing: true) + step(GoldenPacket.acknowledgement.bytes)
      + step(GoldenPacket.informationRequest.bytes, isOutgoing: true) + step(GoldenPacket.reply.bytes)
    let router = step(GoldenPacket.routerAdvertisement.bytes)
    let kernel: [UInt8] = (0..<6).flatMap { kind in (0..<8).flatMap { [0x80 | kind, $0 &* 37, $0 &* 11, $0 &* 5] } }
    let triggers: [UInt8] = (0..<12).flatMap { [0x86, $0, $0 &* 29, 1 + $0 / 2] }
    return packets + [
      ("leases-that-end", leases + [0x80, 200, 1, 0] + leases),
      ("router-that-ends", router + [0x80, 200, 1, 0] + router + [0x80, 255, 1, 0]),
      ("link-that-goes", router + leases + [0x81, 1, 0, 0]), ("kernel", kernel),
      ("triggers", triggers + router + triggers),
    ]
  }

  static func seed(ofPacket packet: [UInt8], _ family: Family) -> [UInt8]? {
    step(packet, isOutgoing: packet.count > 23 && family == .v4 && packet[21] == 68) + [0x80, 3, 1, 0] + step(packet)
  }

  private static func step(_ packet: [UInt8], isOutgoing: Bool = false) -> [UInt8] {
    let bytes = packet.prefix(700)
    let way = Way(family(of: packet)).byte | (isOutgoing ? 2 : 0)
    return [way, UInt8(bytes.count >> 8), UInt8(bytes.count & 0xFF)] + bytes
  }

  func run(_ bytes: RawSpan) {
    var telling = Telling.host()
    var program = Program(bytes)
    while !program.isAtEnd {
      let first = program.byte()
      if first & 0x80 == 0 {
        let length = Int(program.byte() & 7) << 8 | Int(program.byte())
        telling.hear(program.bytes(length), Way(byte: first))
      } else {
        telling.happen(first & 0x7F, program.byte(), program.byte(), program.byte())
      }
    }
    telling.checkItems()
  }

  func mend(_ input: UnsafeMutableBufferPointer<UInt8>) { unsafe mendPackets(input, otherStep: 4) }
}
