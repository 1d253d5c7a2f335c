import Fuzzing
import Wire

/// Domain names on the wire: refused, or their text, read back as RFC 1035 (5.1) has it, is the same labels.
///
/// The first byte is none of theirs: so names lie at odd places as well.
struct DomainNameTarget: FuzzTarget {
  static let name = "domain-name"
  static let maximumLength = 320
  static let vectors = ""

  static var seeds: [(name: String, input: [UInt8])] {
    let example: [UInt8] = [3, 0x77, 0x77, 0x77, 7] + Array("example".utf8) + [0]
    let strange: [UInt8] = [5, 0x2E, 0x5C, 0, 0xFF, 0x20, 0]
    return [
      ("name", [0] + example), ("strange", [0] + strange), ("list", [0] + example + strange + [0, 0]),
      ("root", [0, 0]),
      ("longest", [0] + (0..<3).flatMap { _ in [63] + zeros(63) } + [61] + zeros(61) + [0]),
    ]
  }

  private let room = Room()

  func run(_ bytes: RawSpan) {
    guard bytes.byteCount > 0 else { return }
    room.place(bytes.extracting(droppingFirst: 1))
    let packet = room.packet
    var offset = 0
    while offset < packet.byteCount, let name = DomainName(packet, at: offset) {
      checkText(name)
      check(name.isEqual(to: name), "a name is not itself")
      offset += name.bytes.byteCount
    }
  }

  private func checkText(_ name: borrowing DomainName) {
    var text: [UInt8] = []
    name.appendText(to: &text)
    check(Self.labels(text) == name.bytes.array, "\(text) stands for other labels")
  }

  private static func labels(_ text: [UInt8]) -> [UInt8] {
    if text.elementsEqual(CollectionOfOne(UInt8(ascii: "."))) { return [0] }
    var labels: [UInt8] = [0]
    labels.reserveCapacity(text.count + 2)
    // Where the length of the label is that comes now.
    var start = 0
    func end() {
      labels[start] = UInt8(labels.count - start - 1)
      start = labels.count
      labels.append(0)
    }
    var index = 0
    while index < text.count {
      switch text[index] {
      case UInt8(ascii: "."): end()
      case UInt8(ascii: "\\") where text[index + 1] < 0x30 || text[index + 1] > 0x39:
        labels.append(text[index + 1])
        index += 1
      case UInt8(ascii: "\\"):
        labels.append((text[index + 1] - 0x30) * 100 + (text[index + 2] - 0x30) * 10 + (text[index + 3] - 0x30))
        index += 3
      default: labels.append(text[index])
      }
      index += 1
    }
    end()
    return labels
  }
}
