import CNetlink
import Messages
import Provisioning
import Testing
import Wire

@testable import Kernel

/// Writes one rtnetlink message, in host order as the kernel does.
struct MessageBytes {
  var type: Int
  var flags: UInt16 = 0
  var body: [UInt8]

  init(_ type: Int, _ header: [UInt8], _ attributes: [[UInt8]] = []) {
    self.type = type
    body = header
    for attribute in attributes {
      body += attribute
      while body.count % 4 != 0 { body.append(0) }
    }
  }

  static func host<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    unsafe withUnsafeBytes(of: value) { unsafe Array($0) }
  }
  static func attribute(_ type: UInt16, _ payload: [UInt8]) -> [UInt8] {
    host(UInt16(4 + payload.count)) + host(type) + payload
  }

  var bytes: [UInt8] {
    Self.host(UInt32(16 + body.count)) + Self.host(UInt16(type)) + Self.host(flags) + Self.host(UInt32(1))
      + Self.host(UInt32(0)) + body
  }

  func decode<Result>(_ decode: (Message) -> Result) -> Result {
    let bytes = bytes
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
    defer { unsafe buffer.deallocate() }
    unsafe buffer.copyBytes(from: bytes)
    return decode(unsafe Message(unsafe: buffer.baseAddress!.assumingMemoryBound(to: nlmsghdr.self)))
  }
}

@Suite("Decoding of rtnetlink")
struct DecodingTests {
  typealias Bytes = MessageBytes

  static func route(_ attributes: [[UInt8]], family: UInt8 = 2, source: UInt8 = 0, type: UInt8 = 1) -> MessageBytes {
    // rtm_family, dst_len, src_len, tos, table, protocol, scope, type, flags
    Bytes(RTM_NEWROUTE, [family, 0, source, 0, 254, 3, 0, type, 0, 0, 0, 0], attributes)
  }

  static let gateway: [UInt8] = [192, 0, 2, 254]
  static let gateway4 = IPAddress.v4(IPv4Address(0xC000_02FE))
  static let gateway6 = IPAddress.v6(IPv6Address(0xFE80_0000_0000_0000, 0xFE))
  static let bytes6: [UInt8] = [0xFE, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFE]

  @Test("a route's attributes")
  func routeAttributes() throws {
    let message = Self.route([
      Bytes.attribute(15, Bytes.host(UInt32(1000))), Bytes.attribute(6, Bytes.host(UInt32(100))),
      Bytes.attribute(7, [192, 0, 2, 1]), Bytes.attribute(5, Self.gateway), Bytes.attribute(4, Bytes.host(UInt32(3))),
      Bytes.attribute(30, Bytes.host(UInt32(42))),
    ])
    guard case .value(let route) = message.decode(Decoding.route) else {
      Issue.record("not decoded")
      return
    }
    #expect(route.key.table == 1000)
    #expect(route.key.metric == 100)
    #expect(route.preferredSource == .v4(IPv4Address(0xC000_0201)))
    #expect(route.hops == [Hop(interface: 3, gateway: Self.gateway4)])
    #expect(route.nexthopObject == 42)
    #expect(route.isUnicast)
  }

