import Fuzzing
import Wire

/// What the network sends, from its IP header on: refused by name, or every getter of it can be read, and what is read is
/// the same wherever in memory the packet lies.
///
/// The first byte says how it arrived; the packet follows.
struct PacketTarget: FuzzTarget {
  static let name = "packet"
  static let maximumLength = 1500
  static let vectors = ""

  static var seeds: [(name: String, input: [UInt8])] {
    GoldenPacket.all.map { golden in
      (golden.description.filter { $0 != " " }, [Way(family(of: golden.bytes)).byte] + golden.bytes)
    }
  }

  static func seed(ofPacket packet: [UInt8], _ family: Family) -> [UInt8]? { [Way(family).byte] + packet }

  private let room = Room()

  func run(_ bytes: RawSpan) {
    guard bytes.byteCount > 0 else { return }
    let way = Way(byte: unsafe bytes.unsafeLoad(fromByteOffset: 0, as: UInt8.self))
    room.place(bytes.extracting(droppingFirst: 1))
    readTwice(room, way.family, way.arrival)
  }

  func mend(_ input: UnsafeMutableBufferPointer<UInt8>) {
    guard input.count > 1 else { return }
    unsafe mendPacket(UnsafeMutableBufferPointer(rebasing: input[1...]), Way(byte: input[0]).family)
  }
}
