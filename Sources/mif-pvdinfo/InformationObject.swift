import FoundationEssentials
import Messages
import Wire

/// PvD Additional Information (RFC 8801 section 4.3): the keys that this host knows. "Whenever an unknown key is
/// encountered, it MUST be ignored".
struct InformationObject: Codable {
  var identifier: String
  var expires: String
  var prefixes: [String]
  var dnsZones: [String]?
  var noInternet: Bool?

  /// How deep a document may nest.
  static let depthLimit = 16

  /// The checked object of a domain, as the engine is told it.
  static func report(
    _ document: [UInt8], ofDomain name: String, at now: Int64
  ) throws(FetchFailure) -> InformationReport {
    // A zero would be UTF-16 or UTF-32, which JSONDecoder reads too (RFC 7493 2.1: UTF-8).
    guard String(validating: document, as: UTF8.self) != nil, !document.contains(0) else { throw .refused("no UTF-8") }
    guard depth(document) <= depthLimit else { throw .refused("JSON that nests too deep") }
    var object: InformationObject
    do {
      object = try JSONDecoder().decode(InformationObject.self, from: Data(document))
    } catch {
      throw .refused("no JSON object with identifier, expires and prefixes")
    }
    guard normalised(object.identifier) == normalised(name) else { throw .refused("another PvD's object") }
    guard let expires = Timestamp(object.expires)?.seconds, expires > 0 else {
      throw .refused("'expires' is no date of RFC 3339")
    }
    guard expires > now else { throw .refused("an object that has expired") }
    let prefixes = object.prefixes.compactMap { $0.contains("/") ? IPPrefix(parsing: Array($0.utf8)) : nil }
    guard prefixes.count == object.prefixes.count, prefixes.allSatisfy({ $0.address.family == .v6 }) else {
      throw .refused("'prefixes' are not all IPv6 prefixes")
    }
    guard prefixes.count <= InformationReport.prefixLimit else { throw .refused("too many prefixes") }
    object.identifier = name
    return .known(expires: UInt64(expires), prefixes: prefixes, text: try object.text())
  }

  /// As JSON, always in the same form.
  private func text() throws(FetchFailure) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard let text = try? encoder.encode(self), text.count <= InformationReport.textLimit else {
      throw .refused("more than \(InformationReport.textLimit) bytes of what this host knows")
    }
    return Array(text)
  }

  /// Names are compared without regard to case and a final dot.
  private static func normalised(_ name: String) -> [UInt8] {
    var bytes = Array(name.utf8)
    if bytes.last == UInt8(ascii: ".") { bytes.removeLast() }
    return bytes.map { $0 >= UInt8(ascii: "A") && $0 <= UInt8(ascii: "Z") ? $0 | 0x20 : $0 }
  }

  /// How deep brackets outside of strings nest.
  private static func depth(_ document: [UInt8]) -> Int {
    var (depth, deepest, isString, isEscaped) = (0, 0, false, false)
    for byte in document {
      if isString {
        if isEscaped {
          isEscaped = false
        } else if byte == UInt8(ascii: "\\") {
          isEscaped = true
        } else if byte == UInt8(ascii: "\"") {
          isString = false
        }
        continue
      }
      switch byte {
      case UInt8(ascii: "\""): isString = true
      case UInt8(ascii: "{"), UInt8(ascii: "["):
        depth += 1
        deepest = max(deepest, depth)
      case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
      default: break
      }
    }
    return deepest
  }
}
