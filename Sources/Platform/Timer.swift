import CLinux

/// One deadline that a `Poller` can wait for: timerfd_create(2) on CLOCK_BOOTTIME.
package struct Timer: ~Copyable {
  package let descriptor: Descriptor
  /// The deadline that the kernel knows, so that asking for the same again costs nothing.
  private var armed: UInt64?

  package init() throws(Errno) {
    descriptor = Descriptor(
      taking: try valueOrErrno { timerfd_create(CLOCK_BOOTTIME, Int32(TFD_NONBLOCK | TFD_CLOEXEC)) })
    armed = nil
  }

  /// Becomes readable at `deadline` (nanoseconds of CLOCK_BOOTTIME; at once if that is past), or never with nil.
  /// timerfd_settime(2), only when it differs from what was asked for before.
  package mutating func arm(at deadline: UInt64?) throws(Errno) {
    if deadline == armed { return }
    var setting = itimerspec()
    if let deadline {
      // All zeros would disarm it.
      let nanoseconds = max(deadline, 1)
      setting.it_value.tv_sec = time_t(clamping: nanoseconds / 1_000_000_000)
      setting.it_value.tv_nsec = Int(nanoseconds % 1_000_000_000)
    }
    _ = try valueOrErrno { unsafe timerfd_settime(descriptor.number, Int32(TFD_TIMER_ABSTIME), &setting, nil) }
    armed = deadline
  }

  /// To be called when it was readable: it is silent again until the next `arm`. True if a deadline had passed.
  package mutating func acknowledge() -> Bool {
    var expirations: UInt64 = 0
    let count = unsafe read(descriptor.number, &expirations, MemoryLayout<UInt64>.size)
    if count != MemoryLayout<UInt64>.size { return false }
    armed = nil
    return true
  }
}
