import CLinux

// What the packet sockets let through. Everything else costs the kernel a few instructions and us nothing.
// Loads past a packet's end refuse it; what a filter lets through is still a stranger's packet, for Wire to judge.
// Every packet of the host comes by: what most of them are not is asked first.
extension Filter {
  /// DHCPv4 to a client (RFC 2131 4.1): UDP to port 68, not a fragment. Router Advertisements (RFC 4861 4.2) and
  /// DHCPv6 to a client (RFC 8415 7.2): UDP to port 546; behind more extension headers than are walked, anything
  /// passes, so that Wire counts it.
  package static func control() -> Filter {
    var program = FilterAssembler()
    let v6 = program.newLabel()
    let icmp = program.newLabel()
    let udp = program.newLabel()
    let found = program.newLabel()
    program.requireIP(v6: v6)
    program.requireUnfragmentedIPv4(protocol: UInt32(IPPROTO_UDP))
    program.setXToIPv4HeaderLength()
    program.load(.half, atXPlus: udpDestination)
    program.jump(if: .equal(68), to: found)
    program.jump(to: program.refuse)

    program.place(v6)
    program.walkIPv6Headers(icmp: icmp, udp: udp, tooMany: found)
    program.place(icmp)
    program.load(.byte, atXPlus: 0)
    program.jump(if: .equal(134), to: found)
    program.jump(to: program.refuse)
    program.place(udp)
    program.load(.half, atXPlus: udpDestination)
    program.jump(unless: .equal(546), to: program.refuse)
    program.place(found)
    program.requireHere()
    program.jump(to: program.accept)
    return program.assembled()
  }

  /// ICMP destination unreachable (3), redirect (5) and time exceeded (11) (RFC 792), not fragments. ICMPv6 destination
  /// unreachable (1), packet too big (2) and time exceeded (3) (RFC 4443 3.1 to 3.3), redirect (137) (RFC 4861 4.5).
  package static func errors() -> Filter {
    var program = FilterAssembler()
    let v6 = program.newLabel()
    let icmp = program.newLabel()
    let found = program.newLabel()
    program.requireIP(v6: v6)
    program.requireUnfragmentedIPv4(protocol: UInt32(IPPROTO_ICMP))
    program.setXToIPv4HeaderLength()
    program.load(.byte, atXPlus: 0)
    program.jump(if: .equal(3), to: found)
    program.jump(if: .equal(11), to: found)
    program.jump(if: .equal(5), to: found)
    program.jump(to: program.refuse)

    program.place(v6)
    program.walkIPv6Headers(icmp: icmp, udp: program.refuse, tooMany: program.refuse)
    program.place(icmp)
    program.load(.byte, atXPlus: 0)
    program.jump(if: .equal(1), to: found)
    program.jump(if: .equal(2), to: found)
    program.jump(if: .equal(3), to: found)
    program.jump(unless: .equal(137), to: program.refuse)
    program.place(found)
    program.requireHere()
    program.jump(to: program.accept)
    return program.assembled()
  }

  /// What DHCP clients on this host send: UDP from port 68 to 67, from 546 to 547. For a socket that sees all
  /// protocols and both directions. What goes out tagged belongs to the VLAN interface.
  package static func clientRequests() -> Filter {
    var program = FilterAssembler()
    let v4 = program.newLabel()
    let v6 = program.newLabel()
    program.load(.packetType)
    program.jump(unless: .equal(UInt32(PACKET_OUTGOING)), to: program.refuse)
    program.load(.vlanTagPresent)
    program.jump(unless: .equal(0), to: program.refuse)
    program.load(.etherType)
    program.jump(if: .equal(UInt32(ETH_P_IP)), to: v4)
    program.jump(if: .equal(UInt32(ETH_P_IPV6)), to: v6)
    program.jump(to: program.refuse)

    program.place(v4)
    program.requireUnfragmentedIPv4(protocol: UInt32(IPPROTO_UDP))
    program.setXToIPv4HeaderLength()
    program.load(.half, atXPlus: udpDestination)
    program.jump(unless: .equal(67), to: program.refuse)
    program.load(.half, atXPlus: udpSource)
    program.jump(if: .equal(68), to: program.accept)
    program.jump(to: program.refuse)

    // No client puts extension headers into its requests.
    program.place(v6)
    program.load(.byte, at: ipv6NextHeader)
    program.jump(unless: .equal(UInt32(IPPROTO_UDP)), to: program.refuse)
    program.load(.half, at: ipv6HeaderLength + udpDestination)
    program.jump(unless: .equal(547), to: program.refuse)
    program.load(.half, at: ipv6HeaderLength + udpSource)
    program.jump(if: .equal(546), to: program.accept)
    return program.assembled()
  }
}

