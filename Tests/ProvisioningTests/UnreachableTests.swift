import Messages
import PacketBuilders
import Testing
import Wire

@testable import Provisioning

/// ICMP errors as DEST_UNREACHABLE (RFC 792; RFC 4443; RFC 4555, 4.2.1: a hint, never more).
@Suite struct UnreachableTests {
  private let told = "DEST_UNREACHABLE 192.0.2.10/32 198.51.100.7/32"

  private func error4(
    _ type: UInt8 = 3, _ code: UInt8 = 0, from local: IPv4Address = Build.host4, to far: IPv4Address = Build.far4
  ) -> [UInt8] {
    Build.icmp4(type, code, Build.quote4(6, Build.tcp, source: local, destination: far), destination: local)
  }

  private func error6(_ type: UInt8 = 1, _ code: UInt8 = 0, to far: IPv6Address = Build.far) -> [UInt8] {
    Build.icmp6(type, code, Build.quote6(6, Build.tcp, destination: far))
  }

  private func host(limits: Limits = Limits(), kinds: UnreachableKinds = .default) -> Host {
    let host = Host.withLink(limits: limits, kinds: kinds)
    host.address(IPPrefix(.v4(Build.host4), 24))
    host.address(IPPrefix(.v6(Build.global), 64))
    host.apply(.defaultRoute(Host.route(v4(1))))
    host.told()
    return host
  }

  @Test func `An error is a trigger with the local address and the destination`() {
    let host = host()
    host.hear(error4(3, 1))
    #expect(host.told() == ["ADD \(told)"])
    let origin = host.trigger(.destinationUnreachable)!.origin
    #expect(origin.source == .icmp)
    #expect([origin.icmpType, origin.icmpCode] == [3, 1])
    #expect(origin.count == 1)
    #expect(origin.interface == Host.up0)
    #expect(origin.timestamp == host.moment.timestamp)
    #expect(host.state.domain(origin.pvd)?.name == Array("up0/kernel".utf8))
    host.hear(error6())
    #expect(host.told() == ["ADD DEST_UNREACHABLE 2001:db8:1::100/128 2001:db8:ffff::7/128"])
  }

  @Test func `An error to an address that is not ours is counted`() {
    let host = host()
    host.hear(error4(from: IPv4Address(0xC000_0263)))
    #expect(host.told() == [])
    #expect(host.count(.icmpForeignAddress) == 1)
  }

  /// From the fourth one on, the same bytes are known without being decoded.
  @Test func `The same packet again and again is one trigger, and each counts`() {
    let host = host()
    for number in 1...6 {
      host.hear(error4(3, 1))
      #expect(host.trigger(.destinationUnreachable)?.origin.count == UInt32(number))
      #expect(host.trigger(.destinationUnreachable)?.origin.timestamp == host.moment.timestamp)
    }
    #expect([host.count(.icmpErrors), host.count(.icmpFolded)] == [6, 5])
    host.hear(error4(3, 0))
    host.hear(error4(3, 1))
    host.hear(error4(3, 0))
    #expect(host.trigger(.destinationUnreachable)?.origin.count == 9)
    #expect(host.trigger(.destinationUnreachable)?.origin.icmpCode == 0)
    #expect(host.told() == ["ADD \(told)"])
  }

  @Test func `A packet that differs in a byte from one heard again and again is judged by itself`() {
    let host = host()
    let packet = error4(3, 1)
    for _ in 1...4 { host.hear(packet) }
    for index in packet.indices {
      var changed = packet
      changed[index] ^= 0x01
      host.hear(changed)
      host.hear(packet)
    }
    #expect([host.state.value(.icmpType), host.state.value(.icmpChecksum)] == [1, UInt64(packet.count - 21)])
    #expect(host.count(.icmpErrors) == UInt64(4 + packet.count))
  }

  @Test func `A packet heard again and again is asked about as often as any`() {
    let host = host()
    var asked = 0
    host.verify = { _ in
      asked += 1
      return .live
    }
    let packet = error4(3, 1)
    for _ in 1...20 { host.hear(packet) }
    #expect(asked == 1)
    host.wait(Double(host.state.limits.flowInterval) / 1e9)
    for _ in 1...20 { host.hear(packet) }
    #expect(asked == 2)
    host.verify = { _ in .notOurs }
    host.wait(Double(host.state.limits.flowInterval) / 1e9)
    for _ in 1...20 { host.hear(packet) }
    #expect(host.count(.icmpFlowNotOurs) == 20)
    #expect(host.trigger(.destinationUnreachable)?.origin.count == 40)
  }

