import Foundation
import Messages
import Testing
import Wire

/// The codec against Tests/Vectors, payload by payload.
@Suite struct VectorTests {
  @Test("encode gives the vector's bytes", arguments: Vector.all)
  func encode(_ vector: Vector) throws {
    let bytes = try written { writer throws(MessageOverflow) in
      let message = vector.message
      try writer.begin(
        type: message.number("msgtype"), error: ErrorNumber(rawValue: message.number("errno")),
        flags: message.number("flags"), sequence: message.number("seq"), pid: message.number("pid"))
      for item in vector.payloads { try write(item, of: vector.family, to: &writer) }
      writer.finish()
    }
    #expect(bytes == vector.bytes)
  }

  @Test("decode gives the vector's fields", arguments: Vector.all)
  func decode(_ vector: Vector) throws {
    let bytes = vector.bytes
    let frame = try Frame(bytes.raw, accepts: { _ in true })
    let header = frame.header
    #expect(
      "version=\(header.version) msgtype=\(header.type) errno=\(header.error.rawValue) flags=\(header.flags) len8=\(header.length) seq=\(header.sequence) pid=\(header.pid)"
        == vector.message.text)
    var payloads = frame.payloads
    for item in vector.payloads {
      guard let payload = try payloads.next() else {
        Issue.record("\(item.kind) is not there")
        return
      }
      let text = try read(payload, of: vector.family)
      #expect("\(text)" == "\(item.kind) \(item.text)")
    }
    let isAtEnd = try payloads.next() == nil
    #expect(isAtEnd)
  }

  @Test("every message type has a vector, every vector's name and number are in docs/protocol.md")
  func complete() throws {
    let document = try String(contentsOf: repository.appending(path: "docs/protocol.md"), encoding: .utf8)
    for family in Vector.Family.allCases {
      // EXPLAIN and EXPLANATION have no payloads fixed yet.
      let types =
        family == .trigger
        ? TriggerMessageType.allCases.map { $0.rawValue }
        : MIFMessageType.allCases.filter { $0 != .explain && $0 != .explanation }.map { $0.rawValue }
      for type in types {
        let vectors = Vector.all.filter { $0.family == family && $0.message.fields["msgtype"] == String(type) }
        #expect(!vectors.isEmpty, "\(family) \(type)")
        for vector in vectors {
          #expect(document.contains("\n| \(type) | \(vector.message.kind) "), "\(vector.name)")
        }
      }
    }
  }

  @Test("payload numbers are those of docs/protocol.md", arguments: Vector.all)
  func payloadNumbers(_ vector: Vector) throws {
    let document = try String(contentsOf: repository.appending(path: "docs/protocol.md"), encoding: .utf8)
    for item in vector.payloads {
      let number = UInt16(item.bytes[2]) | UInt16(item.bytes[3]) << 8
      let text = number < 0x8000 ? String(number) : "0x" + String(number, radix: 16)
      #expect(document.contains("\n| \(text) | \(item.kind) | "), "\(item.kind)")
      #expect(Int(item.bytes[0]) * 8 == item.bytes.count)
    }
  }

  private func write(
    _ item: Vector.Item, of family: Vector.Family, to writer: inout MessageWriter
  ) throws(MessageOverflow) {
    switch (family, item.kind) {
    case (.trigger, "TRIGGER"):
      try writer.trigger(
        TriggerPayload(type: TriggerType(rawValue: item.number("type")), identifier: item.number("id")))
    case (.trigger, "ADDRESS"):
      try writer.address(
        TriggerAddress(item.address(), prefixLength: item.number("prefixlen"), scope: item.number("scope")))
    case (.trigger, "ORIGIN"):
      try writer.origin(
        Origin(
          interface: item.number("ifindex"), interfaceName: InterfaceName(item.string("name")),
          pvd: item.number("pvd"), source: Source(rawValue: item.number("source"))!,
          icmpType: item.number("icmptype"), icmpCode: item.number("icmpcode"), count: item.number("count"),
          timestamp: item.number("timestamp"), addressFlags: item.number("addrflags"),
          reason: RemovalReason(rawValue: item.number("reason"))!))
    case (.trigger, "FILTER"):
      try writer.filter(
        TriggerFilter(
          types: item.fields["types"]!.split(separator: ",").map { TriggerType(rawValue: UInt16($0)!) },
          interface: item.number("interface"),
          prefix: item.fields["address"].map { IPPrefix(IPAddress(text: $0)!, item.number("prefixlen")) },
          scope: item.number("scope")))
    case (.mif, "INTERFACE"):
      try writer.interface(
        InterfaceDescription(
          identifier: item.number("id"), name: InterfaceName(item.string("name")),
          flags: InterfaceFlags(rawValue: item.number("flags"))))
    case (.mif, "PVD"):
      let flags: UInt8 = item.number("flags")
      try writer.pvd(
        PvDDescription(identifier: item.number("id"), isExplicit: flags & 1 != 0, name: item.string("name")))
    case (.mif, "ELEMENT"):
      try writer.element(
        ElementReference(
          type: item.number("type"), identifier: InformationIdentifier(rawValue: item.number("id"))))
    case (.mif, "ADDRESS"):
      try writer.announcedAddress(
        AnnouncedAddress(
          item.address(), prefixLength: item.number("prefixlen"), scope: item.number("scope"),
          flags: AddressFlags(rawValue: item.number("flags")), preferredLifetime: item.number("preferred"),
          validLifetime: item.number("valid")))
    case (.mif, "DATA"): try writer.data(configurationItem(item), interface: item.number("scope"))
    case (.mif, "NAME"): try writer.name(NodeName(item.string("name")))
    case (.mif, "TRANSACTION"): try writer.transaction(Transaction(identifier: item.number("id")))
    case (.mif, "ENDPOINT"):
      try writer.endpoint(
        Endpoint(
          Endpoint.Transport(rawValue: item.number("transport"))!, Endpoint.Role(rawValue: item.number("role"))!,
          item.socketAddress()))
    case (.mif, "FAILURE"):
      try writer.failure(
        Failure(
          error: item.number("errno"), from: Failure.From(rawValue: item.number("from"))!,
          icmpType: item.number("icmptype"), icmpCode: item.number("icmpcode"),
          resolverStatus: item.number("rcode")))
    case (.mif, "TIME"): try writer.time(GraceTime(milliseconds: item.number("milliseconds")))
    case (.mif, "COUNTER"): try writer.counter(item.string("name").span, item.number("value"))
    default: Issue.record("no such payload: \(item.kind)")
    }
  }

  private func configurationItem(_ item: Vector.Item) -> ConfigurationItem {
    let prefix = item.fields["address"].map { IPPrefix(IPAddress(text: $0)!, item.number("prefixlen")) }
    let value: ConfigurationValue =
      switch ValueKind(rawValue: item.number("kind"))! {
      case .address: .address(item.address())
      case .text: .text(item.string("text"))
      case .number: .number(item.number("number"))
      case .prefix: .prefix(prefix!, flags: item.number("flags"))
      case .route: .route(prefix!, gateway: item.address("gateway"), preference: item.number("preference"))
      case .router: .router(item.address(), preference: item.number("preference"))
      case .pvd: .pvd(flags: item.number("flags"), sequence: item.number("sequence"))
      case .lease: .lease(server: item.address(), renewal: item.number("t1"), rebinding: item.number("t2"))
      case .bytes:
        .bytes(
          stride(from: 0, to: item.fields["bytes"]!.count, by: 2).map { offset in
            UInt8(item.fields["bytes"]!.dropFirst(offset).prefix(2), radix: 16)!
          })
      }
    return ConfigurationItem(
      InformationIdentifier(rawValue: item.number("id")), value, preferredLifetime: item.number("preferred"),
      validLifetime: item.number("valid"))
  }

  private func read(_ payload: Payload, of family: Vector.Family) throws -> String {
    func scope(_ scope: UInt32) -> String { scope == 0 ? "" : " scope=\(scope)" }
    func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
    switch (family, payload.type) {
    case (.trigger, TriggerPayloadType.trigger):
      let trigger = try TriggerPayload(payload)
      return "TRIGGER type=\(trigger.type.rawValue) id=\(trigger.identifier)"
    case (.trigger, TriggerPayloadType.address):
      let address = try TriggerAddress(payload)
      return "ADDRESS prefixlen=\(address.prefixLength) address=\(address.address.text)\(scope(address.scope))"
    case (.trigger, TriggerPayloadType.origin):
      let o = try Origin(payload)
      return
        "ORIGIN ifindex=\(o.interface) name=\(text(o.interfaceName.bytes)) pvd=\(o.pvd) source=\(o.source.rawValue) icmptype=\(o.icmpType) icmpcode=\(o.icmpCode) reason=\(o.reason.rawValue) count=\(o.count) addrflags=\(o.addressFlags) timestamp=\(o.timestamp)"
    case (.trigger, TriggerPayloadType.filter):
      let filter = try TriggerFilter(payload)
      let types = filter.types.map { String($0.rawValue) }.joined(separator: ",")
      let address = filter.prefix.map { " address=\($0.address.text)" } ?? ""
      return
        "FILTER interface=\(filter.interface) types=\(types) prefixlen=\(filter.prefix?.length ?? 0)\(address)\(scope(filter.scope))"
    case (.mif, MIFPayloadType.interface):
      let interface = try InterfaceDescription(payload)
      return
        "INTERFACE id=\(interface.identifier) name=\(text(interface.name.bytes)) flags=\(interface.flags.rawValue)"
    case (.mif, MIFPayloadType.pvd):
      let pvd = try PvDDescription(payload)
      return "PVD id=\(pvd.identifier) flags=\(pvd.isExplicit ? 1 : 0) name=\(text(pvd.name))"
    case (.mif, MIFPayloadType.element):
      let element = try ElementReference(payload)
      return "ELEMENT type=\(element.type) id=\(element.identifier.rawValue)"
    case (.mif, MIFPayloadType.address):
      let a = try AnnouncedAddress(payload)
      return
        "ADDRESS prefixlen=\(a.prefixLength) flags=\(a.flags.rawValue) preferred=\(a.preferredLifetime) valid=\(a.validLifetime) address=\(a.address.text)\(scope(a.scope))"
    case (.mif, MIFPayloadType.data):
      guard let item = try ConfigurationItem(payload) else { return "DATA of no known kind" }
      let common =
        "DATA id=\(item.identifier.rawValue) kind=\(item.value.kind.rawValue) preferred=\(item.preferredLifetime) valid=\(item.validLifetime) "
      // The scope of a link-local address is not kept; in the vectors it is interface 3.
      func linkLocal(_ address: IPAddress) -> String { scope(address.family == .v6 && address.isLinkLocal ? 3 : 0) }
      switch item.value {
      case .address(let address): return common + "address=\(address.text)" + linkLocal(address)
      case .text(let bytes): return common + "text=\(text(bytes))"
      case .number(let number): return common + "number=\(number)"
      case .prefix(let prefix, let flags):
        return common + "prefixlen=\(prefix.length) flags=\(flags) address=\(prefix.address.text)"
      case .route(let prefix, let gateway, let preference):
        return common
          + "prefixlen=\(prefix.length) preference=\(preference) address=\(prefix.address.text) gateway=\(gateway.text)"
          + linkLocal(gateway)
      case .router(let address, let preference):
        return common + "preference=\(preference) address=\(address.text)" + linkLocal(address)
      case .pvd(let flags, let sequence): return common + "flags=\(flags) sequence=\(sequence)"
      case .lease(let server, let renewal, let rebinding):
        return common + "t1=\(renewal) t2=\(rebinding) address=\(server.text)" + linkLocal(server)
      case .bytes(let bytes):
        return common + "bytes=" + bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
      }
    case (.mif, MIFPayloadType.name): return "NAME name=\(text(try NodeName(payload).bytes))"
    case (.mif, MIFPayloadType.time): return "TIME milliseconds=\(try GraceTime(payload).milliseconds)"
    case (.mif, MIFPayloadType.transaction): return "TRANSACTION id=\(try Transaction(payload).identifier)"
    case (.mif, MIFPayloadType.endpoint):
      let endpoint = try Endpoint(payload)
      let address = endpoint.socketAddress
      return
        "ENDPOINT transport=\(endpoint.transport.rawValue) role=\(endpoint.role.rawValue) address=\(address.address.text) port=\(address.port)\(scope(address.scope))"
    case (.mif, MIFPayloadType.failure):
      let f = try Failure(payload)
      return
        "FAILURE errno=\(f.error) from=\(f.from.rawValue) icmptype=\(f.icmpType) icmpcode=\(f.icmpCode) rcode=\(f.resolverStatus)"
    case (.mif, MIFPayloadType.counter):
      let counter = try Counter(payload)
      return "COUNTER name=\(text(counter.name)) value=\(counter.value)"
    default: return "payload \(payload.type)"
    }
  }
}
