import BroadcastRing
import CLinux
package import Connecting
import Messages
package import Platform
package import Provisioning
package import Resolving

/// Everybody who is told: the two listening sockets, the connections to them, and the fan-out.
///
/// A request is answered, then what it changed is told, then the next one is read: so a writer has its answer before
/// its own NOTIFY, and all subscribers see one order.
package final class Subscribers {
  package struct Settings: Sendable {
    /// Connections in all; a further one is told so and closed, and counted.
    package var limit = 1024
    /// Connections of one user other than root; a further one likewise.
    package var limitPerUser = 256
    /// Bytes of a subscriber's queue behind its socket's buffer, with 64 for each message in it.
    package var queueLimit = 64 * 1024
    /// SO_SNDBUF of each connection.
    package var sendBuffer = 64 * 1024
    /// Bytes of the ring's slots, which are there as long as somebody listens to it; 0 for no ring.
    package var ringSize = 128 * 1024
    /// Who may read the Trigger Database, beside root and of those who can open its socket.
    package var triggerReaders = [AccessRule(.anybody)]
    /// Who may write to it, beside root.
    package var triggerWriters: [AccessRule] = []
    /// Who may have interfaces set up and down, and vote on them, beside root. The rules' trigger types don't matter.
    package var connectivityManagers: [AccessRule] = []
    package var connectivity = Connectivity.Settings()
    /// Translations and connections of one subscriber that are under way at a time; a further one is answered ENOSPC.
    package var transactionsPerSubscriber = 1024
    /// How long a connection may take, nanoseconds.
    package var connectTimeout: UInt64 = 30_000_000_000
    package var resolver = Resolver.Settings()
    package var connector = Connector.Settings()
    package var socketMode: UInt32 = 0o666
    package var socketGroup: UInt32?

    package init() {}

    fileprivate var namesGroups: Bool {
      (triggerReaders + triggerWriters + connectivityManagers).contains {
        if case .group = $0.who { true } else { false }
      }
    }
  }

  /// Tokens of this type's in a poller have this bit.
  package static var tokenBit: UInt64 { 1 << 63 }
  private static var triggerListenerToken: UInt64 { tokenBit | 1 }
  private static var mifListenerToken: UInt64 { tokenBit | 2 }
  private static var retryToken: UInt64 { tokenBit | 3 }
  /// The resolver's and the connector's own tokens: those of connections, which count up, never come there.
  private static var resolverBit: UInt64 { 1 << 62 }
  private static var connectorBit: UInt64 { 1 << 61 }
  /// How long nobody is accepted after that failed, nanoseconds.
  private static var retryInterval: UInt64 { 100_000_000 }

  let settings: Settings
  private let triggerListener: Listener
  private let mifListener: Listener
  /// Runs while the listeners are not polled.
  private var retry: Timer
  /// By token; a token is never used again.
  private(set) var subscribers: [UInt64: Subscriber] = [:]
  var resolver: Resolver
  var connector: Connector
  var transactions = OpenTransactions()
  var connectivity: Connectivity
  /// What is to be done to the host, until `nextErrand` hands it out.
  var errands: [Errand] = []
  private var lastToken = tokenBit | 0xFF
  /// Connections of each user; no entry for none.
  private var connectionsOfUsers: [UInt32: Int] = [:]
  private var refusedProcesses = RefusedProcesses()
  /// Registered with the Trigger Database and told on their sockets, in the order of registration.
  var registered: [Subscriber] = []
  /// There as long as somebody has a seat at it.
  var ring: RingWriter?
  var ringSeatCount = 0
  /// Who is told on the ring.
  var ringSeats = RingSeats()
  /// Where the ring stood when its readers were woken last.
  var wokenBefore: UInt64 = 1
  /// On the MIF API's socket.
  private(set) var mif: [Subscriber] = []
  private var counts = [UInt64](repeating: 0, count: SubscriberCounter.allCases.count)
  private var refusals = [UInt64](repeating: 0, count: MessageRefusal.allCases.count)
  let scratch = Scratch()
  let batch = NotificationBatch()

  /// What the sockets are called in the runtime directory.
  package static var socketNames: [[UInt8]] { [Array("/trigger.sock".utf8), Array("/mif.sock".utf8)] }

  /// Opens both sockets in the runtime directory. What a dead instance left there is replaced.
  package init(directory: [UInt8], settings: Settings) throws(SystemFailure) {
    let trigger = try Listener(
      path: directory + Array("/trigger.sock".utf8), mode: settings.socketMode, group: settings.socketGroup)
    let mif = try Listener(
      path: directory + Array("/mif.sock".utf8), mode: settings.socketMode, group: settings.socketGroup)
    let timer = try Self.retryTimer()
    resolver = try Self.resolver(settings.resolver)
    retry = timer
    connector = Connector(tokenBase: Self.tokenBit | Self.connectorBit, settings: settings.connector)
    connectivity = Connectivity(settings.connectivity)
    self.settings = settings
    triggerListener = trigger
    mifListener = mif
  }

  private static func retryTimer() throws(SystemFailure) -> Timer {
    do throws(Errno) {
      return try Timer()
    } catch {
      throw SystemFailure("create a timer for the subscribers", [], error)
    }
  }

  private static func resolver(_ settings: Resolver.Settings) throws(SystemFailure) -> Resolver {
    do throws(Errno) {
      return try Resolver(tokenBase: tokenBit | resolverBit, settings: settings)
    } catch {
      throw SystemFailure("start c-ares for the subscribers", [], error)
    }
  }

  /// Has the poller watch both sockets.
  package func watch(_ poller: borrowing Poller) throws(Errno) {
    try poller.add(retry.descriptor.number, token: Self.retryToken, .read)
    try poller.add(triggerListener.descriptor.number, token: Self.triggerListenerToken, .read)
    try poller.add(mifListener.descriptor.number, token: Self.mifListenerToken, .read)
  }

  /// Removes the sockets from the file system; connections end with the process.
  package func removeSockets() {
    removeFile(triggerListener.path)
    removeFile(mifListener.path)
  }

  package func forEachCounter(_ body: (StaticString, UInt64) -> Void) {
    body("subscribers.connected", UInt64(subscribers.count))
    body("mif.under-way", UInt64(transactions.count))
    for counter in SubscriberCounter.allCases { body(counter.name, counts[counter.rawValue]) }
    for refusal in MessageRefusal.allCases { body(refusal.name, refusals[Int(refusal.rawValue)]) }
    resolver.forEachCounter(body)
    connector.forEachCounter(body)
  }

  func count(_ counter: SubscriberCounter, _ number: Int = 1) { counts[counter.rawValue] &+= UInt64(number) }
  func count(_ refusal: MessageRefusal) { refusals[Int(refusal.rawValue)] &+= 1 }

  // MARK: Events

  /// Serves one event of the poller's; after the last one comes `settle`. `statistics` hands over the counters of the
  /// other parts.
  package func handle(
    _ event: Poller.Event, _ state: inout NetworkState, at moment: Moment, _ poller: borrowing Poller,
    statistics: (_ body: (StaticString, UInt64) -> Void) -> Void
  ) {
    switch event.token {
    case Self.triggerListenerToken: accept(.trigger, poller)
    case Self.mifListenerToken: accept(.mif, poller)
    case Self.retryToken: if retry.acknowledge() { watchListeners(poller, .read) }
    case let token where token & Self.resolverBit != 0:
      resolver.handle(event, at: moment.instant.nanoseconds, poller)
      deliverTranslations()
    case let token where token & Self.connectorBit != 0:
      connector.handle(event, at: moment.instant.nanoseconds, poller)
      deliverConnections()
    default:
      guard let subscriber = subscribers[event.token], !subscriber.isClosed else { return }
      touch(subscriber)
      if subscriber.isOverrun { overrun(subscriber) }
      // Nobody reads any more what waits for a peer that has hung up. To try to send it finds that out, and lets what
      // the peer sent before be read.
      if event.isWritable || event.isHungUp || event.hasError {
        drain(subscriber)
        deliverWaiting(subscriber)
      }
      replay(subscriber, state)
      if event.isReadable || event.isHungUp || event.hasError {
        read(subscriber, &state, moment, poller, statistics: statistics)
      }
    }
  }

  /// Tells everybody what the state's announcements say, and empties them. `pid` is the process that caused them, 0
  /// for the agent itself.
  package func publish(_ state: inout NetworkState, pid: UInt32 = 0, at moment: Moment) {
    if state.announcements.isEmpty { return }
    for index in state.announcements.indices {
      let announcement = state.announcements[index]
      if case .trigger(let place) = announcement {
        tell(state.triggerNews.span[place], pid: pid)
        continue
      }
      let isNews = follow(announcement, at: moment.instant.nanoseconds)
      if isNews, !mif.isEmpty { tell(announcement, state, moment) }
    }
    state.clearAnnouncements()
  }

  /// When `advance` has something to do next, nanoseconds of CLOCK_BOOTTIME; nil for never.
  package var deadline: UInt64? {
    var next = connectivity.deadline
    if let resolver = resolver.deadline { next = min(next ?? .max, resolver) }
    if let connector = connector.deadline { next = min(next ?? .max, connector) }
    return next
  }

  /// Lets time pass for translations, connections and the interfaces that are on their way up or down.
  package func advance(at now: UInt64, _ state: borrowing NetworkState, _ poller: borrowing Poller) {
    connectivity.advance(to: now) { state.condition(of: $0) }
    carryOut(state)
    resolver.advance(at: now, poller)
    deliverTranslations()
    connector.advance(at: now, poller)
    deliverConnections()
  }

  /// Tells what is kept back to be told together; to be called after news, once for as many as come together.
  package func deliver() {
    deliverBatch()
    wakeReaders()
  }

  /// Brings the poller in step with what the connections wait for, and closes those that are done. Costs nothing for
  /// those that nothing was read from and whose sockets took what they were sent.
  package func settle(_ poller: borrowing Poller) {
    deliver()
    if touched.isEmpty { return }
    for subscriber in touched where subscriber.isOverrun { overrun(subscriber) }
    var areSomeClosed = false
    for subscriber in touched {
      subscriber.isTouched = false
      if !subscriber.isClosed { updateInterest(subscriber, poller) }
      if subscriber.isClosed, subscribers.removeValue(forKey: subscriber.token) != nil {
        count(.closed)
        forgetTransactions(of: subscriber)
        leaveRing(subscriber)
        if subscriber.service == .mif { connectivity.end(subscriber.token, at: Clock.bootTime()) }
        let left = (connectionsOfUsers[subscriber.peer.uid] ?? 1) - 1
        connectionsOfUsers[subscriber.peer.uid] = left > 0 ? left : nil
        areSomeClosed = true
      }
    }
    touched.removeAll(keepingCapacity: true)
    if areSomeClosed {
      registered.removeAll { $0.isClosed }
      mif.removeAll { $0.isClosed }
    }
  }

  private func updateInterest(_ subscriber: Subscriber, _ poller: borrowing Poller) {
    var interest: Poller.Interest = subscriber.queue.answers > 0 ? [] : .read
    if !subscriber.queue.isEmpty || subscriber.isReplaying { interest.insert(.write) }
    if interest == subscriber.interest { return }
    subscriber.interest = interest
    do throws(Errno) {
      try poller.modify(subscriber.connection.descriptor.number, token: subscriber.token, interest)
    } catch {
      subscriber.isClosed = true
    }
  }

  /// Connections that the next `settle` is to look at, each once.
  private var touched: [Subscriber] = []

  private func touch(_ subscriber: Subscriber) {
    if subscriber.isTouched { return }
    subscriber.isTouched = true
    touched.append(subscriber)
  }

  // MARK: Connections

  private func accept(_ service: Subscriber.Service, _ poller: borrowing Poller) {
    // In bites: ten thousand clients that come and go must not keep a packet waiting.
    for _ in 0..<16 {
      do throws(Errno) {
        let accepted = service == .trigger ? try triggerListener.accept() : try mifListener.accept()
        guard let connection = accepted else { return }
        // Some may have gone before this one came.
        if !hasRoom(for: connection.peer) { settle(poller) }
        guard hasRoom(for: connection.peer) else {
          turnAway(connection)
          continue
        }
        try connection.setSendBuffer(bytes: settings.sendBuffer)
        let peer = connection.peer
        let access = Access(peer, groups: settings.namesGroups ? try connection.peerGroups() : [], settings)
        lastToken += 1
        let number = connection.descriptor.number
        let subscriber = Subscriber(
          service, connection, access, token: lastToken, queueLimit: settings.queueLimit)
        try poller.add(number, token: lastToken, .read)
        subscribers[lastToken] = subscriber
        connectionsOfUsers[peer.uid, default: 0] += 1
        if service == .mif { mif.append(subscriber) }
        count(.accepted)
      } catch {
        // Out of descriptors or memory: whoever waits goes on waiting, and we don't spin on it.
        count(.acceptFailed)
        watchListeners(poller, [])
        _ = try? retry.arm(at: Clock.bootTime() + Self.retryInterval)
        return
      }
    }
  }

  private func hasRoom(for peer: PeerCredentials) -> Bool {
    subscribers.count < settings.limit
      && (peer.uid == 0 || (connectionsOfUsers[peer.uid] ?? 0) < settings.limitPerUser)
  }

  /// Says why in a message that answers nothing (msgtype 0, ENOSPC), and closes the connection. What has been asked
  /// is read first: unread, it would have the peer hear of a reset before it hears why.
  private func turnAway(_ connection: borrowing Connection) {
    count(.refusedFull)
    logOnce(connection.peer, "was not connected: there are as many subscribers as may be, in all or of one user")
    var memory = scratch.takeAnswer()
    defer { scratch.giveAnswer(memory) }
    var span = memory.mutableSpan
    var writer = MessageWriter(unsafe span.mutableBytes)
    do throws(MessageOverflow) {
      try writer.header(type: 0, error: .noSpace, sequence: 0, pid: 0)
    } catch { return }
    _ = connection.send(writer.message)
    var request = scratch.takeRequest()
    defer { scratch.giveRequest(request) }
    var unread = request.mutableSpan
    var buffer = unsafe unread.mutableBytes
    for _ in 0..<16 {
      guard case .message = connection.receive(into: &buffer) else { return }
    }
  }

  /// Counts a refusal, and logs the first one of each process.
  func refuse(_ subscriber: Subscriber) {
    count(.refused)
    switch subscriber.service {
    case .trigger: logOnce(subscriber.peer, "was refused a request to the trigger database (EPERM)")
    case .mif: logOnce(subscriber.peer, "was refused to manage connectivity (EPERM)")
    }
  }

  private func logOnce(_ peer: PeerCredentials, _ what: StaticString) {
    guard refusedProcesses.insert(peer) else { return }
    Log.warning("process \(peer.pid) of user \(peer.uid) \(what); whatever else it is refused is only counted")
  }

  private func watchListeners(_ poller: borrowing Poller, _ interest: Poller.Interest) {
    _ = try? poller.modify(triggerListener.descriptor.number, token: Self.triggerListenerToken, interest)
    _ = try? poller.modify(mifListener.descriptor.number, token: Self.mifListenerToken, interest)
  }

  // MARK: Reading

  private func read(
    _ subscriber: Subscriber, _ state: inout NetworkState, _ moment: Moment, _ poller: borrowing Poller,
    statistics: (_ body: (StaticString, UInt64) -> Void) -> Void
  ) {
    for _ in 0..<16 {
      // A client that doesn't read its answers is not read from until it does.
      if subscriber.isClosed || subscriber.queue.answers > 0 {
        if subscriber.queue.answers > 0 { count(.held) }
        return
      }
      var memory = scratch.takeRequest()
      defer { scratch.giveRequest(memory) }
      var span = memory.mutableSpan
      var buffer = unsafe span.mutableBytes
      switch subscriber.connection.receive(into: &buffer) {
      case .nothing: return
      case .closed: subscriber.isClosed = true
      case .failed(let error):
        // It went with something unread, which is said once; what it sent before comes after that.
        if error.isPeerGone { subscriber.deafen() } else { subscriber.isClosed = true }
      case .message(let length):
        // What is longer than a message may be was cut, and its length is one that no header can give.
        let bytes = buffer.bytes.extracting(first: length > buffer.byteCount ? buffer.byteCount - 1 : length)
        switch subscriber.service {
        case .trigger: serveTrigger(bytes, from: subscriber, &state, moment)
        case .mif: serveMIF(bytes, from: subscriber, state, moment, poller, statistics: statistics)
        }
        publish(&state, pid: subscriber.verifiedPid, at: moment)
      }
    }
  }

  // MARK: Sending

  /// Sends a message, or queues it behind those that wait.
  func send(
    _ message: RawSpan, to subscriber: Subscriber, isNews: Bool, passing passed: Handover? = nil
  ) {
    deliverBatch(to: subscriber)
    guard subscriber.hears else { return }
    count(isNews ? .news : .answers)
    if subscriber.queue.isEmpty, transmit(message, to: subscriber, passing: passed) || !subscriber.hears { return }
    touch(subscriber)
    let dropped = subscriber.queue.append(message, isNews: isNews, passing: passed)
    if dropped == 0 { return }
    for _ in 0..<dropped { count(.newsDropped) }
    if subscriber.service == .mif { subscriber.isOverrun = true }
  }

  private func drain(_ subscriber: Subscriber) {
    while let (message, passed) = subscriber.queue.front(),
      transmit(unsafe message.span.bytes, to: subscriber, passing: passed)
    {
      subscriber.queue.removeFront()
    }
  }

  /// False if the socket takes nothing now, or never again.
  private func transmit(
    _ message: RawSpan, to subscriber: Subscriber, passing passed: Handover?
  ) -> Bool {
    var sent =
      if let passed {
        subscriber.connection.send(message, passing: passed.socket.descriptor)
      } else {
        subscriber.connection.send(message)
      }
    if case .failed(let error) = sent, error.rawValue == ETOOMANYREFS, let passed {
      // The kernel keeps as many descriptors for us as it may that nobody has taken yet.
      count(.socketsNotPassed)
      let refusal = passed.refusal
      sent = subscriber.connection.send(unsafe refusal.span.bytes)
    }
    switch sent {
    case .sent: return true
    case .wouldBlock: return false
    case .failed(let error) where error.isPeerGone: subscriber.deafen()
    case .tooLong, .failed: subscriber.isClosed = true
    }
    touch(subscriber)
    return false
  }

  /// Answers with an error.
  func fail(_ subscriber: Subscriber, _ request: FrameHeader, _ error: ErrorNumber) {
    write(to: subscriber, isNews: false) { writer throws(MessageOverflow) in
      try writer.errorAnswer(to: request, error)
    }
  }

  /// Writes one answer to a request and sends it. One that would be longer than a message may be is refused with
  /// EMSGSIZE: nothing half is ever sent, and no request stays without an answer.
  func answer(
    _ request: FrameHeader, to subscriber: Subscriber, _ body: (inout MessageWriter) throws(MessageOverflow) -> Void
  ) {
    if !write(to: subscriber, isNews: false, body) { fail(subscriber, request, .messageSize) }
  }

  /// Writes one message and sends it.
  ///
  /// - Returns: false if it did not fit; only CONFIG_DATA can be that long.
  @discardableResult
  func write(
    to subscriber: Subscriber, isNews: Bool, passing passed: Handover? = nil,
    _ body: (inout MessageWriter) throws(MessageOverflow) -> Void
  ) -> Bool {
    var memory = scratch.takeAnswer()
    defer { scratch.giveAnswer(memory) }
    var span = memory.mutableSpan
    var writer = MessageWriter(unsafe span.mutableBytes)
    do throws(MessageOverflow) {
      try body(&writer)
    } catch {
      return false
    }
    send(writer.message, to: subscriber, isNews: isNews, passing: passed)
    return true
  }
}

extension Errno {
  /// The other end was closed, or will read nothing any more.
  fileprivate var isPeerGone: Bool { rawValue == EPIPE || rawValue == ECONNRESET }
}

/// Memory that messages are read into and written in, one of each at a time. It is moved out while it is in use: a
/// message within a message would find none, and not be sent.
final class Scratch {
  // Each as long as a message may be; the longest answer is CONFIG_DATA with every item of an element.
  private var request = [UInt8].zeros(FrameHeader.maximumMessageLength)
  private var answer = [UInt8].zeros(FrameHeader.maximumMessageLength)

  func takeRequest() -> [UInt8] {
    var taken: [UInt8] = []
    swap(&taken, &request)
    return taken
  }
  func giveRequest(_ memory: consuming [UInt8]) { request = memory }

  func takeAnswer() -> [UInt8] {
    var taken: [UInt8] = []
    swap(&taken, &answer)
    return taken
  }
  func giveAnswer(_ memory: consuming [UInt8]) { answer = memory }
}
