/// Requests of a program to the MIF API: mostly right ones, about few interfaces and PvDs.
enum MIFRequests {
  static func any(_ program: inout Program, sequence: UInt32) -> [UInt8] {
    let choice = program.byte()
    let identifier = UInt32(1 + program.number(below: 12))
    let interface = payload(1, number(identifier % 6) + zeros(24))
    let pvd = payload(2, number(identifier) + zeros(8))
    switch choice & 0x0F {
    case 0, 1: return message(1, sequence: sequence, [])
    case 2: return message(2, sequence: sequence, [])
    case 3, 4: return message(5, sequence: sequence, interface)
    case 5: return message(6, sequence: sequence, interface)
    case 6, 7: return message(9, sequence: sequence, pvd)
    case 8: return message(12, sequence: sequence, pvd)
    case 9, 10: return message(13, sequence: sequence, pvd)
    case 11: return message(15, sequence: sequence, pvd)
    case 12, 13:
      let element = payload(3, number(UInt16(choice >> 4 & 7)) + [0, 0] + number(UInt32(program.byte())) + zeros(4))
      return message(17, sequence: sequence, pvd + element)
    case 14: return message(36, sequence: sequence, [])
    default: return message(program.byte(), sequence: sequence, pvd)
    }
  }
}
