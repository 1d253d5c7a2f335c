import CAres
import CLinux
import Platform
import Wire

/// One c-ares channel: questions to one server over one transport.
///
/// c-ares carries them, knows an answer from a forgery and takes messages apart. What it would do beyond that is done
/// by `Resolver`, because version 1.18 has its limits there: it always begins with the first server, dead or not; an
/// error of one TCP connection moves every UDP question of that server on; SERVFAIL from every server ends as
/// "connection refused"; a single question can't be cancelled. So a channel has one server, tries once, passes every
/// response code on, and one for UDP leaves truncated answers to another one for TCP.
///
/// A callback of c-ares never calls c-ares: it notes what happened, and `Resolver` looks at it when the call that led
/// to it has returned.
@safe final class Lane {
  /// A socket that c-ares has opened.
  struct Socket {
    var number: Int32
    /// What it is registered with in the poller, and for what; no token: not yet.
    var token: UInt32?
    var registered: Poller.Interest = []
    var wanted: Poller.Interest = []
  }

  let endpoint: Endpoint
  let port: UInt16
  private let payloadSize: UInt16
  private let mostAddresses: Int
  /// Nanoseconds.
  private let patience: UInt64
  private var channel: ares_channel?
  private let functions: UnsafeMutablePointer<ares_socket_functions>
  private var isClosed = false

  var sockets: [Socket] = []
  /// Tokens of sockets that are closed.
  var closedTokens: [UInt32] = []
  /// Attempts that have ended and that nobody has looked at.
  var finished: [Attempt] = []
  /// What c-ares has under way, and how much of it somebody still waits for.
  private(set) var inFlight = 0
  private(set) var wanted = 0
  /// The server does EDNS, as far as we know.
  var usesEDNS = true
  /// When the server last said anything.
  var lastHeard: UInt64 = 0
  /// Until then others are asked first.
  var suspectUntil: UInt64 = 0
  /// Since when nothing is under way, if nothing is.
  var idleSince: UInt64
  /// When c-ares is to look at its time-outs.
  private(set) var nextTimeout: UInt64 = .max

  /// An error that a send brought up, of an earlier datagram, or one of the poller: the next read tells c-ares, so that
  /// everything under way here ends at once.
  var error: Int32 = 0
  /// The last error of a system call: c-ares says only that there was one.
  var lastError: Int32 = 0
  /// A datagram that the next read takes for one of the server's.
  var forgery: [UInt8] = []
  /// How many datagrams may be read before others have a turn.
  var budget = 0
  /// The server has answered something since the last socket was opened.
  var hasAnswered = false
  /// Datagrams that the socket had no room for: as if lost on the way.
  var unsent: UInt64 = 0
  private let burst: Int
  private let pause: UInt64
  /// Questions that wait for others to be answered, from `firstWaiting` on.
  private var waiting: [Attempt] = []
  private var firstWaiting = 0
  /// How many may be under way before others wait, and when more may in any case.
  private var limit: Int
  private(set) var nextBurst: UInt64 = .max
  /// `Resolver` is to look at it.
  var isTouched = false

  private static let bite = 64

  /// ENOMEM if c-ares has no memory.
  init(_ endpoint: Endpoint, _ settings: Resolver.Settings, at now: UInt64) throws(Errno) {
    self.endpoint = endpoint
    port = settings.port
    mostAddresses = max(settings.addresses, 1)
    payloadSize = settings.payloadSize
    patience = UInt64(settings.patience) * 1_000_000
    idleSince = now
    burst = max(settings.burst, 1)
    pause = UInt64(settings.pause) * 1_000_000
    limit = burst
    unsafe functions = .allocate(capacity: 1)
    unsafe functions.initialize(to: LaneSockets.functions)
    unsafe channel = nil
    let status = open(settings)
    guard status == ARES_SUCCESS, unsafe channel != nil, setServer() else {
      throw Errno(rawValue: ENOMEM)
    }
  }

