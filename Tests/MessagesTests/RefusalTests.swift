import Messages
import Testing
import Wire

/// A message put together byte by byte, so that it can be wrong.
struct Draft {
  var version: UInt8 = 1
  var type: UInt8
  var flags: UInt8 = 0
  /// nil: the right one.
  var length: UInt16?
  var payloads: [[UInt8]] = []
  var tail: [UInt8] = []

  var bytes: [UInt8] {
    let body = payloads.flatMap { $0 } + tail
    let length = self.length ?? UInt16((16 + body.count) / 8)
    return [version, type, 0, flags] + number(length) + [0, 0] + number(UInt32(7)) + number(UInt32(1000)) + body
  }

  static func payload(_ type: UInt16, length: UInt16? = nil, _ body: [UInt8]) -> [UInt8] {
    let padded = body + [UInt8](repeating: 0, count: (12 - body.count % 8) % 8)
    return number(length ?? UInt16((padded.count + 4) / 8)) + number(type) + padded
  }
  static func trigger(_ type: UInt16, id: UInt32 = 0) -> [UInt8] {
    payload(2, number(type) + [0, 0] + number(id) + number(UInt32(0)))
  }
  /// ADDRESS with the first bytes of a sockaddr of `size` bytes.
  static func address(family: UInt16 = 2, prefix: UInt8 = 24, size: Int = 16) -> [UInt8] {
    payload(1, [prefix, 0, 0, 0] + number(family) + [UInt8](repeating: 0, count: size - 2))
  }
  /// FILTER of `size` bytes in all, with that many types announced.
  static func filter(types: UInt8 = 0, family: UInt16 = 0, prefix: UInt8 = 0, size: Int = 48) -> [UInt8] {
    payload(
      0x8002,
      number(UInt32(0)) + [prefix, types, 0, 0, 0, 0, 0, 0] + number(family) + [UInt8](repeating: 0, count: size - 18))
  }
  static func pvd(_ id: UInt32, nameLength: UInt8 = 0, size: Int = 16) -> [UInt8] {
    payload(2, number(id) + [nameLength] + [UInt8](repeating: 0, count: size - 9))
  }
  static func name(_ text: String) -> [UInt8] {
    payload(6, number(UInt16(text.utf8.count)) + [0, 0] + Array(text.utf8))
  }
  static func transaction(_ id: UInt32) -> [UInt8] { payload(7, number(id)) }
  static func endpoint(transport: UInt8 = 6, role: UInt8 = 1, family: UInt16 = 2) -> [UInt8] {
    payload(8, [transport, role, 0, 0] + number(family) + [UInt8](repeating: 0, count: 14))
  }
  static func interface(_ id: UInt32, size: Int = 32) -> [UInt8] {
    payload(1, number(id) + [UInt8](repeating: 0, count: size - 8))
  }
  static func element(_ type: UInt16, size: Int = 16) -> [UInt8] {
    payload(3, number(type) + [UInt8](repeating: 0, count: size - 6))
  }
}

private func number<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
  (0..<MemoryLayout<T>.size).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
}

struct RefusalCase: CustomTestStringConvertible, Sendable {
  var name: String
  var bytes: [UInt8]
  var refusal: MessageRefusal?
  var testDescription: String { name }

  init(_ name: String, _ message: Draft, _ refusal: MessageRefusal?) {
    self.init(name, message.bytes, refusal)
  }
  init(_ name: String, _ bytes: [UInt8], _ refusal: MessageRefusal?) {
    self.name = name
    self.bytes = bytes
    self.refusal = refusal
  }
}

/// docs/protocol.md, "Errors": every rule by name.
@Suite struct RefusalTests {
  static let add = Draft(type: 1, payloads: [Draft.trigger(6)])

