import Glibc
import Messages
import Platform
import Provisioning
import Subscribers
import Testing
import Wire

/// draft-schilcher-mobike-trigger-api-00, section 5, and docs/protocol.md, "Transport and frame", "Errors", "TDB".
@Suite struct TriggerRequestTests {
  let server: Server
  let client: Client

  init() throws {
    server = try Server()
    client = try server.triggerClient()
  }

  @Test func `one answer for each request, in the order of the requests`() throws {
    let messages = try client.ask(
      server, TDB.add(1), TDB.get(1, 2), TDB.get(99, 3), TDB.register(0xE7, 4), message(1, version: 9, sequence: 5),
      TDB.modify(1, type: 9, 6), TDB.delete(1, 7), TDB.get(1, 8))
    // The replay of one trigger and its mark, two changes.
    #expect(messages.filter { $0.type == .notify }.map { $0.header.sequence } == [1, 2, 3, 4])
    #expect(messages.filter { $0.type != .notify }.map { $0.header.sequence } == [1, 2, 3, 4, 5, 6, 7, 8])
  }

  @Test func `requests that are sent at once are all answered`() throws {
    for sequence in 1...100 { #expect(client.send(TDB.get(5, UInt32(sequence))) == .sent) }
    try server.run()
    let answers = try client.triggerMessages()
    #expect(answers.map { $0.header.sequence } == Array(1...100))
    #expect(answers.allSatisfy { $0.header.error == .noSuchEntry && $0.header.pid == 4711 })
  }

  @Test func `answers carry what docs/protocol.md says`() throws {
    let addresses = TDB.address(192, 0, 2, 1, prefix: 24) + TDB.address6(9)
    let added = try #require(client.ask(server, TDB.add(type: 6, 3, addresses: addresses)).first)
    #expect(added.header.error == .none && added.header.length == 2 + 2 + 3 + 5)
    #expect(added.trigger == TriggerPayload(type: .destinationUnreachable, identifier: 1))
    #expect(added.addresses.count == 2 && added.origin == nil)

    let got = try #require(client.ask(server, TDB.get(1)).first)
    #expect(got.trigger == added.trigger && got.addresses == added.addresses && got.origin == nil)

    let changed = try #require(client.ask(server, TDB.modify(1, type: 8)).first)
    #expect(changed.trigger == TriggerPayload(type: TriggerType(rawValue: 8), identifier: 1))
    #expect(changed.addresses.isEmpty, "MODIFY repeats the request's payloads")
    #expect(try client.ask(server, TDB.get(1)).first?.addresses == added.addresses, "the stored ones stay")

    let deleted = try #require(client.ask(server, TDB.delete(1)).first)
    #expect(deleted.trigger == changed.trigger && deleted.header.length == 4)
    #expect(try client.ask(server, TDB.add()).first?.trigger?.identifier == 2, "an id does not come back")
  }

  struct Refused: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var request: [UInt8]
    /// type, seq and pid of the answer.
    var type: UInt8 = 2
    var sequence: UInt32 = 1
    var pid: UInt32 = 4711
    var error: ErrorNumber
    init(
      _ name: String, _ request: [UInt8], _ error: ErrorNumber, type: UInt8 = 2, sequence: UInt32 = 1,
      pid: UInt32 = 4711
    ) {
      testDescription = name
      self.request = request
      self.error = error
      self.type = type
      self.sequence = sequence
      self.pid = pid
    }
  }