  @Test func `A packet heard again and again makes a new trigger once its path was taken back`() {
    let host = host()
    let packet = error4(3, 1)
    for _ in 1...4 { host.hear(packet) }
    host.wait(Double(host.state.limits.holdTime) / 1e9)
    host.told()
    for _ in 1...4 { host.hear(packet) }
    #expect(host.told() == ["ADD \(told)"])
    #expect(host.trigger(.destinationUnreachable)?.origin.count == 4)
  }

  struct Kind: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let type: UInt8
    let code: UInt8
    let isV6: Bool
    let kind: UnreachableKinds
  }

  /// ICMP (RFC 792, RFC 1122 3.2.2.1) and ICMPv6 (RFC 4443, 3) types and codes, and what they say.
  static let kinds =
    [0, 1, 5, 6, 7, 8, 11, 12].map { Kind(testDescription: "3/\($0)", type: 3, code: $0, isV6: false, kind: .network) }
    + [2, 3].map { Kind(testDescription: "3/\($0)", type: 3, code: $0, isV6: false, kind: .protocolOrPort) }
    + [9, 10, 13, 14, 15].map {
      Kind(testDescription: "3/\($0)", type: 3, code: $0, isV6: false, kind: .administrative)
    }
    + [
      Kind(testDescription: "3/4", type: 3, code: 4, isV6: false, kind: .packetTooBig),
      Kind(testDescription: "11/0", type: 11, code: 0, isV6: false, kind: .timeExceeded),
    ]
    + [0, 3, 6].map { Kind(testDescription: "v6 1/\($0)", type: 1, code: $0, isV6: true, kind: .network) }
    + [1, 5].map { Kind(testDescription: "v6 1/\($0)", type: 1, code: $0, isV6: true, kind: .administrative) }
    + [2, 7, 8].map { Kind(testDescription: "v6 1/\($0)", type: 1, code: $0, isV6: true, kind: .other) }
    + [
      Kind(testDescription: "v6 1/4", type: 1, code: 4, isV6: true, kind: .protocolOrPort),
      Kind(testDescription: "v6 2/0", type: 2, code: 0, isV6: true, kind: .packetTooBig),
      Kind(testDescription: "v6 3/0", type: 3, code: 0, isV6: true, kind: .timeExceeded),
    ]

  @Test(arguments: kinds)
  func `Which kinds are told is configurable: network, host and administrative ones by default`(_ kind: Kind) {
    for configured in [UnreachableKinds.default, kind.kind, []] {
      let host = host(kinds: configured)
      host.hear(kind.isV6 ? error6(kind.type, kind.code) : error4(kind.type, kind.code))
      let isTold = configured.contains(kind.kind)
      #expect(host.told().count == (isTold ? 1 : 0))
      #expect(host.count(.icmpKindIgnored) == (isTold ? 0 : 1))
    }
  }

  @Test func `Errors of one path fold into one trigger whose count grows, told at most ten times a second`() {
    let host = host()
    host.hear(error4())
    #expect(host.told() == ["ADD \(told)"])
    var modified = 0
    for _ in 0..<1000 {
      host.wait(0.001)
      host.hear(error4())
      modified += host.told().count { $0 == "MODIFY \(told)" }
    }
    #expect(modified >= 9 && modified <= 10)
    host.wait(0.1)
    host.told()
    #expect(host.trigger(.destinationUnreachable)?.origin.count == 1001)
    #expect(host.state.triggers.count == 5)
    #expect(host.count(.icmpFolded) == 1000)
  }

  @Test func `What was folded is told at the end of the interval, with the latest code and count`() {
    let host = host()
    host.hear(error4(3, 0))
    host.told()
    host.wait(0.05)
    host.hear(error4(3, 13))
    #expect(host.told() == [])
    host.wait(0.049)
    #expect(host.told() == [])
    host.wait(0.001)
    #expect(host.told() == ["MODIFY \(told)"])
    let origin = host.trigger(.destinationUnreachable)!.origin
    #expect(origin.icmpCode == 13)
    #expect(origin.count == 2)
  }

  @Test func `It goes when there was no repeat within the hold time`() {
    let host = host()
    host.hear(error4())
    host.wait(40)
    host.hear(error4())
    host.told()
    host.wait(59.9)
    #expect(host.told() == [])
    host.wait(0.1)
    #expect(host.told() == ["DELETE \(told) expired"])
    #expect(host.state.nextDeadline == .never)
  }

  @Test func `It goes with the local address`() {
    let host = host()
    host.hear(error4())
    host.told()
    host.removeAddress(IPPrefix(.v4(Build.host4), 24))
    #expect(host.toldTriggers().last == "DELETE \(told) contradicted")
    host.wait(60)
    host.told()
    #expect(host.state.nextDeadline == .never)
  }

  @Test(arguments: ["a route comes", "the route goes", "the link goes down", "the link is deleted"])
  func `It is taken back when the route changes`(_ change: String) {
    let host = host()
    host.hear(error4())
    host.told()
    switch change {
    case "a route comes": host.apply(.defaultRoute(Host.route(v4(2))))
    case "the route goes": host.apply(.defaultRouteRemoved(Host.route(v4(1))))
    case "the link goes down": host.link(isUp: false)
    default: host.apply(.linkRemoved(index: Host.up0))
    }
    #expect(host.toldTriggers().contains("DELETE \(told) contradicted"))
  }

  @Test func `Another family's route changes nothing`() {
    let host = host()
    host.hear(error4())
    host.told()
    host.apply(.defaultRoute(Host.route(.v6(fe80(1)), .v6)))
    #expect(!host.toldTriggers().contains("DELETE \(told) contradicted"))
  }

  @Test func `Paths that are taken back are told in the order in which they were told`() {
    let host = host()
    for far in 1...50 as ClosedRange<UInt32> { host.hear(error4(to: IPv4Address(0xC633_6400 + far))) }
    let added = host.told()
    host.link(isUp: false)
    let removed = host.toldTriggers().filter { $0.hasPrefix("DELETE DEST") }
    #expect(removed == added.map { "DELETE" + $0.dropFirst(3) + " contradicted" })
  }

  @Test func `A full table folds into one entry per local address, then counts`() {
    var limits = Limits()
    limits.unreachablePaths = 8
    let host = host(limits: limits)
    for far in 0..<100 as Range<UInt32> { host.hear(error4(to: IPv4Address(0x0A00_0000 + far))) }
    let lines = host.told()
    #expect(lines.count == 9)
    #expect(lines.last == "ADD DEST_UNREACHABLE 192.0.2.10/32 0.0.0.0/0")
    #expect(host.trigger(.destinationUnreachable) != nil)
    // Known paths still fold into their own.
    host.wait(1)
    host.hear(error4(to: IPv4Address(0x0A00_0000)))
    #expect(host.told().last == "MODIFY DEST_UNREACHABLE 192.0.2.10/32 10.0.0.0/32")
    // One entry per local address, up to one and a quarter of the table.
    for local in 100..<120 as Range<UInt32> {
      host.address(IPPrefix(v4(local), 24))
      host.hear(error4(from: IPv4Address(0xC000_0200 | local)))
    }
    host.told()
    #expect(host.state.unreachable.count == 10)
    #expect(host.count(.icmpPathsFull) == 19)
    host.wait(60)
    host.told()
    #expect(host.state.unreachable.count == 0)
    host.hear(error4())
    #expect(host.told() == ["ADD \(told)"])
  }

  @Test func `The entry for all further destinations says what was heard last, also again and again`() {
    var limits = Limits()
    limits.unreachablePaths = 4
    let host = host(limits: limits)
    for far in 1...4 as ClosedRange<UInt32> { host.hear(error4(to: IPv4Address(0x0A00_0000 + far))) }
    let all = IPv4Address.unspecified
    for _ in 1...4 { host.hear(error4(3, 0, to: all)) }
    host.hear(error4(3, 1, to: IPv4Address(0x0A00_0005)))
    #expect(host.state.triggers.first(.destinationUnreachable, .v4(all))?.origin.icmpCode == 1)
    host.hear(error4(3, 0, to: all))
    #expect(host.state.triggers.first(.destinationUnreachable, .v4(all))?.origin.icmpCode == 0)
    #expect(host.state.triggers.first(.destinationUnreachable, .v4(all))?.origin.count == 6)
  }

  @Test func `In a capture file every address that an error is sent to counts as ours`() {
    let host = Host.withLink()
    host.state.assumesAddresses = true
    host.hear(error4())
    #expect(host.told() == ["ADD \(told)"])
  }
}
