/// The value of one DHCPv4 option, whole: as it stands in the message, or joined of all its places there. Values are in
/// network order; bytes past the end read as 0.
package struct OptionBytes: ~Escapable {
  private let bytes: RawSpan

  @_lifetime(copy value)
  @inline(__always)
  init(_ value: RawSpan) { bytes = value }

  package var count: Int { bytes.byteCount }

  /// Byte `index`.
  package subscript(index: Int) -> UInt8 {
    @inline(__always) get { index >= 0 && index < count ? bytes.u8(index) : 0 }
  }

  @inline(__always)
  package func u16(_ index: Int) -> UInt16 { UInt16(self[index]) << 8 | UInt16(self[index &+ 1]) }
  @inline(__always)
  package func u32(_ index: Int) -> UInt32 {
    index >= 0 && index <= count &- 4 ? bytes.u32(index) : UInt32(u16(index)) << 16 | UInt32(u16(index &+ 2))
  }
  /// Of an index that the caller has found to have its bytes behind it.
  @unsafe @inline(__always)
  func u8(unchecked index: Int) -> UInt8 { unsafe bytes.u8(unchecked: index) }
  @unsafe @inline(__always)
  func u32(unchecked index: Int) -> UInt32 { unsafe bytes.u32(unchecked: index) }
  @inline(__always)
  package func ipv4(_ index: Int) -> IPv4Address { IPv4Address(u32(index)) }

  /// `length` bytes from `offset`; what lies outside is left off.
  @_lifetime(copy self)
  @inline(__always)
  func window(_ offset: Int, _ length: Int) -> OptionBytes {
    let start = min(max(offset, 0), count)
    return OptionBytes(bytes.slice(start, min(max(length, 0), count &- start)))
  }

  /// Bytes `index` to `index` + 7, those past the end as `filler`.
  @inline(__always)
  func octets(_ index: Int, else filler: UInt8) -> Octets { bytes.octets(index, else: filler) }

  /// Copies the value to the end of `buffer`.
  package func append(to buffer: inout [UInt8]) {
    buffer.reserveCapacity(buffer.count + count)
    for index in 0..<count { buffer.append(self[index]) }
  }

  /// The same value without zeros at its end: some servers end text with one (RFC 2132, 2).
  var withoutFinalZeros: OptionBytes {
    @_lifetime(copy self) @inline(__always) get {
      var length = count
      while length > 0, self[length &- 1] == 0 { length &-= 1 }
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
  @inline(__always)
  init?(_ bytes: OptionBytes) {
    guard bytes.count > 0, bytes.count.isMultiple(of: IPv4AddressList.width) else { return nil }
    self.bytes = bytes
  }

  package var count: Int { bytes.count / IPv4AddressList.width }
  /// `index` from 0 to `count` - 1; past that 0.0.0.0.
  package subscript(index: Int) -> IPv4Address {
    @inline(__always) get {
      guard index >= 0, index < count else { return .unspecified }
      return bytes.ipv4(index &* IPv4AddressList.width)
    }
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
  @inline(__always)
  init?(_ bytes: OptionBytes, isClassless: Bool) {
    self.bytes = bytes
    self.isClassless = isClassless
    guard bytes.count > 0, isClassless ? areClassless : areClassful else { return nil }
  }

  private var areClassless: Bool {
    @inline(__always) get {
      var offset = 0
      while offset < bytes.count {
        let width = bytes[offset]
        guard width <= 32 else { return false }
        offset &+= IPv4Routes.byteCount(width)
      }
      return offset == bytes.count
    }
  }

  private var areClassful: Bool {
    guard bytes.count.isMultiple(of: 8) else { return false }
    for place in 0..<bytes.count / 8 where bytes.ipv4(8 * place) == .unspecified {
      // A default route is illegal here.
      return false
    }
    return true
  }

  /// Of a classless route: width, the significant octets of the destination, and the router.
  @inline(__always)
  private static func byteCount(_ width: UInt8) -> Int { 5 &+ (Int(width) &+ 7) &>> 3 }

  /// The next route, nil after the last.
  @inline(always)
  package mutating func next() -> IPv4Route? {
    guard offset < bytes.count else { return nil }
    return isClassless ? nextClassless() : nextClassful()
  }

  @inline(always)
  private mutating func nextClassless() -> IPv4Route? {
    // The routes were found to be whole, and the router's four octets are behind the significant ones: no more are read
    // here than there are.
    let width = unsafe bytes.u8(unchecked: offset)
    let value = unsafe bytes.u32(unchecked: offset &+ 1)
    offset &+= IPv4Routes.byteCount(width)
    let gateway = unsafe IPv4Address(bytes.u32(unchecked: offset &- 4))
    return IPv4Route(prefix: IPPrefix(masking: IPv4Address(value), width), gateway: gateway)
  }

  @inline(never)
  private mutating func nextClassful() -> IPv4Route? {
    let destination = bytes.ipv4(offset)
    let gateway = bytes.ipv4(offset + 4)
    offset += 8
    // Classes as RFC 791, 2.3 has them; a destination with bits behind its class's network is a host.
    let classful: UInt8 = destination.value >> 31 == 0 ? 8 : destination.value >> 30 == 2 ? 16 : 24
    let network = IPPrefix(.v4(destination), classful)
    return IPv4Route(
      prefix: network == network.masked ? network : IPPrefix(.v4(destination), 32), gateway: gateway)
  }
}