  static let triggerCases: [RefusalCase] = [
    RefusalCase("right", add, nil),
    RefusalCase("empty", [], .headerTruncated),
    RefusalCase("one byte short of a header", Array(Draft(type: 4).bytes.prefix(15)), .headerTruncated),
    RefusalCase("version 0", Draft(version: 0, type: 4), .version),
    RefusalCase("version 2, and everything else wrong too", Draft(version: 2, type: 99, length: 7), .version),
    RefusalCase("type 0", Draft(type: 0), .messageType),
    RefusalCase("type 7", Draft(type: 7), .messageType),
    RefusalCase("NOTIFY from a client", Draft(type: 5, payloads: [Draft.trigger(6)]), .messageType),
    RefusalCase("unknown type with a wrong length", Draft(type: 255, length: 9), .messageType),
    RefusalCase("length 0", Draft(type: 4, length: 0), .length),
    RefusalCase("length one too many", Draft(type: 1, length: 5, payloads: [Draft.trigger(6)]), .length),
    RefusalCase("length one too few", Draft(type: 1, length: 3, payloads: [Draft.trigger(6)]), .length),
    RefusalCase("not a multiple of 8", Draft(type: 1, payloads: [Draft.trigger(6)], tail: [0, 0, 0, 0]), .length),
    RefusalCase(
      "payload of length 0", Draft(type: 1, payloads: [Draft.payload(2, length: 0, [0, 0, 0, 0])]), .payloadLength),
    RefusalCase(
      "payload past the end", Draft(type: 1, payloads: [Draft.payload(2, length: 3, [UInt8](repeating: 0, count: 12))]),
      .payloadLength),
    RefusalCase(
      "unknown payload past the end",
      Draft(type: 1, payloads: [Draft.trigger(6), Draft.payload(99, length: 2, [0, 0, 0, 0])]), .payloadLength),
    RefusalCase(
      "unknown payload of length 0 in GET",
      Draft(type: 2, payloads: [Draft.trigger(0, id: 1), Draft.payload(99, length: 0, [0, 0, 0, 0])]), .payloadLength),
    RefusalCase(
      "unknown payload is skipped", Draft(type: 1, payloads: [Draft.payload(99, [1, 2, 3, 4]), Draft.trigger(6)]), nil),
    RefusalCase(
      "ORIGIN from a client is skipped",
      Draft(type: 1, payloads: [Draft.trigger(6), Draft.payload(0x8001, [1, 2, 3, 4])]), nil),
    RefusalCase("TRIGGER too short", Draft(type: 1, payloads: [Draft.payload(2, [6, 0, 0, 0])]), .payloadMalformed),
    RefusalCase(
      "TRIGGER too long", Draft(type: 1, payloads: [Draft.payload(2, [6] + [UInt8](repeating: 0, count: 19))]),
      .payloadMalformed),
    RefusalCase("ADD without TRIGGER", Draft(type: 1), .payloadMissing),
    RefusalCase("ADD with an address alone", Draft(type: 1, payloads: [Draft.address()]), .payloadMissing),
    RefusalCase("GET without TRIGGER", Draft(type: 2), .payloadMissing),
    RefusalCase("DELETE without TRIGGER", Draft(type: 3), .payloadMissing),
    RefusalCase("MODIFY without TRIGGER", Draft(type: 6), .payloadMissing),
    RefusalCase(
      "two TRIGGERs in ADD", Draft(type: 1, payloads: [Draft.trigger(6), Draft.trigger(6)]), .payloadRepeated),
    RefusalCase(
      "two TRIGGERs in GET", Draft(type: 2, payloads: [Draft.trigger(0, id: 1), Draft.trigger(0, id: 1)]),
      .payloadRepeated),
    RefusalCase("type 0 in ADD", Draft(type: 1, payloads: [Draft.trigger(0)]), .triggerTypeZero),
    RefusalCase("type 0 in MODIFY", Draft(type: 6, payloads: [Draft.trigger(0, id: 1)]), .triggerTypeZero),
    RefusalCase("type 0 in DELETE", Draft(type: 3, payloads: [Draft.trigger(0, id: 1)]), nil),
    RefusalCase("type 0xFFFF in ADD", Draft(type: 1, payloads: [Draft.trigger(0xFFFF)]), nil),
    RefusalCase("id in ADD", Draft(type: 1, payloads: [Draft.trigger(6, id: 1)]), .triggerIdentifierGiven),
    RefusalCase("id 0 in GET is for the database to miss", Draft(type: 2, payloads: [Draft.trigger(0)]), nil),
    RefusalCase("prefix length 32", Draft(type: 1, payloads: [Draft.trigger(6), Draft.address(prefix: 32)]), nil),
    RefusalCase(
      "prefix length 33", Draft(type: 1, payloads: [Draft.trigger(6), Draft.address(prefix: 33)]), .prefixLength),
    RefusalCase(
      "prefix length 128",
      Draft(type: 1, payloads: [Draft.trigger(6), Draft.address(family: 10, prefix: 128, size: 28)]), nil),
    RefusalCase(
      "prefix length 129",
      Draft(type: 1, payloads: [Draft.trigger(6), Draft.address(family: 10, prefix: 129, size: 28)]), .prefixLength),
    RefusalCase(
      "family AF_UNIX", Draft(type: 1, payloads: [Draft.trigger(6), Draft.address(family: 1)]), .addressFamily),
    RefusalCase(
      "family 0", Draft(type: 6, payloads: [Draft.trigger(6, id: 1), Draft.address(family: 0, size: 28)]),
      .addressFamily),
    RefusalCase(
      "no sockaddr", Draft(type: 1, payloads: [Draft.trigger(6), Draft.payload(1, [24, 0, 0, 0])]), .payloadMalformed),
    RefusalCase(
      "sockaddr_in cut short", Draft(type: 1, payloads: [Draft.trigger(6), Draft.address(size: 8)]), .payloadMalformed),
    RefusalCase(
      "sockaddr_in in 32 bytes", Draft(type: 1, payloads: [Draft.trigger(6), Draft.address(size: 24)]),
      .payloadMalformed),
    RefusalCase(
      "sockaddr_in6 cut short", Draft(type: 1, payloads: [Draft.trigger(6), Draft.address(family: 10, size: 24)]),
      .payloadMalformed),
    RefusalCase(
      "sockaddr_in6 in 48 bytes", Draft(type: 1, payloads: [Draft.trigger(6), Draft.address(family: 10, size: 40)]),
      .payloadMalformed),
    RefusalCase(
      "16 addresses", Draft(type: 1, payloads: [Draft.trigger(6)] + Array(repeating: Draft.address(), count: 16)), nil),
    RefusalCase(
      "17 addresses", Draft(type: 1, payloads: [Draft.trigger(6)] + Array(repeating: Draft.address(), count: 17)),
      .tooManyAddresses),
    RefusalCase(
      "17 addresses in GET are skipped",
      Draft(type: 2, payloads: [Draft.trigger(0, id: 1)] + Array(repeating: Draft.address(), count: 17)), nil),
    RefusalCase("REGISTER", Draft(type: 4), nil),
    RefusalCase("REGISTER with every bit but FILTER", Draft(type: 4, flags: 0xEF), nil),
    RefusalCase("REGISTER with TRIGGER", Draft(type: 4, payloads: [Draft.trigger(6)]), .payloadUnexpected),
    RefusalCase(
      "REGISTER with an unknown payload", Draft(type: 4, payloads: [Draft.payload(99, [0, 0, 0, 0])]),
      .payloadUnexpected),
    RefusalCase("REGISTER with FILTER", Draft(type: 4, flags: 0x10, payloads: [Draft.filter()]), nil),
    RefusalCase("REGISTER with FILTER announced and not there", Draft(type: 4, flags: 0x10), .payloadMissing),
    RefusalCase(
      "REGISTER with FILTER not announced", Draft(type: 4, flags: 0x0F, payloads: [Draft.filter()]), .payloadUnexpected
    ),
    RefusalCase(
      "REGISTER with two FILTERs", Draft(type: 4, flags: 0x10, payloads: [Draft.filter(), Draft.filter()]),
      .payloadRepeated),
    RefusalCase(
      "REGISTER with FILTER and TRIGGER", Draft(type: 4, flags: 0x10, payloads: [Draft.filter(), Draft.trigger(6)]),
      .payloadUnexpected),
    RefusalCase(
      "FILTER too short",
      Draft(type: 4, flags: 0x10, payloads: [Draft.payload(0x8002, [UInt8](repeating: 0, count: 36))]),
      .payloadMalformed),
    RefusalCase(
      "FILTER with 64 types", Draft(type: 4, flags: 0x10, payloads: [Draft.filter(types: 64, size: 176)]), nil),
    RefusalCase(
      "FILTER with 65 types", Draft(type: 4, flags: 0x10, payloads: [Draft.filter(types: 65, size: 184)]),
      .payloadMalformed),
    RefusalCase(
      "FILTER shorter than its types", Draft(type: 4, flags: 0x10, payloads: [Draft.filter(types: 5, size: 56)]),
      .payloadMalformed),
    RefusalCase(
      "FILTER longer than its types", Draft(type: 4, flags: 0x10, payloads: [Draft.filter(types: 4, size: 64)]),
      .payloadMalformed),
    RefusalCase(
      "FILTER: prefix length 32", Draft(type: 4, flags: 0x10, payloads: [Draft.filter(family: 2, prefix: 32)]), nil),
    RefusalCase(
      "FILTER: prefix length 33", Draft(type: 4, flags: 0x10, payloads: [Draft.filter(family: 2, prefix: 33)]),
      .prefixLength),
    RefusalCase(
      "FILTER: prefix length 128", Draft(type: 4, flags: 0x10, payloads: [Draft.filter(family: 10, prefix: 128)]), nil),
    RefusalCase(
      "FILTER: prefix length 129", Draft(type: 4, flags: 0x10, payloads: [Draft.filter(family: 10, prefix: 129)]),
      .prefixLength),
    RefusalCase(
      "FILTER: prefix length without an address",
      Draft(type: 4, flags: 0x10, payloads: [Draft.filter(family: 0, prefix: 1)]), .prefixLength),
    RefusalCase(
      "FILTER: AF_UNIX", Draft(type: 4, flags: 0x10, payloads: [Draft.filter(family: 1)]), .addressFamily),
    RefusalCase(
      "the first thing wrong is told",
      Draft(type: 1, payloads: [Draft.address(family: 1), Draft.trigger(6), Draft.trigger(6)]), .addressFamily),
  ]

