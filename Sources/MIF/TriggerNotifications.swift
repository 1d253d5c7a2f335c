import Platform
import Sessions

/// What happens in the trigger database, as an `AsyncSequence`: first what exists, then `inStep`, then news.
///
/// It survives the agent: after `disconnected` it connects again by itself and tells what is different. It ends only with
/// an error or with its task's cancellation, which ends the wait at once.
///
/// Each iteration has a connection of its own, which closes with the iterator; two of them are told the same without
/// knowing of each other. Nothing is kept for a consumer that does not ask for the next element: its news wait in the
/// socket and the agent's bounded queue for it, and what does not fit there is dropped. When the consumer goes on, the
/// loss is noticed, and what it has missed comes as differences from what it was told. So memory here is bounded by what
/// passes the filter in the database, however slow the consumer is; what it may miss is a state that came and went.
public struct TriggerNotifications: AsyncSequence, Sendable {
  public typealias Element = TriggerEvent
  public typealias Failure = ClientError

  let path: String
  let filter: TriggerFilter?

  public func makeAsyncIterator() -> Iterator { Iterator(path: path, filter: filter) }

  /// Belongs to one task at a time.
  public struct Iterator: AsyncIteratorProtocol {
    /// The session is made by the first `next`, which may throw.
    private enum Stage {
      case new(path: String, TriggerFilter?)
      case open(Hearing)
      case ended
    }
    private var stage: Stage

    fileprivate init(path: String, filter: TriggerFilter?) { stage = .new(path: path, filter) }

    /// The next event. nil once the task is cancelled. Throws `refused` with EPERM where this user may read no trigger,
    /// `notAllowed` where the socket keeps it out; an agent that is not there is waited for.
    public mutating func next(
      isolation actor: isolated (any Actor)? = #isolation
    ) async throws(ClientError) -> TriggerEvent? {
      do throws(ClientError) {
        let event = try await advance(actor)
        if event == nil { stage = .ended }
        return event
      } catch {
        stage = .ended
        throw error
      }
    }

    private mutating func advance(_ actor: isolated (any Actor)?) async throws(ClientError) -> TriggerEvent? {
      let hearing: Hearing
      switch stage {
      case .new(let path, let filter):
        hearing = try Hearing(path: path, filter: filter)
        stage = .open(hearing)
      case .open(let open): hearing = open
      case .ended: return nil
      }
      while !Task.isCancelled {
        if let event = try hearing.next() { return event }
        await Readiness.wait(for: hearing.descriptor)
      }
      return nil
    }
  }
}

/// A registered session, in the place of a reference.
private final class Hearing {
  private let path: String
  private var session: TriggerSession
  private var hasBeenInStep = false

  init(path: String, filter: TriggerFilter?) throws(ClientError) {
    self.path = path
    session = try TriggerSession.open(path, waitsForAgent: true)
    do throws(TriggerFailure) {
      try session.register(TriggerInterest(filter: filter?.wire))
    } catch {
      throw ClientError(error, request: "REGISTER", path: path)
    }
  }

  var descriptor: Int32 { session.descriptor }

  /// What has come; nil where there is nothing now.
  func next() throws(ClientError) -> TriggerEvent? {
    do throws(TriggerFailure) {
      while let happening = try session.next() {
        switch happening {
        case .news(let news):
          let event = TriggerEvent(news, isFirst: !hasBeenInStep)
          if event == .inStep { hasBeenInStep = true }
          return event
        case .refused(let number): throw .refused(number)
        case .answer: continue
        }
      }
      return nil
    } catch {
      throw ClientError(error, request: "REGISTER", path: path)
    }
  }
}
