import Fuzzing
import Glibc
import Messages
import Platform

/// A client of the Trigger Database and what it may rely on: its answers before its own news, news without gaps that
/// nobody dropped, and a mirror that is the database whenever it is in step.
final class TriggerPeer: Peer {
  /// A NOTIFY that was no replay.
  struct Told: CustomStringConvertible {
    /// nil without the extension.
    var cause: TriggerMessageType?
    var identifier: UInt32
    var trigger: KnownTrigger
    /// nil without ORIGIN.
    var timestamp: UInt64?
    /// Whether it may be a MODIFY that took the trigger into its view, or out of it.
    var isViewed: Bool

    var description: String { "\(cause.map { "\($0)" } ?? "?") \(identifier) \(trigger)" }

    func isAbout(_ change: TriggerHistory.Change) -> Bool {
      guard change.identifier == identifier, timestamp == nil || timestamp == change.timestamp else { return false }
      let isSame = change.trigger == trigger
      switch cause {
      case .some(.delete): return change.cause == .delete && isSame || isViewed && change.cause == .modify
      case .some(.add): return isSame && (change.cause == .add || isViewed && change.cause == .modify)
      case .some(let cause): return isSame && change.cause == cause
      case nil: return isSame || isViewed && change.cause == .modify
      }
    }
  }

  let mayRead: [ClosedRange<UInt16>]
  let isRoot: Bool
  private var expectations = Expectations<TriggerRequest>()

  private(set) var extensions: TriggerExtensions?
  private var filter: TriggerFilter?
  private var replays = false
  /// Whether `mirror` is all that it should know; with CAUSE and after a replay, and until news are lost.
  private(set) var isInStep = false
  private var hasLost = false
  private(set) var mirror: [UInt32: KnownTrigger] = [:]
  private(set) var told: [Told] = []
  private(set) var gotten: [(identifier: UInt32, trigger: KnownTrigger)] = []
  private var toldOf: Set<UInt32> = []
  /// Ring, page and bell, from when RING was granted. What it would read there is not looked at here: its news go nowhere
  /// but to the ring, and it is never in step.
  private var ring: [PassedDescriptor] = []
  private var isOnRing: Bool { extensions?.contains(.ring) ?? false }

  init(_ connection: consuming Connection, mayRead: [ClosedRange<UInt16>], isRoot: Bool) {
    self.mayRead = mayRead
    self.isRoot = isRoot
    super.init(connection)
  }

  var view: TriggerView { TriggerView(types: mayRead, filter: filter) }
  override var isWaiting: Bool { !expectations.isEmpty }
  override var isReplaying: Bool { replays }

  override func request(_ bytes: [UInt8]) {
    if send(bytes) {
      expectations.append(bytes) { b throws(MessageRefusal) in try TriggerRequest(b) }
    }
  }

  override func loseNews() {
    hasLost = true
    isInStep = false
  }

  override func take(_ bytes: RawSpan, _ header: FrameHeader) {
    if header.type == TriggerMessageType.notify.rawValue, header.error == .none { return news(bytes, header) }
    let asked = expectations.front(header)
    defer { expectations.removeFirst() }
    guard let request = asked.request else { return }
    check(header.type == asked.header.type, "answer of type \(header.type) to \(request)")
    let error = header.error
    if error != .none { return check(request.allows(error, isRoot), "errno \(error.rawValue) for \(request)") }
    let answer = need(
      [UInt8](copying: bytes).read { b throws(MessageRefusal) in try TriggerMessage(b) }, "an answer that can't be read"
    )
    if case .register(let wanted, let filter) = request { return registered(answer, wanted, filter) }
    let trigger = need(answer.trigger, "no TRIGGER in \(answer)")
    check(answer.filter == nil && header.flags == 0, "what is no part of it: \(answer)")
    check(trigger.identifier != 0 && trigger.type.rawValue != 0, "\(trigger)")
    switch request {
    case .add(let type, let addresses):
      check(trigger.type == type && answer.addresses == addresses, "\(answer) to \(request)")
      check(toldOf.insert(trigger.identifier).inserted, "its NOTIFY came before the answer to ADD, or its id twice")
    case .modify(let identifier, let type, let addresses):
      check(trigger == TriggerPayload(type: type, identifier: identifier), "\(answer) to \(request)")
      check(answer.addresses == addresses, "\(answer) to \(request)")
    case .delete(let identifier):
      check(trigger.identifier == identifier && answer.addresses.isEmpty, "\(answer) to \(request)")
    case .get(let identifier):
      check(trigger.identifier == identifier, "\(answer) to \(request)")
      check((answer.origin != nil) == (extensions?.contains(.origin) ?? false), "ORIGIN of \(answer)")
      gotten.append((identifier, KnownTrigger(answer, trigger)))
    case .register: break
    }
    if case .get = request { return }
    check(answer.origin == nil, "ORIGIN in \(answer)")
  }

