/// The value of one DHCPv4 option, gathered from all of its places in the message without copying: an option that
/// is repeated is one value (RFC 3396, 7), in the order options field, file, sname (RFC 2131, 4.1).
package struct OptionBytes: ~Escapable {
  private let message: RawSpan
  /// Where each segment begins in the message (high 16 bits) and how long it is (low 16 bits). An option in more
  /// segments is refused: 16 full ones hold 4,080 bytes.
  private var segments = InlineArray<16, UInt32>(repeating: 0)
  private var segmentCount = 0
  /// The window into the gathered value.
  private var start = 0
  package private(set) var count = 0

  @_lifetime(copy message)
  init(in message: RawSpan) { self.message = message }

  /// False if there is no room for one more segment.
  mutating func append(segment offset: Int, length: Int) -> Bool {
    if length == 0 { return true }
    guard segmentCount < segments.count else { return false }
    segments[segmentCount] = UInt32(truncatingIfNeeded: offset) << 16 | UInt32(truncatingIfNeeded: length)
    segmentCount += 1
    count += length
    return true
  }

  /// Byte `index`; 0 past the end.
  package subscript(index: Int) -> UInt8 {
    guard index >= 0, index < count else { return 0 }
    var rest = start + index
    for number in 0..<segmentCount {
      let length = Int(segments[number] & 0xFFFF)
      if rest < length { return message.u8(Int(segments[number] >> 16) + rest) }
      rest -= length
    }
    return 0
  }

  /// Values in network order; bytes past the end read as 0.
  package func u16(_ index: Int) -> UInt16 { UInt16(self[index]) << 8 | UInt16(self[index + 1]) }
  package func u32(_ index: Int) -> UInt32 { UInt32(u16(index)) << 16 | UInt32(u16(index + 2)) }
  package func ipv4(_ index: Int) -> IPv4Address { IPv4Address(u32(index)) }

  /// `length` bytes from `offset`; what lies outside is left off.
  @_lifetime(copy self)
  func window(_ offset: Int, _ length: Int) -> OptionBytes {
    var part = self
    let skipped = min(max(offset, 0), count)
    part.start = start + skipped
    part.count = min(max(length, 0), count - skipped)
    return part
  }

  /// Copies the value to the end of `buffer`.
  package func append(to buffer: inout [UInt8]) {
    buffer.reserveCapacity(buffer.count + count)
    for index in 0..<count { buffer.append(self[index]) }
  }

  /// The same value without zeros at its end: some servers end text with one (RFC 2132, 2).
  var withoutFinalZeros: OptionBytes {
    @_lifetime(copy self) get {
      var length = count
      while length > 0, self[length - 1] == 0 { length -= 1 }
      return window(0, length)
    }
  }
}

/// Addresses of IPv4, one after the other.
package struct IPv4AddressList: ~Escapable {
  private static let width = 4
  private let bytes: OptionBytes

  /// nil unless `bytes` hold whole addresses, at least one.
  @_lifetime(copy bytes)
  init?(_ bytes: OptionBytes) {
    guard bytes.count > 0, bytes.count % IPv4AddressList.width == 0 else { return nil }
    self.bytes = bytes
  }

  package var count: Int { bytes.count / IPv4AddressList.width }
  /// `index` from 0 to `count` - 1; past that 0.0.0.0.
  package subscript(index: Int) -> IPv4Address {
    guard index >= 0, index < count else { return .unspecified }
    return bytes.ipv4(index * IPv4AddressList.width)
  }
}

/// A destination and the router to it; an unspecified gateway is on-link (RFC 3442).
package struct IPv4Route: Hashable, Sendable {
  package var prefix: IPPrefix
  package var gateway: IPv4Address
}

/// The routes of option 121 (RFC 3442) or option 33 (RFC 2132, 5.8), in their order.
package struct IPv4Routes: ~Escapable {
  private let bytes: OptionBytes
  private let isClassless: Bool
  private var offset = 0

  /// nil unless `bytes` are whole routes with valid destinations, at least one.
  @_lifetime(copy bytes)
  init?(_ bytes: OptionBytes, isClassless: Bool) {
    self.bytes = bytes
    self.isClassless = isClassless
    guard bytes.count > 0 else { return nil }
    while offset < bytes.count {
      guard next() != nil else { return nil }
    }
    offset = 0
  }

  /// The next route, nil after the last.
  package mutating func next() -> IPv4Route? {
    guard offset < bytes.count else { return nil }
    return isClassless ? nextClassless() : nextClassful()
  }

  private mutating func nextClassless() -> IPv4Route? {
    let width = bytes[offset]
    guard width <= 32 else { return nil }
    // Only the significant octets of the destination are there.
    let significant = (Int(width) + 7) / 8
    guard bytes.count - offset >= 1 + significant + 4 else { return nil }
    var value: UInt32 = 0
    for index in 0..<significant { value |= UInt32(bytes[offset + 1 + index]) << (24 - 8 * UInt32(index)) }
    let gateway = bytes.ipv4(offset + 1 + significant)
    offset += 1 + significant + 4
    return IPv4Route(prefix: IPPrefix(.v4(IPv4Address(value)), width).masked, gateway: gateway)
  }

  private mutating func nextClassful() -> IPv4Route? {
    guard bytes.count - offset >= 8 else { return nil }
    let destination = bytes.ipv4(offset)
    // A default route is illegal here.
    guard destination != .unspecified else { return nil }
    let gateway = bytes.ipv4(offset + 4)
    offset += 8
    // Classes as RFC 791, 2.3 has them; a destination with bits behind its class's network is a host.
    let classful: UInt8 = destination.value >> 31 == 0 ? 8 : destination.value >> 30 == 2 ? 16 : 24
    let network = IPPrefix(.v4(destination), classful)
    return IPv4Route(
      prefix: network == network.masked ? network : IPPrefix(.v4(destination), 32), gateway: gateway)
  }
}
