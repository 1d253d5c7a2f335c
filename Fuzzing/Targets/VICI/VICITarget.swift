import Fuzzing
import VICI
import Wire

/// What an IKE daemon sends over VICI: the same packets come out however the stream cuts them, and messages are refused or
/// properly nested.
struct VICITarget: FuzzTarget {
  static let name = "vici"
  static let maximumLength = 1024
  static let vectors = ""

  static var seeds: [(name: String, input: [UInt8])] {
    func name(_ text: String) -> [UInt8] { [UInt8(text.utf8.count)] + Array(text.utf8) }
    func value(_ key: String, _ value: String) -> [UInt8] { [3] + name(key) + [0] + name(value) }
    func framed(_ packet: [UInt8]) -> [UInt8] { [0, 0, UInt8(packet.count >> 8), UInt8(packet.count & 0xFF)] + packet }
    let association =
      [1] + name("lab") + value("uniqueid", "1") + value("version", "2") + value("state", "ESTABLISHED")
      + value("local-host", "10.1.0.10") + value("remote-host", "10.9.0.2") + value("remote-port", "4500") + [2]
    let update = value("local-host", "2001:db8::1") + value("remote-host", "2001:db8::2") + association
    let list = [4] + name("tasks") + [5, 0] + name("IKE_MOBIKE") + [6]
    return [
      ("listed", framed([7] + name("list-sa") + association)), ("update", framed([7] + name("ike-update") + update)),
      ("end", framed([1])), ("list", framed([1] + list)), ("words", framed([5]) + framed([6]) + framed([2])),
    ]
  }

  func run(_ bytes: RawSpan) {
    let stream = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
    let whole = Self.packets(stream, each: max(stream.count, 1))
    check(Self.packets(stream, each: 1) == whole, "byte by byte there are other packets")
    check(Self.packets(stream, each: 7) == whole, "cut otherwise there are other packets")
    for packet in whole {
      switch packet {
      case .event(_, let message), .response(let message):
        Self.walk(message)
        if let known = try? SecurityAssociation.read(message) { check(!known.remote.isUnspecified, "a peer nowhere") }
        _ = try? AddressUpdate.read(message)
      default: break
      }
    }
  }

  private static func packets(_ bytes: [UInt8], each size: Int) -> [VICI.Packet] {
    var stream = PacketStream()
    var packets: [VICI.Packet] = []
    for start in stride(from: 0, to: bytes.count, by: size) {
      stream.append(bytes[start..<min(start + size, bytes.count)])
      do throws(VICIRefusal) {
        while let packet = try stream.next() { packets.append(packet) }
      } catch { return packets }
    }
    return packets
  }

  private static func walk(_ message: ArraySlice<UInt8>) {
    var elements = Elements(message)
    var (depth, count, isInList) = (0, 0, false)
    while let element = try? elements.next() {
      count += 1
      switch element {
      case .sectionStart: depth += 1
      case .sectionEnd: depth -= 1
      case .listStart: isInList = true
      case .listEnd: isInList = false
      case .listItem: check(isInList, "an item outside of a list")
      case .keyValue: check(!isInList, "a value in a list")
      }
      check(depth >= 0 && depth == elements.depth, "a section ends that has not begun")
    }
    check(count <= message.count, "more elements than bytes")
  }
}
