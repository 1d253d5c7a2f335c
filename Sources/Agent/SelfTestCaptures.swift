import Platform

/// What `mifd --self-test` looks at: packets of real daemons and kernels, from their network header on (Tests/Packets, with
/// the UDP checksums that veth had left to a card), and messages (Tests/Vectors, of a little-endian machine).
package struct SelfTestCaptures: Sendable {
  /// radvd.pcap, 1: with prefixes, routes, name servers, a search list and an MTU.
  package var routerAdvertisement = bytes(
    """
    60060834 00c83aff fe800000 00000000 000000ff fe000101 ff02 00*13 01860087 a73de807 08000075 30000003
    e8030440 c000000e 10000007 08000000 0020010d b8000100 00000000 00000000 00030440 00ffffff ffffffff
    ff000000 0020010d b8007700 00000000 00000000 00180330 00000007 0820010d b8000900 00000000 00000000
    00180328 18ffffff ff20010d b8000800 00000000 00000000 00190300 00000004 b020010d b8000900 00000000
    00000000 531f0300 00000004 b0036c61 62076578 616d706c 65000000 00050100 00000005 c8010102 00000001
    01070100 0000000f a0
    """)
  /// dnsmasq-dhclient4.pcap, 3: went out from this host.
  package var dhcpv4Request = bytes(
    """
    45100148 00000000 80113996 00000000 ffffffff 00440043 01342245 01010600 2b94211e 00*20 02000000 0164
    00*202 63825363 35010336 040a0100 0132040a 01003d37 06011c03 0f061aff 00*36
    """)
  /// dnsmasq-dhclient4.pcap, 4.
  package var dhcpv4Acknowledgement = bytes(
    """
    45c0014d 45d40000 40111ecd 0a010001 0a01003d 00430044 01394f9d 02010600 2b94211e 00000000 00000000
    0a01003d 0a010001 00000000 02000000 0164 00*202 63825363 35010536 040a0100 01330400 0000783a 04000000
    3c3b0400 00006901 04ffffff 001c040a 0100ff03 040a0100 010f0b6c 61622e65 78616d70 6c650604 0a090035 ff
    """)
  /// dnsmasq-dhclient6.pcap, 3: went out from this host.
  package var dhcpv6Request = bytes(
    """
    60090886 006a1101 fe800000 00000000 000000ff fe000164 ff020000 00000000 00000000 00010002 02220223
    006a6d59 03471232 0001000e 00010001 329440e5 02000000 01640002 000e0001 00013294 40e50200 00000101
    00060004 00170018 00080002 00000003 00280000 01640000 0e100000 15180005 00182001 0db80001 00000000
    00000000 00600000 1c200000 1d4c
    """)
  /// dnsmasq-dhclient6.pcap, 4.
  package var dhcpv6Reply = bytes(
    """
    6c0e7bb0 008e1140 fe800000 00000000 000000ff fe000101 fe800000 00000000 000000ff fe000164 02230222
    008e577a 07471232 0001000e 00010001 329440e5 02000000 01640002 000e0001 00013294 40e50200 00000101
    00030028 00000164 0000003c 00000069 00050018 20010db8 00010000 00000000 00000060 00000078 00000078
    000d0009 00007375 63636573 73001800 0d036c61 62076578 616d706c 65000017 00102001 0db80009 00000000
    00000000 0053
    """)
  /// kernel.pcap, 1: port unreachable, quotes a UDP datagram.
  package var icmpv4Error = bytes(
    """
    45c0003e 39080000 3e012ee2 0a090002 0a01000a 03032768 00000000 45000022 e36a4000 3e11454b 0a01000a
    0a090002 8bf00009 000e1435 6e6f626f 6479
    """)
  /// kernel.pcap, 8: no route, quotes a TCP segment.
  package var icmpv6Error = bytes(
    """
    600adbec 00583a40 20010db8 00010000 00000000 00000001 20010db8 00010000 00000000 00000010 0100795b
    00000000 6009b39c 00280640 20010db8 00010000 00000000 00000010 20010db8 00090000 00000000 00000002
    b9e201bb 32c06478 00000000 a002fbe0 5bbc0000 020404d8 0402080a ab62a722 00000000 0103030a
    """)
  /// trigger.txt, notify-cause-origin.
  package var notification = bytes(
    """
    01050001 10000000 01000000 00000000 02000200 06000000 2a000000 00000000 03000100 18000000 02000000
    c000020a 00000000 00000000 03000100 20000000 02000000 c6336407 00000000 00000000 06000180 03000000
    77616e30 00*12 02000000 05030100 01000000 00000000 153d4a6e 69e97918
    """)
  /// mif.txt, pvd-explicit.
  package var announcement = bytes(
    """
    01070001 0a000000 03000000 e8030000 04000100 03000000 77616e30 00*12 03000000 00000000 04000200 01000000
    0f010000 7076642e 6578616d 706c652e 6f726700 00000000
    """)

  package init() {}

  /// Two hexadecimal digits for each byte; `*N` behind one says that it stands there N times.
  private static func bytes(_ literal: StaticString) -> [UInt8] {
    var text: [UInt8] = []
    append(literal, to: &text)
    var bytes: [UInt8] = []
    for word in text.split(whereSeparator: { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\n") }) {
      let parts = word.split(separator: UInt8(ascii: "*"))
      for index in stride(from: parts[0].startIndex, to: parts[0].endIndex, by: 2) {
        bytes.append(digit(parts[0][index]) << 4 | digit(parts[0][index + 1]))
      }
      guard parts.count == 2, let last = bytes.popLast() else { continue }
      bytes += [UInt8](repeating: last, count: parts[1].reduce(0) { $0 * 10 + Int(digit($1)) })
    }
    return bytes
  }

  private static func digit(_ character: UInt8) -> UInt8 {
    character - (character <= UInt8(ascii: "9") ? UInt8(ascii: "0") : UInt8(ascii: "a") - 10)
  }
}
