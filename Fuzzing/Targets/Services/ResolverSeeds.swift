import Fuzzing

/// Programs of the kinds of answers that resolvers have stumbled over.
enum ResolverSeeds {
  private static let a = record(1, [192, 0, 2, 1])
  private static let aaaa = record(28, [0x20, 1, 0x0D, 0xB8] + zeros(11) + [1])
  /// The data of an A record, behind another name.
  private static let bareA = Array(a.dropFirst(2))
  /// CNAME to the question's name, behind another one.
  private static let bareLoop = Array(record(5, [0xC0, 12]).dropFirst(2))
  private static let truncated = answer([], counts: [0, 0, 0], flags: 0x8380)

  private static let good: [(String, [UInt8])] = [
    ("addresses", answer(a) + answer(aaaa)),
    ("twenty-addresses", answer((1...20).flatMap { record(1, [192, 0, 2, $0]) }, counts: [20, 0, 0])),
    ("no-data", answer([], counts: [0, 0, 0])),
    ("name-error", answer([], counts: [0, 0, 0], flags: 0x8183)),
    ("server-failure", answer([], counts: [0, 0, 0], flags: 0x8182)),
    ("format-error", answer([], counts: [0, 0, 0], flags: 0x8181) + answer(a)),
    ("truncated", truncated + truncated + answer(a)),
    ("edns", answer(a + [0, 0, 41, 4, 0xD0, 0, 0, 0, 0, 0, 0], counts: [1, 0, 1])),
  ]

  private static let aliases: [(String, [UInt8])] = [
    ("alias", answer(record(5, [1, 0x61, 0xC0, 12])) + answer(a)),
    ("alias-to-itself", answer(record(5, [0xC0, 12]))),
    ("alias-of-two", answer(record(5, [1, 0x61, 0])) + answer(record(5, [1, 0x62, 0]))),
    ("alias-and-address", answer(record(5, [1, 0x61, 0]) + [1, 0x61, 0] + bareA, counts: [2, 0, 0])),
    ("loop", answer(record(5, [1, 0x61, 0]) + [1, 0x61, 0] + bareLoop, counts: [2, 0, 0])),
  ]

  private static let broken: [(String, [UInt8])] = [
    ("pointer-to-itself", answer([0xC0, 29] + bareA)),
    ("pointers-to-each-other", answer([0xC0, 31, 0xC0, 29] + bareA)),
    ("pointer-past-the-end", answer([0xFF, 0xFF] + bareA)),
    ("label-past-the-end", answer([63, 1, 2])),
    ("counts-without-records", answer([], counts: [255, 255, 255])),
    ("data-past-the-end", answer(Array(a.dropLast(5)) + [0xFF, 192, 0, 2, 1])),
    ("short", [2, 0, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4]),
  ]

  private static let strange: [(String, [UInt8])] = [
    ("somebody-elses-id", answer(a, way: 9)),
    ("another-question", answer(a, way: 0x41)),
    ("silence", answer([], way: 0x80) + answer(a)),
    ("twice", answer(a, way: 5)),
    ("stream-without-lengths", truncated + answer(a, way: 0x31)),
  ]

  static var all: [(name: String, input: [UInt8])] {
    (good + aliases + broken + strange).map { name, answer in
      (name, [0x18] + answer + translate("www.example") + translate("x"))
    }
  }

  // Steps, as `ResolverRun.step` reads them.

  private static func translate(_ name: String) -> [UInt8] { [0, UInt8(name.utf8.count - 1)] + Array(name.utf8) }

  private static func answer(
    _ records: [UInt8], counts: [UInt8] = [1, 0, 0], flags: UInt16 = 0x8180, way: UInt8 = 1
  ) -> [UInt8] {
    let records = records.prefix(255)
    return [2, way, UInt8(flags >> 8), UInt8(flags & 0xFF)] + counts + [UInt8(records.count)] + records
  }

  private static func record(_ type: UInt8, _ data: [UInt8]) -> [UInt8] {
    [0xC0, 12, 0, type, 0, 1, 0, 0, 1, 0, 0, UInt8(data.count)] + data
  }
}
