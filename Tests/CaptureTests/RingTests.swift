import CLinux
import Platform
import Testing
import Wire

@testable import Capture

/// Real frames through the kernel: veth pairs in namespaces of their own.
@Suite(.enabled(if: canMakeNamespaces, "needs root, network namespaces and iproute2"))
struct Rings {
  static let portUnreachable = ipv4(1, icmpV4(3, code: 3))
  static let noRoute = ipv6(58, icmpV6(1, to: hostV6, [0, 0, 0, 0] + ipv6(17, udp(from: 500, to: 500))), to: hostV6)

  @Test func eachKindComesThroughItsOwnRing() throws {
    try inNamespace {
      var control = try PacketRing(.control)
      var errors = try PacketRing(.errors)
      let cable = try Cable()

      let offer = ipv4(17, udp(from: 67, to: 68))
      let reply = ipv6(17, udp(from: 547, to: 546))
      let before = Clock.realTime()
      cable.send(ethernet(0x0800, offer))
      cable.send(ethernet(0x86DD, routerAdvertisement))
      cable.send(ethernet(0x86DD, reply))
      cable.send(ethernet(0x0800, Rings.portUnreachable))
      cable.send(ethernet(0x86DD, Rings.noRoute))
      cable.send(ethernet(0x0800, ipv4(1, icmpV4(8))))
      cable.send(ethernet(0x0806, [UInt8](repeating: 1, count: 28)))

      let heard = [control.hear(3), errors.hear(2)]
      let after = Clock.realTime()
      #expect(
        heard.map { $0.map(\.packet) } == [
          [offer, routerAdvertisement, reply], [Rings.portUnreachable, Rings.noRoute],
        ])
      #expect(heard.map { $0.map(\.family) } == [[.v4, .v6, .v6], [.v4, .v6]])
      for one in heard.joined() {
        #expect(one.interface == cable.far)
        #expect(!one.outgoing)
        #expect(!one.truncated)
        #expect(one.checksum == .ready)
        #expect(one.timestamp >= before && one.timestamp <= after)
      }
      #expect(errors.counters == RingCounters(packets: 2))
    }
  }

  @Test func interfacesOfTheFutureAreHeard() throws {
    try inNamespace {
      var ring = try PacketRing(.control)
      for name in ["a", "b", "c"] {
        let cable = try Cable(name)
        cable.send(ethernet(0x86DD, routerAdvertisement))
        cable.send(ethernet(0x86DD, routerAdvertisement), outOf: cable.far)
        #expect(ring.hear(2).map(\.interface) == [cable.far, cable.near])
        try ip("link del \(name)0")
      }
    }
  }

  /// A veth pair never fills checksums in, since nothing is lost between its ends.
  @Test func checksumLeftToTheCard() throws {
    try inNamespace {
      var ring = try PacketRing(.control)
      let cable = try Cable()
      try ip("addr add 192.0.2.1/24 dev w0")
      try sendUDP(from: 67, to: 68, outOf: "w0")
      cable.send(ethernet(0x0800, ipv4(17, udp(from: 67, to: 68))))
      let heard = ring.hear(2)
      #expect(heard.map(\.checksum) == [.notReady, .ready])
      #expect(heard.map(\.interface) == [cable.far, cable.far])
      #expect(heard.map(\.outgoing) == [false, false])
    }
  }

  /// What goes out is nobody's news, not even on this host's other interface before it arrives there.
  @Test func whatGoesOutIsNotHeard() throws {
    try inNamespace {
      var ring = try PacketRing(.errors)
      let cable = try Cable()
      cable.send(ethernet(0x0800, Rings.portUnreachable))
      cable.send(ethernet(0x0800, Rings.portUnreachable), outOf: cable.far)
      #expect(ring.hear(2).map(\.interface) == [cable.far, cable.near])
      #expect(ring.counters.packets == 2)
    }
  }

  @Test func packetsForOthersAreNotHeard() throws {
    try inNamespace {
      var ring = try PacketRing(.errors)
      let cable = try Cable()
      try ip("link set w1 promisc on")
      cable.send(ethernet(0x0800, Rings.portUnreachable, to: [2, 9, 9, 9, 9, 9]))
      cable.send(ethernet(0x0800, Rings.portUnreachable))
      #expect(ring.hear(1).count == 1)
      #expect(ring.counters == RingCounters(packets: 1))
    }
  }

  /// 802.1Q: VLAN 5 is another interface, VLAN 6 one that does not exist here; VLAN 0 is only a priority.
  @Test func taggedFramesBelongToTheVLAN() throws {
    try inNamespace {
      var ring = try PacketRing(.errors)
      let cable = try Cable()
      // Not every kernel has VLANs.
      let vlan = (try? ip("link add link w1 name w1.5 type vlan id 5")).map { index(of: "w1.5") }
      if vlan != nil { try ip("link set w1.5 up") }
      cable.send(ethernet(0x8100, [0x00, 0x06, 0x08, 0x00] + Rings.portUnreachable))
      cable.send(ethernet(0x8100, [0x00, 0x05, 0x08, 0x00] + Rings.portUnreachable))
      cable.send(ethernet(0x8100, [0xE0, 0x00, 0x08, 0x00] + Rings.portUnreachable))
      let heard = ring.hear(vlan == nil ? 1 : 2)
      #expect(heard.map(\.interface) == (vlan.map { [$0] } ?? []) + [cable.far])
      #expect(heard.allSatisfy { $0.packet == Rings.portUnreachable })
      #expect(ring.counters.packets == UInt64(heard.count))
    }
  }

  /// A frame is heard where it comes in and again on the bridge, if it ends there: who hears must know the ports.
  @Test func bridgedPacketsAreHeardOnThePortToo() throws {
    try inNamespace {
      var control = try PacketRing(.control)
      var errors = try PacketRing(.errors)
      try ip("link add bridge address 02:00:00:00:00:77 type bridge")
      try ip("link set bridge up")
      let cable = try Cable()
      try ip("link set w1 master bridge")
      cable.send(ethernet(0x86DD, routerAdvertisement))
      #expect(control.hear(2).map(\.interface) == [cable.far, index(of: "bridge")])
      cable.send(ethernet(0x0800, Rings.portUnreachable, to: [2, 0, 0, 0, 0, 0x77]))
      #expect(errors.hear(1).map(\.interface) == [index(of: "bridge")])
      #expect(errors.counters.packets == 1)
    }
  }

  @Test func whatDoesNotFitAFrameIsCutAndMarked() throws {
    try inNamespace {
      var ring = try PacketRing(.errors)
      let cable = try Cable(mtu: 9000)
      let long = ipv4(1, icmpV4(3, quoting: [UInt8](repeating: 7, count: 3000)))
      let fits = ipv4(1, icmpV4(3, quoting: [UInt8](repeating: 7, count: 1472)))
      cable.send(ethernet(0x0800, long))
      cable.send(ethernet(0x0800, fits))
      let heard = ring.hear(2)
      #expect(heard.map(\.truncated) == [true, false])
      #expect(heard.last?.packet == fits)
      let first = try #require(heard.first?.packet)
      #expect(first.count == PacketRing.longestPacket)
      #expect(first == Array(long.prefix(first.count)))
    }
  }

  /// Errors that a frame is too short for come whole and in their places, over the ring's end too.
  @Test func longErrorsAreWhole() throws {
    try inNamespace {
      var ring = try PacketRing(.errors, size: 4096)
      let cable = try Cable()
      for round in 0..<UInt8(5) {
        let sent = (0..<UInt8(7)).map { number in
          ipv4(1, icmpV4(3, quoting: [UInt8](repeating: round &* 8 + number, count: number % 2 == 0 ? 28 : 1000)))
        }
        for packet in sent { cable.send(ethernet(0x0800, packet)) }
        let heard = ring.hear(7)
        #expect(heard.map(\.packet) == sent)
        #expect(heard.allSatisfy { !$0.truncated })
      }
    }
  }

  @Test func aLimitLeavesTheRestForTheNextBite() throws {
    try inNamespace {
      var ring = try PacketRing(.errors)
      let cable = try Cable()
      for _ in 0..<5 { cable.send(ethernet(0x0800, Rings.portUnreachable)) }
      ring.wait()
      var handed = 0
      #expect(ring.drain(limit: 2) { _, _, _ in handed += 1 } == 2)
      #expect(ring.drain(limit: 0) { _, _, _ in handed += 1 } == 0)
      #expect(ring.drain(limit: 9) { _, _, _ in handed += 1 } == 3)
      #expect(ring.drain(limit: 9) { _, _, _ in handed += 1 } == 0)
      #expect(handed == 5)
    }
  }

  /// A full ring keeps what it has, counts what it drops, starves no other ring, and works on afterwards, over its end.
  @Test func aFloodOfErrorsStarvesNobody() throws {
    try inNamespace {
      var errors = try PacketRing(.errors, size: 16 << 10)
      var control = try PacketRing(.control)
      let frames = (16 << 10) / PacketRing.Kind.errors.frameSize
      let cable = try Cable()
      for round in 1...3 {
        for number in 0..<UInt8(3 * frames) {
          cable.send(
            ethernet(0x86DD, ipv6(58, icmpV6(1, to: hostV6, [0, 0, 0, number] + Rings.noRoute), to: hostV6)))
        }
        cable.send(ethernet(0x86DD, routerAdvertisement))
        #expect(control.hear(1).map(\.packet) == [routerAdvertisement])
        // The oldest are those that are kept.
        #expect(errors.hear(frames).map { $0.packet[47] } == Array(0..<UInt8(frames)))
        errors.refreshDropped()
        #expect(errors.counters.dropped == UInt64(round * 2 * frames))
        #expect(errors.counters.packets == UInt64(round * frames))
      }
      control.refreshDropped()
      #expect(control.counters == RingCounters(packets: 3))
    }
  }

  @Test func lossShowsInTheFramesThatFollow() throws {
    try inNamespace {
      var ring = try PacketRing(.errors, size: 4096)
      let cable = try Cable()
      for _ in 0..<18 { cable.send(ethernet(0x0800, Rings.portUnreachable)) }
      _ = ring.hear(16)
      cable.send(ethernet(0x0800, Rings.portUnreachable))
      _ = ring.hear(1)
      let marked = ring.isLosing
      #expect(marked)
      ring.refreshDropped()
      let stillMarked = ring.isLosing
      #expect(!stillMarked)
      #expect(ring.counters.dropped == 2)
    }
  }

  @Test func thePollerTellsWhenSomethingWaits() throws {
    try inNamespace {
      var ring = try PacketRing(.errors)
      let cable = try Cable()
      var poller = try Poller()
      try poller.add(ring.descriptor.number, token: 42, .read)
      #expect(try poller.wait(milliseconds: 0) == 0)
      cable.send(ethernet(0x0800, Rings.portUnreachable))
      #expect(try poller.wait(milliseconds: 1000) == 1)
      #expect(poller.event(0).token == 42)
      #expect(poller.event(0).isReadable)
      _ = ring.drain(limit: 10) { _, _, _ in }
      #expect(try poller.wait(milliseconds: 0) == 0)
    }
  }
}

