/// Where a DHCPv4 message has its options. Who decodes the message keeps this: as a part of the message it would be
/// copied with it, and a copy of what was just written here and there takes longer than to find the options.
package struct DHCPv4OptionPlaces: ~Copyable {
  /// Where there is no option: the cookie, which every message has. As an option it would be one that is not read, so
  /// that to look for an option there finds none.
  fileprivate static let none = UInt16(DHCPv4Message.Field.cookie)
  /// Where there is more than one of a number: likewise, one byte further.
  fileprivate static let repeated = none + 1

  /// Of a repeated option; 16 full ones hold 4,080 bytes.
  private static let mostPieces = 16

  /// By the low six bits of its number, where an option begins. Options that are read all differ in these bits; one that
  /// is not read is here only where none of them is.
  fileprivate var places = [64 of UInt16](repeating: none)

  private var isUsed = false
  private var hasRepeated = false

  /// The values of repeated options that are read, each behind its number and its length in two bytes: all pieces in
  /// the order options field, file, sname are one value (RFC 3396, 7; RFC 2131, 4.1). None with too many pieces.
  fileprivate var joined: [UInt8] = []

  package init() {
    // Not free: padding and the end are no options.
    places[DHCPv4OptionPlaces.slot(DHCPv4Option.pad)] = 0
    places[DHCPv4OptionPlaces.slot(DHCPv4Option.end)] = 0
  }

  @inline(__always)
  fileprivate static func slot(_ code: UInt8) -> Int { Int(code & 63) }

  /// Finds the options of a message; refuses those that go past the end of their field.
  @inline(__always)
  mutating func find(in message: RawSpan) throws(Refusal) {
    if isUsed { self = DHCPv4OptionPlaces() }
    isUsed = true
    try walk(message, from: DHCPv4Message.Field.options, to: message.byteCount)
    if places[DHCPv4OptionPlaces.slot(DHCPv4Option.overload)] != DHCPv4OptionPlaces.none {
      try findOverloaded(in: message)
    }
    if hasRepeated { join(message) }
  }

  @inline(never)
  private mutating func findOverloaded(in message: RawSpan) throws(Refusal) {
    let fields = DHCPv4OptionCursor.fields(message)
    for place in 1..<fields.count { try walk(message, from: fields[place].0, to: fields[place].1) }
  }

  @inline(__always)
  private mutating func walk(_ message: RawSpan, from offset: Int, to end: Int) throws(Refusal) {
    var cursor = DHCPv4OptionCursor(message, from: offset, to: end)
    while let option = cursor.next() {
      if !note(option) { noteAnother(option, in: message) }
      // Most values have four bytes. Where that is a question of its own, a processor guesses the answer, and does not
      // wait for each length to know where the next option is.
      while let option = cursor.nextOfFourBytes(), note(option) { cursor.skip(option) }
    }
    guard cursor.isWhole else { throw .dhcpv4OptionOverrun }
  }

  /// Whether the option's slot was free, and is its own now.
  @inline(__always)
  private mutating func note(_ option: DHCPv4OptionCursor.Option) -> Bool {
    let slot = DHCPv4OptionPlaces.slot(option.code)
    guard places[slot] == DHCPv4OptionPlaces.none else { return false }
    places[slot] = UInt16(truncatingIfNeeded: option.start)
    return true
  }

  /// For a slot that is not free.
  @inline(never)
  private mutating func noteAnother(_ option: DHCPv4OptionCursor.Option, in message: RawSpan) {
    guard DHCPv4Option.isRead(option.code) else { return }
    let slot = DHCPv4OptionPlaces.slot(option.code)
    if places[slot] == DHCPv4OptionPlaces.repeated || message.u8(Int(places[slot])) == option.code {
      places[slot] = DHCPv4OptionPlaces.repeated
      hasRepeated = true
    } else {
      places[slot] = UInt16(truncatingIfNeeded: option.start)
    }
  }

  @inline(never)
  private mutating func join(_ message: RawSpan) {
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

extension DHCPv4OptionPlaces {
  /// Places that were found, for as long as nobody finds others. One word, so that a message is passed in registers.
  @safe struct Found: ~Escapable {
    private let pointer: UnsafePointer<DHCPv4OptionPlaces>

    @_lifetime(&places)
    @inline(__always)
    init(_ places: inout DHCPv4OptionPlaces) {
      // What a lifetime depends on stays where it is.
      unsafe pointer = withUnsafePointer(to: &places) { unsafe $0 }
    }

    /// Where an option begins, if that is the number there: else there is none, or there are several.
    @inline(__always)
    func place(_ code: UInt8) -> Int { unsafe Int(pointer.pointee.places[DHCPv4OptionPlaces.slot(code)]) }

    /// Whether there is more than one option of that number, of those that are read.
    @inline(__always)
    func isRepeated(_ code: UInt8) -> Bool { place(code) == Int(DHCPv4OptionPlaces.repeated) }

    /// The value of a repeated option; nil where it is in too many pieces.
    @_lifetime(copy self)
    @inline(never)
    func joined(_ code: UInt8) -> RawSpan? {
      let joined = unsafe _overrideLifetime(pointer.pointee.joined.rawSpan, copying: self)
      var offset = 0
      while offset < joined.byteCount {
        let length = Int(joined.u16(offset + 1))
        if joined.u8(offset) == code { return joined.slice(offset + 3, length) }
        offset += 3 + length
      }
      return nil
    }
  }
}
