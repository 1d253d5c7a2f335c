import CLinux
import Platform
import Testing
import Wire

@testable import Capture

#if Pcap
  /// Link types and their headers: https://www.tcpdump.org/linktypes.html
  @Suite struct LinkLayers {
    struct Case: CustomTestStringConvertible, Sendable {
      var testDescription: String
      var dataLink: Int32
      var header: [UInt8]
      var found: LinkLayer.Found

      init(_ name: String, _ dataLink: Int32, _ header: String, _ found: LinkLayer.Found) {
        testDescription = name
        self.dataLink = dataLink
        self.header = bytes(header)
        self.found = found
      }
    }

    @Test(arguments: [
      Case("Ethernet, IPv4", 1, "ffffffffffff 020000000001 0800", .packet(.init(offset: 14, family: .v4))),
      Case("Ethernet, IPv6", 1, "333300000001 020000000001 86dd", .packet(.init(offset: 14, family: .v6))),
      Case("Ethernet, ARP", 1, "ffffffffffff 020000000001 0806", .notIP),
      Case("Ethernet, 802.3 length", 1, "ffffffffffff 020000000001 0026", .notIP),
      Case("Ethernet, cut", 1, "ffffffffffff 020000000001 08", .cut),
      Case(
        "802.1Q, VLAN 5", 1, "ffffffffffff 020000000001 8100 e005 0800",
        .packet(.init(offset: 18, family: .v4, vlans: 5))),
      Case(
        "802.1Q, priority only", 1, "ffffffffffff 020000000001 8100 e000 86dd", .packet(.init(offset: 18, family: .v6))),
      Case(
        "802.1ad, VLAN 0x123 around 0x456", 1, "ffffffffffff 020000000001 88a8 0123 8100 0456 86dd",
        .packet(.init(offset: 22, family: .v6, vlans: 0x123456))),
      Case("three tags", 1, "ffffffffffff 020000000001 88a8 0001 8100 0002 8100 0003 0800", .notIP),
      Case("802.1Q, cut within the tag", 1, "ffffffffffff 020000000001 8100 0005 08", .cut),
      Case("raw IPv4", 12, "45", .packet(.init(offset: 0, family: .v4))),
      Case("raw IPv6", 12, "60", .packet(.init(offset: 0, family: .v6))),
      Case("LINKTYPE_IPV6", 229, "60", .packet(.init(offset: 0, family: .v6))),
      Case("raw, neither", 12, "20", .notIP),
      Case("raw, empty", 12, "", .cut),
      Case(
        "LINUX_SLL, received", 113, "0000 0001 0006 020000000001 0000 0800", .packet(.init(offset: 16, family: .v4))),
      Case(
        "LINUX_SLL, outgoing", 113, "0004 0001 0006 020000000001 0000 86dd",
        .packet(.init(offset: 16, family: .v6, outgoing: true))),
      Case("LINUX_SLL, for another host", 113, "0003 0001 0006 020000000001 0000 0800", .otherHost),
      Case("LINUX_SLL, cut", 113, "0000 0001 0006 020000000001 0000 08", .cut),
      Case(
        "LINUX_SLL2, multicast on interface 7", 276, "86dd 0000 00000007 0001 02 06 020000000001 0000",
        .packet(.init(offset: 20, family: .v6, interface: 7))),
      Case(
        "LINUX_SLL2, outgoing, VLAN 9", 276, "8100 0000 00010002 0001 04 06 020000000001 0000 0009 0800",
        .packet(.init(offset: 24, family: .v4, outgoing: true, interface: 0x10002, vlans: 9))),
      Case("LINUX_SLL2, cut", 276, "86dd 0000 00000007 0001 02 06 020000000001 00", .cut),
      Case("NULL, little-endian IPv4", 0, "02000000", .packet(.init(offset: 4, family: .v4))),
      Case("NULL, big-endian IPv4", 0, "00000002", .packet(.init(offset: 4, family: .v4))),
      Case("NULL, macOS IPv6", 0, "1e000000", .packet(.init(offset: 4, family: .v6))),
      Case("NULL, something else", 0, "07000000", .notIP),
      Case("LOOP, IPv6 of FreeBSD", 108, "0000001c", .packet(.init(offset: 4, family: .v6))),
      Case("LOOP has one byte order", 108, "02000000", .notIP),
      Case("LOOP, cut", 108, "000000", .cut),
    ])
    func locate(_ testCase: Case) throws {
      let layer = try #require(LinkLayer(dataLink: testCase.dataLink))
      let found = unsafe layer.locate(in: testCase.header.span.bytes)
      #expect(found == testCase.found)
    }
  }

  @Suite struct UnfilledChecksums {
    private func isUnfilled(_ packet: [UInt8], _ family: Family) -> Bool {
      unsafe hasUnfilledUDPChecksum(packet.span.bytes, family)
    }

    /// 192.0.2.1 to 192.0.2.2, protocol 17, length 12: c000 + 0201 + c000 + 0202 + 0011 + 000c = 18420, folded 8421.
    @Test func pseudoHeaderSumOfIPv4() {
      var packet = ipv4(17, udp(from: 67, to: 68))
      #expect(!isUnfilled(packet, .v4))
      packet.replaceSubrange(26..<28, with: [0x84, 0x21])
      #expect(isUnfilled(packet, .v4))
      packet[27] ^= 1
      #expect(!isUnfilled(packet, .v4))
    }

    /// fe80::1 to ff02::1: fe80 + 1 + ff02 + 1 + 0011 + 000c = 1fda1, folded fda2.
    @Test func pseudoHeaderSumOfIPv6() {
      var packet = ipv6(17, udp(from: 547, to: 546))
      packet.replaceSubrange(46..<48, with: [0xFD, 0xA2])
      #expect(isUnfilled(packet, .v6))
      packet[46] ^= 0x80
      #expect(!isUnfilled(packet, .v6))
    }

    @Test func cutOrOtherPacketsHaveNone() {
      let packet = ipv4(17, udp(from: 67, to: 68))
      for length in 0..<28 { #expect(!isUnfilled(Array(packet.prefix(length)), .v4)) }
      #expect(!isUnfilled(ipv4(1, icmpV4(3)), .v4))
      #expect(!isUnfilled(routerAdvertisement, .v6))
    }
  }

  @Suite struct CaptureFiles {
    private func heard(_ file: borrowing TemporaryFile, interface: UInt32 = 1) throws -> [Heard] {
      var capture = try CaptureFile(path: file.path, interface: interface)
      var heard: [Heard] = []
      while try capture.next({ heard.append(Heard($0, $1, $2)) }) {}
      return heard
    }

    @Test func packetsOfAnEthernetCapture() throws {
      let advertisement = ethernet(0x86DD, routerAdvertisement)
      let tagged = ethernet(0x8100, [0, 5] + UInt16(0x0800).big + ipv4(1, icmpV4(3)))
      let file = try TemporaryFile(
        pcap(
          linkType: 1,
          [
            (1_700_000_000, 123_456, advertisement, nil), (1_700_000_001, 0, ethernet(0x0806, [1]), nil),
            (1_700_000_002, 1, tagged, nil), (1_700_000_003, 2, Array(advertisement.prefix(60)), advertisement.count),
            (1_700_000_004, 3, [1, 2, 3], 60),
          ]))
      var capture = try CaptureFile(path: file.path, interface: 3)
      var heard: [Heard] = []
      while try capture.next({ heard.append(Heard($0, $1, $2)) }) {}
      #expect(
        heard == [
          Heard(
            packet: routerAdvertisement, family: .v6, interface: 3, outgoing: false, checksum: .ready,
            truncated: false, timestamp: 1_700_000_000_123_456_000),
          Heard(
            packet: ipv4(1, icmpV4(3)), family: .v4, interface: 5 << 8 | 3, outgoing: false, checksum: .ready,
            truncated: false, timestamp: 1_700_000_002_000_001_000),
          Heard(
            packet: Array(routerAdvertisement.prefix(46)), family: .v6, interface: 3, outgoing: false,
            checksum: .ready, truncated: true, timestamp: 1_700_000_003_000_002_000),
        ])
      #expect(capture.counters == CaptureFileCounters(frames: 5, packets: 3, notIP: 1, otherHost: 0, cut: 1))
    }

    @Test func directionAndInterfaceOfACookedCapture() throws {
      let discover = ipv4(17, udp(from: 68, to: 67))
      let file = try TemporaryFile(
        pcap(
          linkType: 276,
          [
            (1, 0, bytes("0800 0000 00000009 0001 04 06 020000000001 0000") + discover, nil),
            (1, 0, bytes("0800 0000 00000009 0001 03 06 020000000001 0000") + discover, nil),
            (1, 0, bytes("86dd 0000 00000008 0001 02 06 020000000001 0000") + routerAdvertisement, nil),
          ]))
      let heard = try heard(file)
      #expect(heard.map(\.interface) == [9, 8])
      #expect(heard.map(\.outgoing) == [true, false])
      // What goes out may wait for the card to fill its checksum in.
      #expect(heard.map(\.checksum) == [.notReady, .ready])
    }

    @Test func unfilledChecksumOfAnEthernetCapture() throws {
      var packet = ipv4(17, udp(from: 67, to: 68))
      packet.replaceSubrange(26..<28, with: [0x84, 0x21])
      let file = try TemporaryFile(pcap(linkType: 1, [(1, 0, ethernet(0x0800, packet), nil)]))
      #expect(try heard(file).map(\.checksum) == [.notReady])
    }

    /// Magic a1b23c4d: the fraction counts nanoseconds. Written in the other byte order too.
    @Test func nanosecondsAndTheOtherByteOrder() throws {
      let frames: [Frame] = [(1_700_000_000, 123_456_789, ethernet(0x86DD, routerAdvertisement), nil)]
      for bigEndian in [false, true] {
        let file = try TemporaryFile(pcap(linkType: 1, frames, magic: 0xA1B2_3C4D, bigEndian: bigEndian))
        #expect(try heard(file).map(\.timestamp) == [1_700_000_000_123_456_789])
      }
    }

    /// draft-ietf-opsawg-pcapng: section header, interface description, enhanced packet; microseconds by default.
    @Test func pcapng() throws {
      let frame = ethernet(0x86DD, routerAdvertisement)
      let padding = [UInt8](repeating: 0, count: (4 - frame.count % 4) % 4)
      let time: UInt64 = 1_700_000_000_123_456
      let section = block(0x0A0D_0D0A, little(0x1A2B_3C4D) + [1, 0, 0, 0] + [UInt8](repeating: 0xFF, count: 8))
      let interface = block(1, [1, 0, 0, 0] + little(0))
      let packet = block(
        6,
        little(0) + little(UInt32(time >> 32)) + little(UInt32(truncatingIfNeeded: time)) + little(UInt32(frame.count))
          + little(UInt32(frame.count)) + frame + padding)
      let file = try TemporaryFile(section + interface + packet)
      #expect(
        try heard(file) == [
          Heard(
            packet: routerAdvertisement, family: .v6, interface: 1, outgoing: false, checksum: .ready,
            truncated: false, timestamp: 1_700_000_000_123_456_000)
        ])
    }

    @Test func aFileThatIsNoneIsNamed() throws {
      let file = try TemporaryFile(Array("This is a letter, not a capture.".utf8))
      let refusal = #expect(throws: CaptureFileError.self) { _ = try CaptureFile(path: file.path) }
      let message = String(decoding: try #require(refusal).message, as: UTF8.self)
      #expect(message.hasPrefix("cannot open the capture file \(String(decoding: file.path, as: UTF8.self)): "))

      let missing = #expect(throws: CaptureFileError.self) { _ = try CaptureFile(path: Array("/nowhere".utf8)) }
      #expect(String(decoding: try #require(missing).message, as: UTF8.self).contains("No such file"))
      let impossible = #expect(throws: CaptureFileError.self) { _ = try CaptureFile(path: [47, 0, 47]) }
      #expect(impossible == .cannotOpen(path: [47, 0, 47], reason: Array("Invalid argument".utf8)))
    }

    @Test func aLinkTypeThatIsNotDecodedIsNamed() throws {
      let file = try TemporaryFile(pcap(linkType: 105, []))
      let refusal = #expect(throws: CaptureFileError.self) { _ = try CaptureFile(path: file.path) }
      #expect(refusal == .unsupportedLinkType(path: file.path, number: 105, name: Array("IEEE802_11".utf8)))
      #expect(
        String(decoding: try #require(refusal).message, as: UTF8.self).hasSuffix(
          "link type 105 (IEEE802_11) is not supported"))
    }

    @Test func aFileThatBreaksOffSaysWhere() throws {
      let whole = pcap(linkType: 1, Array(repeating: (1, 0, ethernet(0x86DD, routerAdvertisement), nil), count: 2))
      let file = try TemporaryFile(whole.dropLast(5))
      var capture = try CaptureFile(path: file.path)
      #expect(try capture.next { _, _, _ in })
      var damage: CaptureFileError?
      do throws(CaptureFileError) {
        _ = try capture.next { _, _, _ in }
      } catch {
        damage = error
      }
      guard case .damaged(file.path, afterFrames: 1, let reason) = damage else {
        Issue.record("it did not say so")
        return
      }
      #expect(!reason.isEmpty)
    }
  }

  private typealias Frame = (seconds: UInt32, fraction: UInt32, bytes: [UInt8], length: Int?)

  private func little(_ value: UInt32) -> [UInt8] { [0, 8, 16, 24].map { UInt8(truncatingIfNeeded: value >> $0) } }

  /// A classic capture file: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-04.html, sections 4 and 5.
  private func pcap(
    linkType: UInt32, _ frames: [Frame], magic: UInt32 = 0xA1B2_C3D4, bigEndian: Bool = false
  ) -> [UInt8] {
    func word(_ value: UInt32) -> [UInt8] { bigEndian ? little(value).reversed() : little(value) }
    let version: [UInt8] = bigEndian ? [0, 2, 0, 4] : [2, 0, 4, 0]
    var file = word(magic) + version + word(0) + word(0) + word(262_144) + word(linkType)
    for frame in frames {
      file += word(frame.seconds) + word(frame.fraction) + word(UInt32(frame.bytes.count))
      file += word(UInt32(frame.length ?? frame.bytes.count)) + frame.bytes
    }
    return file
  }

  /// A pcapng block: type, length, body, length again.
  private func block(_ type: UInt32, _ body: [UInt8]) -> [UInt8] {
    let length = little(UInt32(body.count + 12))
    return little(type) + length + body + length
  }

  /// A file that goes with its owner.
  private struct TemporaryFile: ~Copyable {
    let path: [UInt8]

    init(_ contents: some Collection<UInt8>) throws {
      var name: [CChar] = Array("/tmp/mifcap-XXXXXX".utf8CString)
      let file = Descriptor(taking: try valueOrErrno { unsafe mkstemp(&name) })
      path = name.dropLast().map { UInt8(bitPattern: $0) }
      let written = unsafe Array(contents).withUnsafeBytes { unsafe write(file.number, $0.baseAddress, $0.count) }
      #expect(written == contents.count)
    }

    deinit { removeFile(path) }
  }
#endif
