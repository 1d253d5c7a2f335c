import Wire

/// An IPv4 or IPv6 address. Its description is the text form (RFC 5952), with `%` and the interface's index where a
/// link-local address has one.
public struct IPAddress: Hashable, Sendable, LosslessStringConvertible {
  /// 4 or 16 bytes in network order.
  public let bytes: [UInt8]
  /// The index of the interface that a link-local IPv6 address is on, else 0.
  public let scope: UInt32

  public var isIPv6: Bool { bytes.count == 16 }
  /// fe80::/10, which means something only together with its interface, or 169.254.0.0/16.
  public var isLinkLocal: Bool { wire.isLinkLocal }
  /// 0.0.0.0 or ::.
  public var isUnspecified: Bool { bytes.allSatisfy { $0 == 0 } }

  /// An address as text, IPv6 in any form of RFC 4291; behind a link-local one may stand `%` and the interface's index.
  /// nil where it is anything else.
  public init?(_ text: String) {
    let parts = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
    guard let address = Wire.IPAddress(String(parts[0])) else { return nil }
    var scope: UInt32 = 0
    if parts.count == 2 {
      guard address.family == .v6, address.isLinkLocal, let index = UInt32(parts[1]), index > 0 else { return nil }
      scope = index
    }
    self.init(address, scope: scope)
  }

  init(_ address: Wire.IPAddress, scope: UInt32 = 0) {
    switch address {
    case .v4(let v4): bytes = (0..<4).map { UInt8(truncatingIfNeeded: v4.value >> (24 - 8 * $0)) }
    case .v6(let v6):
      bytes = [v6.high, v6.low].flatMap { half in (0..<8).map { UInt8(truncatingIfNeeded: half >> (56 - 8 * $0)) } }
    }
    self.scope = scope
  }

  /// The address as the protocols' codec has it.
  var wire: Wire.IPAddress {
    func number<T: FixedWidthInteger>(_ range: Range<Int>, _: T.Type) -> T {
      bytes[range].reduce(0) { $0 << 8 | T($1) }
    }
    return isIPv6
      ? .v6(IPv6Address(number(0..<8, UInt64.self), number(8..<16, UInt64.self)))
      : .v4(IPv4Address(number(0..<4, UInt32.self)))
  }

  fileprivate var withoutScope: IPAddress { IPAddress(wire) }

  public var description: String { description(zone: String(scope)) }

  /// The same with another name of the interface behind the `%` (RFC 4007 section 11).
  public func description(zone: String) -> String {
    guard isIPv6 else { return bytes.map { String($0) }.joined(separator: ".") }
    return IPAddress.text(bytes) + (scope == 0 ? "" : "%\(zone)")
  }

  /// RFC 5952 section 4: lower case, no leading zeros, the first of the longest runs of two or more zero groups is
  /// "::". IPv4-mapped addresses end as IPv4 (section 5).
  private static func text(_ bytes: [UInt8]) -> String {
    let groups = (0..<8).map { UInt16(bytes[2 * $0]) << 8 | UInt16(bytes[2 * $0 + 1]) }
    if groups[0..<5].allSatisfy({ $0 == 0 }), groups[5] == 0xFFFF {
      return "::ffff:" + bytes[12...].map { String($0) }.joined(separator: ".")
    }
    var longest = 0..<0
    var start = 0
    while start < 8 {
      var end = start
      while end < 8, groups[end] == 0 { end += 1 }
      if end - start > longest.count { longest = start..<end }
      start = max(end, start + 1)
    }
    func join(_ range: Range<Int>) -> String { groups[range].map { String($0, radix: 16) }.joined(separator: ":") }
    guard longest.count >= 2 else { return join(0..<8) }
    return join(0..<longest.lowerBound) + "::" + join(longest.upperBound..<8)
  }
}

/// An address and how many of its leading bits count: 192.0.2.10/24, host bits and all.
public struct IPPrefix: Hashable, Sendable, LosslessStringConvertible {
  public let address: IPAddress
  /// At most 32 or 128.
  public let length: UInt8

  public var description: String { "\(address)/\(length)" }
  /// Whether all bits count: /32 or /128.
  public var isHost: Bool { length == (address.isIPv6 ? 128 : 32) }

  /// An address, as `IPAddress` reads it, and behind a slash the length; without one all of its bits count.
  public init?(_ text: String) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let address = IPAddress(String(parts[0])) else { return nil }
    self.init(host: address)
    guard parts.count == 2 else { return }
    guard let length = Wire.IPPrefix("\(address.withoutScope)/\(parts[1])")?.length else { return nil }
    self.init(address: address, length: length)
  }

  init(address: IPAddress, length: UInt8) {
    self.address = address
    self.length = length
  }

  /// The address alone.
  public init(host address: IPAddress) {
    self.init(address: address, length: address.isIPv6 ? 128 : 32)
  }
}
