/// What connecting counts: one name each, shown by `mifctl stats`.
enum ConnectCounter: Int, CaseIterable {
  case orders, connected, cancelled
  case failedLocally, refusedByPeer, refusedByICMP, timedOut, full

  var name: StaticString {
    switch self {
    case .orders: "connector.orders"
    case .connected: "connector.connected"
    case .cancelled: "connector.cancelled"
    case .failedLocally: "connector.failed-locally"
    case .refusedByPeer: "connector.refused-by-peer"
    case .refusedByICMP: "connector.refused-by-icmp"
    case .timedOut: "connector.timed-out"
    case .full: "connector.full"
    }
  }
}

extension ConnectFailure.Origin {
  var counter: ConnectCounter {
    switch self {
    case .local: .failedLocally
    case .peer: .refusedByPeer
    case .icmp, .icmpv6: .refusedByICMP
    case .timeOut: .timedOut
    }
  }
}
