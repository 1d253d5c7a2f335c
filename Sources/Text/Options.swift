/// The words of a command line, read as `--option VALUE` or `--option=VALUE`.
package struct Options {
  package struct Mistake: Error, Sendable {
    package var message: [UInt8]

    package init(_ message: [UInt8]) { self.message = message }
  }

  private var rest: ArraySlice<[UInt8]>
  private var word: [UInt8] = []
  /// What stood behind the option's own equals sign.
  private var attached: [UInt8]?

  package init(_ words: [[UInt8]]) { rest = words[...] }

  /// The next option's name with its hyphens; nil where there is none. Throws if the one before was given a value that
  /// nobody took.
  package mutating func next() throws(Mistake) -> ArraySlice<UInt8>? {
    if attached != nil { throw unknown }
    guard let next = rest.popFirst() else { return nil }
    word = next
    let parts = word.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, word.starts(with: "--".utf8) else { return word[...] }
    attached = Array(parts[1])
    return parts[0]
  }

  /// The value of the option that `next` gave.
  package mutating func value() throws(Mistake) -> [UInt8] {
    defer { attached = nil }
    guard let value = attached ?? rest.popFirst(), !value.isEmpty else {
      throw Mistake(Array(word.prefix { $0 != UInt8(ascii: "=") }) + Array(" wants a value".utf8))
    }
    return value
  }

  /// The refusal of the option that `next` gave.
  package var unknown: Mistake { Mistake(Array("unknown option ".utf8) + word) }
}
