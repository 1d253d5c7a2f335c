import Wire

extension [UInt8] {
  /// Hexadecimal with any white space between.
  init(hex text: String) {
    let digits = text.filter { !$0.isWhitespace }.map { UInt8($0.hexDigitValue!) }
    precondition(digits.count % 2 == 0)
    self = stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }
}

extension RawSpan {
  var array: [UInt8] {
    var bytes: [UInt8] = []
    append(to: &bytes)
    return bytes
  }
}

extension OptionBytes {
  var array: [UInt8] {
    var bytes: [UInt8] = []
    append(to: &bytes)
    return bytes
  }
}

extension DomainName {
  var text: String {
    var bytes: [UInt8] = []
    appendText(to: &bytes)
    return String(decoding: bytes, as: UTF8.self)
  }
}

extension OptionName {
  var text: String {
    var bytes: [UInt8] = []
    appendText(to: &bytes)
    return String(decoding: bytes, as: UTF8.self)
  }
}

extension DomainNameList {
  var texts: [String] {
    var list = self
    var result: [String] = []
    while let name = list.next() { result.append(name.text) }
    return result
  }
}

extension IPv4AddressList {
  var array: [String] { (0..<count).map { self[$0].description } }
}

extension IPv6AddressList {
  var array: [String] { (0..<count).map { self[$0].description } }
}

/// The family that the first byte claims, IPv4 where there is none.
func family(of bytes: [UInt8]) -> Family { bytes.first.map { $0 >> 4 == 6 ? .v6 : .v4 } ?? .v4 }

/// Why the packet was refused; nil if it was taken.
func refusal(
  of bytes: [UInt8], family given: Family? = nil, arrival: Arrival = Arrival(interface: 1)
) -> Refusal? {
  do {
    switch try Packet.decode(bytes.rawSpan, family: given ?? family(of: bytes), arrival: arrival) {
    case .dhcpv4(let datagram):
      var places = DHCPv4OptionPlaces()
      _ = try DHCPv4Message(datagram, &places)
    case .icmpError(let message): _ = try ICMPError(message)
    case .redirect(let message): _ = try Redirect(message)
    case .routerAdvertisement, .dhcpv6: break
    }
    return nil
  } catch {
    return error
  }
}

/// Every refusal that the packet meets, those of single options too, after everything in it has been read.
func refusals(of bytes: [UInt8], family given: Family? = nil, arrival: Arrival = Arrival(interface: 1)) -> [Refusal] {
  do {
    var reader = Reader()
    try reader.read(try Packet.decode(bytes.rawSpan, family: given ?? family(of: bytes), arrival: arrival))
    return reader.refusals
  } catch {
    return [error]
  }
}

/// Reads whatever there is in a packet: all getters, all iterators to their ends.
struct Reader {
  var refusals: [Refusal] = []
  /// What was read in bytes or items, so that nothing of it is for nothing.
  var amount = 0

  mutating func read(_ packet: borrowing Packet) throws(Refusal) {
    switch packet {
    case .routerAdvertisement(let advertisement):
      amount += Int(advertisement.header.routerLifetime) + Int(advertisement.header.preference.rawValue) + 1
      read(advertisement.options)
    case .dhcpv4(let datagram):
      var places = DHCPv4OptionPlaces()
      read(try DHCPv4Message(datagram, &places))
    case .dhcpv6(let message):
      amount += Int(message.transaction) + Int(message.status.rawValue) + (message.hasRapidCommit ? 1 : 0)
      if let identifier = message.clientIdentifier { amount += identifier.array.count }
      if let identifier = message.serverIdentifier { amount += identifier.array.count }
      read(message.options)
    case .icmpError(let message): amount += try ICMPError(message).hashValue & 1
    case .redirect(let message): amount += try Redirect(message).hashValue & 1
    }
  }

