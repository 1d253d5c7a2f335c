import CLinux

/// The kernel's clocks, in nanoseconds (clock_gettime(2); no system call where the vDSO serves it).
package enum Clock {
  /// CLOCK_BOOTTIME: since boot, sleep included. Lifetimes run on it.
  package static func bootTime() -> UInt64 { now(CLOCK_BOOTTIME) }

  /// CLOCK_REALTIME: since 1970. Packet timestamps are of this clock.
  package static func realTime() -> UInt64 { now(CLOCK_REALTIME) }

  /// nanosleep(2), at the start only: the loop never sleeps but in the poller.
  package static func sleep(milliseconds: Int) {
    var time = timespec(tv_sec: milliseconds / 1000, tv_nsec: milliseconds % 1000 * 1_000_000)
    unsafe nanosleep(&time, nil)
  }

  private static func now(_ clock: clockid_t) -> UInt64 {
    // Fails only for clocks that don't exist; both are as old as any kernel that has TPACKET_V2 rings.
    clinux_nanoseconds(clock)
  }
}