private let ipv4FragmentField: UInt32 = 6
private let ipv4Protocol: UInt32 = 9
private let ipv6NextHeader: UInt32 = 6
private let ipv6HeaderLength: UInt32 = 40
private let udpSource: UInt32 = 0
private let udpDestination: UInt32 = 2

extension FilterAssembler {
  /// Refuses what is not IP; what is IPv6 goes on at `v6`.
  fileprivate mutating func requireIP(v6: Label) {
    load(.etherType)
    jump(if: .equal(UInt32(ETH_P_IPV6)), to: v6)
    jump(unless: .equal(UInt32(ETH_P_IP)), to: refuse)
  }

  /// Refuses what a socket of all protocols hears too early: frames for another host, which a promiscuous interface
  /// or a bridge's port takes in, and what belongs to a VLAN, whose interface hears it next. VLAN 0 is a priority
  /// without a VLAN (IEEE 802.1Q): such a frame is the interface's own.
  fileprivate mutating func requireHere() {
    load(.packetType)
    jump(if: .equal(UInt32(PACKET_OTHERHOST)), to: refuse)
    load(.vlanTag)
    jump(if: .anyBitSet(0x0FFF), to: refuse)
  }

  /// Refuses all but whole packets of one protocol: neither "more fragments" nor an offset (RFC 791 3.1).
  fileprivate mutating func requireUnfragmentedIPv4(protocol number: UInt32) {
    load(.byte, at: ipv4Protocol)
    jump(unless: .equal(number), to: refuse)
    load(.half, at: ipv4FragmentField)
    jump(if: .anyBitSet(0x3FFF), to: refuse)
  }

  /// Goes over hop-by-hop options, routing, destination options and the Fragment header of a first fragment (RFC 8200
  /// 4.1) and arrives at `icmp` or `udp` with X at its first byte. At most four headers: as many kinds as there are.
  fileprivate mutating func walkIPv6Headers(icmp: Label, udp: Label, tooMany: Label) {
    setX(ipv6HeaderLength)
    load(.byte, at: ipv6NextHeader)
    // Here and at the end of each round: A is the next header's number, X is where it starts.
    for _ in 0..<4 {
      let options = newLabel()
      let advance = newLabel()
      jump(if: .equal(UInt32(IPPROTO_ICMPV6)), to: icmp)
      jump(if: .equal(UInt32(IPPROTO_UDP)), to: udp)
      jump(if: .equal(UInt32(IPPROTO_HOPOPTS)), to: options)
      jump(if: .equal(UInt32(IPPROTO_DSTOPTS)), to: options)
      jump(if: .equal(UInt32(IPPROTO_ROUTING)), to: options)
      jump(unless: .equal(UInt32(IPPROTO_FRAGMENT)), to: refuse)
      // A fragment that is not the first has no transport header. The first goes on: Wire counts it.
      load(.half, atXPlus: 2)
      jump(if: .anyBitSet(0xFFF8), to: refuse)
      load(.byte, atXPlus: 0)
      storeA()
      load(0)
      jump(to: advance)
      place(options)
      load(.byte, atXPlus: 0)
      storeA()
      load(.byte, atXPlus: 1)
      place(advance)
      advanceXByUnitsOfEight()
      restoreA()
    }
    jump(if: .equal(UInt32(IPPROTO_ICMPV6)), to: icmp)
    jump(if: .equal(UInt32(IPPROTO_UDP)), to: udp)
    for another in [IPPROTO_HOPOPTS, IPPROTO_DSTOPTS, IPPROTO_ROUTING, IPPROTO_FRAGMENT] {
      jump(if: .equal(UInt32(another)), to: tooMany)
    }
    jump(to: refuse)
  }
}