  private mutating func read(_ options: NeighbourDiscoveryOptions) {
    var options = options
    while let option = options.next() {
      switch option {
      case .prefixInformation(let prefix): amount += Int(prefix.prefix.length)
      case .routeInformation(let route): amount += Int(route.prefix.length)
      case .recursiveDNSServers(let servers): amount += servers.addresses.array.count
      case .dnsSearchList(let list): amount += list.names.texts.count
      case .mtu(let mtu): amount += Int(mtu)
      case .router(let option): amount += option.value.hashValue & 1 + option.content.array.count
      case .sourceLinkLayerAddress(let bytes), .captivePortal(let bytes), .unknown(_, let bytes):
        amount += bytes.array.count
      case .provisioningDomain(let domain):
        amount += domain.name.text.utf8.count + Int(domain.delay) + (domain.header == nil ? 0 : 1)
        read(domain.options)
      case .pref64(let prefix): amount += Int(prefix.prefix.length)
      case .encryptedDNS(let resolver): read(resolver)
      case .malformed(_, let refusal): refusals.append(refusal)
      }
    }
  }

  private mutating func read(_ resolver: EncryptedDNS) {
    amount +=
      Int(resolver.priority) + resolver.name.text.utf8.count + resolver.parameters.array.count
      + resolver.content.array.count
    if let addresses = resolver.addresses { amount += addresses.array.count }
  }

  private mutating func read(_ message: borrowing DHCPv4Message) {
    amount += message.hardwareAddress.array.count + Int(message.transaction & 1)
    amount += message.serverIdentifier == nil ? 0 : 1
    amount += Int(message.leaseTime ?? 0) + Int(message.renewalTime ?? 0) + Int(message.rebindingTime ?? 0)
    amount += Int(message.prefixLength ?? 0) + Int(message.interfaceMTU ?? 0) + Int(message.ipv6OnlyWait ?? 0)
    if let list = message.routers { amount += list.array.count }
    if let list = message.domainNameServers { amount += list.array.count }
    if let list = message.ntpServers { amount += list.array.count }
    if let text = message.domainName { amount += text.array.count }
    if let text = message.hostName { amount += text.array.count }
    if let text = message.posixTimeZone { amount += text.array.count }
    if let text = message.timeZoneName { amount += text.array.count }
    if let text = message.captivePortal { amount += text.array.count }
    if var routes = message.staticRoutes {
      while let route = routes.next() { amount += Int(route.prefix.length) }
    }
    if var routes = message.classlessRoutes {
      while let route = routes.next() { amount += Int(route.prefix.length) }
    }
    if var names = message.domainSearch {
      while let name = names.next() { amount += name.text.utf8.count }
    }
    if var resolvers = message.encryptedDNS {
      while let resolver = resolvers.next() {
        amount += resolver.name.text.utf8.count + resolver.parameters.array.count
        if let addresses = resolver.addresses { amount += addresses.array.count }
      }
    }
    for option in message.unreadOptions { amount += option.content.count }
    var faults = message.faults
    while let fault = faults.next() { refusals.append(fault.reason) }
  }

  private mutating func read(_ options: DHCPv6Options) {
    var options = options
    while let option = options.next() {
      switch option {
      case .clientIdentifier(let bytes), .serverIdentifier(let bytes), .posixTimeZone(let bytes),
        .timeZoneName(let bytes), .captivePortal(let bytes), .unknown(_, let bytes), .statusCode(_, let bytes):
        amount += bytes.array.count
      case .nonTemporaryAddresses(let association), .prefixDelegation(let association):
        amount += Int(association.identifier & 1) + Int(association.status.rawValue)
        read(association.options)
      case .address(let address): amount += Int(address.validLifetime) + Int(address.status.rawValue)
      case .prefix(let prefix): amount += Int(prefix.validLifetime) + Int(prefix.status.rawValue)
      case .preference(let preference): amount += Int(preference)
      case .rapidCommit: amount += 1
      case .dnsServers(let servers), .sntpServers(let servers): amount += servers.array.count
      case .domainSearch(let names): amount += names.texts.count
      case .ntpServer(let server):
        if case .name(let name) = server { amount += name.text.utf8.count }
      case .informationRefreshTime(let seconds): amount += Int(seconds)
      case .encryptedDNS(let resolver): read(resolver)
      case .malformed(_, let refusal): refusals.append(refusal)
      }
    }
  }
}
