import Testing
import Wire

@testable import Flows

/// /proc/net/icmp and raw as the kernel writes them (little-endian machines).
@Suite struct ListingTests {
  private func lines(_ text: String, _ family: Family) -> [SocketLines.Line] {
    var lines = SocketLines(Array(text.utf8)[...])
    var found: [SocketLines.Line] = []
    while let line = lines.next(family) { found.append(line) }
    return found
  }

  private let head =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

  @Test func `IPv4`() {
    let text =
      head + "   33: 0A0200C0:0077 00000000:0000 07 00000000:00000000 00:00000000 00000000 65534        0 15783757\n"
      + "   34: 00000000:00FF 076433C6:0000 07 00000000:00000000 00:00000000 00000000 65534        0 15783761\n"
    #expect(
      lines(text, .v4) == [
        SocketLines.Line(
          local: .v4(IPv4Address(0xC000_020A)), localPort: 0x77, remote: .v4(.unspecified), remotePort: 0),
        SocketLines.Line(
          local: .v4(.unspecified), localPort: 255, remote: .v4(IPv4Address(0xC633_6407)), remotePort: 0),
      ])
  }

  @Test func `IPv6`() {
    let text =
      head + "   58: B80D0120000001000000000000000001:003A 00000000000000000000000000000000:0000 07 00000000:00000000\n"
    #expect(
      lines(text, .v6) == [
        SocketLines.Line(
          local: .v6(IPv6Address(0x2001_0db8_0001_0000, 0x0100_0000)), localPort: 58, remote: .v6(.unspecified),
          remotePort: 0)
      ])
  }

  @Test(arguments: [
    "", "x", "  sl", "  sl\n", "  sl\n\n\n", "  sl\n   33", "  sl\n   33: 0A0200C0", "  sl\n   33: 0A0200C0:00",
    "  sl\n   33: 0A0200C0:0077 0", "  sl\n   33: 0a0200c0:0077 00000000:0000",
    "  sl\n   33: 0A0200C0 0077 00000000:0000",
  ])
  func `What is no line is passed over`(_ text: String) { #expect(lines(text, .v4).isEmpty) }
}
