import CLinux
package import Platform

/// How a reader sleeps until there is something to read: it says in its page that it does, looks once more, and waits
/// for its descriptor or on the page itself.
@safe package struct RingSleep: ~Copyable {
  private let memory: SharedMemory
  private let offset: Int
  /// Readable when the reader was woken, until `rise` has taken that away; for poll(2).
  package let bell: Descriptor
  private var isLying = false
  /// Rings of the bell that have come, or are on their way.
  private var rings = 0

  /// - Parameter offset: where the reader's words are in the page, as the agent says. EPROTO where they can't be.
  package init(page: borrowing Descriptor, offset: Int, bell: consuming Descriptor) throws(Errno) {
    guard clinux_is_sealed(page.number) != 0, offset >= 0, offset % RingLayout.pageLine == 0,
      offset < RingLayout.pageSize
    else { throw .protocolError }
    var status = stat()
    let number = page.number
    _ = try valueOrErrno { unsafe fstat(number, &status) }
    guard Int(status.st_size) >= RingLayout.pageSize else { throw .protocolError }
    memory = try SharedMemory(page, size: RingLayout.pageSize)
    self.offset = offset
    self.bell = bell
  }

  private var state: UnsafeMutableRawPointer { unsafe memory.base + offset + RingLayout.stateOffset }

  /// Has `bell` ring for what comes. False if there is something to read already: then the reader is awake.
  package mutating func lieDown(_ reader: borrowing RingReader) -> Bool {
    if isLying { return true }
    say(ReaderState.polling, reader.position)
    isLying = true
    if !reader.hasMore { return true }
    rise()
    return false
  }

  /// Ends what `lieDown` began.
  package mutating func rise() {
    if isLying {
      isLying = false
      // Else the agent was first, and rings.
      if unsafe clinux_exchange_if(state, ReaderState.polling, ReaderState.awake) == 0 { rings += 1 }
    }
    guard rings > 0 else { return }
    var count: UInt64 = 0
    if unsafe recv(bell.number, &count, 8, Int32(MSG_DONTWAIT)) == 8 { rings -= 1 }
  }

  /// Sleeps until there is something to read, or a signal came, or a second has passed: for who waits for nothing else.
  package mutating func wait(_ reader: borrowing RingReader) {
    rise()
    say(ReaderState.waiting, reader.position)
    if !reader.hasMore {
      var second = timespec(tv_sec: 1, tv_nsec: 0)
      _ = unsafe clinux_futex_wait(state, ReaderState.waiting, &second)
    }
    _ = unsafe clinux_exchange_if(state, ReaderState.waiting, ReaderState.awake)
  }

  private func say(_ new: UInt32, _ position: UInt64) {
    unsafe clinux_store64(memory.base + offset + RingLayout.cursorOffset, position)
    unsafe clinux_store_release(state, new)
    clinux_fence()
  }
}
