import CLinux
import Platform
import Provisioning
import Wire

/// TCP connections that ended before their peer had said anything. An ICMP error ends one that is being made
/// (RFC 1122, 4.2.3.9), so that its socket can't be looked up any more; the kernel tells of it when its program has
/// closed it too (sock_diag's TCP_DESTROY groups). That may be before the error is looked at or after: each waits for
/// the other, for a second, and the latest of each kind only.
///
/// Without such ends nothing wakes anybody, since a filter in the kernel passes over all other sockets that are closed.
@safe struct EndedAttempts: ~Copyable {
  private struct Ended {
    var ends: SocketDiagnosis.Ends
    /// What the socket was bound to, or 0.
    var interface: UInt32
    /// Nanoseconds of CLOCK_BOOTTIME.
    var seen: UInt64
  }

  private struct Waiting {
    var question: FlowQuestion
    var asked: UInt64
  }

  /// As much of a message as is looked at; the kernel's is longer, and cut.
  private struct Message {
    var header = nlmsghdr()
    var body = inet_diag_msg()
  }

  static let patience: UInt64 = 1_000_000_000
  static let limit = 64
  /// Messages looked at in one go.
  private static let bite = 256

  let descriptor: Descriptor
  private var ended = [Ended?](repeating: nil, count: limit)
  private var waiting = [Waiting?](repeating: nil, count: limit)
  private var nextEnded = 0
  private var nextWaiting = 0
  /// Ends were heard that the waiting were not compared with.
  private var hasNews = false

  init() throws(Errno) { descriptor = try EndedAttempts.open() }

  private static func open() throws(Errno) -> Descriptor {
    let descriptor = Descriptor(
      taking: try valueOrErrno {
        socket(AF_NETLINK, Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), NETLINK_SOCK_DIAG)
      })
    // Before it subscribes, so that nothing comes in unfiltered.
    try setFilter(descriptor.number)
    // Groups count from 1. With bind(2): a socket without an address hears nothing that the kernel itself sends.
    var address = sockaddr_nl()
    address.nl_family = sa_family_t(AF_NETLINK)
    for group in [SKNLGRP_INET_TCP_DESTROY, SKNLGRP_INET6_TCP_DESTROY] {
      address.nl_groups |= 1 << (group.rawValue - 1)
    }
    _ = try valueOrErrno {
      unsafe clinux_bind(descriptor.number, &address, socklen_t(MemoryLayout<sockaddr_nl>.size))
    }
    return descriptor
  }

  /// Whether the connection that a question is about has just ended; if not, the question waits for that.
  mutating func hasEnded(_ question: FlowQuestion, at now: UInt64) -> Bool {
    guard let ends = EndedAttempts.ends(question) else { return false }
    drain(at: now)
    if isEnded(ends, question, now) { return true }
    waiting[nextWaiting] = Waiting(question: question, asked: now)
    nextWaiting = (nextWaiting + 1) % EndedAttempts.limit
    return false
  }

  /// A question whose connection has ended since it was asked, once. The clock is read only if there may be one.
  mutating func nextAnswered(at clock: () -> UInt64) -> FlowQuestion? {
    guard hasNews else { return nil }
    let now = clock()
    for index in waiting.indices {
      guard let question = waiting[index]?.question, let asked = waiting[index]?.asked else { continue }
      guard now < asked + EndedAttempts.patience else {
        waiting[index] = nil
        continue
      }
      if let ends = EndedAttempts.ends(question), isEnded(ends, question, now) {
        waiting[index] = nil
        return question
      }
    }
    hasNews = false
    return nil
  }

  /// Takes in what the kernel tells.
  mutating func drain(at now: UInt64) {
    var message = Message()
    let size = MemoryLayout<Message>.size
    for _ in 0..<EndedAttempts.bite {
      let count = unsafe recv(descriptor.number, &message, size, Int32(MSG_DONTWAIT))
      if count < 0 {
        // What there was no room for is lost, what is behind it is not.
        if Errno.current.rawValue == ENOBUFS { continue }
        return
      }
      guard count == size, Int32(message.header.nlmsg_type) == SOCK_DIAG_BY_FAMILY else { continue }
      let id = message.body.id
      let family: Family = Int32(message.body.idiag_family) == AF_INET ? .v4 : .v6
      let ends = SocketDiagnosis.Ends(
        local: SocketDiagnosis.address(id.idiag_src, family), remote: SocketDiagnosis.address(id.idiag_dst, family),
        localPort: UInt16(bigEndian: id.idiag_sport), remotePort: UInt16(bigEndian: id.idiag_dport))
      ended[nextEnded] = Ended(ends: ends, interface: id.idiag_if, seen: now)
      nextEnded = (nextEnded + 1) % EndedAttempts.limit
      hasNews = true
    }
  }

  private func isEnded(_ ends: SocketDiagnosis.Ends, _ question: FlowQuestion, _ now: UInt64) -> Bool {
    for entry in ended {
      guard let entry, entry.ends == ends, now < entry.seen + EndedAttempts.patience else { continue }
      if entry.interface == 0 || entry.interface == question.interface || entry.interface == question.otherInterface {
        return true
      }
    }
    return false
  }

  private static func ends(_ question: FlowQuestion) -> SocketDiagnosis.Ends? {
    guard case .tcp(let source, let destination, _) = question.error.flow else { return nil }
    return SocketDiagnosis.Ends(
      local: question.error.quotedSource, remote: question.error.quotedDestination, localPort: source,
      remotePort: destination)
  }

  /// Sockets that had a peer and never got a segment from it: tcp_info's tcpi_segs_in is 0. Zeros need no byte order.
  private static func setFilter(_ socket: Int32) throws(Errno) {
    let remotePort = UInt32(MemoryLayout<nlmsghdr>.size + 6)
    let attributes = UInt32(MemoryLayout<Message>.size)
    // Offset in <linux/tcp.h>'s struct tcp_info, behind the attribute's header of four bytes.
    let segmentsIn: UInt32 = 4 + 140
    let findAttribute = UInt32(bitPattern: SKF_AD_OFF + SKF_AD_NLATTR)
    func step(_ code: Int32, _ value: UInt32, ifZero jump: UInt8 = 0) -> sock_filter {
      sock_filter(code: UInt16(code), jt: jump, jf: 0, k: value)
    }
    var instructions = [
      step(BPF_LD | BPF_H | BPF_ABS, remotePort),
      step(BPF_JMP | BPF_JEQ | BPF_K, 0, ifZero: 7),
      step(BPF_LD | BPF_IMM, attributes),
      step(BPF_LDX | BPF_IMM, UInt32(INET_DIAG_INFO)),
      step(BPF_LD | BPF_W | BPF_ABS, findAttribute),
      step(BPF_JMP | BPF_JEQ | BPF_K, 0, ifZero: 3),
      step(BPF_MISC | BPF_TAX, 0),
      step(BPF_LD | BPF_W | BPF_IND, segmentsIn),
      step(BPF_JMP | BPF_JEQ | BPF_K, 0, ifZero: 1),
      step(BPF_RET | BPF_K, 0),
      step(BPF_RET | BPF_K, .max),
    ]
    _ = try valueOrErrno {
      unsafe instructions.withUnsafeMutableBufferPointer { buffer in
        var program = unsafe sock_fprog(len: UInt16(buffer.count), filter: buffer.baseAddress)
        return unsafe setsockopt(
          socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, socklen_t(MemoryLayout<sock_fprog>.size))
      }
    }
  }
}
