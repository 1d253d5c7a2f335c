import Testing

@testable import Wire

@Suite struct HeldPacketTests {
  private let arrival = Arrival(interface: 2)

  private func bytes(_ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: 7 &* $0 &+ 3) } }

  private func held(_ packet: [UInt8], _ arrival: Arrival) -> HeldPacket {
    var held = HeldPacket()
    held.hold(unsafe packet.span.bytes, .v6, arrival)
    return held
  }

  @Test func `is known again, of every length that is held`() {
    for count in 8...256 {
      let packet = bytes(count)
      #expect(held(packet, arrival).isSame(unsafe packet.span.bytes, .v6, arrival))
    }
  }

  @Test func `is another one with one byte changed, less or more`() {
    for count in [8, 9, 15, 16, 17, 56, 255, 256] {
      let packet = bytes(count)
      let held = held(packet, arrival)
      for index in packet.indices {
        var changed = packet
        changed[index] ^= 0x10
        #expect(!held.isSame(unsafe changed.span.bytes, .v6, arrival))
      }
      for other in [bytes(count - 1), bytes(count + 1)] { #expect(!held.isSame(unsafe other.span.bytes, .v6, arrival)) }
    }
  }

  struct Otherwise: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let change: @Sendable (inout Arrival) -> Void
  }

  @Test(arguments: [
    Otherwise(testDescription: "on another interface") { $0.interface = 3 },
    Otherwise(testDescription: "its checksum not filled in") { $0.checksum = .notReady },
    Otherwise(testDescription: "cut") { $0.truncated = true },
    Otherwise(testDescription: "this host's own") { $0.outgoing = true },
  ])
  func `is another one when it arrives otherwise`(_ otherwise: Otherwise) {
    var other = arrival
    otherwise.change(&other)
    let packet = bytes(64)
    #expect(!held(packet, arrival).isSame(unsafe packet.span.bytes, .v6, other))
    #expect(!held(packet, other).isSame(unsafe packet.span.bytes, .v6, arrival))
  }

  @Test func `is another one as a packet of the other family`() {
    let packet = bytes(64)
    #expect(!held(packet, arrival).isSame(unsafe packet.span.bytes, .v4, arrival))
  }

  @Test func `is not held when it is too short or too long, or forgotten`() {
    for count in [0, 1, 7, 257, 2048] {
      let packet = bytes(count)
      var held = held(bytes(64), arrival)
      held.hold(unsafe packet.span.bytes, .v6, arrival)
      #expect(!held.isSame(unsafe packet.span.bytes, .v6, arrival))
      #expect(!held.isSame(unsafe bytes(64).span.bytes, .v6, arrival))
    }
    var held = held(bytes(64), arrival)
    held.forget()
    #expect(!held.isSame(unsafe bytes(64).span.bytes, .v6, arrival))
  }
}
