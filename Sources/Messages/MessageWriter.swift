/// Writes one message after another into the same fixed memory, without allocating. A message is begun, gets its
/// payloads and is finished; `message` is what to send. What does not fit throws and leaves the message as it was
/// before that payload. At most `FrameHeader.maximumMessageLength` bytes are used.
package struct MessageWriter: ~Copyable, ~Escapable {
  var bytes: MutableRawSpan
  /// Bytes of the message written so far.
  package private(set) var count = 0

  @_lifetime(copy bytes)
  package init(_ bytes: consuming MutableRawSpan) { self.bytes = bytes }

  /// The message written last.
  package var message: RawSpan {
    @_lifetime(borrow self)
    get { bytes.bytes.extracting(first: count) }
  }

  /// Starts a message, dropping the one before it. The length field is `finish`'s.
  package mutating func begin(
    type: UInt8, error: ErrorNumber = .none, flags: UInt8 = 0, sequence: UInt32, pid: UInt32
  ) throws(MessageOverflow) {
    count = 0
    _ = try room(FrameHeader.size)
    put(UInt64(UInt32(FrameHeader.version, type, error.rawValue, flags), 0), at: 0)
    put(UInt64(sequence, pid), at: 8)
  }

  /// Fills the length in and gives it in bytes.
  @discardableResult
  package mutating func finish() -> Int {
    put(UInt16(truncatingIfNeeded: count / 8), at: 4)
    return count
  }

  /// The same for a message whose payloads end at `length`: those behind it stay in memory, and can come back.
  package mutating func finish(at length: Int) -> Int {
    count = length
    return finish()
  }

  /// A whole message without payloads.
  @discardableResult
  package mutating func header(
    type: UInt8, error: ErrorNumber = .none, flags: UInt8 = 0, sequence: UInt32, pid: UInt32
  ) throws(MessageOverflow) -> Int {
    try begin(type: type, error: error, flags: flags, sequence: sequence, pid: pid)
    return finish()
  }

  /// The answer to a request that went wrong: its header alone, with type, seq and pid of the request.
  @discardableResult
  package mutating func errorAnswer(to request: FrameHeader, _ error: ErrorNumber) throws(MessageOverflow) -> Int {
    try header(type: request.type, error: error, sequence: request.sequence, pid: request.pid)
  }

  /// The answer to a request that has nothing to tell but that it was done. `flags` are what REGISTER granted.
  @discardableResult
  package mutating func answer(to request: FrameHeader, flags: UInt8 = 0) throws(MessageOverflow) -> Int {
    try header(type: request.type, flags: flags, sequence: request.sequence, pid: request.pid)
  }

  /// Room for a payload of `size` bytes, filled up with zeros to 8, its header written. Gives its offset.
  mutating func payload(_ type: UInt16, size: Int) throws(MessageOverflow) -> Int {
    let padded = (size + 7) & ~7
    let offset = try reserve(padded)
    put(UInt16(truncatingIfNeeded: padded / 8), at: offset)
    put(type, at: offset + 2)
    return offset
  }

  /// A payload of so many words of eight bytes, each of which the caller writes; `value` follows its header in the first one.
  mutating func payload(_ type: UInt16, words: UInt16, _ value: UInt32) throws(MessageOverflow) -> Int {
    let offset = try room(8 * Int(words))
    put(UInt64(UInt32(words, type), value), at: offset)
    return offset
  }

  /// `size` is a multiple of 8, as all that messages are made of.
  private mutating func room(_ size: Int) throws(MessageOverflow) -> Int {
    guard size <= min(bytes.byteCount, FrameHeader.maximumMessageLength) - count else { throw MessageOverflow() }
    let offset = count
    count += size
    return offset
  }

  /// The same, filled with zeros.
  private mutating func reserve(_ size: Int) throws(MessageOverflow) -> Int {
    let offset = try room(size)
    var word = offset
    while word < count {
      put(UInt64(0), at: word)
      word &+= 8
    }
    return offset
  }

  mutating func put<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
    bytes.storeBytes(of: value, toByteOffset: offset, as: T.self)
  }

  @_lifetime(self: copy self)
  mutating func put(_ text: Span<UInt8>, at offset: Int) {
    for index in text.indices { put(text[index], at: offset + index) }
  }
}
