import CLinux
import Dispatch
import Foundation
import Messages
import Platform
import Provisioning
import Subscribers
import Synchronization

/// The agent's real sockets over a real state, served by a thread, as long as it lives or until `stop`.
final class LiveAgent: Sendable {
  let directory: String

  private struct Shared {
    var isStopped = false
    var work: [@Sendable (inout NetworkState, Moment) -> Void] = []
    var counters: [String: UInt64] = [:]
  }
  private let shared = Mutex(Shared())
  private let ended = DispatchSemaphore(value: 0)

  /// Moved to the thread.
  private final class Running {
    var state = NetworkState()
    let subscribers: Subscribers
    var poller: Poller

    init(_ subscribers: Subscribers, _ poller: consuming Poller) {
      self.subscribers = subscribers
      self.poller = poller
    }
  }

  init(
    directory: String = "/tmp/mif-tests-\(UUID().uuidString.prefix(8))",
    settings: Subscribers.Settings = Subscribers.Settings()
  ) throws {
    self.directory = directory
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    let poller = try Poller()
    let subscribers = try Subscribers(directory: Array(directory.utf8), settings: settings)
    try subscribers.watch(poller)
    nonisolated(unsafe) let running = Running(subscribers, poller)
    Thread.detachNewThread { [self] in
      unsafe serve(running)
      ended.signal()
    }
  }

  private func serve(_ running: Running) {
    while true {
      let (work, isStopped) = shared.withLock { shared in
        defer { shared.work.removeAll() }
        running.subscribers.forEachCounter { shared.counters[$0.description] = $1 }
        return (shared.work, shared.isStopped)
      }
      if isStopped { return running.subscribers.removeSockets() }
      let moment = Moment(Instant(nanoseconds: Clock.bootTime()), timestamp: Clock.realTime())
      for change in work { change(&running.state, moment) }
      running.subscribers.publish(&running.state, at: moment)
      let count = (try? running.poller.wait(milliseconds: 1)) ?? 0
      for index in 0..<count {
        running.subscribers.handle(running.poller.event(index), &running.state, at: moment, running.poller) { _ in }
      }
      running.subscribers.settle(running.poller)
    }
  }

  /// Soon something happens to the network, and everybody is told.
  func apply(_ events: KernelEvent...) {
    shared.withLock { shared in
      shared.work.append { state, moment in for event in events { state.apply(event, at: moment) } }
    }
  }

  func link(_ index: UInt32, _ name: String) {
    apply(.link(Link(index: index, name: .init(name.utf8), isUp: true, hasCarrier: true)))
  }

  func counter(_ name: String) -> UInt64 { shared.withLock { $0.counters[name] ?? .max } }

  /// Closes everything; the directory stays for the next one.
  func stop() {
    let isFirst = shared.withLock { shared in
      defer { shared.isStopped = true }
      return !shared.isStopped
    }
    if isFirst { ended.wait() }
  }

  func remove() {
    stop()
    try? FileManager.default.removeItem(atPath: directory)
  }
}