  static let refused: [Refused] = [
    Refused("empty", [], .messageSize, type: 0, sequence: 0, pid: 0),
    Refused("one byte", [1], .messageSize, type: 0, sequence: 0, pid: 0),
    Refused("two bytes: the type is there", [1, 2], .messageSize, sequence: 0, pid: 0),
    Refused("eleven bytes", Array(TDB.get(1).prefix(11)), .messageSize, sequence: 0, pid: 0),
    Refused("twelve bytes: the seq is there", Array(TDB.get(1).prefix(12)), .messageSize, pid: 0),
    Refused("fifteen bytes", Array(TDB.get(1).prefix(15)), .messageSize, pid: 0),
    Refused("another version", message(2, version: 2, TDB.trigger(id: 1)), .protocolNotSupported),
    Refused("no such type", message(77), .operationNotSupported, type: 77),
    Refused("type 0", message(0), .operationNotSupported, type: 0),
    Refused("NOTIFY", message(5, TDB.trigger()), .operationNotSupported, type: 5),
    Refused("length too small", message(2, length: 2, TDB.trigger(id: 1)), .messageSize),
    Refused("length too large", message(2, length: 5, TDB.trigger(id: 1)), .messageSize),
    Refused("not a multiple of 8", message(2, TDB.trigger(id: 1)) + [0], .messageSize),
    Refused(
      "longer than a message may be", message(2, length: 8193, [UInt8](repeating: 0, count: 65_528)), .messageSize),
    Refused(
      "longer, and its length says what fits", message(2, length: 8192, [UInt8](repeating: 0, count: 65_528)),
      .messageSize),
    Refused(
      "longer, of another version", message(2, version: 3, length: 8193, [UInt8](repeating: 0, count: 65_528)),
      .protocolNotSupported),
    Refused(
      "longer, of no such type", message(77, length: 8193, [UInt8](repeating: 0, count: 65_528)),
      .operationNotSupported, type: 77),
    Refused("payload of length 0", message(2, [0, 0, 2, 0, 0, 0, 0, 0]), .invalid),
    Refused("payload past the end", message(2, [9, 0, 2, 0, 0, 0, 0, 0]), .invalid),
    Refused("no TRIGGER", message(2), .invalid),
    Refused("two TRIGGERs", message(2, TDB.trigger(id: 1), TDB.trigger(id: 1)), .invalid),
    Refused("ADD with an id", message(1, TDB.trigger(type: 7, id: 3)), .invalid, type: 1),
    Refused("ADD of type 0", message(1, TDB.trigger()), .invalid, type: 1),
    Refused("MODIFY to type 0", message(6, TDB.trigger(id: 1)), .invalid, type: 6),
    Refused("prefix of 33 bits", TDB.add(addresses: TDB.address(192, 0, 2, 1, prefix: 33)), .invalid, type: 1),
    Refused(
      "AF_UNIX", TDB.add(addresses: TDB.address(192, 0, 2, 1, family: 1)), .addressFamilyNotSupported, type: 1),
    Refused(
      "17 addresses", TDB.add(addresses: (0..<17).flatMap { TDB.address(192, 0, 2, $0) }), .invalid, type: 1),
    Refused("REGISTER with a TRIGGER", message(4, TDB.trigger()), .invalid, type: 4),
    Refused("GET of what is not there", TDB.get(1), .noSuchEntry),
    Refused("DELETE of id 0", TDB.delete(0), .noSuchEntry, type: 3),
    Refused("MODIFY of what is not there", TDB.modify(1), .noSuchEntry, type: 6),
  ]

  @Test(arguments: refused) func `an error is the header alone, and the socket stays usable`(_ refused: Refused) throws
  {
    #expect(client.send(refused.request) == .sent)
    client.send(TDB.add(2))
    try server.run()
    let answers = client.receiveAll()
    try #require(answers.count == 2)
    #expect(
      answers[0] == [1, refused.type, refused.error.rawValue, 0, 2, 0, 0, 0] + bytes(refused.sequence)
        + bytes(refused.pid))
    #expect(Array(answers[1].prefix(3)) == [1, 1, 0])
    #expect(server.state.triggers.count == 1)
  }

  @Test func `a full database`() throws {
    var limits = Limits()
    limits.clientTriggers = 2
    let server = try Server(limits: limits)
    let client = try server.triggerClient()
    let answers = try client.ask(server, TDB.add(1), TDB.add(2), TDB.add(3), TDB.delete(1, 4), TDB.add(5))
    #expect(answers.map { $0.header.error } == [.none, .none, .noSpace, .none, .none])
  }

  @Test func `the agent's own triggers are nobody else's`() throws {
    try server.apply(.link(Link(index: 3, name: InterfaceName("up0".utf8), isUp: true, hasCarrier: true)))
    let answers = try client.ask(server, TDB.get(1), TDB.delete(1), TDB.modify(1))
    #expect(answers.map { $0.header.error } == [.none, .notPermitted, .notPermitted])
  }
}
