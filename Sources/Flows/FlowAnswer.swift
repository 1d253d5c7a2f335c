/// What the kernel answers when it is asked for a flow.
package enum FlowAnswer: Hashable, Sendable {
  case live
  case none
  /// It did not answer now.
  case unknown
  /// It can't be asked for such flows here: a kernel without the module, a host without /proc, a lack of rights.
  case unaskable
}
