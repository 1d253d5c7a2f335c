import Fuzzing
import Platform
import Resolving
import Wire

/// Names translated through DNS servers that answer whatever comes to mind, under the right id and question or not: each
/// translation ends once, with a verdict, within bounded time, and nothing is left behind.
struct ResolverTarget: FuzzTarget {
  static let name = "resolver"
  static let maximumLength = 1024
  static let vectors = ""

  static var seeds: [(name: String, input: [UInt8])] { ResolverSeeds.all }

  func run(_ bytes: RawSpan) {
    let descriptors = World.descriptors
    var program = Program(bytes)
    do {
      let run = ResolverRun(&program)
      while !program.isAtEnd, run.step(&program) {}
      run.finish()
    }
    check(World.descriptors == descriptors, "a descriptor was left open")
  }
}

private final class ResolverRun {
  private enum Outcome { case waiting, ended, cancelled }

  private static let addresses = 8
  private static let mostTranslations: UInt64 = 6

  private let settings: Resolver.Settings
  private let answers: HostileAnswers
  private let servers: [NameServer]
  private let domain: ResolverServers
  private var poller: Poller
  private var resolver: Resolver
  private var now = Clock.bootTime()
  private let start: UInt64
  private var outcomes: [UInt64: Outcome] = [:]
  private var found: [UInt64: [IPAddress]] = [:]
  private var last: UInt64 = 0

  init(_ program: inout Program) {
    let choice = program.byte()
    var settings = Resolver.Settings()
    settings.hostsFile = World.hostsFile
    settings.tries = choice & 1 == 0 ? 3 : 1
    settings.channels = choice & 2 == 0 ? 64 : 1
    settings.addresses = Self.addresses
    settings.translations = choice & 4 == 0 ? 4 : 4096
    let answers = HostileAnswers()
    let places = choice & 8 == 0 ? ["::1"] : ["::1", "127.0.0.1"]
    servers = places.map { NameServer(at: $0) { answers.answer($0, $1) } }
    let list = choice & 0x10 == 0 ? [] : [Array("example".utf8), Array("example.net".utf8)]
    domain = ResolverServers(
      interface: 1, servers: places.map { need(IPAddress($0), $0) },
      sources: [.v6(IPv6Address(0, 1)), .v4(IPv4Address(0x7F00_0001))], searchList: list)
    do throws(Errno) {
      poller = try Poller()
      resolver = try Resolver(tokenBase: 0, settings: settings)
    } catch {
      check(false, "no resolver: \(error)")
      fatalError()
    }
    self.settings = settings
    self.answers = answers
    start = now
  }

  /// False if there will be no other.
  func step(_ program: inout Program) -> Bool {
    switch program.byte() & 7 {
    case 0, 1:
      if last == Self.mostTranslations { return false }
      last += 1
      outcomes[last] = .waiting
      let name = program.bytes(1 + program.number(below: 48))
      resolver.translate(name.isEmpty ? Array("www.example".utf8) : name, domain, key: last, at: now, poller)
    case 2, 3, 4, 5: answers.append(&program)
    case 6:
      let key = 1 + UInt64(program.number(below: Int(Self.mostTranslations)))
      resolver.cancel(key: key)
      take()
      if outcomes[key] == .waiting { outcomes[key] = .cancelled }
    default:
      now += UInt64(program.byte()) * 100_000_000
      resolver.advance(at: now, poller)
    }
    settle()
    return true
  }

  /// Until nothing is ready any more.
  private func settle() {
    for _ in 0..<20_000 {
      var isBusy = false
      for server in servers where server.serve() { isBusy = true }
      do throws(Errno) {
        let count = try poller.wait(milliseconds: 0)
        for index in 0..<count { resolver.handle(poller.event(index), at: now, poller) }
        if count > 0 { isBusy = true }
      } catch {
        check(false, "epoll: \(error)")
      }
      take()
      if !isBusy { return }
    }
    check(false, "the loop never rests")
  }

  private func take() {
    while let result = resolver.nextResult() {
      switch result {
      case .address(let key, let address, _):
        check(outcomes[key] == .waiting, "an address after the end of \(key)")
        check(!found[key, default: []].contains(address), "\(address) twice")
        found[key, default: []].append(address)
        check(found[key, default: []].count <= Self.addresses, "more addresses than may be")
      case .ended(let key, let verdict):
        check(outcomes[key] == .waiting, "a second end of \(key): \(verdict)")
        outcomes[key] = .ended
        let count = found[key, default: []].count
        check((verdict == .complete) == (count > 0), "\(verdict) after \(count) addresses")
        if case .failed(_, 0) = verdict { check(false, "\(verdict) names no errno") }
      }
    }
  }

  /// Whoever still waits gets an end in time: each name, and each alias that it leads to, has its patience.
  func finish() {
    settle()
    let names = UInt64(1 + domain.searchList.count)
    let aliases: UInt64 = 8 + 1
    let longest = names * aliases * UInt64(settings.patience) * 1_000_000
    let giveUp = now + longest
    while resolver.count > 0 {
      let due = need(resolver.deadline, "nothing is due, and a translation has no end")
      check(now <= giveUp, "a translation has no end after \((now - start) / 1_000_000_000) s")
      now = max(now + 1_000_000, due)
      resolver.advance(at: now, poller)
      settle()
    }
    let waiting = outcomes.filter { $0.value == .waiting }.keys
    check(waiting.isEmpty, "no end of \(waiting)")
    // Every question goes to each server so often, in both families, and once more by TCP and without EDNS.
    let most = last * names * aliases * 2 * UInt64(servers.count) * UInt64(settings.tries) * 4
    check(servers.reduce(0) { $0 + $1.questions } <= most, "more questions than may be")
  }
}
