import Testing
import VICI
import Wire

/// "0308756e69…": two digits a byte, blanks for the reader.
private func bytes(_ text: String) -> [UInt8] {
  let digits = text.filter { !$0.isWhitespace }
  return stride(from: 0, to: digits.count, by: 2).map { offset in
    let start = digits.index(digits.startIndex, offsetBy: offset)
    return UInt8(digits[start..<digits.index(start, offsetBy: 2)], radix: 16)!
  }
}

/// The event that charon 5.9.8 sent for a childless IKE_SA over the lab's first uplink, behind its length.
private let listed = bytes(
  """
  07 07 6c6973742d7361 01 03 6c6162 03 08 756e697175656964 0001 31 03 07 76657273696f6e 0001 32
  03 05 7374617465 000b 45535441424c4953484544 03 0a 6c6f63616c2d686f7374 0009 31302e312e302e3130
  03 0a 6c6f63616c2d706f7274 0004 34353030 03 08 6c6f63616c2d6964 000c 686f73742e6578616d706c65
  03 0b 72656d6f74652d686f7374 0008 31302e392e302e32 03 0b 72656d6f74652d706f7274 0004 34353030
  03 09 72656d6f74652d6964 000c 706565722e6578616d706c65 03 09 696e69746961746f72 0003 796573
  03 0d 696e69746961746f722d737069 0010 31353132666633653037613061316237
  01 09 6368696c642d736173 02 02
  """)

private func framed(_ packet: [UInt8]) -> [UInt8] {
  [0, 0, UInt8(packet.count >> 8), UInt8(packet.count & 0xFF)] + packet
}

@Suite struct PacketTests {
  @Test func `A request is its length, its type and a name`() {
    #expect(VICI.Packet.request("list-sas") == bytes("0000000a 00 08 6c6973742d736173"))
    #expect(VICI.Packet.register("list-sa") == bytes("00000009 03 07 6c6973742d7361"))
  }

  @Test func `Packets come out whole, however the stream cuts them`() throws {
    let whole = framed([5]) + framed(listed) + framed([1])
    for size in 1...whole.count {
      var stream = PacketStream()
      var packets: [VICI.Packet] = []
      for start in stride(from: 0, to: whole.count, by: size) {
        stream.append(whole[start..<min(start + size, whole.count)])
        while let packet = try stream.next() { packets.append(packet) }
      }
      #expect(
        packets == [
          .confirmed, .event(name: ArraySlice("list-sa".utf8), message: listed[9...]), .response(message: []),
        ])
    }
  }

  @Test(arguments: [
    ("longer than charon sends", bytes("00080001"), VICIRefusal.packetTooLong),
    ("nothing in it", bytes("00000000"), .packetEmpty),
    ("of no type", bytes("00000001 08"), .packetType),
    ("what only clients send", bytes("00000001 00"), .packetType),
    ("an event without a name", bytes("00000001 07"), .nameTruncated),
    ("an event with a name cut off", bytes("00000004 07 04 6161"), .nameTruncated),
  ])
  func `Refused`(_ name: String, _ packet: [UInt8], _ refusal: VICIRefusal) {
    var stream = PacketStream()
    stream.append(packet)
    #expect(throws: refusal) { try stream.next() }
  }
}

@Suite struct ElementsTests {
  private func all(_ message: [UInt8]) throws -> [Element] {
    var elements = Elements(message[...])
    var all: [Element] = []
    while let element = try elements.next() { all.append(element) }
    return all
  }

  @Test func `Sections, lists and values`() throws {
    #expect(
      try all(bytes("01 01 61 03 01 6b 0002 7676 04 01 6c 05 0001 31 05 0000 06 02")) == [
        .sectionStart(name: [0x61]), .keyValue(key: [0x6B], value: [0x76, 0x76]), .listStart(name: [0x6C]),
        .listItem([0x31]), .listItem([]), .listEnd, .sectionEnd,
      ])
  }

  @Test(arguments: [
    ("element 0", bytes("00"), VICIRefusal.elementType),
    ("element 7", bytes("07"), .elementType),
    ("a name cut off", bytes("01 02 61"), .elementTruncated),
    ("a name's length missing", bytes("01"), .elementTruncated),
    ("a value cut off", bytes("03 01 6b 0002 76"), .elementTruncated),
    ("a value's length cut off", bytes("03 01 6b 00"), .elementTruncated),
    ("a section that has not begun", bytes("02"), .nesting),
    ("a section without an end", bytes("01 01 61"), .nesting),
    ("a list without an end", bytes("04 01 61"), .nesting),
    ("an item outside of a list", bytes("05 0001 31"), .nesting),
    ("a section in a list", bytes("04 01 61 01 01 61"), .nesting),
    ("a list in a list", bytes("04 01 61 04 01 61"), .nesting),
  ])
  func `Refused`(_ name: String, _ message: [UInt8], _ refusal: VICIRefusal) {
    #expect(throws: refusal) { try all(message) }
  }

  @Test func `No cut and no changed byte does harm`() {
    for length in 0..<listed.count { _ = try? SecurityAssociation.read(listed[9...].prefix(length)) }
    for place in listed.indices.dropFirst(9) {
      for value in UInt8.min...UInt8.max {
        var changed = listed
        changed[place] = value
        _ = try? SecurityAssociation.read(changed[9...])
      }
    }
  }
}

