import CLinux
import Platform
import Testing
import Wire

@testable import Capture

@Suite(.enabled(if: canMakeNamespaces, "needs root, network namespaces and iproute2"))
struct Taps {
  static let discover = ipv4(17, udp(from: 68, to: 67))
  static let solicit = ipv6(17, udp(from: 546, to: 547))

  @Test func requestsGoingOutAreHeardOnTheirInterfaceOnly() throws {
    try inNamespace {
      let cable = try Cable()
      var tap = try ClientTap(interface: cable.near)
      var other = try ClientTap(interface: cable.far)
      cable.send(ethernet(0x0800, Taps.discover))
      cable.send(ethernet(0x86DD, Taps.solicit))
      cable.send(ethernet(0x0800, ipv4(17, udp(from: 67, to: 68))))
      cable.send(ethernet(0x0800, ipv4(1, icmpV4(3))))
      // What comes in is no request of ours.
      cable.send(ethernet(0x0800, Taps.discover), outOf: cable.far)
      let heard = tap.hear(2)
      #expect(heard.map(\.packet) == [Taps.discover, Taps.solicit])
      #expect(heard.map(\.family) == [.v4, .v6])
      #expect(heard.map(\.outgoing) == [true, true])
      #expect(heard.map(\.interface) == [cable.near, cable.near])
      #expect(other.hear(1).map(\.interface) == [cable.far])
    }
  }

  /// Clients without an address send through packet sockets, cooked or raw, those with one through UDP.
  @Test func requestsOfEverySocketKindAreHeard() throws {
    try inNamespace {
      let cable = try Cable()
      try ip("addr add 192.0.2.1/24 dev w0")
      var tap = try ClientTap(interface: cable.near)
      try sendUDP(from: 68, to: 67, outOf: "w0")
      try sendCooked(Taps.discover, etherType: 0x0800, outOf: cable.near)
      cable.send(ethernet(0x0800, Taps.discover))
      let heard = tap.hear(3)
      // The kernel's own UDP leaves the checksum to the card.
      #expect(heard.map(\.checksum) == [.notReady, .ready, .ready])
      #expect(heard.dropFirst().map(\.packet) == [Taps.discover, Taps.discover])
      #expect(heard.first?.packet.first == 0x45)
    }
  }

  @Test func anInterfaceThatGoesDownAndComesUpIsHeardAgain() throws {
    try inNamespace {
      let cable = try Cable()
      try ip("link set w0 down")
      var tap = try ClientTap(interface: cable.near)
      let error = tap.takeError()
      #expect(error == .networkDown)
      let another = tap.takeError()
      #expect(another == nil)
      try ip("link set w0 up")
      try cable.awaitCarrier()
      cable.send(ethernet(0x0800, Taps.discover))
      #expect(tap.hear(1).count == 1)
      try ip("link set w0 down")
      try ip("link set w0 up")
      try cable.awaitCarrier()
      cable.send(ethernet(0x86DD, Taps.solicit))
      #expect(tap.hear(1).count == 1)
    }
  }

  @Test func anInterfaceThatDoesNotExistIsRefused() throws {
    try inNamespace {
      let refusal = #expect(throws: SystemFailure.self) { _ = try ClientTap(interface: 4711) }
      #expect(refusal?.errno == .noDevice)
    }
  }
}

/// Asks in a namespace of its own, where nobody else's clients run.
@Suite(.enabled(if: canMakeNamespaces, "needs root, network namespaces and iproute2"))
struct Probe {
  private func sightings(ignoring taps: [UInt64] = []) throws -> Set<DHCPClientSighting> {
    var found: Set<DHCPClientSighting> = []
    let answered = try DHCPClientProbe.ask(ignoring: taps) { found.insert($0) }
    #expect(answered == .everything)
    return found
  }

  @Test func nobodyThere() throws {
    try inNamespace {
      let found = try sightings()
      #expect(found == [])
    }
  }