  private func registered(_ answer: TriggerMessage, _ wanted: TriggerExtensions, _ filter: TriggerFilter?) {
    let granted = TriggerExtensions(rawValue: answer.header.flags)
    let due = wanted.intersection(.served)
    check(granted == due || granted == due.subtracting(.ring), "granted \(granted) of \(wanted)")
    check(!granted.contains(.ring) || filter == nil && mayRead == [0...UInt16.max], "let onto the ring")
    check((answer.ring != nil) == granted.contains(.ring), "where to begin in \(answer)")
    if granted.contains(.ring), ring.isEmpty {
      ring = takePassed()
      check(ring.count == 3, "\(ring.count) descriptors beside RING")
    }
    check(answer.trigger == nil && answer.origin == nil && answer.addresses.isEmpty, "\(answer)")
    check(answer.filter == filter, "another filter than \(String(describing: filter)) in \(answer)")
    extensions = granted
    self.filter = filter
    replays = granted.contains(.replay)
    isInStep = false
    hasLost = false
    mirror = [:]
  }

  // MARK: News

  private func news(_ bytes: RawSpan, _ header: FrameHeader) {
    guard let extensions else { return check(false, "news before REGISTER was answered") }
    countNews(header)
    let message = need(
      [UInt8](copying: bytes).read { b throws(MessageRefusal) in try TriggerMessage(b) }, "news that can't be read")
    guard let trigger = message.trigger else {
      check(replays, "the end of no replay")
      check((message.ring != nil) == isOnRing, "the end as \(message)")
      check(bytes.byteCount == FrameHeader.size + (isOnRing ? 16 : 0), "the end of \(bytes.byteCount) bytes")
      check(header.flags == 0 && header.pid == 0, "the end as \(header)")
      replays = false
      isInStep = extensions.contains(.cause) && !hasLost && !isOnRing
      return
    }
    check(!isOnRing || replays, "on the socket: \(message)")
    check(message.filter == nil && (message.origin != nil) == extensions.contains(.origin), "\(message)")
    check(header.pid == 0 || header.pid == UInt32(getpid()), "pid \(header.pid)")
    let known = KnownTrigger(message, trigger)
    let identifier = trigger.identifier
    toldOf.insert(identifier)
    var cause: TriggerMessageType?
    if extensions.contains(.cause) {
      cause = need(TriggerMessageType(rawValue: header.flags), "cause \(header.flags)")
      let reason = message.origin?.reason ?? RemovalReason.none
      check(reason == RemovalReason.none || cause == .delete, "a reason in \(message)")
    } else {
      check(header.flags == 0, "cause \(header.flags) without CAUSE")
    }
    if extensions.contains(.replay), !hasLost, let cause { mirror(cause, identifier, known) }
    // What the walk meets is no news.
    if replays, header.pid == 0, cause == .add || cause == nil { return }
    told.append(
      Told(
        cause: cause, identifier: identifier, trigger: known, timestamp: message.origin?.timestamp,
        isViewed: !view.isEverything))
  }

  private func mirror(_ cause: TriggerMessageType, _ identifier: UInt32, _ trigger: KnownTrigger) {
    let before = mirror[identifier]
    switch cause {
    case .add:
      check(before == nil, "\(identifier) was told twice")
      mirror[identifier] = trigger
    case .modify:
      check(before != nil, "\(identifier) was modified before it was told")
      mirror[identifier] = trigger
    default:
      check(before != nil, "\(identifier) was deleted before it was told")
      check(before == trigger || view.isEverything, "\(identifier) was deleted as something else than it was told")
      mirror[identifier] = nil
    }
  }
}

extension TriggerRequest {
  /// Whether docs/protocol.md has this error for a request that is right in itself.
  fileprivate func allows(_ error: ErrorNumber, _ isRoot: Bool) -> Bool {
    switch (self, error) {
    case (.add, .noSpace), (.get, .noSuchEntry), (.modify, .noSuchEntry), (.delete, .noSuchEntry): true
    // Root may all but change the agent's own.
    case (.modify, .notPermitted), (.delete, .notPermitted): true
    case (_, .notPermitted): !isRoot
    default: false
    }
  }
}

extension [UInt8] {
  init(copying bytes: RawSpan) {
    self = bytes.byteOffsets.map { unsafe bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
  }
}
