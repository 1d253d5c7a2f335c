import CLinux
import Foundation
import Platform
import Testing
import Wire

@testable import Resolving

private let good = always("192.0.2.1", "2001:db8::1")
private let addresses: Set = ["192.0.2.1", "2001:db8::1"]

/// What is asked for, before anybody is.
@Suite struct Names {
  @Test func addressesAnswerThemselves() throws {
    let bench = try Bench()
    for text in ["192.0.2.1", "2001:db8::1", "::", "::ffff:192.0.2.1"] {
      let outcome = try bench.resolve(text)
      #expect(outcome.addresses == [text] && outcome.ttls == [.max] && outcome.verdict == .complete)
    }
  }

  @Test(arguments: [
    ("empty", "", EINVAL), ("the root", ".", EINVAL), ("empty label", "a..b", EINVAL), ("leading dot", ".a", EINVAL),
    ("two dots at the end", "a..", EINVAL), ("zero byte", "a\0b.example", EINVAL), ("space", "a b", EINVAL),
    ("newline", "a\n", EINVAL), ("delete", "a\u{7F}", EINVAL), ("escape", "a\\.b", EINVAL),
    ("zone", "fe80::1%lo", EINVAL), ("almost an address", "2001:db8::1::", EINVAL),
    ("label of 64", String(repeating: "a", count: 64) + ".example", ENAMETOOLONG),
    ("256 bytes", String(repeating: "a.", count: 128), ENAMETOOLONG),
    ("255 bytes are 256 with lengths", String(repeating: "a.", count: 127) + "a", ENAMETOOLONG),
    ("A-label past 63", String(repeating: "ü", count: 60) + ".example", ENAMETOOLONG),
  ])
  func refused(_ what: String, _ name: String, _ errno: Int32) throws {
    let bench = try Bench([try FakeServer(good)])
    #expect(try bench.resolve(name).verdict == .refused(errno: errno), "\(what)")
    #expect(bench.servers[0].questions.isEmpty && bench.counter("resolver.refused.name") == 1)
  }

