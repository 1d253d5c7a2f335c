import Capture
import Platform
import Provisioning
import Wire

/// What is heard on all interfaces: control and errors of both families in rings of their own, so that a flood of one
/// can't starve the other.
struct PacketSockets: ~Copyable {
  private var controlV4: PacketRing
  private var controlV6: PacketRing
  private var errorsV4: PacketRing
  private var errorsV6: PacketRing

  init(controlRing: Int, errorRing: Int) throws(SystemFailure) {
    let controlV4 = try PacketRing(.control, .v4, size: controlRing)
    let controlV6 = try PacketRing(.control, .v6, size: controlRing)
    let errorsV4 = try PacketRing(.errors, .v4, size: errorRing)
    let errorsV6 = try PacketRing(.errors, .v6, size: errorRing)
    self.controlV4 = controlV4
    self.controlV6 = controlV6
    self.errorsV4 = errorsV4
    self.errorsV6 = errorsV6
  }

  /// Has the poller watch all rings; without any interest it tells of errors of the sockets only.
  func watch(_ poller: borrowing Poller, token: UInt64, _ interest: Poller.Interest) throws(Errno) {
    try poller.add(controlV4.descriptor.number, token: token, interest)
    try poller.add(controlV6.descriptor.number, token: token, interest)
    try poller.add(errorsV4.descriptor.number, token: token, interest)
    try poller.add(errorsV6.descriptor.number, token: token, interest)
  }

  /// Whether errors wake who waits for the poller.
  func watchErrors(_ poller: borrowing Poller, token: UInt64, _ interest: Poller.Interest) throws(Errno) {
    try poller.modify(errorsV4.descriptor.number, token: token, interest)
    try poller.modify(errorsV6.descriptor.number, token: token, interest)
  }

  /// Whether a packet waits in any ring. Without a system call.
  var hasWaiting: Bool {
    controlV6.hasWaiting || errorsV6.hasWaiting || errorsV4.hasWaiting || controlV4.hasWaiting
  }

  /// Hands on the control packets that wait, as many as a ring holds at most. Without a system call: it may be asked
  /// for often.
  mutating func hearControl(_ body: (RawSpan, Family, Arrival) -> Void) {
    _ = controlV4.drain(limit: 64, body)
    _ = controlV6.drain(limit: 64, body)
  }

  /// Hands on at most `limit` errors of each family: how many in all.
  mutating func hearErrors(limit: Int, _ body: (RawSpan, Family, Arrival) -> Void) -> Int {
    errorsV4.drain(limit: limit, body) + errorsV6.drain(limit: limit, body)
  }

  /// Errors of the sockets themselves are taken away, or the poller would go on about them.
  func takeErrors() {
    _ = controlV4.takeError()
    _ = controlV6.takeError()
    _ = errorsV4.takeError()
    _ = errorsV6.takeError()
  }

  /// Every counter by name, the kernel's drops among them.
  mutating func forEachCounter(_ body: (StaticString, UInt64) -> Void) {
    controlV4.refreshDropped()
    controlV6.refreshDropped()
    errorsV4.refreshDropped()
    errorsV6.refreshDropped()
    let control = controlV4.counters + controlV6.counters
    body("capture.control.packets", control.packets)
    body("capture.control.dropped", control.dropped)
    body("capture.control.other-host", control.otherHost)
    body("capture.control.tagged", control.tagged)
    let errors = errorsV4.counters + errorsV6.counters
    body("capture.errors.packets", errors.packets)
    body("capture.errors.dropped", errors.dropped)
    body("capture.errors.other-host", errors.otherHost)
    body("capture.errors.tagged", errors.tagged)
  }
}

extension RingCounters {
  fileprivate static func + (a: RingCounters, b: RingCounters) -> RingCounters {
    var sum = a
    sum.packets += b.packets
    sum.otherHost += b.otherHost
    sum.tagged += b.tagged
    sum.dropped += b.dropped
    return sum
  }
}
