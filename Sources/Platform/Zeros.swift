import CLinux

extension [UInt8] {
  /// `count` zeros, which take memory only where something is written later.
  package static func zeros(_ count: Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    unsafe bytes.withUnsafeMutableBytes { unsafe clinux_release_zeros($0.baseAddress, $0.count) }
    return bytes
  }
}
