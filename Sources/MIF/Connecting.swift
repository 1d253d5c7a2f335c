import Messages
import Platform
import Sessions

/// What to connect over.
public struct ConnectOptions: Hashable, Sendable {
  public var transport = Transport.tcp
  /// Only addresses of this family.
  public var family: AddressFamily?
  /// Only this provisioning domain, by its identifier.
  public var domain: UInt32?
  /// Only the provisioning domains of this interface, by its index.
  public var interface: UInt32?
  /// nil: as long as the network takes.
  public var timeout: Duration? = .seconds(30)
  /// How long an attempt has before the next one begins beside it (RFC 8305 section 8), from 100 ms to 2 s.
  public var attemptDelay: Duration = .milliseconds(250)
  /// Whether to wait, up to the time-out, for a provisioning domain to come where there is none that could lead to the
  /// host.
  public var waitsForNetwork = false
  /// Whether a `Connector` is used again: it then stays connected to the agent and keeps what it knows of the networks,
  /// which makes most of what a connection through the agent costs.
  public var keepsConnector = false

  public init(
    transport: Transport = .tcp, family: AddressFamily? = nil, domain: UInt32? = nil, interface: UInt32? = nil,
    timeout: Duration? = .seconds(30)
  ) {
    self.transport = transport
    self.family = family
    self.domain = domain
    self.interface = interface
    self.timeout = timeout
  }
}

/// Connects to a host through whichever provisioning domain gives a connection first: the name is translated in every
/// domain by that domain's own DNS servers, the addresses are tried as RFC 8305 (Happy Eyeballs) has it, IPv6 and IPv4
/// and the domains in turn, and what did not win is closed.
///
///     let connection = try await connect(toHost: "www.example.org", port: 443)
///     print("through", connection.domain.name, "to", connection.remoteEndpoint)
///     let socket = connection.takeDescriptor()
///
/// No thread waits meanwhile. A task that is cancelled gets `ClientError.cancelled` at once, and all that was opened for it
/// is closed. Throws `notConnected` with what was tried in each domain; `noAgent` and the like where the agent can't be
/// asked.
///
/// - Parameters:
///   - host: a name, or an IPv4 or IPv6 address as text: a link-local one with `%` and its interface behind it.
///   - port: in the host's byte order, as all numbers here.
public func connect(
  toHost host: String, port: UInt16, options: ConnectOptions = ConnectOptions(),
  runtimeDirectory: String = defaultRuntimeDirectory
) async throws(ClientError) -> ConnectedSocket {
  let connector = try Connector(toHost: host, port: port, options: options, runtimeDirectory: runtimeDirectory)
  while true {
    if let connection = try connector.wait(timeout: .zero) { return connection }
    if Task.isCancelled { throw .cancelled }
    await Readiness.wait(for: connector.fileDescriptor)
  }
}

/// The same for programs with a poll loop of their own, or none. It belongs to one task or thread at a time; when it goes,
/// everything that it has opened is closed, but a connection that `wait` gave.
public final class Connector {
  private var host: String
  private let path: String
  private var transport: Transport
  private var connection: Sessions.HostConnection

  /// Connects to `mif.sock` in the agent's runtime directory, and begins.
  public init(
    toHost host: String, port: UInt16, options: ConnectOptions = ConnectOptions(),
    runtimeDirectory: String = defaultRuntimeDirectory
  ) throws(ClientError) {
    let path = runtimeDirectory + "/mif.sock"
    let order = try Connector.order(host, port, options)
    self.host = host
    self.path = path
    transport = options.transport
    do throws(SystemFailure) {
      connection = try HostConnection(path: Array(path.utf8), order)
    } catch {
      throw ClientError(error, path: path)
    }
  }

  /// Begins the next connection, through the same agent, once the one before was given or has failed. `fileDescriptor`
  /// may be another one from then on. EBUSY: the one before is under way.
  public func connect(
    toHost host: String, port: UInt16, options: ConnectOptions = ConnectOptions()
  ) throws(ClientError) {
    let order = try Connector.order(host, port, options)
    do throws(SystemFailure) {
      try connection.connect(order)
    } catch {
      throw ClientError(error, path: path)
    }
    self.host = host
    transport = options.transport
  }

  private static func order(
    _ host: String, _ port: UInt16, _ options: ConnectOptions
  ) throws(ClientError) -> HostConnection.Order {
    var order = HostConnection.Order(host: Array(host.utf8), port: port)
    guard HappyEyeballs.Target(order.host) != nil else { throw .unusableName(host) }
    order.transport = options.transport.wire
    order.family = options.family?.wire
    order.pvd = options.domain ?? 0
    order.interface = options.interface ?? 0
    order.timeout = options.timeout?.nanoseconds
    order.settings.attemptDelay = options.attemptDelay.nanoseconds
    order.settings.waitsForNetwork = options.waitsForNetwork
    order.isKept = options.keepsConnector
    return order
  }

  /// For poll(2): readable when `wait(timeout: .zero)` has something to do. The same until `connect`.
  public var fileDescriptor: Int32 { connection.descriptor }

  /// What was tried so far, domain by domain.
  public var attempts: [ConnectionAttempt] { connection.trials.map { ConnectionAttempt($0) } }

  /// Does what can be done now, and waits for the connection; nil where it is not there in `timeout`, and where it was
  /// given already. Without a time-out it waits for as long as the options say. Throws as `connect` does.
  public func wait(timeout: Duration? = nil) throws(ClientError) -> ConnectedSocket? {
    let deadline = timeout.map { Clock.bootTime() + $0.nanoseconds }
    while true {
      switch connection.step() {
      case .connected(let winner):
        guard let socket = connection.takeSocket() else { return nil }
        return ConnectedSocket(socket, over: transport, winner)
      case .failed(let errno):
        if let failure = connection.agentFailure { throw ClientError(failure, path: path) }
        throw .notConnected(host: host, errno.rawValue, attempts)
      case .underWay: break
      }
      guard let wait = Clock.milliseconds(until: deadline) else { return nil }
      do throws(Errno) {
        _ = try connection.wait(milliseconds: wait)
      } catch {
        throw .system("epoll_wait", error.rawValue, path: path)
      }
    }
  }
}

extension Clock {
  /// How long to wait for `deadline`, as poll(2) has it: -1 for ever. nil where it has passed. Rounded up: with 0 a loop
  /// would spin through the last millisecond.
  static func milliseconds(until deadline: UInt64?) -> Int32? {
    guard let deadline else { return -1 }
    let now = bootTime()
    return now < deadline ? Int32(clamping: (deadline - now) / 1_000_000 + 1) : nil
  }
}
