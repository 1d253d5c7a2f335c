import CLinux
import Platform
import Provisioning
import Testing
import Wire

@testable import Flows

/// Real sockets of this host, asked for as an ICMP error's quote would.
@Suite(.enabled(if: hasRoot)) struct KernelFlowsTests {
  /// Both ends are this host's; nothing need arrive.
  struct Ends: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var local: IPAddress
    var remote: IPAddress
  }

  static let families = [
    Ends(testDescription: "IPv4", local: .v4(IPv4Address(0x7F00_0001)), remote: .v4(IPv4Address(0x7F00_0002))),
    Ends(testDescription: "IPv6", local: .v6(IPv6Address(0, 1)), remote: .v6(IPv6Address(0x2001_0db8_0000_0000, 2))),
  ]

  private static func setUp() throws {
    try ip("address add 2001:db8::2/128 dev lo nodad")
    try ip("link add up0 type veth peer name up1")
    try ip("link set up0 up")
    try ip("link set up1 up")
  }

  private static func ask(
    _ kernel: inout KernelFlows, _ ends: Ends, _ number: Int, _ transport: [UInt8], interface: UInt32 = 1,
    other: UInt32 = 0, _ association: SecurityAssociations.Answer = .noneAtAll
  ) throws -> FlowAnswer {
    let number = UInt8(number)
    let error = try error(number, transport, from: ends.local, to: ends.remote)
    return kernel.ask(FlowQuestion(error: error, interface: interface, otherInterface: other)) { _, _ in association }
  }

  @Test(arguments: families) func `TCP`(_ ends: Ends) async throws {
    try await inNamespace {
      try Self.setUp()
      var kernel = try KernelFlows()
      #expect(kernel.unaskable.isEmpty)
      let listener = try Opened(ends.remote, SOCK_STREAM, bound: (ends.remote, 7777))
      listener.listen()
      func ask(_ source: UInt16, _ destination: UInt16, _ turned: Bool = false) throws -> FlowAnswer {
        var ends = ends
        if turned { swap(&ends.local, &ends.remote) }
        return try Self.ask(&kernel, ends, 6, Quote.tcp(source, destination))
      }
      // The look-up finds the listener, which sends nothing.
      #expect(try ask(7777, 40_000, true) == .none)
      let opened = try Opened(ends.local, SOCK_STREAM, bound: (ends.local, 0))
      let port = opened.port
      #expect(try ask(port, 7777) == .none)
      opened.connect(ends.remote, 7777)
      #expect(try ask(port, 7777) == .live)
      #expect(try ask(7777, port, true) == .live)
      #expect(try ask(port, 7778) == .none)
      #expect(try ask(port ^ 1, 7777) == .none)
      #expect(try Self.ask(&kernel, ends, 17, Quote.udp(port, 7777)) == .none)
      opened.close()
      #expect(try ask(port, 7777) == .live, "FIN_WAIT")
    }
  }

  @Test(arguments: families) func `TCP that connects`(_ ends: Ends) async throws {
    try await inNamespace {
      try Self.setUp()
      var kernel = try KernelFlows()
      let isV4 = ends.local.family == .v4
      // What up0 takes is never answered.
      try ip(isV4 ? "address add 192.0.2.1/24 dev up0" : "address add 2001:db8:2::1/64 dev up0 nodad")
      try ip(
        isV4
          ? "neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev up0"
          : "neigh add 2001:db8:2::9 lladdr 02:00:00:00:00:09 dev up0")
      var ends = ends
      ends.local = isV4 ? .v4(IPv4Address(0xC000_0201)) : .v6(IPv6Address(0x2001_0db8_0002_0000, 1))
      ends.remote = isV4 ? .v4(IPv4Address(0xC000_0209)) : .v6(IPv6Address(0x2001_0db8_0002_0000, 9))
      let opened = try Opened(ends.local, SOCK_STREAM, bound: (ends.local, 0))
      opened.connect(ends.remote, 443)
      #expect(try Self.ask(&kernel, ends, 6, Quote.tcp(opened.port, 443)) == .live, "SYN_SENT")
    }
  }

  @Test(arguments: families) func `UDP`(_ ends: Ends) async throws {
    try await inNamespace {
      try Self.setUp()
      var kernel = try KernelFlows()
      for bound in [ends.local, ends.local.family == .v4 ? .v4(.unspecified) : .v6(.unspecified)] {
        let opened = try Opened(ends.local, SOCK_DGRAM, bound: (bound, 0))
        let port = opened.port
        #expect(try Self.ask(&kernel, ends, 17, Quote.udp(port, 4500)) == .live)
        #expect(try Self.ask(&kernel, ends, 17, Quote.udp(port ^ 1, 4500)) == .none)
        #expect(try Self.ask(&kernel, ends, 6, Quote.tcp(port, 4500)) == .none)
        if bound == ends.local {
          opened.connect(ends.remote, 4500)
          #expect(try Self.ask(&kernel, ends, 17, Quote.udp(port, 4500)) == .live)
          #expect(try Self.ask(&kernel, ends, 17, Quote.udp(port, 4501)) == .none)
        }
        opened.close()
        #expect(try Self.ask(&kernel, ends, 17, Quote.udp(port, 4500)) == .none)
      }
    }
  }

  @Test func `An IPv6 socket that speaks IPv4`() async throws {
    try await inNamespace {
      try Self.setUp()
      var kernel = try KernelFlows()
      let opened = try Opened(Self.families[1].local, SOCK_DGRAM, bound: (.v6(.unspecified), 0))
      #expect(try Self.ask(&kernel, Self.families[0], 17, Quote.udp(opened.port, 4500)) == .live)
    }
  }

  @Test(arguments: families) func `Sockets bound to an interface`(_ ends: Ends) async throws {
    try await inNamespace {
      try Self.setUp()
      var kernel = try KernelFlows()
      let up0 = unsafe if_nametoindex("up0")
      let opened = try Opened(ends.local, SOCK_DGRAM, bound: nil)
      opened.bind(to: "up0")
      opened.bind(ends.local.family == .v4 ? .v4(.unspecified) : .v6(.unspecified), 0)
      let quote = Quote.udp(opened.port, 4500)
      #expect(try Self.ask(&kernel, ends, 17, quote, interface: up0) == .live)
      #expect(try Self.ask(&kernel, ends, 17, quote, interface: 1) == .none)
      #expect(try Self.ask(&kernel, ends, 17, quote, interface: 1, other: up0) == .live)
    }
  }

  @Test(arguments: families) func `Echo requests`(_ ends: Ends) async throws {
    try await inNamespace {
      try Self.setUp()
      var kernel = try KernelFlows()
      let family = ends.local.family
      let number = family == .v4 ? 1 : 58
      #expect(try Self.ask(&kernel, ends, number, Quote.echo(family, 77)) == .none)
      try allowPing()
      let ping = try Opened(ends.local, SOCK_DGRAM, bound: (ends.local, 77), protocol: Int32(number))
      #expect(try Self.ask(&kernel, ends, number, Quote.echo(family, 77)) == .live)
      #expect(try Self.ask(&kernel, ends, number, Quote.echo(family, 78)) == .none)
      ping.close()
      #expect(try Self.ask(&kernel, ends, number, Quote.echo(family, 77)) == .none)
      let raw = try Opened(ends.local, SOCK_RAW, bound: nil, protocol: Int32(number))
      #expect(try Self.ask(&kernel, ends, number, Quote.echo(family, 78)) == .live)
      #expect(try Self.ask(&kernel, ends, 132, Quote.tcp(1, 2)) == .none)
      raw.close()
      #expect(try Self.ask(&kernel, ends, number, Quote.echo(family, 78)) == .none)
    }
  }

  @Test(arguments: families) func `ESP`(_ ends: Ends) async throws {
    try await inNamespace {
      try Self.setUp()
      var kernel = try KernelFlows()
      let cases: [(SecurityAssociations.Answer, FlowAnswer)] = [
        (.found, .live), (.none, .none), (.noneAtAll, .none), (.unaskable, .unaskable),
      ]
      for (association, answer) in cases {
        #expect(try Self.ask(&kernel, ends, 50, Quote.esp(7), association) == answer)
        // Without the socket nothing is asked.
        let inside = Quote.udp(4500, 4500, Quote.esp(7) + [0, 0, 0, 0, 0, 0, 0, 0])
        #expect(try Self.ask(&kernel, ends, 17, inside, association) == .none)
        let opened = try Opened(ends.local, SOCK_DGRAM, bound: (ends.local, 4500))
        #expect(try Self.ask(&kernel, ends, 17, inside, association) == (association == .none ? .none : .live))
        #expect(try Self.ask(&kernel, ends, 17, Quote.udp(4500, 4500, [0, 0, 0, 0, 1]), association) == .live)
        opened.close()
      }
      let raw = try Opened(ends.local, SOCK_RAW, bound: nil, protocol: 50)
      #expect(try Self.ask(&kernel, ends, 50, Quote.esp(7), .noneAtAll) == .live)
      raw.close()
    }
  }

  /// A state is made for its SPI before it has keys, which needs no ESP in the kernel.
  @Test func `ESP states of the kernel`() async throws {
    try await inNamespace {
      let v4 = IPAddress.v4(IPv4Address(0xC000_0202))
      let v6 = IPAddress.v6(IPv6Address(0x2001_0db8_0000_0000, 2))
      var states = try SecurityAssociations()
      #expect(try states.find(spi: 0x1234, destination: v4) == .noneAtAll)
      try ip("xfrm state allocspi src 192.0.2.1 dst 192.0.2.2 proto esp mode tunnel min 0x1234 max 0x1234")
      try ip("xfrm state allocspi src 2001:db8::1 dst 2001:db8::2 proto esp mode tunnel min 0x5678 max 0x5678")
      try ip(
        "xfrm state allocspi src 192.0.2.1 dst 192.0.2.2 proto esp mode tunnel reqid 9 mark 0x7 mask 0xff min 0x99 max 0x99"
      )
      #expect(try states.find(spi: 0x1234, destination: v4) == .found)
      #expect(try states.find(spi: 0x5678, destination: v4) == .none)
      #expect(try states.find(spi: 0x5678, destination: v6) == .found)
      #expect(try states.find(spi: 0x1234, destination: v6) == .none)
      #expect(try states.find(spi: 0x99, destination: v4) == .found, "with a mark")
    }
  }

  @Test func `Memory and descriptors stay as they are over many questions`() async throws {
    try await inNamespace {
      try Self.setUp()
      var kernel = try KernelFlows()
      let opened = try Opened(Self.families[0].local, SOCK_DGRAM, bound: (Self.families[0].local, 0))
      var misses = 0
      let quote = try error(17, Quote.udp(opened.port, 4500), from: Self.families[0].local, to: Self.families[0].remote)
      let question = FlowQuestion(error: quote, interface: 1)
      let began = Clock.bootTime()
      for _ in 0..<50_000 where kernel.ask(question, findAssociation: { _, _ in .none }) != .live { misses += 1 }
      print("a question about a UDP socket: \((Clock.bootTime() - began) / 50_000) ns")
      #expect(misses == 0)
    }
  }
}
