import CLinux
import Platform
import Testing
import Wire

@testable import Resolving

/// A resolver, its poller and the servers of one test, all on this thread.
final class Bench {
  /// The results of one translation.
  struct Outcome: Equatable {
    var addresses: [String] = []
    var ttls: [UInt32] = []
    var verdict: ResolverVerdict?
    /// Milliseconds from the start to each address, and to the end.
    var times: [Double] = []
    var duration = 0.0
  }

  static let tokenBase: UInt64 = 0x7_0000_0000

  var poller: Poller
  var resolver: Resolver
  var servers: [FakeServer] = []
  var outcomes: [UInt64: Outcome] = [:]
  private var starts: [UInt64: UInt64] = [:]
  private var lastKey: UInt64 = 0

  init(_ servers: [FakeServer] = [], _ change: (inout Resolver.Settings) -> Void = { _ in }) throws {
    self.servers = servers
    var settings = Resolver.Settings()
    settings.port = servers.first?.port ?? 53
    settings.timeout = 150
    settings.hostsFile = Array("/nonexistent".utf8)
    settings.cachedAnswers = 0
    change(&settings)
    poller = try Poller()
    resolver = try Resolver(tokenBase: Bench.tokenBase, settings: settings)
  }

  /// Servers on consecutive loopback addresses from 127.0.0.2 on, with one port.
  static func servers(_ scripts: [FakeServer.Script]) throws -> [FakeServer] {
    for _ in 0..<20 {
      let first = try FakeServer(at: "127.0.0.2", scripts[0])
      let others = try? scripts.indices.dropFirst().map {
        try FakeServer(at: "127.0.0.\($0 + 2)", port: first.port, scripts[$0])
      }
      if let others { return [first] + others }
    }
    throw Failure("no port that is free at \(scripts.count) addresses")
  }

  func domain(search: [String] = [], sources: [String] = ["127.0.0.1", "::1"], interface: UInt32 = 0)
    -> ResolverServers
  {
    ResolverServers(
      interface: interface, servers: servers.map(\.address), sources: sources.compactMap { IPAddress($0) },
      searchList: search.map { Array($0.utf8) })
  }

  @discardableResult
  func start(_ name: String, _ domain: ResolverServers? = nil) -> UInt64 {
    lastKey += 1
    let now = Clock.bootTime()
    starts[lastKey] = now
    outcomes[lastKey] = Outcome()
    resolver.translate(Array(name.utf8), domain ?? self.domain(), key: lastKey, at: now, poller)
    drain()
    return lastKey
  }

  func resolve(_ name: String, _ domain: ResolverServers? = nil) throws -> Outcome {
    let key = start(name, domain)
    try run { self.outcomes[key]?.verdict != nil }
    return try #require(outcomes[key])
  }

  /// One round of the loop: servers, then events, then time.
  func turn(milliseconds: Int32 = 1) throws {
    for server in servers { server.serve() }
    let count = try poller.wait(milliseconds: milliseconds)
    for index in 0..<count {
      let event = poller.event(index)
      #expect(event.token >> 32 == Bench.tokenBase >> 32)
      resolver.handle(event, at: Clock.bootTime(), poller)
    }
    if let deadline = resolver.deadline, deadline <= Clock.bootTime() { resolver.advance(at: Clock.bootTime(), poller) }
    drain()
  }

  /// Runs until `isDone`, five seconds at most.
  func run(seconds: Double = 5, until isDone: () -> Bool) throws {
    let end = Clock.bootTime() + UInt64(seconds * 1e9)
    while !isDone() {
      guard Clock.bootTime() < end else { throw Failure("not done after \(seconds) s") }
      try turn()
    }
  }

  func run(seconds: Double) throws {
    let end = Clock.bootTime() + UInt64(seconds * 1e9)
    while Clock.bootTime() < end { try turn() }
  }

  private func drain() {
    while let result = resolver.nextResult() {
      switch result {
      case .address(let key, let address, let ttl):
        #expect(outcomes[key]?.verdict == nil, "an address after the end")
        outcomes[key]?.addresses.append("\(address)")
        outcomes[key]?.ttls.append(ttl)
        outcomes[key]?.times.append(milliseconds(key))
      case .ended(let key, let verdict):
        #expect(outcomes[key]?.verdict == nil, "ended twice")
        outcomes[key]?.verdict = verdict
        outcomes[key]?.duration = milliseconds(key)
      }
    }
  }

  private func milliseconds(_ key: UInt64) -> Double { Double(Clock.bootTime() - (starts[key] ?? 0)) / 1e6 }

  func counter(_ name: String) -> UInt64 {
    var value: UInt64?
    resolver.forEachCounter { counter, count in if "\(counter)" == name { value = count } }
    return value ?? .max
  }
}

/// Answers every question with the same addresses.
func always(_ v4: String, _ v6: String) -> FakeServer.Script {
  { question, _ in [.answer(DNSAnswer(question, [.address(question, v4: v4, v6: v6)]))] }
}

/// Answers every question with this code.
func always(code: UInt16) -> FakeServer.Script {
  { question, _ in [.answer(DNSAnswer(question, code: code))] }
}

let silent: FakeServer.Script = { _, _ in [] }

func nameError() -> ResolverVerdict { .failed(rcode: 3, errno: ENOENT) }
func noData() -> ResolverVerdict { .failed(rcode: 0, errno: ENODATA) }
