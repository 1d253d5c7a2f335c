import Glibc
import Messages
import Platform
import Provisioning
import Subscribers
import Wire

/// The agent's two sockets over a real state, as the agent's loop drives them, with a clock that stands unless it is
/// moved.
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

  var state: NetworkState
  private(set) var subscribers: Subscribers
  private var poller: Poller
  /// CLOCK_BOOTTIME, nanoseconds.
  private var now: UInt64 = 1_000_000_000_000
  /// CLOCK_REALTIME; never the same twice.
  private var stamp: UInt64 = 0
  private var served = 0

  init(_ settings: Subscribers.Settings, _ limits: Limits) {
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
    do {
      let count = try poller.wait(milliseconds: 0)
      if count == 0 { return false }
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
    subscribers.publish(&state, at: moment)
    subscribers.settle(poller)
  }

  func pass(nanoseconds: UInt64) {
    now += nanoseconds
    advance()
    subscribers.settle(poller)
  }

  private func advance() {
    let moment = moment
    if state.nextDeadline > moment.instant { return }
    state.advance(to: moment)
    subscribers.publish(&state, at: moment)
  }

  func counter(_ name: String) -> UInt64 {
    var found: UInt64?
    subscribers.forEachCounter { if $0.description == name { found = $1 } }
    return need(found, "no counter \(name)")
  }

  /// The number that the next descriptor gets: the same before and after, if all were closed.
  static var nextDescriptor: CInt {
    let number = dup(2)
    close(number)
    return number
  }
}
