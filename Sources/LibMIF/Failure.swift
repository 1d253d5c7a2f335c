import CLinux
import Messages
import Platform
import Sessions

/// The C library's convention: calls `body`, and gives its value, or -1 and errno.
func valueOrMinusOne<I: FixedWidthInteger & SignedInteger>(_ body: () throws(Errno) -> I) -> I {
  do throws(Errno) {
    return try body()
  } catch {
    clinux_set_errno(error.rawValue)
    return -1
  }
}

/// Calls `body`, with the number that the agent would answer where the codec refuses.
func refusing<R>(_ body: () throws(MessageRefusal) -> R) throws(Errno) -> R {
  do throws(MessageRefusal) {
    return try body()
  } catch {
    throw Errno(rawValue: Int32(error.errorNumber.rawValue))
  }
}

extension TriggerFailure {
  var errno: Errno {
    switch self {
    case .refused(let error), .disconnected(let error): Errno(rawValue: Int32(error.rawValue))
    case .notConnected: Errno(rawValue: ENOTCONN)
    case .timedOut: Errno(rawValue: ETIMEDOUT)
    case .wouldBlock: .wouldBlock
    case .tooMany: .invalidArgument
    case .system(let error): error
    }
  }
}

/// No function of the library is a cancellation point (pthread_cancel(3)): Swift's frames can't be unwound, so a thread
/// that ended in one would leave its callers' clean-ups undone.
func uncancelled<R: ~Copyable, Failure: Error>(_ body: () throws(Failure) -> R) throws(Failure) -> R {
  var before: Int32 = 0
  _ = unsafe pthread_setcancelstate(Int32(PTHREAD_CANCEL_DISABLE), &before)
  defer { _ = pthread_setcancelstate(before, nil) }
  return try body()
}
