package import Platform
package import Wire

/// A connection that is wanted: from where, through what, to where.
package struct ConnectOrder: Hashable, Sendable {
  package enum Transport: Hashable, Sendable { case tcp, udp }

  /// The caller's name for it, never used again.
  package var key: UInt64
  package var transport: Transport
  /// A link-local one is on `interface`.
  package var destination: IPAddress
  package var port: UInt16
  /// One of the interface's addresses: that it is, the caller knows.
  package var source: IPAddress
  /// 0: any that is free.
  package var sourcePort: UInt16
  /// The index of the interface that every packet leaves and comes by.
  package var interface: UInt32
  /// Nanoseconds from now; TCP only.
  package var timeout: UInt64

  package init(
    key: UInt64, transport: Transport, destination: IPAddress, port: UInt16, source: IPAddress, sourcePort: UInt16 = 0,
    interface: UInt32, timeout: UInt64
  ) {
    self.key = key
    self.transport = transport
    self.destination = destination
    self.port = port
    self.source = source
    self.sourcePort = sourcePort
    self.interface = interface
    self.timeout = timeout
  }
}

/// Why there is no connection, and who says so.
package struct ConnectFailure: Error, Hashable, Sendable {
  package enum Origin: Hashable, Sendable {
    /// This host: no route, no such source, no neighbour that answers, no room.
    case local
    /// The destination's TCP: a reset.
    case peer
    case icmp
    case icmpv6
    /// Nobody.
    case timeOut
  }

  package var errno: Errno
  package var origin: Origin
  /// Of the ICMP or ICMPv6 error, else 0.
  package var icmpType: UInt8 = 0
  package var icmpCode: UInt8 = 0
  /// Who sent the ICMP or ICMPv6 error.
  package var offender: IPAddress?

  package init(_ errno: Errno, _ origin: Origin) {
    self.errno = errno
    self.origin = origin
  }
}

package enum ConnectResult {
  /// The socket is as socket(2), bind(2) and connect(2) would have made it: blocking, closed on exec, no option set
  /// but its binding to the interface.
  case connected(key: UInt64, PassedDescriptor)
  case failed(key: UInt64, ConnectFailure)
}

extension ConnectResult {
  package var key: UInt64 {
    switch self {
    case .connected(let key, _), .failed(let key, _): key
    }
  }
}
