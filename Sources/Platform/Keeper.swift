import CLinux

/// A small process that stays privileged beside the engine, which gives its privileges up: it carries out a handful of
/// fixed requests by number and nothing else, so that the engine holds no path and no right. It ends with the engine,
/// however that ends.
package struct Keeper: ~Copyable {
  package enum Request: UInt8, Sendable {
    /// Open a capture socket for the interface with this index.
    case openClientTap = 1
    /// Remove the subscribers' sockets from the file system.
    case removeSockets = 2
  }

  /// What a request is answered: an error, or success with or without a descriptor. Never longer, never shorter.
  private struct Answer: BitwiseCopyable {
    var errno: Int32 = 0
    var reserved: Int32 = 0
  }
  private struct Question: BitwiseCopyable {
    var request: UInt32
    var argument: UInt32
  }

  private let channel: Descriptor

  /// socketpair(2), fork(2). To be called before anything else is open: the keeper inherits what is. It serves
  /// requests with `serve`, and when the engine's end of the channel closes it calls `finish` and exits.
  package init(
    serve: (Request, UInt32) throws(SystemFailure) -> Descriptor?, finish: () -> Void
  ) throws(SystemFailure) {
    var ends: (Int32, Int32) = (-1, -1)
    _ = try valueOrFailure("make a channel to the keeper") {
      unsafe withUnsafeMutablePointer(to: &ends) {
        unsafe $0.withMemoryRebound(to: Int32.self, capacity: 2) {
          unsafe socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue), 0, $0)
        }
      }
    }
    let engine = Descriptor(taking: ends.0)
    let keeper = Descriptor(taking: ends.1)
    let child = try valueOrFailure("fork the keeper") { clinux_fork() }
    if child != 0 {
      channel = engine
      return
    }
    // What a terminal sends goes to both; the keeper ends when the engine has.
    _ = clinux_ignore_signal(SIGINT)
    _ = clinux_ignore_signal(SIGTERM)
    _ = clinux_ignore_signal(SIGHUP)
    Keeper.run(engine, keeper, serve)
    finish()
    Process.exit(0)
  }

  private static func run(
    _ engine: consuming Descriptor, _ channel: borrowing Descriptor,
    _ serve: (Request, UInt32) throws(SystemFailure) -> Descriptor?
  ) {
    // Its copy of the engine's end would keep the channel open for ever.
    close(engine)
    while true {
      var question = Question(request: 0, argument: 0)
      let size = MemoryLayout<Question>.size
      var passed: Int32 = -1
      let received = unsafe clinux_receive_descriptor(channel.number, &question, size, &passed)
      if received < 0 && Errno.current == .interrupted { continue }
      if received != size { return }
      guard let request = Request(rawValue: UInt8(truncatingIfNeeded: question.request)) else {
        answer(channel, errno: EINVAL)
        continue
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
    }
  }

  private static func answer(_ channel: borrowing Descriptor, errno: Int32 = 0, passing number: Int32 = -1) {
    var answer = Answer(errno: errno)
    _ = unsafe clinux_send_descriptor(channel.number, &answer, MemoryLayout<Answer>.size, number)
  }

  private static func close(_ descriptor: consuming Descriptor) {}

  /// Asks, and waits for the answer.
  package func ask(_ request: Request, _ argument: UInt32 = 0) throws(SystemFailure) -> Descriptor? {
    let action: StaticString = "ask the keeper"
    var question = Question(request: UInt32(request.rawValue), argument: argument)
    _ = try valueOrFailure(action) {
      unsafe clinux_send_descriptor(channel.number, &question, MemoryLayout<Question>.size, -1)
    }
    var answer = Answer()
    var passed: Int32 = -1
    let received = try valueOrFailure(action) {
      unsafe clinux_receive_descriptor(channel.number, &answer, MemoryLayout<Answer>.size, &passed)
    }
    if received != MemoryLayout<Answer>.size { throw SystemFailure(action, [], .protocolError) }
    if answer.errno != 0 { throw SystemFailure(action, [], Errno(rawValue: answer.errno)) }
    return passed < 0 ? nil : Descriptor(taking: passed)
  }
}
