import Glibc

/// Writes the target's own seeds, and an input for each golden vector of its file: see the head of
/// Tests/Vectors/trigger.txt for its form.
func writeSeeds(of target: any FuzzTarget.Type, from vectors: String, to directory: String) {
  for seed in target.seeds { write(seed.input, to: "\(directory)/\(seed.name)") }
  if target.vectors.isEmpty { return }
  var name = ""
  var bytes: [UInt8] = []
  func finish() {
    if !name.isEmpty { write(target.seed(of: bytes), to: "\(directory)/\(name)") }
    bytes = []
  }
  for line in read("\(vectors)/\(target.vectors)").split(separator: "\n") {
    if line.hasPrefix("vector ") {
      finish()
      name = String(line.dropFirst("vector ".count))
    } else if line.hasPrefix("  ") {
      bytes += line.split(separator: " ").compactMap { UInt8($0, radix: 16) }
    }
  }
  finish()
}

private func read(_ path: String) -> String {
  guard let file = unsafe fopen(path, "r") else { fail("read", path) }
  defer { unsafe fclose(file) }
  var text: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 65_536)
  while true {
    let count = unsafe fread(&buffer, 1, buffer.count, file)
    if count == 0 { return String(decoding: text, as: UTF8.self) }
    text += buffer.prefix(count)
  }
}

func write(_ bytes: [UInt8], to path: String) {
  guard let file = unsafe fopen(path, "w") else { fail("write", path) }
  _ = unsafe fwrite(bytes, 1, bytes.count, file)
  unsafe fclose(file)
}

private func fail(_ action: String, _ path: String) -> Never {
  complain("cannot \(action) \(path): \(unsafe String(cString: strerror(errno)))")
  exit(2)
}
