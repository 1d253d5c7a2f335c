import CLinux

/// A file descriptor with one owner; closed when the owner ends.
@usableFromInline
package struct Descriptor: ~Copyable {
  /// What the kernel calls it. Valid as long as this value lives: don't keep it.
  @usableFromInline package private(set) var number: Int32

  /// Takes over a descriptor that nobody else closes.
  package init(taking number: Int32) { self.number = number }

  // Embedded Swift wants to see a noncopyable value's deinit in whichever module holds one: hence inlinable.
  @inlinable deinit { if number >= 0 { closeDescriptor(number) } }

  /// Gives it away: whoever takes the number closes it.
  package consuming func release() -> Int32 {
    let number = number
    self.number = -1
    return number
  }

  /// Another number for what `number` means (fcntl(2), F_DUPFD_CLOEXEC). Throws EMFILE and ENFILE.
  package static func duplicate(of number: Int32) throws(Errno) -> Descriptor {
    Descriptor(taking: try valueOrErrno { clinux_fcntl(number, F_DUPFD_CLOEXEC, 0) })
  }

  /// setsockopt(2) with an integer.
  package func setOption(level: Int32, _ name: Int32, _ value: Int32) throws(Errno) {
    var value = value
    _ = try valueOrErrno {
      unsafe setsockopt(number, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
    }
  }

  /// poll(2): waits until it is ready for one of what `interest` names, or broken; false if it is not in
  /// `milliseconds`, or where a signal came.
  package func wait(for interest: Poller.Interest, milliseconds: Int32) throws(Errno) -> Bool {
    var question = pollfd(fd: number, events: 0, revents: 0)
    if interest.contains(.read) { question.events |= Int16(POLLIN) }
    if interest.contains(.write) { question.events |= Int16(POLLOUT) }
    do throws(Errno) {
      return try valueOrErrno(retryOnInterrupt: false) { unsafe poll(&question, 1, milliseconds) } > 0
    } catch {
      if error == .interrupted { return false }
      throw error
    }
  }

  /// The inode behind it (fstat(2)): what the kernel's socket listings call a socket.
  package func inode() throws(Errno) -> UInt64 {
    var status = stat()
    _ = try valueOrErrno { unsafe fstat(number, &status) }
    return UInt64(status.st_ino)
  }
}

/// A descriptor that waits to be passed on, or to be taken over, in a queue: closed when nothing holds it any more.
package final class PassedDescriptor {
  package let descriptor: Descriptor

  package init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
}

/// close(2); not repeated on EINTR: Linux has freed the number by then.
@usableFromInline
package func closeDescriptor(_ number: Int32) { _ = close(number) }
