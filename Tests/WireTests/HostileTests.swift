import PacketBuilders
import Testing
import Wire

/// A fixed sequence (xorshift64*), so that what it finds is found again.
struct FixedRandom: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state ^= state >> 12
    state ^= state << 25
    state ^= state >> 27
    return state &* 0x2545_F491_4F6C_DD1D
  }
}

/// Bytes that nobody would send in good faith. Debug builds stop at any load outside of a view, so to pass is to have
/// stayed inside.
@Suite struct HostileTests {
  @Test("A capture cut anywhere is truncated, never a shorter packet", arguments: GoldenPacket.all)
  func cutCapture(golden: GoldenPacket) {
    for count in 0..<golden.bytes.count {
      #expect(refusals(of: [UInt8](golden.bytes.prefix(count)), family: family(of: golden.bytes)) == [.ipTruncated])
    }
  }

  @Test("An RA that ends within an option is refused, one that ends behind it is not (RFC 4861 6.1.2)")
  func shorterRouterAdvertisement() {
    let message = [UInt8](GoldenPacket.routerAdvertisement.bytes[40...])
    var ends: Set<Int> = [16]
    var end = 16
    while end < message.count {
      end += Int(message[end + 1]) * 8
      ends.insert(end)
    }
    for count in 0...message.count {
      let taken = refusal(of: Build.icmpv6([UInt8](message.prefix(count)))) == nil
      #expect(taken == ends.contains(count), "\(count) bytes")
    }
  }

  @Test("A DHCPv4 message that ends within an option is refused (RFC 2132 2)")
  func shorterAcknowledgement() {
    let message = [UInt8](GoldenPacket.acknowledgement.bytes[28...])
    // From behind the server identifier on: without it an ACK is none.
    var ends: Set<Int> = [message.count]
    var end = 240
    while message[end] != 255 {
      end += 2 + Int(message[end + 1])
      if end >= 249 { ends.insert(end) }
    }
    for count in 0...message.count {
      let taken = refusal(of: Build.udp4([UInt8](message.prefix(count)), to: 68)) == nil
      #expect(taken == ends.contains(count), "\(count) bytes")
    }
  }

  @Test("A DHCPv6 message that ends within an option is refused (RFC 8415 21.1)")
  func shorterReply() {
    let message = [UInt8](GoldenPacket.reply.bytes[48...])
    var ends: Set<Int> = []
    var end = 4
    var number = 0
    while end < message.count {
      end += 4 + Int(message[end + 2]) << 8 + Int(message[end + 3])
      number += 1
      // The second option is the server identifier.
      if number >= 2 { ends.insert(end) }
    }
    for count in 0...message.count {
      let taken = refusal(of: Build.udp6([UInt8](message.prefix(count)), to: 546)) == nil
      #expect(taken == ends.contains(count), "\(count) bytes")
    }
  }

  @Test("An ICMP error needs its quote's header and 8 bytes, ICMPv6 what tells the flow")
  func shorterErrors() {
    let needed: [(GoldenPacket, Int)] = [
      (.hostUnreachable, 8 + 28), (.fragmentationNeeded, 8 + 28),
      (.timeExceeded, 8 + 40 + 6), (.packetTooBig, 8 + 40 + 8 + 4), (.noRoute, 8 + 40 + 4),
    ]
    for (golden, least) in needed {
      let isV6 = family(of: golden.bytes) == .v6
      let message = [UInt8](golden.bytes[(isV6 ? 40 : 20)...])
      for count in 8...message.count {
        let quote = [UInt8](message[8..<count])
        let rest = [UInt8](message[4..<8])
        let packet =
          isV6
          ? Build.icmp6(message[0], message[1], quote, rest: rest)
          : Build.icmp4(message[0], message[1], quote, rest: rest)
        #expect((refusal(of: packet) == nil) == (count >= least), "\(golden), \(count) bytes")
      }
    }
  }

  /// Checksums are right again after each change, or not asked for, so that the change reaches what is behind them.
  private func repaired(_ bytes: [UInt8]) -> [UInt8] {
    guard family(of: bytes) == .v4, bytes.count >= 20 else { return bytes }
    let length = Int(bytes[0] & 15) * 4
    guard length >= 20, length <= bytes.count else { return bytes }
    let cleared = Build.put(0, at: 10, in: bytes)
    return Build.put(Build.checksum([UInt8](cleared.prefix(length))), at: 10, in: cleared)
  }

