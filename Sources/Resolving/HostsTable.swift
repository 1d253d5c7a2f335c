import CLinux
import Platform
import Wire

/// The local table of names, hosts(5): read when first asked and again when stat(2) says that it is another.
struct HostsTable {
  private struct Stamp: Equatable {
    var device: UInt64
    var inode: UInt64
    var size: Int64
    var modified: Int64
    var changed: Int64
  }

  private let path: [UInt8]
  private let limit: Int
  /// What was read; nil for a file that is not there.
  private var stamp: Stamp?
  private var contents: [UInt8] = []
  /// Each name's place in `contents`, below a hash of it in lower case, sorted: 8 bytes a name, for tables of 100,000.
  private var names: [UInt64] = []
  /// How often it was read.
  private(set) var readings: UInt64 = 0
  /// How often it could not be: no permission, larger than the limit.
  private(set) var failures: UInt64 = 0

  init(path: [UInt8], limit: Int) {
    self.path = path
    // A place has 32 bits.
    self.limit = min(limit, 1 << 31)
  }

  /// The addresses of this name in the order of the file; empty if it is not there.
  mutating func addresses(of name: HostName, atMost most: Int) -> [IPAddress] {
    refresh()
    var found: [IPAddress] = []
    collect(name.text, most, &found)
    if found.isEmpty, name.asciiText != name.text { collect(name.asciiText, most, &found) }
    return found
  }

  private func collect(_ name: [UInt8], _ most: Int, _ found: inout [IPAddress]) {
    let hash = hash(name, 0, name.count)
    var low = 0
    var high = names.count
    while low < high {
      let middle = (low + high) / 2
      if names[middle] >> 32 < hash { low = middle + 1 } else { high = middle }
    }
    while low < names.count, names[low] >> 32 == hash, found.count < most {
      let place = Int(truncatingIfNeeded: names[low] & 0xFFFF_FFFF)
      if isName(name, at: place), let address = address(ofLineAt: place), !found.contains(address) {
        found.append(address)
      }
      low += 1
    }
  }

  private mutating func refresh() {
    let now = HostsTable.stamp(of: path)
    if now == stamp { return }
    stamp = now
    contents = []
    names = []
    if now == nil { return }
    readings += 1
    do throws(SystemFailure) {
      contents = try File.read(path, limit: limit)
    } catch {
      failures += 1
      return
    }
    index()
  }

  private static func stamp(of path: [UInt8]) -> Stamp? {
    var status = stat()
    let result = try? unsafe withPath(path, orThrow: { $0 }) { (name) throws(Errno) in
      try valueOrErrno { unsafe stat(name, &status) }
    }
    if result == nil { return nil }
    return Stamp(
      device: UInt64(status.st_dev), inode: UInt64(status.st_ino), size: Int64(status.st_size),
      modified: nanoseconds(status.st_mtim), changed: nanoseconds(status.st_ctim))
  }

  private static func nanoseconds(_ time: timespec) -> Int64 {
    Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
  }

  private mutating func index() {
    var place = 0
    while place < contents.count {
      var isAddress = true
      while let word = word(from: &place) {
        if !isAddress { names.append(hash(contents, word.start, word.end) << 32 | UInt64(word.start)) }
        isAddress = false
      }
      while place < contents.count, contents[place] != newline { place += 1 }
      place += 1
    }
    names.sort()
  }

  /// The next word of the line at `place`, which ends behind it; nil at the line's end or a comment.
  private func word(from place: inout Int) -> (start: Int, end: Int)? {
    while place < contents.count, isSpace(contents[place]) { place += 1 }
    let start = place
    while place < contents.count, !isEnd(contents[place]) { place += 1 }
    return place > start ? (start, place) : nil
  }

  private func isName(_ name: [UInt8], at place: Int) -> Bool {
    guard contents.count - place >= name.count else { return false }
    for index in 0..<name.count where lowered(contents[place + index]) != name[index] { return false }
    return place + name.count == contents.count || isEnd(contents[place + name.count])
  }

  private func address(ofLineAt place: Int) -> IPAddress? {
    var start = place
    while start > 0, contents[start - 1] != newline { start -= 1 }
    guard let word = word(from: &start) else { return nil }
    return IPAddress(parsing: Array(contents[word.start..<word.end]))
  }

  /// FNV-1a, 32 bits.
  private func hash(_ bytes: [UInt8], _ start: Int, _ end: Int) -> UInt64 {
    var value: UInt32 = 2_166_136_261
    for index in start..<end { value = (value ^ UInt32(lowered(bytes[index]))) &* 16_777_619 }
    return UInt64(value)
  }
}

private let newline = UInt8(ascii: "\n")

private func isSpace(_ byte: UInt8) -> Bool {
  byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\r")
}

private func isEnd(_ byte: UInt8) -> Bool { isSpace(byte) || byte == newline || byte == UInt8(ascii: "#") }
