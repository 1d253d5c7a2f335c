import CLinux

/// Why a system call failed: `errno(3)`.
package struct Errno: RawRepresentable, Error, Hashable, Sendable {
  package var rawValue: Int32
  package init(rawValue: Int32) { self.rawValue = rawValue }

  /// What the last failed call of this thread left behind.
  package static var current: Errno { Errno(rawValue: clinux_errno()) }

  package static var interrupted: Errno { Errno(rawValue: EINTR) }
  package static var wouldBlock: Errno { Errno(rawValue: EAGAIN) }
  package static var invalidArgument: Errno { Errno(rawValue: EINVAL) }
  package static var noEntry: Errno { Errno(rawValue: ENOENT) }
  package static var exists: Errno { Errno(rawValue: EEXIST) }
  package static var notPermitted: Errno { Errno(rawValue: EPERM) }
  package static var accessDenied: Errno { Errno(rawValue: EACCES) }
  package static var nameTooLong: Errno { Errno(rawValue: ENAMETOOLONG) }
  package static var fileTooBig: Errno { Errno(rawValue: EFBIG) }
  package static var notDirectory: Errno { Errno(rawValue: ENOTDIR) }
  package static var messageTooLong: Errno { Errno(rawValue: EMSGSIZE) }
  package static var noBufferSpace: Errno { Errno(rawValue: ENOBUFS) }
  package static var noDevice: Errno { Errno(rawValue: ENODEV) }
  package static var networkDown: Errno { Errno(rawValue: ENETDOWN) }
  package static var protocolError: Errno { Errno(rawValue: EPROTO) }
  package static var addressFamilyNotSupported: Errno { Errno(rawValue: EAFNOSUPPORT) }
  package static var addressNotAvailable: Errno { Errno(rawValue: EADDRNOTAVAIL) }
  package static var networkUnreachable: Errno { Errno(rawValue: ENETUNREACH) }
  package static var timedOut: Errno { Errno(rawValue: ETIMEDOUT) }
  package static var tooManyOpenFiles: Errno { Errno(rawValue: EMFILE) }

  /// `strerrordesc_np(3)`: English and without the locale tables that `strerror(3)` would link.
  package var message: [UInt8] {
    guard let text = unsafe strerrordesc_np(rawValue) else { return Array("unknown error".utf8) }
    return unsafe bytes(ofCString: text)
  }
}

/// A step that failed, with what it was about: enough for one line that says what, where and why.
package struct SystemFailure: Error, Sendable {
  /// What was attempted, as in "cannot " + action: "open", "bind".
  package var action: StaticString
  /// The path or name that it was attempted on; empty where there is none.
  package var subject: [UInt8]
  package var errno: Errno
  /// What to do about it, where that is known; empty otherwise.
  package var hint: StaticString

  package init(_ action: StaticString, _ errno: Errno, hint: StaticString = "") {
    self.init(action, [], errno, hint: hint)
  }

  package init(_ action: StaticString, _ subject: [UInt8], _ errno: Errno, hint: StaticString = "") {
    self.action = action
    self.subject = subject
    self.errno = errno
    self.hint = hint
  }
}

/// The convention of the C library, once: -1 means failure with the reason in `errno`.
@inline(__always)
package func valueOrErrno<I: FixedWidthInteger & SignedInteger>(
  retryOnInterrupt: Bool = true, _ call: () -> I
) throws(Errno) -> I {
  while true {
    let value = call()
    if value != -1 { return value }
    let errno = Errno.current
    if !(retryOnInterrupt && errno == .interrupted) { throw errno }
  }
}

/// The same, for calls within a larger step that names itself.
@inline(__always)
package func valueOrFailure<I: FixedWidthInteger & SignedInteger>(
  _ action: StaticString, _ subject: [UInt8] = [], hint: StaticString = "", _ call: () -> I
) throws(SystemFailure) -> I {
  do throws(Errno) {
    return try valueOrErrno(call)
  } catch {
    throw SystemFailure(action, subject, error, hint: hint)
  }
}

/// The bytes of a C string, without its final zero.
package func bytes(ofCString text: UnsafePointer<CChar>) -> [UInt8] {
  var result: [UInt8] = []
  var index = 0
  while unsafe text[index] != 0 {
    result.append(UInt8(bitPattern: Int8(unsafe text[index])))
    index += 1
  }
  return result
}

/// Calls `body` with a path as the kernel wants it. A path with a zero byte in it names nothing: EINVAL.
package func withPath<R, E: Error>(
  _ path: [UInt8], orThrow refusal: (Errno) -> E, _ body: (UnsafePointer<CChar>) throws(E) -> R
) throws(E) -> R {
  if path.contains(0) { throw refusal(.invalidArgument) }
  var terminated: [CChar] = []
  terminated.reserveCapacity(path.count + 1)
  for byte in path { terminated.append(CChar(truncatingIfNeeded: byte)) }
  terminated.append(0)
  return try unsafe terminated.withUnsafeBufferPointer { buffer throws(E) in
    guard let base = buffer.baseAddress else { throw refusal(.invalidArgument) }
    return try unsafe body(base)
  }
}
