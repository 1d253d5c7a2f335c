/// `key = value` lines as configuration files have them; `#` begins a comment.
package enum SettingLines {
  /// A line that can't be taken: where, and what to do.
  package struct Mistake: Error, Sendable {
    /// From 1.
    package var line: Int
    package var message: [UInt8]
  }

  /// Why a setting can't be taken.
  package enum Reason: Error, Sendable {
    case unknownKey
    /// What is wanted, as in "yes or no".
    case value(StaticString)
    case number(ClosedRange<UInt32>)
  }

  /// Hands each setting over, in the order of the lines, without blanks around it.
  package static func read(
    _ text: [UInt8], _ set: (_ key: ArraySlice<UInt8>, _ value: ArraySlice<UInt8>) throws(Reason) -> Void
  ) throws(Mistake) {
    var number = 0
    for line in text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
      number += 1
      let content = line.prefix { $0 != UInt8(ascii: "#") }.trimmed
      if content.isEmpty { continue }
      guard let equals = content.firstIndex(of: UInt8(ascii: "=")) else {
        throw Mistake(line: number, message: Array("expected 'key = value'".utf8))
      }
      let key = content[..<equals].trimmed
      let value = content[(equals + 1)...].trimmed
      do throws(Reason) {
        try set(key, value)
      } catch {
        throw Mistake(line: number, message: message(error, key, value))
      }
    }
  }

  private static func message(_ reason: Reason, _ key: ArraySlice<UInt8>, _ value: ArraySlice<UInt8>) -> [UInt8] {
    var message: [UInt8] = []
    switch reason {
    case .unknownKey: return Array("unknown key '".utf8) + key + Array("'".utf8)
    case .value(let expected):
      message = Array("'".utf8) + key + Array("' wants ".utf8)
      expected.withUTF8Buffer { unsafe message.append(contentsOf: $0) }
    case .number(let range):
      message = Array("'".utf8) + key + Array("' wants a whole number from ".utf8)
      message += Array("\(range.lowerBound) to \(range.upperBound)".utf8)
    }
    return message + Array(", not '".utf8) + value + Array("'".utf8)
  }

  /// A whole number in `range`.
  package static func number(_ text: ArraySlice<UInt8>, _ range: ClosedRange<UInt32>) throws(Reason) -> UInt32 {
    guard let number = UInt32(decimal: text), range.contains(number) else { throw .number(range) }
    return number
  }
}
