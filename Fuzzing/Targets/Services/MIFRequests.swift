import Fuzzing

/// Requests of a program to the MIF API: mostly right ones, about few interfaces, PvDs and transactions.
enum MIFRequests {
  static func any(_ program: inout Program, sequence: UInt32) -> [UInt8] {
    let choice = program.byte()
    let identifier = UInt32(program.number(below: 13))
    let interface = payload(1, number(identifier % 6) + zeros(24))
    let pvd = payload(2, number(identifier) + zeros(8))
    func request(_ type: UInt8, _ payloads: [UInt8] = []) -> [UInt8] { message(type, sequence: sequence, payloads) }
    switch choice & 0x1F {
    case 0, 1: return request(1)
    case 2: return request(2)
    case 3, 4: return request(5, interface)
    case 5: return request(6, interface)
    case 6, 7: return request(9, pvd)
    case 8: return request(12, pvd)
    case 9, 10: return request(13, pvd)
    case 11: return request(15, pvd)
    case 12, 13:
      let element = payload(3, number(UInt16(choice >> 5)) + [0, 0] + number(UInt32(program.byte())) + zeros(4))
      return request(17, pvd + element)
    case 14: return request(36)
    case 16, 17, 18: return request(20, pvd + name(&program) + transaction(&program))
    case 19: return request(21, transaction(&program))
    case 20: return request(23, pvd)
    case 21, 22, 23: return request(24, pvd + transaction(&program) + endpoint(&program, role: 1, choice))
    case 24, 25:
      let transaction = transaction(&program)
      let destination = endpoint(&program, role: 1, choice)
      return request(25, pvd + transaction + destination + endpoint(&program, role: 2, choice))
    case 26: return request(28)
    case 27: return request(29, pvd)
    case 28: return request(30, pvd)
    case 29 where choice & 0x20 == 0: return request(40, interface)
    case 29: return request(40, interface + payload(11, number(UInt32(program.byte()) * 10)))
    default: return request(program.byte(), pvd)
    }
  }

  private static func transaction(_ program: inout Program) -> [UInt8] {
    payload(7, number(UInt32(program.number(below: 4))))
  }

  /// Of the hosts table, without a server, of the servers of `NameScript`, or the program's own.
  private static let names = [
    "fuzz.example", "a.example", "c.example", "localhost", "b", "d.example.", "e.example", "192.0.2.7", "f.example",
    "g.onion", "h.example",
  ]

  private static func name(_ program: inout Program) -> [UInt8] {
    let choice = program.number(below: 16)
    let name = choice < names.count ? Array(names[choice].utf8) : program.bytes(program.number(below: 64))
    return payload(6, number(UInt16(name.count)) + [0, 0] + name)
  }

  private static let ports: [UInt16] =
    [LoopbackNetwork.openPort, LoopbackNetwork.closedPort, LoopbackNetwork.silentPort, 0]

  /// Mostly one of the loopback network's, which is interface 1.
  private static func endpoint(_ program: inout Program, role: UInt8, _ choice: UInt8) -> [UInt8] {
    let place = program.byte()
    let port = role == 2 ? 0 : ports[Int(place >> 6)]
    let host = UInt64(place >> 4 & 3)
    func v4(_ value: UInt32) -> [UInt8] { [2, 0] + port.octets + value.octets + zeros(8) }
    func v6(_ high: UInt64, _ low: UInt64, scope: UInt8 = 0) -> [UInt8] {
      [10, 0] + port.octets + zeros(4) + high.octets + low.octets + [scope, 0, 0, 0]
    }
    let sockaddr: [UInt8] =
      switch place & 0x0F {
      case 0, 1, 2, 3, 4: v6(0x2001_0DB8_0000_0001, host)
      case 5, 6, 7: v4(0xC000_0200 + UInt32(host))
      case 8, 9: v6(0xFE80_0000_0000_0000, host + 1, scope: UInt8(program.number(below: 3)))
      case 10: v6(0x2001_0DB8_FFFF_0000, host)
      case 11: v4(0xC633_6400)
      case 12: v6(0, 0xFFFF_C000_0201)
      case 13: v6(0xFF02_0000_0000_0000, 1)
      case 14: v6(0, host)
      default: v4(0)
      }
    let transport: UInt8 = choice & 0x20 == 0 ? 6 : 17
    return payload(8, [transport, role, 0, 0] + sockaddr)
  }
}

extension FixedWidthInteger {
  /// In network byte order.
  fileprivate var octets: [UInt8] { number(byteSwapped) }
}
