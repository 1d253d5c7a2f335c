import Platform
import Synchronization

/// The MIF API message by message for Swift concurrency: POST MESSAGE and GET MESSAGE of draft-ietf-mif-api-extension-05,
/// section 3.2.6, where waiting is CHECK MESSAGE.
///
///     let session = try ProvisioningSession()
///     try await session.post(.announceInterfaces)
///     for try await message in session.messages {
///       switch message.content {
///       case .interface(let interface): try await session.post(.announceDomains(interface: interface.index))
///       case .domain(let domain, let interface): print(domain.name, "on", interface.name)
///       case .overrun: try await session.post(.announceInterfaces)
///       default: break
///       }
///     }
///
/// Any number of tasks may post. The session ends with its last reference, an iterator being one: what it subscribed to and
/// what it began end then, and sockets that nobody took are closed. A task that is cancelled while it waits goes on at
/// once, and with it goes what it holds. The agent does not come back by itself: after `disconnected` make a new one.
public final class ProvisioningSession: Sendable {
  private let core: Core

  /// Connects to `mif.sock` in the agent's runtime directory.
  public init(runtimeDirectory: String = defaultRuntimeDirectory) throws(ClientError) {
    core = try Core(path: runtimeDirectory + "/mif.sock")
  }

  /// POST MESSAGE: sends a request. Its answers have the number that this gives. It waits only where the agent reads no
  /// further before its answers are read: whoever posts hundreds of requests at a time has another task read `messages`.
  ///
  /// Throws `unusableName` for a name past 255 bytes, `cancelled` where the task was cancelled before the request was sent,
  /// `disconnected` once the agent has ended.
  @discardableResult
  public func post(_ request: ProvisioningRequest) async throws(ClientError) -> UInt32 {
    while true {
      if Task.isCancelled { throw .cancelled }
      if let sequence = try core.post(request) { return sequence }
      await Readiness.wait(for: core.sending.fileDescriptor, .write)
    }
  }

  /// GET MESSAGE: what the agent says, in its order. Nothing is kept for whoever does not ask for the next one: messages
  /// wait in the socket and in the agent's bounded queue. Each comes once: with several iterators, one of them has it.
  public var messages: Messages { Messages(core: core) }

  public struct Messages: AsyncSequence, Sendable {
    public typealias Element = ProvisioningMessage
    public typealias Failure = ClientError

    fileprivate let core: Core

    public func makeAsyncIterator() -> Iterator { Iterator(core: core) }

    /// Belongs to one task at a time.
    public struct Iterator: AsyncIteratorProtocol {
      fileprivate let core: Core

      /// The next message; nil where the task is cancelled. Throws `disconnected` once the agent has ended.
      public mutating func next(
        isolation actor: isolated (any Actor)? = #isolation
      ) async throws(ClientError) -> ProvisioningMessage? {
        while !Task.isCancelled {
          if let message = try core.next() { return message }
          await Readiness.wait(for: core.descriptor)
        }
        return nil
      }
    }
  }

  fileprivate final class Core: Sendable {
    private let exchange: Mutex<ProvisioningExchange>
    let descriptor: Int32
    /// The same socket once more, for waiting until it has room: see `Readiness`.
    let sending: OwnedDescriptor

    init(path: String) throws(ClientError) {
      let exchange = try ProvisioningExchange(path: path)
      descriptor = exchange.descriptor
      do throws(Errno) {
        sending = OwnedDescriptor(try Descriptor.duplicate(of: descriptor))
      } catch {
        throw .system("fcntl", error.rawValue, path: path)
      }
      self.exchange = Mutex(exchange)
    }

    func post(_ request: ProvisioningRequest) throws(ClientError) -> UInt32? {
      try exchange.withLock { exchange throws(ClientError) in try exchange.post(request) }
    }

    func next() throws(ClientError) -> ProvisioningMessage? {
      try exchange.withLock { exchange throws(ClientError) in try exchange.next() }
    }
  }
}