  @Test("TDB requests", arguments: triggerCases)
  func trigger(_ test: RefusalCase) {
    var refusal: MessageRefusal?
    do { _ = try TriggerRequest(test.bytes.raw) } catch { refusal = error }
    #expect(refusal == test.refusal)
  }

  static let mifCases: [RefusalCase] = [
    RefusalCase("right", Draft(type: 5, payloads: [Draft.interface(3)]), nil),
    RefusalCase("empty", [], .headerTruncated),
    RefusalCase("version 2", Draft(version: 2, type: 1), .version),
    RefusalCase("type 0", Draft(type: 0), .messageType),
    RefusalCase("type 41", Draft(type: 41), .messageType),
    RefusalCase("an announcement from a client", Draft(type: 3, payloads: [Draft.interface(3)]), .messageType),
    RefusalCase("SNAPSHOT_END from a client", Draft(type: 34), .messageType),
    RefusalCase("EXPLAIN is not served", Draft(type: 38), .messageType),
    RefusalCase("length", Draft(type: 1, length: 3), .length),
    RefusalCase(
      "payload of length 0 where none is needed",
      Draft(type: 1, payloads: [Draft.payload(9, length: 0, [0, 0, 0, 0])]), .payloadLength),
    RefusalCase(
      "payload past the end", Draft(type: 5, payloads: [Draft.payload(1, length: 5, [UInt8](repeating: 0, count: 28))]),
      .payloadLength),
    RefusalCase("a payload that the message has no use for", Draft(type: 1, payloads: [Draft.pvd(1)]), nil),
    RefusalCase(
      "an unknown payload", Draft(type: 9, payloads: [Draft.payload(200, [0, 0, 0, 0]), Draft.pvd(1)]), nil),
    RefusalCase("ANNOUNCE_PVDS without INTERFACE", Draft(type: 5, payloads: [Draft.pvd(1)]), .payloadMissing),
    RefusalCase("STOP_ANNOUNCING_PVDS without INTERFACE", Draft(type: 6), .payloadMissing),
    RefusalCase(
      "ANNOUNCE_CONFIG_ELEMENTS without PVD", Draft(type: 9, payloads: [Draft.interface(1)]), .payloadMissing),
    RefusalCase("STOP_ANNOUNCING_CONFIG_ELEMENTS without PVD", Draft(type: 12), .payloadMissing),
    RefusalCase("ANNOUNCE_ADDRESSES without PVD", Draft(type: 13), .payloadMissing),
    RefusalCase("STOP_ANNOUNCING_ADDRESSES without PVD", Draft(type: 15), .payloadMissing),
    RefusalCase("GET_CONFIG_DATA without PVD", Draft(type: 17, payloads: [Draft.element(1)]), .payloadMissing),
    RefusalCase("GET_CONFIG_DATA without ELEMENT", Draft(type: 17, payloads: [Draft.pvd(1)]), .payloadMissing),
    RefusalCase(
      "GET_CONFIG_DATA of an element that there is not", Draft(type: 17, payloads: [Draft.pvd(1), Draft.element(999)]),
      nil),
    RefusalCase(
      "two INTERFACEs", Draft(type: 5, payloads: [Draft.interface(3), Draft.interface(3)]), .payloadRepeated),
    RefusalCase("two PVDs", Draft(type: 9, payloads: [Draft.pvd(3), Draft.pvd(3)]), .payloadRepeated),
    RefusalCase(
      "two ELEMENTs", Draft(type: 17, payloads: [Draft.pvd(3), Draft.element(1), Draft.element(1)]), .payloadRepeated),
    RefusalCase("INTERFACE too short", Draft(type: 5, payloads: [Draft.interface(3, size: 24)]), .payloadMalformed),
    RefusalCase("INTERFACE too long", Draft(type: 5, payloads: [Draft.interface(3, size: 40)]), .payloadMalformed),
    RefusalCase("PVD too short", Draft(type: 9, payloads: [Draft.payload(2, [1, 0, 0, 0])]), .payloadMalformed),
    RefusalCase("PVD with its name", Draft(type: 9, payloads: [Draft.pvd(1, nameLength: 12, size: 24)]), nil),
    RefusalCase(
      "PVD whose name goes past its end", Draft(type: 9, payloads: [Draft.pvd(1, nameLength: 5)]), .payloadMalformed),
    RefusalCase(
      "PVD longer than its name", Draft(type: 9, payloads: [Draft.pvd(1, nameLength: 4, size: 24)]), .payloadMalformed),
    RefusalCase(
      "ELEMENT too short", Draft(type: 17, payloads: [Draft.pvd(1), Draft.element(1, size: 8)]), .payloadMalformed),
    RefusalCase(
      "TRANSLATE_NAME", Draft(type: 20, payloads: [Draft.pvd(1), Draft.name("a"), Draft.transaction(7)]), nil),
    RefusalCase(
      "TRANSLATE_NAME without PVD", Draft(type: 20, payloads: [Draft.name("a"), Draft.transaction(7)]), .payloadMissing),
    RefusalCase(
      "TRANSLATE_NAME without NAME", Draft(type: 20, payloads: [Draft.pvd(1), Draft.transaction(7)]), .payloadMissing),
    RefusalCase(
      "TRANSLATE_NAME without TRANSACTION", Draft(type: 20, payloads: [Draft.pvd(1), Draft.name("a")]), .payloadMissing),
    RefusalCase(
      "TRANSLATE_NAME of an empty name",
      Draft(type: 20, payloads: [Draft.pvd(1), Draft.name(""), Draft.transaction(7)]),
      .payloadMalformed),
    RefusalCase(
      "TRANSLATE_NAME with two NAMEs",
      Draft(type: 20, payloads: [Draft.pvd(1), Draft.name("a"), Draft.name("b"), Draft.transaction(7)]),
      .payloadRepeated),
    RefusalCase(
      "NAME whose length goes past its end", Draft(type: 20, payloads: [Draft.payload(6, [9, 0, 0, 0])]),
      .payloadMalformed),
    RefusalCase(
      "NAME of 256 bytes",
      Draft(type: 20, payloads: [Draft.payload(6, [0, 1, 0, 0] + [UInt8](repeating: 97, count: 256))]),
      .payloadMalformed),
    RefusalCase("STOP_TRANSLATING_NAME without TRANSACTION", Draft(type: 21), .payloadMissing),
    RefusalCase("CONNECT_TO_PVD without PVD", Draft(type: 23), .payloadMissing),
    RefusalCase(
      "CONNECT_TO_ADDRESS", Draft(type: 24, payloads: [Draft.pvd(1), Draft.transaction(7), Draft.endpoint()]), nil),
    RefusalCase(
      "CONNECT_TO_ADDRESS without a destination",
      Draft(type: 24, payloads: [Draft.pvd(1), Draft.transaction(7), Draft.endpoint(role: 2)]), .payloadMissing),
    RefusalCase(
      "CONNECT_TO_ADDRESS with two destinations",
      Draft(type: 24, payloads: [Draft.pvd(1), Draft.transaction(7), Draft.endpoint(), Draft.endpoint()]),
      .payloadRepeated),
    RefusalCase(
      "CONNECT_TO_ADDRESS over SCTP",
      Draft(type: 24, payloads: [Draft.pvd(1), Draft.transaction(7), Draft.endpoint(transport: 132)]), .payloadMalformed
    ),
    RefusalCase(
      "CONNECT_TO_ADDRESS of AF_UNIX",
      Draft(type: 24, payloads: [Draft.pvd(1), Draft.transaction(7), Draft.endpoint(family: 1)]), .addressFamily),
    RefusalCase(
      "FROM_ADDRESS without a source",
      Draft(type: 25, payloads: [Draft.pvd(1), Draft.transaction(7), Draft.endpoint()]), .payloadMissing),
    RefusalCase(
      "FROM_ADDRESS of another transport",
      Draft(
        type: 25,
        payloads: [Draft.pvd(1), Draft.transaction(7), Draft.endpoint(), Draft.endpoint(transport: 17, role: 2)]),
      .payloadMalformed),
    RefusalCase(
      "FROM_ADDRESS",
      Draft(type: 25, payloads: [Draft.pvd(1), Draft.transaction(7), Draft.endpoint(), Draft.endpoint(role: 2)]), nil),
    RefusalCase("WANTS_TO_CONNECT", Draft(type: 28), nil),
    RefusalCase("CONNECTION_IDLE without PVD", Draft(type: 29), .payloadMissing),
    RefusalCase("CONNECTION_CAN_BE_BROKEN", Draft(type: 30, payloads: [Draft.pvd(0)]), nil),
    RefusalCase("TAKE_INTERFACE_DOWN without TIME", Draft(type: 40, payloads: [Draft.interface(3)]), nil),
    RefusalCase(
      "TAKE_INTERFACE_DOWN with TIME too long",
      Draft(type: 40, payloads: [Draft.interface(3), Draft.payload(11, [UInt8](repeating: 0, count: 12))]),
      .payloadMalformed),
    RefusalCase("INTERFACE_GOING_AWAY is the agent's", Draft(type: 31, payloads: [Draft.interface(3)]), .messageType),
  ]

