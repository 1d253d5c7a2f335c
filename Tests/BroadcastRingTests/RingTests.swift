import BroadcastRing
import CLinux
import Platform
import Testing

/// A message of so many bytes: a header whose len8 is right, and numbers made of `number` behind it, the last of which is
/// a sum over all others.
func record(_ number: UInt64, length: Int) -> [UInt8] {
  var words = [UInt64](repeating: 0, count: length / 8)
  words[0] = UInt64(length / 8) << 32
  words[1] = number
  for index in words.indices.dropFirst(2) { words[index] = number &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(index) }
  words[words.count - 1] = words.dropLast().reduce(0) { ($0 ^ $1) &* 0x0000_0100_0000_01B3 }
  return unsafe words.withUnsafeBytes { unsafe Array($0) }
}

extension RingWriter {
  func publish(_ bytes: [UInt8]) { publish(unsafe bytes.span.bytes) }
}

/// What a reader gives, as bytes.
enum Read: Equatable {
  case record([UInt8])
  case nothing
  case lapped
}

extension RingReader {
  mutating func next() -> Read {
    var buffer = [UInt8](repeating: 0xEE, count: RingLayout.longestRecord)
    var span = buffer.mutableSpan
    var bytes = unsafe span.mutableBytes
    switch read(into: &bytes) {
    case .record(let length): return .record(Array(buffer.prefix(length)))
    case .nothing: return .nothing
    case .lapped: return .lapped
    }
  }
}

/// docs/protocol.md, "Ring".
@Suite struct RingTests {
  @Test func `the bytes of a ring`() throws {
    let ring = try RingWriter(size: 4096)
    ring.publish(record(7, length: 24))
    ring.publish(record(8, length: 256))
    var image = [UInt8](repeating: 0, count: 256 + 3 * 256)
    let count = unsafe image.withUnsafeMutableBytes {
      unsafe pread(ring.descriptor.number, $0.baseAddress, $0.count, 0)
    }
    #expect(count == image.count)
    func number<T: FixedWidthInteger>(_ offset: Int, _: T.Type) -> T {
      unsafe image.withUnsafeBytes { unsafe $0.loadUnaligned(fromByteOffset: offset, as: T.self) }
    }
    #expect(image[..<8].elementsEqual("mifdring".utf8))
    #expect(number(8, UInt32.self) == 1)
    #expect(number(12, UInt32.self) == 256)
    #expect(number(16, UInt32.self) == 16)
    #expect(number(64, UInt64.self) == 4)
    // Position p is in slot p modulo 16, which has its stamp first.
    #expect([number(256 + 256, UInt64.self), number(256 + 512, UInt64.self)] == [2, 4])
    #expect(Array(image[520..<544]) == record(7, length: 24))
    let long = record(8, length: 256)
    #expect(Array(image[776..<1024]) == Array(long[..<248]))
  }

  @Test(arguments: [16, 24, 248, 256, 496, 504, 720, 744])
  func `a record comes as it was published`(_ length: Int) throws {
    let ring = try RingWriter(size: 4096)
    var reader = try RingReader(ring.descriptor, from: 1)
    #expect(reader.next() == .nothing)
    for number in 1...100 as ClosedRange<UInt64> {
      #expect(reader.hasMore == false)
      ring.publish(record(number, length: length))
      #expect(reader.hasMore == true)
      #expect(reader.next() == .record(record(number, length: length)))
      #expect(reader.position == ring.position)
    }
    #expect(reader.next() == .nothing)
  }

  @Test func `what is no record is not published`() throws {
    let ring = try RingWriter(size: 4096)
    for length in [0, 20, 752] { ring.publish([UInt8](repeating: 0, count: length)) }
    #expect(ring.position == 1)
  }

  @Test func `who is lapped finds it out, and goes on from anywhere`() throws {
    let ring = try RingWriter(size: 4096)
    var slow = try RingReader(ring.descriptor, from: 1)
    for number in 1...16 as ClosedRange<UInt64> { ring.publish(record(number, length: 160)) }
    #expect(slow.next() == .record(record(1, length: 160)))
    ring.publish(record(17, length: 160))
    #expect(slow.next() == .record(record(2, length: 160)))
    ring.publish(record(18, length: 160))
    ring.publish(record(19, length: 160))
    #expect(slow.hasMore == true)
    #expect(slow.next() == .lapped)
    #expect(slow.next() == .lapped, "until it is told where to go on")
    slow.move(to: ring.position)
    #expect(slow.next() == .nothing)
    ring.publish(record(20, length: 160))
    #expect(slow.next() == .record(record(20, length: 160)))
  }

