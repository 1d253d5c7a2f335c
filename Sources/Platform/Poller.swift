import CLinux

/// Waits for many descriptors at once: epoll(7), level-triggered but for those that ask for edges.
@safe package struct Poller: ~Copyable {
  package struct Interest: OptionSet, Hashable, Sendable {
    package var rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    package static var read: Interest { Interest(rawValue: 1) }
    package static var write: Interest { Interest(rawValue: 2) }
    /// EPOLLET: once for what has come, so whoever hears of it takes all of it. Saves the kernel a second look.
    package static var edge: Interest { Interest(rawValue: 4) }
  }

  /// What a descriptor is ready for. Errors and hang-ups come unasked, with no interest at all too.
  package struct Event: Hashable, Sendable {
    /// What `add` was given.
    package var token: UInt64
    package var isReadable: Bool
    package var isWritable: Bool
    /// The other end is gone (EPOLLHUP, EPOLLRDHUP); what it sent before can still be read.
    package var isHungUp: Bool
    /// EPOLLERR: the next call on the descriptor says which error.
    package var hasError: Bool
  }

  /// At most as many events come out of one `wait`; what is left comes with the next one, in turn.
  package static var batch: Int { 64 }

  private let descriptor: Descriptor
  /// For a poller or poll(2) of somebody else's: readable when `wait` has something.
  package var number: Int32 { descriptor.number }
  /// Not in place: whoever borrows a value of a class has it copied.
  private var events: [epoll_event]

  /// epoll_create1(2).
  package init() throws(Errno) {
    descriptor = Descriptor(taking: try valueOrErrno { epoll_create1(Int32(EPOLL_CLOEXEC)) })
    unsafe events = unsafe [epoll_event](repeating: epoll_event(), count: Poller.batch)
  }

  /// epoll_ctl(2), EPOLL_CTL_ADD. Closing the descriptor removes it, if nobody else holds a copy of it. An event
  /// that `wait` has already fetched still carries the token of a descriptor that was removed meanwhile: a token
  /// needs a generation if it can be used anew within one batch.
  package func add(_ number: Int32, token: UInt64, _ interest: Interest) throws(Errno) {
    try control(EPOLL_CTL_ADD, number, token, interest)
  }

  /// EPOLL_CTL_MOD.
  package func modify(_ number: Int32, token: UInt64, _ interest: Interest) throws(Errno) {
    try control(EPOLL_CTL_MOD, number, token, interest)
  }

  /// EPOLL_CTL_DEL.
  package func remove(_ number: Int32) throws(Errno) {
    try control(EPOLL_CTL_DEL, number, 0, [])
  }

  /// epoll_wait(2): how many events `event(_:)` has now. `milliseconds` -1 waits for ever, 0 not at all.
  /// A signal that interrupts it makes it an early 0.
  package mutating func wait(milliseconds: Int32 = -1) throws(Errno) -> Int {
    let poll = descriptor.number
    do throws(Errno) {
      return Int(
        try valueOrErrno(retryOnInterrupt: false) {
          unsafe events.withUnsafeMutableBufferPointer {
            unsafe epoll_wait(poll, $0.baseAddress, Int32($0.count), milliseconds)
          }
        })
    } catch {
      if error == .interrupted { return 0 }
      throw error
    }
  }

  /// Event `index` of the last `wait`, from 0.
  package func event(_ index: Int) -> Event {
    let event = unsafe events[index]
    let bits = unsafe event.events
    return Event(
      token: unsafe event.data.u64,
      isReadable: bits & EPOLLIN.rawValue != 0,
      isWritable: bits & EPOLLOUT.rawValue != 0,
      isHungUp: bits & (EPOLLHUP.rawValue | EPOLLRDHUP.rawValue) != 0,
      hasError: bits & EPOLLERR.rawValue != 0)
  }

  private func control(_ operation: Int32, _ number: Int32, _ token: UInt64, _ interest: Interest) throws(Errno) {
    var event = unsafe epoll_event()
    if interest.contains(.read) { unsafe event.events |= EPOLLIN.rawValue | EPOLLRDHUP.rawValue }
    if interest.contains(.write) { unsafe event.events |= EPOLLOUT.rawValue }
    if interest.contains(.edge) { unsafe event.events |= EPOLLET.rawValue }
    unsafe event.data.u64 = token
    _ = try valueOrErrno { unsafe epoll_ctl(descriptor.number, operation, number, &event) }
  }
}
