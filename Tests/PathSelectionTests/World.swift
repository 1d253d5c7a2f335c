import Messages
import PathSelection
import Provisioning
import Wire

let milliseconds: UInt64 = 1_000_000
let seconds: UInt64 = 1_000_000_000

/// A host with uplinks and a peer, in which a selector's actions have their effects: probes take their time, die with
/// their path, or are refused by its router.
struct World {
  enum Condition { case alive, blackHole, refused, unsendable }

  struct Way {
    var path: Path
    var metric: UInt32
    var condition = Condition.alive
    var roundTrip = 1 * milliseconds
  }

  static let peer = IPAddress("203.0.113.1")!

  var selector: PathSelector
  var now = Instant(nanoseconds: 1_000 * seconds)
  var ways: [Way] = []
  /// Where packets are led; nil for the least metric.
  var led: Path?
  /// What was done, but for probes.
  var done: [Action] = []
  var probes = 0
  var refusesMoves = false
  private var flying: [UInt32: (path: Path, answer: Instant)] = [:]

  init(ways count: Int = 2, family: Family = .v4, _ settings: Settings = Settings()) {
    selector = PathSelector(settings)
    for index in 1...count {
      let (gateway, source) =
        family == .v4
        ? (IPAddress("10.\(index).0.1")!, IPAddress("10.\(index).0.10")!)
        : (IPAddress("fe80::\(index)")!, IPAddress("2001:db8:\(index)::10")!)
      let interface = UInt32(index)
      ways.append(
        Way(path: Path(interface: interface, gateway: gateway, source: source), metric: UInt32(100 * index)))
      hear(.link(link(interface)))
      hear(.address(InterfaceAddress(interface: interface, prefix: IPPrefix(source, family == .v4 ? 24 : 64))))
      hear(.defaultRoute(route(index - 1)))
    }
  }

  func link(_ index: UInt32, isUp: Bool = true, hasCarrier: Bool = true) -> Link {
    Link(index: index, name: InterfaceName("up\(index)".utf8), isUp: isUp, hasCarrier: hasCarrier)
  }

  func route(_ index: Int) -> DefaultRoute {
    let path = ways[index].path
    return DefaultRoute(
      interface: path.interface, family: path.source.family, gateway: path.gateway, metric: ways[index].metric)
  }

  /// The peer of these uplinks' family.
  var peer: IPAddress { ways[0].path.source.family == .v4 ? World.peer : IPAddress("2001:db8:99::1")! }

  /// The path that the kernel takes.
  var current: Path? { led ?? selector.uplinks.usual(peer.family) }

  mutating func hear(_ event: KernelEvent) {
    if selector.hear(event, at: now) { lookUp() }
    act()
  }

  mutating func hear(_ hint: Hint) {
    selector.hear(hint, at: now)
    act()
  }

  /// An IKE_SA stands, on the path that the kernel takes.
  mutating func connect() {
    selector.hear([Association(peer: peer, port: 500, local: current?.source)], at: now)
    lookUp()
    act()
  }

  mutating func disconnect() {
    selector.hear([], at: now)
    act()
  }

  /// DEST_UNREACHABLE for the path in use.
  mutating func unreachable(_ trigger: UInt32 = 1) {
    hear(.unreachable(trigger: trigger, source: current!.source, IPPrefix(peer, peer.family.width)))
  }

  private mutating func lookUp() {
    for association in selector.associations { selector.hear(pathTo: association.peer, current, at: now) }
  }

  /// Lets so many nanoseconds pass.
  mutating func pass(_ time: UInt64) {
    let end = now.adding(nanoseconds: time)
    while true {
      let landing = flying.values.map(\.answer).min() ?? .never
      let next = min(selector.deadline, landing)
      if next > end { break }
      now = max(now, next)
      for (number, probe) in flying where probe.answer <= now {
        flying[number] = nil
        let condition = ways.first { $0.path == probe.path }?.condition
        selector.hear(condition == .alive ? .answered(0) : .unreachable(type: 3, code: 0), of: number, at: now)
      }
      selector.advance(to: now)
      act()
    }
    now = end
  }

  private mutating func act() {
    var actions = selector.takeActions()
    while !actions.isEmpty {
      for action in actions { act(action) }
      actions = selector.takeActions()
    }
  }

  private mutating func act(_ action: Action) {
    switch action {
    case .probe(let number, _, _, let path):
      probes += 1
      guard let way = ways.first(where: { $0.path == path }) else {
        return selector.hear(.unsendable(errno: 101), of: number, at: now)
      }
      switch way.condition {
      case .alive, .refused: flying[number] = (path, now.adding(nanoseconds: way.roundTrip))
      case .unsendable: selector.hear(.unsendable(errno: 101), of: number, at: now)
      case .blackHole: break
      }
    case .repeat: break
    case .forget(let number): flying[number] = nil
    case .move(_, _, let path, _):
      done.append(action)
      if refusesMoves { return selector.hear(refusalToMove: peer, at: now) }
      led = path
      lookUp()
    case .restore:
      done.append(action)
      led = nil
      lookUp()
    case .notice: done.append(action)
    }
  }

  var moves: [Path] { done.compactMap { if case .move(_, _, let path, _) = $0 { path } else { nil } } }
  var restorations: [Restoration] {
    done.compactMap { if case .restore(_, _, let reason) = $0 { reason } else { nil } }
  }
  var notices: [Notice] { done.compactMap { if case .notice(_, let notice) = $0 { notice } else { nil } } }
}
