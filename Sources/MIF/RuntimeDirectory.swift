import CLinux

/// The directory of the agent's sockets: what the environment variable `MIFD_RUNTIME_DIR` says (which a setuid program
/// does not heed), else /run/mifd.
public let defaultRuntimeDirectory: String = {
  guard let text = unsafe secure_getenv("MIFD_RUNTIME_DIR") else { return "/run/mifd" }
  let directory = unsafe String(cString: text)
  return directory.isEmpty ? "/run/mifd" : directory
}()
