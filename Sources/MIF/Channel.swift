import Messages

/// One connection's messages: sequence numbers on the way out, a buffer for every length on the way in.
struct Channel: ~Copyable {
  let socket: AgentSocket
  private var received = [UInt8](repeating: 0, count: FrameHeader.maximumMessageLength)
  private var outgoing = [UInt8](repeating: 0, count: 2048)
  private var sequence: UInt32 = 0
  let pid = ownProcess

  init(path: String) throws(ClientError) {
    socket = try AgentSocket(path: path)
  }

  var path: String { socket.path }

  /// Sends the request that `write` writes, and gives the seq that it went with.
  mutating func send(
    _ write: (inout MessageWriter, _ sequence: UInt32, _ pid: UInt32) throws(MessageOverflow) -> Int
  ) throws(ClientError) -> UInt32 {
    sequence &+= 1
    let (sequence, pid) = (sequence, pid)
    let length: Int
    do {
      length = try outgoing.write { writer throws(MessageOverflow) in try write(&writer, sequence, pid) }
    } catch {
      throw ClientError.malformed(path: path, "a request that is too long")
    }
    try socket.send(outgoing.prefixBytes(length))
    return sequence
  }

  /// The next message, read by `read`; nil where none came before `deadline`. A `deadline` of nil waits for ever.
  mutating func receive<Message>(
    deadline: ContinuousClock.Instant?, _ read: (RawSpan) throws(MessageRefusal) -> Message
  ) throws(ClientError) -> Message? {
    while true {
      if let count = try socket.receive(into: &received) {
        do {
          return try read(received.prefixBytes(count))
        } catch {
          // A message of a type that this client doesn't know is no fault; docs/protocol.md has it skipped.
          if error == .messageType { continue }
          throw ClientError.malformed(path: path, "\(error)")
        }
      }
      guard try socket.waitUntilReadable(deadline: deadline) else { return nil }
    }
  }
}
