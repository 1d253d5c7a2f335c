import CAres
import CLinux
package import Platform
import Wire

/// Translates names into addresses through the DNS servers of one provisioning domain at a time.
///
/// The caller drives it: `handle` for events whose token lies in its range, `advance` at `deadline`, and after every
/// call `nextResult` until it is nil. Nothing waits, and nothing is opened but sockets, the hosts file and, by c-ares
/// when a channel is made, /dev/urandom, of which nothing depends.
package struct Resolver: ~Copyable {
  private let settings: Settings
  private let tokenBase: UInt64
  private let timeout: UInt64
  private let patience: UInt64
  private let idle: UInt64

  private var hosts: HostsTable
  private var answers: AnswerCache
  private var identifiers = Identifiers()
  private var translations: [UInt64: Translation] = [:]
  private let open = OpenLanes()
  private var tokens: [UInt32: Lane] = [:]
  private var lastToken: UInt32 = 0
  private var lastQuestion: UInt64 = 0
  /// Lanes in which something has happened.
  private var touched: [Lane] = []
  private var results: [ResolverResult] = []
  private var nextResultIndex = 0
  /// Nothing has to be done before.
  private var nextCheck: UInt64 = .max
  private var counters = [UInt64](repeating: 0, count: ResolverCounter.allCases.count)

  /// Aliases followed one after the other, where servers leave that to us.
  private static let mostAliases = 8
  /// How often a question follows a server from one TCP connection to the next.
  private static let mostReconnections = 32

  /// `tokenBase`: the low 32 bits are ours.
  package init(tokenBase: UInt64, settings: Settings) throws(Errno) {
    if ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS { throw Errno(rawValue: ENOMEM) }
    self.settings = settings
    self.tokenBase = tokenBase
    timeout = UInt64(max(settings.timeout, 1)) * 1_000_000
    patience = UInt64(max(settings.patience, 1)) * 1_000_000
    idle = UInt64(settings.idle) * 1_000_000
    hosts = HostsTable(path: settings.hostsFile, limit: settings.hostsFileLimit)
    answers = AnswerCache(limit: settings.cachedAnswers)
  }

  /// CLOCK_BOOTTIME in nanoseconds; nil if there is nothing to wait for.
  package var deadline: UInt64? { !touched.isEmpty ? 0 : nextCheck == .max ? nil : nextCheck }

  /// How many translations are under way.
  package var count: Int { translations.count }
  var channelCount: Int { lanes.count }
  var openSockets: [Int32] { lanes.values.flatMap { $0.sockets.map(\.number) } }
  var socketCount: Int { openSockets.count }
  /// Questions that c-ares has under way.
  var questionCount: Int { lanes.values.reduce(0) { $0 + $1.inFlight } }

  package mutating func nextResult() -> ResolverResult? {
    if nextResultIndex == results.count {
      if nextResultIndex > 0 {
        results.removeAll(keepingCapacity: results.count <= 256)
        nextResultIndex = 0
      }
      return nil
    }
    nextResultIndex += 1
    return results[nextResultIndex - 1]
  }

  package func forEachCounter(_ body: (StaticString, UInt64) -> Void) {
    body("resolver.under-way", UInt64(translations.count))
    for counter in ResolverCounter.allCases {
      switch counter {
      case .hostsRead: body(counter.name, hosts.readings)
      case .hostsFailed: body(counter.name, hosts.failures)
      default: body(counter.name, counters[counter.rawValue])
      }
    }
  }

  private var lanes: [Endpoint: Lane] {
    get { open.lanes }
    nonmutating _modify { yield &open.lanes }
  }

  private mutating func count(_ counter: ResolverCounter) { counters[counter.rawValue] &+= 1 }

  private mutating func check(at time: UInt64) { nextCheck = min(nextCheck, time) }
}

// MARK: Translations

