import Sessions

/// The agent's trigger database: what is known of the host's addresses and paths, and what programs tell each other of
/// them (draft-schilcher-mobike-trigger-api-00).
///
///     let database = try TriggerDatabase()
///     let path = [IPPrefix("192.0.2.1")!, IPPrefix("198.51.100.7")!]
///     let trigger = try await database.add(.destinationUnreachable, addresses: path)
///
///     var known: [UInt32: Trigger] = [:]
///     for try await event in database.notifications(matching: TriggerFilter(kinds: [.destinationUnreachable])) {
///       switch event {
///       case .exists(let trigger), .added(let trigger): known[trigger.identifier] = trigger
///       case .modified(let trigger, let former):
///         known[former] = nil
///         known[trigger.identifier] = trigger
///       case .deleted(let trigger): known[trigger.identifier] = nil
///       case .inStep: print("that is all:", known.count)
///       case .disconnected: print("the agent is away")
///       }
///     }
///
/// Any number of tasks may use one database at a time: their requests go out without waiting for each other, are carried
/// out in the order in which they were made, and each task has the answer to its own. A request waits for as long as the
/// agent takes. A task that is cancelled while it waits gets `ClientError.cancelled` at once; a request that was sent by
/// then is carried out all the same.
///
/// When the agent ends, requests on their way fail with `ClientError.disconnected`, and so does every further one until
/// the agent is back: a change is never sent twice, and never kept for later.
///
/// Its socket closes when the last reference is gone; sequences of notifications live on, each with a socket of its own.
public final class TriggerDatabase: Sendable {
  private let path: String
  private let requests: TriggerRequests
  /// Takes the answers, and looks for the agent while it is away.
  private let reader: Task<Void, Never>

  /// Connects to `trigger.sock` in the agent's runtime directory; throws `noAgent` where nobody is there. With
  /// `waitsForAgent` nobody needs to be there yet.
  public init(
    runtimeDirectory: String = defaultRuntimeDirectory, waitsForAgent: Bool = false
  ) throws(ClientError) {
    path = runtimeDirectory + "/trigger.sock"
    let requests = try TriggerRequests(path: path, waitsForAgent: waitsForAgent)
    self.requests = requests
    // It holds the requests and not the database, which would never end otherwise.
    reader = Task.detached {
      while !Task.isCancelled {
        await Readiness.wait(for: requests.descriptor)
        requests.serve()
      }
    }
  }

  deinit { reader.cancel() }

  /// Adds a trigger and gives it back with its identifier. It stands until somebody deletes it or the agent ends: that
  /// this process ends changes nothing.
  ///
  /// Refused with `notPermitted` where the agent's configuration does not let this user write triggers of this kind,
  /// `noSpace` where the database or this user's part of it is full, `invalid` for kind 0.
  ///
  /// - Parameter addresses: at most 16. A link-local one needs its interface as scope.
  public func add(_ kind: TriggerKind, addresses: [IPPrefix] = []) async throws(ClientError) -> Trigger {
    try await requests.ask(.add(kind.wire, addresses.map(\.triggerAddress)))
  }

  /// Everything that is known of a trigger, its origin included. Refused with `notFound` where there is none of this
  /// number, `notPermitted` where this user may not read it.
  public func get(_ identifier: UInt32) async throws(ClientError) -> Trigger {
    try await requests.ask(.get(identifier))
  }

  /// Changes a trigger. Without addresses those that it has stay, and what this gives back has none. Refused as `add`,
  /// with `notFound`, and with `notPermitted` for triggers of other users and of the agent.
  @discardableResult
  public func modify(
    _ identifier: UInt32, _ kind: TriggerKind, addresses: [IPPrefix] = []
  ) async throws(ClientError) -> Trigger {
    try await requests.ask(.modify(identifier, kind.wire, addresses.map(\.triggerAddress)))
  }

  /// Deletes a trigger, and gives back what it was, without its addresses. Refused as `modify`.
  @discardableResult
  public func delete(_ identifier: UInt32) async throws(ClientError) -> Trigger {
    try await requests.ask(.delete(identifier))
  }

  /// What exists and passes the filter, then news of it. This process's own changes are told as everybody else's.
  public func notifications(matching filter: TriggerFilter? = nil) -> TriggerNotifications {
    TriggerNotifications(path: path, filter: filter)
  }
}
