/// Numbers of DHCPv4 options (IANA; RFC 2132 where nothing else is said).
package enum DHCPv4Option {
  static let pad: UInt8 = 0
  package static let subnetMask: UInt8 = 1
  package static let routers: UInt8 = 3
  package static let domainNameServers: UInt8 = 6
  package static let hostName: UInt8 = 12
  package static let domainName: UInt8 = 15
  package static let interfaceMTU: UInt8 = 26
  package static let staticRoutes: UInt8 = 33
  package static let ntpServers: UInt8 = 42
  package static let leaseTime: UInt8 = 51
  package static let overload: UInt8 = 52
  package static let messageType: UInt8 = 53
  package static let serverIdentifier: UInt8 = 54
  static let parameterRequestList: UInt8 = 55
  package static let renewalTime: UInt8 = 58
  package static let rebindingTime: UInt8 = 59
  /// RFC 4039.
  package static let rapidCommit: UInt8 = 80
  /// RFC 4833.
  package static let posixTimeZone: UInt8 = 100
  package static let timeZoneName: UInt8 = 101
  /// RFC 8925.
  package static let ipv6OnlyPreferred: UInt8 = 108
  /// RFC 8910.
  package static let captivePortal: UInt8 = 114
  /// RFC 3397.
  package static let domainSearch: UInt8 = 119
  /// RFC 3442.
  package static let classlessRoutes: UInt8 = 121
  /// RFC 9463.
  package static let encryptedDNS: UInt8 = 162
  static let end: UInt8 = 255

  /// What `isRead` is true for is within these.
  static let firstRead = subnetMask
  static let lastRead = encryptedDNS

  /// Whether `DHCPv4Message` reads it: the one list of these options. They all differ in their low six bits.
  @inline(__always)
  static func isRead(_ code: UInt8) -> Bool {
    switch code {
    case subnetMask, routers, domainNameServers, hostName, domainName, interfaceMTU, staticRoutes, ntpServers,
      leaseTime, overload, messageType, serverIdentifier, renewalTime, rebindingTime, rapidCommit, posixTimeZone,
      timeZoneName, ipv6OnlyPreferred, captivePortal, domainSearch, classlessRoutes, encryptedDNS:
      true
    default: false
    }
  }
}

/// The values of known options. A getter is nil where the option is absent, and where it is malformed, which `faults`
/// tells apart.
extension DHCPv4Message {
  // RFC 2132.
  package var serverIdentifier: IPv4Address? {
    @inline(__always) get { address(DHCPv4Option.serverIdentifier) }
  }
  /// Seconds, 0xFFFFFFFF for ever (9.2). An ACK to an INFORM has none.
  package var leaseTime: UInt32? {
    @inline(__always) get { seconds(DHCPv4Option.leaseTime) }
  }
  /// T1 in seconds (9.11).
  package var renewalTime: UInt32? {
    @inline(__always) get { seconds(DHCPv4Option.renewalTime) }
  }
  /// T2 in seconds (9.12).
  package var rebindingTime: UInt32? {
    @inline(__always) get { seconds(DHCPv4Option.rebindingTime) }
  }
  /// Leading ones of the subnet mask (3.3), 0 to 32.
  package var prefixLength: UInt8? {
    @inline(__always) get {
      guard let mask = seconds(DHCPv4Option.subnetMask), DHCPv4Rule.isMask(mask) else { return nil }
      return UInt8(mask.nonzeroBitCount)
    }
  }
  /// Bytes, 68 or more (5.1).
  package var interfaceMTU: UInt16? {
    @inline(__always) get {
      guard let bytes = option(DHCPv4Option.interfaceMTU), bytes.count == 2 else { return nil }
      let mtu = bytes.u16(0)
      return mtu >= DHCPv4Rule.smallestMTU ? mtu : nil
    }
  }
  /// In order of preference (3.5); to be ignored where there are `classlessRoutes`.
  package var routers: IPv4AddressList? {
    @_lifetime(copy self) @inline(__always) get { addresses(DHCPv4Option.routers) }
  }
  package var domainNameServers: IPv4AddressList? {
    @_lifetime(copy self) @inline(__always) get { addresses(DHCPv4Option.domainNameServers) }
  }
  package var ntpServers: IPv4AddressList? {
    @_lifetime(copy self) @inline(__always) get { addresses(DHCPv4Option.ntpServers) }
  }
  /// Letters, digits, hyphens, underscores and dots; without a final dot or zeros (3.17).
  package var domainName: OptionBytes? {
    @_lifetime(copy self) @inline(always) get { name(DHCPv4Option.domainName) }
  }
  /// As `domainName` (3.14).
  package var hostName: OptionBytes? {
    @_lifetime(copy self) get { name(DHCPv4Option.hostName) }
  }
  /// A POSIX TZ string in visible ASCII (RFC 4833, 2).
  package var posixTimeZone: OptionBytes? {
    @_lifetime(copy self) get { text(DHCPv4Option.posixTimeZone) }
  }
  /// A name of the time zone database (RFC 4833, 2).
  package var timeZoneName: OptionBytes? {
    @_lifetime(copy self) get { text(DHCPv4Option.timeZoneName) }
  }
  /// Static routes by classes; to be ignored where there are `classlessRoutes` (RFC 3442).
  package var staticRoutes: IPv4Routes? {
    @_lifetime(copy self) get {
      guard let bytes = option(DHCPv4Option.staticRoutes) else { return nil }
      return IPv4Routes(bytes, isClassless: false)
    }
  }
  package var classlessRoutes: IPv4Routes? {
    @_lifetime(copy self) @inline(always) get {
      guard let bytes = option(DHCPv4Option.classlessRoutes) else { return nil }
      return IPv4Routes(bytes, isClassless: true)
    }
  }
  package var domainSearch: DHCPv4SearchList? {
    @_lifetime(copy self) get {
      guard let bytes = option(DHCPv4Option.domainSearch) else { return nil }
      return DHCPv4SearchList(bytes)
    }
  }
  /// The captive portal API's URI in visible ASCII (RFC 8910, 2.1).
  package var captivePortal: OptionBytes? {
    @_lifetime(copy self) get { text(DHCPv4Option.captivePortal) }
  }
  /// Seconds for which a client that can live without IPv4 should (RFC 8925, 3.1).
  package var ipv6OnlyWait: UInt32? {
    @inline(__always) get { seconds(DHCPv4Option.ipv6OnlyPreferred) }
  }
  package var encryptedDNS: DHCPv4EncryptedDNSList? {
    @_lifetime(copy self) get {
      guard let bytes = option(DHCPv4Option.encryptedDNS) else { return nil }
      return DHCPv4EncryptedDNSList(bytes)
    }
  }

