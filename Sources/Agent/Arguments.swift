import Platform

/// The agent's command line: `mifd [--config FILE] [--runtime-dir DIR] [--replay FILE | --self-test]`.
package struct Arguments: Sendable {
  package var configuration: [UInt8]?
  package var directory = Array("/run/mifd".utf8)
  package var replay: [UInt8]?
  package var wantsSelfTest = false
  package var wantsHelp = false
  package var wantsVersion = false

  package struct Mistake: Error, Sendable { package var message: [UInt8] }

  package static let usage: StaticString = """
    usage: mifd [--config FILE] [--runtime-dir DIR] [--replay FILE | --self-test]
      --config FILE      read settings from FILE; without it the defaults hold
      --runtime-dir DIR  where the sockets are, /run/mifd by default
      --replay FILE      hear a capture file instead of the network and print what subscribers would be told
      --self-test        check decoders, state and messages on built-in captures, and print what came out
      --help             print this
      --version          print the version

    """
  package static let version: StaticString = "mifd 0.1\n"

  package init(_ words: [[UInt8]]) throws(Mistake) {
    var rest = words[...]
    while let word = rest.popFirst() {
      // Both `--option VALUE` and `--option=VALUE`.
      let parts = word.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
      let attached = parts.count == 2 && word.starts(with: "--".utf8) ? Array(parts[1]) : nil
      let name = attached == nil ? word : Array(parts[0])
      func value() throws(Mistake) -> [UInt8] {
        guard let value = attached ?? rest.popFirst(), !value.isEmpty else {
          throw Mistake(message: name + Array(" wants a value".utf8))
        }
        return value
      }
      if name.elementsEqual("--config".utf8) {
        configuration = try value()
      } else if name.elementsEqual("--runtime-dir".utf8) {
        directory = try value()
      } else if name.elementsEqual("--replay".utf8) {
        replay = try value()
      } else if word.elementsEqual("--self-test".utf8) {
        wantsSelfTest = true
      } else if word.elementsEqual("--help".utf8) {
        wantsHelp = true
      } else if word.elementsEqual("--version".utf8) {
        wantsVersion = true
      } else {
        throw Mistake(message: Array("unknown option ".utf8) + word)
      }
    }
  }
}
