import Messages
import Wire

/// What is spoken above IP.
public enum Transport: UInt8, Hashable, Sendable, CaseIterable {
  /// IPPROTO_TCP.
  case tcp = 6
  /// IPPROTO_UDP.
  case udp = 17

  var wire: Messages.Endpoint.Transport {
    switch self {
    case .tcp: .tcp
    case .udp: .udp
    }
  }
}

public enum AddressFamily: Hashable, Sendable, CaseIterable {
  case ipv4
  case ipv6

  var wire: Wire.Family {
    switch self {
    case .ipv4: .v4
    case .ipv6: .v6
    }
  }
}

/// One end of a connection: an address and a port.
public struct Endpoint: Hashable, Sendable, CustomStringConvertible {
  public var address: IPAddress
  /// 0, of a source: any.
  public var port: UInt16

  public init(_ address: IPAddress, port: UInt16) {
    self.address = address
    self.port = port
  }

  init(_ socketAddress: SocketAddress) {
    self.init(IPAddress(socketAddress.address, scope: socketAddress.scope), port: socketAddress.port)
  }

  var wire: SocketAddress { SocketAddress(address.wire, port: port, scope: address.scope) }

  /// As in a URI (RFC 3986 section 3.2.2): "192.0.2.1:80", "[2001:db8::1]:80".
  public var description: String { address.isIPv6 ? "[\(address)]:\(port)" : "\(address):\(port)" }
}