  @Test func packetSocketsOfClientsAndOfOthers() throws {
    try inNamespace {
      let cable = try Cable()
      let quiet = try Cable("q")
      // dhclient and dhcpcd listen to everything, systemd-networkd to IP; lldpd and supplicants to neither.
      let all = try packetSocket(UInt16(ETH_P_ALL), cable.near)
      let ipOnly = try packetSocket(UInt16(ETH_P_IP), cable.far)
      let lldp = try packetSocket(UInt16(ETH_P_LLDP), quiet.near)
      let everywhere = try packetSocket(UInt16(ETH_P_ALL), 0)
      #expect(try sightings() == [.interface(cable.near), .interface(cable.far)])
      for socket in [all.number, ipOnly.number, lldp.number, everywhere.number] { #expect(socket > 0) }
    }
  }

  @Test func ourOwnSocketsAreNoClients() throws {
    try inNamespace {
      let cable = try Cable()
      let ring = try PacketRing(.control)
      let tap = try ClientTap(interface: cable.near)
      #expect(try sightings(ignoring: [tap.inode]) == [])
      #expect(try sightings() == [.interface(cable.near)])
      #expect(tap.inode != (try ring.descriptor.inode()))
    }
  }

  @Test func datagramSocketsByInterfaceByAddressAndByNeither() throws {
    try inNamespace {
      let cable = try Cable()
      try ip("addr add 192.0.2.1/24 dev w0")
      try ip("-6 addr add fe80::1/64 dev w1 nodad")
      let toDevice = try udpSocket(AF_INET, port: 68, device: "w0")
      #expect(try sightings() == [.interface(cable.near)])
      let toAddress = try udpSocket(AF_INET, port: 68, address: [192, 0, 2, 1])
      #expect(try sightings() == [.interface(cable.near), .address(.v4(IPv4Address(0xC000_0201)))])
      let toNothing = try udpSocket(AF_INET, port: 68)
      let toLinkLocal = try udpSocket(AF_INET6, port: 546, address: routerV6, scope: cable.far)
      let toNothingV6 = try udpSocket(AF_INET6, port: 546)
      let unrelated = try udpSocket(AF_INET, port: 67)
      #expect(
        try sightings() == [
          .interface(cable.near), .address(.v4(IPv4Address(0xC000_0201))), .anywhere(.v4), .interface(cable.far),
          .anywhere(.v6),
        ])
      for socket in [
        toDevice.number, toAddress.number, toNothing.number, toLinkLocal.number, toNothingV6.number, unrelated.number,
      ] { #expect(socket > 0) }
    }
  }

  /// More sockets than one datagram of the kernel's has room for.
  @Test func manySockets() throws {
    try inNamespace {
      let cable = try Cable()
      var sockets: [Int32] = []
      for _ in 0..<150 { sockets.append(try openPacketSocket(UInt16(ETH_P_ALL), cable.near)) }
      defer { for socket in sockets { close(socket) } }
      var count = 0
      let answered = try DHCPClientProbe.ask(ignoring: []) { _ in count += 1 }
      #expect(answered == .everything)
      #expect(count == 150)
    }
  }
}

private func sendCooked(_ packet: [UInt8], etherType: UInt16, outOf interface: UInt32) throws {
  let socket = Descriptor(taking: try valueOrErrno { CLinux.socket(AF_PACKET, Int32(SOCK_DGRAM.rawValue), 0) })
  var address = sockaddr_ll()
  address.sll_family = UInt16(AF_PACKET)
  address.sll_protocol = clinux_htons(etherType)
  address.sll_ifindex = Int32(interface)
  address.sll_halen = 6
  address.sll_addr = (255, 255, 255, 255, 255, 255, 0, 0)
  let sent = unsafe packet.withUnsafeBytes {
    unsafe clinux_sendto(
      socket.number, $0.baseAddress, $0.count, 0, &address, socklen_t(MemoryLayout<sockaddr_ll>.size))
  }
  #expect(sent == packet.count)
}

private func openPacketSocket(_ etherType: UInt16, _ interface: UInt32) throws -> Int32 {
  let number = try valueOrErrno { socket(AF_PACKET, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue), 0) }
  var address = sockaddr_ll()
  address.sll_family = UInt16(AF_PACKET)
  address.sll_protocol = clinux_htons(etherType)
  address.sll_ifindex = Int32(interface)
  _ = try valueOrErrno { unsafe clinux_bind(number, &address, socklen_t(MemoryLayout<sockaddr_ll>.size)) }
  return number
}

private func packetSocket(_ etherType: UInt16, _ interface: UInt32) throws -> Descriptor {
  Descriptor(taking: try openPacketSocket(etherType, interface))
}

private func udpSocket(
  _ family: Int32, port: UInt16, address: [UInt8] = [], scope: UInt32 = 0, device: String? = nil
) throws -> Descriptor {
  let socket = Descriptor(
    taking: try valueOrErrno { CLinux.socket(family, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0) })
  try socket.setOption(level: SOL_SOCKET, SO_REUSEADDR, 1)
  if let device {
    _ = try valueOrErrno {
      unsafe setsockopt(socket.number, SOL_SOCKET, SO_BINDTODEVICE, device, socklen_t(device.utf8.count))
    }
  }
  if family == AF_INET {
    var local = sockaddr_in()
    local.sin_family = sa_family_t(AF_INET)
    local.sin_port = clinux_htons(port)
    unsafe withUnsafeMutableBytes(of: &local.sin_addr) { unsafe $0.copyBytes(from: address) }
    _ = try valueOrErrno { unsafe clinux_bind(socket.number, &local, socklen_t(MemoryLayout<sockaddr_in>.size)) }
  } else {
    try socket.setOption(level: Int32(IPPROTO_IPV6), IPV6_V6ONLY, 1)
    var local = sockaddr_in6()
    local.sin6_family = sa_family_t(AF_INET6)
    local.sin6_port = clinux_htons(port)
    local.sin6_scope_id = scope
    unsafe withUnsafeMutableBytes(of: &local.sin6_addr) { unsafe $0.copyBytes(from: address) }
    _ = try valueOrErrno { unsafe clinux_bind(socket.number, &local, socklen_t(MemoryLayout<sockaddr_in6>.size)) }
  }
  return socket
}
