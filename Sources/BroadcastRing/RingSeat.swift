import CLinux
package import Platform

/// What the agent has of one reader: the page in which the reader says that it sleeps, and how to wake it. Whatever a
/// reader does with its page and its descriptors, the agent neither waits nor faults, and no other reader is woken more
/// or less for it.
@safe package final class RingSeat {
  private let memory: SharedMemory
  /// Where the reader's words stand in its page, in bytes.
  package let offset: Int
  private let bell: Descriptor
  /// What is handed to the reader, and then closed here.
  private var page: Descriptor?
  private var readersBell: Descriptor?

  /// - Parameter number: counts the seats, so that their words stand in different lines of the processor's cache.
  package init(number: Int) throws(Errno) {
    offset = number % (RingLayout.pageSize / RingLayout.pageLine) * RingLayout.pageLine
    let page = try makeMemory("mifd-reader", size: RingLayout.pageSize)
    try seal(page)
    memory = try SharedMemory(page, size: RingLayout.pageSize)
    // Not an eventfd(2), whose O_NONBLOCK would be the reader's to clear as well: to write to it could block then.
    var pair: [2 of Int32] = [-1, -1]
    let type = Int32(SOCK_SEQPACKET.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    var span = pair.mutableSpan
    _ = try valueOrErrno {
      unsafe span.withUnsafeMutableBufferPointer { unsafe socketpair(AF_UNIX, type, 0, $0.baseAddress!) }
    }
    bell = Descriptor(taking: pair[0])
    readersBell = Descriptor(taking: pair[1])
    self.page = consume page
    // The least that there is: one message waits there, seldom two.
    try bell.setOption(level: SOL_SOCKET, SO_SNDBUF, 1)
  }

  /// Sends a message with the three descriptors beside it: the ring, the page, what becomes readable to wake the reader.
  /// The reader has them then, and this lets go of the last two.
  package func hand(_ ring: RingWriter, over connection: borrowing Connection, with message: RawSpan)
    -> Connection.Sent
  {
    let numbers: [3 of Int32] = [ring.descriptor.number, page?.number ?? -1, readersBell?.number ?? -1]
    let sent = connection.send(message, passing: numbers)
    if sent == .sent {
      page = nil
      readersBell = nil
    }
    return sent
  }

  /// Where the reader's words are mapped.
  fileprivate var words: UnsafeMutableRawPointer { unsafe memory.base + offset }

  fileprivate func ring() {
    // As an eventfd would have it: eight bytes. Where they don't fit the descriptor is readable already.
    var one: UInt64 = 1
    _ = unsafe send(bell.number, &one, 8, Int32(MSG_DONTWAIT | MSG_NOSIGNAL))
  }
}

/// All readers of one ring.
@safe package struct RingSeats {
  private var seats: [RingSeat] = []
  /// Their words, in the same order: one load for each that is awake.
  private var words: [UnsafeMutableRawPointer] = unsafe []

  package init() {}

  package var isEmpty: Bool { seats.isEmpty }

  package mutating func append(_ seat: RingSeat) {
    seats.append(seat)
    unsafe words.append(seat.words)
  }

  package mutating func remove(_ seat: RingSeat) {
    guard let index = seats.firstIndex(where: { $0 === seat }) else { return }
    seats.remove(at: index)
    unsafe words.remove(at: index)
  }

  /// Wakes those who sleep and have not read all that stands before `position`, which has been published. Who lies down
  /// meanwhile either finds that or is found here.
  ///
  /// - Returns: how many were woken.
  package func wake(before position: UInt64) -> Int {
    clinux_fence()
    var woken = 0
    for index in unsafe words.indices {
      let state = unsafe clinux_load_acquire(words[index] + RingLayout.stateOffset)
      if state != ReaderState.awake, wake(index, state, position) { woken += 1 }
    }
    return woken
  }

  private func wake(_ index: Int, _ state: UInt32, _ position: UInt64) -> Bool {
    let word = unsafe words[index]
    guard state == ReaderState.polling || state == ReaderState.waiting,
      unsafe clinux_load64(word + RingLayout.cursorOffset) < position,
      // It may have got up by itself.
      unsafe clinux_exchange_if(word + RingLayout.stateOffset, state, ReaderState.awake) != 0
    else { return false }
    if state == ReaderState.waiting {
      _ = unsafe clinux_futex_wake(word + RingLayout.stateOffset)
    } else {
      seats[index].ring()
    }
    return true
  }
}
