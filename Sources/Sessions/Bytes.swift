import CLinux

/// The only file of this target that is unsafe about memory.
extension [UInt8] {
  var raw: RawSpan {
    @_lifetime(borrow self)
    get { unsafe span.bytes }
  }
}

extension RawSpan {
  /// The first `count` bytes, copied.
  func copy(first count: Int) -> [UInt8] {
    unsafe extracting(first: count).withUnsafeBytes { unsafe [UInt8]($0) }
  }
}

/// if_nametoindex(3): 0 where there is no interface of this name.
func interfaceIndex(of name: ArraySlice<UInt8>) -> UInt32 {
  guard !name.contains(0), name.count < IF_NAMESIZE else { return 0 }
  return unsafe (name + [0]).withUnsafeBytes {
    unsafe if_nametoindex($0.assumingMemoryBound(to: CChar.self).baseAddress!)
  }
}