  @Test func `a record whose last slot alone is overwritten is not believed`() throws {
    let ring = try RingWriter(size: 4096)
    // The first slot of the reader's record is in place 15, the others are in 0 and 1.
    for number in 1...14 as ClosedRange<UInt64> { ring.publish(record(number, length: 160)) }
    var reader = try RingReader(ring.descriptor, from: 15)
    ring.publish(record(15, length: 720))
    for number in 18...31 as ClosedRange<UInt64> { ring.publish(record(number, length: 160)) }
    #expect(reader.next() == .lapped)
  }

  @Test func `nobody but the writer can write to it, and nobody can cut it off`() throws {
    let ring = try RingWriter(size: 4096)
    let number = ring.descriptor.number
    #expect(unsafe clinux_map_shared(number, 4096, 1) == nil)
    var byte: UInt8 = 1
    #expect(unsafe pwrite(number, &byte, 1, 0) == -1)
    #expect(ftruncate(number, 0) == -1 && ftruncate(number, 1 << 20) == -1)
    #expect(fallocate(number, Int32(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE), 0, 4096) == -1)
    let readOnly = unsafe clinux_map_shared(number, 4096, 0)
    #expect(unsafe readOnly != nil)
    #expect(unsafe mprotect(readOnly, 4096, PROT_READ | PROT_WRITE) == -1)
    _ = unsafe munmap(readOnly, 4096)
  }

  @Test func `sizes are rounded up to a power of two, within bounds`() throws {
    for (size, slots) in [(0, 16), (4096, 16), (4097, 32), (131_072, 512), (200_000, 1024), (1 << 40, 1 << 18)] {
      let ring = try RingWriter(size: size)
      var status = stat()
      #expect(unsafe fstat(ring.descriptor.number, &status) == 0)
      #expect(Int(status.st_size) == 256 + slots * 256)
    }
  }

  @Test func `what is no ring is refused`() throws {
    func refusal(_ size: Int, seals: Int32, _ value: UInt32 = 1, at offset: Int = 8) throws -> Errno? {
      let descriptor = Descriptor(taking: unsafe memfd_create("test", UInt32(MFD_ALLOW_SEALING)))
      #expect(ftruncate(descriptor.number, size) == 0)
      let memory = try SharedMemory(descriptor, size: max(size, 64))
      if size >= 64 {
        unsafe (memory.base).storeBytes(of: UInt64(0x676E_6972_6466_696D), as: UInt64.self)
        unsafe (memory.base + 8).storeBytes(of: UInt32(1), as: UInt32.self)
        unsafe (memory.base + 12).storeBytes(of: UInt32(256), as: UInt32.self)
        unsafe (memory.base + 16).storeBytes(of: UInt32(16), as: UInt32.self)
        unsafe (memory.base + offset).storeBytes(of: value, as: UInt32.self)
      }
      if seals != 0 { #expect(clinux_fcntl(descriptor.number, F_ADD_SEALS, seals) == 0) }
      do throws(Errno) {
        _ = try RingReader(descriptor, from: 1)
        return nil
      } catch { return error }
    }
    let shrink = Int32(F_SEAL_SHRINK)
    #expect(try refusal(4352, seals: shrink) == nil)
    #expect(try refusal(4352, seals: 0) == .protocolError, "could be cut off")
    #expect(try refusal(0, seals: shrink) == .protocolError)
    #expect(try refusal(4351, seals: shrink) == .protocolError, "too short for its slots")
    for (offset, value) in [(0, 1), (8, 2), (12, 128), (16, 0), (16, 1), (16, 24), (16, 1 << 31)] {
      #expect(try refusal(4352, seals: shrink, UInt32(value), at: offset) == .protocolError, "\(offset): \(value)")
    }
  }
}