@Suite struct Budgets {
  /// A mapped ring is resident from the start.
  @Test func allRingsTogetherFitOneMebibyte() {
    let rings = PacketRing.Kind.allCases.map(\.defaultSize).reduce(0, +)
    #expect(rings <= 1 << 20)
  }
}

/// A datagram from the kernel's own UDP, broadcast out of one interface.
func sendUDP(from source: UInt16, to destination: UInt16, outOf interface: String) throws {
  let socket = Descriptor(taking: try valueOrErrno { CLinux.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0) })
  try socket.setOption(level: SOL_SOCKET, SO_BROADCAST, 1)
  try socket.setOption(level: SOL_SOCKET, SO_REUSEADDR, 1)
  _ = try valueOrErrno {
    unsafe setsockopt(socket.number, SOL_SOCKET, SO_BINDTODEVICE, interface, socklen_t(interface.utf8.count))
  }
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_port = clinux_htons(source)
  let length = socklen_t(MemoryLayout<sockaddr_in>.size)
  _ = try valueOrErrno { unsafe clinux_bind(socket.number, &address, length) }
  address.sin_port = clinux_htons(destination)
  address.sin_addr.s_addr = .max
  _ = try valueOrErrno { unsafe clinux_sendto(socket.number, "request", 7, 0, &address, length) }
}
