import PacketBuilders
import Provisioning
import Wire

/// ICMP errors about packets with chosen ends.
enum Quote {
  static func ports(_ source: UInt16, _ destination: UInt16) -> [UInt8] {
    Build.u16(Int(source)) + Build.u16(Int(destination))
  }
  static func tcp(_ source: UInt16, _ destination: UInt16, sequence: UInt32 = 7) -> [UInt8] {
    ports(source, destination) + Build.u32(sequence)
  }
  static func udp(_ source: UInt16, _ destination: UInt16, _ data: [UInt8] = []) -> [UInt8] {
    ports(source, destination) + Build.u16(8 + data.count) + [0, 0] + data
  }
  static func echo(_ family: Family, _ identifier: UInt16) -> [UInt8] {
    [family == .v4 ? 8 : 128, 0, 0, 0] + Build.u16(Int(identifier)) + [0, 1]
  }
  static func esp(_ spi: UInt32) -> [UInt8] { Build.u32(spi) + Build.u32(1) }
}

func error(_ number: UInt8, _ transport: [UInt8], from local: IPAddress, to remote: IPAddress) throws -> ICMPError {
  try error(packet(number, transport, from: local, to: remote), local.family)!
}

private func error(_ bytes: [UInt8], _ family: Family) throws -> ICMPError? {
  guard case .icmpError(let message) = try Packet.decode(bytes.rawSpan, family: family, arrival: Arrival(interface: 1))
  else { return nil }
  return try ICMPError(message)
}

private func packet(_ number: UInt8, _ transport: [UInt8], from local: IPAddress, to remote: IPAddress) -> [UInt8] {
  switch (local, remote) {
  case (.v4(let local), .v4(let remote)):
    Build.icmp4(3, 0, Build.quote4(number, transport, source: local, destination: remote), destination: local)
  case (.v6(let local), .v6(let remote)):
    Build.icmp6(1, 0, Build.quote6(number, transport, source: local, destination: remote), destination: local)
  default: fatalError("two families")
  }
}
