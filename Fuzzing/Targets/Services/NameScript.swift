import Fuzzing

/// What the name servers of a service's run answer: the first letter of the name says what.
enum NameScript {
  private static let serverFailure: UInt16 = 0x8182
  private static let nameError: UInt16 = 0x8183
  private static let truncated: UInt16 = 0x8380

  static func answer(_ bytes: [UInt8], _ isStream: Bool) -> [NameServer.Answer] {
    guard let question = NameQuestion(bytes) else { return [] }
    switch question.host.first {
    case UInt8(ascii: "a"): return [.message(question.answer(address(question.type)))]
    // An alias without an address, which is asked for next.
    case UInt8(ascii: "b"): return [.message(question.answer(alias(UInt8(ascii: "a"))))]
    case UInt8(ascii: "c"): return [.message(question.answer(alias(UInt8(ascii: "c"))))]
    case UInt8(ascii: "d"): return []
    case UInt8(ascii: "e"): return [.message(question.denial(serverFailure))]
    case UInt8(ascii: "f") where isStream: return [.message(question.answer(address(question.type)))]
    case UInt8(ascii: "f"): return [.message(question.denial(truncated))]
    case UInt8(ascii: "h"): return isStream ? [.hangUp] : [.message(question.denial(truncated))]
    default: return [.message(question.denial(nameError))]
    }
  }

  /// Type, class, TTL and data behind a pointer to the question's name.
  private static func record(_ type: UInt8, _ data: [UInt8]) -> [UInt8] {
    [0xC0, 12, 0, type, 0, 1, 0, 0, 1, 0, 0, UInt8(data.count)] + data
  }

  private static func address(_ type: UInt16) -> [UInt8] {
    type == NameQuestion.a
      ? record(1, [192, 0, 2, 1]) : record(28, [0x20, 1, 0x0D, 0xB8, 0, 0, 0, 1] + zeros(7) + [1])
  }

  /// CNAME, to a name of one letter.
  private static func alias(_ letter: UInt8) -> [UInt8] {
    record(5, [1, letter, 0])
  }
}

extension NameQuestion {
  /// An answer without records.
  fileprivate func denial(_ flags: UInt16) -> [UInt8] { answer(flags: flags, counts: [0, 0, 0], []) }
}
