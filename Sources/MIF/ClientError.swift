import CLinux
import Messages
import Platform
import Sessions

/// What can go wrong for a client of the agent. `description` says what, and where.
public enum ClientError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Nobody listens on this socket.
  case noAgent(path: String)
  /// The socket's mode and group keep this process out.
  case notAllowed(path: String)
  /// Longer than the path of a socket may be (107 bytes).
  case unusablePath(String)
  /// The agent took the connection and closed it: it, or this user, has as many as may be (`subscribers` and
  /// `subscribers-per-user` of its configuration).
  case tooManyConnections(path: String)
  /// The agent closed the connection: it ended, or is being restarted. Whether it still carried out a request that had
  /// no answer yet is not known.
  case disconnected(path: String)
  /// No answer in time. A request may still be carried out.
  case timedOut(path: String)
  /// The task was cancelled while it waited. A request may still be carried out.
  case cancelled
  /// The agent refused a request, which is named as in docs/protocol.md.
  case refused(request: String, Refusal)
  /// More than a request has room for: what, and how many may be. Nothing was sent.
  case tooMany(String)
  /// Neither a name nor an address: it is empty, longer than 255 bytes, or has a zero byte in it. Nothing was sent.
  case unusableName(String)
  /// No address of the host could be connected to in any provisioning domain: the number of `<errno.h>` that says it in
  /// one word, and what was tried.
  case notConnected(host: String, Int32, [ConnectionAttempt])
  /// The name leads to no address in this provisioning domain.
  case notTranslated(name: String, NetworkFailure)
  /// A message that is not what docs/protocol.md says.
  case malformed(path: String, String)
  /// A system call failed.
  case system(String, Int32, path: String)

  /// The number of `<errno.h>` that says the same.
  public var errno: Int32 {
    switch self {
    case .noAgent: ECONNREFUSED
    case .notAllowed: EACCES
    case .unusablePath: ENAMETOOLONG
    case .tooManyConnections: ENOSPC
    case .disconnected: ECONNRESET
    case .timedOut: ETIMEDOUT
    case .cancelled: ECANCELED
    case .refused(_, let refusal): refusal.errno
    case .tooMany: EINVAL
    case .unusableName(let name): name.utf8.count > NodeName.maximumLength ? ENAMETOOLONG : EINVAL
    case .notConnected(_, let errno, _): errno
    case .notTranslated(_, let failure): failure.errno
    case .malformed: EPROTO
    case .system(_, let errno, _): errno
    }
  }

  public var description: String {
    switch self {
    case .noAgent(let path): "no agent answers on \(path)"
    case .notAllowed(let path): "not allowed to open \(path)"
    case .unusablePath(let path): "\(path): too long for the path of a socket"
    case .tooManyConnections(let path): "the agent takes no further connection on \(path)"
    case .disconnected(let path): "the agent closed \(path)"
    case .timedOut(let path): "the agent on \(path) did not answer in time"
    case .cancelled: "cancelled while it waited for the agent"
    case .refused(let request, let refusal): "the agent refused \(request): \(refusal)"
    case .tooMany(let what): what
    case .unusableName(let name):
      name.utf8.count > NodeName.maximumLength
        ? "a name of \(name.utf8.count) bytes: at most \(NodeName.maximumLength) are sent" : "'\(name)' is not a name"
    case .notConnected(let host, let errno, let attempts):
      "cannot connect to \(host): \(message(ofError: errno))"
        + (attempts.isEmpty ? "" : " (\(attempts.map(\.description).joined(separator: "; ")))")
    case .notTranslated(let name, let failure): "cannot translate \(name): \(failure)"
    case .malformed(let path, let reason): "a message on \(path) can't be read: \(reason)"
    case .system(let call, let errno, let path): "\(path): \(call): \(message(ofError: errno))"
    }
  }
}

/// Why the agent refused a request: the errors of docs/protocol.md.
public enum Refusal: Hashable, Sendable, CustomStringConvertible {
  /// EPERM: the agent's configuration does not allow it to this user, or the trigger is another user's or the agent's.
  case notPermitted
  /// ENOENT: there is no such trigger, interface or provisioning domain (any more).
  case notFound
  /// EEXIST: the identifier is in use.
  case exists
  /// EINVAL: what was sent is not what the request must have.
  case invalid
  /// ENOSPC: the trigger database, or this user's part of it, is full.
  case noSpace
  /// EMSGSIZE: the request's length is wrong, or the answer would be too long.
  case messageSize
  /// EPROTONOSUPPORT: the agent speaks another version of the protocol.
  case versionNotSupported
  /// EOPNOTSUPP: the agent does not serve this request.
  case notSupported
  /// EAFNOSUPPORT: an address that is neither IPv4 nor IPv6.
  case addressFamilyNotSupported
  /// Another number of `<errno.h>`.
  case other(Int32)

