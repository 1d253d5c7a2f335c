import Fuzzing
import Messages

/// What a client sends to the Trigger Database: refused, or written again it reads the same.
struct TriggerRequestTarget: FuzzTarget {
  static let name = "trigger-request"
  static let maximumLength = 1024
  static let vectors = "trigger.txt"

  private let writing = Writing()

  func run(_ bytes: RawSpan) {
    let header = FrameHeader(asMuchAsThereIs: bytes)
    let request: TriggerRequest
    do throws(MessageRefusal) {
      request = try TriggerRequest(bytes)
    } catch {
      return check(error.errorNumber != .none, "\(error) has no errno")
    }
    let again = writing.write { writer throws(MessageOverflow) in try writer.write(request, header) }
    check(again.count <= bytes.byteCount, "\(request) grew from \(bytes.byteCount) to \(again.count) bytes")
    check(again.read { b throws(MessageRefusal) in try TriggerRequest(b) } == request, "\(request) reads otherwise")
  }

  func mend(_ input: UnsafeMutableBufferPointer<UInt8>) { unsafe mendFrame(input) }
}

extension MessageWriter {
  fileprivate mutating func write(_ request: TriggerRequest, _ header: FrameHeader) throws(MessageOverflow) {
    func unnamed(_ identifier: UInt32) -> TriggerPayload {
      TriggerPayload(type: TriggerType(rawValue: 0), identifier: identifier)
    }
    let (sequence, pid) = (header.sequence, header.pid)
    switch request {
    case .add(let type, let addresses):
      let trigger = TriggerPayload(type: type, identifier: 0)
      try triggerRequest(.add, trigger, addresses: addresses.span, sequence: sequence, pid: pid)
    case .modify(let identifier, let type, let addresses):
      let trigger = TriggerPayload(type: type, identifier: identifier)
      try triggerRequest(.modify, trigger, addresses: addresses.span, sequence: sequence, pid: pid)
    case .get(let identifier): try triggerRequest(.get, unnamed(identifier), sequence: sequence, pid: pid)
    case .delete(let identifier): try triggerRequest(.delete, unnamed(identifier), sequence: sequence, pid: pid)
    case .register(let extensions, let filter):
      try register(extensions, filter: filter, sequence: sequence, pid: pid)
    }
  }
}
