import Messages
import PacketBuilders
import Testing
import Wire

@testable import Provisioning

/// Hosts to which prefixes are delegated: the P flag (RFC 9762), several associations and prefixes (RFC 8415, 6.3).
@Suite struct DelegationTests {
  private let one = "up0/ra/fe80::1"
  private static let site = IPv6Address(0x2001_0db8_00ff_0000, 0)

  private func delegated() -> Host {
    let host = Host.withLink()
    delegate(host)
    host.told()
    return host
  }

  private func delegate(_ host: Host) {
    host.hear(Build.dhcpv6(3, Build.identifiers, to: 547), outgoing: true)
    let association = Build.u32(2) + Build.u32(100) + Build.u32(200) + Build.iaPrefix(Self.site, 56)
    host.hear(Build.reply(Build.dhcpv6Option(25, association)))
  }

  private func flags(_ host: Host) -> [UInt8] {
    host.items(.prefixes, of: .routerAdvertisement, in: one).map {
      if case .prefix(_, let flags) = $0.value { flags } else { 0 }
    }
  }

  struct PIO: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let isDelegated: Bool
    let sent: UInt8
    let result: UInt8
  }

  @Test(arguments: [
    PIO(testDescription: "P and A, and a delegated prefix: A is ignored", isDelegated: true, sent: 0xD0, result: 0x90),
    PIO(testDescription: "P and A without a delegated prefix", isDelegated: false, sent: 0xD0, result: 0xD0),
    PIO(testDescription: "A alone and a delegated prefix", isDelegated: true, sent: 0xC0, result: 0xC0),
    PIO(testDescription: "L, A, R and P are kept (RFC 6275, 7.2)", isDelegated: false, sent: 0xF0, result: 0xF0),
  ])
  func `A host with a delegated prefix makes no addresses of a prefix with P (RFC 9762)`(_ pio: PIO) {
    let host = pio.isDelegated ? delegated() : Host.withLink()
    host.hear(Build.ra([Build.pio(prefix(1), flags: pio.sent)], source: fe80(1)))
    #expect(flags(host) == [pio.result])
    host.told()
  }

  /// It makes addresses of it until then, and those live on.
  @Test func `An address that there is before the delegation stays in its PvD`() {
    let host = Host.withLink()
    let address = IPPrefix(v6(0x10), 64)
    host.hear(Build.ra([Build.pio(prefix(1), flags: 0xD0)], source: fe80(1)))
    host.address(address)
    delegate(host)
    host.hear(Build.ra([Build.pio(prefix(1), flags: 0xD0, valid: 10, preferred: 0)], source: fe80(1)))
    #expect(flags(host) == [0xD0])
    #expect(host.items(.prefixes, of: .routerAdvertisement, in: one).map { $0.validLifetime } == [7200])
    #expect(!host.told().contains { $0.hasPrefix("NO_ADDRESS") })
  }
}
