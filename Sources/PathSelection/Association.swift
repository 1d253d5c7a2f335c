package import Wire

/// A peer that this host has an IKE_SA with, or that the configuration names.
package struct Association: Hashable, Sendable {
  package var peer: IPAddress
  /// Where it takes IKE messages, UDP.
  package var port: UInt16
  /// The address of this host's that the IKE_SA has now; nil where nobody tells.
  package var local: IPAddress?

  package init(peer: IPAddress, port: UInt16, local: IPAddress?) {
    self.peer = peer
    self.port = port
    self.local = local
  }
}

/// What the trigger database says, as far as it is about paths. A hint and no more: what an ICMP error or an
/// advertisement says can be forged (RFC 4555 5.4, RFC 4621 5.1), so it leads to a check and never to a move.
package enum Hint: Hashable, Sendable {
  /// DEST_UNREACHABLE: `trigger` stands until it is withdrawn.
  case unreachable(trigger: UInt32, source: IPAddress, IPPrefix)
  case withdrawn(trigger: UInt32)
  /// CONN_LOST, with the address that was the source.
  case connectionLost(interface: UInt32, IPAddress?)
  /// CONN_ESTABLISHED, or an address came: what did not work may work now.
  case connectionEstablished
}

/// Why a path is doubted.
package enum Doubt: UInt8, Hashable, Sendable {
  /// The IKE_SA is new to us: its paths are measured.
  case unknown
  /// An ICMP error.
  case unreachable
  case connectionLost
  /// Address, route or link of the path is gone.
  case pathGone
  /// It did not answer when it was looked after.
  case silence
  /// The last check found no path that works.
  case stuck
}

/// What became of a probe.
package enum ProbeOutcome: Hashable, Sendable {
  case waiting
  /// After so many nanoseconds.
  case answered(UInt64)
  /// An ICMP error that quotes the probe's cookie.
  case unreachable(type: UInt8, code: UInt8)
  /// The kernel would not send it.
  case unsendable(errno: Int32)
  /// No answer in time.
  case silent

  package var isAnswer: Bool { if case .answered = self { true } else { false } }
  var isFailure: Bool { self != .waiting && !isAnswer }
}

/// What is to be done, in order.
package enum Action: Equatable, Sendable {
  /// Send a probe with a new cookie.
  case probe(number: UInt32, peer: IPAddress, port: UInt16, Path)
  /// Send it once more: the first one may have been lost.
  case `repeat`(number: UInt32)
  /// Whatever still comes for it is of no interest.
  case forget(number: UInt32)
  /// Have packets to the peer take another path.
  case move(peer: IPAddress, from: Path?, to: Path, Verdict)
  /// Take back what was done for the peer, which then goes by `to` again; nil where there is no path.
  case restore(peer: IPAddress, to: Path?, Restoration)
  /// Nothing to be done, but to be told.
  case notice(peer: IPAddress, Notice)
}

/// What a move rests on.
package struct Verdict: Hashable, Sendable {
  package var doubt: Doubt
  /// Of the path that is left; nil where there was none.
  package var failure: ProbeOutcome?
  /// The round trip of the path that is taken, nanoseconds; nil where it was taken unproven.
  package var roundTrip: UInt64?

  package init(doubt: Doubt, failure: ProbeOutcome?, roundTrip: UInt64?) {
    self.doubt = doubt
    self.failure = failure
    self.roundTrip = roundTrip
  }
}

package enum Restoration: UInt8, Hashable, Sendable {
  /// The usual path has been good for long enough.
  case pathIsBack
  /// The kernel's own choice is the same by now.
  case needless
  /// The path that was taken instead is gone.
  case pathGone
  /// The path that was taken instead has failed, and the usual one answers.
  case pathFailed
  /// The IKE_SA is gone.
  case peerGone
}

package enum Notice: Hashable, Sendable {
  /// The path in use was doubted and answers.
  case lives(Doubt, roundTrip: UInt64)
  /// The path in use fails, and no other one answers.
  case noPath(Doubt, ProbeOutcome?)
  /// It never answered a probe, on any path: nothing can be proved, and an ICMP error moves nothing.
  case unprovable(ProbeOutcome?)
}