extension Resolver {
  /// Begins to translate `name`: UTF-8, at most 255 bytes. `key` is the caller's, and no other translation's that is
  /// under way. One result `ended` follows, after the addresses, perhaps at once.
  package mutating func translate(
    _ name: [UInt8], _ servers: ResolverServers, key: UInt64, at now: UInt64, _ poller: borrowing Poller
  ) {
    count(.translations)
    if let address = IPAddress(parsing: name) { return answer(key, [address]) }
    let host: HostName
    do throws(Errno) {
      host = try HostName(name)
    } catch {
      count(.refusedName)
      return end(key, .refused(errno: error.rawValue))
    }
    let local = hosts.addresses(of: host, atMost: settings.addresses)
    if !local.isEmpty { return answer(key, local) }
    // RFC 6761, 6.3: no server is asked for it.
    if host.isWithin(".localhost") {
      return answer(key, [.v4(IPv4Address(0x7F00_0001)), .v6(IPv6Address(0, 1))])
    }
    // RFC 7686, 2: nor for these.
    if host.isWithin(".onion") { return end(key, verdict(RCODE.nameError)) }
    guard let endpoints = Endpoint.all(of: servers), !endpoints.isEmpty else {
      count(.refusedServers)
      let isSourceMissing = Endpoint.all(of: servers) == nil
      return end(key, .refused(errno: isSourceMissing ? EADDRNOTAVAIL : EDESTADDRREQ))
    }
    if translations.count >= settings.translations {
      count(.refusedFull)
      return end(key, .refused(errno: EAGAIN))
    }
    let translation = Translation(key: key, endpoints, names(host, servers.searchList))
    translations[key] = translation
    askNextName(translation, at: now)
    settle(at: now, poller)
  }

  /// Ends a translation without a word: nothing comes for `key` any more, but what is already among the results.
  package mutating func cancel(key: UInt64) {
    guard let translation = translations.removeValue(forKey: key) else { return }
    count(.cancelled)
    for question in translation.questions { withdrawAttempts(of: question) }
  }

  private mutating func answer(_ key: UInt64, _ addresses: [IPAddress]) {
    count(.local)
    for address in addresses { results.append(.address(key: key, address, ttl: .max)) }
    end(key, .complete)
  }

  private mutating func end(_ key: UInt64, _ verdict: ResolverVerdict) {
    results.append(.ended(key: key, verdict))
  }

  private func verdict(_ code: UInt8) -> ResolverVerdict { .failed(rcode: code, errno: errno(ofRCODE: code)) }

  /// The name as it is, and below each search domain; in which order, the dots say.
  private func names(_ host: HostName, _ searchList: [[UInt8]]) -> [[UInt8]] {
    if host.isAbsolute { return [host.labels] }
    var names: [[UInt8]] = []
    for text in searchList.prefix(ResolverServers.most) {
      if let domain = try? HostName(text), let name = host.labels(below: domain), !names.contains(name) {
        names.append(name)
      }
    }
    if host.dots >= settings.ndots { names.insert(host.labels, at: 0) } else { names.append(host.labels) }
    return names
  }

  private mutating func askNextName(_ translation: Translation, at now: UInt64) {
    let labels = translation.names[translation.nextName]
    translation.nextName += 1
    // Both are there before the first is sent: what ends at once finds the other.
    translation.questions = [
      question(labels, .v6, translation.servers, at: now), question(labels, .v4, translation.servers, at: now),
    ]
    for question in translation.questions {
      if let known = answers.addresses(AnswerCache.Key(translation, question), at: now) {
        count(.cached)
        tell(known, translation)
        conclude(translation, question, .found, at: now)
      } else {
        askNext(translation, question, at: now)
      }
    }
  }

  private mutating func question(
    _ labels: [UInt8], _ family: Family, aliases: Int = 0, _ servers: [Endpoint], at now: UInt64
  ) -> Question {
    var order: [Endpoint] = []
    var last: [Endpoint] = []
    for server in servers {
      if let lane = lanes[server], lane.suspectUntil > now { last.append(server) } else { order.append(server) }
    }
    lastQuestion += 1
    check(at: now + patience)
    return Question(lastQuestion, family, labels, aliases: aliases, order + last, end: now + patience)
  }

