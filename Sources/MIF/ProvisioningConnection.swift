import Messages
import Platform
import Sessions

/// The MIF API message by message, for programs with a poll loop of their own, or none: draft-ietf-mif-api-extension-05,
/// section 3.2.6, with its POST MESSAGE as `post`, CHECK MESSAGE as poll(2) of `fileDescriptor`, GET MESSAGE as `next`.
/// It belongs to one task or thread at a time. `ProvisioningSession` is the same for Swift concurrency; who only wants to
/// read finds `MIFConnection` and `NetworkMonitor` simpler.
///
///     let connection = try ProvisioningConnection()
///     try connection.post(.announceInterfaces)
///     while let message = try connection.next() { ... }
///
/// What it subscribed to and what it began ends with it; a socket that nobody took is closed.
public final class ProvisioningConnection {
  private var exchange: ProvisioningExchange

  /// Connects to `mif.sock` in the agent's runtime directory.
  public init(runtimeDirectory: String = defaultRuntimeDirectory) throws(ClientError) {
    exchange = try ProvisioningExchange(path: runtimeDirectory + "/mif.sock")
  }

  /// For poll(2): readable when `next` may have something, writable when `post` has room. Call `next(timeout: .zero)` until
  /// it gives nil.
  public var fileDescriptor: Int32 { exchange.descriptor }

  /// POST MESSAGE: sends a request and returns. Its answers have the number that this gives.
  ///
  /// Throws `unusableName` for a name past 255 bytes; `system` with EAGAIN where there is no room: the agent reads no
  /// further before its answers are read.
  @discardableResult
  public func post(_ request: ProvisioningRequest) throws(ClientError) -> UInt32 {
    guard let sequence = try exchange.post(request) else { throw ClientError(.wouldBlock, path: exchange.path) }
    return sequence
  }

  /// CHECK MESSAGE and GET MESSAGE: the next message; nil where none came in `timeout`. Without one it waits for ever.
  /// Throws `disconnected` once the agent has ended.
  public func next(timeout: Duration? = nil) throws(ClientError) -> ProvisioningMessage? {
    let deadline = timeout.map { Clock.bootTime() + $0.nanoseconds }
    while true {
      if let message = try exchange.next() { return message }
      guard let wait = Clock.milliseconds(until: deadline) else { return nil }
      try exchange.wait(milliseconds: wait)
    }
  }
}

/// One connection's messages in public terms. Nothing here waits but `wait`.
struct ProvisioningExchange: ~Copyable {
  let path: String
  private var session: MIFSession
  /// The interface of each domain that was told.
  private var interfaces: [UInt32: UInt32] = [:]

  init(path: String) throws(ClientError) {
    self.path = path
    do throws(SystemFailure) {
      session = try MIFSession(path: Array(path.utf8))
    } catch {
      throw ClientError(error, path: path)
    }
  }

  var descriptor: Int32 { session.descriptor }

  /// The request's number; nil where the socket has no room now.
  mutating func post(_ request: ProvisioningRequest) throws(ClientError) -> UInt32? {
    do throws(MIFFailure) {
      return try session.post(request.wire)
    } catch {
      if error == .wouldBlock { return nil }
      guard case .translateName(let name, _, _) = request else { throw ClientError(error, path: path) }
      throw ClientError(error, name: name, path: path)
    }
  }

  /// What has come; nil where there is nothing now.
  mutating func next() throws(ClientError) -> ProvisioningMessage? {
    do throws(MIFFailure) {
      while let message = try session.next() {
        remember(message)
        let request = session.isAnswer(message, to: message.header.sequence) ? message.header.sequence : nil
        let told = ProvisioningMessage(message, request, session.takeSocket()) { interfaces[$0] ?? 0 }
        if let told { return told }
      }
      return nil
    } catch {
      throw ClientError(error, path: path)
    }
  }

  mutating func wait(milliseconds: Int32) throws(ClientError) {
    do throws(Errno) {
      _ = try session.wait(milliseconds: milliseconds)
    } catch {
      throw .system("poll", error.rawValue, path: path)
    }
  }

  private mutating func remember(_ message: MIFMessage) {
    switch message.content {
    case .announcement(.pvd(let interface, let pvd)): interfaces[pvd.identifier] = interface.identifier
    case .announcement(.noPvD(_, let pvd)): interfaces[pvd.identifier] = nil
    case .overrun: interfaces = [:]
    default: break
    }
  }
}
