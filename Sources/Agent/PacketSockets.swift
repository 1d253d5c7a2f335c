import Capture
import Platform
import Provisioning
import Wire

/// What is heard on all interfaces: control and errors in rings of their own, so that a flood of one can't starve the
/// other. No more sockets than that: each runs its filter for every packet of the host.
struct PacketSockets: ~Copyable {
  private var control: PacketRing
  private var errors: PacketRing

  init(controlRing: Int, errorRing: Int) throws(SystemFailure) {
    let control = try PacketRing(.control, size: controlRing)
    let errors = try PacketRing(.errors, size: errorRing)
    self.control = control
    self.errors = errors
  }

  /// How many errors can wait.
  var errorFrames: Int { errors.frames }

  /// Has the poller watch both rings, which tell of errors of the sockets only unless they are to wake.
  func watch(_ poller: borrowing Poller, token: UInt64, wakes: Bool) throws(Errno) {
    try poller.add(control.descriptor.number, token: token, interest(wakes))
    try poller.add(errors.descriptor.number, token: token, interest(wakes))
  }

  /// Whether errors wake who waits for the poller.
  func watchErrors(_ poller: borrowing Poller, token: UInt64, wakes: Bool) throws(Errno) {
    try poller.modify(errors.descriptor.number, token: token, interest(wakes))
  }

  private func interest(_ wakes: Bool) -> Poller.Interest { wakes ? [.read, .edge] : [] }

  /// Whether a packet waits in either ring. Without a system call.
  var hasWaiting: Bool { control.hasWaiting || errors.hasWaiting }

  /// Hands on the control packets that wait, as many as the ring holds by default at most: true if there may be more.
  /// Without a system call: it may be asked for often.
  mutating func hearControl(_ body: (RawSpan, Family, Arrival) -> Void) -> Bool {
    let limit = 128
    return control.drain(limit: limit, body) == limit
  }

  /// Hands on at most `limit` errors: how many.
  mutating func hearErrors(limit: Int, _ body: (RawSpan, Family, Arrival) -> Void) -> Int {
    errors.drain(limit: limit, body)
  }

  /// Errors of the sockets themselves are taken away, or the poller would go on about them.
  func takeErrors() {
    _ = control.takeError()
    _ = errors.takeError()
  }

  /// Every counter by name, the kernel's drops among them.
  mutating func forEachCounter(_ body: (StaticString, UInt64) -> Void) {
    control.refreshDropped()
    errors.refreshDropped()
    body("capture.control.packets", control.counters.packets)
    body("capture.control.dropped", control.counters.dropped)
    body("capture.errors.packets", errors.counters.packets)
    body("capture.errors.dropped", errors.counters.dropped)
  }
}
