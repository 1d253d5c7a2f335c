import CLinux
import CNetlink
import Foundation
import Testing

/// Whether network namespaces can be made here. Tests that need one are skipped visibly where they can't.
let hasRoot = geteuid() == 0

struct Failure: Error, CustomStringConvertible {
  var description: String
  init(_ description: String) { self.description = description }
}

/// Runs `body` on a thread of its own in a network namespace of its own, which ends with the thread.
/// Commands that the body starts are in it as well; nothing is named, nothing is left behind.
func inNamespace(_ body: @escaping @Sendable () throws -> Void) async throws {
  try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
    let thread = Thread {
      continuation.resume(
        with: Result {
          guard unshare(CLONE_NEWNET) == 0 else { throw Failure("unshare: errno \(errno)") }
          try ip("link set lo up")
          // Addresses appear when a test says so, and are usable at once.
          for name in ["all", "default"] {
            try sysctl("net/ipv6/conf/\(name)/accept_dad", "0")
            try sysctl("net/ipv6/conf/\(name)/dad_transmits", "0")
            try sysctl("net/ipv6/conf/\(name)/addr_gen_mode", "1")
          }
          try body()
        })
    }
    thread.stackSize = 4 << 20
    thread.start()
  }
}

/// The shell command's output; throws if it fails.
@discardableResult
func shell(_ command: String) throws -> String {
  guard let pipe = unsafe popen(command + " 2>&1", "r") else { throw Failure("popen") }
  var output: [UInt8] = []
  var chunk = [UInt8](repeating: 0, count: 65_536)
  while true {
    let count = unsafe fread(&chunk, 1, chunk.count, pipe)
    if count == 0 { break }
    output += chunk[0..<count]
  }
  let text = String(decoding: output, as: UTF8.self)
  guard unsafe pclose(pipe) == 0 else { throw Failure("\(command): \(text)") }
  return text
}

@discardableResult
func ip(_ arguments: String) throws -> String { try shell("ip \(arguments)") }

/// Many commands in one process.
func ipBatch(_ lines: [String]) throws {
  let path = "/tmp/mifkernel-\(getpid())-\(UInt32.random(in: 0 ... .max))"
  try lines.joined(separator: "\n").appending("\n").write(toFile: path, atomically: false, encoding: .utf8)
  defer { unsafe unlink(path) }
  try ip("-batch \(path)")
}

/// In the thread's namespace: /proc/sys/net is the reader's.
func sysctl(_ name: String, _ value: String) throws {
  let file = unsafe open("/proc/sys/\(name)", O_WRONLY)
  guard file >= 0 else { throw Failure("\(name): errno \(errno)") }
  defer { close(file) }
  guard unsafe write(file, value, value.utf8.count) == value.utf8.count else {
    throw Failure("\(name): errno \(errno)")
  }
}

/// A route socket without filter, in this thread's namespace.
@safe final class BareSocket {
  private let socket: OpaquePointer

  init(group: rtnetlink_groups) throws {
    guard let socket = unsafe nl_socket_alloc(), unsafe nl_connect(socket, NETLINK_ROUTE) == 0,
      unsafe nl_socket_add_membership(socket, Int32(group.rawValue)) == 0
    else { throw Failure("a bare route socket") }
    unsafe self.socket = socket
  }
  deinit { unsafe nl_socket_free(socket) }

  /// How many datagrams wait. `ip` has ended, so the kernel has sent what it sends.
  func receive() -> Int {
    var count = 0
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while unsafe recv(nl_socket_get_fd(socket), &buffer, buffer.count, Int32(MSG_DONTWAIT)) > 0 { count += 1 }
    return count
  }
}
