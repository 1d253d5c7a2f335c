import Messages
import Platform
import Wire

// What the agent tells, encoded into memory that it keeps. Prints "name nanoseconds" per message: the least of five
// rounds.

/// A NOTIFY that a path can't be reached, as a subscriber with every extension gets it.
func notify(
  _ writer: inout MessageWriter, _ number: UInt32, _ addresses: borrowing TriggerAddresses
) throws(MessageOverflow) {
  let notification = try writer.notification(
    TriggerPayload(type: .destinationUnreachable, identifier: number), addresses: addresses,
    origin: Origin(interface: 3, source: .icmp, icmpType: 1, timestamp: UInt64(number)), pid: 0)
  writer.prepare(notification, cause: .add, sequence: number, extensions: [.cause, .origin])
}

/// The announcement of an address of IPv6.
func address(_ writer: inout MessageWriter, _ number: UInt32) throws(MessageOverflow) {
  let address = AnnouncedAddress(.v6(IPv6Address(0x2001_0DB8_0000_0001, UInt64(number))), prefixLength: 64)
  try writer.announcement(.address(pvd: 7, address), .news(sequence: number))
}

/// Configuration data: three resolvers.
func data(_ writer: inout MessageWriter, _ number: UInt32) throws(MessageOverflow) {
  let request = FrameHeader(type: MIFMessageType.getConfigurationData.rawValue, sequence: number, pid: 1)
  try writer.beginConfigurationData(
    to: request, pvd: 7, ElementReference(.routerAdvertisement, identifier: .dnsServers))
  for host: UInt64 in 1...3 {
    let resolver = IPAddress.v6(IPv6Address(0x2001_0DB8_0000_0001, host))
    try writer.data(ConfigurationItem(.dnsServers, .address(resolver), validLifetime: number), interface: 3)
  }
  writer.finish()
}

func twoAddresses() -> TriggerAddresses {
  var addresses = TriggerAddresses()
  do throws(MessageRefusal) {
    try addresses.append(TriggerAddress(.v6(IPv6Address(0x2001_0DB8_0000_0000, 1)), prefixLength: 128))
    try addresses.append(TriggerAddress(.v6(IPv6Address(0x2001_0DB8_0000_0001, 2)), prefixLength: 128))
  } catch { fatalError("two addresses fit") }
  return addresses
}

enum Message { case notify, address, data }

func encode(
  _ message: Message, _ writer: inout MessageWriter, _ number: UInt32, _ addresses: borrowing TriggerAddresses
) throws(MessageOverflow) {
  switch message {
  case .notify: try notify(&writer, number, addresses)
  case .address: try address(&writer, number)
  case .data: try data(&writer, number)
  }
}

func measure(_ name: StaticString, _ message: Message, _ repetitions: Int) {
  var memory = [UInt8](repeating: 0, count: 1024)
  var span = memory.mutableSpan
  var writer = MessageWriter(unsafe span.mutableBytes)
  let addresses = twoAddresses()
  var least = UInt64.max
  for _ in 0..<5 {
    let begin = Clock.bootTime()
    for number in 0..<repetitions {
      do throws(MessageOverflow) {
        try encode(message, &writer, UInt32(truncatingIfNeeded: number), addresses)
      } catch { fatalError("a message fits") }
    }
    least = min(least, Clock.bootTime() - begin)
  }
  let tenths = Int(least) * 10 / repetitions
  print("\(name) \(tenths / 10).\(tenths % 10)")
}

func run() throws(SystemFailure) {
  let words = try Process.arguments()
  guard words.count == 1 else { fatalError("usage: encode REPETITIONS") }
  let repetitions = words[0].reduce(0) { $0 * 10 + Int($1 & 0x0F) }
  measure("notify", .notify, repetitions)
  measure("address", .address, repetitions)
  measure("data", .data, repetitions)
}

do throws(SystemFailure) {
  try run()
} catch {
  fatalError("cannot read the arguments")
}