  @Test(
    arguments: [[0x80], [0xC3], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82]] as [[UInt8]])
  func notUTF8(_ bytes: [UInt8]) {
    #expect(throws: Errno(rawValue: EILSEQ)) { _ = try HostName([0x61] + bytes) }
  }

  @Test(arguments: [
    ("as it is", "WWW.Example.com", "www.example.com"), ("with underscore", "_dns.example", "_dns.example"),
    ("longest label", String(repeating: "a", count: 63), String(repeating: "a", count: 63)),
    ("253 bytes", String(repeating: "a.", count: 126) + "a", String(repeating: "a.", count: 126) + "a"),
    ("dot at the end", "www.example.", "www.example"), ("A-label", "xn--bcher-kva.example", "xn--bcher-kva.example"),
    ("one letter", "bücher.example", "xn--bcher-kva.example"),
    ("ASCII letters fold", "BüCHER.example", "xn--bcher-kva.example"),
    ("no ASCII", "例え.テスト", "xn--r8jz45g.xn--zckzah"), ("sharp s stays", "straße.de", "xn--strae-oqa.de"),
    ("beyond the first plane", "😀.example", "xn--e28h.example"),
  ])
  func sent(_ what: String, _ name: String, _ sent: String) throws {
    let bench = try Bench([try FakeServer(good)])
    #expect(Set(try bench.resolve(name).addresses) == addresses, "\(what)")
    #expect(Set(bench.servers[0].questions.map(\.name)) == [sent], "\(what)")
  }

  /// RFC 3492, 7.1: the samples that need no mapping of case.
  @Test(arguments: [
    ("ليهمابتكلموشعربي؟", "egbpdaj6bu4bxfgehfvwxn"), ("他们为什么不说中文", "ihqwcrb4cv8a8dqg056pqjye"),
    ("他們爲什麽不說中文", "ihqwctvzc91f659drss3x8bo0yb"), ("למההםפשוטלאמדבריםעברית", "4dbcagdahymbxekheh6e0a7fei0b"),
    ("なぜみんな日本語を話してくれないのか", "n8jok5ay5dzabd5bym9f0cm5685rrjetr6pdxa"),
    ("почемужеонинеговорятпорусски", "b1abfaaepdrnnbgefbadotcwatmq2g4l"),
    ("TạisaohọkhôngthểchỉnóitiếngViệt", "TisaohkhngthchnitingVit-kjcr8268qyxafd2f1b9g"),
    ("3年B組金八先生", "3B-ww4c5e180e575a65lsy2b"), ("安室奈美恵-with-SUPER-MONKEYS", "-with-SUPER-MONKEYS-pc58ag80a8qai00g7n9n"),
    ("そのスピードで", "d9juau41awczczp"), ("MajiでKoiする5秒前", "MajiKoi5-783gue6qz075azm5e"), ("-> $1.00 <-", "-> $1.00 <--"),
  ])
  func punycode(_ label: String, _ code: String) {
    var text: [UInt8] = []
    appendPunycode(label.unicodeScalars.map(\.value), to: &text)
    #expect(String(decoding: text, as: UTF8.self) == code)
  }

  @Test func namesThatNoServerIsAskedFor() throws {
    let bench = try Bench([try FakeServer(good)])
    for name in ["localhost", "LOCALHOST.", "a.localhost"] {
      #expect(try bench.resolve(name).addresses == ["127.0.0.1", "::1"])
    }
    for name in ["onion", "xyz.onion", "a.XYZ.onion."] { #expect(try bench.resolve(name).verdict == nameError()) }
    #expect(bench.servers[0].questions.isEmpty)
    #expect(try bench.resolve("notlocalhost").verdict == .complete)
    #expect(try bench.resolve("localhost.example").verdict == .complete)
    #expect(bench.servers[0].questions.count == 4)
  }

  // MARK: Search list

  /// Answers for one name only.
  private static func only(_ name: String, else code: UInt16 = 3) -> FakeServer.Script {
    { question, _ in
      question.name == name
        ? [.answer(DNSAnswer(question, [.address(question, v4: "192.0.2.1", v6: "2001:db8::1")]))]
        : [.answer(DNSAnswer(question, code: code))]
    }
  }

  private static let search = ["corp.example", "example"]

  @Test(arguments: [
    ("no dot: search list first", "www", "www.example", ["www.corp.example", "www.example"]),
    ("no dot: itself last", "www", "www", ["www.corp.example", "www.example", "www"]),
    ("a dot: itself first", "www.a", "www.a", ["www.a"]),
    ("a dot: search list after it", "www.a", "www.a.example", ["www.a", "www.a.corp.example", "www.a.example"]),
    ("absolute: no search list", "www.", "www", ["www"]),
  ])
  func searchList(_ what: String, _ name: String, _ found: String, _ asked: [String]) throws {
    let bench = try Bench([try FakeServer(Names.only(found))])
    let outcome = try bench.resolve(name, bench.domain(search: Names.search))
    #expect(Set(outcome.addresses) == addresses, "\(what)")
    var names: [String] = []
    for question in bench.servers[0].questions where names.last != question.name { names.append(question.name) }
    #expect(names == asked, "\(what)")
  }

  @Test func nothingOfTheSearchListIsThere() throws {
    let bench = try Bench([try FakeServer(Names.only("none"))])
    #expect(try bench.resolve("www", bench.domain(search: Names.search)).verdict == nameError())
    // One of the names was there, without addresses.
    let other = try Bench([
      try FakeServer { question, _ in [.answer(DNSAnswer(question, code: question.name == "www.example" ? 0 : 3))] }
    ])
    #expect(try other.resolve("www", other.domain(search: Names.search)).verdict == noData())
  }

  /// A server that fails does not lead to another name.
  @Test func aFailureEndsTheSearch() throws {
    let bench = try Bench([try FakeServer(Names.only("www", else: 2))])
    #expect(
      try bench.resolve("www", bench.domain(search: Names.search)).verdict == .failed(rcode: 2, errno: EREMOTEIO))
    #expect(Set(bench.servers[0].questions.map(\.name)) == ["www.corp.example"])
  }

  @Test func whatDoesNotFitOrIsNoNameIsLeftOut() throws {
    let bench = try Bench([try FakeServer(Names.only("www"))])
    let search = ["bad..example", "", String(repeating: "a.", count: 126) + "a", "corp.example", "corp.example."]
    #expect(try bench.resolve("www", bench.domain(search: search)).verdict == .complete)
    #expect(Set(bench.servers[0].questions.map(\.name)) == ["www.corp.example", "www"])
  }

  // MARK: Hosts table

  private func temporary(_ text: String) throws -> String {
    let path = "/tmp/mifres-\(getpid())-\(UInt64.random(in: 0 ... .max))"
    try text.write(toFile: path, atomically: false, encoding: .utf8)
    return path
  }

  @Test func theHostsTableComesFirst() throws {
    let path = try temporary(
      """
      # comment
      127.0.0.1\tlocalhost loopback
      192.0.2.7   Printer.Example  printer # at the window
      2001:db8::7 printer.example
      192.0.2.7 printer.example
        192.0.2.8 bücher.example\r
      192.0.2.9 xn--caf-dma.example
      fe80::1%lo zoned.example
      not-an-address odd.example
      192.0.2.10
      192.0.2.11 last.example
      """)
    defer { unsafe unlink(path) }
    let bench = try Bench([try FakeServer(always(code: 3))]) { $0.hostsFile = Array(path.utf8) }
    #expect(try bench.resolve("PRINTER.example").addresses == ["192.0.2.7", "2001:db8::7"])
    #expect(try bench.resolve("printer.").addresses == ["192.0.2.7"])
    #expect(try bench.resolve("printer").ttls == [.max])
    #expect(try bench.resolve("localhost").addresses == ["127.0.0.1"])
    #expect(try bench.resolve("bücher.example").addresses == ["192.0.2.8"])
    #expect(try bench.resolve("café.example").addresses == ["192.0.2.9"])
    #expect(try bench.resolve("last.example").addresses == ["192.0.2.11"])
    #expect(bench.servers[0].questions.isEmpty)
    for name in ["zoned.example", "odd.example", "at", "printer.exampl", "rinter"] {
      #expect(try bench.resolve(name).verdict == nameError(), "\(name)")
    }
    #expect(bench.counter("resolver.hosts.read") == 1)
  }

  @Test func aTableThatChangesIsReadAgain() throws {
    let path = try temporary("192.0.2.1 a.example\n")
    defer { unsafe unlink(path) }
    let bench = try Bench([try FakeServer(always(code: 3))]) { $0.hostsFile = Array(path.utf8) }
    for _ in 0..<3 { #expect(try bench.resolve("a.example").addresses == ["192.0.2.1"]) }
    #expect(bench.counter("resolver.hosts.read") == 1)
    try "192.0.2.22 a.example\n".write(toFile: path, atomically: true, encoding: .utf8)
    for _ in 0..<3 { #expect(try bench.resolve("a.example").addresses == ["192.0.2.22"]) }
    #expect(bench.counter("resolver.hosts.read") == 2)
    unsafe unlink(path)
    #expect(try bench.resolve("a.example").verdict == nameError())
    #expect(bench.counter("resolver.hosts.read") == 2)
  }

  @Test func aTableThatIsTooLargeIsNoTable() throws {
    let path = try temporary(String(repeating: "192.0.2.1 a.example\n", count: 10))
    defer { unsafe unlink(path) }
    let bench = try Bench([try FakeServer(good)]) {
      $0.hostsFile = Array(path.utf8)
      $0.hostsFileLimit = 100
    }
    for _ in 0..<2 { #expect(Set(try bench.resolve("a.example").addresses) == addresses) }
    #expect(bench.counter("resolver.hosts.failed") == 1)
  }

  /// As lists of blocked names are.
  @Test func aTableOf100000Names() throws {
    let path = try temporary((0..<100_000).map { "0.0.0.0 host\($0).example\n" }.joined() + "192.0.2.1 it.example\n")
    defer { unsafe unlink(path) }
    let bench = try Bench { $0.hostsFile = Array(path.utf8) }
    #expect(try bench.resolve("it.example").addresses == ["192.0.2.1"])
    #expect(try bench.resolve("host77777.example").addresses == ["0.0.0.0"])
    let again = try bench.resolve("host99999.example")
    #expect(again.addresses == ["0.0.0.0"] && again.duration < 20)
  }
}
