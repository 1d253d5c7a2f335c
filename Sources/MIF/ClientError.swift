import Messages

/// What can go wrong between a client and the agent. `description` says what, and where.
public enum ClientError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Nobody listens on this socket.
  case noAgent(path: String)
  /// The socket's mode and group keep this process out.
  case notAllowed(path: String)
  /// Longer than the path of a socket may be (107 bytes).
  case unusablePath(String)
  /// The agent closed the connection: it ended, or is being restarted.
  case disconnected(path: String)
  /// No answer in time.
  case timedOut(path: String)
  /// The agent refused a request: its name and an `errno`.
  case refused(request: String, errno: Int32)
  /// A message that is not what docs/protocol.md says.
  case malformed(path: String, String)
  /// A system call failed.
  case system(String, Int32, path: String)

  public var description: String {
    switch self {
    case .noAgent(let path): "no agent answers on \(path)"
    case .notAllowed(let path): "not allowed to open \(path)"
    case .unusablePath(let path): "\(path): too long for the path of a socket"
    case .disconnected(let path): "the agent closed \(path)"
    case .timedOut(let path): "the agent on \(path) did not answer in time"
    case .refused(let request, let errno): "the agent refused \(request): \(message(ofError: errno))"
    case .malformed(let path, let reason): "a message on \(path) can't be read: \(reason)"
    case .system(let call, let errno, let path): "\(path): \(call): \(message(ofError: errno))"
    }
  }
}

/// The agent's sockets are in here unless it was told otherwise.
public let defaultRuntimeDirectory = "/run/mifd"
