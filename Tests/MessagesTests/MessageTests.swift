import Messages
import Testing
import Wire

/// Whole messages as the agent and its clients write and read them, against the vectors of the same name.
@Suite struct MessageTests {
  static let local = TriggerAddress(IPAddress(text: "192.0.2.10")!, prefixLength: 24)
  static let destination = TriggerAddress(IPAddress(text: "198.51.100.7")!, prefixLength: 32)
  static let unreachable = TriggerPayload(type: .destinationUnreachable, identifier: 42)
  static let origin = Origin(
    interface: 3, interfaceName: InterfaceName("wan0".utf8), pvd: 2, source: .icmp, icmpType: 3, icmpCode: 1,
    timestamp: 1_763_697_368_123_456_789)

  static func addresses(_ list: TriggerAddress...) -> TriggerAddresses {
    var result = TriggerAddresses()
    for address in list { try! result.append(address) }
    return result
  }

  @Test("RING in the answer to REGISTER and in the mark, as docs/protocol.md has it")
  func ring() throws {
    let place = RingPlace(offset: 192, position: 0x1_0000_0002)
    let payload: [UInt8] = [2, 0, 3, 0x80, 192, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0]
    let answer = try written { writer throws(MessageOverflow) in
      try writer.register([.ring, .replay], filter: nil, ring: place, sequence: 7, pid: 1000)
    }
    #expect(answer == [1, 4, 0, 0x0A, 4, 0, 0, 0, 7, 0, 0, 0, 0xE8, 3, 0, 0] + payload)
    let mark = try written { writer throws(MessageOverflow) in try writer.replayEnd(sequence: 4, ring: place) }
    #expect(mark == [1, 5, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0] + payload)
    for bytes in [answer, mark] { #expect(try TriggerMessage(unsafe bytes.span.bytes).ring == place) }
    #expect(try TriggerMessage(unsafe mark.span.bytes).isReplayEnd)
    let short = Array(mark[..<16]) + [1, 0, 3, 0x80, 0, 0, 0, 0] + [1, 0, 3, 0x80, 0, 0, 0, 0]
    #expect(throws: MessageRefusal.payloadMalformed) { try TriggerMessage(unsafe short.span.bytes) }
    let twice = [1, 5, 0, 0, 6] + mark[5...] + payload
    #expect(throws: MessageRefusal.payloadRepeated) { try TriggerMessage(unsafe twice.span.bytes) }
  }

  @Test(
    "one encoding of a NOTIFY serves every subscriber",
    arguments: [
      ("notify-bare", TriggerExtensions()), ("notify-cause", [.cause]), ("notify-origin", [.origin]),
      ("notify-cause-origin", [.cause, .origin, .replay]),
    ] as [(String, TriggerExtensions)])
  func notification(_ name: String, _ extensions: TriggerExtensions) throws {
    // Whatever variant was prepared before must not show in this one.
    for before in [TriggerExtensions(), [.cause, .origin]] {
      let bytes = try written { writer throws(MessageOverflow) in
        let addresses = [MessageTests.local, MessageTests.destination]
        let notification = try writer.notification(
          MessageTests.unreachable, addresses: addresses, origin: MessageTests.origin, pid: 0)
        writer.prepare(notification, cause: .modify, sequence: 99, extensions: before)
        let length = writer.prepare(notification, cause: .add, sequence: 1, extensions: extensions)
        #expect(length == Vector.named(name).bytes.count)
      }
      #expect(bytes == Vector.named(name).bytes)
    }
  }

  @Test("answers of the TDB")
  func triggerAnswers() throws {
    let request = Vector.named("add-unreachable-ipv4").bytes
    let add = FrameHeader(asMuchAsThereIs: request.raw)
    let addresses = [
      TriggerAddress(IPAddress(text: "192.0.2.10")!, prefixLength: 32), MessageTests.destination,
    ]
    #expect(
      try written { writer throws(MessageOverflow) in
        try writer.triggerAnswer(
          to: add, TriggerPayload(type: .destinationUnreachable, identifier: 41), addresses: addresses.span)
      } == Vector.named("add-unreachable-ipv4-answer").bytes)
    #expect(
      try written { writer throws(MessageOverflow) in
        try writer.errorAnswer(to: FrameHeader(type: 1, flags: 7, sequence: 3, pid: 1000), .notPermitted)
      } == Vector.named("add-refused").bytes)
    #expect(
      try written { writer throws(MessageOverflow) in
        try writer.answer(to: FrameHeader(type: 4, flags: 0x1F, sequence: 8, pid: 1000), flags: 7)
      } == Vector.named("register-extensions").bytes)
    #expect(
      try written { writer throws(MessageOverflow) in
        try writer.register(
          [.filter], filter: TriggerFilter(prefix: IPPrefix(IPAddress(text: "fe80::1")!, 128), scope: 4), sequence: 10,
          pid: 1000)
      } == Vector.named("register-filter-ipv6").bytes)
    #expect(
      try written { writer throws(MessageOverflow) in try writer.replayEnd(sequence: 4) }
        == Vector.named("notify-replay-end").bytes)
    #expect(
      try written { writer throws(MessageOverflow) in
        try writer.triggerRequest(
          .get, TriggerPayload(type: TriggerType(rawValue: 0), identifier: 41), sequence: 4, pid: 1000)
      } == Vector.named("get").bytes)
  }

  @Test(
    "requests of the TDB are read",
    arguments: [
      (
        "add-unreachable-ipv4",
        TriggerRequest.add(
          type: .destinationUnreachable,
          addresses(
            TriggerAddress(IPAddress(text: "192.0.2.10")!, prefixLength: 32), destination))
      ),
      (
        "add-link-local",
        .add(
          type: .addressChanged,
          addresses(TriggerAddress(IPAddress(text: "fe80::1234:5678:9abc:def0")!, prefixLength: 64, scope: 4)))
      ),
      ("add-own-type", .add(type: TriggerType(rawValue: 4660), TriggerAddresses())),
      ("get", .get(identifier: 41)),
      ("delete", .delete(identifier: 41)),
      ("register", .register([], nil)),
      ("register-extensions", .register([.cause, .replay, .origin], nil)),
      (
        "register-filter",
        .register(
          [.cause, .replay, .origin, .filter],
          TriggerFilter(
            types: [.connectionLost, .destinationUnreachable], interface: 3,
            prefix: IPPrefix(IPAddress(text: "192.0.2.0")!, 24)))
      ),
      (
        "register-filter-ipv6",
        .register([.filter], TriggerFilter(prefix: IPPrefix(IPAddress(text: "fe80::1")!, 128), scope: 4))
      ),
      ("modify", .modify(identifier: 41, type: .connectionLost, TriggerAddresses())),
      (
        "modify-addresses",
        .modify(
          identifier: 41, type: .connectionLost,
          addresses(TriggerAddress(IPAddress(text: "2001:db8::1")!, prefixLength: 128)))
      ),
    ])
  func triggerRequests(_ name: String, _ expected: TriggerRequest) throws {
    let bytes = Vector.named(name).bytes
    #expect(try TriggerRequest(bytes.raw) == expected)
  }

  @Test("what the agent tells is read")
  func triggerMessages() throws {
    func message(_ name: String) throws -> TriggerMessage {
      let bytes = Vector.named(name).bytes
      return try TriggerMessage(bytes.raw)
    }
    let notify = try message("notify-cause-origin")
    #expect(notify.type == .notify)
    #expect(notify.cause == .add)
    #expect(notify.trigger == MessageTests.unreachable)
    #expect(notify.addresses == MessageTests.addresses(MessageTests.local, MessageTests.destination))
    #expect(notify.origin == MessageTests.origin)
    #expect(!notify.isReplayEnd)
    #expect(try message("notify-bare").cause == nil)
    #expect(try message("notify-bare").origin == nil)
    #expect(try message("notify-delete").cause == .delete)
    #expect(try message("notify-delete").origin?.reason == .expired)
    #expect(try message("notify-replay-end").isReplayEnd)
    #expect(try message("register").isReplayEnd == false)
    #expect(try message("get-no-such-trigger").header.error == .noSuchEntry)
  }

  static let wan = InterfaceDescription(
    identifier: 3, name: InterfaceName("wan0".utf8), flags: [.up, .carrier])
  static let request = FrameHeader(type: 1, sequence: 1, pid: 1000)
  static func request(_ sequence: UInt32) -> FrameHeader { FrameHeader(type: 0, sequence: sequence, pid: 1000) }
  static let implicit = PvDDescription(identifier: 2, name: Array("wan0-dhcpv4-192.0.2.1".utf8))

  static let announcementCases: [(String, MIFAnnouncement, MIFMark)] = [
    ("interface-snapshot", .interface(wan), .snapshot(of: request)),
    (
      "interface-news",
      .interface(
        InterfaceDescription(
          identifier: 12, name: InterfaceName("abcdefghijklmnopqrst".utf8), flags: [.up, .pointToPoint])),
      .news(sequence: 1)
    ),
    (
      "no-interface", .noInterface(InterfaceDescription(identifier: 3, name: InterfaceName("wan0".utf8))),
      .news(sequence: 2)
    ),
    (
      "pvd-explicit",
      .pvd(interface: wan, PvDDescription(identifier: 1, isExplicit: true, name: Array("pvd.example.org".utf8))),
      .snapshot(of: request(3))
    ),
    ("pvd-implicit", .pvd(interface: wan, implicit), .news(sequence: 3)),
    ("no-pvd", .noPvD(interface: wan, implicit), .news(sequence: 4)),
    ("element", .element(pvd: 1, .routerAdvertisement), .snapshot(of: request(5))),
    ("no-element", .noElement(pvd: 2, .dhcpv4), .news(sequence: 5)),
    (
      "address-ipv6",
      .address(
        pvd: 1,
        AnnouncedAddress(
          IPAddress(text: "2001:db8:1::10")!, prefixLength: 64, flags: .advertised, preferredLifetime: 14400,
          validLifetime: 86400)), .snapshot(of: request(7))
    ),
    (
      "address-ipv4",
      .address(pvd: 2, AnnouncedAddress(IPAddress(text: "192.0.2.10")!, prefixLength: 24, flags: .permanent)),
      .news(sequence: 6)
    ),
    (
      "no-address",
      .noAddress(
        pvd: 1,
        AnnouncedAddress(
          IPAddress(text: "fe80::10")!, prefixLength: 64, scope: 3, preferredLifetime: 0, validLifetime: 0)),
      .news(sequence: 7)
    ),
  ]

  @Test("announcements are written and read", arguments: announcementCases)
  func announcement(_ name: String, _ announcement: MIFAnnouncement, _ mark: MIFMark) throws {
    let bytes = Vector.named(name).bytes
    #expect(
      try written { writer throws(MessageOverflow) in try writer.announcement(announcement, mark) } == bytes)
    let message = try MIFMessage(bytes.raw)
    #expect(message.content == .announcement(announcement))
    #expect(message.isSnapshot == (mark.flags == .snapshot))
    #expect(message.header.sequence == mark.sequence)
  }

  static let requestCases: [(String, MIFRequest, UInt32)] = [
    ("announce-interfaces", .announceInterfaces, 1),
    ("stop-announcing-interfaces", .stopAnnouncingInterfaces, 2),
    ("announce-pvds", .announcePvDs(interface: 3), 3),
    ("stop-announcing-pvds", .stopAnnouncingPvDs(interface: 3), 4),
    ("announce-elements", .announceElements(pvd: 1), 5),
    ("stop-announcing-elements", .stopAnnouncingElements(pvd: 1), 6),
    ("announce-addresses", .announceAddresses(pvd: 1), 7),
    ("stop-announcing-addresses", .stopAnnouncingAddresses(pvd: 1), 8),
    (
      "get-config-data", .getConfigurationData(pvd: 1, ElementReference(.routerAdvertisement, identifier: .dnsServers)),
      9
    ),
    ("get-config-data-all", .getConfigurationData(pvd: 1, ElementReference(.routerAdvertisement)), 10),
    ("get-statistics", .getStatistics, 20),
  ]

  @Test("requests of the MIF API are written and read", arguments: requestCases)
  func request(_ name: String, _ request: MIFRequest, _ sequence: UInt32) throws {
    let bytes = Vector.named(name).bytes
    #expect(
      try written { writer throws(MessageOverflow) in
        try writer.request(request, sequence: sequence, pid: 1000)
      } == bytes)
    #expect(try MIFRequest(bytes.raw) == request)
  }

  @Test("configuration data")
  func configurationData() throws {
    let element = ElementReference(.routerAdvertisement, identifier: .dnsServers)
    let items = ["2001:db8::53", "fe80::53"].map {
      ConfigurationItem(
        .dnsServers, .address(IPAddress(text: $0)!), preferredLifetime: 1800, validLifetime: 1800)
    }
    let bytes = try written { writer throws(MessageOverflow) in
      try writer.beginConfigurationData(to: MessageTests.request(9), pvd: 1, element)
      for item in items { try writer.data(item, interface: 3) }
      writer.finish()
    }
    #expect(bytes == Vector.named("config-data-dns").bytes)
    #expect(try MIFMessage(bytes.raw).content == .configurationData(pvd: 1, element, items))

    let nothing = try written { writer throws(MessageOverflow) in
      try writer.noConfigurationData(
        to: MessageTests.request(11), pvd: 1, ElementReference(.dhcpv6, identifier: .dnsServers))
    }
    #expect(nothing == Vector.named("no-config-data").bytes)
  }

  @Test("a value of a kind that is not known is skipped")
  func unknownKind() throws {
    var bytes = Vector.named("config-data-dns").bytes
    let firstKind = 16 + 16 + 16 + 8
    bytes[firstKind] = 200
    guard case .configurationData(_, _, let items) = try MIFMessage(bytes.raw).content else {
      Issue.record("not CONFIG_DATA")
      return
    }
    #expect(items.map { $0.value } == [.address(IPAddress(text: "fe80::53")!)])
  }

  @Test("statistics go on in the next message where one is full")
  func statistics() throws {
    var first = 0
    var second = 0
    _ = try written(capacity: 64) { writer throws(MessageOverflow) in
      try writer.beginStatistics(to: MessageTests.request)
      try writer.counter("first", 1)
      #expect(throws: MessageOverflow.self) {
        try writer.counter("of a name that does not fit any more", 2)
      }
      first = writer.finish()
      try writer.beginStatistics(to: MessageTests.request)
      try writer.counter("of a name that fits alone", 2)
      second = writer.finish()
    }
    #expect(first == 16 + 24)
    #expect(second == 16 + 16 + 32)
    let bytes = Vector.named("statistics").bytes
    #expect(
      try MIFMessage(bytes.raw).content
        == .statistics([
          Counter(name: Array("capture.control.received".utf8), value: .max), Counter(name: Array("a".utf8), value: 1),
        ]))
  }

  @Test("the ends")
  func ends() throws {
    #expect(
      try written { writer throws(MessageOverflow) in try writer.snapshotEnd(of: MessageTests.request) }
        == Vector.named("snapshot-end").bytes)
    #expect(
      try written { writer throws(MessageOverflow) in try writer.overrun(sequence: 42) }
        == Vector.named("overrun").bytes)
  }

  @Test("what does not fit is an error, at every size")
  func overflow() throws {
    let addresses = [MessageTests.local, MessageTests.destination]
    let needed = Vector.named("notify-cause-origin").bytes.count
    for capacity in 0..<needed {
      #expect(throws: MessageOverflow.self) {
        try written(capacity: capacity) { writer throws(MessageOverflow) in
          _ = try writer.notification(
            MessageTests.unreachable, addresses: addresses, origin: MessageTests.origin, pid: 0)
        }
      }
    }
    // More memory than a message may have is not used.
    var count = 0
    let bytes = try written(capacity: 100_000) { writer throws(MessageOverflow) in
      try writer.beginStatistics(to: MessageTests.request)
      while true {
        do { try writer.counter("12345678", 1) } catch { break }
        count += 1
      }
      writer.finish()
    }
    #expect(bytes.count <= FrameHeader.maximumMessageLength)
    #expect(count == (FrameHeader.maximumMessageLength - 16) / 24)
    // A value past what DATA's length field holds.
    #expect(throws: MessageOverflow.self) {
      try written { writer throws(MessageOverflow) in
        try writer.data(
          ConfigurationItem(.captivePortal, .text([UInt8](repeating: 0x61, count: 65_536))), interface: 0)
      }
    }
  }

  @Test("names past their length are cut")
  func longNames() throws {
    let name = [UInt8](repeating: 0x61, count: 300)
    let bytes = try written { writer throws(MessageOverflow) in
      try writer.announcement(
        .pvd(interface: MessageTests.wan, PvDDescription(identifier: 1, name: name)), .news(sequence: 1))
    }
    guard case .announcement(.pvd(_, let pvd)) = try MIFMessage(bytes.raw).content else {
      Issue.record("not PVD_ANNOUNCEMENT")
      return
    }
    #expect(pvd.name == Array(name.prefix(255)))
  }
}