  /// The known options that must be ignored, and why.
  package var faults: DHCPv4Faults {
    @_lifetime(copy self) get { DHCPv4Faults(index) }
  }

  @inline(__always)
  private func address(_ code: UInt8) -> IPv4Address? { seconds(code).map { IPv4Address($0) } }

  @inline(__always)
  private func seconds(_ code: UInt8) -> UInt32? { index.u32(code) }

  @_lifetime(copy self)
  @inline(__always)
  private func addresses(_ code: UInt8) -> IPv4AddressList? {
    guard let bytes = option(code) else { return nil }
    return IPv4AddressList(bytes)
  }

  @_lifetime(copy self)
  @inline(__always)
  private func text(_ code: UInt8) -> OptionBytes? {
    guard let bytes = option(code) else { return nil }
    let text = DHCPv4Rule.trimmed(bytes)
    return DHCPv4Rule.textFault(text) == nil ? text : nil
  }

  @_lifetime(copy self)
  @inline(__always)
  private func name(_ code: UInt8) -> OptionBytes? {
    guard let bytes = option(code) else { return nil }
    let text = DHCPv4Rule.trimmed(bytes)
    return DHCPv4Rule.nameFault(text) == nil ? text : nil
  }

  /// Why the option must be ignored; nil where it is absent or good.
  package func fault(_ code: UInt8) -> Refusal? {
    index.fault(code)
  }
}

extension DHCPv4OptionIndex {
  fileprivate func fault(_ code: UInt8) -> Refusal? {
    guard let bytes = value(code) else { return contains(code) ? .dhcpv4OptionSegments : nil }
    return DHCPv4Rule.fault(code, OptionBytes(bytes))
  }
}

/// The malformed known options of a message, by number.
package struct DHCPv4Faults: ~Escapable {
  private let index: DHCPv4OptionIndex
  private var code = UInt16(DHCPv4Option.firstRead)

  @_lifetime(copy index)
  fileprivate init(_ index: DHCPv4OptionIndex) { self.index = index }

  package mutating func next() -> (code: UInt8, reason: Refusal)? {
    while code <= UInt16(DHCPv4Option.lastRead) {
      let current = UInt8(code)
      code += 1
      if DHCPv4Option.isRead(current), let reason = index.fault(current) { return (current, reason) }
    }
    return nil
  }
}

/// What makes an option's value good (RFC 2132 and the documents at `DHCPv4Option`).
enum DHCPv4Rule {
  /// Of an IPv4 link (RFC 791, 3.2; RFC 2132, 5.1).
  static let smallestMTU: UInt16 = 68

