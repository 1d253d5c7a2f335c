import Messages
import PacketBuilders
import Testing
import Wire

@testable import Provisioning

/// Which ICMP errors are believed where their flows are asked for (RFC 5927, 4), and how often that is asked.
@Suite struct FlowTests {
  /// Remembers what was asked; the flows whose port stands in `live` are live.
  private final class Flows {
    var live: Set<UInt16> = []
    var isUnknown = false
    var asked: [FlowQuestion] = []

    func verdict(_ question: FlowQuestion) -> FlowVerdict {
      asked.append(question)
      guard case .tcp(let port, _, _) = question.error.flow else { return .notOurs }
      return isUnknown ? .unverified : live.contains(port) ? .live : .notOurs
    }
  }

  private let flows = Flows()
  private let told = "DEST_UNREACHABLE 192.0.2.10/32 198.51.100.7/32"

  private func host(_ limits: Limits = Limits(), kinds: UnreachableKinds = .default) -> Host {
    let host = Host.withLink(limits: limits, kinds: kinds)
    host.address(IPPrefix(.v4(Build.host4), 24))
    host.address(IPPrefix(.v6(Build.global), 64))
    host.told()
    host.verify = flows.verdict
    return host
  }

  private func error(_ port: UInt16, sequence: UInt32 = 1, to far: IPv4Address = Build.far4) -> [UInt8] {
    let transport = Build.u16(Int(port)) + Build.u16(443) + Build.u32(sequence)
    return Build.icmp4(3, 0, Build.quote4(6, transport, destination: far))
  }

  @Test func `What is not live, or not known to be, is counted and told to nobody`() {
    let host = host()
    host.hear(error(1))
    #expect(host.told() == [] && host.count(.icmpFlowNotOurs) == 1)
    flows.isUnknown = true
    host.hear(error(1))
    #expect(host.told() == [] && host.count(.icmpFlowUnverified) == 1)
    (flows.isUnknown, flows.live) = (false, [1])
    host.hear(error(1))
    #expect(host.told() == ["ADD \(told)"])
    #expect(flows.asked.map(\.isRenewal) == [false, false, false] && flows.asked.last?.interface == Host.up0)
  }

  @Test func `Repeats of a live flow are asked for once a second`() {
    let host = host()
    flows.live = [1]
    for number in 0..<3000 as Range<UInt32> {
      host.hear(error(1, sequence: number))
      host.wait(0.001)
    }
    host.told()
    #expect(flows.asked.map(\.isRenewal) == [false, true, true])
    #expect(host.trigger(.destinationUnreachable)?.origin.count == 3000)
  }

  @Test func `Forged repeats neither count, nor change what is told, nor keep it standing`() {
    let host = host()
    flows.live = [1]
    host.hear(error(1))
    host.told()
    for number in 0..<600 as Range<UInt16> {
      host.hear(error(2 + number))
      host.wait(0.0995)
      #expect(host.told() == [])
    }
    #expect(host.trigger(.destinationUnreachable)?.origin.count == 1)
    host.wait(0.5)
    #expect(host.told() == ["DELETE \(told) expired"])
    #expect(host.count(.icmpFlowNotOurs) == 600 && host.count(.icmpFolded) == 0)
  }

  @Test func `Another live flow of the path keeps it as well`() {
    let host = host()
    flows.live = [1, 2]
    host.hear(error(1))
    host.hear(error(2))
    host.hear(error(2))
    #expect(host.trigger(.destinationUnreachable)?.origin.count == 3)
    #expect(flows.asked.map(\.isRenewal) == [false, false])
  }

  @Test func `In the wildcard entry of a full table each destination is asked for`() {
    var limits = Limits()
    limits.unreachablePaths = 4
    let host = host(limits)
    flows.live = [1]
    for far in 10..<14 as Range<UInt32> { host.hear(error(1, to: IPv4Address(far))) }
    flows.asked = []
    for far in [1, 2, 2] as [UInt32] { host.hear(error(1, to: IPv4Address(far))) }
    #expect(flows.asked.count == 3 && flows.asked.allSatisfy { !$0.isRenewal })
    #expect(host.count(.icmpFolded) == 2)
  }

  @Test func `What is ignored anyway is not asked for`() {
    let host = host()
    host.hear(Build.icmp4(3, 3, Build.quote4(6, Build.tcp)))
    host.hear(Build.icmp4(3, 0, Build.quote4(6, Build.tcp, source: Build.far4), destination: Build.far4))
    #expect(flows.asked.isEmpty)
  }

  /// The kernel tells the host itself over the loopback interface.
  @Test func `An error of the host's own is about the interface that holds the address`() {
    let host = host()
    host.apply(.link(Link(index: 1, name: InterfaceName("lo".utf8), isUp: true, hasCarrier: true, isLoopback: true)))
    host.hear(error(1), on: 1)
    #expect(flows.asked.map(\.otherInterface) == [Host.up0])
  }

  @Test(arguments: [(67, true), (68, false), (0, false), (1280, false)] as [(UInt32, Bool)])
  func `IPv4: an MTU below 68 is refused (RFC 791, 3.2), none at all is not`(_ mtu: UInt32, _ isRefused: Bool) {
    let host = host(kinds: .packetTooBig)
    host.hear(Build.icmp4(3, 4, Build.quote4(6, Build.tcp), rest: Build.u32(mtu)))
    #expect(host.count(.icmpBelowLeastMTU) == (isRefused ? 1 : 0))
    #expect(flows.asked.count == (isRefused ? 0 : 1))
  }

  @Test(arguments: [(1279, true), (1280, false), (1, true)] as [(UInt32, Bool)])
  func `IPv6: an MTU below 1280 is discarded (RFC 8201, 4)`(_ mtu: UInt32, _ isRefused: Bool) {
    let host = host(kinds: .packetTooBig)
    host.hear(Build.icmp6(2, 0, Build.quote6(6, Build.tcp), rest: Build.u32(mtu)))
    #expect(host.count(.icmpBelowLeastMTU) == (isRefused ? 1 : 0))
    #expect(flows.asked.count == (isRefused ? 0 : 1))
  }
}
