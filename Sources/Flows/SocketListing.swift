import CLinux
import Platform
import Wire

/// The open ping and raw sockets of this network namespace, read from /proc/net/icmp, icmp6, raw and raw6 (proc(5)):
/// the kernel has no diagnosis for the former, and for the latter only where it was built with it. No privilege is
/// needed, and the files are opened once.
struct SocketListing: ~Copyable {
  enum Kind {
    /// SOCK_DGRAM with IPPROTO_ICMP: its local port is the identifier of its echo requests.
    case ping
    /// SOCK_RAW: its local port is its protocol.
    case raw
  }

  /// More than that is not read.
  static let limit = 16_384

  // Number -1 where the file is not there: a host without /proc, or without IPv6.
  private let pingV4: Descriptor
  private let pingV6: Descriptor
  private let rawV4: Descriptor
  private let rawV6: Descriptor
  private var text = [UInt8].zeros(limit)

  init() {
    // The thread's own namespace, which in the agent is the process's.
    pingV4 = SocketListing.open("/proc/thread-self/net/icmp")
    pingV6 = SocketListing.open("/proc/thread-self/net/icmp6")
    rawV4 = SocketListing.open("/proc/thread-self/net/raw")
    rawV6 = SocketListing.open("/proc/thread-self/net/raw6")
  }

  private static func open(_ path: StaticString) -> Descriptor {
    var name: [UInt8] = []
    append(path, to: &name)
    do throws(SystemFailure) {
      return try File.open(name)
    } catch {
      return Descriptor(taking: -1)
    }
  }

  var isReadable: Bool { pingV4.number >= 0 && rawV4.number >= 0 }

  /// Whether a socket with that number may have sent from `local` to `remote`.
  mutating func find(_ kind: Kind, number: UInt16, local: IPAddress, remote: IPAddress) -> FlowAnswer {
    let file: Int32
    switch (kind, local.family) {
    case (.ping, .v4): file = pingV4.number
    case (.ping, .v6): file = pingV6.number
    case (.raw, .v4): file = rawV4.number
    case (.raw, .v6): file = rawV6.number
    }
    guard let length = read(file) else { return .unaskable }
    var lines = SocketLines(text[..<length])
    while let socket = lines.next(local.family) {
      if socket.localPort == number, socket.local.isUnspecified || socket.local == local,
        socket.remote.isUnspecified || socket.remote == remote
      {
        return .live
      }
    }
    return length == text.count ? .unknown : .none
  }

  /// How many bytes there are; nil if the file is not there.
  private mutating func read(_ file: Int32) -> Int? {
    if file < 0 { return nil }
    var length = 0
    while length < text.count {
      let count = unsafe text.withUnsafeMutableBytes { bytes in
        unsafe pread(file, bytes.baseAddress.map { unsafe $0 + length }, bytes.count - length, off_t(length))
      }
      if count < 0 { return nil }
      if count == 0 { break }
      length += count
    }
    return length
  }
}

/// The lines of such a file behind its first one: a number and a colon, then both ends as `ADDRESS:PORT`, in hex, the
/// address as the 32-bit words that it is in memory.
struct SocketLines {
  struct Line: Hashable {
    var local: IPAddress
    var localPort: UInt16
    var remote: IPAddress
    var remotePort: UInt16
  }

  private let text: ArraySlice<UInt8>
  private var position: Int

  init(_ text: ArraySlice<UInt8>) {
    self.text = text
    position = text.startIndex
    skipLine()
  }

  /// The next line that is one.
  mutating func next(_ family: Family) -> Line? {
    while position < text.endIndex {
      defer { skipLine() }
      skip { $0 == UInt8(ascii: " ") }
      skip { $0 != UInt8(ascii: " ") }
      guard let (local, localPort) = end(family), let (remote, remotePort) = end(family) else { continue }
      return Line(local: local, localPort: localPort, remote: remote, remotePort: remotePort)
    }
    return nil
  }

  private mutating func end(_ family: Family) -> (IPAddress, UInt16)? {
    skip { $0 == UInt8(ascii: " ") }
    let address: IPAddress
    switch family {
    case .v4:
      guard let word = word() else { return nil }
      address = .v4(IPv4Address(word))
    case .v6:
      guard let a = word(), let b = word(), let c = word(), let d = word() else { return nil }
      address = .v6(IPv6Address(UInt64(a) << 32 | UInt64(b), UInt64(c) << 32 | UInt64(d)))
    }
    guard position < text.endIndex, text[position] == UInt8(ascii: ":") else { return nil }
    position += 1
    guard let port = hexadecimal(digits: 4) else { return nil }
    return (address, UInt16(port))
  }

  private mutating func word() -> UInt32? { hexadecimal(digits: 8).map { UInt32(bigEndian: $0) } }

  private mutating func hexadecimal(digits: Int) -> UInt32? {
    guard text.endIndex - position >= digits else { return nil }
    var value: UInt32 = 0
    for _ in 0..<digits {
      let byte = text[position]
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt32(byte - UInt8(ascii: "0"))
      case UInt8(ascii: "A")...UInt8(ascii: "F"): value = value << 4 | UInt32(byte - UInt8(ascii: "A") + 10)
      default: return nil
      }
      position += 1
    }
    return value
  }

  private mutating func skip(_ isMeant: (UInt8) -> Bool) {
    while position < text.endIndex, text[position] != UInt8(ascii: "\n"), isMeant(text[position]) { position += 1 }
  }

  private mutating func skipLine() {
    skip { _ in true }
    if position < text.endIndex { position += 1 }
  }
}
