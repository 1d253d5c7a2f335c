import CLinux
import Fuzzing
import Platform
import Wire

@testable import Flows

/// inet_diag's answers (sock_diag(7)): a flow is live only where an answer says so, and nothing waits.
struct SocketDiagnosisTarget: FuzzTarget {
  static let name = "socket-diagnosis"
  static let maximumLength = 512
  static let vectors = ""

  static var seeds: [(name: String, input: [UInt8])] {
    // The end of an empty dump for each kind of socket, then inet_diag_msg: an established connection.
    let known = (1...4).flatMap { KernelAnswers.datagram(UInt16(NLMSG_DONE), sequence: UInt32($0), zeros(4)) }
    let connection: [UInt8] = [2, 1, 0, 0, 0x9C, 0x40, 1, 0xBB] + zeros(64)
    let missing = number(Int32(-2)) + zeros(16)
    return [
      ("live", known + KernelAnswers.datagram(UInt16(SOCK_DIAG_BY_FAMILY), sequence: 5, connection)),
      ("none", known + KernelAnswers.datagram(UInt16(NLMSG_ERROR), sequence: 5, missing)),
      ("silent", known), ("unknown", KernelAnswers.datagram(UInt16(NLMSG_ERROR), sequence: 1, missing)),
    ]
  }

  func run(_ bytes: RawSpan) {
    let ends = SocketDiagnosis.Ends(
      local: .v4(IPv4Address(0xC000_020A)), remote: .v4(IPv4Address(0xC633_6407)), localPort: 40_000, remotePort: 443)
    KernelAnswers.queued(bytes) { socket in
      var diagnosis = SocketDiagnosis(taking: Descriptor(taking: socket))
      for transport in [SocketDiagnosis.Transport.tcp, .udp] {
        let canAsk = diagnosis.canAsk(transport, .v4)
        let answer = diagnosis.find(transport, ends, interface: 2)
        check((answer == .unaskable) != canAsk, "\(answer), where it can be asked: \(canAsk)")
      }
    }
  }

  func mend(_ input: UnsafeMutableBufferPointer<UInt8>) { unsafe KernelAnswers.mend(input) }
}
