/// What this part has read, refused and repaired, for `mifctl stats`.
package struct KernelCounters: Sendable {
  package enum Counter: Int, CaseIterable, Sendable {
    case datagrams
    case messages
    /// Routes that are no default routes, which only a dump brings.
    case routesSkipped
    /// Dumps of everything that were begun because something was or may have been lost.
    case resyncs
    /// The kernel had no room for a notification (ENOBUFS, NLMSG_OVERRUN).
    case overruns
    /// The tables changed under a dump (NLM_F_DUMP_INTR).
    case dumpsInterrupted
    /// The kernel answered a dump request with an error.
    case dumpsFailed
    /// A dump neither went on nor ended.
    case dumpsStalled
    /// A datagram that was longer than the buffer; the buffer has grown.
    case truncated
    /// A datagram that did not come from the kernel.
    case foreign
    case badMessages
    case badLinks
    case badAddresses
    case badRoutes
    case badNeighbours
    /// A default route whose nexthop object the kernel doesn't spell out (`net.ipv4.nexthop_compat_mode` 0).
    case routesUnresolved
    case linksRefused
    case addressesRefused
    case routesRefused
    case neighboursRefused

    package var name: StaticString {
      switch self {
      case .datagrams: "kernel.datagrams"
      case .messages: "kernel.messages"
      case .routesSkipped: "kernel.routes.skipped"
      case .resyncs: "kernel.resyncs"
      case .overruns: "kernel.overruns"
      case .dumpsInterrupted: "kernel.dumps.interrupted"
      case .dumpsFailed: "kernel.dumps.failed"
      case .dumpsStalled: "kernel.dumps.stalled"
      case .truncated: "kernel.truncated"
      case .foreign: "kernel.foreign"
      case .badMessages: "kernel.bad.messages"
      case .badLinks: "kernel.bad.links"
      case .badAddresses: "kernel.bad.addresses"
      case .badRoutes: "kernel.bad.routes"
      case .badNeighbours: "kernel.bad.neighbours"
      case .routesUnresolved: "kernel.routes.unresolved"
      case .linksRefused: "kernel.refused.links"
      case .addressesRefused: "kernel.refused.addresses"
      case .routesRefused: "kernel.refused.routes"
      case .neighboursRefused: "kernel.refused.neighbours"
      }
    }
  }

  private var values: [UInt64]

  package init() { values = [UInt64](repeating: 0, count: Counter.allCases.count) }

  package internal(set) subscript(counter: Counter) -> UInt64 {
    get { values[counter.rawValue] }
    set { values[counter.rawValue] = newValue }
  }

  mutating func count(_ counter: Counter) { values[counter.rawValue] &+= 1 }
}
