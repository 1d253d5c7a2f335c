// swift-format-ignore-file: AlwaysUseLowerCamelCase

// Names are those of CPFTrigger.h.
public import CPFTrigger

/// The program reads an address of no bytes. A socket of another family is asked what it is only where its peer could be
/// an agent, so that to receive there costs no system call more.
@c @implementation
public func pftrigger_conceal_sender(
  _ descriptor: Int32, _ address: UnsafeMutableRawPointer!, _ room: socklen_t,
  _ length: UnsafeMutablePointer<socklen_t>!
) {
  let whole = unsafe length.pointee
  guard unsafe mayBeAgent(address, room: Int(room), length: Int(whole)), pftrigger_is(descriptor) else { return }
  unsafe memset(address, 0, Int(min(room, whole)))
  unsafe length.pointee = 0
}

/// A Unix socket named trigger.sock in some directory, or a name that was cut off before that can be seen.
private func mayBeAgent(_ address: UnsafeRawPointer, room: Int, length: Int) -> Bool {
  let familySize = MemoryLayout<sa_family_t>.size
  let name = unsafe agentSocketName.bytes
  // The zero at the end belongs to the address.
  guard length > familySize + name.count else { return false }
  guard room >= familySize else { return true }
  guard unsafe address.loadUnaligned(as: sa_family_t.self) == AF_UNIX else { return false }
  return unsafe length > room || memcmp(address + (length - 1 - name.count), name.baseAddress!, name.count) == 0
}
