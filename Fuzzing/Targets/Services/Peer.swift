import Fuzzing
import Glibc
import Messages
import Platform

/// A client's end of a connection, and what it may rely on whatever its requests are: each is answered once, in their
/// order, with its type, seq and pid, and an error is the header alone. Subclasses know the protocol.
class Peer {
  /// What is due for a request.
  struct Expectation<Request> {
    let header: FrameHeader
    /// nil where it is to be refused with `refusal`.
    let request: Request?
    let refusal: ErrorNumber
  }

  private var socket: Socket?
  /// Whether it reads whenever something is there.
  var isReading = true
  /// What was sent is carried out, but who is told of it can't be relied on.
  private(set) var isHalfClosed = false
  /// The agent has ended it, because there was no room.
  private(set) var isTurnedAway = false
  private var hasHeard = false
  private var isDeaf = false
  /// The seq of its last news, and how many were lost before it.
  private var sequence: UInt32 = 0
  private(set) var lost: UInt64 = 0
  /// What came beside the message that is being read.
  private var passed: [PassedDescriptor] = []
  private var buffer = [UInt8](repeating: 0, count: FrameHeader.maximumMessageLength)

  /// Closed when it is dropped.
  private final class Socket {
    let connection: Connection
    init(_ connection: consuming Connection) { self.connection = connection }
  }

  init(_ connection: consuming Connection) { socket = Socket(connection) }

  var isOpen: Bool { socket != nil }
  /// Whether every answer and all news are due.
  var isWhole: Bool { isOpen && !isHalfClosed }

  func close() { socket = nil }

  /// shutdown(2).
  func shutDown(_ how: Int) {
    guard let socket else { return }
    _ = shutdown(socket.connection.descriptor.number, CInt(how))
    isHalfClosed = true
    // To read would only tell it the end, and it can still write.
    if how == Int(SHUT_RD) { isDeaf = true }
  }

  /// False if the socket takes no more now.
  func send(_ bytes: [UInt8]) -> Bool {
    guard let socket else { return false }
    return socket.connection.send(unsafe bytes.span.bytes) == .sent
  }

  /// Reads what is there, at most so many messages. Gives their bytes in all.
  @discardableResult
  func read(atMost limit: Int = .max) -> Int {
    var total = 0
    for _ in 0..<limit {
      guard let socket, !isDeaf else { return total }
      var span = buffer.mutableSpan
      var bytes = unsafe span.mutableBytes
      switch socket.connection.receive(into: &bytes, descriptors: &passed) {
      case .message(let length):
        check(length >= FrameHeader.size && length <= FrameHeader.maximumMessageLength, "a message of \(length) bytes")
        total += length
        take(bytes.bytes.extracting(first: length))
        check(passed.isEmpty, "a descriptor beside a message that brings none")
      case .closed, .failed:
        check(isHalfClosed || isTurnedAway || !hasHeard, "the agent closed a connection that did nothing wrong")
        close()
      case .nothing: return total
      }
    }
    return total
  }

  private func take(_ bytes: RawSpan) {
    let header = FrameHeader(asMuchAsThereIs: bytes)
    check(Int(header.length) * 8 == bytes.byteCount, "len8 \(header.length) of \(bytes.byteCount) bytes")
    check(header.version == FrameHeader.version, "version \(header.version)")
    if header.error != .none { check(bytes.byteCount == FrameHeader.size, "an error with payloads") }
    if header.type == 0, header.error == .noSpace, header.sequence == 0, header.pid == 0 {
      check(!hasHeard, "turned away after it was served")
      isTurnedAway = true
      return
    }
    hasHeard = true
    take(bytes, header)
  }

  /// Counts a message of the agent's own.
  func countNews(_ header: FrameHeader) {
    lost += UInt64(header.sequence &- sequence &- 1)
    if header.sequence != sequence &+ 1 { loseNews() }
    sequence = header.sequence
  }

  // MARK: For subclasses

  func takePassed() -> [PassedDescriptor] {
    defer { passed = [] }
    return passed
  }

  func request(_ bytes: [UInt8]) {}
  /// Whether an answer is missing.
  var isWaiting: Bool { false }
  /// Whether the end of a replay is missing.
  var isReplaying: Bool { false }
  func take(_ bytes: RawSpan, _ header: FrameHeader) {}
  /// News were dropped.
  func loseNews() {}
}

/// What requests of a peer are waiting for, in their order.
struct Expectations<Request> {
  private var waiting: [Peer.Expectation<Request>] = []
  private var first = 0

  var isEmpty: Bool { first == waiting.count }
  /// The next one to be answered.
  var next: Peer.Expectation<Request>? { isEmpty ? nil : waiting[first] }
  var count: Int { waiting.count - first }

  mutating func append(_ bytes: [UInt8], _ decode: (RawSpan) throws(MessageRefusal) -> Request) {
    var request: Request?
    var refusal = ErrorNumber.none
    do throws(MessageRefusal) {
      request = try decode(unsafe bytes.span.bytes)
    } catch {
      refusal = error.errorNumber
    }
    let header = FrameHeader(asMuchAsThereIs: unsafe bytes.span.bytes)
    waiting.append(Peer.Expectation(header: header, request: request, refusal: refusal))
  }

  /// The request whose answer begins with this header.
  func front(_ header: FrameHeader) -> Peer.Expectation<Request> {
    check(!isEmpty, "an answer to nothing: \(header)")
    let asked = waiting[first]
    check(
      header.sequence == asked.header.sequence && header.pid == asked.header.pid,
      "answer \(header) where the one to \(asked.header) was due")
    if asked.request == nil {
      check(header.error == asked.refusal, "errno \(header.error.rawValue), due was \(asked.refusal.rawValue)")
      check(header.type == asked.header.type, "error of type \(header.type) to a request of type \(asked.header.type)")
    }
    return asked
  }

  mutating func removeFirst() {
    first += 1
    if first > 64, first > waiting.count / 2 {
      waiting.removeFirst(first)
      first = 0
    }
  }
}
