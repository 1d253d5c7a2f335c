import PathSelection
import Testing

/// The probe's bytes, and those with which charon 5.9.8 and libreswan 4.10 answered it.
@Suite struct IKEProbeTests {
  private let cookie: [16 of UInt8] = [
    0x82, 0xB5, 0x5E, 0xB9, 0x3F, 0xB8, 0x75, 0x75, 0x32, 0x51, 0x75, 0x05, 0x3C, 0x44, 0x9F, 0x17,
  ]
  private let header: [UInt8] = [
    0x82, 0xB5, 0x5E, 0xB9, 0x3F, 0xB8, 0x75, 0x75, 0x32, 0x51, 0x75, 0x05, 0x3C, 0x44, 0x9F, 0x17,
  ]
  private let rest: [UInt8] = [0x00, 0x30, 0x22, 0x08, 0, 0, 0, 0, 0, 0, 0, 0x1C]
  private let answer: [UInt8] = [0x29, 0x20, 0x22, 0x20, 0, 0, 0, 0, 0, 0, 0, 0x24, 0, 0, 0, 8, 0, 0, 0, 5]

  @Test func `A header of version 3, with the marker where NATs are passed (RFC 7296 sections 2.23 and 3.1)`() {
    #expect(IKEProbe(cookie: cookie, port: 500).bytes == header + rest)
    #expect(IKEProbe(cookie: cookie, port: 4500).bytes == [0, 0, 0, 0] + header + rest)
  }

  @Test func `INVALID_MAJOR_VERSION answers it (section 2.5)`() {
    #expect(IKEProbe(cookie: cookie, port: 500).isAnswered(by: (header + answer)[...]))
    #expect(IKEProbe(cookie: cookie, port: 4500).isAnswered(by: ([0, 0, 0, 0] + header + answer)[...]))
  }

  @Test(arguments: 0..<16)
  func `No byte of the cookie may differ`(_ place: Int) {
    var forged = header + answer
    forged[place] ^= 1
    #expect(!IKEProbe(cookie: cookie, port: 500).isAnswered(by: forged[...]))
    #expect(!IKEProbe(cookie: cookie, port: 500).isQuoted(by: forged[...]))
  }

  @Test func `What is no answer`() {
    let probe = IKEProbe(cookie: cookie, port: 500)
    #expect(!probe.isAnswered(by: []))
    #expect(!probe.isAnswered(by: (header + rest)[...]), "the probe itself, sent back")
    #expect(!probe.isAnswered(by: (header + answer).prefix(27)))
    #expect(!probe.isAnswered(by: ([0, 0, 0, 0] + header + answer)[...]), "a marker where there is none")
    #expect(!IKEProbe(cookie: cookie, port: 4500).isAnswered(by: (header + answer)[...]), "no marker where one is due")
  }

  @Test func `An ICMP error must quote the whole cookie`() {
    let probe = IKEProbe(cookie: cookie, port: 500)
    #expect(probe.isQuoted(by: header[...]))
    #expect(!probe.isQuoted(by: header.prefix(15)))
    // RFC 792: eight bytes behind the IP header are the UDP header and no more.
    #expect(!probe.isQuoted(by: []))
  }
}
