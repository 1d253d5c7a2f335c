import Messages
import Platform
import Provisioning
import Subscribers
import Testing
import Wire

/// draft-ietf-mif-api-extension-05, section 3.2.7, and docs/protocol.md, "MIF API".
@Suite struct MIFTests {
  let server: Server
  let client: Client

  init() throws {
    server = try Server()
    client = try server.mifClient()
  }

  private func link(_ index: UInt32 = 3, up: Bool = true) -> KernelEvent {
    .link(Link(index: index, name: InterfaceName("up\(index)".utf8), isUp: up, hasCarrier: up))
  }

  private func address(_ subnet: UInt8, _ host: UInt64, on index: UInt32 = 3, lifetime: UInt32 = 3600) -> KernelEvent {
    .address(
      InterfaceAddress(
        interface: index, prefix: IPPrefix(address6(subnet, host), 64), preferredLifetime: lifetime,
        validLifetime: lifetime))
  }

  /// One router's PvD on interface 3 with an address; PvD 1.
  private func connect() throws {
    try server.apply(link())
    try server.hear(routerAdvertisement(RAOption.prefix(1), RAOption.server(9)), on: 3)
    try server.apply(address(1, 5))
  }

  private func names(_ messages: [MIFMessage]) -> [MIFMessageType] {
    messages.compactMap { MIFMessageType(rawValue: $0.header.type) }
  }

  @Test func `what exists comes first, then the end, then news`() throws {
    try connect()
    let snapshot = try client.askMIF(
      server, MIF.interfaces(11), MIF.pvds(3, 12), MIF.elements(1, 13), MIF.addresses(1, 14))
    #expect(
      names(snapshot) == [
        .interfaceAnnouncement, .snapshotEnd, .pvdAnnouncement, .snapshotEnd, .configurationElementAnnouncement,
        .snapshotEnd, .addressAnnouncement, .snapshotEnd,
      ])
    #expect(snapshot.map { $0.header.sequence } == [11, 11, 12, 12, 13, 13, 14, 14])
    #expect(snapshot.allSatisfy { $0.header.pid == 4711 && $0.header.error == .none })
    #expect(snapshot.map { $0.isSnapshot } == [true, false, true, false, true, false, true, false])

