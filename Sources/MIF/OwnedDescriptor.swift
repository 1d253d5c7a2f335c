import Platform
import Synchronization

/// A file descriptor that this process owns: closed when the last reference is gone, unless it was taken before.
public final class OwnedDescriptor: Sendable {
  private let number: Mutex<Int32>

  init(_ descriptor: consuming Descriptor) { number = Mutex(descriptor.release()) }

  convenience init?(_ descriptor: consuming Descriptor?) {
    guard let descriptor else { return nil }
    self.init(descriptor)
  }

  deinit { number.withLock { if $0 >= 0 { closeDescriptor($0) } } }

  /// For system calls, as long as a reference is held; -1 once it was taken.
  public var fileDescriptor: Int32 { number.withLock { $0 } }

  /// Gives it away: the caller closes it. -1 from the second time on.
  public func take() -> Int32 {
    number.withLock { number in
      defer { number = -1 }
      return number
    }
  }
}
