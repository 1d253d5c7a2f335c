import Glibc
import Wire

/// Writes the target's own seeds, an input for each golden vector of its file (see the head of Tests/Vectors/trigger.txt
/// for its form), and one for each frame of the captures that is something to it.
func writeSeeds(of target: any FuzzTarget.Type, vectors: String, packets: String, to directory: String) {
  for seed in target.seeds { write(seed.input, to: "\(directory)/\(seed.name)") }
  if !target.vectors.isEmpty { writeVectors(of: target, "\(vectors)/\(target.vectors)", to: directory) }
  for name in files(in: packets) where name.hasSuffix(".pcap") {
    for (number, frame) in frames(of: read("\(packets)/\(name)")).enumerated() {
      guard let (packet, family) = packet(in: frame), let seed = target.seed(ofPacket: packet, family) else { continue }
      write(seed, to: "\(directory)/\(name.dropLast(".pcap".count))-\(number + 1)")
    }
  }
}

private func writeVectors(of target: any FuzzTarget.Type, _ path: String, to directory: String) {
  var name = ""
  var bytes: [UInt8] = []
  func finish() {
    if !name.isEmpty { write(target.seed(of: bytes), to: "\(directory)/\(name)") }
    bytes = []
  }
  for line in String(decoding: read(path), as: UTF8.self).split(separator: "\n") {
    if line.hasPrefix("vector ") {
      finish()
      name = String(line.dropFirst("vector ".count))
    } else if line.hasPrefix("  ") {
      bytes += line.split(separator: " ").compactMap { UInt8($0, radix: 16) }
    }
  }
  finish()
}

/// The frames of a pcap file as the lab writes them: little-endian, of Ethernet.
private func frames(of file: [UInt8]) -> [[UInt8]] {
  var frames: [[UInt8]] = []
  var offset = 24
  while offset + 16 <= file.count {
    let length = (0..<4).reduce(0) { $0 | Int(file[offset + 8 + $1]) << (8 * $1) }
    offset += 16
    guard offset + length <= file.count else { break }
    frames.append(Array(file[offset..<offset + length]))
    offset += length
  }
  return frames
}

private func packet(in frame: [UInt8]) -> ([UInt8], Family)? {
  guard frame.count > 14 else { return nil }
  switch (frame[12], frame[13]) {
  case (0x08, 0x00): return (Array(frame[14...]), .v4)
  case (0x86, 0xDD): return (Array(frame[14...]), .v6)
  default: return nil
  }
}

private func files(in directory: String) -> [String] {
  guard let stream = unsafe opendir(directory) else { fail("read", directory) }
  defer { unsafe closedir(stream) }
  var names: [String] = []
  while let entry = unsafe readdir(stream) {
    names.append(
      unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      })
  }
  return names.sorted()
}

private func read(_ path: String) -> [UInt8] {
  guard let file = unsafe fopen(path, "r") else { fail("read", path) }
  defer { unsafe fclose(file) }
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 65_536)
  while true {
    let count = unsafe fread(&buffer, 1, buffer.count, file)
    if count == 0 { return bytes }
    bytes += buffer.prefix(count)
  }
}

package func write(_ bytes: [UInt8], to path: String) {
  guard let file = unsafe fopen(path, "w") else { fail("write", path) }
  _ = unsafe fwrite(bytes, 1, bytes.count, file)
  unsafe fclose(file)
}

private func fail(_ action: String, _ path: String) -> Never {
  complain("cannot \(action) \(path): \(unsafe String(cString: strerror(errno)))")
  exit(2)
}