  /// Everything under way ends without a word, and every socket is closed. To be called before the last reference
  /// goes: an attempt under way holds one.
  func close() {
    guard let channel = unsafe channel else { return }
    unsafe self.channel = nil
    isClosed = true
    unsafe ares_destroy(channel)
    finished = []
    waiting = []
  }

  deinit {
    close()
    unsafe functions.deallocate()
  }

  private func open(_ settings: Resolver.Settings) -> Int32 {
    var options = unsafe ares_options()
    // Every option is given: what is not, c-ares looks for in resolv.conf, nsswitch.conf and the environment.
    unsafe options.flags =
      ARES_FLAG_EDNS | ARES_FLAG_NOCHECKRESP | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES
      | (endpoint.isStream ? ARES_FLAG_USEVC : ARES_FLAG_IGNTC)
    unsafe options.timeout = Int32(clamping: settings.patience)
    unsafe options.tries = 1
    unsafe options.ndots = 1
    unsafe options.ednspsz = Int32(settings.payloadSize)
    unsafe options.sock_state_cb_data = Unmanaged.passUnretained(self).toOpaque()
    unsafe options.sock_state_cb = { data, socket, readable, writable in
      unsafe Lane.at(data)?.want(socket, readable: readable != 0, writable: writable != 0)
    }
    let mask =
      ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS | ARES_OPT_SERVERS | ARES_OPT_DOMAINS
      | ARES_OPT_LOOKUPS | ARES_OPT_SORTLIST | ARES_OPT_NOROTATE | ARES_OPT_EDNSPSZ | ARES_OPT_SOCK_STATE_CB
    // "b": the DNS, and no file.
    var lookups: [CChar] = [0x62, 0]
    return unsafe lookups.withUnsafeMutableBufferPointer { lookups in
      unsafe options.lookups = lookups.baseAddress
      let status = unsafe ares_init_options(&channel, &options, mask)
      if status == ARES_SUCCESS {
        unsafe ares_set_socket_functions(channel, functions, options.sock_state_cb_data)
      }
      return status
    }
  }

  private func setServer() -> Bool {
    var node = unsafe ares_addr_port_node()
    unsafe node.udp_port = Int32(port)
    unsafe node.tcp_port = Int32(port)
    switch endpoint.server {
    case .v4(let address):
      unsafe node.family = AF_INET
      unsafe node.addr.addr4.s_addr = address.value.bigEndian
    case .v6(let address):
      unsafe node.family = AF_INET6
      unsafe withUnsafeMutableBytes(of: &node.addr.addr6) {
        unsafe $0.storeBytes(of: address.high.bigEndian, as: UInt64.self)
        unsafe $0.storeBytes(of: address.low.bigEndian, toByteOffset: 8, as: UInt64.self)
      }
    }
    return unsafe ares_set_servers_ports(channel, &node) == ARES_SUCCESS
  }

  static func at(_ data: UnsafeMutableRawPointer?) -> Lane? {
    guard let data = unsafe data else { return nil }
    return unsafe Unmanaged<Lane>.fromOpaque(data).takeUnretainedValue()
  }
}

// MARK: Questions

extension Lane {
  /// Sends a question, or keeps it until fewer are under way. It may have ended, in `finished`, when this returns.
  func send(_ attempt: Attempt, at now: UInt64) {
    if !endpoint.isStream, wanted >= limit { waiting.append(attempt) } else { transmit(attempt, at: now) }
    if isWaiting, nextBurst == .max { nextBurst = now + pause }
  }

  /// Whether questions wait for others to be answered.
  var isWaiting: Bool { firstWaiting < waiting.count }

  /// Sends what there is room for now: the server has answered some, or has had the time to read them.
  func sendWaiting(at now: UInt64) {
    if wanted < burst { limit = burst }
    if now >= nextBurst {
      limit = wanted + burst
      nextBurst = .max
    }
    while isWaiting, wanted < limit {
      let attempt = waiting[firstWaiting]
      firstWaiting += 1
      if !attempt.isWithdrawn { transmit(attempt, at: now) }
    }
    if isWaiting {
      if nextBurst == .max { nextBurst = now + pause }
      return
    }
    nextBurst = .max
    if firstWaiting > 0 {
      waiting.removeAll(keepingCapacity: firstWaiting <= burst)
      firstWaiting = 0
    }
  }

