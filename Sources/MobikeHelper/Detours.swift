import Kernel
import PathSelection
import Platform
import Provisioning
import Wire

/// The routes that are changed so that daemons move: host routes to peers, and default routes that are taken away until
/// a daemon has followed.
///
/// A daemon that prefers the best path (charon's `prefer_best_path`) follows the host route. One that doesn't stays on its
/// address as long as there is any route by which it could use it: then the default route of the path that it is to leave
/// is taken away, and given back as soon as it has moved. Other programs' packets take another default route meanwhile.
final class Detours {
  /// For how long a daemon may take to follow a host route: charon waits 0.1 s by itself. Nanoseconds.
  private static let patience: UInt64 = 250_000_000
  /// What it said of the IKE_SA before is no news. Nanoseconds.
  private static let youth: UInt64 = 150_000_000
  /// And at most, when the default route is away as well.
  private static let lastPatience: UInt64 = 2_000_000_000

  /// A daemon that is to move.
  private struct Expectation {
    let peer: IPAddress
    let from: Path
    let to: Path
    let since: UInt64
    /// When something is done about it, but not before the daemon has said that it stays.
    var due: UInt64
    var stays: Bool
    var isWithheld = false
    var isFulfilled = false

    var deadline: UInt64 {
      isFulfilled ? 0 : stays ? due : max(due, since + Detours.lastPatience)
    }

    /// Whether an IKE_SA is on the path that it is to leave. Which address of another one it then has is for the daemon
    /// to choose.
    func isLeft(by addresses: Set<IPAddress>, _ uplinks: Uplinks) -> Bool {
      !addresses.contains { address in
        let isThere = uplinks.has(Path(interface: from.interface, gateway: from.gateway, source: address))
        return isThere && (from.interface != to.interface || address == from.source && address != to.source)
      }
    }
  }

  private let routes: RouteChanges
  private let means: Means
  /// Host routes.
  private var led: [(peer: IPAddress, path: Path)] = []
  private var expectations: [Expectation] = []

  init(_ routes: RouteChanges, _ means: Means) {
    self.routes = routes
    self.means = means
  }

  /// When `advance` is to be called, nanoseconds of CLOCK_BOOTTIME.
  var deadline: UInt64? { expectations.map { $0.deadline }.min() }

  /// A daemon is to move, and has not done so yet.
  var isWaiting: Bool { !expectations.isEmpty }

  func path(to peer: IPAddress) -> Path? { led.first { $0.peer == peer }?.path }

  func lead(_ peer: IPAddress, over path: Path) throws(Errno) {
    let via = RouteVia(interface: path.interface, gateway: path.gateway, source: path.source)
    let place = led.firstIndex { $0.peer == peer }
    try routes.lead(peer, over: via, replacing: place != nil)
    if let place { led[place].path = path } else { led.append((peer, path)) }
  }

  func release(_ peer: IPAddress) throws(Errno) {
    led.removeAll { $0.peer == peer }
    try routes.release(peer)
  }

  func takeBack() throws(Errno) {
    expectations = []
    led = []
    _ = try routes.releaseAll()
  }

  /// The daemon is to leave a path for another one.
  /// - Parameter addresses: which its IKE_SAs with the peer have.
  func expect(
    _ peer: IPAddress, _ addresses: Set<IPAddress>, from: Path, to path: Path, _ uplinks: Uplinks, at now: UInt64
  ) {
    let isAtOnce = means == .defaultRoute
    let expectation = Expectation(
      peer: peer, from: from, to: path, since: now, due: isAtOnce ? now : now + Detours.patience, stays: isAtOnce)
    if !expectation.isLeft(by: addresses, uplinks) { expectations.append(expectation) }
  }

  /// What a daemon was to do for a peer doesn't matter any more: a default route that is away for that is given back.
  func expectNothing(of peer: IPAddress) {
    for index in expectations.indices where expectations[index].peer == peer { expectations[index].isFulfilled = true }
  }

  /// The addresses that IKE_SAs have now, by peers.
  /// - Parameter asked: when the daemon was asked for them, nanoseconds of CLOCK_BOOTTIME.
  func hear(_ locals: [IPAddress: Set<IPAddress>], asked: UInt64, _ uplinks: Uplinks) {
    for index in expectations.indices {
      let expectation = expectations[index]
      if expectation.isLeft(by: locals[expectation.peer] ?? [], uplinks) {
        expectations[index].isFulfilled = true
      } else if asked >= expectation.since + Detours.youth {
        expectations[index].stays = true
      }
    }
  }

  /// A default route has come.
  func hear(_ route: DefaultRoute) {
    do throws(Errno) {
      try routes.hear(route)
    } catch {
      Log.error("a default route that was given back can't be taken away: \(error)")
    }
  }

  /// Takes default routes away, or gives them back, where it is time to.
  func advance(to now: UInt64, _ uplinks: inout Uplinks, _ names: InterfaceNames) {
    for index in expectations.indices where !expectations[index].isFulfilled && expectations[index].deadline <= now {
      let expectation = expectations[index]
      let wasLast = expectation.isWithheld || means == .hostRoute || !expectation.stays
      if wasLast || !withhold(expectation, &uplinks, names) {
        Log.warning(
          """
          \(expectation.peer): the IKE daemon does not follow, its IKE_SA is still on \(expectation.from, names) \
          (does it speak MOBIKE?)
          """)
        expectations[index].isFulfilled = true
      } else {
        expectations[index].isWithheld = true
        expectations[index].due = now + Detours.lastPatience
      }
    }
    for expectation in expectations where expectation.isFulfilled && expectation.isWithheld {
      giveBack(expectation, &uplinks, names)
    }
    expectations.removeAll { $0.isFulfilled }
  }

  private func withhold(_ expectation: Expectation, _ uplinks: inout Uplinks, _ names: InterfaceNames) -> Bool {
    let path = expectation.from
    // For another peer's sake, or gone already.
    let isAway = expectations.contains { $0.isWithheld && $0.from.sharesUplink(with: path) }
    if isAway || !uplinks.has(path) { return true }
    uplinks.withhold(path)
    do throws(Errno) {
      try routes.withhold(path.source.family, via: Detours.uplink(path))
      Log.notice("\(expectation.peer): the default route of \(path, names) is taken away until the IKE_SA has moved")
      return true
    } catch {
      uplinks.giveBack(path)
      Log.error("the default route of \(path, names) can't be taken away: \(error)")
      return false
    }
  }

  private static func uplink(_ path: Path) -> RouteVia {
    RouteVia(interface: path.interface, gateway: path.gateway, source: nil)
  }

  private func giveBack(_ expectation: Expectation, _ uplinks: inout Uplinks, _ names: InterfaceNames) {
    let path = expectation.from
    if expectations.contains(where: { !$0.isFulfilled && $0.isWithheld && $0.from.sharesUplink(with: path) }) { return }
    uplinks.giveBack(path)
    do throws(Errno) {
      let (gone, replaced) = try routes.giveBack(path.source.family, via: Detours.uplink(path))
      // The kernel told that they were gone when that was on purpose.
      for route in gone + replaced { _ = uplinks.apply(.defaultRouteRemoved(route)) }
      Log.notice(
        gone.isEmpty
          ? "\(expectation.peer): the default route of \(path, names) is given back"
          : "\(expectation.peer): the default route of \(path, names) can't be given back: its address or link is gone")
    } catch {
      Log.error("the default route of \(path, names) can't be given back: \(error)")
    }
  }
}
