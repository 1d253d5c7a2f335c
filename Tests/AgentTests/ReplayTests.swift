import Agent
import Foundation
import Testing

/// `mifd --replay`: what subscribers would have been told, a line each, on the capture's clock.
@Suite struct ReplayTests {
  @Test func `a Router Advertisement and an unreachable destination`() async throws {
    let result = try await #require(processExitsWith: .success, observing: [\.standardOutputContent]) {
      let path = "/tmp/mifd-replay-\(UUID().uuidString).pcap"
      try Capture.bytes([
        (1_700_000_000, 5, Capture.advertisement(lifetime: 1800)),
        (1_700_000_001, 123_456, Capture.unreachable),
        (1_700_000_001, 999_999, Capture.unreachable),
        // The clock was set back: nothing runs out early, nothing traps.
        (1_600_000_000, 0, Capture.advertisement(lifetime: 1800)),
        (1_700_000_100, 0, Capture.advertisement(lifetime: 0)),
      ]).write(to: URL(filePath: path))
      defer { try? FileManager.default.removeItem(atPath: path) }
      try replay(Array(path.utf8), Configuration())
    }
    let output = String(decoding: result.standardOutputContent, as: UTF8.self)
    let lines = output.split(separator: "\n").map { String($0) }
    #expect(
      lines.contains("1700000000.000005 PVD 1 if1/ra/fe80::1"), "\(output)")
    #expect(lines.contains("1700000000.000005 CONFIG_ELEMENT pvd 1 RA"))
    #expect(lines.first == "1700000000.000005 INTERFACE if1 up")
    #expect(
      lines.contains {
        $0.hasPrefix("1700000001.123456 NOTIFY add") && $0.contains("DEST_UNREACHABLE if1 2001:db8::5 2001:db8::9")
      })
    #expect(lines.contains { $0.hasPrefix("1700000100.000000 NOTIFY delete") }, "the hold time ran out")
    #expect(lines.last == "1700000100.000000 NO_PVD 1 if1/ra/fe80::1")
  }

  @Test func `what is no capture is refused`() {
    #expect(throws: StartFailure.self) { try replay(Array("/dev/null".utf8), Configuration()) }
    #expect(throws: StartFailure.self) { try replay(Array("/nonexistent".utf8), Configuration()) }
  }
}

/// A capture file (https://www.tcpdump.org/manpages/pcap-savefile.5.html) of raw IP packets, and packets for it.
private enum Capture {
  static func bytes(_ packets: [(seconds: UInt32, microseconds: UInt32, bytes: [UInt8])]) -> Data {
    func u32(_ value: UInt32) -> [UInt8] { (0..<4).map { UInt8(value >> (8 * $0) & 0xFF) } }
    // Magic, version 2.4, zone and accuracy 0, 65535 bytes kept, LINKTYPE_RAW.
    var file = u32(0xA1B2_C3D4) + [2, 0, 4, 0] + u32(0) + u32(0) + u32(65_535) + u32(101)
    for packet in packets {
      let length = UInt32(packet.bytes.count)
      file += u32(packet.seconds) + u32(packet.microseconds) + u32(length) + u32(length) + packet.bytes
    }
    return Data(file)
  }

  private static let router: [UInt8] = [0xFE, 0x80] + [UInt8](repeating: 0, count: 13) + [1]
  private static let allNodes: [UInt8] = [0xFF, 0x02] + [UInt8](repeating: 0, count: 13) + [1]
  private static func host(_ last: UInt8) -> [UInt8] {
    [0x20, 0x01, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [last]
  }

  /// RFC 4861 4.2, without options.
  static func advertisement(lifetime: UInt16) -> [UInt8] {
    icmpv6(
      from: router, to: allNodes,
      [134, 0, 0, 0, 64, 0, UInt8(lifetime >> 8), UInt8(lifetime & 0xFF)] + [UInt8](repeating: 0, count: 8))
  }

  /// RFC 4443 3.1, no route: 2001:db8::5 to 2001:db8::9, UDP from 4500 to 4500.
  static var unreachable: [UInt8] {
    let quoted: [UInt8] =
      [0x60, 0, 0, 0, 0, 8, 17, 64] + host(5) + host(9) + [0x11, 0x94, 0x11, 0x94, 0, 8, 0x12, 0x34]
    return icmpv6(from: host(1), to: host(5), [1, 0, 0, 0, 0, 0, 0, 0] + quoted)
  }

  /// RFC 8200, with the checksum of RFC 4443 2.3.
  private static func icmpv6(from source: [UInt8], to destination: [UInt8], _ message: [UInt8]) -> [UInt8] {
    let pseudo = source + destination + [0, 0, UInt8(message.count >> 8), UInt8(message.count & 0xFF), 0, 0, 0, 58]
    var sum: UInt32 = 0
    let all = pseudo + message
    for index in stride(from: 0, to: all.count, by: 2) { sum += UInt32(all[index]) << 8 | UInt32(all[index + 1]) }
    while sum > 0xFFFF { sum = (sum & 0xFFFF) + sum >> 16 }
    let checksum = ~UInt16(sum)
    var message = message
    message[2] = UInt8(checksum >> 8)
    message[3] = UInt8(checksum & 0xFF)
    return [0x60, 0, 0, 0, UInt8(message.count >> 8), UInt8(message.count & 0xFF), 58, 255] + source + destination
      + message
  }
}
