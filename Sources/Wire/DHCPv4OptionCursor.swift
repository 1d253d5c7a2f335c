/// The options of one field of a message: up to the end option, or to the field's end where a sender forgot it.
struct DHCPv4OptionCursor: ~Escapable {
  private typealias Field = DHCPv4Message.Field

  /// An option: its number, where it begins, and the length of its value.
  struct Option {
    var code: UInt8
    var start: Int
    var length: Int

    /// Where its value is.
    var offset: Int { start &+ 2 }
  }

  private let message: RawSpan
  private var offset: Int
  private let end: Int

  /// From `offset` to `end`, both inside of the message.
  @_lifetime(copy message)
  @inline(__always)
  init(_ message: RawSpan, from offset: Int, to end: Int) {
    self.message = message
    self.offset = offset
    self.end = end
  }

  /// The next option, nil after the last and in front of one that goes past the end.
  @inline(__always)
  mutating func next() -> Option? {
    // `end` is within the message, and what is loaded is in front of it.
    while offset <= end &- 2 {
      let code = unsafe message.u8(unchecked: offset)
      if code == DHCPv4Option.pad || code == DHCPv4Option.end {
        offset = code == DHCPv4Option.pad ? offset &+ 1 : end
        continue
      }
      let length = unsafe message.u8(unchecked: offset &+ 1)
      let next = offset &+ 2 &+ Int(length)
      guard next <= end else { return nil }
      defer { offset = next }
      return Option(code: code, start: offset, length: Int(length))
    }
    // A single byte is too short for an option.
    if offset < end {
      let code = unsafe message.u8(unchecked: offset)
      if code == DHCPv4Option.pad || code == DHCPv4Option.end { offset = end }
    }
    return nil
  }

  /// What is next, if it looks like an option of four bytes. It may be padding or the end, and `next` begins there.
  @inline(__always)
  func nextOfFourBytes() -> Option? {
    guard offset <= end &- 6, unsafe message.u8(unchecked: offset &+ 1) == 4 else { return nil }
    return unsafe Option(code: message.u8(unchecked: offset), start: offset, length: 4)
  }

  @inline(__always)
  mutating func skip(_ option: Option) { offset = option.start &+ 2 &+ option.length }

  /// Once there is no next option: whether none went past the end.
  var isWhole: Bool { offset == end }

  /// Where the fields begin and end that hold options, in the order in which these are joined; empty ones where an
  /// option does not make options of the field.
  static func fields(_ message: RawSpan) -> [3 of (Int, Int)] {
    let overload = overload(message)
    return [
      (Field.options, message.byteCount), (Field.file, overload & 1 != 0 ? Field.cookie : Field.file),
      (Field.serverName, overload & 2 != 0 ? Field.file : Field.serverName),
    ]
  }

  /// Only the options field itself may hold the overload (RFC 2132, 9.3): 1 for file, 2 for sname, 3 for both. The last
  /// of the option's values that is one: senders repeat it.
  private static func overload(_ message: RawSpan) -> UInt8 {
    var overload: UInt8 = 0
    var cursor = DHCPv4OptionCursor(message, from: Field.options, to: message.byteCount)
    while let option = cursor.next() {
      if option.code == DHCPv4Option.overload, option.length == 1, message.u8(option.offset) <= 3 {
        overload = message.u8(option.offset)
      }
    }
    return overload
  }
}
