import Fuzzing
import Messages

/// Room for one message, written anew for each input.
final class Writing {
  private var memory = [UInt8](repeating: 0, count: FrameHeader.maximumMessageLength)

  /// The message that `body` writes.
  func write(_ body: (inout MessageWriter) throws(MessageOverflow) -> Void) -> [UInt8] {
    var taken: [UInt8] = []
    swap(&taken, &memory)
    let message = Self.write(into: &taken, body)
    swap(&taken, &memory)
    return message
  }

  private static func write(
    into memory: inout [UInt8], _ body: (inout MessageWriter) throws(MessageOverflow) -> Void
  ) -> [UInt8] {
    var span = memory.mutableSpan
    var writer = MessageWriter(unsafe span.mutableBytes)
    do throws(MessageOverflow) {
      try body(&writer)
    } catch {
      check(false, "what was read does not fit a message")
    }
    return unsafe writer.message.withUnsafeBytes { unsafe Array($0) }
  }
}

/// The frame that both protocols share: mended, its lengths are those of the bytes that there are, and its version is 1.
func mendFrame(_ input: UnsafeMutableBufferPointer<UInt8>) {
  guard input.count >= FrameHeader.size else { return }
  unsafe input[0] = FrameHeader.version
  unsafe put(UInt16(truncatingIfNeeded: input.count / 8), at: 4, in: input)
  var offset = FrameHeader.size
  while offset + 8 <= input.count {
    let rest = (input.count - offset) / 8
    let claimed = unsafe Int(input[offset]) | Int(input[offset + 1]) << 8
    let length = claimed == 0 ? 1 : min(claimed, rest)
    unsafe put(UInt16(length), at: offset, in: input)
    offset += 8 * length
  }
}

private func put(_ value: UInt16, at offset: Int, in input: UnsafeMutableBufferPointer<UInt8>) {
  unsafe input[offset] = UInt8(truncatingIfNeeded: value)
  unsafe input[offset + 1] = UInt8(truncatingIfNeeded: value >> 8)
}
