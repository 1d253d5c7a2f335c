import CAllocations
import CLinux
import Messages
import Platform
import Provisioning
import Subscribers
import Traffic
import Wire

// From a packet in memory to its subscribers' sockets, through decoding, state and fan-out, as the agent's loop has it: two
// subscribers of the Trigger Database, one of the MIF API. Prints nanoseconds and allocations for each kind of event: the
// reading of what is told is in the time, and the allocations are those of all EVENTS events, after some that are not
// counted. Ends with 1 if there was any. An advertisement that changes something is only told: a PvD's configuration is made
// anew then.

/// Events between two ends of the loop's turn, as when they come together.
let turn = 32
/// Nanoseconds between two events.
let step: UInt64 = 1000

struct Loop: ~Copyable {
  var state: NetworkState
  let subscribers: Subscribers
  var poller: Poller
  let clients: [Client]
  var clock: UInt64 = 1000

  init(_ subscribers: Subscribers, _ poller: consuming Poller, _ clients: [Client]) {
    // Paths are forgotten as fast as new ones come: each error about a path of its own is a trigger that is added, and one
    // that is deleted.
    var limits = Limits()
    limits.unreachablePaths = 256
    limits.holdTime = 128 * step
    state = Traffic.host(limits: limits)
    self.subscribers = subscribers
    self.poller = poller
    self.clients = clients
    let extensions = TriggerExtensions([.cause, .origin]).rawValue
    let register = request(TriggerMessageType.register.rawValue, flags: extensions)
    clients[0].ask(register)
    clients[1].ask(register)
    // The router's PvD is there before it is asked about, after the one of the host's own address.
    hear(Traffic.advertisement(hopLimit: 64), .v6)
    let pvd = state.domains(of: Traffic.interface)?.last?.id ?? 0
    clients[2].ask(
      request(MIFMessageType.announcePvDs.rawValue, MIFPayloadType.interface, size: 32, Traffic.interface))
    for type: MIFMessageType in [.announceConfigurationElements, .announceAddresses] {
      clients[2].ask(request(type.rawValue, MIFPayloadType.pvd, size: 16, pvd))
    }
    serve()
    for client in clients { client.read() }
  }

  var moment: Moment { Moment(Instant(nanoseconds: clock), timestamp: clock) }

  /// Until nobody asks anything any more.
  mutating func serve() {
    while case let count = (try? poller.wait(milliseconds: 0)) ?? 0, count > 0 {
      for index in 0..<count { subscribers.handle(poller.event(index), &state, at: moment, poller) { _ in } }
      subscribers.settle(poller)
    }
  }

  mutating func hear(_ packet: [UInt8], _ family: Family) {
    clock += step
    state.hear(packet.rawSpan, family, Arrival(interface: Traffic.interface), at: moment.instant)
    if clock >= state.nextDeadline.nanoseconds { state.advance(to: moment) }
    if !state.announcements.isEmpty { subscribers.publish(&state, at: moment) }
  }

  mutating func endTurn() {
    subscribers.settle(poller)
    for client in clients { client.read() }
  }
}

/// A header, and one payload that begins with an identifier or none.
func request(
  _ type: UInt8, flags: UInt8 = 0, _ payload: UInt16 = 0, size: Int = 0, _ identifier: UInt32 = 0
) -> [UInt8] {
  var bytes: [UInt8] = [FrameHeader.version, type, 0, flags, UInt8((FrameHeader.size + size) / 8), 0, 0, 0, 1]
  bytes += [UInt8](repeating: 0, count: FrameHeader.size - bytes.count + size)
  if size == 0 { return bytes }
  bytes[FrameHeader.size] = UInt8(size / 8)
  bytes[FrameHeader.size + 2] = UInt8(payload)
  bytes[FrameHeader.size + 4] = UInt8(identifier)
  return bytes
}

/// Reads and forgets.
final class Client {
  private let connection: Connection
  private var buffer = [UInt8](repeating: 0, count: FrameHeader.maximumMessageLength)
  private(set) var heard = 0

  init(_ path: [UInt8]) throws(SystemFailure) { connection = try Connection(to: path) }

  func ask(_ request: [UInt8]) { guard connection.send(request.rawSpan) == .sent else { fatalError("not sent") } }

  func read() {
    var span = buffer.mutableSpan
    var bytes = unsafe span.mutableBytes
    while case .message = connection.receive(into: &bytes) { heard += 1 }
  }
}

/// Prints what `events` events cost, after a few that nobody counts. True if none of them asked for memory.
func measure(_ name: StaticString, _ loop: inout Loop, _ events: Int, _ packets: [[UInt8]], _ family: Family) -> Bool {
  var allocations: UInt = 0
  var nanoseconds: UInt64 = 0
  var heard = 0
  for count in [100_000, events] {
    heard = loop.clients.reduce(0) { $0 + $1.heard }
    allocations = allocations_count()
    nanoseconds = Clock.bootTime()
    for number in 0..<count {
      loop.hear(packets[number % packets.count], family)
      if number % turn == turn - 1 { loop.endTurn() }
    }
    nanoseconds = Clock.bootTime() - nanoseconds
    allocations = allocations_count() - allocations
    heard = loop.clients.reduce(0) { $0 + $1.heard } - heard
  }
  print(
    "\(name) \(nanoseconds / UInt64(events)) ns, \(allocations) allocations in \(events) events, \(heard) messages told"
  )
  return allocations == 0
}

func settings() -> Subscribers.Settings {
  var settings = Subscribers.Settings()
  // Nobody's socket is full before it is read.
  settings.sendBuffer = 1 << 20
  return settings
}

func run() throws(SystemFailure) -> Bool {
  let words = try Process.arguments()
  guard words.count == 2 else { fatalError("usage: steady DIRECTORY EVENTS") }
  let events = words[1].reduce(0) { $0 * 10 + Int($1 & 0x0F) }
  let subscribers = try Subscribers(directory: words[0], settings: settings())
  guard let poller = try? Poller(), (try? subscribers.watch(poller)) != nil else { fatalError("no poller") }
  let triggers = words[0] + Array("/trigger.sock".utf8)
  let clients = [
    try Client(triggers), try Client(triggers), try Client(words[0] + Array("/mif.sock".utf8)),
  ]
  var loop = Loop(subscribers, poller, clients)
  let repeated = measure("errors-repeated", &loop, events, [Traffic.unreachable], .v4)
  let unique = measure("errors-unique", &loop, events, (0..<4096).map { Traffic.error(about: $0) }, .v4)
  let same = measure("advertisements-repeated", &loop, events, [Traffic.advertisement(hopLimit: 64)], .v6)
  let changed = (0..<2).map { Traffic.advertisement(hopLimit: 64 + $0) }
  let news = measure("advertisements-changed", &loop, events, changed, .v6)
  loop.subscribers.removeSockets()
  return repeated && unique && same && news
}

do throws(SystemFailure) {
  exit(try run() ? 0 : 1)
} catch {
  fatalError("the sockets cannot be opened")
}
