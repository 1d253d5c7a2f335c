/// A JSON value (RFC 8259), written on one line with its members in the order given.
enum JSON {
  case null
  case bool(Bool)
  case number(UInt64)
  case signed(Int64)
  case string(String)
  case array([JSON])
  case object([(String, JSON)])

  /// The members whose value is not null.
  static func present(_ members: [(String, JSON)]) -> JSON {
    .object(
      members.filter {
        if case .null = $0.1 { false } else { true }
      })
  }

  static func strings(_ strings: [String]) -> JSON { .array(strings.map { .string($0) }) }

  var text: String {
    switch self {
    case .null: "null"
    case .bool(let value): value ? "true" : "false"
    case .number(let value): String(value)
    case .signed(let value): String(value)
    case .string(let value): JSON.quote(value)
    case .array(let values): "[" + values.map { $0.text }.joined(separator: ",") + "]"
    case .object(let members):
      "{" + members.map { JSON.quote($0.0) + ":" + $0.1.text }.joined(separator: ",") + "}"
    }
  }

  /// RFC 8259 section 7: quotes, backslashes and control characters are escaped.
  private static func quote(_ string: String) -> String {
    var result = "\""
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\t": result += "\\t"
      case _ where scalar.value < 0x20 || scalar.value == 0x7F:
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
