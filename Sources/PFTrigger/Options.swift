// swift-format-ignore-file: AlwaysUseLowerCamelCase

// Names are those of CPFTrigger.h.
public import CPFTrigger

/// What the kernel says of a socket without a peer.
@c @implementation
public func pftrigger_refused_option(_ descriptor: Int32, _ name: Int32) -> Int32 {
  switch name {
  case SO_PEERGROUPS, peerPidfd: pftrigger_is(descriptor) ? ENODATA : 0
  case SO_PEERSEC: pftrigger_is(descriptor) ? ENOPROTOOPT : 0
  default: 0
  }
}

/// SO_PEERPIDFD, of Linux 6.5. (It has this number on all architectures that Swift knows.)
private var peerPidfd: Int32 { 77 }

/// The family and the type that the program asked for; and nobody is at the other end.
@c @implementation
public func pftrigger_correct_option(
  _ descriptor: Int32, _ name: Int32, _ value: UnsafeMutableRawPointer!, _ length: socklen_t
) {
  let value = unsafe UnsafeMutableRawBufferPointer(start: value, count: Int(length))
  switch name {
  case SO_DOMAIN:
    unsafe replace(AF_UNIX, by: PF_TRIGGER, in: value, of: descriptor)
  case SO_TYPE:
    unsafe replace(Int32(SOCK_SEQPACKET.rawValue), by: Int32(SOCK_RAW.rawValue), in: value, of: descriptor)
  case SO_PEERCRED:
    if pftrigger_is(descriptor) { unsafe copy(ucred(pid: 0, uid: .max, gid: .max), to: value) }
  default:
    break
  }
}

/// A socket that shows another number is not asked what it is.
private func replace(
  _ number: Int32, by other: Int32, in value: UnsafeMutableRawBufferPointer, of descriptor: Int32
) {
  let isWhole = value.count == MemoryLayout<Int32>.size
  if isWhole, unsafe value.loadUnaligned(as: Int32.self) != number { return }
  if pftrigger_is(descriptor) { unsafe copy(other, to: value) }
}

/// As much as the kernel wrote there, which is as much as the program had room for.
private func copy<Value: BitwiseCopyable>(_ new: Value, to value: UnsafeMutableRawBufferPointer) {
  unsafe withUnsafeBytes(of: new) {
    unsafe value.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0.prefix(value.count)))
  }
}
