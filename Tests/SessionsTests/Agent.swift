import Glibc
import Messages
import Platform
import Provisioning
import Subscribers
import Testing

/// The agent's real sockets over a real state, in a directory of their own; a test turns its loop by hand, and ends it
/// and starts another one in the same place.
final class Agent {
  private final class Running {
    var state = NetworkState()
    let subscribers: Subscribers
    var poller: Poller

    init(_ subscribers: Subscribers, _ poller: consuming Poller) {
      self.subscribers = subscribers
      self.poller = poller
    }
  }

  private let directory: [UInt8]
  private let settings: Subscribers.Settings
  private var running: Running?

  init(_ settings: Subscribers.Settings = Subscribers.Settings()) throws {
    var template = Array("/tmp/mifd-sessions-XXXXXX".utf8CString)
    let isMade = unsafe template.withUnsafeMutableBufferPointer { unsafe mkdtemp($0.baseAddress!) != nil }
    try #require(isMade)
    directory = template.dropLast().map { UInt8(bitPattern: $0) }
    self.settings = settings
  }

  deinit {
    stop()
    unsafe (directory + [0]).withUnsafeBytes { _ = unsafe rmdir($0.bindMemory(to: CChar.self).baseAddress!) }
  }

  var path: [UInt8] { directory + Array("/trigger.sock".utf8) }

  func start() throws {
    let poller = try Poller()
    let subscribers = try Subscribers(directory: directory, settings: settings)
    try subscribers.watch(poller)
    running = Running(subscribers, poller)
  }

  func stop() {
    running?.subscribers.removeSockets()
    running = nil
  }

  /// Lets the loop run until nothing is ready any more.
  func run() throws {
    guard let running else { return }
    for _ in 0..<10_000 {
      let count = try running.poller.wait(milliseconds: 0)
      for index in 0..<count {
        running.subscribers.handle(
          running.poller.event(index), &running.state, at: moment, running.poller
        ) { _ in }
      }
      running.subscribers.settle(running.poller)
      if count == 0 { return }
    }
  }

  func counter(_ name: String) -> UInt64 {
    var found: UInt64?
    running?.subscribers.forEachCounter { if $0.description == name { found = $1 } }
    return found ?? .max
  }

  private var moment: Moment { Moment(Instant(nanoseconds: 1), timestamp: Clock.realTime()) }

  /// The network changes, and everybody is told.
  func apply(_ events: KernelEvent...) throws {
    guard let running else { return }
    for event in events { running.state.apply(event, at: moment) }
    running.subscribers.publish(&running.state, at: moment)
    running.subscribers.settle(running.poller)
  }

  func link(_ index: UInt32, _ name: String) throws {
    try apply(.link(Link(index: index, name: InterfaceName(name.utf8), isUp: true, hasCarrier: true)))
  }

  func unlink(_ index: UInt32) throws { try apply(.linkRemoved(index: index)) }
}