  private func read(_ bytes: [UInt8], _ outcomes: inout [Refusal?: Int], family given: Family) {
    let arrival = Arrival(interface: 1, checksum: .notReady)
    let met = refusals(of: repaired(bytes), family: given, arrival: arrival)
    if met.isEmpty { outcomes[nil, default: 0] += 1 }
    for refusal in met { outcomes[refusal, default: 0] += 1 }
  }

  @Test("Every byte set to every telling value", arguments: GoldenPacket.all)
  func everyByte(golden: GoldenPacket) {
    var outcomes: [Refusal?: Int] = [:]
    for offset in golden.bytes.indices {
      for value: UInt8 in [0, 1, 2, 3, 4, 0x3F, 0x40, 0x7F, 0x80, 0xC0, 0xFE, 0xFF] {
        var bytes = golden.bytes
        bytes[offset] = value
        read(bytes, &outcomes, family: family(of: golden.bytes))
      }
    }
    #expect(outcomes[nil, default: 0] > 0)
    #expect(outcomes.count > 5)
  }

  @Test("Random mutations, with a fixed seed", arguments: Array(GoldenPacket.all.enumerated().map { ($0, $1) }))
  func mutations(number: Int, golden: GoldenPacket) {
    var random = FixedRandom(state: 0x6D69_6664 + UInt64(number))
    var outcomes: [Refusal?: Int] = [:]
    for _ in 0..<2000 {
      var bytes = golden.bytes
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        let offset = Int.random(in: 0..<bytes.count, using: &random)
        switch Int.random(in: 0..<5, using: &random) {
        case 0: bytes[offset] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1: bytes[offset] = UInt8.random(in: 0...255, using: &random)
        case 2: bytes[offset] &+= 1
        case 3:
          // A piece moves to another place, as in packets of two options mixed up.
          let count = Int.random(in: 0...min(24, bytes.count - offset), using: &random)
          let target = Int.random(in: 0...(bytes.count - count), using: &random)
          bytes.replaceSubrange(target..<target + count, with: bytes[offset..<offset + count])
        default:
          let count = Int.random(in: 0...min(8, bytes.count - offset), using: &random)
          bytes.replaceSubrange(offset..<offset + count, with: [UInt8](repeating: 0, count: count))
        }
      }
      read(bytes, &outcomes, family: family(of: golden.bytes))
    }
    #expect(outcomes.count > 3)
  }

  @Test("Bytes without any sense")
  func noise() {
    var random = FixedRandom(state: 1)
    for _ in 0..<3000 {
      let bytes = (0..<Int.random(in: 0...300, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
      for family in Family.allCases { _ = refusals(of: bytes, family: family) }
      _ = refusals(of: Build.ra([bytes]))
      _ = refusals(of: Build.ack(bytes))
      _ = refusals(of: Build.reply(bytes))
      _ = refusals(of: Build.icmp4(3, 1, bytes))
      _ = refusals(of: Build.icmp6(1, 1, bytes))
    }
  }

  @Test("The costliest search list is read in bounded work")
  func costlySearchList() throws {
    // As much as 16 pieces hold, all pointers to one long name: only 64 of the names are yielded.
    let label = [63] + [UInt8](repeating: 97, count: 63)
    let long = label + label + label + [0]
    let list = long + (0..<1900).flatMap { _ -> [UInt8] in [0xC0, 0] }
    var options: [UInt8] = []
    var offset = 0
    while offset < list.count {
      let piece = [UInt8](list[offset..<min(offset + 255, list.count)])
      options += [119, UInt8(piece.count)] + piece
      offset += piece.count
    }
    let bytes = Build.ack(options)
    #expect(refusals(of: bytes) == [])
    guard case .dhcpv4(let datagram) = try Packet.decode(bytes.rawSpan, family: .v4, arrival: Arrival(interface: 1))
    else { return }
    var places = DHCPv4OptionPlaces()
    let message = try DHCPv4Message(datagram, &places)
    var count = 0
    if var names = message.domainSearch { while names.next() != nil { count += 1 } }
    #expect(count == 64)
  }
}
