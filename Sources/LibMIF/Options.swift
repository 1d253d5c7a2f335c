import CLinux
import Platform

/// What functions of mif.h have in common: where the agent is, structs of a later version, times.

/// A socket of the agent's, in the directory that is given, else in the environment's, else in the usual one.
func socketPath(_ directory: UnsafePointer<CChar>?, _ name: StaticString) -> [UInt8] {
  let given = unsafe directory ?? UnsafePointer(secure_getenv("MIFD_RUNTIME_DIR"))
  var path: [UInt8] = []
  if let given = unsafe given, unsafe given.pointee != 0 {
    path = unsafe bytes(ofCString: given)
  } else {
    path.append("/run/mifd")
  }
  path.append(name)
  return path
}

extension [UInt8] {
  /// Without a String, whose code would be a good part of the library.
  mutating func append(_ text: StaticString) {
    text.withUTF8Buffer { unsafe append(contentsOf: $0) }
  }
}

/// A struct that says its `size` may be of a later version: what this one does not know has to be 0.
func checkSize<T>(of value: UnsafePointer<T>, _ size: Int) throws(Errno) {
  let known = MemoryLayout<T>.size
  guard size >= known, size <= 4096 else { throw .invalidArgument }
  for index in known..<size where unsafe UnsafeRawPointer(value).load(fromByteOffset: index, as: UInt8.self) != 0 {
    throw Errno(rawValue: E2BIG)
  }
}

/// A point in time for waiting, of a C caller's milliseconds.
struct Deadline {
  private let milliseconds: Int32
  /// Nanoseconds of CLOCK_BOOTTIME.
  let time: UInt64

  init(_ milliseconds: Int32) {
    self.milliseconds = milliseconds
    time = milliseconds < 0 ? .max : Clock.bootTime() + UInt64(milliseconds) * 1_000_000
  }

  var hasPassed: Bool { milliseconds == 0 || time <= Clock.bootTime() }
  /// What is left in milliseconds, rounded up; -1 for ever.
  var rest: Int32 {
    if milliseconds < 0 { return -1 }
    let now = Clock.bootTime()
    return now >= time ? 0 : Int32(clamping: (time - now + 999_999) / 1_000_000)
  }
}
