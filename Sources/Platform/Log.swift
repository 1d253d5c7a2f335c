import CLinux

/// One line to standard error, whole or not at all: one write(2) a line. For people; programs read the sockets.
package enum Log {
  package static func error(_ line: LogLine) { write("error: ", line) }
  package static func warning(_ line: LogLine) { write("warning: ", line) }
  package static func notice(_ line: LogLine) { write("notice: ", line) }

  private static func write(_ level: StaticString, _ line: LogLine) {
    var text: [UInt8] = []
    text.reserveCapacity(LogLine.limit + 16)
    append(level, to: &text)
    text += line.text
    text.append(UInt8(ascii: "\n"))
    // A full pipe or a closed terminal must not stop the agent: what can't be written is lost.
    _ = unsafe text.withUnsafeBytes { unsafe CLinux.write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}

/// The text of a line, written like a string literal with `\( )` in it, but made of bytes: literals, byte arrays,
/// integers, errors. What comes from outside can't forge lines: control bytes in byte arrays become "?".
package struct LogLine: ExpressibleByStringInterpolation, Sendable {
  /// What is longer is cut.
  package static var limit: Int { 1024 }

  package fileprivate(set) var text: [UInt8]

  package init(stringLiteral value: StaticString) {
    text = []
    append(value, to: &text)
  }

  package init(stringInterpolation: StringInterpolation) {
    text = stringInterpolation.text
    if text.count > LogLine.limit { text.removeLast(text.count - LogLine.limit) }
  }

  package struct StringInterpolation: StringInterpolationProtocol {
    fileprivate var text: [UInt8] = []

    package init(literalCapacity: Int, interpolationCount: Int) {
      text.reserveCapacity(literalCapacity + 16 * interpolationCount)
    }

    package mutating func appendLiteral(_ literal: StaticString) { append(literal, to: &text) }
    package mutating func appendInterpolation(_ literal: StaticString) { append(literal, to: &text) }

    package mutating func appendInterpolation(_ bytes: [UInt8]) {
      for byte in bytes.prefix(LogLine.limit) { text.append(byte < 0x20 || byte == 0x7F ? UInt8(ascii: "?") : byte) }
    }

    package mutating func appendInterpolation<I: FixedWidthInteger>(_ number: I) { append(decimal: number, to: &text) }

    package mutating func appendInterpolation(_ errno: Errno) { text += errno.message }

    /// "cannot ACTION SUBJECT: REASON (HINT)"
    package mutating func appendInterpolation(_ failure: SystemFailure) {
      appendLiteral("cannot ")
      appendLiteral(failure.action)
      if !failure.subject.isEmpty {
        appendLiteral(" ")
        appendInterpolation(failure.subject)
      }
      appendLiteral(": ")
      appendInterpolation(failure.errno)
      if failure.hint.utf8CodeUnitCount > 0 {
        appendLiteral(" (")
        appendLiteral(failure.hint)
        appendLiteral(")")
      }
    }
  }
}

/// The literal's UTF-8.
package func append(_ literal: StaticString, to bytes: inout [UInt8]) {
  literal.withUTF8Buffer { unsafe bytes.append(contentsOf: $0) }
}

/// Decimal digits, with a minus sign where it is negative.
package func append<I: FixedWidthInteger>(decimal number: I, to bytes: inout [UInt8]) {
  if number < 0 { bytes.append(UInt8(ascii: "-")) }
  let first = bytes.count
  var rest = number.magnitude
  repeat {
    bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10))
    rest /= 10
  } while rest > 0
  bytes[first...].reverse()
}
