import Foundation
import Messages
import Testing
import Wire

/// One message of Tests/Vectors: its fields as text and its bytes.
struct Vector: CustomTestStringConvertible, Sendable {
  struct Item: Sendable {
    var kind: String
    /// `key=value` in the file's order, as one line.
    var text: String
    var fields: [String: String]
    var bytes: [UInt8] = []

    init(_ line: Substring) {
      let words = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
      kind = String(words[0])
      text = words.count > 1 ? String(words[1]) : ""
      fields = [:]
      for word in text.split(separator: " ") {
        let pair = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        fields[String(pair[0])] = String(pair[1])
      }
    }

    /// A number; 0 where the field is not named.
    func number<T: FixedWidthInteger>(_ key: String) -> T { fields[key].map { T($0)! } ?? 0 }
    func string(_ key: String) -> [UInt8] { Array((fields[key] ?? "").utf8) }
    func address(_ key: String = "address") -> IPAddress { IPAddress(text: fields[key]!)! }
    func socketAddress(_ key: String = "address") -> SocketAddress {
      SocketAddress(address(key), port: number("port"), scope: number("scope"))
    }
  }

  enum Family: String, CaseIterable, Sendable { case trigger, mif }

  var family: Family
  var name: String
  /// The header; `kind` is the message's name.
  var message: Item
  var payloads: [Item] = []

  var bytes: [UInt8] { message.bytes + payloads.flatMap { $0.bytes } }
  var testDescription: String { name }

  static let all = Family.allCases.flatMap { load($0) }
  static func named(_ name: String) -> Vector { all.first { $0.name == name }! }

  private static func load(_ family: Family) -> [Vector] {
    let text = try! String(
      contentsOf: repository.appending(path: "Tests/Vectors/\(family.rawValue).txt"), encoding: .utf8)
    var vectors: [Vector] = []
    var name = ""
    for line in text.split(separator: "\n") {
      if line.hasPrefix("#") { continue }
      if line.hasPrefix("vector ") {
        name = String(line.dropFirst(7))
      } else if line.hasPrefix("message ") {
        vectors.append(Vector(family: family, name: name, message: Item(line.dropFirst(8))))
      } else if line.hasPrefix("payload ") {
        vectors[vectors.count - 1].payloads.append(Item(line.dropFirst(8)))
      } else {
        let bytes = line.split(separator: " ").map { UInt8($0, radix: 16)! }
        if vectors[vectors.count - 1].payloads.isEmpty {
          vectors[vectors.count - 1].message.bytes += bytes
        } else {
          vectors[vectors.count - 1].payloads[vectors[vectors.count - 1].payloads.count - 1].bytes += bytes
        }
      }
    }
    return vectors
  }
}

/// The repository's folder.
let repository = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  .deletingLastPathComponent()

extension IPAddress {
  /// The C library's opinion of an address in text form.
  init?(text: String) {
    var v4 = in_addr()
    var v6 = in6_addr()
    if unsafe inet_pton(AF_INET, text, &v4) == 1 {
      self = .v4(IPv4Address(UInt32(bigEndian: v4.s_addr)))
    } else if unsafe inet_pton(AF_INET6, text, &v6) == 1 {
      let bytes = unsafe withUnsafeBytes(of: &v6) { unsafe Array($0) }
      func half(_ range: Range<Int>) -> UInt64 { bytes[range].reduce(0) { $0 << 8 | UInt64($1) } }
      self = .v6(IPv6Address(half(0..<8), half(8..<16)))
    } else {
      return nil
    }
  }

  var text: String {
    switch self {
    case .v4(let v4): (0..<4).map { String(v4.value >> (24 - 8 * $0) & 0xFF) }.joined(separator: ".")
    case .v6(let v6):
      IPAddress.v6Text(
        [v6.high, v6.low].flatMap { half in (0..<8).map { UInt8(truncatingIfNeeded: half >> (56 - 8 * $0)) } })
    }
  }

  private static func v6Text(_ bytes: [UInt8]) -> String {
    var buffer = [CChar](repeating: 0, count: 64)
    _ = unsafe inet_ntop(AF_INET6, bytes, &buffer, 64)
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

/// What `body` writes, as an array.
func written(
  capacity: Int = FrameHeader.maximumMessageLength, _ body: (inout MessageWriter) throws(MessageOverflow) -> Void
) throws(MessageOverflow) -> [UInt8] {
  var memory = [UInt8](repeating: 0xEE, count: capacity)
  var bytes = memory.mutableSpan
  var writer = MessageWriter(unsafe bytes.mutableBytes)
  try body(&writer)
  var result: [UInt8] = []
  let message = writer.message
  for index in 0..<message.byteCount { result.append(message.byte(index)) }
  return result
}

extension [UInt8] {
  var raw: RawSpan {
    @_lifetime(borrow self)
    get { unsafe span.bytes }
  }
}

extension RawSpan {
  func byte(_ offset: Int) -> UInt8 { unsafe unsafeLoad(fromByteOffset: offset, as: UInt8.self) }
}