  /// A question has its result. When both have, the translation has one too, or goes on with the next name.
  private mutating func conclude(
    _ translation: Translation, _ question: Question, _ result: Question.Result, at now: UInt64
  ) {
    question.result = result
    withdrawAttempts(of: question)
    var failure: ResolverVerdict?
    for question in translation.questions {
      switch question.result {
      case nil: return
      case .found: break
      case .negative(let code): if code == RCODE.noError { translation.hadNoData = true }
      case .failed(let verdict): if failure == nil { failure = verdict }
      }
    }
    if !translation.found.isEmpty { return finish(translation, .complete) }
    // Only a name that is certainly not there gives way to the next: whoever can make a server fail would choose.
    if let failure { return finish(translation, failure) }
    if translation.nextName < translation.names.count { return askNextName(translation, at: now) }
    finish(translation, verdict(translation.hadNoData ? RCODE.noError : RCODE.nameError))
  }

  private mutating func finish(_ translation: Translation, _ verdict: ResolverVerdict) {
    translations[translation.key] = nil
    end(translation.key, verdict)
  }
}

// MARK: Questions

extension Resolver {
  /// Gives the next server its turn.
  private mutating func askNext(_ translation: Translation, _ question: Question, at now: UInt64) {
    while let index = question.nextServer(tries: Int(max(settings.tries, 1))) {
      if ask(translation, question, question.order[index], at: now) { return }
      question.isOut[index] = true
    }
    // The last ones have their time as well.
    if !question.attempts.isEmpty { return wait(question, at: now) }
    conclude(translation, question, .failed(verdict(of: question)), at: now)
  }

  /// Sends it to one server. False if there is no channel for it.
  private mutating func ask(
    _ translation: Translation, _ question: Question, _ endpoint: Endpoint, at now: UInt64
  ) -> Bool {
    guard let lane = lane(endpoint, question, at: now) else { return false }
    guard let id = identifiers.next() else {
      question.error = EAGAIN
      return false
    }
    count(.queries)
    let attempt = Attempt(
      lane, key: translation.key, question.family, question: question.number, question.labels, id: id,
      hasOPT: lane.usesEDNS, at: now)
    question.attempts.append(attempt)
    wait(question, at: now)
    lane.send(attempt, at: now)
    touch(lane)
    return true
  }

  private mutating func wait(_ question: Question, at now: UInt64) {
    question.due = min(now + timeout, question.end)
    check(at: question.due)
  }

  /// Its time is over: the next one is asked as well, or it is given up.
  private mutating func goOn(_ translation: Translation, _ question: Question, at now: UInt64) {
    question.wasLate = true
    for attempt in question.attempts where attempt.lane.lastHeard <= attempt.start {
      attempt.lane.suspectUntil = now + idle
    }
    let turns = question.turns
    guard now < question.end, question.nextServer(tries: Int(max(settings.tries, 1))) != nil else {
      count(.timedOut)
      return conclude(translation, question, .failed(verdict(of: question)), at: now)
    }
    question.turns = turns
    count(.late)
    askNext(translation, question, at: now)
  }

  private func verdict(of question: Question) -> ResolverVerdict {
    if let code = question.code { return verdict(code) }
    if question.wasGarbled { return .failed(rcode: 0, errno: EBADMSG) }
    if question.wasLate { return .timedOut }
    return .failed(rcode: 0, errno: question.error)
  }

  private mutating func withdrawAttempts(of question: Question) {
    for attempt in question.attempts {
      attempt.lane.withdraw(attempt)
      touch(attempt.lane)
    }
    question.attempts = []
  }

