import CLinux
import Messages
import Platform
import Sessions
import Testing
import Wire

/// An agent's `mif.sock` whose every word a test writes. One connection; nothing happens but in its calls.
final class ScriptedAgent {
  private let listener: Listener
  private var connection: Connection?
  private let directory: [UInt8]
  private var news: UInt32 = 0

  init() throws {
    var template = Array("/tmp/mifd-scripted-XXXXXX".utf8CString)
    let isMade = unsafe template.withUnsafeMutableBufferPointer { unsafe mkdtemp($0.baseAddress!) != nil }
    try #require(isMade)
    directory = template.dropLast().map { UInt8(bitPattern: $0) }
    listener = try Listener(path: directory + Array("/mif.sock".utf8), mode: 0o600)
  }

  deinit {
    removeFile(listener.path)
    unsafe (directory + [0]).withUnsafeBytes { _ = unsafe rmdir($0.bindMemory(to: CChar.self).baseAddress!) }
  }

  var path: [UInt8] { listener.path }

  func accept() throws {
    for _ in 0..<100 {
      connection = try listener.accept()
      if connection != nil { return }
      _ = try listener.descriptor.wait(for: .read, milliseconds: 50)
    }
    Issue.record("nobody connects")
  }

  func close() { connection = nil }

  /// What has come: each request with its header.
  func requests() throws -> [(header: FrameHeader, request: MIFRequest)] {
    var result: [(header: FrameHeader, request: MIFRequest)] = []
    while let bytes = receive() {
      let span = unsafe bytes.span.bytes
      result.append((FrameHeader(asMuchAsThereIs: span), try MIFRequest(span)))
    }
    return result
  }

  /// Whether the other end has closed.
  var isLeft: Bool {
    var memory = [UInt8](repeating: 0, count: 1024)
    var span = memory.mutableSpan
    var buffer = unsafe span.mutableBytes
    for _ in 0..<100 {
      switch connection?.receive(into: &buffer) {
      case .message: continue
      case .closed, .failed, nil: return true
      case .nothing: return false
      }
    }
    return false
  }

  private func receive() -> [UInt8]? {
    var memory = [UInt8](repeating: 0, count: 1024)
    var span = memory.mutableSpan
    var buffer = unsafe span.mutableBytes
    guard case .message(let length) = connection?.receive(into: &buffer) else { return nil }
    return Array(memory.prefix(length))
  }

  /// Says something, with a descriptor beside it, which stays the test's.
  func say(
    beside passed: Int32 = -1, _ write: (inout MessageWriter) throws(MessageOverflow) -> Void
  ) throws {
    var memory = [UInt8](repeating: 0, count: 4096)
    var span = memory.mutableSpan
    var writer = MessageWriter(unsafe span.mutableBytes)
    try write(&writer)
    send(Array(memory.prefix(writer.count)), beside: passed)
  }

  func send(_ bytes: [UInt8], beside passed: Int32 = -1) {
    guard let number = connection?.descriptor.number else { return }
    let sent = unsafe bytes.withUnsafeBytes {
      unsafe clinux_send_descriptor(number, $0.baseAddress, $0.count, passed, 0)
    }
    #expect(sent == bytes.count)
  }

  func announce(_ announcement: MIFAnnouncement, to request: FrameHeader) throws {
    try say { writer throws(MessageOverflow) in try writer.announcement(announcement, .snapshot(of: request)) }
  }

  func announce(_ announcement: MIFAnnouncement) throws {
    news += 1
    try say { [news] writer throws(MessageOverflow) in
      try writer.announcement(announcement, .news(sequence: news))
    }
  }

  func end(_ request: FrameHeader) throws {
    try say { writer throws(MessageOverflow) in try writer.snapshotEnd(of: request) }
  }

  func refuse(_ request: FrameHeader, _ error: ErrorNumber) throws {
    try say { writer throws(MessageOverflow) in try writer.errorAnswer(to: request, error) }
  }
}

/// A network that an agent could know: it answers what is asked, as the engine does, and writes down what was said in
/// the words of draft-ietf-mif-api-extension-05, section 3.3.
struct ScriptedNetwork {
  struct Domain {
    var interface: UInt32
    var addresses: [String]
    var preference: Int8 = 0
    /// Its NAT64's prefix of 96 bits.
    var translator: String?
    /// What its name servers say; nil: they never answer.
    var found: [String]? = []
  }
  var interfaces: [(index: UInt32, name: String)] = []
  var domains: [UInt32: Domain] = [:]
  /// `address@domain`: a number of `<errno.h>`, 0 for who answers; silent where it isn't here.
  var servers: [String: UInt16] = [:]
  private(set) var said: [String] = []

  func describe(_ interface: UInt32) -> InterfaceDescription {
    let name = interfaces.first { $0.index == interface }?.name ?? ""
    return InterfaceDescription(identifier: interface, name: InterfaceName(name.utf8), flags: [.up, .carrier])
  }

  static func announced(_ text: String) -> AnnouncedAddress {
    let address = IPAddress(text)!
    return AnnouncedAddress(address, prefixLength: address.family == .v4 ? 24 : 64)
  }

