import Glibc
import Messages
import Platform
import Provisioning
import Subscribers
import Testing
import Wire

/// The agent's two sockets over a real state, in a directory of their own; a test turns its loop by hand.
final class Server {
  var state: NetworkState
  let subscribers: Subscribers
  private(set) var poller: Poller
  private let directory: [UInt8]
  /// CLOCK_BOOTTIME as the state sees it.
  var now: UInt64 = 1_000_000_000_000

  init(_ settings: Subscribers.Settings = Subscribers.Settings(), limits: Limits = Limits()) throws {
    directory = try Server.makeDirectory()
    state = NetworkState(limits: limits)
    poller = try Poller()
    var settings = settings
    settings.triggerWriters.append(AccessRule(.user(geteuid())))
    subscribers = try Subscribers(directory: directory, settings: settings)
    try subscribers.watch(poller)
  }

  deinit {
    subscribers.removeSockets()
    unsafe (directory + [0]).withUnsafeBytes { _ = unsafe rmdir($0.bindMemory(to: CChar.self).baseAddress!) }
  }

  private static func makeDirectory() throws -> [UInt8] {
    var template = Array("/tmp/mifd-sockets-XXXXXX".utf8CString)
    try unsafe template.withUnsafeMutableBufferPointer {
      guard unsafe mkdtemp($0.baseAddress!) != nil, unsafe chmod($0.baseAddress!, 0o755) == 0 else {
        throw Errno.current
      }
    }
    return template.dropLast().map { UInt8(bitPattern: $0) }
  }

  func triggerClient() throws -> Client { try Client(directory + Array("/trigger.sock".utf8)) }
  func mifClient() throws -> Client { try Client(directory + Array("/mif.sock".utf8)) }

  private var moment: Moment { Moment(Instant(nanoseconds: now), timestamp: 5_000_000_000) }

  /// One turn of the loop. How many events it served.
  @discardableResult
  func turn(wait milliseconds: Int32 = 0) throws -> Int {
    let count = try poller.wait(milliseconds: milliseconds)
    for index in 0..<count {
      subscribers.handle(poller.event(index), &state, at: moment, poller) { $0("test.other-part", 42) }
    }
    subscribers.settle(poller)
    return count
  }

  /// Turns the loop until nothing is ready any more. A loop that never rests is a defect, whatever it does.
  func run(_ location: SourceLocation = #_sourceLocation) throws {
    for _ in 0..<100_000 where try turn() == 0 { return }
    Issue.record("the loop spins", sourceLocation: location)
  }

  /// Turns the loop until so many are connected. Closing a descriptor takes effect only when a child process that is
  /// being started elsewhere has let go of its copy.
  func run(untilConnected count: UInt64) throws {
    for _ in 0..<200 {
      try run()
      if counter("subscribers.connected") == count { return }
      try turn(wait: 10)
    }
  }

  /// Something happens to the network, and everybody is told.
  func happen(_ change: (inout NetworkState, Moment) -> Void) throws {
    keep(change)
    subscribers.settle(poller)
  }

  /// The same without the turn's end: what can be told together is kept back.
  func keep(_ change: (inout NetworkState, Moment) -> Void) {
    change(&state, moment)
    subscribers.publish(&state, at: moment)
  }

  func apply(_ events: KernelEvent...) throws {
    try happen { state, moment in for event in events { state.apply(event, at: moment) } }
  }

  func hear(_ packet: [UInt8], on interface: UInt32) throws {
    try happen { state, moment in
      state.hear(
        unsafe packet.span.bytes, .v6, Arrival(interface: interface, checksum: .notReady), at: moment.instant)
    }
  }

  func counter(_ name: String) -> UInt64 {
    var found: UInt64?
    subscribers.forEachCounter { if $0.description == name { found = $1 } }
    return found ?? .max
  }
}

/// A client's end. Dropping it closes it.
final class Client {
  private let connection: Connection
  private var buffer = [UInt8](repeating: 0, count: FrameHeader.maximumMessageLength)

  init(_ path: [UInt8]) throws { connection = try Connection(to: path) }

  var descriptor: Int32 { connection.descriptor.number }
  private(set) var hasEnded = false

  @discardableResult
  func send(_ message: [UInt8]) -> Connection.Sent { connection.send(unsafe message.span.bytes) }

  /// The next message that waits; nil if there is none, or the agent has closed its end (`hasEnded`).
  func receive() -> [UInt8]? {
    var span = buffer.mutableSpan
    var bytes = unsafe span.mutableBytes
    switch connection.receive(into: &bytes) {
    case .message(let length): return Array(buffer.prefix(length))
    case .nothing: return nil
    case .closed, .failed:
      hasEnded = true
      return nil
    }
  }

  /// The next message, which has to be there, and what came beside it.
  func receiveWithDescriptors() throws -> (TriggerMessage, [PassedDescriptor]) {
    var passed: [PassedDescriptor] = []
    var span = buffer.mutableSpan
    var bytes = unsafe span.mutableBytes
    guard case .message(let length) = connection.receive(into: &bytes, descriptors: &passed) else {
      throw Errno.wouldBlock
    }
    let message = Array(buffer.prefix(length))
    return (try TriggerMessage(unsafe message.span.bytes), passed)
  }

  func receiveAll() -> [[UInt8]] {
    var messages: [[UInt8]] = []
    while let message = receive() { messages.append(message) }
    return messages
  }

  func triggerMessages() throws -> [TriggerMessage] {
    try receiveAll().map { try TriggerMessage(unsafe $0.span.bytes) }
  }

  func mifMessages() throws -> [MIFMessage] { try receiveAll().map { try MIFMessage(unsafe $0.span.bytes) } }
}

extension Client {
  /// Sends, lets the loop run and takes the answers.
  func ask(_ server: Server, _ messages: [UInt8]...) throws -> [TriggerMessage] {
    for message in messages { send(message) }
    try server.run()
    return try triggerMessages()
  }

  func askMIF(_ server: Server, _ messages: [UInt8]...) throws -> [MIFMessage] {
    for message in messages { send(message) }
    try server.run()
    return try mifMessages()
  }
}
