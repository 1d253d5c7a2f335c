import CLinux
import Foundation
import Messages
import Synchronization
import Wire

/// An agent on both sockets in a directory of its own, that knows one interface with two provisioning domains and says
/// what Tests/Vectors has. What a test wants otherwise it puts into `answer`.
final class FakeAgent: Sendable {
  let directory: String
  let trigger: FakeSocket
  let mif: FakeSocket

  init(
    directory: String = "/tmp/mif-tests-\(UUID().uuidString.prefix(8))",
    trigger: @escaping @Sendable (FrameHeader, [UInt8]) -> [[UInt8]] = FakeAgent.trigger,
    mif: @escaping @Sendable (FrameHeader, [UInt8]) -> [[UInt8]] = FakeAgent.mif,
    passing socket: @escaping @Sendable () -> Int32 = { -1 }
  ) throws {
    self.directory = directory
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    self.trigger = FakeSocket(path: directory + "/trigger.sock", answer: trigger)
    self.mif = FakeSocket(path: directory + "/mif.sock", answer: mif, passing: socket)
  }

  /// Ends both sockets and every connection; the directory stays for the next one.
  func stop() {
    trigger.stop()
    mif.stop()
  }

  func remove() {
    stop()
    try? FileManager.default.removeItem(atPath: directory)
  }

  /// REGISTER grants everything and replays one trigger.
  @Sendable static func trigger(_ header: FrameHeader, _ request: [UInt8]) -> [[UInt8]] {
    switch TriggerMessageType(rawValue: header.type) {
    case .register:
      var messages = [answer("register-extensions", to: header)]
      if header.flags & TriggerExtensions.replay.rawValue != 0 {
        messages += [news("notify-cause-origin"), news("notify-replay-end")]
      }
      return messages
    case .add: return [answer("add-unreachable-ipv4-answer", to: header)]
    case .get: return [answer("get-answer-origin", to: header)]
    case .delete: return [refusal(2, to: header)]
    default: return [refusal(1, to: header)]
    }
  }

  @Sendable static func mif(_ header: FrameHeader, _ request: [UInt8]) -> [[UInt8]] {
    let end = answer("snapshot-end", to: header)
    /// The id of the first payload, which is at 20.
    let identifier = request.count > 20 ? request[20] : 0
    switch MIFMessageType(rawValue: header.type) {
    case .announceInterfaces: return [answer("interface-snapshot", to: header), end]
    case .announcePvDs where identifier == 3:
      return [answer("pvd-explicit", to: header), answer("pvd-implicit", to: header, flags: 1), end]
    case .announceConfigurationElements where identifier == 1: return [answer("element", to: header), end]
    case .announceAddresses where identifier == 1: return [answer("address-ipv6", to: header), end]
    case .announceConfigurationElements where identifier == 2: return [end]
    case .announceAddresses where identifier == 2: return [answer("address-ipv4", to: header, flags: 1), end]
    case .getConfigurationData where identifier == 1: return [answer("config-data-every-kind", to: header)]
    case .getConfigurationData: return [answer("no-config-data", to: header)]
    case .getStatistics: return [answer("statistics", to: header), end]
    case .stopAnnouncingInterfaces, .stopAnnouncingPvDs, .stopAnnouncingConfigurationElements,
      .stopAnnouncingAddresses:
      return [answer("stop-announcing-interfaces", to: header, type: header.type)]
    default: return [answer("announce-pvds-no-such-interface", to: header, type: header.type)]
    }
  }

  /// A vector with seq and pid of a request.
  static func answer(_ name: String, to header: FrameHeader, type: UInt8? = nil, flags: UInt8? = nil) -> [UInt8] {
    var bytes = vectors[name]!
    if let type { bytes[1] = type }
    if let flags { bytes[3] = flags }
    put(header.sequence, at: 8, &bytes)
    put(header.pid, at: 12, &bytes)
    return bytes
  }

  /// The header alone, with an errno.
  static func refusal(_ errno: UInt8, to header: FrameHeader) -> [UInt8] {
    var bytes = answer("add-refused", to: header, type: header.type)
    bytes[2] = errno
    return bytes
  }

  /// A vector as news. With seq 0 it has the next one of its connection.
  static func news(_ name: String, _ sequence: UInt32 = 0, type: UInt8? = nil, flags: UInt8? = nil) -> [UInt8] {
    answer(name, to: FrameHeader(type: 0, sequence: sequence, pid: 0), type: type, flags: flags)
  }

