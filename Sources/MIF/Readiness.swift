import Dispatch

/// Waits for descriptors without holding a thread. On Linux Swift's tasks run on libdispatch anyway: a source of it costs
/// neither a library nor a thread that this process would not have, whereas a thread of our own would need a wake-up
/// pipe and an end that somebody waits for.
///
/// One number is waited for in one direction only. libdispatch on Linux keeps both directions of a number in one record,
/// and forgets one of them when a wait for the other begins while that one is ending: the wait then never ends. Who waits
/// for both duplicates the descriptor.
enum Readiness {
  enum Interest {
    case read
    case write
  }

  private static let queue = DispatchQueue(label: "mif.readiness")

  /// Returns when `descriptor` is readable, or for `.write` has room, or at once when the task is cancelled. Keep it open
  /// until then: nobody looks at it any more when this returns.
  static func wait(for descriptor: Int32, _ interest: Interest = .read) async {
    switch interest {
    case .read: await wait(for: DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue))
    case .write: await wait(for: DispatchSource.makeWriteSource(fileDescriptor: descriptor, queue: queue))
    }
  }

  private static func wait(for event: any DispatchSourceProtocol) async {
    // It may be used from any thread, which the module does not say on Linux.
    nonisolated(unsafe) let source = event
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        // The one end of every wait: the source has let go of the descriptor.
        unsafe source.setCancelHandler { continuation.resume() }
        unsafe source.setEventHandler { unsafe source.cancel() }
        unsafe source.activate()
      }
    } onCancel: {
      unsafe source.cancel()
    }
  }
}
