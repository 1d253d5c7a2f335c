/// Where a DHCPv4 message has the options that are read of it, found in one walk: the value of each is then at hand.
struct DHCPv4OptionIndex {
  private typealias Field = DHCPv4Message.Field

  private static let tooManyPieces: UInt16 = .max

  /// By slot (slot 0 takes what is not read), where the value begins in the message, behind its length; 0 where there is none. Of a repeated option
  /// where its pieces begin in `pieces`, and how many they are in the high byte.
  private var places = InlineArray<24, UInt16>(repeating: 0)
  private var pieces = OptionBytes.Pieces(repeating: 0)
  private var pieceCount = 0
  /// A bit for each slot whose option is repeated.
  private var repeated: UInt32 = 0

  /// Refuses options that go past the end of their field.
  init(_ message: RawSpan) throws(Refusal) {
    try walk(message, from: Field.options, to: message.byteCount)
    // Only the options field itself may hold the overload (RFC 2132, 9.3): 1 for file, 2 for sname, 3 for both.
    let overload = contains(DHCPv4Option.overload) ? lastOverload(message) : 0
    if overload & 1 != 0 { try walk(message, from: Field.file, to: Field.cookie) }
    if overload & 2 != 0 { try walk(message, from: Field.serverName, to: Field.file) }
    gather(message, overload: overload)
  }

  /// The value of an option that has a slot, where it is in one piece.
  @_lifetime(copy message)
  @inline(__always)
  func whole(_ code: UInt8, in message: RawSpan) -> RawSpan? {
    let slot = DHCPv4OptionIndex.slot(code)
    let place = Int(places[slot])
    guard slot > 0, place > 0, repeated & 1 << UInt32(slot) == 0 else { return nil }
    return message.slice(place, Int(message.u8(place - 1)))
  }

  /// The value of an option that has a slot.
  @_lifetime(copy message)
  @inline(__always)
  func value(_ code: UInt8, in message: RawSpan) -> OptionBytes? {
    if let value = whole(code, in: message) { return OptionBytes(value) }
    return gathered(DHCPv4OptionIndex.slot(code), in: message)
  }

  @_lifetime(copy message)
  @inline(never)
  private func gathered(_ slot: Int, in message: RawSpan) -> OptionBytes? {
    let place = places[slot]
    guard slot > 0, place > 0, place != DHCPv4OptionIndex.tooManyPieces else { return nil }
    let first = UInt8(truncatingIfNeeded: place)
    return OptionBytes(pieces, first..<first + UInt8(place >> 8), in: message)
  }