@Suite struct SecurityAssociationTests {
  private let address = "10.9.0.2"

  private func message(_ values: KeyValuePairs<String, String>) -> [UInt8] {
    var message: [UInt8] = [1, 3] + Array("lab".utf8)
    for (key, value) in values {
      message += [3, UInt8(key.utf8.count)] + Array(key.utf8)
      message += [UInt8(value.utf8.count >> 8), UInt8(value.utf8.count & 0xFF)] + Array(value.utf8)
    }
    return message + [2]
  }

  @Test func `As charon tells it`() throws {
    #expect(
      try SecurityAssociation.read(listed[9...])
        == SecurityAssociation(
          identifier: 1, connection: Array("lab".utf8), local: IPAddress("10.1.0.10")!, remote: IPAddress(address)!,
          remotePort: 4500))
  }

  @Test func `A responder's has no initiator`() throws {
    let told = try SecurityAssociation.read(
      message([
        "uniqueid": "7", "version": "2", "state": "CONNECTING", "local-host": "2001:db8::1",
        "remote-host": "2001:db8::2", "remote-port": "500",
      ])[...])
    #expect(
      told
        == SecurityAssociation(
          identifier: 7, connection: Array("lab".utf8), local: IPAddress("2001:db8::1")!,
          remote: IPAddress("2001:db8::2")!, remotePort: 500, isEstablished: false, isInitiator: false))
  }

  @Test(arguments: [
    ("of IKEv1", "version", "1"), ("without a peer yet", "remote-host", "%any"),
    ("with an unspecified peer", "remote-host", "0.0.0.0"), ("with a port too large", "remote-port", "65536"),
    ("with a number that is none", "uniqueid", "x"),
  ])
  func `Passed over`(_ name: String, _ key: String, _ value: String) throws {
    var bytes = message([
      "uniqueid": "7", "version": "2", "state": "ESTABLISHED", "local-host": "10.1.0.10", "remote-host": "10.9.0.2",
      "remote-port": "500",
    ])
    // The last of two values counts.
    bytes.removeLast()
    bytes += [3, UInt8(key.utf8.count)] + Array(key.utf8) + [0, UInt8(value.utf8.count)] + Array(value.utf8) + [2]
    #expect(try SecurityAssociation.read(bytes[...]) == nil)
  }

  @Test(arguments: [
    ("CREATED", false), ("CONNECTING", false), ("ESTABLISHED", true), ("PASSIVE", false), ("REKEYING", true),
    ("REKEYED", false), ("DELETING", false), ("DESTROYING", false),
  ])
  func `One that is being rekeyed is still in use`(_ state: String, _ isLive: Bool) throws {
    let told = try SecurityAssociation.read(
      message([
        "uniqueid": "7", "version": "2", "state": state, "local-host": "10.1.0.10", "remote-host": "10.9.0.2",
        "remote-port": "4500",
      ])[...])
    #expect(told?.isEstablished == isLive)
  }

  @Test func `What stands in its CHILD_SAs is not its own`() throws {
    var bytes = Array(listed[9...])
    // "child-sas" { "a" { "state" = "DELETED" } }
    bytes.removeLast(2)
    bytes += [1, 1, 0x61, 3, 5] + Array("state".utf8) + [0, 7] + Array("DELETED".utf8) + [2, 2, 2]
    #expect(try SecurityAssociation.read(bytes[...])?.isEstablished == true)
  }
}

@Suite struct AddressUpdateTests {
  /// The new addresses stand before the IKE_SA, which has the old ones.
  @Test func `An ike-update tells where to`() throws {
    func value(_ key: String, _ value: String) -> [UInt8] {
      [3, UInt8(key.utf8.count)] + Array(key.utf8) + [0, UInt8(value.utf8.count)] + Array(value.utf8)
    }
    let message =
      value("local-host", "10.2.0.10") + value("local-port", "4500") + value("remote-host", "10.9.0.2")
      + listed[9...]
    #expect(
      try AddressUpdate.read(message[...])
        == AddressUpdate(local: IPAddress("10.2.0.10")!, remote: IPAddress("10.9.0.2")!))
    #expect(try AddressUpdate.read(listed[9...]) == nil)
  }
}
