import CLinux
import Foundation
import Platform

let hasRoot = geteuid() == 0

/// Runs `body` on a thread of its own in an empty network namespace, which ends with it.
func inNamespace(_ body: @escaping @Sendable () throws -> Void) async throws {
  try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
    Thread {
      continuation.resume(
        with: Result {
          _ = try valueOrErrno { unshare(CLONE_NEWNET) }
          try ip("link set lo up")
          try body()
        })
    }.start()
  }
}

struct CommandFailed: Error { var command: String }

/// Runs `ip` in the calling thread's namespace.
func ip(_ arguments: String) throws {
  guard unsafe system("ip \(arguments) >/dev/null 2>&1") == 0 else { throw CommandFailed(command: arguments) }
}

/// Lets root open ping sockets in the calling thread's namespace.
func allowPing() throws {
  let file = Descriptor(
    taking: try valueOrErrno { unsafe clinux_open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY, 0) })
  _ = try valueOrErrno { unsafe write(file.number, "0 0", 3) }
}
