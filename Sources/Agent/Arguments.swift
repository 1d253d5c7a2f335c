package import Text

/// The agent's command line: `mifd [--config FILE] [--runtime-dir DIR] [--replay FILE | --self-test]`.
package struct Arguments: Sendable {
  package var configuration: [UInt8]?
  package var directory = Array("/run/mifd".utf8)
  package var replay: [UInt8]?
  package var wantsSelfTest = false
  package var wantsHelp = false
  package var wantsVersion = false

  package typealias Mistake = Options.Mistake

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
    var options = Options(words)
    while let option = try options.next() {
      switch option {
      case "--config": configuration = try options.value()
      case "--runtime-dir": directory = try options.value()
      case "--replay": replay = try options.value()
      case "--self-test": wantsSelfTest = true
      case "--help": wantsHelp = true
      case "--version": wantsVersion = true
      default: throw options.unknown
      }
    }
  }
}
