import CLinux

/// SIGTERM, SIGINT and SIGHUP as something to read: signalfd(2).
package struct Signals: ~Copyable {
  package enum Signal: Sendable { case terminate, interrupt, hangup }

  package let descriptor: Descriptor

  /// Blocks the three for this thread and those that it starts (pthread_sigmask(3)), and ignores SIGPIPE: a
  /// subscriber that is gone is an EPIPE. What is executed later inherits both and has to undo them.
  package init() throws(Errno) {
    var set = sigset_t()
    unsafe sigemptyset(&set)
    unsafe sigaddset(&set, SIGTERM)
    unsafe sigaddset(&set, SIGINT)
    unsafe sigaddset(&set, SIGHUP)
    let failure = unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
    if failure != 0 { throw Errno(rawValue: failure) }
    _ = try valueOrErrno { clinux_ignore_signal(SIGPIPE) }
    descriptor = Descriptor(
      taking: try valueOrErrno { unsafe signalfd(-1, &set, Int32(SFD_NONBLOCK | SFD_CLOEXEC)) })
  }

  /// The next signal that came, nil when there is none (left).
  package func next() -> Signal? {
    var information = signalfd_siginfo()
    let size = MemoryLayout<signalfd_siginfo>.size
    while unsafe read(descriptor.number, &information, size) == size {
      switch Int32(truncatingIfNeeded: information.ssi_signo) {
      case SIGTERM: return .terminate
      case SIGINT: return .interrupt
      case SIGHUP: return .hangup
      default: continue
      }
    }
    return nil
  }
}
