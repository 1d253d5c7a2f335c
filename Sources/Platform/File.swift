import CLinux

package enum File {
  /// The whole file: open(2), read(2). More than `limit` bytes are refused with EFBIG.
  package static func read(_ path: [UInt8], limit: Int) throws(SystemFailure) -> [UInt8] {
    let descriptor = try open(path)
    // One byte more than is allowed, to see whether there is one.
    var contents = [UInt8](repeating: 0, count: limit + 1)
    var length = 0
    while length < contents.count {
      let count = try valueOrFailure("read", path) {
        unsafe contents.withUnsafeMutableBytes {
          unsafe CLinux.read(descriptor.number, $0.baseAddress.map { unsafe $0 + length }, $0.count - length)
        }
      }
      if count == 0 { break }
      length += count
    }
    if length > limit { throw SystemFailure("read", path, .fileTooBig) }
    contents.removeLast(contents.count - length)
    return contents
  }

  /// access(2): whether there is a program there that this process may run.
  package static func check(_ program: [UInt8]) throws(SystemFailure) {
    try unsafe withPath(program, orThrow: { SystemFailure("run", program, $0) }) { path throws(SystemFailure) in
      _ = try valueOrFailure("run", program) { unsafe access(path, X_OK) }
    }
  }

  /// stat(2): the group that a file belongs to.
  package static func group(of path: [UInt8]) throws(Errno) -> UInt32 {
    try unsafe withPath(path, orThrow: { $0 }) { name throws(Errno) in
      var status = stat()
      _ = try valueOrErrno { unsafe stat(name, &status) }
      return status.st_gid
    }
  }

  /// open(2), for reading.
  package static func open(_ path: [UInt8]) throws(SystemFailure) -> Descriptor {
    Descriptor(taking: try openFile(path, O_RDONLY | O_CLOEXEC))
  }
}

/// open(2).
func openFile(_ path: [UInt8], _ flags: Int32, mode: UInt32 = 0) throws(SystemFailure) -> Int32 {
  try unsafe withPath(path, orThrow: { SystemFailure("open", path, $0) }) { name throws(SystemFailure) in
    try valueOrFailure("open", path) { unsafe clinux_open(name, flags, mode_t(mode)) }
  }
}

/// unlink(2); it is all the same whether it was there.
package func removeFile(_ path: [UInt8]) {
  _ = try? unsafe withPath(path, orThrow: { $0 }) { (name) throws(Errno) in unsafe unlink(name) }
}