  @Test("MIF requests", arguments: mifCases)
  func mif(_ test: RefusalCase) {
    var refusal: MessageRefusal?
    do { _ = try MIFRequest(test.bytes.raw) } catch { refusal = error }
    #expect(refusal == test.refusal)
  }

  @Test(
    "errno of each refusal",
    arguments: [
      (.headerTruncated, 90), (.version, 93), (.messageType, 95), (.length, 90), (.payloadLength, 22),
      (.payloadMalformed, 22), (.payloadMissing, 22), (.payloadRepeated, 22), (.payloadUnexpected, 22),
      (.triggerTypeZero, 22), (.triggerIdentifierGiven, 22), (.tooManyAddresses, 22), (.prefixLength, 22),
      (.addressFamily, 97),
    ] as [(MessageRefusal, UInt8)])
  func errorNumber(_ refusal: MessageRefusal, _ number: UInt8) {
    #expect(refusal.errorNumber.rawValue == number)
  }

  @Test("each refusal has a name of its own")
  func names() {
    #expect(Set(MessageRefusal.allCases.map { "\($0.name)" }).count == MessageRefusal.allCases.count)
  }

  @Test("the answer to less than a header has what there is", arguments: 0...16)
  func partialHeader(_ count: Int) throws {
    let bytes = Array(Draft(type: 4, flags: 7).bytes.prefix(count))
    let header = FrameHeader(asMuchAsThereIs: bytes.raw)
    #expect(header.type == (count >= 2 ? 4 : 0))
    #expect(header.sequence == (count >= 12 ? 7 : 0))
    #expect(header.pid == (count >= 16 ? 1000 : 0))
    let answer = try written { writer throws(MessageOverflow) in try writer.errorAnswer(to: header, .messageSize) }
    #expect(Array(answer.prefix(8)) == [1, header.type, 90, 0, 2, 0, 0, 0])
  }
}