  /// Answers everything that has come. `socket` is what CONNECTED hands over.
  mutating func answer(_ agent: ScriptedAgent, socket: Int32 = -1) throws {
    for (header, request) in try agent.requests() {
      switch request {
      case .announceInterfaces:
        said.append("Announce Interfaces")
        for interface in interfaces {
          said.append("Interface \(interface.index), \(interface.name)")
          try agent.announce(.interface(describe(interface.index)), to: header)
        }
        try agent.end(header)
      case .announcePvDs(let interface):
        said.append("Announce PDs on Interface \(interface)")
        for (pvd, domain) in domains.sorted(by: { $0.key < $1.key }) where domain.interface == interface {
          said.append("PD \(pvd)")
          try agent.announce(
            .pvd(interface: describe(interface), PvDDescription(identifier: pvd, name: Array("pd\(pvd)".utf8))),
            to: header)
        }
        try agent.end(header)
      case .announceAddresses(let pvd):
        guard let domain = domains[pvd] else {
          try agent.refuse(header, .noSuchEntry)
          continue
        }
        for address in domain.addresses {
          try agent.announce(.address(pvd: pvd, Self.announced(address)), to: header)
        }
        try agent.end(header)
      case .getConfigurationData(let pvd, let element):
        try agent.say { [domains] writer throws(MessageOverflow) in
          let item: ConfigurationItem
          if element.identifier == .pref64, let prefix = domains[pvd]?.translator {
            item = ConfigurationItem(.pref64, .prefix(IPPrefix(IPAddress(prefix)!, 96), flags: 0))
          } else if element.identifier == .defaultRouter, let preference = domains[pvd]?.preference, preference != 0 {
            item = ConfigurationItem(.defaultRouter, .router(IPAddress("fe80::1")!, preference: preference))
          } else {
            try writer.noConfigurationData(to: header, pvd: pvd, element)
            return
          }
          try writer.beginConfigurationData(to: header, pvd: pvd, element)
          try writer.data(item, interface: 1)
          writer.finish()
        }
      case .translateName(let pvd, let transaction, let name):
        said.append("Translate \(String(decoding: name.bytes, as: UTF8.self)) in PD \(pvd)")
        guard let found = domains[pvd]?.found else { continue }
        for address in found {
          said.append("Translation in PD \(pvd): \(address)")
          try agent.say { writer throws(MessageOverflow) in
            let address = IPAddress(address)!
            try writer.nameTranslation(
              to: header, transaction, AnnouncedAddress(address, prefixLength: address.family.width))
          }
        }
        try agent.say { writer throws(MessageOverflow) in
          let failure = Failure(from: found.isEmpty ? .resolver : .nothing, resolverStatus: found.isEmpty ? 3 : 0)
          try writer.ended(.nameTranslationEnded, to: header, transaction, failure)
        }
      case .connect(let pvd, let transaction, let to, _):
        let way = "\(to.socketAddress.address)@\(pvd)"
        said.append("Connect to \(to.socketAddress.address) in PD \(pvd)")
        guard let error = servers[way] else { continue }
        said.append("\(error == 0 ? "Connected" : "Not Connected") \(to.socketAddress.address) in PD \(pvd)")
        try agent.say(beside: error == 0 ? socket : -1) { writer throws(MessageOverflow) in
          if error == 0 {
            try writer.connected(to: header, transaction)
          } else {
            try writer.ended(.notConnected, to: header, transaction, Failure(error: error, from: .icmp, icmpType: 3))
          }
        }
      default: said.append("\(request)")
      }
    }
  }
}

/// A session as `#expect` can take it: it looks at nothing that can't be copied.
final class Client {
  private var session: MIFSession

  init(path: [UInt8]) throws { session = try MIFSession(path: path) }

  var isConnected: Bool { session.isConnected }
  func post(_ request: MIFRequest) throws(MIFFailure) -> UInt32 { try session.post(request) }
  func next() throws(MIFFailure) -> MIFMessage? { try session.next() }
  func isAnswer(_ message: MIFMessage, to sequence: UInt32) -> Bool { session.isAnswer(message, to: sequence) }
  func wait(for interest: Poller.Interest = .read, milliseconds: Int32) throws -> Bool {
    try session.wait(for: interest, milliseconds: milliseconds)
  }
  func takeSocket() -> Socket? { Socket(session.takeSocket()) }
}

/// The same of a connection to a host.
final class Attempt {
  private var connection: HostConnection

  init(path: [UInt8], _ order: HostConnection.Order) throws { connection = try HostConnection(path: path, order) }

  var reports: [HappyEyeballs.Report] { connection.reports }
  @discardableResult func step() -> HostConnection.Progress { connection.step() }
  @discardableResult func wait(milliseconds: Int32) throws -> Bool { try connection.wait(milliseconds: milliseconds) }
  func connect(_ order: HostConnection.Order) throws { try connection.connect(order) }
  func cancel() { connection.cancel() }
  func takeSocket() -> Socket? { Socket(connection.takeSocket()) }
}

final class Socket {
  let descriptor: Descriptor
  init?(_ taken: consuming Descriptor?) {
    guard let taken else { return nil }
    descriptor = taken
  }
}

/// Tells whether a descriptor that was handed over is still open somewhere: its write end is what is handed over.
final class Pipe {
  private let reader: Descriptor
  private var writer: Descriptor?

  init() throws {
    var ends: (Int32, Int32) = (-1, -1)
    let result = unsafe withUnsafeMutablePointer(to: &ends) {
      unsafe $0.withMemoryRebound(to: Int32.self, capacity: 2) { unsafe pipe2($0, O_CLOEXEC) }
    }
    try #require(result == 0)
    reader = Descriptor(taking: ends.0)
    writer = Descriptor(taking: ends.1)
  }

  var end: Int32 { writer?.number ?? -1 }
  func closeEnd() { writer = nil }

  var isOpenElsewhere: Bool {
    var question = pollfd(fd: reader.number, events: 0, revents: 0)
    return unsafe poll(&question, 1, 0) == 0
  }
}
