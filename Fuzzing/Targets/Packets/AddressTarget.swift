import Fuzzing
import Wire

/// Addresses and prefixes: what is read from text is written and read again the same, and so is every address that there
/// is. What is written is never longer than what stands for the same address in RFC 5952.
///
/// The input is a text; its first 17 bytes are an address and a length as well.
struct AddressTarget: FuzzTarget {
  static let name = "address"
  static let maximumLength = 64
  static let vectors = ""

  static var seeds: [(name: String, input: [UInt8])] {
    [
      "0.0.0.0", "255.255.255.255/32", "::", "::1", "2001:db8::1/64", "fe80::1:2:3:4", "::ffff:192.0.2.1",
      "1:2:3:4:5:6:7:8", "64:ff9b::192.0.2.33/96", "1::8", "1:2:3:4:5:6:192.0.2.1", "ABCD:0:0:1::",
    ].enumerated().map { ("\($0)", Array($1.utf8)) }
  }

  private var text: [UInt8] = []

  mutating func run(_ bytes: RawSpan) {
    if let address = IPAddress(parsing: bytes) { checkAgain(address) }
    if let prefix = IPPrefix(parsing: bytes) { checkAgain(prefix) }
    guard bytes.byteCount >= 17 else { return }
    let high = UInt64(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt64.self))
    let low = UInt64(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 8, as: UInt64.self))
    let length = unsafe bytes.unsafeLoad(fromByteOffset: 16, as: UInt8.self)
    checkAgain(IPPrefix(.v6(IPv6Address(high, low)), length % 129))
    checkAgain(IPPrefix(.v4(IPv4Address(UInt32(truncatingIfNeeded: high))), length % 33))
    checkAgain(.v6(IPv6Address(high, low)))
  }

  private mutating func checkAgain(_ address: IPAddress) {
    text.removeAll(keepingCapacity: true)
    address.append(to: &text)
    check(text.count <= 39, "\(address) takes \(text.count) bytes")
    check(IPAddress(parsing: text) == address, "\(address) reads otherwise")
  }

  private mutating func checkAgain(_ prefix: IPPrefix) {
    text.removeAll(keepingCapacity: true)
    prefix.append(to: &text)
    check(IPPrefix(parsing: text) == prefix, "\(prefix) reads otherwise")
  }
}
