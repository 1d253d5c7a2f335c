import Fuzzing
import Wire

@testable import Flows

/// The kernel's lists of ping and raw sockets (proc(5)): what is read of a line stands in one, and no line is read twice.
///
/// The first byte's lowest bit is the family; the text follows.
struct SocketListingTarget: FuzzTarget {
  static let name = "socket-listing"
  static let maximumLength = 512
  static let vectors = ""

  static var seeds: [(name: String, input: [UInt8])] {
    let head = "   sl  local_address rem_address   st tx_queue rx_queue\n"
    let rest = "07 00000000:00000000 00:00000000 00000000\n"
    let v4 = "   39: 0A0200C0:0027 00000000:0000 \(rest)"
    let v6 = "    7: B80D0120000000000000000001000000:0080 00000000000000000000000000000000:0000 \(rest)"
    return [
      ("v4", [0] + Array((head + v4 + v4).utf8)), ("v6", [1] + Array((head + v6).utf8)),
      ("mixed", [1] + Array((head + v4 + "\n" + v6).utf8)), ("head", [0] + Array(head.utf8)),
    ]
  }

  func run(_ bytes: RawSpan) {
    let input = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
    guard let first = input.first else { return }
    let family: Family = first & 1 == 0 ? .v4 : .v6
    let text = input.dropFirst()
    var rest = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropFirst()
    var lines = SocketLines(text)
    while let line = lines.next(family) {
      let ends = [Self.text(line.local, line.localPort), Self.text(line.remote, line.remotePort)]
      while let next = rest.first, !ends.allSatisfy({ Self.contains(next, $0) }) { rest.removeFirst() }
      check(!rest.isEmpty, "\(line) stands in no line behind the one before")
      rest.removeFirst()
    }
  }

  /// As the kernel writes an end on a little-endian host.
  private static func text(_ address: IPAddress, _ port: UInt16) -> [UInt8] {
    var words: [UInt32]
    switch address {
    case .v4(let v4): words = [v4.value]
    case .v6(let v6):
      words = [v6.high >> 32, v6.high, v6.low >> 32, v6.low].map { UInt32(truncatingIfNeeded: $0) }
    }
    words = words.map(\.byteSwapped)
    return words.flatMap { digits(UInt64($0), 8) } + [UInt8(ascii: ":")] + digits(UInt64(port), 4)
  }

  private static func digits(_ value: UInt64, _ count: Int) -> [UInt8] {
    let digits = Array("0123456789ABCDEF".utf8)
    return (0..<count).reversed().map { digits[Int(value >> (4 * UInt64($0)) & 15)] }
  }

  private static func contains(_ line: ArraySlice<UInt8>, _ text: [UInt8]) -> Bool {
    line.indices.contains { line[$0...].starts(with: text) }
  }
}
