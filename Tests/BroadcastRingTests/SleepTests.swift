import BroadcastRing
import CLinux
import Platform
import Testing

/// What a reader is handed, mapped. One thread has it at a time.
final class Handed: @unchecked Sendable {
  var reader: RingReader
  var sleep: RingSleep
  /// Its page once more, for tests that are hostile.
  let page: Descriptor

  init(_ passed: [PassedDescriptor], offset: Int, from position: UInt64) throws {
    reader = try RingReader(passed[0].descriptor, from: position)
    sleep = try RingSleep(
      page: passed[1].descriptor, offset: offset, bell: .duplicate(of: passed[2].descriptor.number))
    page = try .duplicate(of: passed[1].descriptor.number)
  }

  func lieDown() -> Bool { sleep.lieDown(reader) }
  func next() -> Read { reader.next() }
  func isRinging() throws -> Bool { try sleep.bell.wait(for: .read, milliseconds: 0) }
}

/// A ring's readers as the agent seats them, over a socket.
final class Table {
  private(set) var seats: [RingSeat] = []
  private var all = RingSeats()
  private(set) var readers: [Handed] = []

  init(_ ring: RingWriter, readers: Int) throws {
    for number in 0..<readers {
      var pair: [Int32] = [-1, -1]
      #expect(unsafe socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0, &pair) == 0)
      let near = try Connection(taking: Descriptor(taking: pair[0]))
      let far = try Connection(taking: Descriptor(taking: pair[1]))
      let seat = try RingSeat(number: number)
      let message: [UInt8] = [1]
      #expect(seat.hand(ring, over: near, with: unsafe message.span.bytes) == .sent)
      var buffer: [UInt8] = [0]
      var span = buffer.mutableSpan
      var bytes = unsafe span.mutableBytes
      var passed: [PassedDescriptor] = []
      #expect(far.receive(into: &bytes, descriptors: &passed) == .message(length: 1))
      try #require(passed.count == 3)
      self.readers.append(try Handed(passed, offset: seat.offset, from: ring.position))
      seats.append(seat)
      all.append(seat)
    }
  }

  /// How many the agent wakes.
  func wake(before position: UInt64) -> Int { all.wake(before: position) }

  /// Closes what a reader has.
  func dismiss(_ number: Int) { readers.remove(at: number) }
}

@Suite struct SleepTests {
  @Test func `only who sleeps is woken, once, and for something`() throws {
    let ring = try RingWriter(size: 4096)
    let table = try Table(ring, readers: 1)
    let reader = table.readers[0]
    ring.publish(record(1, length: 160))
    #expect(table.wake(before: ring.position) == 0, "it is awake")
    #expect(!reader.lieDown(), "there is something to read")
    #expect(table.wake(before: ring.position) == 0)
    #expect(reader.next() == .record(record(1, length: 160)))
    #expect(reader.lieDown())
    #expect(table.wake(before: ring.position) == 0, "it has read all that there is")
    ring.publish(record(2, length: 160))
    #expect(table.wake(before: ring.position) == 1)
    #expect(try reader.isRinging())
    ring.publish(record(3, length: 160))
    #expect(table.wake(before: ring.position) == 0, "it was woken")
    reader.sleep.rise()
    #expect(try !reader.isRinging())
    #expect(reader.next() == .record(record(2, length: 160)))
  }

  @Test func `who got up by itself leaves nothing behind`() throws {
    let ring = try RingWriter(size: 4096)
    let table = try Table(ring, readers: 1)
    let reader = table.readers[0]
    #expect(reader.lieDown())
    ring.publish(record(1, length: 160))
    reader.sleep.rise()
    #expect(table.wake(before: ring.position) == 0)
    #expect(try !reader.isRinging())
  }

  @Test func `a page with anything in it harms nobody`() throws {
    let ring = try RingWriter(size: 4096)
    let table = try Table(ring, readers: 2)
    let hostile = table.readers[0]
    let other = table.readers[1]
    let page = try SharedMemory(hostile.page, size: 4096)
    let offset = table.seats[0].offset
    #expect(ftruncate(hostile.page.number, 0) == -1, "it can't be cut off")
    #expect(clinux_fcntl(hostile.page.number, F_ADD_SEALS, Int32(F_SEAL_WRITE)) == -1)
    let states: [UInt32] = [0, 1, 2, 3, 0x8000_0000, .max]
    let cursors: [UInt64] = [0, 1, 2, 1 << 63, .max]
    for state in states {
      for cursor in cursors {
        ring.publish(record(ring.position, length: 160))
        unsafe (page.base + offset + 8).storeBytes(of: cursor, as: UInt64.self)
        unsafe (page.base + offset).storeBytes(of: state, as: UInt32.self)
        let isBehind = cursor < ring.position
        #expect(table.wake(before: ring.position) == (isBehind && (state == 1 || state == 2) ? 1 : 0))
      }
    }
    // Woken again and again without ever taking it, with a descriptor that waits: the agent does not wait.
    #expect(clinux_fcntl(hostile.sleep.bell.number, F_SETFL, 0) == 0)
    for _ in 0..<10_000 {
      unsafe (page.base + offset + 8).storeBytes(of: 0, as: UInt64.self)
      unsafe (page.base + offset).storeBytes(of: 1, as: UInt32.self)
      #expect(table.wake(before: ring.position) == 1)
    }
    // The page taken away under the agent.
    #expect(fallocate(hostile.page.number, Int32(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE), 0, 4096) == 0)
    #expect(table.wake(before: ring.position) == 0)
    other.reader.move(to: ring.position)
    #expect(other.lieDown())
    ring.publish(record(1, length: 160))
    #expect(table.wake(before: ring.position) == 1, "nobody else has noticed")
  }

  @Test func `a reader that is gone harms nobody`() throws {
    let ring = try RingWriter(size: 4096)
    let table = try Table(ring, readers: 1)
    #expect(table.readers[0].lieDown())
    table.dismiss(0)
    // It was lying when it went; what is sent to it goes nowhere.
    #expect(table.wake(before: ring.position + 1) == 1)
  }

  @Test func `what can be no page is refused`() throws {
    let table = try Table(try RingWriter(size: 4096), readers: 1)
    let handed = table.readers[0]
    for offset in [-64, 8, 4096, 1 << 40] {
      #expect(throws: Errno.protocolError) {
        _ = try RingSleep(page: handed.page, offset: offset, bell: .duplicate(of: 0))
      }
    }
    let unsealed = Descriptor(taking: unsafe memfd_create("test", 0))
    #expect(throws: Errno.protocolError) {
      _ = try RingSleep(page: unsealed, offset: 0, bell: .duplicate(of: 0))
    }
  }
}
