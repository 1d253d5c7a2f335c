import Fuzzing
import Messages

/// What the agent sends on the MIF API's socket, as a client reads it: refused, or written again it reads the same.
struct MIFMessageTarget: FuzzTarget {
  static let name = "mif-message"
  static let maximumLength = 2048
  static let vectors = "mif.txt"

  private let writing = Writing()

  func run(_ bytes: RawSpan) {
    let message: MIFMessage
    do throws(MessageRefusal) {
      message = try MIFMessage(bytes)
    } catch {
      return check(error.errorNumber != .none, "\(error) has no errno")
    }
    switch message.content {
    // Nothing of these is kept that could be written again.
    case .answer, .other: return
    default: break
    }
    let again = writing.write { writer throws(MessageOverflow) in try writer.write(message) }
    let reread = again.read { b throws(MessageRefusal) in try MIFMessage(b) }
    check(reread?.content == message.content, "\(message) reads otherwise: \(String(describing: reread))")
  }

  func mend(_ input: UnsafeMutableBufferPointer<UInt8>) { unsafe mendFrame(input) }
}

extension MessageWriter {
  fileprivate mutating func write(_ message: MIFMessage) throws(MessageOverflow) {
    let request = message.header
    switch message.content {
    case .announcement(let announcement):
      var mark = MIFMark.news(sequence: request.sequence, pid: request.pid)
      mark.flags = MIFFlags(rawValue: request.flags)
      try self.announcement(announcement, mark)
    case .configurationData(let pvd, let element, let items):
      try beginConfigurationData(to: request, pvd: pvd, element)
      // Scopes are the interface's, which a reader does not keep.
      for item in items { try data(item, interface: 0) }
      finish()
    case .noConfigurationData(let pvd, let element): try noConfigurationData(to: request, pvd: pvd, element)
    case .statistics(let counters):
      try beginStatistics(to: request)
      for counter in counters { try self.counter(counter.name.span, counter.value) }
      finish()
    case .snapshotEnd: try snapshotEnd(of: request)
    case .overrun: try overrun(sequence: request.sequence)
    case .nameTranslation(let transaction, let address): try nameTranslation(to: request, transaction, address)
    case .nameTranslationEnded(let transaction, let failure):
      try ended(.nameTranslationEnded, to: request, transaction, failure)
    case .connected(let transaction): try connected(to: request, transaction)
    case .notConnected(let transaction, let failure): try ended(.notConnected, to: request, transaction, failure)
    case .answer, .other: break
    }
  }
}
