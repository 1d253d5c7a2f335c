import CAllocations
import CLinux
import Platform
import Wire

// This project's decoders on the packets of packets.txt: decodes each, checksums and all, and reads what the agent
// keeps of it. Prints "name nanoseconds allocations" per packet: the least of five rounds, and how often all of them
// together asked for memory.

func readAdvertisement(_ ra: RouterAdvertisement) -> UInt64 {
  let header = ra.header
  var sum = UInt64(header.curHopLimit) + UInt64(header.routerLifetime)
  sum &+= UInt64(header.reachableTime) + UInt64(header.retransTimer)
  var options = ra.options
  while let option = options.next() {
    switch option {
    case .prefixInformation(let value):
      sum &+= readPrefix(value.prefix) &+ UInt64(value.validLifetime) + UInt64(value.preferredLifetime)
    case .mtu(let mtu): sum &+= UInt64(mtu)
    case .sourceLinkLayerAddress(let address): sum &+= UInt64(address.byteCount)
    case .recursiveDNSServers(let value):
      sum &+= UInt64(value.lifetime)
      for index in 0..<value.count { sum &+= value[index].high }
    case .dnsSearchList(let value):
      sum &+= UInt64(value.lifetime)
      var names = value.names
      while let name = names.next() { sum &+= UInt64(name.bytes.byteCount) }
    case .routeInformation(let value): sum &+= readPrefix(value.prefix) &+ UInt64(value.lifetime)
    default: break
    }
  }
  return sum
}

func readPrefix(_ prefix: IPPrefix) -> UInt64 {
  switch prefix.address {
  case .v4(let address): UInt64(address.value) &+ UInt64(prefix.length)
  case .v6(let address): address.high &+ address.low &+ UInt64(prefix.length)
  }
}

func readAcknowledgement(_ message: borrowing DHCPv4Message) -> UInt64 {
  var sum = UInt64(message.kind.rawValue) + UInt64(message.transaction) + UInt64(message.yourAddress.value)
  sum &+= UInt64(message.serverIdentifier?.value ?? 0) + UInt64(message.leaseTime ?? 0)
  sum &+= UInt64(message.renewalTime ?? 0) + UInt64(message.rebindingTime ?? 0) + UInt64(message.prefixLength ?? 0)
  if let routers = message.routers { for index in 0..<routers.count { sum &+= UInt64(routers[index].value) } }
  if let servers = message.domainNameServers {
    for index in 0..<servers.count { sum &+= UInt64(servers[index].value) }
  }
  if let servers = message.ntpServers { for index in 0..<servers.count { sum &+= UInt64(servers[index].value) } }
  sum &+= UInt64(message.domainName?.count ?? 0) + UInt64(message.interfaceMTU ?? 0)
  if var routes = message.classlessRoutes {
    while let route = routes.next() { sum &+= readPrefix(route.prefix) &+ UInt64(route.gateway.value) }
  }
  return sum
}

func read(_ bytes: RawSpan, _ family: Family, _ arrival: Arrival) -> UInt64 {
  do throws(Refusal) {
    switch try Packet.decode(bytes, family: family, arrival: arrival) {
    case .routerAdvertisement(let ra): return readAdvertisement(ra)
    case .dhcpv4(let datagram):
      var places = DHCPv4OptionPlaces()
      let message = try DHCPv4Message(datagram, &places)
      return readAcknowledgement(message)
    case .dhcpv6, .redirect: return 0
    case .icmpError(let message):
      let error = try ICMPError(message)
      guard case .tcp(let source, let destination, let sequence) = error.flow else { return 0 }
      return UInt64(error.type) + UInt64(error.code) + UInt64(source) + UInt64(destination) + UInt64(sequence ?? 0)
    }
  } catch {
    fatalError("a packet of packets.txt is refused")
  }
}

func bytes(of text: ArraySlice<UInt8>) -> [UInt8] {
  func digit(_ letter: UInt8) -> UInt8 { letter <= 0x39 ? letter - 0x30 : letter - 0x61 + 10 }
  var bytes: [UInt8] = []
  var place = text.startIndex
  while place + 1 < text.endIndex {
    bytes.append(digit(text[place]) << 4 | digit(text[place + 1]))
    place += 2
  }
  return bytes
}

/// Nanoseconds for one packet, in tenths, and allocations for all of the rounds.
func measure(_ packet: [UInt8], repetitions: Int) -> (tenths: Int, allocations: UInt) {
  let arrival = Arrival(interface: 1)
  let family: Family = packet[0] >> 4 == 4 ? .v4 : .v6
  var all: UInt64 = 0
  var least = UInt64.max
  let allocations = allocations_count()
  for _ in 0..<5 {
    let begin = Clock.bootTime()
    for _ in 0..<repetitions { all &+= read(packet.rawSpan, family, arrival) }
    least = min(least, Clock.bootTime() - begin)
  }
  precondition(all != 0, "nothing was read")
  return (Int(least) * 10 / repetitions, allocations_count() - allocations)
}

func run() throws(SystemFailure) {
  let words = try Process.arguments()
  guard words.count == 2 else { fatalError("usage: decoders PACKETS REPETITIONS") }
  let repetitions = words[1].reduce(0) { $0 * 10 + Int($1 & 0x0F) }
  for line in try File.read(words[0], limit: 65_536).split(separator: 0x0A) where line.first != 0x23 {
    let parts = line.split(separator: 0x20)
    let (tenths, allocations) = measure(bytes(of: parts[1]), repetitions: repetitions)
    print("\(String(decoding: parts[0], as: UTF8.self)) \(tenths / 10).\(tenths % 10) \(allocations)")
  }
}

do throws(SystemFailure) {
  try run()
} catch {
  fatalError("cannot read the packets")
}
