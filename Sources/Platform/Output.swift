import CLinux

/// Standard output, for what was asked for (`--help`, `--replay`); messages about the agent itself are the log's.
package enum Output {
  /// write(2), until all is written; what a closed pipe does not take is lost.
  package static func write(_ bytes: [UInt8]) {
    var written = 0
    while written < bytes.count {
      let rest = bytes[written...]
      let count = unsafe rest.withUnsafeBytes { unsafe CLinux.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
      if count < 0 && Errno.current == .interrupted { continue }
      if count <= 0 { return }
      written += count
    }
  }

  package static func write(_ text: StaticString) {
    var bytes: [UInt8] = []
    append(text, to: &bytes)
    write(bytes)
  }
}
