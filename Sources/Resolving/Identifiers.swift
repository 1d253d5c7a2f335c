import CAres
import CLinux

/// DNS message identifiers that nobody can guess (RFC 5452, 9.2), from getrandom(2): c-ares makes its own from a file
/// that it reads once, or from rand(3) if it can't.
struct Identifiers {
  private var pool: [UInt16] = []

  /// nil before the kernel's random numbers are seeded, in the first moments after boot.
  mutating func next() -> UInt16? {
    if let last = pool.popLast() { return last }
    pool = [UInt16](repeating: 0, count: 128)
    let size = pool.count * MemoryLayout<UInt16>.size
    let count = unsafe pool.withUnsafeMutableBytes { unsafe getrandom($0.baseAddress, size, UInt32(GRND_NONBLOCK)) }
    guard count == size else {
      pool = []
      return nil
    }
    return pool.popLast()
  }
}