  fileprivate static func put(_ value: UInt32, at offset: Int, _ bytes: inout [UInt8]) {
    for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(index))) }
  }

  /// Tests/Vectors: names and whole messages.
  static let vectors: [String: [UInt8]] = {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "Vectors")
    var result: [String: [UInt8]] = [:]
    for file in ["trigger.txt", "mif.txt"] {
      var name = ""
      for line in try! String(contentsOf: folder.appending(path: file), encoding: .utf8).split(separator: "\n") {
        if line.hasPrefix("vector ") { name = String(line.dropFirst(7)) }
        if line.hasPrefix("  ") {
          result[name, default: []] += line.split(separator: " ").map { UInt8($0, radix: 16)! }
        }
      }
    }
    return result
  }()
}

/// A listening SEQPACKET socket with a thread for each connection.
final class FakeSocket: Sendable {
  private let listener: Int32
  private let path: String
  private struct Peer {
    var descriptor: Int32
    /// Of its news.
    var lastSequence: UInt32 = 0
  }
  /// nil once it was stopped.
  private let connections = Mutex<[Peer]?>([])
  private let answer: @Sendable (FrameHeader, [UInt8]) -> [[UInt8]]
  /// What goes beside a CONNECTED, and is closed here then; -1 for nothing.
  private let passing: @Sendable () -> Int32
  private let ended = Mutex(0)

  init(
    path: String, answer: @escaping @Sendable (FrameHeader, [UInt8]) -> [[UInt8]],
    passing: @escaping @Sendable () -> Int32 = { -1 }
  ) {
    self.path = path
    self.answer = answer
    self.passing = passing
    listener = socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0)
    var address = sockaddr_un()
    let bytes = Array(path.utf8)
    let length = unsafe clinux_unix_address(&address, bytes, bytes.count)
    unsafe unlink(path)
    precondition(unsafe clinux_bind(listener, &address, length) == 0)
    precondition(listen(listener, 16) == 0)
    Thread.detachNewThread { [listener, self] in
      while true {
        let connection = clinux_accept(listener, 0)
        guard connection >= 0 else { return }
        let isOpen = connections.withLock { list in
          list?.append(Peer(descriptor: connection))
          return list != nil
        }
        guard isOpen else {
          close(connection)
          return
        }
        Thread.detachNewThread { self.serve(connection) }
      }
    }
  }

  private func serve(_ connection: Int32) {
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = unsafe recv(connection, &buffer, buffer.count, 0)
      guard count > 0 else { return ended.withLock { $0 += 1 } }
      let request = Array(buffer.prefix(count))
      let header = unsafe FrameHeader(asMuchAsThereIs: request.span.bytes)
      for message in answer(header, request) { send(message, to: connection) }
    }
  }

  /// How many have connected.
  var connected: Int { connections.withLock { $0?.count ?? 0 } }
  /// How many have left again.
  var left: Int { ended.withLock { $0 } }

  /// News to everybody.
  func push(_ message: [UInt8]) {
    for peer in connections.withLock({ $0 ?? [] }) { send(message, to: peer.descriptor) }
  }

  /// To one after the other, as the seq of news is counted for each.
  private func send(_ message: [UInt8], to connection: Int32) {
    connections.withLock { list in
      guard let index = list?.firstIndex(where: { $0.descriptor == connection }) else { return }
      var message = message
      if message.count >= 16, message[8..<16].allSatisfy({ $0 == 0 }) {
        list![index].lastSequence += 1
        FakeAgent.put(list![index].lastSequence, at: 8, &message)
      }
      let passed = message[1] == MIFMessageType.connected.rawValue ? passing() : -1
      _ = unsafe clinux_send_descriptor(connection, message, message.count, passed, 0)
      if passed >= 0 { close(passed) }
    }
  }

  /// Nobody listens any more, and every connection is closed.
  func stop() {
    unsafe unlink(path)
    shutdown(listener, Int32(SHUT_RDWR))
    disconnect()
    connections.withLock { $0 = nil }
  }

  /// Closes every connection and takes new ones.
  func disconnect() {
    connections.withLock { list in
      for peer in list ?? [] { shutdown(peer.descriptor, Int32(SHUT_RDWR)) }
      list?.removeAll()
    }
  }
}
