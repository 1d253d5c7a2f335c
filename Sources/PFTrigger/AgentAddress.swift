// swift-format-ignore-file: AlwaysUseLowerCamelCase

// Names are those of CPFTrigger.h.
public import CPFTrigger

/// Where the agent listens: trigger.sock in the directory that the environment variable MIFD_RUNTIME_DIR names, which is
/// not believed in a set-user-ID program, or in /run/mifd.
@c @implementation
public func pftrigger_find_agent(_ agent: UnsafeMutablePointer<pftrigger_agent>!) {
  var directory = unsafe StaticString("/run/mifd").bytes
  if let given = unsafe secure_getenv("MIFD_RUNTIME_DIR"), unsafe given.pointee != 0 {
    unsafe directory = UnsafeRawBufferPointer(start: given, count: strlen(given))
  }
  let name = unsafe agentSocketName.bytes
  let count = directory.count + name.count
  unsafe agent.pointee.address.sun_family = sa_family_t(AF_UNIX)
  unsafe withUnsafeMutableBytes(of: &agent.pointee.address.sun_path) { path in
    // With a zero at the end.
    guard count < path.count else { return }
    unsafe path.copyMemory(from: directory)
    unsafe UnsafeMutableRawBufferPointer(rebasing: path[directory.count...]).copyMemory(from: name)
    unsafe agent.pointee.length = socklen_t(MemoryLayout<sa_family_t>.size + count + 1)
  }
}

var agentSocketName: StaticString { "/trigger.sock" }

extension StaticString {
  /// Without the zero that follows them.
  var bytes: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(start: utf8Start, count: utf8CodeUnitCount) }
}