  /// Ones, then zeros.
  static func isMask(_ mask: UInt32) -> Bool { ~mask & (~mask &+ 1) == 0 }

  static func fault(_ code: UInt8, _ bytes: OptionBytes) -> Refusal? {
    switch code {
    case DHCPv4Option.subnetMask:
      guard bytes.count == 4 else { return .dhcpv4OptionLength }
      return isMask(bytes.u32(0)) ? nil : .dhcpv4OptionValue
    case DHCPv4Option.routers, DHCPv4Option.domainNameServers, DHCPv4Option.ntpServers:
      return IPv4AddressList(bytes) == nil ? .dhcpv4OptionLength : nil
    case DHCPv4Option.hostName, DHCPv4Option.domainName:
      return nameFault(trimmed(bytes))
    case DHCPv4Option.interfaceMTU:
      guard bytes.count == 2 else { return .dhcpv4OptionLength }
      return bytes.u16(0) >= smallestMTU ? nil : .dhcpv4OptionValue
    case DHCPv4Option.staticRoutes:
      guard bytes.count > 0, bytes.count % 8 == 0 else { return .dhcpv4OptionLength }
      return IPv4Routes(bytes, isClassless: false) == nil ? .dhcpv4OptionValue : nil
    case DHCPv4Option.leaseTime, DHCPv4Option.serverIdentifier, DHCPv4Option.renewalTime,
      DHCPv4Option.rebindingTime, DHCPv4Option.ipv6OnlyPreferred:
      return bytes.count == 4 ? nil : .dhcpv4OptionLength
    case DHCPv4Option.overload:
      guard bytes.count == 1 else { return .dhcpv4OptionLength }
      return bytes[0] >= 1 && bytes[0] <= 3 ? nil : .dhcpv4OptionValue
    case DHCPv4Option.posixTimeZone, DHCPv4Option.timeZoneName, DHCPv4Option.captivePortal:
      return textFault(trimmed(bytes))
    case DHCPv4Option.domainSearch:
      guard bytes.count > 0 else { return .dhcpv4OptionLength }
      return DHCPv4SearchList(bytes) == nil ? .dhcpv4OptionValue : nil
    case DHCPv4Option.classlessRoutes:
      // The shortest is a default route: a width of 0 and a router.
      guard bytes.count >= 5 else { return .dhcpv4OptionLength }
      return IPv4Routes(bytes, isClassless: true) == nil ? .dhcpv4OptionValue : nil
    case DHCPv4Option.encryptedDNS:
      guard bytes.count > 0 else { return .dhcpv4OptionLength }
      return DHCPv4EncryptedDNSList(bytes) == nil ? .dhcpv4OptionValue : nil
    default:
      return nil
    }
  }

  /// Without zeros and one dot at the end.
  @_lifetime(copy bytes)
  @inline(__always)
  static func trimmed(_ bytes: OptionBytes) -> OptionBytes {
    let text = bytes.withoutFinalZeros
    return text.count > 1 && text[text.count - 1] == UInt8(ascii: ".") ? text.window(0, text.count - 1) : text
  }

  static func textFault(_ text: OptionBytes) -> Refusal? {
    guard text.count > 0 else { return .dhcpv4OptionLength }
    for index in 0..<text.count where !CaptivePortal.isAllowed(text[index]) { return .dhcpv4OptionValue }
    return nil
  }

  /// Names end up in resolver configurations and scripts: nothing but labels of letters, digits, hyphens and
  /// underscores (RFC 1123, 2.1; RFC 8552) is let through.
  static func nameFault(_ text: OptionBytes) -> Refusal? {
    guard text.count > 0, text.count < DomainName.longest else { return .dhcpv4OptionLength }
    guard text[0] != dot, text[text.count &- 1] != dot else { return .dhcpv4OptionValue }
    var index = 0
    while true {
      let octets = text.octets(index, else: UInt8(ascii: "a"))
      guard octets.areOfNames, !octets.haveTwoTogether(of: dot) else { return .dhcpv4OptionValue }
      if index &+ 8 >= text.count { break }
      // The last byte is looked at again, with what is behind it.
      index = min(index &+ 7, text.count &- 8)
    }
    return text.count <= DomainName.longestLabel || areShortLabels(text) ? nil : .dhcpv4OptionValue
  }

  private static let dot = UInt8(ascii: ".")

  @inline(never)
  private static func areShortLabels(_ text: OptionBytes) -> Bool {
    var label = 0
    for index in 0..<text.count {
      label = text[index] == dot ? 0 : label + 1
      guard label <= DomainName.longestLabel else { return false }
    }
    return true
  }
}
