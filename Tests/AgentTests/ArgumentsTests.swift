import Agent
import Testing
import Text

@Suite struct ArgumentsTests {
  private func parse(_ words: [String]) throws(Arguments.Mistake) -> Arguments {
    try Arguments(words.map { Array($0.utf8) })
  }

  static let taken: [(words: [String], configuration: String?, directory: String, replay: String?)] = [
    ([], nil, "/run/mifd", nil),
    (["--config", "/etc/mifd.conf"], "/etc/mifd.conf", "/run/mifd", nil),
    (["--config=/etc/mifd.conf"], "/etc/mifd.conf", "/run/mifd", nil),
    (["--runtime-dir", "/tmp/x", "--replay", "a.pcap"], nil, "/tmp/x", "a.pcap"),
    (["--runtime-dir=/tmp/a=b"], nil, "/tmp/a=b", nil),
    (["--replay", "-"], nil, "/run/mifd", "-"),
    (["--config", "--help"], "--help", "/run/mifd", nil),
    (["--config", "a", "--config", "b"], "b", "/run/mifd", nil),
  ]

  @Test(arguments: taken)
  func `is taken`(_ words: [String], _ configuration: String?, _ directory: String, _ replay: String?) throws {
    let arguments = try parse(words)
    #expect(arguments.configuration == configuration.map { Array($0.utf8) })
    #expect(arguments.directory == Array(directory.utf8))
    #expect(arguments.replay == replay.map { Array($0.utf8) })
    #expect(!arguments.wantsHelp && !arguments.wantsVersion)
  }

  @Test func `help, version and self-test`() throws {
    #expect(try parse(["--help"]).wantsHelp)
    #expect(try parse(["--version", "--runtime-dir", "/tmp"]).wantsVersion)
    #expect(try parse(["--self-test"]).wantsSelfTest)
  }

  static let mistakes: [(words: [String], message: String)] = [
    (["--config"], "--config wants a value"),
    (["--config="], "--config wants a value"),
    (["--runtime-dir", ""], "--runtime-dir wants a value"),
    (["--replay"], "--replay wants a value"),
    (["--verbose"], "unknown option --verbose"),
    (["--help=yes"], "unknown option --help=yes"),
    (["capture.pcap"], "unknown option capture.pcap"),
    (["config=x"], "unknown option config=x"),
    ([""], "unknown option "),
    (["--"], "unknown option --"),
  ]

  @Test(arguments: mistakes) func `is a mistake`(_ words: [String], _ message: String) throws {
    let mistake = try #require(throws: Arguments.Mistake.self) { try parse(words) }
    #expect(String(decoding: mistake.message, as: UTF8.self) == message)
  }
}
