/// Where a DHCPv4 message has its options. Who decodes the message keeps this: as a part of the message it would be
/// copied with it, and a copy of what was just written here and there takes longer than to find the options.
package struct DHCPv4OptionPlaces: ~Copyable {
  /// The option is there more than once.
  static let repeated: UInt16 = .max

  /// Of a repeated option; 16 full ones hold 4,080 bytes.
  private static let mostPieces = 16

  /// By the low six bits of its number, where an option's value begins, behind its length; 0 where there is none.
  /// Options that are read all differ in these bits; one that is not read is here only where none of them is.
  private var places = [64 of UInt16](repeating: 0)

  /// The values of repeated options that are read, each behind its number and its length in two bytes: all pieces in
  /// the order options field, file, sname are one value (RFC 3396, 7; RFC 2131, 4.1). None with too many pieces.
  private var joined: [UInt8] = []

  package init() {}

  @inline(__always)
  static func slot(_ code: UInt8) -> Int { Int(code & 63) }

  var span: Span<UInt16> {
    @_lifetime(borrow self) @inline(__always) get { places.span }
  }

  var joinedValues: RawSpan {
    @_lifetime(borrow self) @inline(__always) get { joined.rawSpan }
  }

  /// Finds the options of a message; refuses those that go past the end of their field.
  @inline(__always)
  mutating func find(in message: RawSpan) throws(Refusal) {
    places = [64 of UInt16](repeating: 0)
    var hasRepeated = try walk(message, from: DHCPv4Message.Field.options, to: message.byteCount)
    if places[DHCPv4OptionPlaces.slot(DHCPv4Option.overload)] > 0 {
      hasRepeated = try findOverloaded(in: message) || hasRepeated
    }
    if hasRepeated { join(message) }
  }

  /// Whether an option was found that is elsewhere as well.
  @inline(never)
  private mutating func findOverloaded(in message: RawSpan) throws(Refusal) -> Bool {
    let fields = DHCPv4OptionCursor.fields(message)
    var hasRepeated = false
    for place in 1..<fields.count {
      hasRepeated = try walk(message, from: fields[place].0, to: fields[place].1) || hasRepeated
    }
    return hasRepeated
  }

  @inline(__always)
  private mutating func walk(_ message: RawSpan, from offset: Int, to end: Int) throws(Refusal) -> Bool {
    var hasRepeated = false
    var cursor = DHCPv4OptionCursor(message, from: offset, to: end)
    while let option = cursor.next() {
      let slot = DHCPv4OptionPlaces.slot(option.code)
      if places[slot] == 0 {
        places[slot] = UInt16(truncatingIfNeeded: option.offset)
      } else {
        hasRepeated = noteAnother(option, in: message) || hasRepeated
      }
    }
    guard cursor.isWhole else { throw .dhcpv4OptionOverrun }
    return hasRepeated
  }

  /// For a slot that is taken. Whether it is by the same option.
  @inline(never)
  private mutating func noteAnother(_ option: DHCPv4OptionCursor.Option, in message: RawSpan) -> Bool {
    guard DHCPv4Option.isRead(option.code) else { return false }
    let slot = DHCPv4OptionPlaces.slot(option.code)
    let isRepeated = places[slot] == DHCPv4OptionPlaces.repeated || message.u8(Int(places[slot]) - 2) == option.code
    places[slot] = isRepeated ? DHCPv4OptionPlaces.repeated : UInt16(truncatingIfNeeded: option.offset)
    return isRepeated
  }

  @inline(never)
  private mutating func join(_ message: RawSpan) {
    joined.removeAll(keepingCapacity: true)
    for code in DHCPv4Option.firstRead...DHCPv4Option.lastRead
    where DHCPv4Option.isRead(code) && places[DHCPv4OptionPlaces.slot(code)] == DHCPv4OptionPlaces.repeated {
      join(code, message)
    }
  }

  private mutating func join(_ code: UInt8, _ message: RawSpan) {
    let start = joined.count
    joined += [code, 0, 0]
    var pieces = 0
    let fields = DHCPv4OptionCursor.fields(message)
    for place in fields.indices {
      var cursor = DHCPv4OptionCursor(message, from: fields[place].0, to: fields[place].1)
      while let option = cursor.next() {
        guard option.code == code, option.length > 0 else { continue }
        pieces += 1
        message.slice(option.offset, option.length).append(to: &joined)
      }
    }
    guard pieces <= DHCPv4OptionPlaces.mostPieces else { return joined.removeSubrange(start...) }
    let length = joined.count - start - 3
    joined[start + 1] = UInt8(truncatingIfNeeded: length >> 8)
    joined[start + 2] = UInt8(truncatingIfNeeded: length)
  }
}