  private static let numbers: [(Refusal, ErrorNumber)] = [
    (.notPermitted, .notPermitted), (.notFound, .noSuchEntry), (.exists, .exists), (.invalid, .invalid),
    (.noSpace, .noSpace), (.messageSize, .messageSize), (.versionNotSupported, .protocolNotSupported),
    (.notSupported, .operationNotSupported), (.addressFamilyNotSupported, .addressFamilyNotSupported),
  ]

  init(_ number: ErrorNumber) {
    self = Refusal.numbers.first { $0.1 == number }?.0 ?? .other(Int32(number.rawValue))
  }

  /// The number of `<errno.h>`.
  public var errno: Int32 {
    if case .other(let number) = self { return number }
    return Int32(Refusal.numbers.first { $0.0 == self }!.1.rawValue)
  }

  public var description: String {
    switch self {
    case .notPermitted: "this user may not do that (EPERM)"
    case .notFound: "there is no such thing (ENOENT)"
    case .exists: "the identifier is in use (EEXIST)"
    case .invalid: "it is malformed (EINVAL)"
    case .noSpace: "the database, or this user's part of it, is full (ENOSPC)"
    case .messageSize: "a message has the wrong length (EMSGSIZE)"
    case .versionNotSupported: "it speaks another version of the protocol (EPROTONOSUPPORT)"
    case .notSupported: "it does not serve this request (EOPNOTSUPP)"
    case .addressFamilyNotSupported: "an address is neither IPv4 nor IPv6 (EAFNOSUPPORT)"
    case .other(let number): message(ofError: number)
    }
  }
}

// MARK: What the session says

extension ClientError {
  /// Why there is no connection to the socket at `path`.
  init(_ failure: SystemFailure, path: String) {
    switch failure.errno.rawValue {
    // ENOTCONN and EAGAIN: its backlog is full or it is on its way out.
    case ENOENT, ECONNREFUSED, ENOTDIR, EAGAIN, ENOTCONN: self = .noAgent(path: path)
    case EACCES, EPERM: self = .notAllowed(path: path)
    case ENAMETOOLONG, EINVAL: self = .unusablePath(path)
    default: self = .system("\(failure.action)", failure.errno.rawValue, path: path)
    }
  }

  /// Why a message of the MIF API can't be sent or received.
  init(_ failure: MIFFailure, name: String = "", path: String) {
    switch failure {
    case .disconnected(.noSpace): self = .tooManyConnections(path: path)
    case .disconnected(.protocolError): self = .malformed(path: path, "it is not of this protocol")
    case .disconnected: self = .disconnected(path: path)
    case .wouldBlock: self = .system("send", EAGAIN, path: path)
    case .nameTooLong: self = .unusableName(name)
    case .system(let errno): self = .system("send or receive", errno.rawValue, path: path)
    }
  }

  /// Why a request to the trigger database has no good answer.
  init(_ failure: TriggerFailure, request: String, path: String) {
    switch failure {
    case .refused(let number): self = .refused(request: request, Refusal(number))
    case .disconnected(.noSpace): self = .tooManyConnections(path: path)
    case .disconnected(.protocolError): self = .malformed(path: path, "it is not of this protocol")
    case .disconnected, .notConnected: self = .disconnected(path: path)
    case .timedOut: self = .timedOut(path: path)
    case .tooMany:
      self = .tooMany(
        "a trigger has at most \(TriggerAddresses.capacity) addresses, a filter \(Messages.TriggerFilter.capacity) types"
      )
    case .wouldBlock: self = .system("send", EAGAIN, path: path)
    case .system(let errno): self = .system(request, errno.rawValue, path: path)
    }
  }
}

extension TriggerOrder {
  /// Its request's name in docs/protocol.md.
  var name: String {
    switch self {
    case .add: "ADD"
    case .get: "GET"
    case .modify: "MODIFY"
    case .delete: "DELETE"
    }
  }
}
