import Fuzzing
import Messages

/// What the agent sends to a client of the Trigger Database, as a client reads it: refused, or written again it reads
/// the same.
struct TriggerMessageTarget: FuzzTarget {
  static let name = "trigger-message"
  static let maximumLength = 1024
  static let vectors = "trigger.txt"

  private let writing = Writing()

  func run(_ bytes: RawSpan) {
    let message: TriggerMessage
    do throws(MessageRefusal) {
      message = try TriggerMessage(bytes)
    } catch {
      return check(error.errorNumber != .none, "\(error) has no errno")
    }
    let again = writing.write { writer throws(MessageOverflow) in
      let header = message.header
      try writer.begin(
        type: header.type, error: header.error, flags: header.flags, sequence: header.sequence, pid: header.pid)
      if let trigger = message.trigger { try writer.trigger(trigger) }
      for index in 0..<message.addresses.count { try writer.address(message.addresses[index]) }
      if let origin = message.origin { try writer.origin(origin) }
      if let filter = message.filter { try writer.filter(filter) }
      if let ring = message.ring { try writer.ring(ring) }
      writer.finish()
    }
    var expected = message
    expected.header.length = UInt16(again.count / 8)
    check(again.read { b throws(MessageRefusal) in try TriggerMessage(b) } == expected, "\(message) reads otherwise")
  }

  func mend(_ input: UnsafeMutableBufferPointer<UInt8>) { unsafe mendFrame(input) }
}
