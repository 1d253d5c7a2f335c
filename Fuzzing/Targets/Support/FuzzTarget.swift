import Glibc
package import Wire

/// What libFuzzer feeds. `run` returns, or what it found ends the process.
package protocol FuzzTarget {
  /// What `tools/fuzz` and its folders call it.
  static var name: String { get }
  /// Bytes of the longest input.
  static var maximumLength: Int { get }
  /// The file of Tests/Vectors that seeds are made of, empty for none.
  static var vectors: String { get }
  /// The input that a golden vector makes.
  static func seed(of vector: [UInt8]) -> [UInt8]
  /// The input that a frame of the lab's captures makes, from its network header on; nil for none.
  static func seed(ofPacket packet: [UInt8], _ family: Family) -> [UInt8]?
  /// Inputs to begin with beside those, by name: what mutation alone would take long to come to.
  static var seeds: [(name: String, input: [UInt8])] { get }

  init()
  mutating func run(_ bytes: RawSpan)
  /// Makes right what a mutation has probably broken without a purpose: lengths and the like.
  func mend(_ input: UnsafeMutableBufferPointer<UInt8>)
}

extension FuzzTarget {
  package static func seed(of vector: [UInt8]) -> [UInt8] { vector }
  package static func seed(ofPacket packet: [UInt8], _ family: Family) -> [UInt8]? { nil }
  package static var seeds: [(name: String, input: [UInt8])] { [] }
  package func mend(_ input: UnsafeMutableBufferPointer<UInt8>) {}
}

/// libFuzzer closes standard error around the target (the agent logs there); what is found goes to this copy.
nonisolated(unsafe) private var standardError: CInt = 2

package func keepStandardError() { unsafe standardError = dup(2) }

package func complain(_ text: String) {
  let line = Array("\(text)\n".utf8)
  _ = unsafe line.withUnsafeBytes { unsafe write(standardError, $0.baseAddress, $0.count) }
}

/// Ends the process with what does not hold; libFuzzer then keeps the input.
package func check(
  _ condition: Bool, _ what: @autoclosure () -> String, file: StaticString = #fileID, line: UInt = #line
) {
  if condition { return }
  complain("\(file):\(line): \(what())")
  abort()
}

/// A value that has to be there.
package func need<T: ~Copyable>(
  _ value: consuming T?, _ what: @autoclosure () -> String, file: StaticString = #fileID, line: UInt = #line
) -> T {
  if let value { return value }
  check(false, what(), file: file, line: line)
  fatalError()
}
