import CLinux
import CNetlink
package import Provisioning
import Wire

/// What the kernel says of this host's network, as events that tell differences only, in the kernel's own order.
///
/// - No event names an interface that `.link` has not told before; all addresses and routes of an interface are
///   told as removed before its `.linkRemoved`.
/// - A route that takes another's place is told before the other's removal.
/// - The first dumps end with `.snapshotComplete`, once.
/// - What was lost on the way (ENOBUFS) is found again by dumping everything: only what differs is told.
///
/// One socket, no thread, no clock: call `service` when `descriptor` is readable or `deadline` has passed.
package struct KernelState: ~Copyable {
  private var socket: RouteSocket
  private var tables = Tables()
  /// Datagrams read since a cycle was wanted, without an end of them.
  private var unread = 0
  private static let backlog = 16_384
  /// The revision of the default routes whose gateways the filter passes.
  private var followed: UInt64 = 0

  /// Opens the socket, subscribes and asks for the first dump. Needs no privilege but for a large
  /// `receiveBuffer` (bytes): with CAP_NET_ADMIN it may exceed net.core.rmem_max.
  package init(receiveBuffer: Int32 = 1 << 20, at now: UInt64) throws(KernelError) {
    socket = try RouteSocket.open(receiveBuffer: receiveBuffer, filter: RouteFilter.program(gateways: []))
    advance(at: now) { _ in }
  }

  /// For the poller: readable.
  package var descriptor: Int32 { socket.descriptor }

  /// When `service` is to be called even if nothing arrives (CLOCK_BOOTTIME, nanoseconds), nil for never.
  package var deadline: UInt64? { tables.resync.deadline }

  package var counters: KernelCounters { tables.counters }

  /// Reads at most `limit` datagrams and hands each event over in the kernel's order. A dump's datagrams hold hundreds
  /// of messages: they count as one per 4 KiB. `now`: CLOCK_BOOTTIME, nanoseconds. True: there is, or may be, more to
  /// read now.
  package mutating func service(
    limit: Int, at now: UInt64, _ body: (KernelEvent) -> Void
  ) throws(KernelError) -> Bool {
    var hasMore = true
    var left = limit
    while left > 0 {
      left -= 1
      switch try socket.receive() {
      case .nothing:
        hasMore = false
        left = 0
        continue
      case .lost: tables.lost()
      case .foreign: tables.counters.count(.foreign)
      case .truncated:
        tables.counters.count(.truncated)
        tables.resync.want(.all)
      case .datagram(let count):
        tables.counters.count(.datagrams)
        left -= count / 4096
        if !Self.deliver(count, from: socket, to: &tables, at: now, body) { tables.counters.count(.badMessages) }
      }
    }
    try followGateways()
    // A new cycle begins when what was queued before is read: the queue then has room for it. Or, where there
    // always is more, when what was queued before must have been read.
    unread = hasMore && tables.resync.isWaiting ? unread + limit : 0
    advance(mayBegin: unread == 0 || unread > Self.backlog, at: now, body)
    try followGateways()
    return hasMore
  }

  private static func deliver(
    _ count: Int, from socket: borrowing RouteSocket, to tables: inout Tables, at now: UInt64,
    _ body: (KernelEvent) -> Void
  ) -> Bool {
    let port = socket.port
    return socket.messages(count) { tables.handle($0, port: port, at: now, body) }
  }

  /// Moves the resync on: ends what stalls, sweeps what ended, asks for what is next.
  private mutating func advance(mayBegin: Bool = true, at now: UInt64, _ body: (KernelEvent) -> Void) {
    if tables.resync.stalled(at: now) { tables.counters.count(.dumpsStalled) }
    if tables.resync.isDone { tables.endCycle(at: now, body) }
    if mayBegin { tables.beginCycle(at: now) }
    while let dump = tables.resync.next(at: now) {
      if let sequence = socket.request(dump) {
        tables.resync.started(dump, sequence: sequence, at: now)
      } else {
        tables.counters.count(.dumpsFailed)
        tables.resync.started(dump, sequence: 0, at: now)
        tables.resync.refused(retry: true, at: now)
      }
    }
  }

  /// Lets the filter pass the gateways' neighbours, then asks for those that nothing is known of.
  private mutating func followGateways() throws(KernelError) {
    if tables.joinsNexthops {
      tables.joinsNexthops = false
      try socket.subscribe(Int32(RTNLGRP_NEXTHOP.rawValue))
    }
    if tables.routes.revision == followed { return }
    followed = tables.routes.revision
    let gateways = tables.routes.gateways
    if gateways == tables.neighbours.gateways { return }
    let unknown = tables.neighbours.setGateways(gateways)
    try socket.setFilter(RouteFilter.program(gateways: gateways))
    if tables.resync.isAhead(.neighbours) { return }
    for key in unknown { socket.request(key) }
  }
}