  private mutating func hear(_ attempt: Attempt, at now: UInt64) {
    guard !attempt.isWithdrawn, let outcome = attempt.outcome, let translation = translations[attempt.key],
      let question = translation.questions.first(where: { $0.number == attempt.question }), question.remove(attempt)
    else { return }
    let lane = attempt.lane
    switch outcome {
    case .unreachable, .timedOut: break
    default:
      count(.answers)
      lane.lastHeard = now
      lane.suspectUntil = 0
    }
    switch outcome {
    case .addresses(let addresses):
      answers.store(addresses, AnswerCache.Key(translation, question), at: now)
      tell(addresses, translation)
      conclude(translation, question, .found, at: now)
    case .alias(let name):
      guard let host = try? HostName(name) else {
        count(.garbled)
        question.wasGarbled = true
        return pass(translation, question, lane, at: now)
      }
      follow(host, translation, question, at: now)
    case .code(let code, _) where code == RCODE.noError || code == RCODE.nameError:
      conclude(translation, question, .negative(code), at: now)
    case .code(RCODE.formatError, hasAdditional: false) where attempt.hasOPT:
      // c-ares has noticed at another question that this server knows no EDNS (RFC 6891, 7), so this one is ours.
      count(.withoutEDNS)
      lane.usesEDNS = false
      if !ask(translation, question, lane.endpoint, at: now) { askNext(translation, question, at: now) }
    case .code(let code, _):
      count(.refusals)
      question.code = code
      pass(translation, question, lane, at: now)
    case .truncated where !lane.endpoint.isStream:
      count(.truncated)
      if !ask(translation, question, lane.endpoint.stream, at: now) { pass(translation, question, lane, at: now) }
    case .truncated, .garbled:
      count(.garbled)
      question.wasGarbled = true
      pass(translation, question, lane, at: now)
    case .unreachable where attempt.isLeftOver && question.reconnections < Resolver.mostReconnections:
      // The rest are asked over a next connection (RFC 7766, 6.2.4).
      question.reconnections += 1
      if !ask(translation, question, lane.endpoint, at: now) { pass(translation, question, lane, at: now) }
    case .unreachable(let error):
      count(.unreachable)
      question.error = error
      if !lane.endpoint.isStream { lane.suspectUntil = now + idle }
      pass(translation, question, lane, at: now)
    case .timedOut:
      // c-ares' own time-out is the question's patience.
      question.wasLate = true
      if question.attempts.isEmpty { askNext(translation, question, at: now) }
    }
  }

  /// On to the next server, unless that one is just being asked.
  private mutating func pass(_ translation: Translation, _ question: Question, _ lane: Lane, at now: UInt64) {
    // A server that closed a connection was asked too much at once, perhaps.
    if !(lane.endpoint.isStream && question.error == ECONNRESET) { question.exclude(lane.endpoint.server) }
    let turns = question.turns
    if !question.attempts.isEmpty, let next = question.nextServer(tries: Int(max(settings.tries, 1))) {
      question.turns = turns
      if question.isAsking(question.order[next].server) { return }
    }
    askNext(translation, question, at: now)
  }

  private mutating func tell(_ addresses: [(IPAddress, ttl: UInt32)], _ translation: Translation) {
    for (address, ttl) in addresses where !translation.found.contains(address) {
      if translation.found.count >= settings.addresses {
        count(.addressesDropped)
        continue
      }
      translation.found.append(address)
      results.append(.address(key: translation.key, address, ttl: ttl))
    }
  }

  private mutating func follow(_ host: HostName, _ translation: Translation, _ question: Question, at now: UInt64) {
    guard question.aliases < Resolver.mostAliases else {
      return conclude(translation, question, .failed(.failed(rcode: 0, errno: ELOOP)), at: now)
    }
    guard let index = translation.questions.firstIndex(where: { $0 === question }) else { return }
    count(.aliases)
    withdrawAttempts(of: question)
    let next = self.question(
      host.labels, question.family, aliases: question.aliases + 1, translation.servers, at: now)
    translation.questions[index] = next
    askNext(translation, next, at: now)
  }
}

// MARK: Channels

extension Resolver {
  private mutating func lane(_ endpoint: Endpoint, _ question: Question, at now: UInt64) -> Lane? {
    if let lane = lanes[endpoint] { return lane }
    if lanes.count >= settings.channels, !dropIdleLane() {
      count(.refusedChannel)
      question.error = EMFILE
      return nil
    }
    do throws(Errno) {
      let lane = try Lane(endpoint, settings, at: now)
      lanes[endpoint] = lane
      return lane
    } catch {
      count(.refusedChannel)
      question.error = error.rawValue
      return nil
    }
  }

  /// Makes room for another channel: the one that was not used for longest goes.
  private mutating func dropIdleLane() -> Bool {
    var oldest: Lane?
    for lane in lanes.values where lane.inFlight == 0 && !lane.isTouched {
      if let other = oldest, other.idleSince <= lane.idleSince { continue }
      oldest = lane
    }
    guard let oldest else { return false }
    drop(oldest)
    return true
  }

  private mutating func drop(_ lane: Lane) {
    lanes[lane.endpoint] = nil
    lane.close()
    for token in lane.closedTokens { tokens[token] = nil }
  }