  /// The options without a slot, each gathered from all of its places, in the order in which they first occur.
  func unread(in message: RawSpan) -> [(code: UInt8, content: [UInt8])] {
    var found: [(code: UInt8, content: [UInt8])] = []
    let overload = contains(DHCPv4Option.overload) ? lastOverload(message) : 0
    let fields = [
      (Field.options, message.byteCount, true), (Field.file, Field.cookie, overload & 1 != 0),
      (Field.serverName, Field.file, overload & 2 != 0),
    ]
    for (offset, end, isRead) in fields where isRead {
      var cursor = DHCPv4OptionCursor(message, from: offset, to: end)
      while let option = try? cursor.next() {
        if DHCPv4OptionIndex.slot(option.code) > 0 { continue }
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

  /// Whether the parameter request list (RFC 2132, 9.8) names an option.
  func requests(_ code: UInt8, in message: RawSpan) -> Bool {
    var cursor = DHCPv4OptionCursor(message, from: Field.options, to: message.byteCount)
    while let option = try? cursor.next() {
      guard option.code == DHCPv4Option.parameterRequestList else { continue }
      for place in option.offset..<option.offset + option.length where message.u8(place) == code { return true }
    }
    return false
  }

  @inline(__always)
  func contains(_ code: UInt8) -> Bool {
    let slot = DHCPv4OptionIndex.slot(code)
    return slot > 0 && places[slot] > 0
  }

  private mutating func walk(_ message: RawSpan, from offset: Int, to end: Int) throws(Refusal) {
    var cursor = DHCPv4OptionCursor(message, from: offset, to: end)
    while let option = try cursor.next() {
      let slot = DHCPv4OptionIndex.slot(option.code)
      if places[slot] == 0 {
        places[slot] = UInt16(truncatingIfNeeded: option.offset)
      } else {
        repeated |= 1 << UInt32(slot)
      }
    }
  }

  /// The last of the option's values that is one: senders repeat it.
  private func lastOverload(_ message: RawSpan) -> UInt8 {
    var overload: UInt8 = 0
    var cursor = DHCPv4OptionCursor(message, from: Field.options, to: message.byteCount)
    while let option = try? cursor.next() {
      if option.code == DHCPv4Option.overload, option.length == 1, message.u8(option.offset) <= 3 {
        overload = message.u8(option.offset)
      }
    }
    return overload
  }

  /// Collects the pieces of each repeated option.
  private mutating func gather(_ message: RawSpan, overload: UInt8) {
    var waiting = repeated & ~1
    while waiting != 0 {
      let slot = waiting.trailingZeroBitCount
      waiting &= waiting - 1
      let first = pieceCount
      var isWhole = collect(slot, message, from: Field.options, to: message.byteCount)
      if isWhole, overload & 1 != 0 { isWhole = collect(slot, message, from: Field.file, to: Field.cookie) }
      if isWhole, overload & 2 != 0 { isWhole = collect(slot, message, from: Field.serverName, to: Field.file) }
      if isWhole {
        places[slot] = UInt16(pieceCount - first) << 8 | UInt16(first)
      } else {
        places[slot] = DHCPv4OptionIndex.tooManyPieces
        pieceCount = first
      }
    }
  }

  /// False if there is no room for one more piece.
  private mutating func collect(_ slot: Int, _ message: RawSpan, from offset: Int, to end: Int) -> Bool {
    var cursor = DHCPv4OptionCursor(message, from: offset, to: end)
    while let option = try? cursor.next() {
      guard option.length > 0, DHCPv4OptionIndex.slot(option.code) == slot else { continue }
      guard pieceCount < pieces.count else { return false }
      pieces[pieceCount] = UInt16(truncatingIfNeeded: option.offset)
      pieceCount += 1
    }
    return true
  }

  @inline(__always)
  private static func slot(_ code: UInt8) -> Int {
    switch code {
    case DHCPv4Option.messageType: 1
    case DHCPv4Option.serverIdentifier: 2
    case DHCPv4Option.leaseTime: 3
    case DHCPv4Option.renewalTime: 4
    case DHCPv4Option.rebindingTime: 5
    case DHCPv4Option.subnetMask: 6
    case DHCPv4Option.routers: 7
    case DHCPv4Option.domainNameServers: 8
    case DHCPv4Option.hostName: 9
    case DHCPv4Option.domainName: 10
    case DHCPv4Option.interfaceMTU: 11
    case DHCPv4Option.staticRoutes: 12
    case DHCPv4Option.ntpServers: 13
    case DHCPv4Option.overload: 14
    case DHCPv4Option.posixTimeZone: 15
    case DHCPv4Option.timeZoneName: 16
    case DHCPv4Option.ipv6OnlyPreferred: 17
    case DHCPv4Option.captivePortal: 18
    case DHCPv4Option.domainSearch: 19
    case DHCPv4Option.classlessRoutes: 20
    case DHCPv4Option.encryptedDNS: 21
    case DHCPv4Option.rapidCommit: 22
    default: 0
    }
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
      offset += 1
      if code == DHCPv4Option.pad { continue }
      if code == DHCPv4Option.end { break }
      guard offset < end else { throw .dhcpv4OptionOverrun }
      let length = Int(message.u8(offset))
      guard length < end - offset else { throw .dhcpv4OptionOverrun }
      let place = DHCPv4OptionPlace(code: code, offset: offset + 1, length: length)
      offset += 1 + length
      return place
    }
    offset = end
    return nil
  }
}
