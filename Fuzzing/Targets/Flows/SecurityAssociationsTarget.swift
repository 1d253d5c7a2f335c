import CLinux
import Fuzzing
import Platform
import Wire

@testable import Flows

/// XFRM's answers: an association is found only where a message has its SPI or the kernel's own look-up says so, and
/// nothing waits.
struct SecurityAssociationsTarget: FuzzTarget {
  static let name = "security-associations"
  static let maximumLength = 1024
  static let vectors = ""
  private static let spi: UInt32 = 0x1122_3344

  static var seeds: [(name: String, input: [UInt8])] {
    let refused = KernelAnswers.datagram(UInt16(NLMSG_ERROR), sequence: 1, number(Int32(-3)) + zeros(16))
    func count(_ count: UInt32) -> [UInt8] {
      let attribute = number(UInt16(8)) + number(UInt16(XFRMA_SAD_CNT.rawValue)) + number(count)
      return KernelAnswers.datagram(UInt16(XFRM_MSG_NEWSADINFO), sequence: 2, zeros(4) + attribute)
    }
    let offset = MemoryLayout<xfrm_selector>.size + MemoryLayout<xfrm_address_t>.size
    let state =
      zeros(offset) + number(spi.bigEndian) + zeros(MemoryLayout<xfrm_usersa_info>.size - offset - 4)
    let done = KernelAnswers.datagram(UInt16(NLMSG_DONE), sequence: 3, zeros(4))
    return [
      ("found", KernelAnswers.datagram(UInt16(XFRM_MSG_NEWSA), sequence: 1, state)),
      ("none-at-all", refused + count(0)), ("none", refused + count(2) + done),
      ("listed", refused + count(1) + KernelAnswers.datagram(UInt16(XFRM_MSG_NEWSA), sequence: 3, state) + done),
    ]
  }

  func run(_ bytes: RawSpan) {
    KernelAnswers.queued(bytes) { socket in
      var associations = SecurityAssociations(taking: Descriptor(taking: socket))
      do throws(Errno) {
        let answer = try associations.find(spi: Self.spi, destination: .v4(IPv4Address(0xC633_6407)))
        check(answer != .unaskable, "an answer that only rights give")
      } catch {
        // What the kernel refuses, or does not answer.
      }
    }
  }

  func mend(_ input: UnsafeMutableBufferPointer<UInt8>) { unsafe KernelAnswers.mend(input) }
}