  private mutating func touch(_ lane: Lane) {
    if lane.isTouched { return }
    lane.isTouched = true
    touched.append(lane)
  }

  /// Looks at everything that calls of c-ares have left behind, until nothing is left. Ends, because each question has
  /// its number of turns.
  private mutating func settle(at now: UInt64, _ poller: borrowing Poller) {
    while let lane = touched.popLast() {
      lane.isTouched = false
      if lane.error != 0 { lane.raise() }
      let finished = lane.finished
      lane.finished = []
      for attempt in finished { hear(attempt, at: now) }
      lane.sendWaiting(at: now)
      if !lane.finished.isEmpty { touch(lane) }
      watch(lane, poller)
      counters[ResolverCounter.unsent.rawValue] &+= lane.unsent
      lane.unsent = 0
      if lane.inFlight == 0 {
        lane.idleSince = now
        check(at: now + idle)
      } else {
        check(at: min(lane.nextTimeout, lane.nextBurst))
      }
    }
  }

  /// Tells the poller what c-ares wants of its sockets now.
  private mutating func watch(_ lane: Lane, _ poller: borrowing Poller) {
    for token in lane.closedTokens { tokens[token] = nil }
    lane.closedTokens.removeAll()
    for index in lane.sockets.indices where lane.sockets[index].wanted != lane.sockets[index].registered {
      let socket = lane.sockets[index]
      do throws(Errno) {
        if let token = socket.token {
          try poller.modify(socket.number, token: tokenBase | UInt64(token), socket.wanted)
        } else {
          lastToken &+= 1
          try poller.add(socket.number, token: tokenBase | UInt64(lastToken), socket.wanted)
          lane.sockets[index].token = lastToken
          tokens[lastToken] = lane
        }
        lane.sockets[index].registered = socket.wanted
      } catch {
        count(.pollerFailed)
        lane.error = error.rawValue
        return touch(lane)
      }
    }
  }

  /// An event of the poller whose token is one of ours. One of a socket that is closed meanwhile does nothing.
  package mutating func handle(_ event: Poller.Event, at now: UInt64, _ poller: borrowing Poller) {
    let token = UInt32(truncatingIfNeeded: event.token)
    guard let lane = tokens[token], let socket = lane.sockets.first(where: { $0.token == token }) else { return }
    let isBroken = event.hasError || event.isHungUp
    lane.process(socket.number, readable: event.isReadable || isBroken, writable: event.isWritable)
    // c-ares has closed it if it saw the error; what it didn't see would keep it ready.
    if event.hasError, !lane.endpoint.isStream, lane.sockets.contains(where: { $0.token == token }) {
      lane.drainErrors(socket.number)
    }
    touch(lane)
    settle(at: now, poller)
  }

  /// To be called at `deadline`; earlier it does nothing.
  package mutating func advance(at now: UInt64, _ poller: borrowing Poller) {
    settle(at: now, poller)
    if now < nextCheck { return }
    nextCheck = .max
    for key in Array(translations.keys) {
      guard let translation = translations[key] else { continue }
      for question in translation.questions where question.result == nil {
        if now >= question.due { goOn(translation, question, at: now) }
        if question.result == nil { check(at: question.due) }
      }
    }
    for lane in Array(lanes.values) {
      if lane.inFlight == 0 {
        if lane.idleSince + idle <= now, !lane.isTouched { drop(lane) } else { check(at: lane.idleSince + idle) }
      } else {
        if lane.nextTimeout <= now {
          lane.processTimeouts(at: now)
          touch(lane)
        }
        if lane.nextBurst <= now { touch(lane) }
        check(at: min(lane.nextTimeout, lane.nextBurst))
      }
    }
    settle(at: now, poller)
  }
}

extension AnswerCache.Key {
  fileprivate init(_ translation: Translation, _ question: Question) {
    self.init(servers: translation.servers, labels: question.labels, family: question.family)
  }
}

/// The channels that there are, closed with their resolver. A class, because Embedded Swift would want to see a
/// noncopyable resolver's deinit in whichever module holds one.
private final class OpenLanes {
  var lanes: [Endpoint: Lane] = [:]

  deinit {
    for lane in lanes.values { lane.close() }
  }
}
