import Fuzzing
import Wire

/// Requests of a program to the Trigger Database: mostly right ones, about few types, addresses and ids, so that they
/// meet.
enum TriggerRequests {
  private static let types: [UInt16] = [1, 2, 3, 4, 5, 6, 100, 101, 102, 103, 0, 0xFFFF]

  /// `last` is the highest id that there was.
  static func any(_ program: inout Program, sequence: UInt32, last: UInt32) -> [UInt8] {
    let choice = program.byte()
    let identifier = choice & 0x80 == 0 ? 1 + UInt32(program.byte()) % max(last, 1) : UInt32(program.byte())
    switch choice & 0x07 {
    case 0, 1, 2: return message(1, sequence: sequence, trigger(program.choice(types), 0) + addresses(&program))
    case 3: return message(2, sequence: sequence, trigger(0, identifier))
    case 4: return message(3, sequence: sequence, trigger(0, identifier))
    case 5: return register(&program, sequence)
    default: return message(6, sequence: sequence, trigger(program.choice(types), identifier) + addresses(&program))
    }
  }

  private static func trigger(_ type: UInt16, _ identifier: UInt32) -> [UInt8] {
    payload(2, number(type) + [0, 0] + number(identifier) + zeros(4))
  }

  private static func addresses(_ program: inout Program) -> [UInt8] {
    let choice = program.byte()
    // One or two, seldom all of them or one too many.
    let count = choice < 0xF0 ? Int(choice & 3) : Int(choice & 1) + 16
    return (0..<count).flatMap { _ in address(program.byte()) }
  }

  private static func address(_ choice: UInt8) -> [UInt8] {
    let (body, width) = sockaddr(choice)
    let length = choice & 0x80 == 0 ? width : width / 2
    return payload(1, [length, 0, 0, 0] + body)
  }

  private static func sockaddr(_ choice: UInt8) -> ([UInt8], UInt8) {
    let host = choice >> 2 & 3
    switch choice & 3 {
    case 0: return (number(UInt16(2)) + [0, 0, 192, 0, 2, host] + zeros(8), 32)
    case 1: return (number(UInt16(2)) + [0, 0, 10, host, 0, 1] + zeros(8), 32)
    case 2: return (number(UInt16(10)) + zeros(6) + [0xFE, 0x80] + zeros(13) + [host, 1 + host, 0, 0, 0], 128)
    default:
      return (number(UInt16(10)) + zeros(6) + [0x20, 1, 0x0D, 0xB8, 0, 0, 0, host] + zeros(7) + [1] + zeros(4), 128)
    }
  }

  private static func register(_ program: inout Program, _ sequence: UInt32) -> [UInt8] {
    // Mostly what a mirror can be kept by.
    let choice = program.byte()
    let flags = choice < 0x80 ? [0x07, 0x03, 0x17, 0x13][Int(choice & 3)] : choice &* 2 &+ choice >> 6
    // With the bit a filter, and the other way round, but for some.
    guard (flags & 0x10 != 0) != (flags & 0xE0 == 0xE0) else { return message(4, flags: flags, sequence: sequence, []) }
    let fields = program.byte()
    let chosen = (0..<Int(fields & 3)).map { _ in program.choice(types) }
    var (body, width) = fields & 0x0C == 0 ? ([], 0) : sockaddr(program.byte())
    if width > 0 { width = program.choice([width, width / 2, 0, width - 1]) }
    let head = number(UInt32(fields >> 6)) + [width, UInt8(chosen.count)] + zeros(6)
    let filter = payload(0x8002, head + body + zeros(32 - body.count) + chosen.flatMap { number($0) })
    return message(4, flags: flags, sequence: sequence, filter)
  }
}
