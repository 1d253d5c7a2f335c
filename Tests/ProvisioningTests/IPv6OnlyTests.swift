import Messages
import PacketBuilders
import Testing
import Wire

@testable import Provisioning

/// Option 108 (RFC 8925): a host that can live without IPv4 gives it up where the network asks for that.
@Suite struct IPv6OnlyTests {
  private let address = IPPrefix(v4(10), 24)
  private var route: DefaultRoute { Host.route(v4(1)) }

  private func request(_ type: UInt8 = 3, asks: Bool = true) -> [UInt8] {
    let list: [UInt8] = asks ? [55, 3, 1, 3, 108] : [55, 2, 1, 3]
    return Build.udp4(
      Build.dhcpv4Message([53, 1, type] + list + [255], operation: 1, yourAddress: .unspecified), to: 67)
  }

  private func reply(_ type: UInt8 = 5, wait: UInt32?) -> [UInt8] {
    let option = wait.map { [108, 4] + Build.u32($0) } ?? []
    return Build.udp4(
      Build.dhcpv4Message(Build.fromServer(type) + [51, 4] + Build.u32(3600) + option + [255]), to: 68)
  }

  /// A host with IPv4 whose client asked, maybe for option 108 too.
  private func connected(asks: Bool = true) -> Host {
    let host = Host.withLink()
    host.address(address)
    host.apply(.defaultRoute(route))
    host.hear(request(asks: asks), outgoing: true)
    host.told()
    return host
  }

  struct End: Sendable, CustomTestStringConvertible {
    let testDescription: String
    var asks = true
    var type: UInt8 = 5
    var wait: UInt32? = 1800
    var after: Double = 1
    let isLost: Bool
  }

  @Test(arguments: [
    End(testDescription: "an ACK with it (3.2)", isLost: false),
    End(testDescription: "an OFFER with it (3.2)", type: 2, isLost: false),
    End(testDescription: "a client that did not ask for it (3.2)", asks: false, isLost: true),
    End(testDescription: "an ACK without it", wait: nil, isLost: true),
    End(testDescription: "after V6ONLY_WAIT", after: 1800, isLost: true),
    End(testDescription: "V6ONLY_WAIT is at least MIN_V6ONLY_WAIT (3.4)", wait: 0, after: 299, isLost: false),
    End(testDescription: "and no more than it", wait: 0, after: 300, isLost: true),
  ])
  func `IPv4 that ends because of option 108 is no lost connection`(_ end: End) {
    let host = connected(asks: end.asks)
    host.hear(reply(end.type, wait: end.wait))
    host.wait(end.after)
    host.told()
    host.removeAddress(address)
    let told = host.toldTriggers()
    #expect(told.contains { $0.hasPrefix("DELETE CONN_ESTABLISHED") })
    #expect(told.contains { $0.hasPrefix("ADD CONN_LOST") } == end.isLost)
  }

  @Test func `What ends otherwise meanwhile is lost: a gateway that fails, a link without carrier`() {
    let host = connected()
    host.hear(reply(wait: 1800))
    host.apply(.neighbour(interface: Host.up0, v4(1), .failed))
    #expect(host.toldTriggers().contains("ADD CONN_LOST \(text(address))"))
    host.apply(.neighbour(interface: Host.up0, v4(1), .reachable))
    host.told()
    host.link(hasCarrier: false)
    #expect(host.toldTriggers().contains("ADD CONN_LOST \(text(address))"))
  }

  @Test func `The network may change its mind with the next answer`() {
    let host = connected()
    host.hear(reply(wait: 1800))
    host.hear(reply(wait: nil))
    host.removeAddress(address)
    #expect(host.toldTriggers().contains("ADD CONN_LOST \(text(address))"))
  }
}
