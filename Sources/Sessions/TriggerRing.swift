import BroadcastRing
import Messages
import Platform

/// A session's place at the agent's ring (docs/protocol.md, "Ring").
final class TriggerRing {
  enum Outcome {
    /// nil for a message of a later version.
    case record(TriggerMessage?)
    case nothing
    case lapped
  }

  private var reader: RingReader
  private var sleep: RingSleep
  private var buffer = [UInt8](repeating: 0, count: RingLayout.longestRecord)
  /// Whether news come here: from the end of a replay until something was overwritten unread.
  var isHeard = false

  /// Maps what came with the answer to REGISTER: the ring, the page of our own, what is readable when we are woken.
  init(_ passed: [PassedDescriptor], _ place: RingPlace) throws(Errno) {
    guard passed.count == 3 else { throw .protocolError }
    reader = try RingReader(passed[0].descriptor, from: place.position)
    // The number alone would not keep the descriptor open.
    let bell = try withExtendedLifetime(passed) { () throws(Errno) in
      try Descriptor.duplicate(of: passed[2].descriptor.number)
    }
    sleep = try RingSleep(page: passed[1].descriptor, offset: Int(place.offset), bell: bell)
  }

  /// For an epoll.
  var bell: Int32 { sleep.bell.number }

  var hasMore: Bool { reader.hasMore }

  func hear(from position: UInt64) {
    reader.move(to: position)
    isHeard = true
  }

  func next() -> Outcome {
    var span = buffer.mutableSpan
    var bytes = unsafe span.mutableBytes
    switch reader.read(into: &bytes) {
    case .record(let length): return .record(message(length))
    case .nothing: return .nothing
    case .lapped: return .lapped
    }
  }

  private func message(_ length: Int) -> TriggerMessage? {
    let bytes = buffer
    do throws(MessageRefusal) { return try TriggerMessage(bytes.raw.extracting(first: length)) } catch { return nil }
  }

  func lieDown() -> Bool { sleep.lieDown(reader) }
  func rise() { sleep.rise() }
}
