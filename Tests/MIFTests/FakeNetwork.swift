import CLinux
import Messages
import Synchronization
import Wire

@testable import MIF

/// What a FakeAgent's two domains lead to: 1 is pvd.example.org with an IPv6 address, 2 is wan0-dhcpv4-192.0.2.1 with an
/// IPv4 one. Everything else is as FakeAgent.mif has it.
struct FakeNetwork: Sendable {
  enum Outcome: Sendable {
    case good
    case failure(Failure)
    case silence
  }

  /// By domain: the addresses of the one name, and how its translation ends.
  var names: [UInt32: (addresses: [String], end: Outcome)] = [:]
  /// By address; one that is not here is silent.
  var hosts: [String: Outcome] = [:]

  static let refusal = Failure(error: UInt16(ECONNREFUSED), from: .peer)
  static let noSuchName = Failure(error: UInt16(ENOENT), from: .resolver, resolverStatus: 3)

  func answer(_ header: FrameHeader, _ request: [UInt8]) -> [[UInt8]] {
    switch try? unsafe MIFRequest(request.span.bytes) {
    case .translateName(let domain, let transaction, _):
      guard let name = names[domain] else { return [FakeAgent.refusal(UInt8(ENOENT), to: header)] }
      return name.addresses.map { address in
        FakeNetwork.message { writer throws(MessageOverflow) in
          let found = MIF.IPAddress(address)!
          return try writer.nameTranslation(
            to: header, transaction,
            AnnouncedAddress(
              found.wire, prefixLength: found.isIPv6 ? 128 : 32, preferredLifetime: 300, validLifetime: 300))
        }
      } + FakeNetwork.end(.nameTranslationEnded, header, transaction, name.end)
    case .connect(_, let transaction, let destination, _):
      let host = hosts[MIF.IPAddress(destination.socketAddress.address).description] ?? .silence
      guard case .good = host else { return FakeNetwork.end(.notConnected, header, transaction, host) }
      return [FakeNetwork.message { writer throws(MessageOverflow) in try writer.connected(to: header, transaction) }]
    case .stopTranslatingName:
      return [FakeAgent.answer("stop-announcing-interfaces", to: header, type: header.type)]
    case .getConfigurationData: return [FakeAgent.answer("no-config-data", to: header)]
    default: return FakeAgent.mif(header, request)
    }
  }

  private static func end(
    _ type: MIFMessageType, _ header: FrameHeader, _ transaction: Transaction, _ outcome: Outcome
  ) -> [[UInt8]] {
    let failure: Failure
    switch outcome {
    case .silence: return []
    case .good: failure = Failure(from: .nothing)
    case .failure(let other): failure = other
    }
    return [
      message { writer throws(MessageOverflow) in try writer.ended(type, to: header, transaction, failure) }
    ]
  }

  static func message(_ write: (inout MessageWriter) throws(MessageOverflow) -> Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 1024)
    let length = try! bytes.write { writer throws(MessageOverflow) in try write(&writer) }
    return Array(bytes.prefix(length))
  }
}

/// TCP connections over the loopback interface, of which one end is passed on and the other one stays here.
final class TCPPairs: Sendable {
  private let ends = Mutex<[Int32]>([])

  deinit { for end in ends.withLock({ $0 }) { close(end) } }

  /// The end to be passed on: its owner closes it.
  func next() -> Int32 {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(listener) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = clinux_htonl(INADDR_LOOPBACK)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    precondition(unsafe clinux_bind(listener, &address, length) == 0 && listen(listener, 1) == 0)
    precondition(unsafe clinux_getsockname(listener, &address, &length) == 0)
    let passed = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    precondition(unsafe clinux_connect(passed, &address, length) == 0)
    let kept = clinux_accept(listener, 0)
    ends.withLock { $0.append(kept) }
    return passed
  }

  /// How many there have been.
  var count: Int { ends.withLock { $0.count } }

  /// The end of the first that stayed here.
  var kept: Int32 { ends.withLock { $0[0] } }

  /// What comes to the last, if there is something now.
  var last: String? { TCPPairs.receive(from: ends.withLock { $0.last! }, milliseconds: 0) }

  func send(_ text: String) { _ = unsafe CLinux.send(kept, text, text.utf8.count, Int32(MSG_NOSIGNAL)) }

  func closeKept() { close(ends.withLock { $0.removeLast() }) }

  /// What comes within 5 s: "" is the end.
  func receive() -> String? { TCPPairs.receive(from: kept) }

  static func receive(from descriptor: Int32, milliseconds: Int32 = 5000) -> String? {
    var question = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    guard unsafe poll(&question, 1, milliseconds) > 0 else { return nil }
    var bytes = [UInt8](repeating: 0, count: 65_536)
    let count = unsafe recv(descriptor, &bytes, bytes.count, 0)
    return count < 0 ? nil : String(decoding: bytes.prefix(count), as: UTF8.self)
  }
}

/// Waits until something holds.
func until(_ condition: () -> Bool) async throws -> Bool {
  for _ in 0..<2000 {
    if condition() { return true }
    try await Task.sleep(for: .milliseconds(2))
  }
  return false
}
