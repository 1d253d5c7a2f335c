import Messages
import Platform
import Provisioning

/// A set of trigger types, as ranges.
package struct TriggerTypes: Equatable, Sendable {
  package static let all = TriggerTypes([0...UInt16.max])
  package static let none = TriggerTypes([])

  private var ranges: [ClosedRange<UInt16>]
  /// Looked at for each trigger that is told.
  let isAll: Bool

  package init(_ ranges: [ClosedRange<UInt16>]) {
    self.ranges = ranges
    isAll = ranges.contains { $0.lowerBound <= 1 && $0.upperBound == .max }
  }

  var isEmpty: Bool { ranges.isEmpty }

  func contains(_ type: TriggerType) -> Bool { isAll || ranges.contains { $0.contains(type.rawValue) } }

  func union(_ other: TriggerTypes) -> TriggerTypes { TriggerTypes(ranges + other.ranges) }
}

/// One line of the configuration on who may read or write which trigger types, or manage connectivity.
package struct AccessRule: Equatable, Sendable {
  package enum Who: Equatable, Sendable {
    case anybody
    case user(UInt32)
    /// Its effective group or one of its supplementary ones, when it connected.
    case group(UInt32)
  }

  package var who: Who
  package var types: TriggerTypes

  package init(_ who: Who, _ types: TriggerTypes = .all) {
    self.who = who
    self.types = types
  }

  fileprivate func applies(to peer: PeerCredentials, _ groups: [UInt32]) -> Bool {
    switch who {
    case .anybody: true
    case .user(let uid): peer.uid == uid
    case .group(let gid): peer.gid == gid || groups.contains(gid)
    }
  }
}

/// What one process may do; settled when it connects, by who it was then.
struct Access {
  let reads: TriggerTypes
  let writes: TriggerTypes
  /// Whether it may have interfaces set up and down, and vote on them.
  let managesConnectivity: Bool

  init(_ peer: PeerCredentials, groups: [UInt32], _ settings: Subscribers.Settings) {
    func types(_ rules: [AccessRule]) -> TriggerTypes {
      if peer.uid == 0 { return .all }
      return rules.reduce(.none) { $1.applies(to: peer, groups) ? $0.union($1.types) : $0 }
    }
    reads = types(settings.triggerReaders)
    writes = types(settings.triggerWriters)
    managesConnectivity = peer.uid == 0 || settings.connectivityManagers.contains { $0.applies(to: peer, groups) }
  }
}

/// Processes whose refusal was logged: of so many the latest, so that a process that goes on trying, on however many
/// connections, does not fill the log.
struct RefusedProcesses {
  private static let limit = 256
  private var known: [PeerCredentials] = []
  private var oldest = 0

  /// False if it is among them already.
  mutating func insert(_ peer: PeerCredentials) -> Bool {
    if known.contains(peer) { return false }
    if known.count < RefusedProcesses.limit {
      known.append(peer)
    } else {
      known[oldest] = peer
      oldest = (oldest + 1) % RefusedProcesses.limit
    }
    return true
  }
}
