import Fuzzing

/// What servers answer, in the order in which a program thinks of it; the last one over and over.
final class HostileAnswers {
  private struct Thought {
    /// 0x01: in the question's name, with its id and question; 0x02: cut after so many bytes as there are records; 0x04:
    /// twice; 0x08: somebody else's id; 0x10: over TCP without a length before it; 0x20: the connection ends behind it;
    /// 0x40: another question; 0x80: nothing at all.
    let way: UInt8
    let flags: UInt16
    let counts: [UInt8]
    let records: [UInt8]
  }

  private var thoughts: [Thought] = []
  private var next = 0

  func append(_ program: inout Program) {
    let way = program.byte()
    let flags = UInt16(program.byte()) << 8 | UInt16(program.byte())
    let counts = program.bytes(3) + [0, 0, 0]
    thoughts.append(
      Thought(way: way, flags: flags, counts: Array(counts[..<3]), records: program.bytes(Int(program.byte()))))
  }

  func answer(_ message: [UInt8], _ isStream: Bool) -> [NameServer.Answer] {
    guard !thoughts.isEmpty, let question = NameQuestion(message) else { return [] }
    let thought = thoughts[min(next, thoughts.count - 1)]
    next += 1
    if thought.way & 0x80 != 0 { return isStream ? [.hangUp] : [] }
    var bytes = thought.records
    if thought.way & 1 != 0 {
      // No flag, and it is an answer like any.
      bytes = question.answer(
        flags: thought.flags == 0 ? 0x8180 : thought.flags, counts: thought.counts, thought.records)
      if thought.way & 0x40 != 0 { bytes[13] ^= 1 }
    } else if bytes.count >= 2 {
      bytes.replaceSubrange(..<2, with: question.id)
    }
    if thought.way & 8 != 0, !bytes.isEmpty { bytes[0] ^= 1 }
    if thought.way & 2 != 0 { bytes = Array(bytes.prefix(thought.records.count)) }
    if bytes.isEmpty { return [] }
    let answer: NameServer.Answer = thought.way & 0x10 == 0 ? .message(bytes) : .bytes(bytes)
    return (thought.way & 4 == 0 ? [answer] : [answer, answer]) + (thought.way & 0x20 == 0 ? [] : [.hangUp])
  }
}
