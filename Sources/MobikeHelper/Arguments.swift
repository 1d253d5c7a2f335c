package import Text

/// The command line: `mif-mobike [--runtime-dir DIR] [--vici URI] [--config FILE]`.
package struct Arguments: Sendable {
  package var configuration: [UInt8]?
  /// The agent's.
  package var directory = Array("/run/mifd".utf8)
  /// The daemon's socket.
  package var vici = Array("/run/charon.vici".utf8)
  package var wantsHelp = false
  package var wantsVersion = false

  package typealias Mistake = Options.Mistake

  package static let usage: StaticString = """
    usage: mif-mobike [--runtime-dir DIR] [--vici URI] [--config FILE]
      --runtime-dir DIR  where the sockets of mifd are, /run/mifd by default
      --vici URI         the socket of the IKE daemon, unix:///run/charon.vici by default
      --config FILE      read settings from FILE; without it the defaults hold
      --help             print this
      --version          print the version

    """
  package static let version: StaticString = "mif-mobike 0.1\n"

  package init(_ words: [[UInt8]]) throws(Mistake) {
    var options = Options(words)
    while let option = try options.next() {
      switch option {
      case "--config": configuration = try options.value()
      case "--runtime-dir": directory = try options.value()
      case "--vici": vici = try Arguments.path(of: try options.value())
      case "--help": wantsHelp = true
      case "--version": wantsVersion = true
      default: throw options.unknown
      }
    }
  }

  private static func path(of uri: [UInt8]) throws(Mistake) -> [UInt8] {
    let scheme = Array("unix://".utf8)
    let path = uri.starts(with: scheme) ? Array(uri[scheme.count...]) : uri
    guard path.first == UInt8(ascii: "/"), !path.contains(0) else {
      throw Mistake(Array("--vici wants a Unix socket, as in unix:///run/charon.vici".utf8))
    }
    return path
  }
}
