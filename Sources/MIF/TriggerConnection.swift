import Messages
import Platform
import Sessions

/// A connection to the agent's trigger database for programs with a poll loop of their own, or none. Its calls wait; it
/// belongs to one task or thread at a time. `TriggerDatabase` is the same for Swift concurrency.
///
///     let triggers = try TriggerConnection()
///     try triggers.register()
///     while let event = try triggers.next() { ... }
public final class TriggerConnection {
  private let path: String
  private var session: TriggerSession
  /// Whether news are wanted; without them ORIGIN alone may have been asked for.
  private var isListening = false
  private var hasOrigin = false
  private var hasBeenInStep = false

  /// Connects to `trigger.sock` in the agent's runtime directory. With `waitsForAgent` nobody needs to be there yet. With
  /// `spins`, `next` looks for news in the memory that the agent shares instead of sleeping, which takes a processor's
  /// whole time and saves the microseconds that it takes to be woken; `fileDescriptor` does not tell of these news then.
  public init(
    runtimeDirectory: String = defaultRuntimeDirectory, waitsForAgent: Bool = false, spins: Bool = false
  ) throws(ClientError) {
    let path = runtimeDirectory + "/trigger.sock"
    self.path = path
    session = try TriggerSession.open(path, waitsForAgent: waitsForAgent, spins: spins)
  }

  /// For poll(2): readable when `next` may have something. Call `next(timeout: .zero)` until it gives nil. It stays the
  /// same when the agent is restarted.
  public var fileDescriptor: Int32 { session.descriptor }

  /// Whether an agent is there now. While it is not, `next` looks for it.
  public var isConnected: Bool { session.isConnected }

  /// Asks for news of what passes the filter. All that exists comes first, then `inStep`. Refused with EPERM where this
  /// user may read no trigger. Called again, what no longer passes comes as deleted.
  public func register(matching filter: TriggerFilter? = nil, timeout: Duration = .seconds(5)) throws(ClientError) {
    isListening = true
    hasOrigin = true
    do throws(TriggerFailure) {
      try session.register(TriggerInterest(filter: filter?.wire))
      try session.awaitRegistration(until: Clock.bootTime() + timeout.nanoseconds)
    } catch {
      throw ClientError(error, request: "REGISTER", path: path)
    }
  }

  /// The next news; nil where none came in `timeout`. Without one it waits for ever.
  public func next(timeout: Duration? = nil) throws(ClientError) -> TriggerEvent? {
    let deadline = timeout.map { Clock.bootTime() + $0.nanoseconds }
    do throws(TriggerFailure) {
      while true {
        while let happening = try session.next() {
          switch happening {
          case .news(let news) where isListening:
            let event = TriggerEvent(news, isFirst: !hasBeenInStep)
            if event == .inStep { hasBeenInStep = true }
            return event
          case .refused(let number) where isListening: throw .refused(number)
          case .news, .refused, .answer: continue
          }
        }
        guard let wait = Clock.milliseconds(until: deadline) else { return nil }
        _ = try session.wait(milliseconds: wait)
      }
    } catch {
      throw ClientError(error, request: "REGISTER", path: path)
    }
  }

  /// Adds a trigger, and gives it back with its identifier.
  public func add(
    _ kind: TriggerKind, addresses: [IPPrefix] = [], timeout: Duration = .seconds(5)
  ) throws(ClientError) -> Trigger {
    try ask(.add(kind.wire, addresses.map(\.triggerAddress)), timeout)
  }

  /// Everything that is known of a trigger. Refused with ENOENT where there is none of this number.
  public func get(_ identifier: UInt32, timeout: Duration = .seconds(5)) throws(ClientError) -> Trigger {
    if !hasOrigin {
      // Where it fails, so does what follows.
      try? session.register(TriggerInterest(filter: .nothing))
      hasOrigin = true
    }
    return try ask(.get(identifier), timeout)
  }

  /// Changes a trigger. Without addresses those that it has stay, and the answer has none.
  public func modify(
    _ identifier: UInt32, _ kind: TriggerKind, addresses: [IPPrefix] = [], timeout: Duration = .seconds(5)
  ) throws(ClientError) -> Trigger {
    try ask(.modify(identifier, kind.wire, addresses.map(\.triggerAddress)), timeout)
  }

  /// Deletes a trigger, and gives back what it was, without its addresses.
  public func delete(_ identifier: UInt32, timeout: Duration = .seconds(5)) throws(ClientError) -> Trigger {
    try ask(.delete(identifier), timeout)
  }

  private func ask(_ order: TriggerOrder, _ timeout: Duration) throws(ClientError) -> Trigger {
    do throws(TriggerFailure) {
      return Trigger(try session.ask(order, until: Clock.bootTime() + timeout.nanoseconds))
    } catch {
      throw ClientError(error, request: order.name, path: path)
    }
  }
}

extension TriggerSession {
  static func open(_ path: String, waitsForAgent: Bool, spins: Bool = false) throws(ClientError) -> TriggerSession {
    do throws(SystemFailure) {
      return try TriggerSession(path: Array(path.utf8), waitsForAgent: waitsForAgent, spins: spins)
    } catch {
      throw ClientError(error, path: path)
    }
  }
}

extension TriggerKind {
  var wire: TriggerType { TriggerType(rawValue: rawValue) }
}

extension Duration {
  /// As much of it as fits, at least 0; half the range, so that a clock's time can be added.
  var nanoseconds: UInt64 {
    let (seconds, attoseconds) = components
    guard seconds >= 0, attoseconds >= 0 else { return 0 }
    let limit = UInt64.max / 2
    guard seconds < Int64(limit / 1_000_000_000) else { return limit }
    return UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds / 1_000_000_000)
  }
}
