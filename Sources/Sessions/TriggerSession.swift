import BroadcastRing
import CLinux
package import Messages
package import Platform

/// What a session is to be told.
package struct TriggerInterest: Hashable, Sendable {
  package var filter: TriggerFilter?

  package init(filter: TriggerFilter? = nil) { self.filter = filter }

  fileprivate var extensions: TriggerExtensions {
    filter == nil ? [.cause, .replay, .origin] : [.cause, .replay, .origin, .filter]
  }
}

/// A request that a program makes of the database.
package enum TriggerOrder: Hashable, Sendable {
  case add(TriggerType, [TriggerAddress])
  case get(UInt32)
  /// Without addresses the stored ones stay.
  case modify(UInt32, TriggerType, [TriggerAddress])
  case delete(UInt32)
}

/// What comes out of a session.
package enum TriggerHappening: Equatable, Sendable {
  /// The answer to the request that was submitted under its seq; with an error it has no trigger.
  case answer(TriggerMessage)
  case news(TriggerNews)
  /// REGISTER was refused: nothing will be told.
  case refused(ErrorNumber)
}

/// Why a request has no good answer.
package enum TriggerFailure: Error, Hashable, Sendable {
  /// The agent said no.
  case refused(ErrorNumber)
  /// The agent ended or closed the connection: ECONNRESET, or why it did (ENOSPC: a quota of connections). The request
  /// may have been carried out.
  case disconnected(ErrorNumber)
  /// Nothing is connected now.
  case notConnected
  /// No answer in time; one that comes later is dropped.
  case timedOut
  /// The socket takes nothing now: read what has come, and try again.
  case wouldBlock
  /// More addresses than 16, or more types in a filter than 64.
  case tooMany
  case system(Errno)
}

