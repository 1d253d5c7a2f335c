/// A name within a DHCPv4 option, where it may end in a pointer to an earlier place of the same option (RFC 3397, 2;
/// RFC 1035, 4.1.4).
package struct OptionName: ~Escapable {
  private let bytes: OptionBytes
  private let start: Int
  /// Where the name's own bytes end, a pointer included.
  fileprivate let end: Int

  /// nil unless there is a whole name at `start`: every pointer goes back behind where its part began, which bounds
  /// the walk, and the name has at most 255 bytes.
  @_lifetime(copy bytes)
  init?(_ bytes: OptionBytes, at start: Int, isCompressed: Bool) {
    var offset = start
    var lowest = start
    var total = 0
    var end: Int?
    while true {
      guard offset < bytes.count else { return nil }
      let length = Int(bytes[offset])
      if length == 0 { break }
      if length >= 0xC0 {
        guard isCompressed, offset + 1 < bytes.count else { return nil }
        let target = (length & 0x3F) << 8 | Int(bytes[offset + 1])
        guard target < lowest else { return nil }
        if end == nil { end = offset + 2 }
        lowest = target
        offset = target
      } else {
        guard length <= DomainName.longestLabel else { return nil }
        total += 1 + length
        guard total < DomainName.longest else { return nil }
        offset += 1 + length
      }
    }
    self.bytes = bytes
    self.start = start
    self.end = end ?? offset + 1
  }

  package var isRoot: Bool { bytes[start] == 0 }

  /// Presentation form as `DomainName.appendText` has it.
  package func appendText(to text: inout [UInt8]) {
    if isRoot { text.append(UInt8(ascii: ".")) }
    var offset = start
    var isFirst = true
    while bytes[offset] != 0 {
      let length = Int(bytes[offset])
      if length >= 0xC0 {
        offset = (length & 0x3F) << 8 | Int(bytes[offset + 1])
        continue
      }
      if !isFirst { text.append(UInt8(ascii: ".")) }
      isFirst = false
      for index in 1...length { DomainName.appendEscaped(bytes[offset + index], to: &text) }
      offset += 1 + length
    }
  }
}

/// The search list of option 119 (RFC 3397).
package struct DHCPv4SearchList: ~Escapable {
  /// Names past this many are not yielded: resolvers use 6 to 32 of them, and compression could make one option name
  /// thousands.
  static let mostNames = 64

  private let bytes: OptionBytes
  private var offset = 0
  private var number = 0

  /// nil unless `bytes` are whole names other than the root, at least one.
  @_lifetime(copy bytes)
  init?(_ bytes: OptionBytes) {
    self.bytes = bytes
    guard bytes.count > 0 else { return nil }
    while offset < bytes.count, number < DHCPv4SearchList.mostNames {
      guard let name = next(), !name.isRoot else { return nil }
    }
    offset = 0
    number = 0
  }

  /// The next name, nil after the last.
  @_lifetime(copy self)
  package mutating func next() -> OptionName? {
    guard offset < bytes.count, number < DHCPv4SearchList.mostNames else { return nil }
    guard let name = OptionName(bytes, at: offset, isCompressed: true) else { return nil }
    offset = name.end
    number += 1
    return name
  }
}

/// An encrypted DNS resolver from DHCPv4 (RFC 9463, 5.1).
package struct DHCPv4EncryptedDNS: ~Escapable {
  /// Service priority: lower is better.
  package let priority: UInt16
  /// The authentication domain name, never the root.
  package let name: OptionName
  /// nil in ADN-only mode: the name is to be resolved (3.1.6).
  package let addresses: IPv4AddressList?
  /// SvcParams (RFC 9460, 2.2), unread.
  package let parameters: OptionBytes

  private enum Field {
    static let priority = 0
    static let nameLength = 2
    static let name = 3
  }

  /// `instance` begins behind its length.
  @_lifetime(copy instance)
  init?(_ instance: OptionBytes) {
    guard instance.count > Field.name else { return nil }
    let nameLength = Int(instance[Field.nameLength])
    guard instance.count - Field.name >= nameLength else { return nil }
    let bytes = instance.window(Field.name, nameLength)
    guard let name = OptionName(bytes, at: 0, isCompressed: false), !name.isRoot, name.end == nameLength else {
      return nil
    }
    let rest = instance.window(Field.name + nameLength, instance.count)
    priority = instance.u16(Field.priority)
    self.name = name
    let addressLength = Int(rest[0])
    guard addressLength == 0 || rest.count > addressLength else { return nil }
    parameters = rest.window(1 + addressLength, rest.count)
    if addressLength == 0 {
      addresses = nil
    } else {
      guard let addresses = IPv4AddressList(rest.window(1, addressLength)) else { return nil }
      self.addresses = addresses
    }
  }
}

/// The resolvers of option 162 (RFC 9463, 5.1), in their order.
package struct DHCPv4EncryptedDNSList: ~Escapable {
  private let bytes: OptionBytes
  private var offset = 0

  /// nil unless `bytes` are whole instances, at least one.
  @_lifetime(copy bytes)
  init?(_ bytes: OptionBytes) {
    self.bytes = bytes
    guard bytes.count > 0 else { return nil }
    while offset < bytes.count {
      guard next() != nil else { return nil }
    }
    offset = 0
  }

  /// The next resolver, nil after the last.
  @_lifetime(copy self)
  package mutating func next() -> DHCPv4EncryptedDNS? {
    guard bytes.count - offset >= 2 else { return nil }
    let length = Int(bytes.u16(offset))
    guard bytes.count - offset - 2 >= length else { return nil }
    guard let resolver = DHCPv4EncryptedDNS(bytes.window(offset + 2, length)) else { return nil }
    offset += 2 + length
    return resolver
  }
}
