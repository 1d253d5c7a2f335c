import CAres
import Fuzzing
import Wire

@testable import Resolving

/// What DNS servers answer, id and question apart: addresses of the family asked for, an alias that can be asked for, or
/// a code.
///
/// The first byte's lowest bit is the family; the message follows.
struct AnswerTarget: FuzzTarget {
  static let name = "dns-answer"
  static let maximumLength = 512
  static let vectors = ""
  private static let most = 8

  static var seeds: [(name: String, input: [UInt8])] {
    let question: [UInt8] = [3, 0x77, 0x77, 0x77, 7] + Array("example".utf8) + [0]
    func record(_ type: UInt8, _ data: [UInt8]) -> [UInt8] {
      [0xC0, 12, 0, type, 0, 1, 0, 0, 1, 0, 0, UInt8(data.count)] + data
    }
    func answer(_ type: UInt8, _ records: [[UInt8]], code: UInt8 = 0, truncated: UInt8 = 0) -> [UInt8] {
      [type == 1 ? 0 : 1, 0, 1, 0x81 | truncated, 0x80 | code, 0, 1, 0, UInt8(records.count), 0, 0, 0, 0] + question
        + [0, type, 0, 1] + records.joined()
    }
    let a = record(1, [192, 0, 2, 1])
    let aaaa = record(28, [0x20, 1, 0x0D, 0xB8] + zeros(11) + [1])
    let alias = record(5, [1, 0x61, 0xC0, 12])
    return [
      ("a", answer(1, [a])), ("aaaa", answer(28, [aaaa])), ("alias", answer(1, [alias])),
      ("alias-and-a", answer(1, [alias, a])), ("none", answer(28, [])), ("no-such-name", answer(1, [], code: 3)),
      ("truncated", answer(1, [], truncated: 2)), ("many", answer(1, (0..<20).map { record(1, [192, 0, 2, $0]) })),
    ]
  }

  func run(_ bytes: RawSpan) {
    guard bytes.byteCount > 0 else { return }
    let family: Family = unsafe bytes.unsafeLoad(fromByteOffset: 0, as: UInt8.self) & 1 == 0 ? .v4 : .v6
    var message = unsafe bytes.extracting(droppingFirst: 1).withUnsafeBytes { unsafe Array($0) }
    let count = Int32(message.count)
    let outcome = unsafe message.withUnsafeMutableBufferPointer { bytes -> Outcome? in
      guard let start = bytes.baseAddress else { return nil }
      return unsafe Outcome(start, count, family, atMost: Self.most)
    }
    switch outcome {
    case .addresses(let addresses):
      check(!addresses.isEmpty && addresses.count <= Self.most, "\(addresses.count) addresses")
      for (address, ttl) in addresses {
        check(address.family == family, "\(address) is of the other family")
        check(ttl <= Int32.max, "a time to live of \(ttl)")
      }
    case .code(let code, _): check(code < 16, "code \(code)")
    case .alias(let name): check(!name.contains(0) && name.count <= 1024, "an alias of \(name.count) bytes")
    case .truncated, .garbled, nil: break
    case .unreachable, .timedOut: check(false, "no outcome of an answer")
    }
  }
}