/// The client's side of the Trigger Database: one connection to the agent, its requests, and the news as an unbroken
/// story. After lost news (a gap in seq) and after a restart of the agent it asks for everything again and tells the
/// differences only, so that whoever applies all news in order always has what the database has.
///
/// One thread at a time. Nothing here waits but `wait` and `ask`.
package struct TriggerSession: ~Copyable {
  private enum Token {
    static let connection: UInt64 = 1
    static let timer: UInt64 = 2
    static let bell: UInt64 = 3
  }
  /// Messages kept while an answer is waited for; past it news are dropped, which is a gap like any other.
  private static var pendingLimit: Int { 4096 }
  /// Messages that lead to nothing, looked at in one call of `next`.
  private static var bite: Int { 1024 }
  /// Records read from the ring before the socket has a turn.
  private static var ringBite: Int { 64 }
  private static var firstRetry: UInt64 { 10_000_000 }
  private static var lastRetry: UInt64 { 1_000_000_000 }

  package let path: [UInt8]
  private var poller: Poller
  /// Runs while the agent is gone, and is due as long as something waits here that the socket does not show.
  private var timer: Timer
  private var link: Link?
  /// Where news are read, once the agent has granted that and the replay is through.
  private var ring: TriggerRing?
  /// What came by SCM_RIGHTS and waits for its message's turn.
  private var passed: [PassedDescriptor] = []
  private var wantsRing = true
  private let spins: Bool
  private var ringTurns = 0
  /// Requests whose answers have not come.
  private var unanswered = 0
  /// News were lost, and the socket took no REGISTER yet.
  private var mustAsk = false
  private var interest: TriggerInterest?
  private var mirror = TriggerMirror()
  /// Under which seq REGISTER was sent last, until its answer comes.
  private var registering: UInt32?
  private var isReconnecting = false
  private var sequence: UInt32 = 0
  private var expectedNews: UInt32 = 1
  private var pending = Queue<[UInt8]>()
  private var prepared = Queue<TriggerHappening>()
  private var retryDelay = firstRetry
  private var retryAt: UInt64?
  /// What the agent said before it closed the connection.
  package private(set) var farewell = ErrorNumber.connectionReset
  private var received = [UInt8](repeating: 0, count: FrameHeader.maximumMessageLength)
  private var outgoing = [UInt8](repeating: 0, count: 1024)

  /// Connects to `path`, the agent's `trigger.sock`. With `waitsForAgent` nobody needs to be there yet. One that `spins`
  /// looks for news on the agent's ring all the time in which it waits: a processor's whole time for the few
  /// microseconds that it takes to be woken. `descriptor` does not tell of those news then.
  package init(path: [UInt8], waitsForAgent: Bool = false, spins: Bool = false) throws(SystemFailure) {
    var link: Link?
    do throws(SystemFailure) {
      link = Link(try Connection(to: path))
    } catch {
      guard waitsForAgent, error.errno.meansNoAgent else { throw error }
    }
    let poller = try TriggerSession.prepare(path) { () throws(Errno) in try Poller() }
    let timer = try TriggerSession.prepare(path) { () throws(Errno) in try Timer() }
    try TriggerSession.prepare(path) { () throws(Errno) in
      try poller.add(timer.descriptor.number, token: Token.timer, .read)
      if let link { try poller.add(link.connection.descriptor.number, token: Token.connection, .read) }
    }
    self.path = path
    self.spins = spins
    self.poller = poller
    self.timer = timer
    self.link = link
    if link == nil {
      isReconnecting = true
      scheduleRetry()
    }
  }

  private static func prepare<T: ~Copyable>(
    _ path: [UInt8], _ body: () throws(Errno) -> T
  ) throws(SystemFailure) -> T {
    do throws(Errno) {
      return try body()
    } catch {
      throw SystemFailure("wait for", path, error)
    }
  }

  /// An epoll(7) descriptor for the caller's own poll(2), the same as long as the session lives: readable when `next`
  /// may have something.
  package var descriptor: Int32 { poller.number }
  package var isConnected: Bool { link != nil }

  // MARK: Asking

  /// Sends REGISTER, now and after each reconnection. What exists comes as news first, then `inStep`. A second call
  /// replaces the first: what its filter no longer lets through is told as deleted.
  package mutating func register(_ interest: TriggerInterest) throws(TriggerFailure) {
    self.interest = interest
    guard link != nil else { return }
    try sendRegister()
  }

  /// Sends a request; its answer comes out of `next` under the seq that this gives.
  package mutating func submit(_ order: TriggerOrder) throws(TriggerFailure) -> UInt32 {
    switch order {
    case .add(_, let addresses), .modify(_, _, let addresses):
      guard addresses.count <= TriggerAddresses.capacity else { throw .tooMany }
    case .get, .delete: break
    }
    let submitted = try send { writer, sequence, pid throws(MessageOverflow) in
      switch order {
      case .add(let type, let addresses):
        try writer.triggerRequest(
          .add, TriggerPayload(type: type, identifier: 0), addresses: addresses.span, sequence: sequence, pid: pid)
      case .modify(let id, let type, let addresses):
        try writer.triggerRequest(
          .modify, TriggerPayload(type: type, identifier: id), addresses: addresses.span, sequence: sequence, pid: pid)
      case .get(let id):
        try writer.triggerRequest(
          .get, TriggerPayload(type: TriggerType(rawValue: 0), identifier: id), sequence: sequence, pid: pid)
      case .delete(let id):
        try writer.triggerRequest(
          .delete, TriggerPayload(type: TriggerType(rawValue: 0), identifier: id), sequence: sequence, pid: pid)
      }
    }
    unanswered += 1
    return submitted
  }

  /// Sends a request and waits for its answer until `deadline` (nanoseconds of CLOCK_BOOTTIME); news that come
  /// meanwhile are kept for `next`.
  package mutating func ask(_ order: TriggerOrder, until deadline: UInt64) throws(TriggerFailure) -> TriggerRecord {
    var submitted: UInt32?
    while submitted == nil {
      do throws(TriggerFailure) {
        submitted = try submit(order)
      } catch {
        guard error == .wouldBlock else { throw error }
        // The agent takes nothing more until its answers are read.
        try gather(until: deadline, .write)
      }
    }
    while true {
      if let answer = try receiveAnswer(to: submitted!) {
        guard answer.header.error == .none else { throw .refused(answer.header.error) }
        guard let record = TriggerRecord(answer) else { throw .system(.protocolError) }
        return record
      }
      try gather(until: deadline, .read)
    }
  }

  /// Waits for the answer to REGISTER until `deadline`, where one is due.
  package mutating func awaitRegistration(until deadline: UInt64) throws(TriggerFailure) {
    while let sequence = registering {
      while let bytes = try receive() {
        let header = FrameHeader(asMuchAsThereIs: bytes.raw)
        let isOurs = header.isAnswer(to: sequence)
        // It is looked at again in its place among the news.
        keep(bytes, header)
        guard isOurs else { continue }
        if header.error != .none { throw .refused(header.error) }
        return
      }
      try gather(until: deadline, .read)
    }
  }

  // MARK: Hearing

  /// What has come, one after another; nil where there is nothing now. Never waits.
  package mutating func next() throws(TriggerFailure) -> TriggerHappening? {
    ring?.rise()
    for _ in 0..<TriggerSession.bite {
      if let happening = prepared.popFirst() { return settled(happening) }
      if let bytes = pending.popFirst() {
        if let happening = interpret(bytes) { return settled(happening) }
        continue
      }
      if link == nil {
        guard try reconnect() else { return settled(nil) }
        continue
      }
      if mustAsk { askAgain() }
      // Looked at before the socket: the agent sends an answer first, then publishes what it is about. So a writer has its
      // answer before its own news, but where so many are under way that the answer had to wait for room.
      let hasNews = ring.map { $0.isHeard && $0.hasMore } ?? false
      let isSocketsTurn = unanswered > 0 || ringTurns >= TriggerSession.ringBite
      if !hasNews || isSocketsTurn {
        ringTurns = 0
        do throws(TriggerFailure) {
          if let bytes = try receive() {
            if let happening = interpret(bytes) { return settled(happening) }
            continue
          }
        } catch {
          guard case .disconnected = error else { throw error }
          continue
        }
        if !hasNews { return settled(nil) }
      }
      ringTurns += 1
      if let happening = hearRing() { return settled(happening) }
    }
    return settled(nil)
  }

  /// The next record of the ring, a NOTIFY with CAUSE and ORIGIN: it can't be lost, so its number says nothing. Where it
  /// was overwritten unread, everything is asked for again.
  private mutating func hearRing() -> TriggerHappening? {
    guard let ring, ring.isHeard else { return nil }
    switch ring.next() {
    case .record(let message):
      guard let message, message.type == .notify, let trigger = TriggerRecord(message) else { return nil }
      return mirror.apply(trigger, message.cause).map { .news($0) }
    case .nothing: return nil
    case .lapped:
      ring.isHeard = false
      mustAsk = true
      askAgain()
      return nil
    }
  }

  private mutating func askAgain() {
    // A socket that takes nothing has answers for us: when they are read it is tried again.
    do throws(TriggerFailure) { try sendRegister() } catch { return }
    mustAsk = false
  }

  /// Has the bell ring for what comes on the ring; false where there is something already.
  private func rests() -> Bool {
    guard let ring, ring.isHeard, !spins else { return true }
    return !ring.hasMore && ring.lieDown()
  }

  /// Waits until `next` may have something: false if nothing came in `milliseconds`; -1 waits for ever.
  package mutating func wait(milliseconds: Int32) throws(TriggerFailure) -> Bool {
    do throws(Errno) {
      if spins, let ring, ring.isHeard { return try spin(ring, milliseconds) }
      return try poller.wait(milliseconds: milliseconds) > 0
    } catch {
      throw .system(error)
    }
  }

  private mutating func spin(_ ring: TriggerRing, _ milliseconds: Int32) throws(Errno) -> Bool {
    let begin = Clock.bootTime()
    while true {
      // The ring is looked at without a system call; the others now and then.
      for _ in 0..<4096 {
        if ring.hasMore { return true }
        Process.relax()
      }
      if try poller.wait(milliseconds: 0) > 0 { return true }
      if milliseconds >= 0, Clock.bootTime() - begin >= UInt64(milliseconds) * 1_000_000 { return false }
    }
  }

  /// The timer shows what socket and bell do not: that something waits here, or when to try to connect.
  private mutating func settled(_ happening: TriggerHappening?) -> TriggerHappening? {
    let isDue = !prepared.isEmpty || !pending.isEmpty || !rests()
    // It fails only for times that no clock has.
    _ = try? timer.arm(at: isDue ? 1 : retryAt)
    return happening
  }

  private mutating func interpret(_ bytes: [UInt8]) -> TriggerHappening? {
    let message: TriggerMessage
    do throws(MessageRefusal) {
      message = try TriggerMessage(bytes.raw)
    } catch {
      // What is of another type is of a later version, and is skipped.
      if error == .messageType { return nil }
      disconnect(.protocolError)
      return prepared.popFirst()
    }
    switch message.type {
    case .notify: return news(message).map { .news($0) }
    case .register:
      guard registering == message.header.sequence else { return nil }
      registering = nil
      if message.header.error != .none { return .refused(message.header.error) }
      // Of another version: what was not granted would be told all wrong.
      let granted = TriggerExtensions(rawValue: message.header.flags)
      if let interest, !granted.isSuperset(of: interest.extensions) { return .refused(.operationNotSupported) }
      ring?.isHeard = false
      if let place = message.ring, !join(place) {
        // What the agent has handed over is of no use to us, or did not arrive: the socket is as good.
        wantsRing = false
        mustAsk = true
        return nil
      }
      mirror.beginReplay(ofAnotherAgent: isReconnecting)
      isReconnecting = false
      return nil
    case .add, .get, .delete, .modify:
      return message.header.pid == ownProcess ? .answer(message) : nil
    }
  }

  /// Maps what came with the first answer that grants RING.
  private mutating func join(_ place: RingPlace) -> Bool {
    if ring != nil { return true }
    let passed = passed
    self.passed = []
    do throws(Errno) {
      let ring = try TriggerRing(passed, place)
      try poller.add(ring.bell, token: Token.bell, .read)
      self.ring = ring
      return true
    } catch {
      return false
    }
  }

  private mutating func news(_ message: TriggerMessage) -> TriggerNews? {
    let isGap = message.header.sequence != expectedNews
    expectedNews = message.header.sequence &+ 1
    if isGap, registering == nil {
      // Full sockets are tried again at the next gap, which is there already: the number above is not taken back.
      do throws(TriggerFailure) { try sendRegister() } catch { expectedNews = message.header.sequence }
    }
    guard let record = TriggerRecord(message) else {
      // The end of a replay that was broken says nothing.
      guard registering == nil, mirror.isReplaying else { return nil }
      for news in mirror.endReplay() { prepared.append(.news(news)) }
      prepared.append(.news(.inStep))
      if let place = message.ring { ring?.hear(from: place.position) }
      return nil
    }
    return mirror.apply(record, message.cause)
  }

  // MARK: The connection

  private mutating func sendRegister() throws(TriggerFailure) {
    guard let interest else { return }
    // Beside a filter the agent does not grant it: what does not pass is to cost this process nothing.
    let extensions = wantsRing && interest.filter == nil ? interest.extensions.union(.ring) : interest.extensions
    registering = try send { writer, sequence, pid throws(MessageOverflow) in
      try writer.register(extensions, filter: interest.filter, sequence: sequence, pid: pid)
    }
  }

  private mutating func send(
    _ write: (inout MessageWriter, _ sequence: UInt32, _ pid: UInt32) throws(MessageOverflow) -> Int
  ) throws(TriggerFailure) -> UInt32 {
    if link == nil { _ = try reconnect() }
    guard let link else { throw .notConnected }
    let next = sequence &+ 1
    var memory: [UInt8] = []
    swap(&memory, &outgoing)
    defer { swap(&memory, &outgoing) }
    var span = memory.mutableSpan
    var writer = MessageWriter(unsafe span.mutableBytes)
    do throws(MessageOverflow) {
      _ = try write(&writer, next, ownProcess)
    } catch {
      throw .tooMany
    }
    switch link.connection.send(writer.message) {
    case .sent:
      sequence = next
      return next
    case .wouldBlock: throw .wouldBlock
    case .tooLong: throw .tooMany
    case .failed(let error):
      guard error.isPeerGone else { throw .system(error) }
      // What the agent sent before it went is still there to be read; the end behind it throws.
      while let bytes = try receive() { keep(bytes, FrameHeader(asMuchAsThereIs: bytes.raw)) }
      throw .notConnected
    }
  }

  /// One message of the socket's, nil where there is none. At the end of the connection, `disconnected`.
  private mutating func receive() throws(TriggerFailure) -> [UInt8]? {
    guard let link else { throw .notConnected }
    var memory: [UInt8] = []
    swap(&memory, &received)
    defer { swap(&memory, &received) }
    var span = memory.mutableSpan
    var buffer = unsafe span.mutableBytes
    // After ECONNRESET, which is said once, comes what was sent before it: a last word, and the end.
    for _ in 0..<3 {
      var passed: [PassedDescriptor] = []
      switch link.connection.receive(into: &buffer, descriptors: &passed) {
      case .nothing: return nil
      case .message(let length):
        if length > buffer.byteCount { break }
        let bytes = buffer.bytes.copy(first: length)
        let header = FrameHeader(asMuchAsThereIs: bytes.raw)
        if header.type == 0, header.error != .none {
          // Type 0 says why the agent will not have us; the end comes behind it.
          farewell = header.error
          continue
        }
        if !passed.isEmpty { self.passed = passed }
        if header.isAnswer, unanswered > 0 { unanswered -= 1 }
        // Whoever is heard is there, and had room for us.
        retryDelay = TriggerSession.firstRetry
        return bytes
      case .failed(let error) where error.isPeerGone: continue
      case .failed(let error): throw .system(error)
      case .closed: break
      }
      break
    }
    disconnect(farewell)
    throw .disconnected(farewell)
  }

  private mutating func disconnect(_ reason: ErrorNumber) {
    link = nil
    ring = nil
    passed = []
    mustAsk = false
    unanswered = 0
    wantsRing = true
    registering = nil
    farewell = reason
    isReconnecting = true
    scheduleRetry()
    prepared.append(.news(.disconnected))
    _ = settled(nil)
  }

  private mutating func scheduleRetry() {
    retryAt = Clock.bootTime() + retryDelay
    retryDelay = min(2 * retryDelay, TriggerSession.lastRetry)
    _ = try? timer.arm(at: retryAt)
  }

  /// Tries to connect where it is time to. False if there is nobody (yet).
  private mutating func reconnect() throws(TriggerFailure) -> Bool {
    guard let due = retryAt, due <= Clock.bootTime() else { return false }
    retryAt = nil
    let link: Link
    do throws(SystemFailure) {
      link = Link(try Connection(to: path))
    } catch {
      scheduleRetry()
      return false
    }
    do throws(Errno) {
      try poller.add(link.connection.descriptor.number, token: Token.connection, .read)
    } catch {
      scheduleRetry()
      throw .system(error)
    }
    self.link = link
    expectedNews = 1
    farewell = .connectionReset
    do throws(TriggerFailure) { try sendRegister() } catch {
      if self.link != nil { disconnect(.connectionReset) }
    }
    return true
  }

  // MARK: Waiting for an answer

  /// The answer to `sequence`, if it has come; everything before it is kept.
  private mutating func receiveAnswer(to sequence: UInt32) throws(TriggerFailure) -> TriggerMessage? {
    while let bytes = try receive() {
      let header = FrameHeader(asMuchAsThereIs: bytes.raw)
      if header.isAnswer(to: sequence), header.type != TriggerMessageType.register.rawValue {
        do throws(MessageRefusal) { return try TriggerMessage(bytes.raw) } catch { throw .system(.protocolError) }
      }
      keep(bytes, header)
    }
    return nil
  }

  private mutating func keep(_ bytes: [UInt8], _ header: FrameHeader) {
    let isNews = header.type == TriggerMessageType.notify.rawValue
    if isNews, pending.count >= TriggerSession.pendingLimit { return }
    pending.append(bytes)
    _ = settled(nil)
  }

  /// Waits for the socket, keeping what comes where room to write is wanted.
  private mutating func gather(until deadline: UInt64, _ interest: Poller.Interest) throws(TriggerFailure) {
    guard let link else { throw .notConnected }
    let now = Clock.bootTime()
    guard now < deadline else { throw .timedOut }
    let milliseconds = Int32(clamping: (deadline - now) / 1_000_000 + 1)
    if interest == .write {
      while let bytes = try receive() { keep(bytes, FrameHeader(asMuchAsThereIs: bytes.raw)) }
    }
    do throws(Errno) {
      _ = try link.connection.descriptor.wait(
        for: interest == .write ? [.read, .write] : .read, milliseconds: milliseconds)
    } catch {
      throw .system(error)
    }
  }
}

/// A connection that may not be there: a noncopyable value's place in an optional.
private final class Link {
  let connection: Connection
  init(_ connection: consuming Connection) { self.connection = connection }
}

extension FrameHeader {
  /// To a request other than REGISTER.
  fileprivate var isAnswer: Bool {
    type != TriggerMessageType.notify.rawValue && type != TriggerMessageType.register.rawValue
  }

  /// Of ours: no NOTIFY, and our own pid, which the agent's news never have by chance.
  fileprivate func isAnswer(to sequence: UInt32) -> Bool {
    type != TriggerMessageType.notify.rawValue && self.sequence == sequence && pid == ownProcess
  }
}

/// getpid(2), asked each time: a child of fork(2) has another one.
var ownProcess: UInt32 { UInt32(bitPattern: getpid()) }

extension Errno {
  var isPeerGone: Bool { rawValue == EPIPE || rawValue == ECONNRESET || rawValue == ENOTCONN }
  /// Nobody listens on that path.
  fileprivate var meansNoAgent: Bool {
    rawValue == ENOENT || rawValue == ECONNREFUSED || rawValue == ENOTDIR || rawValue == EAGAIN
  }
}
