import CLinux
import Platform
import Text
import VICI

/// The connection to an IKE daemon that speaks VICI: asks which IKE_SAs there are, and is told when that changes.
struct Daemon: ~Copyable {
  /// How long after an event the list is asked for once more: an `ike-update` comes before the IKE_SA has its new
  /// addresses. Nanoseconds.
  static let afterthought: UInt64 = 300_000_000
  /// How long after a change of routes, which charon itself takes notice of after 0.1 s. Nanoseconds.
  static let firstQuestion: UInt64 = 120_000_000
  /// And how often after that, until the IKE_SA has moved: nobody tells a responder where it is. Nanoseconds.
  static let pause: UInt64 = 80_000_000
  /// And without any reason. Nanoseconds.
  static let interval: UInt64 = 10_000_000_000
  /// IKE_SAs of one answer that are kept.
  private static let limit = 4096

  enum Word {
    /// All IKE_SAs, as they were after `asked`, nanoseconds of CLOCK_BOOTTIME.
    case associations([SecurityAssociation], asked: UInt64)
    /// An IKE_SA is about to be on these addresses.
    case moving(AddressUpdate)
    /// The daemon is gone, or does not speak VICI.
    case gone(Reason)
  }

  enum Reason {
    case closed
    case failed(Errno)
    case refused(VICIRefusal)
  }

  let descriptor: Descriptor
  private var stream = PacketStream()
  private var listed: [SecurityAssociation] = []
  /// A list is on its way,
  private var isAsking = false
  /// that was asked for then.
  private var asked: UInt64
  /// Something changed while it was.
  private var mustAskAgain = false
  /// When to ask again, nanoseconds of CLOCK_BOOTTIME.
  private(set) var deadline: UInt64

  /// Connects to the daemon's socket, registers for its events and asks for the list.
  init(_ path: [UInt8], at now: UInt64) throws(SystemFailure) {
    let connected = try Descriptor(connectedTo: path, SOCK_STREAM)
    do throws(Errno) {
      for event in ["list-sa", "ike-updown", "ike-update", "ike-rekey"] as [StaticString] {
        try Daemon.send(Packet.register(event), to: connected)
      }
      try Daemon.send(Packet.request(Daemon.list), to: connected)
    } catch {
      throw SystemFailure("speak to the IKE daemon at", path, error)
    }
    descriptor = connected
    deadline = now + Daemon.interval
    asked = now
    isAsking = true
  }

  /// Asks for the list where it is time to.
  /// - Parameter isMoving: an IKE_SA is expected to move.
  mutating func advance(to now: UInt64, isMoving: Bool) throws(Errno) {
    guard deadline <= now else { return }
    deadline = now + (isMoving ? Daemon.pause : Daemon.interval)
    try ask(at: now)
  }

  /// Asks for the list again soon: a route was changed, and the daemon may follow without saying so.
  mutating func askSoon(at now: UInt64) { deadline = min(deadline, now + Daemon.firstQuestion) }

  /// Reads what came; a word for each thing of note.
  mutating func receive(at now: UInt64) -> Word? {
    var received = [UInt8](repeating: 0, count: 16_384)
    while true {
      do throws(VICIRefusal) {
        while let packet = try stream.next() {
          if let word = try hear(packet, at: now) { return word }
        }
      } catch { return .gone(.refused(error)) }
      let count = unsafe received.withUnsafeMutableBytes {
        unsafe recv(descriptor.number, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT))
      }
      if count == 0 { return .gone(.closed) }
      if count < 0 {
        let error = Errno.current
        return error == .wouldBlock || error == .interrupted ? nil : .gone(.failed(error))
      }
      stream.append(received[..<count])
    }
  }

  private mutating func hear(_ packet: Packet, at now: UInt64) throws(VICIRefusal) -> Word? {
    switch packet {
    case .event(let name, let message) where name == "list-sa":
      if let association = try SecurityAssociation.read(message), listed.count < Daemon.limit {
        listed.append(association)
      }
      return nil
    case .event(let name, let message):
      deadline = min(deadline, now + Daemon.afterthought)
      do throws(Errno) { try ask(at: now) } catch { return .gone(.failed(error)) }
      return name == "ike-update" ? try AddressUpdate.read(message).map { .moving($0) } : nil
    case .response, .unknownCommand:
      defer { listed = [] }
      isAsking = false
      let asked = asked
      if mustAskAgain {
        do throws(Errno) { try ask(at: now) } catch { return .gone(.failed(error)) }
      }
      return .associations(listed, asked: asked)
    case .confirmed, .unknownEvent: return nil
    }
  }

  private mutating func ask(at now: UInt64) throws(Errno) {
    mustAskAgain = isAsking
    if isAsking { return }
    isAsking = true
    asked = now
    try Daemon.send(Packet.request(Daemon.list), to: descriptor)
  }

  private static var list: StaticString { "list-sas" }

  /// A request is a few bytes, and one at a time: it fits, or the daemon has stopped reading.
  private static func send(_ bytes: [UInt8], to descriptor: borrowing Descriptor) throws(Errno) {
    let number = descriptor.number
    let sent = try valueOrErrno {
      unsafe bytes.withUnsafeBytes {
        unsafe CLinux.send(number, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL))
      }
    }
    if sent < bytes.count { throw .noBufferSpace }
  }
}
