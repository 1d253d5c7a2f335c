/// The bounds of every table, and what happens at each: nothing here grows past them, whatever strangers send.
package struct Limits: Sendable {
  /// Links told; further ones are counted (`state.interfaces-full`) and ignored.
  package var interfaces = 4096
  /// Addresses per interface; further ones are counted (`state.addresses-full`) and ignored.
  package var addressesPerInterface = 1024
  /// Default routes per interface, further ones counted (`state.routes-full`) and ignored.
  package var routesPerInterface = 32
  /// Routers per interface that advertise. The established ones stay, a further one is counted (`ra.routers-full`).
  package var routersPerInterface = 16
  /// DHCP servers per interface and version that hold a lease here; counted as `dhcp.servers-full`.
  package var serversPerInterface = 4
  /// Pieces of configuration per router or lease; further ones are counted (`state.items-full`) and left out.
  package var itemsPerSource = 64
  /// Bytes of options that are handed on unread, per router or lease; further options are left out likewise.
  package var unreadBytesPerSource = 8192
  /// Events for links not known yet; further ones are counted (`state.parked-full`) and dropped.
  package var parked = 256
  /// Triggers that clients hold; further ones are answered ENOSPC.
  package var clientTriggers = 65_536
  /// Triggers that one user other than root holds; further ones are answered ENOSPC.
  package var triggersPerUser = 16_384
  /// Paths known to be unreachable. Past it, errors fold into one entry for each local address, whose destination
  /// is unspecified with prefix length 0; past one and a quarter of it they are counted (`icmp.paths-full`).
  package var unreachablePaths = 4096
  /// How long DEST_UNREACHABLE lasts without a repeat, and IF_REMOVED and CONN_LOST at all: 60 s.
  package var holdTime: UInt64 = 60_000_000_000
  /// Shortest time between two MODIFYs of one folded trigger: 100 ms.
  package var foldInterval: UInt64 = 100_000_000
  /// How long the repeats of a flow that was found live are believed without asking again: 1 s.
  package var flowInterval: UInt64 = 1_000_000_000

  package init() {}
}
