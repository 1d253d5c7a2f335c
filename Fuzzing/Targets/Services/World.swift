import CFuzzer
import Fuzzing
import Glibc
import Messages
import Platform
import Provisioning
import Resolving
import Subscribers
import Wire

/// The agent's two sockets over a real state, as the agent's loop drives them, with a clock that stands unless it is
/// moved, and DNS servers on interface 1.
final class World {
  /// In it are the sockets, one input after the other; `tools/fuzz` removes it.
  private static let directory: [UInt8] = {
    var template = Array("\(environment("TMPDIR") ?? "/tmp")/mifd-fuzz-XXXXXX".utf8CString)
    let made = unsafe template.withUnsafeMutableBufferPointer {
      unsafe mkdtemp($0.baseAddress!) != nil && chmod($0.baseAddress!, 0o755) == 0
    }
    check(made, "cannot make a directory for the sockets")
    return template.dropLast().map { UInt8(bitPattern: $0) }
  }()

  /// A hosts table for what is translated without a server.
  static let hostsFile: [UInt8] = {
    let path = String(decoding: directory, as: UTF8.self) + "/hosts"
    write(Array("192.0.2.1 fuzz.example\n2001:db8:0:1::1 fuzz.example\n".utf8), to: path)
    return Array(path.utf8)
  }()

  var state: NetworkState
  /// Which provisioning domains there were when.
  private(set) var history = DomainHistory()
  let subscribers: Subscribers
  private var poller: Poller
  private let nameServers: [NameServer]
  /// CLOCK_BOOTTIME, nanoseconds, or later.
  private var now = Clock.bootTime()
  /// CLOCK_REALTIME; never the same twice.
  private var stamp: UInt64 = 0
  private var served = 0

  init(_ settings: Subscribers.Settings, _ limits: Limits, nameServers: [NameServer] = []) {
    var settings = settings
    settings.resolver.hostsFile = World.hostsFile
    self.nameServers = nameServers
    state = NetworkState(limits: limits)
    do {
      poller = try Poller()
      subscribers = try Subscribers(directory: World.directory, settings: settings)
      try subscribers.watch(poller)
    } catch {
      check(false, "cannot open the sockets: \(error)")
      fatalError()
    }
  }

  deinit { subscribers.removeSockets() }

  func connect(to name: String) -> Connection? {
    do {
      return try Connection(to: World.directory + Array("/\(name)".utf8))
    } catch {
      // More than it has accepted yet.
      check(error.errno == .wouldBlock, "cannot connect: \(error)")
      return nil
    }
  }

  private var moment: Moment {
    stamp += 1
    return Moment(Instant(nanoseconds: now), timestamp: stamp)
  }

  /// One turn of the agent's loop, over some of what is ready. False if nothing is.
  func turn() -> Bool {
    var isServing = false
    for server in nameServers where server.serve() { isServing = true }
    do {
      let count = try poller.wait(milliseconds: 0)
      if count == 0 { return isServing }
      for index in 0...served % count {
        subscribers.handle(poller.event((served + index) % count), &state, at: moment, poller) { $0("other", 1) }
      }
    } catch {
      check(false, "epoll: \(error)")
    }
    advance()
    subscribers.settle(poller)
    served += 1
    return true
  }

  func happen(_ change: (inout NetworkState, Moment) -> Void) {
    change(&state, moment)
    publish(moment)
    subscribers.settle(poller)
  }

  private func publish(_ moment: Moment) {
    if !state.announcements.isEmpty { history.note(state) }
    subscribers.publish(&state, at: moment)
    runErrands()
  }

  /// What would be done to the host is only looked at.
  private func runErrands() {
    while let errand = subscribers.nextErrand() {
      check(state.link(errand.interface) != nil, "\(errand) for a link that is gone")
    }
  }

  func pass(nanoseconds: UInt64) {
    now += nanoseconds
    advance()
    subscribers.settle(poller)
  }

  private func advance() {
    let moment = moment
    if let due = subscribers.deadline, due <= now { subscribers.advance(at: now, state, poller) }
    if state.nextDeadline <= moment.instant { state.advance(to: moment) }
    publish(moment)
  }

  /// Until something that a client waits for is due; at most a minute.
  func passToDeadline() {
    let due = min(subscribers.deadline ?? .max, now + 60_000_000_000)
    pass(nanoseconds: due > now ? due - now : 0)
  }

  func counter(_ name: String) -> UInt64 {
    var found: UInt64?
    subscribers.forEachCounter { if $0.description == name { found = $1 } }
    return need(found, "no counter \(name)")
  }

  /// How many are open: the same before and after, if all were closed.
  static var descriptors: CInt { fuzzing_open_descriptors() }
}
