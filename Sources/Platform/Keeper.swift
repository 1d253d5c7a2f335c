import CLinux

/// A small process that stays privileged beside the engine, which gives its privileges up: it carries out a handful of
/// fixed requests by number and nothing else, so that the engine holds no path and no right. It ends with the engine,
/// however that ends.
///
/// What the engine waits for is asked over one channel and answered at once. Errands, which may take their time, go
/// over another one, on which their ends are reported.
package final class Keeper {
  package enum Request: UInt8, Sendable {
    /// Open a capture socket for the interface with this index.
    case openClientTap = 1
    /// Remove the subscribers' sockets from the file system.
    case removeSockets = 2
    /// Look for the ESP state with this SPI and destination: ENOENT where there is none, ESRCH where there is none of
    /// any kind.
    case findSecurityAssociation = 3
  }

  /// What a request is about: an interface's index or an SPI, and an address, an IPv4 one mapped (RFC 4291, 2.5.5.2).
  package struct Argument: BitwiseCopyable, Sendable {
    package var number: UInt32
    package var high: UInt64
    package var low: UInt64
    package init(number: UInt32 = 0, high: UInt64 = 0, low: UInt64 = 0) {
      self.number = number
      self.high = high
      self.low = low
    }
  }

  /// What a request is answered: an error, or success with or without a descriptor. Never longer, never shorter.
  private struct Answer: BitwiseCopyable {
    var errno: Int32 = 0
    var reserved: Int32 = 0
  }
  private struct Question: BitwiseCopyable {
    var request: UInt32
    var argument: Argument
  }
  /// An errand on its way there, and with an outcome on its way back.
  private struct Word: BitwiseCopyable {
    var kind: UInt16
    var outcome: UInt16
    var interface: UInt32
  }

  private let channel: Descriptor
  private let errands: Descriptor

  /// socketpair(2), fork(2). To be called before anything else is open: the keeper inherits what is. It serves
  /// requests with `serve` and errands with `hooks`, and when the engine's end of the channel closes it ends what
  /// still runs, calls `finish` and exits.
  package init(
    hooks: Hooks, serve: (Request, Argument) throws(SystemFailure) -> Descriptor?, finish: () -> Void
  ) throws(SystemFailure) {
    let questions = try Keeper.channel()
    let words = try Keeper.channel()
    let engine = Descriptor(taking: questions.engine)
    let keeper = Descriptor(taking: questions.keeper)
    let engineWords = Descriptor(taking: words.engine)
    let keeperWords = Descriptor(taking: words.keeper)
    let child = try valueOrFailure("fork the keeper") { clinux_fork() }
    channel = engine
    errands = engineWords
    if child != 0 { return }
    // Its copies of the engine's ends would keep the channels open for ever.
    _ = close(questions.engine)
    _ = close(words.engine)
    // What a terminal sends goes to both; the keeper ends when the engine has.
    _ = clinux_ignore_signal(SIGINT)
    _ = clinux_ignore_signal(SIGTERM)
    _ = clinux_ignore_signal(SIGHUP)
    Keeper.run(keeper, keeperWords, hooks, serve)
    finish()
    Process.exit(0)
  }

  private static func channel() throws(SystemFailure) -> (engine: Int32, keeper: Int32) {
    var ends: (Int32, Int32) = (-1, -1)
    _ = try valueOrFailure("make a channel to the keeper") {
      unsafe withUnsafeMutablePointer(to: &ends) {
        unsafe $0.withMemoryRebound(to: Int32.self, capacity: 2) {
          unsafe socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue), 0, $0)
        }
      }
    }
    return (ends.0, ends.1)
  }

  // MARK: The keeper's side

  private static func run(
    _ channel: borrowing Descriptor, _ words: borrowing Descriptor, _ hooks: Hooks,
    _ serve: (Request, Argument) throws(SystemFailure) -> Descriptor?
  ) {
    guard let ended = childSignals() else { return }
    var errands = Errands(hooks)
    Process.releaseStart()
    while true {
      var sources = (
        pollfd(fd: channel.number, events: Int16(POLLIN), revents: 0),
        pollfd(fd: words.number, events: Int16(POLLIN), revents: 0),
        pollfd(fd: ended.number, events: Int16(POLLIN), revents: 0)
      )
      let timeout = milliseconds(until: errands.deadline)
      let count = unsafe withUnsafeMutablePointer(to: &sources) {
        unsafe $0.withMemoryRebound(to: pollfd.self, capacity: 3) { unsafe poll($0, 3, timeout) }
      }
      if count < 0 && Errno.current != .interrupted { break }
      if count > 0 {
        if sources.0.revents != 0, !answerQuestion(channel, serve) { break }
        if sources.1.revents != 0, !takeErrand(words, &errands) { break }
        if sources.2.revents != 0 {
          discard(ended)
          errands.reap(at: Clock.bootTime())
        }
      }
      if let deadline = errands.deadline, deadline <= Clock.bootTime() { errands.advance(to: Clock.bootTime()) }
      for (errand, outcome) in errands.takeReports() {
        var word = Word(
          kind: UInt16(errand.kind.rawValue), outcome: UInt16(outcome.rawValue), interface: errand.interface)
        // An engine that does not listen loses a count, and no more.
        _ = unsafe send(
          words.number, &word, MemoryLayout<Word>.size, Int32(MSG_DONTWAIT | MSG_NOSIGNAL))
      }
    }
    errands.end()
  }

  /// The end of child processes as something to read.
  private static func childSignals() -> Descriptor? {
    // Ignored, as whoever started us may have had it, children would vanish without their status.
    _ = clinux_default_signal(SIGCHLD)
    var set = sigset_t()
    unsafe sigemptyset(&set)
    unsafe sigaddset(&set, SIGCHLD)
    _ = unsafe sigprocmask(SIG_BLOCK, &set, nil)
    let number = unsafe signalfd(-1, &set, Int32(SFD_NONBLOCK | SFD_CLOEXEC))
    return number < 0 ? nil : Descriptor(taking: number)
  }

  private static func discard(_ signals: borrowing Descriptor) {
    var information = signalfd_siginfo()
    for _ in 0..<64 where unsafe read(signals.number, &information, MemoryLayout<signalfd_siginfo>.size) <= 0 { return }
  }

  private static func milliseconds(until deadline: UInt64?) -> Int32 {
    guard let deadline else { return -1 }
    let now = Clock.bootTime()
    return deadline <= now ? 0 : Int32(clamping: (deadline - now) / 1_000_000 + 1)
  }

  /// False once the engine is gone.
  private static func answerQuestion(
    _ channel: borrowing Descriptor, _ serve: (Request, Argument) throws(SystemFailure) -> Descriptor?
  ) -> Bool {
    var question = Question(request: 0, argument: Argument())
    let size = MemoryLayout<Question>.size
    var passed: Int32 = -1
    let received = unsafe clinux_receive_descriptor(channel.number, &question, size, &passed, 0)
    if received < 0 && Errno.current == .interrupted { return true }
    if received != size { return false }
    guard let request = Request(rawValue: UInt8(truncatingIfNeeded: question.request)) else {
      answer(channel, errno: EINVAL)
      return true
    }
    do throws(SystemFailure) {
      if let opened = try serve(request, question.argument) {
        answer(channel, passing: opened.number)
      } else {
        answer(channel)
      }
    } catch {
      answer(channel, errno: error.errno.rawValue)
    }
    return true
  }

  private static func takeErrand(_ words: borrowing Descriptor, _ errands: inout Errands) -> Bool {
    var word = Word(kind: 0, outcome: 0, interface: 0)
    let size = MemoryLayout<Word>.size
    var passed: Int32 = -1
    let received = unsafe clinux_receive_descriptor(words.number, &word, size, &passed, Int32(MSG_DONTWAIT))
    let socket = Descriptor(taking: passed)
    if received < 0 { return Errno.current == .interrupted || Errno.current == .wouldBlock }
    if received != size { return false }
    if let kind = Errand.Kind(rawValue: UInt8(truncatingIfNeeded: word.kind)) {
      errands.take(Errand(kind, word.interface), PassedDescriptor(socket), at: Clock.bootTime())
    }
    return true
  }

  private static func answer(_ channel: borrowing Descriptor, errno: Int32 = 0, passing number: Int32 = -1) {
    var answer = Answer(errno: errno)
    _ = unsafe clinux_send_descriptor(channel.number, &answer, MemoryLayout<Answer>.size, number, 0)
  }

  // MARK: The engine's side

  /// Asks, and waits for the answer.
  package func ask(_ request: Request, _ argument: Argument = Argument()) throws(SystemFailure) -> Descriptor? {
    let action: StaticString = "ask the keeper"
    var question = Question(request: UInt32(request.rawValue), argument: argument)
    _ = try valueOrFailure(action) {
      unsafe clinux_send_descriptor(channel.number, &question, MemoryLayout<Question>.size, -1, 0)
    }
    var answer = Answer()
    var passed: Int32 = -1
    let received = try valueOrFailure(action) {
      unsafe clinux_receive_descriptor(channel.number, &answer, MemoryLayout<Answer>.size, &passed, 0)
    }
    if received != MemoryLayout<Answer>.size { throw SystemFailure(action, [], .protocolError) }
    if answer.errno != 0 { throw SystemFailure(action, [], Errno(rawValue: answer.errno)) }
    return passed < 0 ? nil : Descriptor(taking: passed)
  }

  /// Readable where `nextReport` has one, or the keeper is gone.
  package var reports: Int32 { errands.number }

  /// Hands an errand over without waiting. False if the keeper has its hands full, or is gone.
  package func run(_ errand: Errand) -> Bool { run(errand, passing: -1) }

  /// Has the fetcher started for an interface: it gets one end of a socket pair, where `question` waits for it, and
  /// answers there with one datagram. nil where that can't be.
  package func fetchInformation(for interface: UInt32, _ question: [UInt8]) -> Descriptor? {
    guard let ends = try? Keeper.channel() else { return nil }
    let own = Descriptor(taking: ends.engine)
    let its = Descriptor(taking: ends.keeper)
    let sent = unsafe question.withUnsafeBytes {
      unsafe send(own.number, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL))
    }
    if sent != question.count || !run(Errand(.fetchInformation, interface), passing: its.number) {
      return nil
    }
    return own
  }

  private func run(_ errand: Errand, passing number: Int32) -> Bool {
    var word = Word(kind: UInt16(errand.kind.rawValue), outcome: 0, interface: errand.interface)
    let size = MemoryLayout<Word>.size
    return unsafe clinux_send_descriptor(errands.number, &word, size, number, Int32(MSG_DONTWAIT)) == size
  }

  /// The next errand that has ended; nil if there is none. Never waits.
  package func nextReport() -> (errand: Errand, outcome: Errand.Outcome)? {
    var word = Word(kind: 0, outcome: 0, interface: 0)
    let size = MemoryLayout<Word>.size
    guard unsafe recv(errands.number, &word, size, Int32(MSG_DONTWAIT)) == size,
      let kind = Errand.Kind(rawValue: UInt8(truncatingIfNeeded: word.kind)),
      let outcome = Errand.Outcome(rawValue: UInt8(truncatingIfNeeded: word.outcome))
    else { return nil }
    return (Errand(kind, word.interface), outcome)
  }
}
