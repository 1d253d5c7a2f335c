/// What happens to the host's network, as an `AsyncSequence`: first what exists, then `complete`, then news.
///
///     for try await event in NetworkEvents() {
///       if case .address(.new, let address, let domain, _) = event { print(address.prefix, "in", domain.name) }
///     }
///
/// It ends with its task's cancellation, which ends the wait at once, or with an error: `disconnected` where the agent
/// ended. Each iteration has a connection of its own, which closes with the iterator. Nothing is kept for a consumer that
/// does not ask for the next event: what does not fit into the agent's bounded queue is lost, and told as `lost`.
public struct NetworkEvents: AsyncSequence, Sendable {
  public typealias Element = NetworkEvent
  public typealias Failure = ClientError

  private let directory: String

  /// Of the agent with this runtime directory.
  public init(runtimeDirectory: String = defaultRuntimeDirectory) { directory = runtimeDirectory }

  public func makeAsyncIterator() -> Iterator { Iterator(directory: directory) }

  /// Belongs to one task at a time.
  public struct Iterator: AsyncIteratorProtocol {
    private let directory: String
    /// Made by the first `next`, which may throw.
    private var monitor: NetworkMonitor?
    private var hasEnded = false

    fileprivate init(directory: String) { self.directory = directory }

    /// The next event; nil once the task is cancelled.
    public mutating func next(
      isolation actor: isolated (any Actor)? = #isolation
    ) async throws(ClientError) -> NetworkEvent? {
      do throws(ClientError) {
        if let event = try await advance(actor) { return event }
        end()
        return nil
      } catch {
        end()
        throw error
      }
    }

    private mutating func end() {
      monitor = nil
      hasEnded = true
    }

    private mutating func advance(_ actor: isolated (any Actor)?) async throws(ClientError) -> NetworkEvent? {
      guard !hasEnded else { return nil }
      let monitor: NetworkMonitor
      if let open = self.monitor {
        monitor = open
      } else {
        monitor = try NetworkMonitor(runtimeDirectory: directory)
        self.monitor = monitor
      }
      while !Task.isCancelled {
        if let event = try monitor.next(timeout: .zero) { return event }
        await Readiness.wait(for: monitor.fileDescriptor)
      }
      return nil
    }
  }
}
