/// The options that are read of a DHCPv4 message, each at hand.
///
/// Places that are noted have been walked over: number, length and value are within the message.
struct DHCPv4OptionIndex: ~Escapable {
  let message: RawSpan
  private let places: DHCPv4OptionPlaces.Found

  @_lifetime(copy message, copy places)
  @inline(__always)
  init(_ message: RawSpan, _ places: DHCPv4OptionPlaces.Found) {
    self.message = message
    self.places = places
  }

  /// Whether an option that is read is there.
  @inline(__always)
  func contains(_ code: UInt8) -> Bool { head(code, isAt: places.place(code)) || places.isRepeated(code) }

  /// The value of an option that is read; nil where it is absent or in too many pieces.
  @_lifetime(copy self)
  @inline(__always)
  func value(_ code: UInt8) -> RawSpan? {
    let place = places.place(code)
    guard head(code, isAt: place) else { return places.isRepeated(code) ? places.joined(code) : nil }
    return unsafe message.slice(unchecked: place &+ 2, Int(message.u8(unchecked: place &+ 1)))
  }

  /// The value of an option that is read, if that is four bytes, in network order.
  @inline(__always)
  func u32(_ code: UInt8) -> UInt32? {
    let place = places.place(code)
    guard unsafe message.u16(unchecked: place) == UInt16(code) << 8 | 4 else {
      return places.isRepeated(code) ? joinedU32(code) : nil
    }
    return unsafe message.u32(unchecked: place &+ 2)
  }

  @inline(__always)
  private func head(_ code: UInt8, isAt place: Int) -> Bool {
    DHCPv4Option.isRead(code) && (unsafe message.u8(unchecked: place) == code)
  }

  @inline(never)
  private func joinedU32(_ code: UInt8) -> UInt32? {
    guard let value = places.joined(code), value.byteCount == 4 else { return nil }
    return value.u32(0)
  }

  /// The options that are not read, each gathered from all of its places, in the order in which they first occur.
  var unread: [(code: UInt8, content: [UInt8])] {
    var found: [(code: UInt8, content: [UInt8])] = []
    let fields = DHCPv4OptionCursor.fields(message)
    for place in fields.indices {
      let (offset, end) = fields[place]
      var cursor = DHCPv4OptionCursor(message, from: offset, to: end)
      while let option = cursor.next() {
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

  /// Whether the parameter request list (RFC 2132, 9.8) names an option.
  func requests(_ code: UInt8) -> Bool {
    var cursor = DHCPv4OptionCursor(message, from: DHCPv4Message.Field.options, to: message.byteCount)
    while let option = cursor.next() {
      guard option.code == DHCPv4Option.parameterRequestList else { continue }
      for place in option.offset..<option.offset + option.length where message.u8(place) == code { return true }
    }
    return false
  }
}
