import CLinux
import Platform
import Wire

@testable import Resolving

struct Failure: Error, CustomStringConvertible {
  var description: String
  init(_ description: String) { self.description = description }
}

/// What a scripted server does about a question.
enum Reply {
  case send([UInt8], after: Double = 0)
  /// From another socket of the same address, so from another port.
  case sendFromElsewhere([UInt8])
  /// TCP: closes the connection without a word.
  case hangUp

  static func answer(_ answer: DNSAnswer, after: Double = 0) -> Reply { .send(answer.bytes, after: after) }
}

enum Transport { case udp, tcp }

/// A DNS server on this thread: UDP and TCP on one port, doing what its script says.
final class FakeServer {
  typealias Script = @Sendable (DNSQuestion, Transport) -> [Reply]

  let address: IPAddress
  private(set) var port: UInt16
  var script: Script
  /// Every question, in the order of arrival, and who sent it.
  private(set) var questions: [DNSQuestion] = []
  private(set) var transports: [Transport] = []
  private(set) var senders: [IPAddress] = []
  private var udp: Int32
  private var tcp: Int32
  private var elsewhere: Int32 = -1
  private var connections: [Int32: [UInt8]] = [:]
  private var pending: [(due: UInt64, send: () -> Void)] = []

  /// `port` 0: any.
  init(at text: String = "127.0.0.1", port: UInt16 = 0, interface: UInt32 = 0, _ script: @escaping Script) throws {
    guard let address = IPAddress(text) else { throw Failure(text) }
    self.address = address
    self.script = script
    let family = address.family == .v4 ? AF_INET : AF_INET6
    var port = port
    var sockets: (Int32, Int32) = (-1, -1)
    // A UDP port may be free where the TCP port is not.
    for _ in 0..<50 {
      sockets.0 = try FakeServer.open(family, SOCK_DGRAM, address, port, interface)
      let number = try FakeServer.port(sockets.0)
      if let stream = try? FakeServer.open(family, SOCK_STREAM, address, number, interface) {
        sockets.1 = stream
        port = number
        break
      }
      close(sockets.0)
    }
    guard sockets.1 >= 0, listen(sockets.1, 64) == 0 else { throw Failure("no port for \(text)") }
    (udp, tcp) = sockets
    self.port = port
  }

  deinit {
    for number in [udp, tcp, elsewhere] + connections.keys where number >= 0 { close(number) }
  }

  /// Stops listening: what comes now is answered by ICMP.
  func shut() {
    close(udp)
    close(tcp)
    (udp, tcp) = (-1, -1)
  }

  private static func open(
    _ family: Int32, _ type: __socket_type, _ address: IPAddress, _ port: UInt16, _ interface: UInt32
  ) throws -> Int32 {
    let number = socket(family, Int32(type.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var one: Int32 = 1
    if type == SOCK_STREAM { _ = unsafe setsockopt(number, SOL_SOCKET, SO_REUSEADDR, &one, 4) }
    let bound = unsafe withSocketAddress(address, port: port, interface: interface) {
      unsafe clinux_bind(number, $0, $1)
    }
    guard bound == 0 else {
      let reason = Errno.current
      close(number)
      throw reason
    }
    return number
  }

  private static func port(_ number: Int32) throws -> UInt16 {
    var name = [UInt8](repeating: 0, count: 28)
    var length = socklen_t(name.count)
    let result = unsafe name.withUnsafeMutableBytes {
      unsafe getsockname(
        number, __SOCKADDR_ARG(__sockaddr__: $0.baseAddress?.assumingMemoryBound(to: sockaddr.self)), &length)
    }
    guard result == 0 else { throw Errno.current }
    return UInt16(name[2]) << 8 | UInt16(name[3])
  }

  /// Does everything that can be done now.
  func serve() {
    if udp < 0 { return }
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      var name = [UInt8](repeating: 0, count: 28)
      var length = socklen_t(name.count)
      let count = unsafe name.withUnsafeMutableBytes {
        unsafe recvfrom(
          udp, &buffer, buffer.count, 0,
          __SOCKADDR_ARG(__sockaddr__: $0.baseAddress?.assumingMemoryBound(to: sockaddr.self)), &length)
      }
      if count < 0 { break }
      let sender = Array(name[0..<Int(length)])
      hear(Array(buffer[0..<count]), .udp, from: sender) { [udp, unowned self] bytes, isElsewhere in
        let socket = isElsewhere ? self.otherSocket() : udp
        _ = unsafe clinux_sendto(socket, bytes, bytes.count, 0, sender, socklen_t(sender.count))
      } hangUp: {
      }
    }
    while true {
      let connection = clinux_accept(tcp, Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue))
      if connection < 0 { break }
      connections[connection] = []
    }
    for connection in Array(connections.keys) { read(connection, &buffer) }
    let now = Clock.bootTime()
    let due = pending.filter { $0.due <= now }
    pending.removeAll { $0.due <= now }
    for item in due { item.send() }
  }

  private func read(_ connection: Int32, _ buffer: inout [UInt8]) {
    let count = unsafe recv(connection, &buffer, buffer.count, 0)
    if count == 0 { return drop(connection) }
    if count > 0 { connections[connection, default: []] += buffer[0..<count] }
    while let bytes = connections[connection], bytes.count >= 2 {
      let length = Int(bytes[0]) << 8 | Int(bytes[1])
      guard bytes.count >= 2 + length else { return }
      connections[connection] = Array(bytes[(2 + length)...])
      hear(Array(bytes[2..<(2 + length)]), .tcp, from: []) { answer, _ in
        let framed = bigEndian(UInt16(answer.count)) + answer
        _ = unsafe send(connection, framed, framed.count, Int32(MSG_NOSIGNAL))
      } hangUp: { [unowned self] in
        self.drop(connection)
      }
    }
  }

  private func drop(_ connection: Int32) {
    close(connection)
    connections[connection] = nil
  }

  private func hear(
    _ message: [UInt8], _ transport: Transport, from sender: [UInt8],
    _ send: @escaping ([UInt8], Bool) -> Void, hangUp: @escaping () -> Void
  ) {
    guard let question = DNSQuestion(message) else { return }
    questions.append(question)
    transports.append(transport)
    if sender.count >= 16 {
      senders.append(
        sender.count == 16
          ? .v4(IPv4Address(sender[4..<8].reduce(0) { $0 << 8 | UInt32($1) }))
          : .v6(
            IPv6Address(
              sender[8..<16].reduce(0) { $0 << 8 | UInt64($1) }, sender[16..<24].reduce(0) { $0 << 8 | UInt64($1) })))
    }
    for reply in script(question, transport) {
      switch reply {
      case .send(let bytes, let delay):
        if delay == 0 {
          send(bytes, false)
        } else {
          pending.append((Clock.bootTime() + UInt64(delay * 1e9), { send(bytes, false) }))
        }
      case .sendFromElsewhere(let bytes): send(bytes, true)
      case .hangUp: hangUp()
      }
    }
  }

  private func otherSocket() -> Int32 {
    if elsewhere < 0 {
      let family = address.family == .v4 ? AF_INET : AF_INET6
      elsewhere = (try? FakeServer.open(family, SOCK_DGRAM, address, 0, 0)) ?? -1
    }
    return elsewhere
  }
}
