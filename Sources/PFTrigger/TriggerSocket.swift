// swift-format-ignore-file: AlwaysUseLowerCamelCase

// Names are those of CPFTrigger.h.
public import CPFTrigger

/// What makes a Unix socket one of the family PF_TRIGGER: its own name, which it is given before it is connected. The
/// name belongs to what the kernel calls the open file description, so it is seen through every descriptor of it: after
/// dup(2), fork(2) and exec, in another thread, and where it was passed by SCM_RIGHTS. No table of descriptors could be
/// wrong about it. The rest of the name is random: so nobody can take it beforehand.
private struct Mark {
  /// In the abstract namespace, hence the zero.
  private static var prefix: StaticString { "\0PF_TRIGGER/" }
  private static var digits: StaticString { "0123456789abcdef" }
  private static var length: Int { MemoryLayout<sa_family_t>.size + prefix.utf8CodeUnitCount + 16 }

  private var address = sockaddr_un()
  private var length = socklen_t(Mark.length)

  /// A new one.
  init(random: UInt64) {
    address.sun_family = sa_family_t(AF_UNIX)
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { path in
      let prefix = unsafe Self.prefix.bytes
      let digits = unsafe Self.digits.bytes
      unsafe path.copyMemory(from: prefix)
      for index in 0..<16 {
        unsafe path[prefix.count + index] = digits[Int(truncatingIfNeeded: random >> UInt64(4 * index)) & 15]
      }
    }
  }

  /// The name of this socket, whatever it is. Nil if it has none, or is no socket.
  init?(of descriptor: Int32) {
    length = socklen_t(MemoryLayout<sockaddr_un>.size)
    let result = unsafe withUnsafeMutablePointer(to: &address) { address in
      unsafe withUnsafeMutablePointer(to: &length) { length in
        pftrigger_system_call(
          Int(SYS_getsockname), Int(descriptor), Int(bitPattern: address), Int(bitPattern: length))
      }
    }
    if result != 0 { return nil }
  }

  var isGenuine: Bool {
    guard address.sun_family == AF_UNIX, Int(length) == Self.length else { return false }
    return unsafe withUnsafeBytes(of: address.sun_path) { path in
      let prefix = unsafe Self.prefix.bytes
      return unsafe memcmp(path.baseAddress!, prefix.baseAddress!, prefix.count) == 0
    }
  }

  /// bind(2): 0 or a negative errno.
  mutating func put(on descriptor: Int32) -> Int {
    unsafe withUnsafeMutablePointer(to: &address) { address in
      pftrigger_system_call(Int(SYS_bind), Int(descriptor), Int(bitPattern: address), Int(length))
    }
  }
}

@c @implementation
public func pftrigger_is(_ descriptor: Int32) -> Bool { Mark(of: descriptor)?.isGenuine ?? false }

/// In the kernel's order.
@c @implementation
public func pftrigger_refusal(_ type: Int32, _ protocolNumber: Int32) -> Int32 {
  let kinds: Int32 = 0xF
  let kindsOfKernel: Int32 = 11
  let flags = Int32(truncatingIfNeeded: SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
  if type & ~(kinds | flags) != 0 || type & kinds >= kindsOfKernel { return EINVAL }
  if type & kinds != Int32(truncatingIfNeeded: SOCK_RAW.rawValue) { return ESOCKTNOSUPPORT }
  return protocolNumber == 0 ? 0 : EPROTONOSUPPORT
}

@c @implementation
public func pftrigger_open(
  _ type: Int32, _ protocolNumber: Int32, _ agent: UnsafePointer<pftrigger_agent>!
) -> Int32 {
  let refusal = pftrigger_refusal(type, protocolNumber)
  if refusal != 0 { return -refusal }
  let kept = UInt32(truncatingIfNeeded: type) & SOCK_CLOEXEC.rawValue
  let made = pftrigger_system_call(Int(SYS_socket), Int(AF_UNIX), Int(SOCK_SEQPACKET.rawValue | kept), 0)
  guard made >= 0 else { return Int32(truncatingIfNeeded: made) }
  let descriptor = Int32(truncatingIfNeeded: made)

  var result = mark(descriptor)
  if result == 0 { result = unsafe connect(descriptor, to: agent) }
  if result == 0, UInt32(truncatingIfNeeded: type) & SOCK_NONBLOCK.rawValue != 0 {
    result = pftrigger_system_call(Int(SYS_fcntl), made, Int(F_SETFL), Int(O_NONBLOCK))
  }
  if result == 0 { return descriptor }
  // Not close(3), which is a cancellation point: socket(2) is none.
  _ = pftrigger_system_call(Int(SYS_close), made, 0, 0)
  return Int32(truncatingIfNeeded: result)
}

private func mark(_ descriptor: Int32) -> Int {
  var random: UInt64 = 0
  let result = unsafe withUnsafeMutablePointer(to: &random) { random in
    pftrigger_system_call(Int(SYS_getrandom), Int(bitPattern: random), MemoryLayout<UInt64>.size, 0)
  }
  if result < 0 { return result }
  var mark = Mark(random: random)
  return mark.put(on: descriptor)
}

/// connect(2), for as long as it takes the agent to accept others before, which is no time, but a second at most: socket(2)
/// knows no EAGAIN and no EINTR. 0 or a negative errno.
private func connect(_ descriptor: Int32, to agent: UnsafePointer<pftrigger_agent>) -> Int {
  let length = unsafe Int(agent.pointee.length)
  guard length > 0 else { return Int(-EAFNOSUPPORT) }
  let deadline = now() + 1_000_000
  var result: Int
  repeat {
    // 0 would be for ever.
    setSendTimeout(descriptor, microseconds: max(deadline - now(), 1))
    // The address is the first thing there.
    result = pftrigger_system_call(Int(SYS_connect), Int(descriptor), Int(bitPattern: agent), length)
  } while result == Int(-EINTR) && now() < deadline
  setSendTimeout(descriptor, microseconds: 0)

  switch Int32(truncatingIfNeeded: -result) {
  case 0, EACCES, EPERM, ENOMEM, ENOBUFS: return result
  case EAGAIN, EINTR: return Int(-ENOBUFS)
  default: return Int(-EAFNOSUPPORT)
  }
}

/// CLOCK_MONOTONIC in microseconds.
private func now() -> Int64 {
  var time = timespec()
  _ = unsafe clock_gettime(CLOCK_MONOTONIC, &time)
  return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
}

/// SO_SNDTIMEO, which connect(2) on a Unix socket minds as well. It fails for no socket.
private func setSendTimeout(_ descriptor: Int32, microseconds: Int64) {
  var time = timeval(tv_sec: .init(microseconds / 1_000_000), tv_usec: .init(microseconds % 1_000_000))
  _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
}
