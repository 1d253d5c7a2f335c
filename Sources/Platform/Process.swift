import CLinux

/// This process.
package enum Process {
  package static var id: Int32 { getpid() }
  package static var effectiveUser: UInt32 { geteuid() }

  /// The words of the command line, without the program's name, as the bytes that they are. From
  /// /proc/self/cmdline: Embedded Swift keeps no argv. More than 64 KiB of them are refused with EFBIG.
  package static func arguments() throws(SystemFailure) -> [[UInt8]] {
    let line = try File.read(Array("/proc/self/cmdline".utf8), limit: 65536)
    var words: [[UInt8]] = []
    var word: [UInt8] = []
    for byte in line {
      if byte != 0 {
        word.append(byte)
      } else {
        words.append(word)
        word.removeAll()
      }
    }
    if !words.isEmpty { words.removeFirst() }
    return words
  }

  /// setrlimit(2): as many descriptors as may be had, for as many subscribers. Without it there are fewer.
  package static func raiseDescriptorLimit() { clinux_raise_descriptor_limit() }

  /// Has the memory of lists that grew out of it go back to the system, not to the heap.
  package static func returnLargeMemory() { clinux_return_large_memory() }

  /// Lets go of what only the start needed: free memory, and the pages of this program's code that are mapped; those that
  /// still run come back from the page cache. A gateway's memory counts in megabytes.
  package static func releaseStart() {
    clinux_trim_heap()
    clinux_release_code()
  }

  /// exit(3). Nothing that is alive is deinitialised: remove sockets first.
  package static func exit(_ status: Int32) -> Never { CLinux.exit(status) }

  /// In a loop that waits without sleeping: leaves the processor to others of the same core for some cycles.
  package static func relax() { clinux_relax() }
}
