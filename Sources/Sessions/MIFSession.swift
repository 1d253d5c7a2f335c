package import Messages
package import Platform

/// Why a session of the MIF API can't do what it was asked.
package enum MIFFailure: Error, Hashable, Sendable {
  /// The agent ended or closed the connection: ECONNRESET, or why it did (ENOSPC: a quota of connections), or EPROTO
  /// where it said what nobody understands. The session is of no use any more: every call says so from now on.
  case disconnected(ErrorNumber)
  /// The socket takes nothing now: read what has come, and try again when it is writable.
  case wouldBlock
  /// A name past 255 bytes.
  case nameTooLong
  case system(Errno)
}

/// One connection to the agent's MIF API, as draft-ietf-mif-api-extension-05, section 3.2.6, has it: requests are posted,
/// messages are taken, and nothing waits or happens behind the caller's back. After OVERRUN, or when the agent is gone,
/// it is the caller who asks again.
///
/// One thread at a time.
package struct MIFSession: ~Copyable {
  /// Messages that lead to nothing, looked at in one call of `next`.
  private static var bite: Int { 64 }

  private let connection: Connection
  private var sequence: UInt32 = 0
  /// What the agent said before it closed the connection.
  private var farewell = ErrorNumber.connectionReset
  private var hasEnded = false
  /// What came beside the message that `next` gave last.
  private var passed: Descriptor?
  private var received = [UInt8](repeating: 0, count: FrameHeader.maximumMessageLength)
  private var outgoing = [UInt8](repeating: 0, count: 1024)

  /// Connects to `path`, the agent's `mif.sock`.
  package init(path: [UInt8]) throws(SystemFailure) {
    connection = try Connection(to: path)
  }

  /// For the caller's own poll(2), the same as long as the session lives: readable when there is a message or the
  /// connection has ended, writable when `post` has room again.
  package var descriptor: Int32 { connection.descriptor.number }
  package var isConnected: Bool { !hasEnded }

  /// POST MESSAGE (3.2.6.1): sends a request and returns. Its answers carry the seq that this gives, and this
  /// process' pid.
  package mutating func post(_ request: MIFRequest) throws(MIFFailure) -> UInt32 {
    if case .translateName(_, _, let name) = request, name.bytes.count > NodeName.maximumLength { throw .nameTooLong }
    guard !hasEnded else { throw .disconnected(farewell) }
    let next = sequence &+ 1
    var memory: [UInt8] = []
    swap(&memory, &outgoing)
    defer { swap(&memory, &outgoing) }
    var span = memory.mutableSpan
    var writer = MessageWriter(unsafe span.mutableBytes)
    do throws(MessageOverflow) {
      try writer.request(request, sequence: next, pid: ownProcess)
    } catch {
      throw .nameTooLong
    }
    switch connection.send(writer.message) {
    case .sent:
      sequence = next
      return next
    case .wouldBlock: throw .wouldBlock
    case .tooLong: throw .system(.messageTooLong)
    // Its last words are still to be read, and then the end.
    case .failed(let error): throw error.isPeerGone ? .disconnected(farewell) : .system(error)
    }
  }

  /// GET MESSAGE (3.2.6.3): what has come, one after another; nil where there is nothing now. Never waits. A socket that
  /// came beside the message before this one is closed, if `takeSocket` has not taken it.
  package mutating func next() throws(MIFFailure) -> MIFMessage? {
    for _ in 0..<MIFSession.bite {
      passed = nil
      guard let bytes = try receive() else { return nil }
      let message: MIFMessage
      do throws(MessageRefusal) {
        message = try MIFMessage(bytes.raw)
      } catch {
        throw end(.protocolError)
      }
      // Type 0 says why the agent will not have us.
      guard message.header.type == 0 else { return message }
      if message.header.error != .none { farewell = message.header.error }
    }
    return nil
  }

  package var hasSocket: Bool { passed != nil }

  /// The socket that came beside the message that `next` gave last, as CONNECTED has one.
  package mutating func takeSocket() -> Descriptor? { passed.take() }

  /// Whether a message is an answer to a request of this process, and not news whose seq is the same by chance.
  package func isAnswer(_ message: MIFMessage, to sequence: UInt32) -> Bool {
    message.header.sequence == sequence && message.header.pid == ownProcess
  }

  /// Waits until there is something to be read (or, for `.write`, room to post): false if not in `milliseconds`, or
  /// where a signal came; -1 waits for ever.
  package func wait(for interest: Poller.Interest = .read, milliseconds: Int32) throws(Errno) -> Bool {
    try connection.descriptor.wait(for: interest, milliseconds: milliseconds)
  }

  /// One datagram, nil where there is none.
  private mutating func receive() throws(MIFFailure) -> [UInt8]? {
    guard !hasEnded else { throw .disconnected(farewell) }
    var memory: [UInt8] = []
    swap(&memory, &received)
    defer { swap(&memory, &received) }
    var span = memory.mutableSpan
    var buffer = unsafe span.mutableBytes
    // After ECONNRESET, which is said once, comes what was sent before it.
    for _ in 0..<2 {
      switch connection.receive(into: &buffer, descriptor: &passed) {
      case .nothing: return nil
      case .message(let length):
        guard length <= buffer.byteCount else { throw end(.protocolError) }
        return buffer.bytes.copy(first: length)
      case .failed(let error) where error.isPeerGone: continue
      case .failed(let error): throw .system(error)
      case .closed: throw end(farewell)
      }
    }
    throw end(farewell)
  }

  /// Ends it from this side: the agent drops what it is doing for it.
  package mutating func end() {
    passed = nil
    _ = end(farewell)
  }

  private mutating func end(_ reason: ErrorNumber) -> MIFFailure {
    farewell = reason
    hasEnded = true
    // Whoever polls the descriptor hears of it, as often as he polls.
    connection.shutDown()
    return .disconnected(reason)
  }
}