    try server.apply(address(1, 6), link(7))
    let news = try client.mifMessages()
    #expect(names(news) == [.addressAnnouncement, .interfaceAnnouncement])
    #expect(news.map { $0.header.sequence } == [1, 2])
    #expect(news.allSatisfy { $0.header.pid == 0 && !$0.isSnapshot })
  }

  @Test func `asking again sends what exists once more and news still once`() throws {
    try connect()
    let again = try client.askMIF(server, MIF.pvds(3, 1), MIF.pvds(3, 2))
    #expect(names(again) == [.pvdAnnouncement, .snapshotEnd, .pvdAnnouncement, .snapshotEnd])
    try server.hear(routerAdvertisement(from: 2, RAOption.prefix(2)), on: 3)
    #expect(names(try client.mifMessages()) == [.pvdAnnouncement])
  }

  @Test func `STOP is answered and ends the news, also where there were none`() throws {
    try connect()
    let answers = try client.askMIF(
      server, message(2), message(6, MIF.interface(3)), message(12, MIF.pvd(1)), message(15, MIF.pvd(99)))
    #expect(answers.map { $0.header.type } == [2, 6, 12, 15])
    #expect(answers.allSatisfy { $0.header.error == .none && $0.header.length == 2 })
    _ = try client.askMIF(
      server, MIF.interfaces(), MIF.pvds(3), MIF.elements(1), MIF.addresses(1), message(2),
      message(6, MIF.interface(3)),
      message(12, MIF.pvd(1)), message(15, MIF.pvd(1)))
    try server.apply(.linkRemoved(index: 3))
    #expect(try client.mifMessages().isEmpty)
  }

  @Test func `errors`() throws {
    try connect()
    let requests: [(UInt8, [UInt8], ErrorNumber)] = [
      (5, MIF.pvds(9), .noSuchEntry), (5, MIF.pvds(0), .noSuchEntry), (9, MIF.elements(9), .noSuchEntry),
      (13, MIF.addresses(0), .noSuchEntry), (17, MIF.configuration(9, 1), .noSuchEntry),
      (5, message(5), .invalid), (9, message(9, MIF.interface(3)), .invalid), (17, message(17, MIF.pvd(1)), .invalid),
      (20, message(20), .invalid), (34, message(34), .operationNotSupported),
      (40, message(40, MIF.interface(9)), .noSuchEntry), (30, message(30, MIF.pvd(9)), .noSuchEntry),
      (0, [], .messageSize),
    ]
    for (type, request, error) in requests {
      let answers = try client.askMIF(server, request)
      #expect(answers.map { $0.header.type } == [type])
      #expect(answers.map { $0.header.error } == [error])
    }
  }

  @Test func `what goes is taken back from the bottom up, and its subscriptions end`() throws {
    try connect()
    _ = try client.askMIF(server, MIF.interfaces(), MIF.pvds(3), MIF.elements(1), MIF.addresses(1))
    try server.apply(.linkRemoved(index: 3))
    let gone = try client.mifMessages()
    // The last address alone takes nothing but itself away; then comes the rest.
    #expect(gone.first?.header.type == MIFMessageType.noAddressAnnouncement.rawValue)
    #expect(
      names(gone) == [
        .noAddressAnnouncement, .noConfigurationElementAnnouncement, .noPvDAnnouncement, .noInterfaceAnnouncement,
      ])
    #expect(gone.map { $0.header.sequence } == [1, 2, 3, 4])
    guard case .announcement(.noPvD(let interface, _)) = gone[2].content else {
      Issue.record("no PvD")
      return
    }
    #expect(interface.identifier == 3 && interface.name.bytes == Array("up3".utf8))
    // Another interface of the same index: its PvDs are nobody's news before they are asked for.
    try connect()
    #expect(names(try client.mifMessages()) == [.interfaceAnnouncement])
    #expect(try client.askMIF(server, MIF.addresses(1)).first?.header.error == .noSuchEntry)
    #expect(names(try client.askMIF(server, MIF.addresses(2))) == [.addressAnnouncement, .snapshotEnd])
  }

  @Test func `a PvD that goes ends what was asked of it`() throws {
    try connect()
    try server.hear(routerAdvertisement(from: 2, RAOption.prefix(2)), on: 3)
    _ = try client.askMIF(server, MIF.pvds(3), MIF.elements(1), MIF.elements(2), MIF.addresses(1))
    // Down and up: everything that was heard is gone.
    try server.apply(link(up: false), link(up: true))
    _ = try client.mifMessages()
    try server.hear(routerAdvertisement(from: 2, RAOption.prefix(2)), on: 3)
    let news = try client.mifMessages()
    #expect(names(news) == [.pvdAnnouncement], "a new PvD; its elements have not been asked for")
  }

  @Test func `each hears what it asked for and nothing else`() throws {
    try connect()
    let interfaces = try server.mifClient()
    let addresses = try server.mifClient()
    let nothing = try server.mifClient()
    _ = try interfaces.askMIF(server, MIF.interfaces())
    _ = try addresses.askMIF(server, MIF.addresses(1))
    try server.apply(address(1, 6), .linkRemoved(index: 3))
    #expect(names(try interfaces.mifMessages()) == [.noInterfaceAnnouncement])
    #expect(
      names(try addresses.mifMessages()) == [.addressAnnouncement, .noAddressAnnouncement, .noAddressAnnouncement])
    #expect(try nothing.mifMessages().isEmpty)
  }

  @Test func `an answer of any size is whole`() throws {
    for index in 1...4000 { try server.apply(link(UInt32(index))) }
    client.send(MIF.interfaces(5))
    client.send(MIF.pvds(1, 6))
    var all: [MIFMessage] = []
    while true {
      try server.run()
      let messages = try client.mifMessages()
      if messages.isEmpty { break }
      all += messages
    }
    #expect(all.count == 4002)
    #expect(names(all).suffix(2) == [.snapshotEnd, .snapshotEnd])
    #expect(all.map { $0.header.sequence }.prefix(4001).allSatisfy { $0 == 5 } && all.last?.header.sequence == 6)
  }

  // MARK: OVERRUN

  private func flap(_ count: Int) throws {
    for number in 0..<count { try server.apply(link(up: number % 2 != 0)) }
  }

  private func readAll(_ client: Client) throws -> [MIFMessage] {
    var all: [MIFMessage] = []
    while true {
      try server.run()
      let messages = try client.mifMessages()
      if messages.isEmpty { return all }
      all += messages
    }
  }

  @Test func `who falls behind is told so once and asks again`() throws {
    try server.apply(link())
    let quick = try server.mifClient()
    _ = try quick.askMIF(server, MIF.interfaces())
    _ = try client.askMIF(server, MIF.interfaces(), MIF.pvds(3))
    for _ in 0..<40 {
      try flap(100)
      #expect(try quick.mifMessages().count == 100)
    }
    let messages = try readAll(client)
    #expect(server.counter("mif.overruns") == 1)
    #expect(messages.last?.content == .overrun && messages.filter { $0.content == .overrun }.count == 1)
    let sequences = messages.map { $0.header.sequence }
    let told = UInt32(sequences.count - 1)
    #expect(sequences.dropLast().elementsEqual(1...told))
    #expect(messages.last!.header.sequence > told + 1, "the gap counts what was lost")
    #expect(
      UInt64(messages.last!.header.sequence - told - 1) == server.counter("subscribers.news-dropped"))
    #expect(messages.last?.header.pid == 0)
    try flap(2)
    #expect(try readAll(client).isEmpty, "every subscription has ended")
    #expect(names(try client.askMIF(server, MIF.interfaces())) == [.interfaceAnnouncement, .snapshotEnd])
    try flap(2)
    let news = try readAll(client)
    #expect(
      news.map { $0.header.sequence } == [messages.last!.header.sequence + 1, messages.last!.header.sequence + 2])
  }

  @Test func `one that overruns while it asks has its whole answer first`() throws {
    for index in 1...2000 { try server.apply(link(UInt32(index))) }
    client.send(MIF.interfaces(1))
    _ = try readAll(client)
    // News wait in the queue, but no answer: the next request is read, and its answer pushes the news out.
    try flap(500)
    #expect(server.counter("subscribers.news") == 500 && server.counter("subscribers.news-dropped") == 0)
    client.send(MIF.interfaces(2))
    let messages = try readAll(client)
    #expect(server.counter("subscribers.news-dropped") > 0)
    #expect(messages.filter { $0.isSnapshot }.count == 2000)
    #expect(messages.suffix(2).map { $0.content } == [.snapshotEnd, .overrun])
  }

  // MARK: Configuration data

  @Test func `configuration data`() throws {
    try connect()
    let all = try client.askMIF(server, MIF.configuration(1, 1, 0, 8))
    try #require(all.count == 1)
    guard case .configurationData(let pvd, let reference, let items) = all[0].content else {
      Issue.record("\(all)")
      return
    }
    #expect(pvd == 1 && reference == ElementReference(.routerAdvertisement) && all[0].header.sequence == 8)
    #expect(Set(items.map { $0.identifier }) == [.defaultRouter, .hopLimit, .prefixes, .dnsServers])
    #expect(items.first { $0.identifier == .dnsServers }?.validLifetime == 3600)

    server.now += 600 * 1_000_000_000
    let servers = try client.askMIF(server, MIF.configuration(1, 1, InformationIdentifier.dnsServers.rawValue))
    #expect(
      servers.first?.content
        == .configurationData(
          pvd: 1, ElementReference(.routerAdvertisement, identifier: .dnsServers),
          [ConfigurationItem(.dnsServers, .address(address6(0, 9)), preferredLifetime: 3000, validLifetime: 3000)]))
    for (type, identifier) in [(1, 8), (3, 0), (9, 0)] as [(UInt16, UInt32)] {
      let none = try client.askMIF(server, MIF.configuration(1, type, identifier))
      #expect(
        none.first?.content
          == .noConfigurationData(
            pvd: 1, ElementReference(type: type, identifier: InformationIdentifier(rawValue: identifier))))
    }
  }

  /// Names of 253 bytes from several routers of one PvD (RFC 8801), seven to an advertisement.
  private func advertise(names count: UInt16) throws {
    try server.apply(link())
    for start in stride(from: 0, to: count, by: 7) {
      var options: [UInt8] = []
      for number in start..<min(start + 7, count) { options += RAOption.longName(number) }
      try server.hear(routerAdvertisement(from: UInt8(1 + start / 56), RAOption.pvd(options)), on: 3)
    }
  }

  @Test(arguments: [1, 56, 112, 168, 224] as [UInt16])
  func `configuration data up to the longest message`(_ count: UInt16) throws {
    try advertise(names: count)
    let id = try #require(server.state.domains(of: 3)?.first { $0.isExplicit }?.id)
    let answers = try client.askMIF(server, MIF.configuration(id, 1, InformationIdentifier.searchList.rawValue))
    guard case .configurationData(_, _, let items) = answers.first?.content else {
      Issue.record("no data")
      return
    }
    #expect(items.count == Int(count))
  }

  @Test func `configuration data longer than a message are refused, and a part of them is not`() throws {
    try advertise(names: 280)
    try server.hear(routerAdvertisement(from: 1, RAOption.pvd(RAOption.server(1))), on: 3)
    let id = try #require(server.state.domains(of: 3)?.first { $0.isExplicit }?.id)
    let answers = try client.askMIF(
      server, MIF.configuration(id, 1, 0, 7), MIF.configuration(id, 1, InformationIdentifier.dnsServers.rawValue, 8))
    #expect(answers.map { $0.header.sequence } == [7, 8])
    #expect(answers.map { $0.header.error } == [.messageSize, .none])
    #expect(answers.first?.header.type == 17 && answers.first?.header.length == 2)
    guard case .configurationData(_, _, let items) = answers.last?.content else {
      Issue.record("no data")
      return
    }
    #expect(items.count == 1)
  }

  // MARK: Statistics

  @Test func `statistics have every counter once`() throws {
    let messages = try client.askMIF(server, MIF.statistics(6))
    #expect(messages.count > 2, "more than one message holds")
    #expect(messages.allSatisfy { $0.header.sequence == 6 && $0.header.pid == 4711 && $0.header.error == .none })
    #expect(messages.last?.content == .snapshotEnd)
    var counters: [[UInt8]: UInt64] = [:]
    for message in messages.dropLast() {
      guard case .statistics(let part) = message.content else {
        Issue.record("\(message)")
        continue
      }
      for counter in part {
        #expect(counters[counter.name] == nil, "\(String(decoding: counter.name, as: UTF8.self)) twice")
        counters[counter.name] = counter.value
      }
    }
    #expect(counters[Array("test.other-part".utf8)] == 42)
    #expect(counters[Array("mif.requests".utf8)] == 1)
    #expect(counters[Array("subscribers.connected".utf8)] == 1)
    #expect(counters[Array("ra.heard".utf8)] == 0)
  }
}
