import Fuzzing
import Glibc
import Wire

/// A kernel that has answered before it is asked: an input's datagrams, each with its length, 2 bytes, before it.
enum KernelAnswers {
  private static let limit = 16

  /// `ask` gets a socket that does not block, which it closes.
  static func queued(_ bytes: RawSpan, _ ask: (CInt) -> Void) {
    var ends: [CInt] = [-1, -1]
    let type = CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
    check(unsafe socketpair(AF_UNIX, type, 0, &ends) == 0, "no pair of sockets: errno \(errno)")
    defer { close(ends[1]) }
    var program = Program(bytes)
    for _ in 0..<limit where !program.isAtEnd {
      let datagram = program.bytes(Int(program.word()))
      _ = unsafe send(ends[1], datagram, datagram.count, 0)
    }
    ask(ends[0])
  }

  /// Messages as long as there are bytes of their datagram for, to the question that they probably answer.
  static func mend(_ input: UnsafeMutableBufferPointer<UInt8>) {
    func put(_ value: Int, _ offset: Int, bytes: Int) {
      for place in 0..<bytes { unsafe input[offset + place] = UInt8(truncatingIfNeeded: value >> (8 * place)) }
    }
    var offset = 0
    var number = 1
    while offset + 18 <= input.count {
      let asked = unsafe Int(input[offset]) | Int(input[offset + 1]) << 8
      let length = min(max(asked, 16), input.count - offset - 2)
      put(length, offset, bytes: 2)
      put(length, offset + 2, bytes: 4)
      put(number, offset + 10, bytes: 4)
      number += 1
      offset += 2 + length
    }
  }

  /// A datagram of an input: one message, of the answer to question `sequence`.
  static func datagram(_ type: UInt16, sequence: UInt32, _ body: [UInt8]) -> [UInt8] {
    number(UInt16(16 + body.count)) + number(UInt32(16 + body.count)) + number(type) + [0, 0] + number(sequence)
      + zeros(4) + body
  }
}
