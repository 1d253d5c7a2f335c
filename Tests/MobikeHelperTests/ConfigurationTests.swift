import MobikeHelper
import PathSelection
import Testing
import Text
import Wire

@Suite struct ConfigurationTests {
  private func parse(_ text: String) throws(Configuration.Mistake) -> Configuration {
    try Configuration(parsing: Array(text.utf8))
  }

  @Test func `Nothing set: the mildest means, a look each ten seconds, root's privileges given up`() throws {
    let configuration = try parse("# nothing\n")
    #expect(configuration.means == .mildest)
    #expect(configuration.paths.probeInterval == 10_000_000_000)
    #expect(configuration.paths.moveInterval == 2_000_000_000)
    #expect(configuration.peers.isEmpty && configuration.trustedUsers.isEmpty && configuration.group == nil)
    #expect(configuration.identity != nil)
  }

  @Test func `Everything set`() throws {
    let configuration = try parse(
      """
      peer           = 192.0.2.1
      peer           = 2001:db8::1 port 4500   # behind a NAT
      move-by        = default-route
      probe-interval = 0
      move-interval  = 1
      move-limit     = 60
      trust-user     = 108
      trust-user     = 0
      user           = 0
      group          = 42
      """)
    #expect(
      configuration.peers == [
        Association(peer: IPAddress("192.0.2.1")!, port: 500, local: nil),
        Association(peer: IPAddress("2001:db8::1")!, port: 4500, local: nil),
      ])
    #expect(configuration.means == .defaultRoute)
    #expect(configuration.paths.probeInterval == 0)
    #expect(configuration.paths.moveInterval == 1_000_000_000)
    #expect(configuration.paths.moveLimit == 60_000_000_000)
    #expect(configuration.trustedUsers == [108, 0] && configuration.group == 42)
    #expect(configuration.identity == nil)
  }

  @Test(arguments: [
    ("peers = 192.0.2.1", "unknown key 'peers'"),
    (
      "peer = example.org",
      "'peer' wants an address, perhaps with a port, as in '192.0.2.1 port 4500', not 'example.org'"
    ),
    (
      "peer = 192.0.2.1 port 0",
      "'peer' wants an address, perhaps with a port, as in '192.0.2.1 port 4500', not '192.0.2.1 port 0'"
    ),
    (
      "peer = 192.0.2.1 500",
      "'peer' wants an address, perhaps with a port, as in '192.0.2.1 port 4500', not '192.0.2.1 500'"
    ),
    ("peer = fe80::1", "'peer' wants an address, perhaps with a port, as in '192.0.2.1 port 4500', not 'fe80::1'"),
    ("peer = 0.0.0.0", "'peer' wants an address, perhaps with a port, as in '192.0.2.1 port 4500', not '0.0.0.0'"),
    ("move-by = force", "'move-by' wants mildest, host-route or default-route, not 'force'"),
    ("move-interval = 0", "'move-interval' wants a whole number from 1 to 3600, not '0'"),
    ("probe-interval = 1s", "'probe-interval' wants a whole number from 0 to 86400, not '1s'"),
    ("user", "expected 'key = value'"),
  ])
  func `Refused`(_ line: String, _ message: String) {
    let error = #expect(throws: Configuration.Mistake.self) { try parse("\n" + line) }
    #expect(error.map { String(decoding: $0.message, as: UTF8.self) } == message)
    #expect(error?.line == 2)
  }
}

@Suite struct ArgumentsTests {
  private func parse(_ words: String...) throws(Arguments.Mistake) -> Arguments {
    try Arguments(words.map { Array($0.utf8) })
  }

  @Test func `Defaults`() throws {
    let arguments = try parse()
    #expect(arguments.directory == Array("/run/mifd".utf8))
    #expect(arguments.vici == Array("/run/charon.vici".utf8))
    #expect(arguments.configuration == nil)
  }

  @Test func `All options, in both forms`() throws {
    let arguments = try parse("--runtime-dir", "/a", "--vici=unix:///b", "--config", "c")
    #expect(arguments.directory == Array("/a".utf8))
    #expect(arguments.vici == Array("/b".utf8))
    #expect(arguments.configuration == Array("c".utf8))
  }

  @Test(arguments: [
    (["--vici", "tcp://127.0.0.1:4502"], "--vici wants a Unix socket, as in unix:///run/charon.vici"),
    (["--vici="], "--vici wants a value"), (["--config"], "--config wants a value"),
    (["--help=yes"], "unknown option --help=yes"), (["now"], "unknown option now"),
  ])
  func `Refused`(_ words: [String], _ message: String) {
    let error = #expect(throws: Arguments.Mistake.self) { try Arguments(words.map { Array($0.utf8) }) }
    #expect(error.map { String(decoding: $0.message, as: UTF8.self) } == message)
  }
}
