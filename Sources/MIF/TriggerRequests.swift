import Messages
import Sessions
import Synchronization

/// The requests of many tasks on one session: sent one after another without waiting, each answer handed to the task
/// that asked. The session is driven by `TriggerDatabase`'s reader, so that it is connected again by itself after the
/// agent was restarted.
final class TriggerRequests: Sendable {
  typealias Outcome = Result<Trigger, ClientError>
  private typealias Continuation = CheckedContinuation<Outcome, Never>

  /// A waiting task.
  private typealias Ticket = UInt64

  /// Requests on their way at a time. The agent stops reading from a client that doesn't read its answers: with few on
  /// their way, sending never waits for that. Those behind wait here, one for each task.
  private static let window = 64
  /// Messages looked at before tasks that wait for the lock have a turn.
  private static let bite = 1024

  private struct State: ~Copyable {
    var session: TriggerSession
    var waiting: [Ticket: Continuation] = [:]
    var unsent: [(Ticket, TriggerOrder)] = []
    /// By seq. A ticket that nobody holds any more stays until its answer comes.
    var onTheirWay: [UInt32: (ticket: Ticket, request: String)] = [:]
    var lastTicket: Ticket = 0
    var hasOrigin = false
    /// Tasks to be woken once the lock is open.
    var done: [(Continuation, Outcome)] = []
  }

  private let path: String
  private let state: Mutex<State>
  /// The session's; for the reader.
  let descriptor: Int32

  init(path: String, waitsForAgent: Bool) throws(ClientError) {
    self.path = path
    let session = try TriggerSession.open(path, waitsForAgent: waitsForAgent)
    descriptor = session.descriptor
    state = Mutex(State(session: session))
  }

  /// Sends a request and waits for its answer, or for the task's cancellation.
  func ask(_ order: TriggerOrder) async throws(ClientError) -> Trigger {
    let ticket = state.withLock { state in
      state.lastTicket += 1
      return state.lastTicket
    }
    let outcome = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in begin(order, ticket, continuation) }
    } onCancel: {
      abandon(ticket)
    }
    return try outcome.get()
  }

  private func begin(_ order: TriggerOrder, _ ticket: Ticket, _ continuation: Continuation) {
    update { state in
      // Cancelled before this: `abandon` has found nothing. Cancelled after it: it waits for the lock.
      if Task.isCancelled {
        state.done.append((continuation, .failure(.cancelled)))
        return
      }
      state.waiting[ticket] = continuation
      state.unsent.append((ticket, order))
      send(&state)
    }
  }

  private func abandon(_ ticket: Ticket) {
    update { state in
      state.unsent.removeAll { $0.0 == ticket }
      finish(ticket, .failure(.cancelled), &state)
    }
  }

  /// Takes what has come. To be called when the descriptor is readable.
  func serve() {
    update { state in
      do throws(TriggerFailure) {
        for _ in 0..<TriggerRequests.bite {
          guard let happening = try state.session.next() else { break }
          switch happening {
          case .answer(let message):
            guard let asked = state.onTheirWay.removeValue(forKey: message.header.sequence) else { continue }
            finish(asked.ticket, outcome(of: message, asked.request), &state)
          case .news(.disconnected): fail(.disconnected(state.session.farewell), &state)
          // Of the registration for ORIGIN, whose refusal GET has for itself.
          case .news, .refused: continue
          }
        }
      } catch {
        fail(error, &state)
      }
      send(&state)
    }
  }

  private func outcome(of message: TriggerMessage, _ request: String) -> Outcome {
    if message.header.error != .none {
      return .failure(.refused(request: request, Refusal(message.header.error)))
    }
    guard let record = TriggerRecord(message) else {
      return .failure(.malformed(path: path, "an answer without its trigger"))
    }
    return .success(Trigger(record))
  }

  /// Sends as many as may be on their way.
  private func send(_ state: inout State) {
    var sent = 0
    defer { state.unsent.removeFirst(sent) }
    while state.onTheirWay.count < TriggerRequests.window, sent < state.unsent.count {
      let (ticket, order) = state.unsent[sent]
      do throws(TriggerFailure) {
        if case .get = order, !state.hasOrigin {
          try state.session.register(TriggerInterest(filter: .nothing))
          state.hasOrigin = true
        }
        state.onTheirWay[try state.session.submit(order)] = (ticket, order.name)
      } catch {
        // Answers make room.
        if error == .wouldBlock, !state.onTheirWay.isEmpty { return }
        let failure = error == .notConnected ? .disconnected(state.session.farewell) : error
        finish(ticket, .failure(ClientError(failure, request: order.name, path: path)), &state)
      }
      sent += 1
    }
  }

  /// What is on its way has no answer any more.
  private func fail(_ failure: TriggerFailure, _ state: inout State) {
    for (_, asked) in state.onTheirWay {
      finish(asked.ticket, .failure(ClientError(failure, request: asked.request, path: path)), &state)
    }
    state.onTheirWay.removeAll()
  }

  private func finish(_ ticket: Ticket, _ outcome: Outcome, _ state: inout State) {
    guard let continuation = state.waiting.removeValue(forKey: ticket) else { return }
    state.done.append((continuation, outcome))
  }

  /// Changes the state, then wakes whom that has brought an outcome.
  private func update(_ change: (inout State) -> Void) {
    let done = state.withLock { state in
      change(&state)
      let done = state.done
      state.done.removeAll()
      return done
    }
    for (continuation, outcome) in done { continuation.resume(returning: outcome) }
  }
}
