/// Why the kernel's route socket can't be used. Nothing of it is repaired by trying again.
package struct KernelError: Error, Hashable, Sendable {
  package enum Operation: UInt8, Sendable {
    /// socket(2), bind(2): no AF_NETLINK here, or no descriptor or memory left.
    case open
    /// SO_ATTACH_FILTER.
    case filter
    /// NETLINK_ADD_MEMBERSHIP.
    case subscribe
    /// recvmsg(2), other than with what a resync repairs.
    case receive
  }
  package var operation: Operation
  /// errno.
  package var code: Int32

  package init(_ operation: Operation, _ code: Int32) {
    self.operation = operation
    self.code = code
  }
}
