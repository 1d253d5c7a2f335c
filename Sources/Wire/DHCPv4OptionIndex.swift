/// Where a DHCPv4 message has the options that are read of it, found in one walk: the value of each is then at hand.
struct DHCPv4OptionIndex {
  private typealias Field = DHCPv4Message.Field

  /// What is there more than once is put together when it is asked for.
  private var places = DHCPv4OptionPlaces()

  /// Refuses options that go past the end of their field.
  @inline(__always)
  mutating func read(_ message: RawSpan) throws(Refusal) {
    try walk(message, from: Field.options, to: message.byteCount)
    if contains(DHCPv4Option.overload) { try readOverloaded(message) }
  }

  @inline(never)
  private mutating func readOverloaded(_ message: RawSpan) throws(Refusal) {
    let overload = DHCPv4OptionIndex.overload(message)
    if overload & 1 != 0 { try walk(message, from: Field.file, to: Field.cookie) }
    if overload & 2 != 0 { try walk(message, from: Field.serverName, to: Field.file) }
  }

  @inline(__always)
  private mutating func walk(_ message: RawSpan, from offset: Int, to end: Int) throws(Refusal) {
    var cursor = DHCPv4OptionCursor(message, from: offset, to: end)
    while let option = try cursor.next() {
      places.note(option.code, at: UInt16(truncatingIfNeeded: option.offset))
    }
  }

  /// The value of an option that is read, where it is in one piece.
  @_lifetime(copy message)
  @inline(__always)
  func whole(_ code: UInt8, in message: RawSpan) -> RawSpan? {
    guard places[code] > 0, places[code] != DHCPv4OptionPlaces.repeated else { return nil }
    let place = Int(places[code])
    return message.slice(place, Int(message.u8(place &- 1)))
  }

  /// The value of an option that is read; nil where it is absent or in too many pieces.
  @_lifetime(copy message)
  @inline(__always)
  func value(_ code: UInt8, in message: RawSpan) -> OptionBytes? {
    if let value = whole(code, in: message) { return OptionBytes(value) }
    return contains(code) ? DHCPv4OptionIndex.gathered(code, in: message) : nil
  }

  /// The value of an option that is read, if that is four bytes, in network order.
  @inline(__always)
  func u32(_ code: UInt8, in message: RawSpan) -> UInt32? {
    if let value = whole(code, in: message) { return value.byteCount == 4 ? value.u32(0) : nil }
    return contains(code) ? DHCPv4OptionIndex.gatheredU32(code, in: message) : nil
  }

  /// Whether an option that is read is there.
  @inline(__always)
  func contains(_ code: UInt8) -> Bool { places[code] > 0 }

  @inline(never)
  private static func gatheredU32(_ code: UInt8, in message: RawSpan) -> UInt32? {
    guard let bytes = gathered(code, in: message), bytes.count == 4 else { return nil }
    return bytes.u32(0)
  }

  /// Collects the pieces of a repeated option.
  @_lifetime(copy message)
  @inline(never)
  private static func gathered(_ code: UInt8, in message: RawSpan) -> OptionBytes? {
    var pieces = OptionBytes.Pieces()
    var count = 0
    let fields = fields(message)
    for place in fields.indices {
      let (offset, end) = fields[place]
      var cursor = DHCPv4OptionCursor(message, from: offset, to: end)
      while let option = try? cursor.next() {
        guard option.length > 0, option.code == code else { continue }
        guard count < pieces.scalarCount else { return nil }
        pieces[count] = UInt16(truncatingIfNeeded: option.offset)
        count += 1
      }
    }
    return OptionBytes(pieces, count, in: message)
  }

  /// The options that are not read, each gathered from all of its places, in the order in which they first occur.
  static func unread(in message: RawSpan) -> [(code: UInt8, content: [UInt8])] {
    var found: [(code: UInt8, content: [UInt8])] = []
    let fields = fields(message)
    for place in fields.indices {
      let (offset, end) = fields[place]
      var cursor = DHCPv4OptionCursor(message, from: offset, to: end)
      while let option = try? cursor.next() {
        if DHCPv4Option.isRead(option.code) { continue }
        let content = message.slice(option.offset, option.length)
        if let known = found.firstIndex(where: { $0.code == option.code }) {
          content.append(to: &found[known].content)
        } else {
          var bytes: [UInt8] = []
          content.append(to: &bytes)
          found.append((option.code, bytes))
        }
      }
    }
    return found
  }

  /// Where the fields begin and end that hold options, in the order in which these are joined; empty ones where an
  /// option does not make options of the field.
  private static func fields(_ message: RawSpan) -> [3 of (Int, Int)] {
    let overload = overload(message)
    return [
      (Field.options, message.byteCount), (Field.file, overload & 1 != 0 ? Field.cookie : Field.file),
      (Field.serverName, overload & 2 != 0 ? Field.file : Field.serverName),
    ]
  }

  /// Whether the parameter request list (RFC 2132, 9.8) names an option.
  func requests(_ code: UInt8, in message: RawSpan) -> Bool {
    var cursor = DHCPv4OptionCursor(message, from: Field.options, to: message.byteCount)
    while let option = try? cursor.next() {
      guard option.code == DHCPv4Option.parameterRequestList else { continue }
      for place in option.offset..<option.offset + option.length where message.u8(place) == code { return true }
    }
    return false
  }

  /// Only the options field itself may hold the overload (RFC 2132, 9.3): 1 for file, 2 for sname, 3 for both. The last
  /// of the option's values that is one: senders repeat it.
  private static func overload(_ message: RawSpan) -> UInt8 {
    var overload: UInt8 = 0
    var cursor = DHCPv4OptionCursor(message, from: Field.options, to: message.byteCount)
    while let option = try? cursor.next() {
      if option.code == DHCPv4Option.overload, option.length == 1, message.u8(option.offset) <= 3 {
        overload = message.u8(option.offset)
      }
    }
    return overload
  }
}

/// One place of an option in a message: code, and where its bytes are.
private struct DHCPv4OptionPlace {
  var code: UInt8
  var offset: Int
  var length: Int
}

/// The options of one field of a message: up to the end option, or to the field's end where a sender forgot it.
private struct DHCPv4OptionCursor: ~Escapable {
  private let message: RawSpan
  private var offset: Int
  private let end: Int

  /// From `offset` to `end`, both inside of the message.
  @_lifetime(copy message)
  init(_ message: RawSpan, from offset: Int, to end: Int) {
    self.message = message
    self.offset = offset
    self.end = end
  }

  @inline(__always)
  mutating func next() throws(Refusal) -> DHCPv4OptionPlace? {
    while offset < end {
      let code = message.u8(offset)
      offset &+= 1
      if code == DHCPv4Option.pad { continue }
      if code == DHCPv4Option.end { break }
      guard offset < end else { throw .dhcpv4OptionOverrun }
      let length = Int(message.u8(offset))
      guard length < end &- offset else { throw .dhcpv4OptionOverrun }
      let place = DHCPv4OptionPlace(code: code, offset: offset &+ 1, length: length)
      offset &+= 1 &+ length
      return place
    }
    offset = end
    return nil
  }
}
