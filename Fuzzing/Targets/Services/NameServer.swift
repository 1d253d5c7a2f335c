import CFuzzer
import CLinux
import Fuzzing
import Glibc
import Platform

/// A DNS server on the loopback network, over UDP and TCP: what it answers somebody else thinks up.
final class NameServer {
  enum Answer {
    case message([UInt8])
    /// TCP: bytes as they are, without a length before them.
    case bytes([UInt8])
    /// TCP: the connection's end.
    case hangUp
  }

  /// Answers one question.
  typealias Script = (_ question: [UInt8], _ isStream: Bool) -> [Answer]

  private let datagrams: Descriptor
  private let listener: Descriptor
  private var connections: [CInt: [UInt8]] = [:]
  private let script: Script
  private(set) var questions = 0

  init(at address: String, _ script: @escaping Script) {
    let port: UInt16 = 53
    datagrams = Descriptor(taking: unsafe fuzzing_serve(CInt(SOCK_DGRAM.rawValue), address, port, 0))
    listener = Descriptor(taking: unsafe fuzzing_serve(CInt(SOCK_STREAM.rawValue), address, port, 8))
    check(datagrams.number >= 0 && listener.number >= 0, "no DNS server at \(address): errno \(errno)")
    self.script = script
  }

  deinit { for connection in connections.keys { fuzzing_reset(connection) } }

  /// Does all that there is to do; false if there was nothing.
  func serve() -> Bool {
    let before = questions
    var hasMoved = serveDatagrams()
    while true {
      let connection = fuzzing_accept(listener.number)
      if connection < 0 { break }
      connections[connection] = []
      hasMoved = true
    }
    for connection in connections.keys.sorted() where serve(connection) { hasMoved = true }
    return hasMoved || questions != before
  }

  private func serveDatagrams() -> Bool {
    var buffer = [UInt8](repeating: 0, count: 4096)
    var sender = [UInt8](repeating: 0, count: 28)
    var hasMoved = false
    while true {
      var size: UInt32 = 0
      let count = unsafe fuzzing_receive(datagrams.number, &buffer, buffer.count, &sender, &size)
      if count < 0 { return hasMoved }
      hasMoved = true
      questions += 1
      for answer in script(Array(buffer[..<count]), false) {
        switch answer {
        case .message(let bytes), .bytes(let bytes):
          _ = unsafe clinux_sendto(datagrams.number, bytes, bytes.count, 0, sender, size)
        case .hangUp: break
        }
      }
    }
  }

  private func serve(_ connection: CInt) -> Bool {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = unsafe recv(connection, &buffer, buffer.count, 0)
    if count < 0 && errno == EAGAIN { return false }
    if count <= 0 {
      hangUp(connection)
      return true
    }
    connections[connection]! += buffer[..<count]
    while let waiting = connections[connection], waiting.count >= 2 {
      let length = Int(waiting[0]) << 8 | Int(waiting[1])
      guard waiting.count >= 2 + length else { break }
      connections[connection] = Array(waiting[(2 + length)...])
      questions += 1
      for answer in script(Array(waiting[2..<(2 + length)]), true) where connections[connection] != nil {
        switch answer {
        case .message(let bytes): send(number(UInt16(truncatingIfNeeded: bytes.count).byteSwapped) + bytes, connection)
        case .bytes(let bytes): send(bytes, connection)
        case .hangUp: hangUp(connection)
        }
      }
    }
    return true
  }

  private func send(_ bytes: [UInt8], _ connection: CInt) {
    _ = unsafe Glibc.send(connection, bytes, bytes.count, CInt(MSG_NOSIGNAL))
  }

  private func hangUp(_ connection: CInt) {
    fuzzing_reset(connection)
    connections[connection] = nil
  }
}

/// A question as a server looks at it.
struct NameQuestion {
  static let a: UInt16 = 1
  static let aaaa: UInt16 = 28

  let id: [UInt8]
  /// The first label of its name.
  let host: [UInt8]
  /// The question section's bytes.
  let section: [UInt8]
  let type: UInt16

  /// nil for what the agent never sends.
  init?(_ message: [UInt8]) {
    guard message.count > 17 else { return nil }
    var end = 12
    while end < message.count, message[end] != 0 { end += 1 + Int(message[end]) }
    guard end + 5 <= message.count else { return nil }
    id = Array(message[..<2])
    host = Array(message[13..<(13 + Int(message[12]))])
    section = Array(message[12..<(end + 5)])
    type = UInt16(message[end + 1]) << 8 | UInt16(message[end + 2])
  }

  /// An answer to it with so many records of each section in `records`; `flags` as RFC 1035, 4.1.1 has them.
  func answer(flags: UInt16 = 0x8180, counts: [UInt8] = [1, 0, 0], _ records: [UInt8]) -> [UInt8] {
    id + number(flags.byteSwapped) + [0, 1] + counts.flatMap { [0, $0] } + section + records
  }
}
