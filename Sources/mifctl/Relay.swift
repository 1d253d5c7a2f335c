/// Standard input to a socket, the socket to standard output, each as fast as its reader takes it.
struct Relay {
  /// The connection has failed, by the number of `<errno.h>`.
  struct Broken: Error {
    let errno: Int32
  }

  private static let most = 65_507
  /// What a pipe that poll(2) says is writable takes without waiting.
  private static let piece = 4096
  /// How long after the end of standard input datagrams are waited for, in milliseconds.
  private static let patience: Int32 = 1000

  let socket: Int32
  let isStream: Bool
  private var outgoing: [UInt8] = []
  private var incoming: [UInt8] = []
  private var inputHasEnded = false
  private var peerHasEnded = false

  init(socket: Int32, isStream: Bool) {
    self.socket = socket
    self.isStream = isStream
  }

  /// Until both have ended, or nobody reads standard output any more (`OutputClosed`).
  mutating func run() throws {
    while !isDone {
      let isWaitingForLast = inputHasEnded && !isStream && incoming.isEmpty && outgoing.isEmpty
      let ready = System.wait(
        input: !inputHasEnded && outgoing.isEmpty, socket: socket, receive: !peerHasEnded && incoming.isEmpty,
        send: !outgoing.isEmpty, output: !incoming.isEmpty,
        milliseconds: isWaitingForLast ? Relay.patience : -1)
      guard let ready else {
        if isWaitingForLast { return }
        continue
      }
      if ready.outputClosed { throw OutputClosed() }
      if ready.output { incoming.removeFirst(try System.write(incoming.prefix(Relay.piece))) }
      if ready.socket {
        if incoming.isEmpty, !peerHasEnded { try receive() }
        if !outgoing.isEmpty { try send() }
      }
      if ready.input { try read() }
    }
  }

  private var isDone: Bool {
    guard isStream, peerHasEnded, incoming.isEmpty else { return false }
    return inputHasEnded && outgoing.isEmpty || System.isTerminal(0)
  }

  private mutating func read() throws {
    guard let bytes = System.read(upTo: Relay.most) else { return }
    guard bytes.isEmpty else {
      outgoing = bytes
      return try send()
    }
    inputHasEnded = true
    if isStream { System.endSending(socket) }
  }

  private mutating func receive() throws {
    switch System.receive(from: socket, upTo: Relay.most) {
    case .bytes([]) where isStream: peerHasEnded = true
    case .bytes(let bytes): incoming = bytes
    case .nothing: break
    case .failed(let errno): throw Broken(errno: errno)
    }
  }

  private mutating func send() throws {
    switch System.send(outgoing, to: socket) {
    case .bytes(let sent): outgoing.removeFirst(sent)
    case .nothing: break
    case .failed(let errno): throw Broken(errno: errno)
    }
  }
}
