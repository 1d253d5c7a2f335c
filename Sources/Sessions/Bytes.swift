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
