import Wire

/// PvD Additional Information (RFC 8801 section 4) on one network: what is known, what is waited for, and what may not
/// be asked any more.
struct InformationTable: Sendable {
  /// Time between two requests for one PvD, and in which at most `requestLimit` requests go out on one network.
  static let interval: UInt64 = 10_000_000_000
  static let requestLimit = 5
  /// At so many failures the network is left alone as long as the host is attached to it.
  static let failureLimit = 10
  /// Longest time between two attempts to reach a server that did not answer.
  static let longestWait: UInt64 = 3_600_000_000_000

  /// What a checked object says.
  struct Known: Sendable {
    var text: [UInt8]
    var prefixes: [IPPrefix]
    var until: Instant

    /// Whether each of these prefixes lies, bit by bit, in one that the object lists.
    func covers(_ advertised: [IPPrefix]) -> Bool {
      advertised.allSatisfy { inner in
        prefixes.contains { $0.length <= inner.length && $0.contains(inner.address) }
      }
    }
  }

  enum Phase: Sendable {
    /// Nothing is to be done before somebody wants it.
    case idle
    /// To be fetched from this time on.
    case waiting(Instant)
    /// Under way; outdated where its answer is not what is wanted any more.
    case fetching(isOutdated: Bool)
    /// Not to be asked for again on this network.
    case refused
  }

  /// One explicit PvD.
  struct Entry: Sendable {
    let name: [UInt8]
    /// Names this entry in `deadlines` and in fetches; never used again.
    let serial: UInt64
    let deadline: Deadlines<TimedSubject>.Handle
    /// Whether an advertisement of the PvD has the H flag.
    var isWanted = true
    var phase = Phase.idle
    /// The sequence numbers of the PvD's routers, and the delay of one of them.
    var sequences: [UInt16] = []
    var delay: UInt8 = 0
    var lastRequest: Instant?
    /// Attempts on end that reached no server.
    var attempts: UInt8 = 0
    var known: Known? { didSet { revision &+= 1 } }
    private(set) var revision: UInt32 = 0
    /// Of what is known; another one each time.
    var fingerprint: Fingerprint { Fingerprint(serial, UInt64(revision)) }

    /// When a request may follow the last one.
    var earliest: Instant {
      lastRequest?.adding(nanoseconds: InformationTable.interval) ?? Instant(nanoseconds: 0)
    }
  }

  var entries: [Entry] = []
  var failures = 0
  /// When the last requests went out, at most `requestLimit` of them.
  var requests: [Instant] = []

  func place(_ name: [UInt8]) -> Int? { entries.firstIndex { $0.name == name } }
  func place(_ serial: UInt64) -> Int? { entries.firstIndex { $0.serial == serial } }

  func known(_ name: [UInt8]) -> Known? { place(name).flatMap { entries[$0].known } }

  /// When the network may be asked the next time.
  var earliest: Instant {
    requests.count < InformationTable.requestLimit
      ? Instant(nanoseconds: 0) : requests[0].adding(nanoseconds: InformationTable.interval)
  }

  mutating func request(_ place: Int, at now: Instant) {
    entries[place].phase = .fetching(isOutdated: false)
    entries[place].lastRequest = now
    if requests.count == InformationTable.requestLimit { requests.removeFirst() }
    requests.append(now)
  }

  /// The host leaves the network: what was refused there is no longer so.
  mutating func detach() {
    failures = 0
    for place in entries.indices {
      if case .refused = entries[place].phase { entries[place].phase = .idle }
    }
  }
}

/// What is to be fetched: `https://NAME/.well-known/pvd`, through this PvD and no other.
package struct InformationFetch: Equatable, Sendable {
  package var interface: UInt32
  package var pvd: UInt32
  package var name: [UInt8]
  /// What `informationFetched` is told it by.
  package var serial: UInt64
}
