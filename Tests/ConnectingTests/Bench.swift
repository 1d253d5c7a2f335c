import CLinux
import Connecting
import Platform
import Testing
import Wire

/// A connector with its poller and the loop around them, in a host's namespace.
final class Bench {
  static let tokenBase: UInt64 = 0xA500_0000 << 32

  let network: Network
  private var poller: Poller
  private var connector: Connector
  private var lastKey: UInt64 = 0
  private(set) var results: [UInt64: ConnectResult] = [:]

  init(_ network: Network, limit: Int = 4096) throws {
    self.network = network
    poller = try Poller()
    var settings = Connector.Settings()
    settings.limit = limit
    connector = Connector(tokenBase: Bench.tokenBase, settings: settings)
  }

  /// From the uplink's own address, unless told otherwise.
  ///
  /// - Returns: the order's key.
  @discardableResult
  func connect(
    _ destination: String, _ port: UInt16, _ transport: ConnectOrder.Transport = .tcp, uplink: Int = 0,
    interface: UInt32? = nil, from source: String? = nil, sourcePort: UInt16 = 0, seconds: Double = 10
  ) throws -> UInt64 {
    let index = try interface ?? network.index(uplink)
    return try network.host.inside {
      try connectHere(
        destination, port, transport, uplink: uplink, interface: index, from: source, sourcePort: sourcePort,
        seconds: seconds)
    }
  }

  /// The same, where this thread is in the host's namespace already.
  func connectHere(
    _ destination: String, _ port: UInt16, _ transport: ConnectOrder.Transport, uplink: Int, interface: UInt32,
    from source: String? = nil, sourcePort: UInt16 = 0, seconds: Double = 10
  ) throws -> UInt64 {
    lastKey += 1
    let destination = try #require(IPAddress(destination))
    let own =
      destination.family == .v4
      ? "192.168.1.10" : destination.scope == .linkLocal ? "fe80::10" : "2001:db8:\(uplink)::10"
    let order = ConnectOrder(
      key: lastKey, transport: transport, destination: destination, port: port,
      source: try #require(IPAddress(source ?? own)), sourcePort: sourcePort,
      interface: interface,
      timeout: UInt64(seconds * 1_000_000_000))
    connector.connect(order, at: Clock.bootTime(), poller)
    collect()
    return lastKey
  }

  func cancel(_ key: UInt64) { connector.cancel(key: key) }
  func withdraw(_ source: String, uplink: Int) throws {
    connector.withdraw(try #require(IPAddress(source)), interface: try network.index(uplink))
    collect()
  }

  /// Runs the loop until `count` more results are there, or so long.
  func run(_ count: Int = 1, seconds: Double = 10) throws {
    let wanted = results.count + count
    try run(until: { self.results.count >= wanted }, seconds: seconds)
  }

  private func run(until isDone: () -> Bool, seconds: Double) throws {
    let end = Clock.bootTime() + UInt64(seconds * 1_000_000_000)
    while !isDone() {
      let now = Clock.bootTime()
      if now >= end { return }
      let next = min(end, connector.deadline ?? .max)
      let count = try poller.wait(milliseconds: next <= now ? 0 : Int32((next - now + 999_999) / 1_000_000))
      for index in 0..<count {
        #expect(poller.event(index).token & ~0xFFFF_FFFF == Bench.tokenBase)
        connector.handle(poller.event(index), at: Clock.bootTime(), poller)
      }
      connector.advance(at: Clock.bootTime(), poller)
      collect()
    }
  }

  /// Serves an event again, after whatever happened since.
  func replay(_ events: [Poller.Event]) {
    for event in events { connector.handle(event, at: Clock.bootTime(), poller) }
    collect()
  }
  /// What waits now, without serving it.
  func events() throws -> [Poller.Event] {
    try (0..<poller.wait(milliseconds: 500)).map { poller.event($0) }
  }

  private func collect() {
    while let result = connector.nextResult() {
      #expect(results[result.key] == nil, "two results")
      results[result.key] = result
    }
  }

  func counter(_ name: String) -> UInt64? {
    var found: UInt64?
    connector.forEachCounter { if "\($0)" == name { found = $1 } }
    return found
  }
  var deadline: UInt64? { connector.deadline }

  func failure(_ key: UInt64) throws -> ConnectFailure {
    guard case .failed(_, let failure) = try #require(results[key]) else {
      throw CommandFailed(command: "order \(key) was to fail", status: -1)
    }
    return failure
  }

  func socket(_ key: UInt64) throws -> PassedDescriptor {
    guard case .connected(_, let socket) = try #require(results[key]) else {
      throw CommandFailed(command: "order \(key): \(try failure(key))", status: -1)
    }
    return socket
  }

  /// Connects, and says why that failed.
  func failing(
    _ destination: String, _ port: UInt16 = 80, uplink: Int = 0, interface: UInt32? = nil, from source: String? = nil,
    sourcePort: UInt16 = 0, seconds: Double = 10
  ) throws -> ConnectFailure {
    let key = try connect(
      destination, port, uplink: uplink, interface: interface, from: source, sourcePort: sourcePort, seconds: seconds)
    if results[key] == nil { try run() }
    return try failure(key)
  }

  /// Lets go of the sockets that were handed over.
  func drop() { results.removeAll() }
}

extension ConnectFailure {
  /// `errno`, who says so, and what.
  init(_ errno: Int32, _ origin: Origin, _ type: UInt8 = 0, _ code: UInt8 = 0, by offender: String? = nil) {
    self.init(Errno(rawValue: errno), origin)
    icmpType = type
    icmpCode = code
    self.offender = offender.map { IPAddress($0)! }
  }
}
