import CFuzzer
import Fuzzing
import Glibc
import Wire

@testable import Resolving

/// Whole hosts files: each name in one has the addresses that a plain reading of it finds.
struct HostsTarget: FuzzTarget {
  static let name = "hosts"
  static let maximumLength = 300
  static let vectors = ""
  private static let most = 8

  static var seeds: [(name: String, input: [UInt8])] {
    let files = [
      "127.0.0.1\tlocalhost\n::1 localhost ip6-localhost # comment\n",
      "192.0.2.1 A.example b\r\n2001:db8::1 a.example\n",
      "# nothing\n\n \t\n", "no-address name\n192.0.2.1", "192.0.2.1 a#b\n192.0.2.2 a",
      "192.0.2.1 a a a\n192.0.2.1 a\n",
    ]
    return files.enumerated().map { ("\($0)", Array($1.utf8)) }
  }

  /// Of a file that only this process has.
  private let file: CInt
  private let path: [UInt8]

  init() {
    file = fuzzing_memory_file()
    check(file >= 0, "no file in memory: errno \(errno)")
    path = Array("/proc/self/fd/\(file)".utf8)
  }

  func run(_ bytes: RawSpan) {
    let text = unsafe bytes.withUnsafeBytes { unsafe Array($0) }
    _ = ftruncate(file, 0)
    _ = unsafe pwrite(file, text, text.count, 0)
    var table = HostsTable(path: path, limit: Self.maximumLength)
    for (name, addresses) in Self.read(text) {
      guard let host = try? HostName(name), host.text == name else { continue }
      let found = table.addresses(of: host, atMost: Self.most)
      check(found == Array(addresses.prefix(Self.most)), "\(name) has \(found) where \(addresses) stand")
    }
    _ = try? table.addresses(of: HostName(Array("localhost".utf8)), atMost: Self.most)
    check(table.failures == 0, "the file could not be read")
  }

  /// hosts(5), line by line.
  private static func read(_ text: [UInt8]) -> [[UInt8]: [IPAddress]] {
    var names: [[UInt8]: [IPAddress]] = [:]
    for line in text.split(separator: UInt8(ascii: "\n")) {
      let words = line.prefix { $0 != UInt8(ascii: "#") }.split { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
      guard let first = words.first, let address = IPAddress(parsing: Array(first)) else { continue }
      for word in words.dropFirst() {
        let name = word.map { $0 >= 0x41 && $0 <= 0x5A ? $0 | 0x20 : $0 }
        if !names[name, default: []].contains(address) { names[name, default: []].append(address) }
      }
    }
    return names
  }
}
