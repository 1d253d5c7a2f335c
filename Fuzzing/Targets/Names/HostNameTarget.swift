import Fuzzing
import Platform
import Wire

@testable import Resolving

/// Names as subscribers give them: refused with an errno, or labels that a decoder takes, the same once more from the
/// ASCII form, and each A-label reads back as the label that it was made of.
struct HostNameTarget: FuzzTarget {
  static let name = "host-name"
  static let maximumLength = 260
  static let vectors = ""

  static var seeds: [(name: String, input: [UInt8])] {
    let names = [
      "www.example", "www.example.", "xn--bcher-kva.example", "bücher.example", "他们为什么不说中文", "MÜNCHEN.DE", "-a.b",
      "a..b",
      String(repeating: "ü", count: 50), String(repeating: "a.", count: 127),
    ]
    return names.enumerated().map { ("\($0)", Array($1.utf8)) }
  }

  func run(_ bytes: RawSpan) {
    let given = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
    let name: HostName
    do {
      name = try HostName(given)
    } catch {
      return check(error.rawValue > 0, "refused without an errno")
    }
    check(Self.isOneName(name.labels.rawSpan), "labels that are no name: \(name.labels)")
    do {
      let again = try HostName(name.asciiText)
      check(again.labels == name.labels, "\(name.asciiText) has other labels")
    } catch {
      check(false, "\(name.asciiText) is refused: \(error)")
    }
    let labels = name.text.split(separator: UInt8(ascii: "."))
    let ascii = name.asciiText.split(separator: UInt8(ascii: "."))
    check(labels.count == ascii.count && labels.count == name.dots + 1, "\(name.text) as \(name.asciiText)")
    for (label, encoded) in zip(labels, ascii) where label != encoded {
      let decoded = Self.punycode(Array(encoded.dropFirst(4)))
      check(decoded == String(decoding: label, as: UTF8.self).unicodeScalars.map { $0.value }, "\(label) as \(encoded)")
    }
  }

  private static func isOneName(_ labels: RawSpan) -> Bool {
    guard let name = DomainName(labels) else { return false }
    return name.bytes.byteCount == labels.byteCount
  }

  /// RFC 3492, 6.2.
  private static func punycode(_ text: [UInt8]) -> [UInt32] {
    let end = text.lastIndex(of: UInt8(ascii: "-"))
    var scalars = text[..<(end ?? 0)].map { UInt32($0) }
    var rest = text[(end.map { $0 + 1 } ?? 0)...]
    var (n, i, bias) = (128, 0, 72)
    while !rest.isEmpty {
      let before = i
      var (weight, k) = (1, 36)
      while let byte = rest.popFirst() {
        let digit = byte >= 0x61 ? Int(byte) - 0x61 : Int(byte) - 0x30 + 26
        i += digit * weight
        let t = min(max(k - bias, 1), 26)
        if digit < t { break }
        weight *= 36 - t
        k += 36
      }
      let count = scalars.count + 1
      var delta = before == 0 ? (i - before) / 700 : (i - before) / 2
      delta += delta / count
      bias = 0
      while delta > 35 * 26 / 2 {
        delta /= 35
        bias += 36
      }
      bias += 36 * delta / (delta + 38)
      n += i / count
      i %= count
      scalars.insert(UInt32(n), at: i)
      i += 1
    }
    return scalars
  }
}
