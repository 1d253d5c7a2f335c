/// A point on the clock that state runs on: nanoseconds of CLOCK_BOOTTIME, which counts sleep as well.
package struct Instant: Comparable, Hashable, Sendable {
  package var nanoseconds: UInt64
  package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

  /// Later than everything: what has no end.
  package static let never = Instant(nanoseconds: .max)

  package static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }

  package func adding(nanoseconds other: UInt64) -> Instant {
    let (sum, overflow) = nanoseconds.addingReportingOverflow(other)
    return overflow ? .never : Instant(nanoseconds: sum)
  }

  /// The end of a lifetime as protocols carry it: seconds, 0xFFFFFFFF for ever (RFC 4861 4.6.2, RFC 2131 3.3).
  package func adding(lifetime seconds: UInt32) -> Instant {
    seconds == .max ? .never : adding(nanoseconds: UInt64(seconds) * 1_000_000_000)
  }

  /// Whole seconds from here to `end`, rounded up so that what is still valid never reads 0; 0xFFFFFFFF for ever.
  package func lifetime(until end: Instant) -> UInt32 {
    if end == .never { return .max }
    if end <= self { return 0 }
    return UInt32(min(UInt64(UInt32.max - 1), (end.nanoseconds - nanoseconds - 1) / 1_000_000_000 + 1))
  }
}

/// When something happened, on both clocks: state runs on the first, subscribers are told the second.
package struct Moment: Sendable {
  package var instant: Instant
  /// Nanoseconds of CLOCK_REALTIME: a packet's receive timestamp, or when the kernel's word was read.
  package var timestamp: UInt64

  package init(_ instant: Instant, timestamp: UInt64) {
    self.instant = instant
    self.timestamp = timestamp
  }
}