  @Test("next hops: several, dead ones, one through the other family")
  func nextHops() throws {
    let hops =
      // rtnh_len, rtnh_flags (RTNH_F_DEAD), rtnh_hops, rtnh_ifindex
      Bytes.host(UInt16(16)) + [1, 0] + Bytes.host(UInt32(3)) + Bytes.attribute(5, Self.gateway)
      + Bytes.host(UInt16(30)) + [0, 0] + Bytes.host(UInt32(4))
      + Bytes.attribute(18, Bytes.host(UInt16(10)) + Self.bytes6) + [0, 0]
      + Bytes.host(UInt16(8)) + [0, 0] + Bytes.host(UInt32(5))
    guard case .value(let route) = Self.route([Bytes.attribute(9, hops)]).decode(Decoding.route) else {
      Issue.record("not decoded")
      return
    }
    #expect(
      route.hops == [
        Hop(interface: 3, gateway: Self.gateway4, isDead: true), Hop(interface: 4, gateway: Self.gateway6),
        Hop(interface: 5, gateway: nil),
      ])
  }

  static let malformedHops: [(String, [UInt8])] = [
    ("a next hop shorter than its header", Bytes.host(UInt16(4)) + [0, 0] + Bytes.host(UInt32(3))),
    ("a next hop of length 0", Bytes.host(UInt16(0)) + [0, 0] + Bytes.host(UInt32(3))),
    ("a next hop longer than what holds it", Bytes.host(UInt16(32)) + [0, 0] + Bytes.host(UInt32(3))),
    ("a piece of a next hop", [8, 0, 0]),
  ]
  @Test(arguments: malformedHops)
  func malformed(_ name: String, _ hops: [UInt8]) {
    guard case .malformed = Self.route([Bytes.attribute(9, hops)]).decode(Decoding.route) else {
      Issue.record("\(name): taken for a route")
      return
    }
  }

  @Test("cut short anywhere, a message is refused or says less, and is never read past its end")
  func truncated() {
    let link = Bytes(
      RTM_NEWLINK, [0, 0, 1, 0] + Bytes.host(UInt32(3)) + Bytes.host(UInt32(0x41)) + Bytes.host(UInt32(0)),
      [Bytes.attribute(3, Array("up1".utf8) + [0]), Bytes.attribute(1, [2, 0, 0, 0, 0, 1])])
    let address = Bytes(
      RTM_NEWADDR, [10, 64, 0, 0] + Bytes.host(UInt32(3)), [Bytes.attribute(1, Self.bytes6), Bytes.attribute(6, [0])])
    let route = Self.route([Bytes.attribute(9, Bytes.host(UInt16(16)) + [0, 0] + Bytes.host(UInt32(3)))])
    let neighbour = Bytes(
      RTM_NEWNEIGH, [2, 0, 0, 0] + Bytes.host(UInt32(3)) + [2, 0, 0, 0], [Bytes.attribute(1, Self.gateway)])
    for whole in [link, address, route, neighbour] {
      for count in 0..<whole.body.count {
        var cut = whole
        cut.body = Array(whole.body.prefix(count))
        switch whole.type {
        case RTM_NEWLINK: if case .value(let link) = cut.decode(Decoding.link) { #expect(link.index == 3) }
        case RTM_NEWADDR:
          if case .value(let address) = cut.decode(Decoding.address) { #expect(address.value.interface == 3) }
        case RTM_NEWROUTE: if case .value(let route) = cut.decode(Decoding.route) { #expect(route.hops.isEmpty) }
        default: if case .value = cut.decode(Decoding.neighbour) { Issue.record("a neighbour without an address") }
        }
      }
    }
  }

  @Test("what is somebody else's: a bridge's port, a wireless event, a cloned route, another family's address")
  func others() {
    let header = Bytes.host(UInt32(3)) + Bytes.host(UInt32(0)) + Bytes.host(UInt32(0))
    let name = Bytes.attribute(3, Array("up1".utf8) + [0])
    guard case .other = Bytes(RTM_NEWLINK, [7, 0, 1, 0] + header, [name]).decode(Decoding.link),
      case .other = Bytes(RTM_DELLINK, [7, 0, 1, 0] + header, [name]).decode(Decoding.linkIndex),
      case .other = Bytes(RTM_NEWLINK, [0, 0, 1, 0] + header, [Bytes.attribute(11, [1, 2, 3, 4])]).decode(Decoding.link),
      case .other = Bytes(RTM_NEWROUTE, [2, 0, 0, 0, 254, 3, 0, 1] + Bytes.host(UInt32(0x200))).decode(Decoding.route),
      case .other = Bytes(RTM_NEWADDR, [45, 8, 0, 0] + Bytes.host(UInt32(3))).decode(Decoding.address)
    else {
      Issue.record("taken for ours")
      return
    }
  }

  static let ports: [(String, kind: String, table: [UInt8], UInt32)] = [
    ("a VRF's port has the VRF's table", "vrf", Bytes.host(UInt32(10)), 10),
    ("a bridge's port has the main one, whatever else its attribute 1 is", "bridge", Bytes.host(UInt32(10)), 254),
    ("a table of two bytes is none", "vrf", [10, 0], 254),
  ]
  @Test("the routing table of a link", arguments: ports)
  func routingTable(_ name: String, _ kind: String, _ table: [UInt8], _ expected: UInt32) {
    // IFLA_IFNAME; IFLA_LINKINFO with IFLA_INFO_SLAVE_KIND and IFLA_INFO_SLAVE_DATA, marked as nested.
    let port = Bytes(
      0, [], [Bytes.attribute(4, Array(kind.utf8) + [0]), Bytes.attribute(5, Bytes.attribute(1, table))])
    let message = Bytes(
      RTM_NEWLINK, [0, 0, 1, 0] + Bytes.host(UInt32(3)) + Bytes.host(UInt32(0x41)) + Bytes.host(UInt32(0)),
      [Bytes.attribute(3, Array("up1".utf8) + [0]), Bytes.attribute(0x8012, port.body)])
    guard case .value(let link) = message.decode(Decoding.link) else {
      Issue.record("\(name): not decoded")
      return
    }
    #expect(link.routingTable == expected, "\(name)")
  }

  static let masters: [(String, kind: String, master: UInt32, handsFramesOn: Bool)] = [
    ("a bridge's port", "bridge", 7, true), ("a bond's port", "bond", 7, true), ("a team's port", "team", 7, true),
    ("a port of something new", "new", 7, true), ("a port of who does not say what it is", "", 7, true),
    ("a VRF's port", "vrf", 7, false), ("a port of batman-adv", "batadv", 7, false), ("no port", "", 0, false),
  ]
  @Test("where the frames of a link end", arguments: masters)
  func master(_ name: String, _ kind: String, _ master: UInt32, _ handsFramesOn: Bool) {
    let port = Bytes(0, [], [Bytes.attribute(4, Array(kind.utf8) + [0])])
    // IFLA_IFNAME, IFLA_MASTER, IFLA_LINKINFO.
    let message = Bytes(
      RTM_NEWLINK, [0, 0, 1, 0] + Bytes.host(UInt32(3)) + Bytes.host(UInt32(0x41)) + Bytes.host(UInt32(0)),
      [
        Bytes.attribute(3, Array("up1".utf8) + [0]), Bytes.attribute(10, Bytes.host(master)),
        Bytes.attribute(0x8012, kind.isEmpty ? [] : port.body),
      ])
    guard case .value(let link) = message.decode(Decoding.link) else {
      Issue.record("\(name): not decoded")
      return
    }
    #expect(link.master == master, "\(name)")
    #expect(link.handsFramesOn == handsFramesOn, "\(name)")
  }

  static let flags: [(String, UInt32, InterfaceAddress.Flags)] = [
    ("IFA_F_PERMANENT", 0x80, .permanent),
    ("IFA_F_TENTATIVE", 0x40, .tentative),
    ("IFA_F_TENTATIVE with IFA_F_OPTIMISTIC: usable (RFC 4429, 3.3)", 0x44, []),
    ("IFA_F_DADFAILED", 0x48, [.tentative, .duplicate]),
    ("IFA_F_DEPRECATED", 0x20, .deprecated),
    ("IFA_F_TEMPORARY", 0x01, .temporary),
  ]
  @Test(arguments: flags)
  func addressFlags(_ name: String, _ number: UInt32, _ expected: InterfaceAddress.Flags) {
    let message = Bytes(
      RTM_NEWADDR, [10, 64, 0, 0] + Bytes.host(UInt32(3)),
      [Bytes.attribute(1, Self.bytes6), Bytes.attribute(8, Bytes.host(number)), Bytes.attribute(11, [2])])
    guard case .value(let address) = message.decode(Decoding.address) else {
      Issue.record("\(name): not decoded")
      return
    }
    // IFA_PROTO 2 is IFAPROT_KERNEL_RA.
    #expect(address.value.flags == expected.union(.advertised), "\(name)")
    #expect(address.value.prefix == IPPrefix(Self.gateway6, 64))
  }

  static let states: [(UInt16, String)] = [
    (0x01, "asking"), (0x02, "reachable"), (0x04, "unknown"), (0x08, "unknown"), (0x10, "unknown"), (0x20, "failed"),
    (0x40, "reachable"), (0x80, "reachable"), (0x00, "unknown"),
  ]
  @Test("NUD_*", arguments: states)
  func neighbourStates(_ state: UInt16, _ expected: String) {
    let message = Bytes(
      RTM_NEWNEIGH, [2, 0, 0, 0] + Bytes.host(UInt32(3)) + Bytes.host(state) + [0x80, 1],
      [Bytes.attribute(1, Self.gateway)])
    guard case .value(let neighbour) = message.decode(Decoding.neighbour) else {
      Issue.record("not decoded")
      return
    }
    #expect(neighbour.isRouter)
    #expect(neighbour.key == NeighbourKey(interface: 3, address: Self.gateway4))
    switch neighbour.sighting {
    case .asking: #expect(expected == "asking")
    case .state(let reachability): #expect(expected == "\(reachability)")
    }
  }

  @Test("hardware addresses: the first byte highest, none of more than 8 bytes")
  func hardwareAddress() {
    for (bytes, value, length) in [
      ([0x02, 0, 0, 0, 0, 1], 0x0200_0000_0001_0000, 6), ([1, 2, 3, 4, 5, 6, 7, 8], 0x0102_0304_0506_0708, 8),
      ([UInt8](repeating: 9, count: 20), 0, 0), ([], 0, 0),
    ] as [([UInt8], UInt64, UInt8)] {
      let message = Bytes(
        RTM_NEWLINK, [0, 0, 1, 0] + Bytes.host(UInt32(3)) + Bytes.host(UInt32(0)) + Bytes.host(UInt32(0)),
        [Bytes.attribute(3, Array("up1".utf8) + [0]), Bytes.attribute(1, bytes)])
      guard case .value(let link) = message.decode(Decoding.link) else {
        Issue.record("not decoded")
        continue
      }
      #expect(link.hardwareAddress == value)
      #expect(link.hardwareAddressLength == length)
      #expect(link.name == InterfaceName("up1".utf8))
    }
  }
}
