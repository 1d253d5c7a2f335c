import Wire

/// DNS messages (RFC 1035, 4.1) as the tests' servers read and write them.
struct DNSQuestion: Equatable {
  var id: UInt16
  /// Text without the last dot.
  var name: String
  /// The question section as it came.
  var bytes: [UInt8]
  var type: UInt16
  /// What EDNS announces; nil without OPT.
  var payloadSize: UInt16?

  static let a: UInt16 = 1
  static let aaaa: UInt16 = 28

  init?(_ message: [UInt8]) {
    guard message.count >= 12, message[2] & 0x80 == 0, message[5] == 1 else { return nil }
    id = UInt16(message[0]) << 8 | UInt16(message[1])
    var labels: [String] = []
    var index = 12
    while index < message.count, message[index] != 0 {
      let end = index + 1 + Int(message[index])
      guard end <= message.count else { return nil }
      labels.append(String(decoding: message[(index + 1)..<end], as: UTF8.self))
      index = end
    }
    guard index + 5 <= message.count else { return nil }
    name = labels.joined(separator: ".")
    type = UInt16(message[index + 1]) << 8 | UInt16(message[index + 2])
    bytes = Array(message[12..<(index + 5)])
    let rest = message[(index + 5)...]
    if rest.count == 11, message[11] == 1 {
      payloadSize = UInt16(rest[rest.startIndex + 3]) << 8 | UInt16(rest[rest.startIndex + 4])
    }
  }
}

struct DNSRecord {
  var name: [UInt8]
  var type: UInt16
  var ttl: UInt32 = 300
  var data: [UInt8]

  /// A pointer to the question's name.
  static let questionName: [UInt8] = [0xC0, 12]

  static func a(_ text: String, _ name: [UInt8] = questionName, ttl: UInt32 = 300) -> DNSRecord {
    guard case .v4(let address)? = IPAddress(text) else { fatalError(text) }
    return DNSRecord(name: name, type: 1, ttl: ttl, data: bigEndian(address.value))
  }

  static func aaaa(_ text: String, _ name: [UInt8] = questionName, ttl: UInt32 = 300) -> DNSRecord {
    guard case .v6(let address)? = IPAddress(text) else { fatalError(text) }
    return DNSRecord(name: name, type: 28, ttl: ttl, data: bigEndian(address.high) + bigEndian(address.low))
  }

  static func cname(_ target: String, _ name: [UInt8] = questionName, ttl: UInt32 = 300) -> DNSRecord {
    DNSRecord(name: name, type: 5, ttl: ttl, data: labels(target))
  }

  /// Its values don't matter here.
  static func soa() -> DNSRecord {
    DNSRecord(name: [0], type: 6, data: [0, 0] + [UInt8](repeating: 0, count: 20))
  }

  /// The record for a question of either type: `v4` or `v6`.
  static func address(_ question: DNSQuestion, v4: String, v6: String) -> DNSRecord {
    question.type == DNSQuestion.a ? .a(v4) : .aaaa(v6)
  }
}

struct DNSAnswer {
  var id: UInt16
  var flags: UInt16 = 0x8180
  var code: UInt16 = 0
  var question: [UInt8]
  var answers: [DNSRecord] = []
  var authority: [DNSRecord] = []
  /// With OPT, as a server that does EDNS answers.
  var hasOPT = false

  init(_ question: DNSQuestion, code: UInt16 = 0, _ answers: [DNSRecord] = [], authority: [DNSRecord] = []) {
    id = question.id
    self.question = question.bytes
    self.code = code
    self.answers = answers
    self.authority = authority
  }

  var bytes: [UInt8] {
    var bytes = bigEndian(id) + bigEndian(flags | code) + bigEndian(UInt16(question.isEmpty ? 0 : 1))
    bytes += bigEndian(UInt16(answers.count)) + bigEndian(UInt16(authority.count)) + [0, hasOPT ? 1 : 0]
    bytes += question
    for record in answers + authority {
      bytes += record.name + bigEndian(record.type) + [0, 1] + bigEndian(record.ttl)
      bytes += bigEndian(UInt16(record.data.count)) + record.data
    }
    if hasOPT { bytes += [0, 0, 41, 0x04, 0xD0, 0, 0, 0, 0, 0, 0] }
    return bytes
  }
}

func labels(_ name: String) -> [UInt8] {
  name.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0]
}

func bigEndian<I: FixedWidthInteger>(_ value: I) -> [UInt8] {
  stride(from: I.bitWidth - 8, through: 0, by: -8).map { UInt8(truncatingIfNeeded: value >> I($0)) }
}
