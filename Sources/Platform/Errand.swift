/// What the engine has the keeper do to the host without waiting for it: a number and an interface, no more.
package struct Errand: Hashable, Sendable {
  package enum Kind: UInt8, Hashable, CaseIterable, Sendable {
    /// Set a link up or down (SIOCSIFFLAGS).
    case setUp = 1
    case setDown = 2
    /// Send one Router Solicitation (RFC 4861 6.3.7).
    case solicitRouter = 3
    /// Run the program that the configuration names.
    case connectHook = 4
    case idleHook = 5
    case breakHook = 6
    /// Run the fetcher of PvD Additional Information, which talks to the engine over the socket that comes with this.
    case fetchInformation = 7

    package var isHook: Bool { self == .connectHook || self == .idleHook || self == .breakHook }
    package var isLinkChange: Bool { self == .setUp || self == .setDown }
    var isFetch: Bool { self == .fetchInformation }
  }

  package var kind: Kind
  /// ifindex.
  package var interface: UInt32

  package init(_ kind: Kind, _ interface: UInt32) {
    self.kind = kind
    self.interface = interface
  }

  /// How an errand ended, as the keeper reports it.
  package enum Outcome: UInt8, Hashable, CaseIterable, Sendable {
    case done = 1
    /// Could not be started or carried out, or the program ended with another status than 0. The log says which.
    case failed = 2
    /// It took too long and was killed.
    case timedOut = 3
    /// The same is under way, or too much is.
    case busy = 4
  }
}

/// The program that fetches PvD Additional Information (RFC 8801 section 4), and what it is run with.
package struct Fetcher: Equatable, Sendable {
  /// Absolute path. Its arguments are the agent's runtime directory and, if it is not nil, the file of `roots`; its
  /// standard input is a socket to the engine.
  package var program: [UInt8]
  package var directory: [UInt8]
  /// The certificates that it trusts, PEM; nil for the system's.
  package var roots: [UInt8]?
  /// Who it becomes; nil to stay who the keeper is.
  package var user: UInt32?
  package var group: UInt32
  /// After as many nanoseconds it is killed.
  package static let timeout: UInt64 = 60_000_000_000

  package init(
    program: [UInt8], directory: [UInt8], roots: [UInt8]?, identity: (user: UInt32, group: UInt32)?
  ) {
    self.program = program
    self.directory = directory
    self.roots = roots
    user = identity?.user
    group = identity?.group ?? 0
  }
}

/// The programs that the keeper may run, and for how long.
package struct Hooks: Equatable, Sendable {
  /// Absolute paths. Each is run with two arguments: `connect`, `idle` or `break`, and the interface's name.
  package var connect: [UInt8]?
  package var idle: [UInt8]?
  package var `break`: [UInt8]?
  /// After as many nanoseconds a program and what it started in its session's first process group is killed.
  package var timeout: UInt64 = 30_000_000_000
  package var fetcher: Fetcher?

  package init() {}
}
