import CLinux

/// The directory with the agent's sockets and its lock.
package enum RuntimeDirectory {
  /// mkdir(2), if it isn't there. One that is there must be a directory that belongs to root or to us and that
  /// nobody else can write to: whoever can could put a socket of his own in the place of ours.
  package static func create(_ path: [UInt8], mode: UInt32 = 0o755) throws(SystemFailure) {
    try unsafe withPath(path, orThrow: { SystemFailure("create", path, $0) }) { name throws(SystemFailure) in
      if unsafe mkdir(name, mode_t(mode)) == 0 {
        // Exactly this mode, whatever the umask took away.
        _ = try valueOrFailure("set the mode of", path) { unsafe chmod(name, mode_t(mode)) }
        return
      }
      let errno = Errno.current
      if errno != .exists { throw SystemFailure("create", path, errno) }
      var status = stat()
      _ = try valueOrFailure("use", path) { unsafe stat(name, &status) }
      if clinux_is_directory(status.st_mode) == 0 { throw SystemFailure("use", path, .notDirectory) }
      if status.st_uid != 0 && status.st_uid != geteuid() {
        throw SystemFailure("use", path, .notPermitted, hint: "it belongs to another user")
      }
      if status.st_mode & 0o022 != 0 {
        throw SystemFailure("use", path, .notPermitted, hint: "others can write to it")
      }
    }
  }
}

/// Why an instance may not start.
package enum LockRefusal: Error, Sendable {
  /// Another instance runs on this directory; its pid, if it could be read.
  case held(pid: Int32?)
  case failed(SystemFailure)
}

/// One instance a directory: an open file description lock (fcntl(2), F_OFD_SETLK) on `<directory>/lock`, held while
/// this value lives or a child process that inherited it. The file stays behind: removing it would let two
/// instances lock two files of one name.
package struct InstanceLock: ~Copyable {
  private let descriptor: Descriptor

  package init(directory: [UInt8]) throws(LockRefusal) {
    let path = directory + Array("/lock".utf8)
    let number: Int32
    do throws(SystemFailure) {
      number = try openFile(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode: 0o644)
    } catch {
      throw .failed(error)
    }
    let descriptor = Descriptor(taking: number)
    var lock = flock()
    lock.l_type = Int16(F_WRLCK)
    lock.l_whence = Int16(SEEK_SET)
    if unsafe clinux_fcntl_lock(descriptor.number, F_OFD_SETLK, &lock) != 0 {
      let errno = Errno.current
      if errno == .wouldBlock || errno == .accessDenied { throw .held(pid: readPid(descriptor.number)) }
      throw .failed(SystemFailure("lock", path, errno))
    }
    do throws(Errno) {
      try writePid(descriptor.number)
    } catch {
      throw .failed(SystemFailure("write to", path, error))
    }
    self.descriptor = descriptor
  }
}

private func writePid(_ file: Int32) throws(Errno) {
  var text: [UInt8] = []
  append(decimal: getpid(), to: &text)
  text.append(UInt8(ascii: "\n"))
  _ = try valueOrErrno { ftruncate(file, 0) }
  _ = try valueOrErrno { unsafe text.withUnsafeBytes { unsafe pwrite(file, $0.baseAddress, $0.count, 0) } }
}

private func readPid(_ file: Int32) -> Int32? {
  var text = InlineArray<16, UInt8>(repeating: 0)
  var span = text.mutableSpan
  let count = unsafe span.withUnsafeMutableBytes { unsafe pread(file, $0.baseAddress, $0.count, 0) }
  var pid: Int32 = 0
  for index in 0..<max(count, 0) {
    let digit = text[index] &- UInt8(ascii: "0")
    if digit > 9 { break }
    let (tens, tooBig) = pid.multipliedReportingOverflow(by: 10)
    let (sum, muchTooBig) = tens.addingReportingOverflow(Int32(digit))
    if tooBig || muchTooBig { return nil }
    pid = sum
  }
  return pid > 0 ? pid : nil
}
