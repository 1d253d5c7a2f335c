/// An ICMP or ICMPv6 error. Its description is what the RFCs call it.
public struct ICMPError: Hashable, Sendable, CustomStringConvertible {
  public let isIPv6: Bool
  public let type: UInt8
  public let code: UInt8

  public var description: String {
    (isIPv6 ? ICMPError.version6[Key(type, code)] : ICMPError.version4[Key(type, code)])
      ?? "type \(type) code \(code)"
  }

  private struct Key: Hashable {
    var type: UInt8
    var code: UInt8
    init(_ type: UInt8, _ code: UInt8) {
      self.type = type
      self.code = code
    }
  }

  /// RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1.
  private static let version4: [Key: String] = [
    Key(3, 0): "network unreachable", Key(3, 1): "host unreachable", Key(3, 2): "protocol unreachable",
    Key(3, 3): "port unreachable", Key(3, 4): "fragmentation needed", Key(3, 5): "source route failed",
    Key(3, 6): "network unknown", Key(3, 7): "host unknown", Key(3, 8): "source host isolated",
    Key(3, 9): "network administratively prohibited", Key(3, 10): "host administratively prohibited",
    Key(3, 11): "network unreachable for type of service", Key(3, 12): "host unreachable for type of service",
    Key(3, 13): "communication administratively prohibited", Key(3, 14): "host precedence violation",
    Key(3, 15): "precedence cutoff in effect", Key(11, 0): "time to live exceeded in transit",
    Key(11, 1): "fragment reassembly time exceeded",
  ]

  /// RFC 4443 section 3, RFC 6550 section 20.19 (code 7), RFC 8883 (code 8).
  private static let version6: [Key: String] = [
    Key(1, 0): "no route to destination", Key(1, 1): "communication administratively prohibited",
    Key(1, 2): "beyond scope of source address", Key(1, 3): "address unreachable", Key(1, 4): "port unreachable",
    Key(1, 5): "source address failed policy", Key(1, 6): "reject route to destination",
    Key(1, 7): "error in source routing header", Key(1, 8): "headers too long", Key(2, 0): "packet too big",
    Key(3, 0): "hop limit exceeded in transit", Key(3, 1): "fragment reassembly time exceeded",
  ]
}