  private func transmit(_ attempt: Attempt, at now: UInt64) {
    guard let channel = unsafe channel else { return }
    attempt.isSent = true
    if inFlight == 0 { nextTimeout = now + patience }
    inFlight += 1
    wanted += 1
    lastError = 0
    let query = Query.bytes(
      id: attempt.id, attempt.labels, attempt.family, payloadSize: attempt.hasOPT ? payloadSize : nil)
    let argument = unsafe Unmanaged.passRetained(attempt).toOpaque()
    unsafe query.withUnsafeBufferPointer { query in
      unsafe ares_send(
        channel, query.baseAddress, Int32(query.count),
        { argument, status, _, bytes, count in
          guard let argument = unsafe argument else { return }
          let attempt = unsafe Unmanaged<Attempt>.fromOpaque(argument).takeRetainedValue()
          unsafe attempt.lane.end(attempt, status, bytes, count)
        }, argument)
    }
  }

  private func end(_ attempt: Attempt, _ status: Int32, _ bytes: UnsafeMutablePointer<UInt8>?, _ count: Int32) {
    inFlight -= 1
    if status == ARES_SUCCESS { hasAnswered = true }
    if attempt.isWithdrawn { return }
    wanted -= 1
    if isClosed { return }
    switch status {
    case ARES_SUCCESS:
      guard let bytes = unsafe bytes else { return }
      attempt.outcome = unsafe Outcome(bytes, count, attempt.family, atMost: mostAddresses)
    case ARES_ETIMEOUT: attempt.outcome = .timedOut
    case ARES_ENOMEM: attempt.outcome = .unreachable(ENOMEM)
    default:
      attempt.outcome = .unreachable(lastError == 0 ? ECONNREFUSED : lastError)
      attempt.isLeftOver = endpoint.isStream && hasAnswered
    }
    finished.append(attempt)
  }

  /// Nobody waits for this attempt any more. c-ares can't cancel one question of many: it is given a denial in the
  /// server's name, as the answer that ends it. Over TCP an attempt that is not the last one runs on, unheard, until
  /// it is answered or times out.
  func withdraw(_ attempt: Attempt) {
    if attempt.isWithdrawn { return }
    attempt.isWithdrawn = true
    if attempt.outcome != nil || !attempt.isSent { return }
    wanted -= 1
    lastError = 0
    if wanted == 0 {
      unsafe ares_cancel(channel)
    } else if !endpoint.isStream, let socket = sockets.first {
      forgery = Query.denial(id: attempt.id, attempt.labels, attempt.family)
      budget = 0
      unsafe ares_process_fd(channel, socket.number, -1)
      forgery = []
    }
  }

  /// A socket is ready.
  func process(_ socket: Int32, readable: Bool, writable: Bool) {
    budget = Lane.bite
    lastError = 0
    unsafe ares_process_fd(channel, readable ? socket : -1, writable ? socket : -1)
  }

  /// Tells c-ares of an error that it has not seen: everything under way ends.
  func raise() {
    if let socket = sockets.first { process(socket.number, readable: true, writable: false) }
    error = 0
  }

  /// Lets c-ares end what nobody ended before: attempts over TCP that run on unheard.
  func processTimeouts(at now: UInt64) {
    unsafe ares_process_fd(channel, -1, -1)
    var left = timeval()
    if unsafe ares_timeout(channel, nil, &left) == nil {
      nextTimeout = .max
    } else {
      // c-ares rounds down to a millisecond.
      nextTimeout = now + UInt64(left.tv_sec) * 1_000_000_000 + UInt64(left.tv_usec) * 1000 + 1_000_000
    }
  }
}
