import Fuzzing
import Wire

/// Memory for one packet, for all executions the same. A packet lies at its end, so that who reads beyond the packet
/// reads beyond the memory.
@safe final class Room {
  private static let size = 4096
  private static let padding = 9

  private let memory: UnsafeMutableRawBufferPointer
  private var length = 0

  init() { unsafe memory = .allocate(byteCount: Room.size, alignment: 8) }
  deinit { unsafe memory.deallocate() }

  func place(_ packet: RawSpan) {
    length = packet.byteCount
    unsafe packet.withUnsafeBytes {
      unsafe UnsafeMutableRawBufferPointer(rebasing: memory.suffix(length)).copyMemory(from: $0)
    }
  }

  func place(head: [UInt8], _ body: RawSpan) {
    place(body)
    length += head.count
    unsafe head.withUnsafeBytes {
      unsafe UnsafeMutableRawBufferPointer(rebasing: memory.suffix(length).prefix(head.count)).copyMemory(from: $0)
    }
  }

  /// A field of 16 bits in network order, `offset` bytes into the packet.
  func put(_ value: Int, at offset: Int) {
    let start = Room.size - length + offset
    unsafe memory[start] = UInt8(truncatingIfNeeded: value >> 8)
    unsafe memory[start + 1] = UInt8(truncatingIfNeeded: value)
  }

  /// The packet's byte at `offset`.
  subscript(offset: Int) -> UInt8 { unsafe memory[Room.size - length + offset] }

  /// Copies bytes from one place in the packet to another, if it has both.
  func copy(_ count: Int, from: Int, to: Int) {
    guard max(from, to) + count <= length else { return }
    let start = Room.size - length
    for index in 0..<count { unsafe memory[start + to + index] = memory[start + from + index] }
  }

  /// Of an IPv4 header of 20 bytes (RFC 1071).
  var headerChecksum: Int {
    var sum = 0
    for offset in stride(from: 0, to: 20, by: 2) { sum += Int(self[offset]) << 8 | Int(self[offset + 1]) }
    while sum > 0xFFFF { sum = sum & 0xFFFF + sum >> 16 }
    return ~sum & 0xFFFF
  }

  var packet: RawSpan {
    @_lifetime(borrow self) get { unsafe span(memory.suffix(length)) }
  }

  /// Moves the packet, and puts behind it what a link pads with.
  func pad() {
    let start = Room.size - length - Room.padding
    unsafe UnsafeMutableRawBufferPointer(rebasing: memory[start..<start + length]).copyMemory(
      from: UnsafeRawBufferPointer(rebasing: memory.suffix(length)))
    for index in Room.size - Room.padding..<Room.size { unsafe memory[index] = 0xFF }
    length += Room.padding
  }

  @_lifetime(borrow self)
  private func span(_ bytes: Slice<UnsafeMutableRawBufferPointer>) -> RawSpan {
    unsafe _overrideLifetime(
      RawSpan(_unsafeBytes: UnsafeRawBufferPointer(rebasing: bytes)), borrowing: self)
  }
}

private enum Reading: Equatable {
  case refused(Refusal)
  case taken(Int, [Refusal])

  init(_ packet: RawSpan, _ family: Family, _ arrival: Arrival) {
    do throws(Refusal) {
      var reader = Reader()
      try reader.read(try Packet.decode(packet, family: family, arrival: arrival))
      self = .taken(reader.amount, reader.refusals)
    } catch {
      self = .refused(error)
    }
  }
}

/// What is in the room is refused, or reads the same where it lies otherwise, with padding behind it.
func readTwice(_ room: Room, _ family: Family, _ arrival: Arrival) {
  let reading = Reading(room.packet, family, arrival)
  guard case .taken(let amount, _) = reading else { return }
  check(amount >= 0, "nothing was read")
  room.pad()
  check(Reading(room.packet, family, arrival) == reading, "with padding it reads otherwise")
}
