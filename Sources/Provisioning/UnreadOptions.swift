import Messages
import Wire

/// Options that have no identifier of their own and are handed on unread, by their number (protocol.md,
/// "Configuration data"), and those of which only the frame was read.
extension ConfigurationSource {
  /// Replaces what it told by these option numbers before. What an advertisement leaves out stays, because a router
  /// may split its options (RFC 4861 6.2.3).
  ///
  /// - Returns: false if there was no room for all of them.
  func setUnread(_ options: [(number: UInt16, content: [UInt8])], _ limits: Limits) -> Bool {
    if options.isEmpty { return true }
    let told = items.filter { item in options.contains { item.identifier == .rawOption($0.number) } }
    let isSame =
      told.count == options.count
      && zip(told, options).allSatisfy {
        $0.identifier == .rawOption($1.number) && $0.value == .bytes($1.content)
      }
    if isSame { return true }
    items.removeAll { item in options.contains { item.identifier == .rawOption($0.number) } }
    revision &+= 1
    var isWhole = true
    for option in options {
      let item = ConfigurationSource.Item(
        identifier: .rawOption(option.number), value: .bytes(option.content), preferredUntil: .never,
        validUntil: .never, anchors: false)
      if items.hasRoom(for: item, limits) { items.append(item) } else { isWhole = false }
    }
    return isWhole
  }
}

extension [ConfigurationSource.Item] {
  func hasRoom(for item: ConfigurationSource.Item, _ limits: Limits) -> Bool {
    if count >= limits.itemsPerSource { return false }
    if item.unreadBytes == 0 { return true }
    var size = item.unreadBytes
    for item in self { size += item.unreadBytes }
    return size <= limits.unreadBytesPerSource
  }
}

extension ConfigurationSource.Item {
  fileprivate var unreadBytes: Int { if case .bytes(let bytes) = value { bytes.count } else { 0 } }
}

extension DHCPv4Option {
  /// Whether it says something of this exchange alone, and configures nothing: the requested address, the message's
  /// type, what the client asks for and can take, who it is, and what a relay added.
  static func isOfTheExchange(_ code: UInt8) -> Bool {
    switch code {
    case 50, 55, 57, 61, 82: true
    default: false
    }
  }
}

extension DHCPv6OptionCode {
  /// Likewise: elapsed time, authentication, server unicast, reconfiguration, and how often a client may ask (RFC 8415
  /// 21.9, 21.11, 21.12, 21.19, 21.20, 21.24, 21.25).
  static func isOfTheExchange(_ code: UInt16) -> Bool {
    switch code {
    case 8, 11, 12, 19, 20, 82, 83: true
    default: false
    }
  }
}

extension OptionBytes {
  var copy: [UInt8] {
    var bytes: [UInt8] = []
    append(to: &bytes)
    return bytes
  }
}

extension RawSpan {
  var copy: [UInt8] {
    var bytes: [UInt8] = []
    append(to: &bytes)
    return bytes
  }
}

extension EncryptedDNS {
  /// The option's content as an advertisement has it, but for its lifetime, which is left for the item to say: 0.
  var contentWithoutLifetime: [UInt8] {
    var bytes = content.copy
    for index in 2..<6 where index < bytes.count { bytes[index] = 0 }
    return bytes
  }
}
