import CLinux
import Platform

/// A node's name as a subscriber gives it, checked, in the forms in which it is looked for.
///
/// ASCII labels go to the DNS as they are, others as A-labels: "xn--" and the Punycode of the label (RFC 5891, 5.5) with
/// its ASCII letters in lower case. Nothing else is mapped or normalised: that takes Unicode's tables, and is the work
/// of whoever reads the user's input (RFC 5895); so the label has to come in lower case and NFC, as IDNA2008 has it.
struct HostName {
  /// Longest name in bytes, as text and as labels with their lengths and the root (RFC 1035, 2.3.4).
  static let longest = 255
  static let longestLabel = 63

  /// Labels with their lengths and the root's zero (RFC 1035, 3.1).
  private(set) var labels: [UInt8] = []
  /// As given, with ASCII letters in lower case, without a dot at its end.
  let text: [UInt8]
  /// The same with A-labels; equal to `text` for an ASCII name.
  private(set) var asciiText: [UInt8] = []
  private(set) var dots = 0
  /// Given with a dot at its end: no search list.
  let isAbsolute: Bool

  /// EINVAL: an empty name or label, a space, a control character, a backslash; a colon, which only addresses have.
  /// ENAMETOOLONG: past 255 bytes, or a label past 63. EILSEQ: not UTF-8.
  init(_ given: [UInt8]) throws(Errno) {
    guard given.count <= HostName.longest else { throw .nameTooLong }
    var text = given
    isAbsolute = text.last == UInt8(ascii: ".")
    if isAbsolute { text.removeLast() }
    for index in text.indices {
      let byte = text[index]
      guard byte > 0x20, byte != 0x7F, byte != UInt8(ascii: "\\"), byte != UInt8(ascii: ":") else {
        throw .invalidArgument
      }
      text[index] = lowered(byte)
    }
    self.text = text
    labels.reserveCapacity(text.count + 2)
    asciiText.reserveCapacity(text.count)
    var start = 0
    while true {
      var end = start
      while end < text.count, text[end] != UInt8(ascii: ".") { end += 1 }
      guard end > start else { throw .invalidArgument }
      try append(text[start..<end])
      if end == text.count { break }
      dots += 1
      start = end + 1
    }
    labels.append(0)
    guard labels.count <= HostName.longest else { throw .nameTooLong }
  }

  private mutating func append(_ label: ArraySlice<UInt8>) throws(Errno) {
    if !asciiText.isEmpty { asciiText.append(UInt8(ascii: ".")) }
    let length = labels.count
    labels.append(0)
    var isASCII = true
    for byte in label where byte >= 0x80 { isASCII = false }
    if isASCII {
      labels += label
    } else {
      guard let scalars = decodeUTF8(label) else { throw Errno(rawValue: EILSEQ) }
      labels += [0x78, 0x6E, 0x2D, 0x2D]  // xn--
      appendPunycode(scalars, to: &labels)
    }
    let count = labels.count - length - 1
    guard count <= HostName.longestLabel else { throw .nameTooLong }
    labels[length] = UInt8(count)
    asciiText += labels[(length + 1)...]
  }

  /// This name below `domain`; nil if that is too long.
  func labels(below domain: HostName) -> [UInt8]? {
    let all = labels.dropLast() + domain.labels
    return all.count <= HostName.longest ? Array(all) : nil
  }

  /// Whether the name is `domain` or below it. `domain`: lower case, with a leading dot.
  func isWithin(_ domain: StaticString) -> Bool {
    let count = domain.utf8CodeUnitCount
    return domain.withUTF8Buffer { domain in
      if asciiText.count >= count { return unsafe endsWith(domain) }
      return asciiText.count == count - 1 ? unsafe endsWith(UnsafeBufferPointer(rebasing: domain.dropFirst())) : false
    }
  }

  private func endsWith(_ ending: UnsafeBufferPointer<UInt8>) -> Bool {
    let start = asciiText.count - ending.count
    for index in 0..<ending.count where unsafe asciiText[start + index] != ending[index] { return false }
    return true
  }
}

/// ASCII letters in lower case (RFC 4343).
func lowered(_ byte: UInt8) -> UInt8 {
  byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
}
