import Fuzzing
import Messages

/// What a client sends on the MIF API's socket: refused, or written again it reads the same.
struct MIFRequestTarget: FuzzTarget {
  static let name = "mif-request"
  static let maximumLength = 512
  static let vectors = "mif.txt"

  private let writing = Writing()

  func run(_ bytes: RawSpan) {
    let header = FrameHeader(asMuchAsThereIs: bytes)
    let request: MIFRequest
    do throws(MessageRefusal) {
      request = try MIFRequest(bytes)
    } catch {
      return check(error.errorNumber != .none, "\(error) has no errno")
    }
    let again = writing.write { writer throws(MessageOverflow) in
      try writer.request(request, sequence: header.sequence, pid: header.pid)
    }
    check(again.read { b throws(MessageRefusal) in try MIFRequest(b) } == request, "\(request) reads otherwise")
  }

  func mend(_ input: UnsafeMutableBufferPointer<UInt8>) { unsafe mendFrame(input) }
}
