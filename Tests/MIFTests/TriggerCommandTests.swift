import CLinux
import Foundation
import Messages
import Testing

@testable import MIF
@testable import mifctl

/// `mifctl trigger`: what people write, and what they read.
@Suite struct TriggerCommandTests {
  // MARK: Words

  @Test(
    "types",
    arguments: [
      ("IF_ADDED", 1), ("if-removed", 2), ("TDB_TTYPE_IF_ADDRCHANGED", 3), ("tdb-ttype-conn-established", 4),
      ("Conn_Lost", 5), ("dest-unreachable", 6), ("6", 6), ("7", 7), ("65535", 65535), ("TYPE_200", 200),
      ("", nil), ("0", nil), ("65536", nil), ("-1", nil), ("+1", nil), ("0x6", nil), ("1 ", nil), ("dest", nil),
      ("TDB_TTYPE_", nil), ("TYPE_", nil), ("TYPE_0", nil),
    ] as [(String, UInt16?)])
  func kinds(_ word: String, _ number: UInt16?) {
    #expect(TriggerKind(word)?.rawValue == number)
    if let number { #expect(TriggerKind(TriggerKind(rawValue: number).description)?.rawValue == number) }
  }

  @Test(
    "addresses",
    arguments: [
      ("192.0.2.1", "192.0.2.1/32", nil), ("192.0.2.1/24", "192.0.2.1/24", nil), ("0.0.0.0/0", "0.0.0.0/0", nil),
      ("2001:DB8::1", "2001:db8::1/128", nil), ("2001:db8::1/0", "2001:db8::1/0", nil),
      ("fe80::1%eth0", "fe80::1/128", "eth0"), ("fe80::1/64%eth0", "fe80::1/64", "eth0"),
      ("fe80::1%eth0/64", "fe80::1/64", "eth0"), ("fe80::1%3", "fe80::1/128", "3"),
      ("fe80::1%br-lan.1", "fe80::1/128", "br-lan.1"),
    ] as [(String, String, String?)])
  func addresses(_ word: String, _ prefix: String, _ zone: String?) throws {
    let address = try TriggerArguments.address(word)
    #expect(address.prefix.description == prefix)
    #expect(address.zone == zone)
  }

  /// The word, the arguments with it, and what is said to be expected.
  @Test(
    "a wrong word is named, and what was expected",
    arguments: [
      ("dest", ["add", "dest"], "expected if-added, if-removed, if-addrchanged, conn-established"),
      ("0", ["add", "0"], "or a number from 1 to 65535"),
      ("65536", ["modify", "1", "65536"], "or a number from 1 to 65535"),
      ("x", ["list", "--type", "x"], "or a number from 1 to 65535"),
      ("host.example", ["add", "3", "host.example"], "expected an IPv4 or IPv6 address (names are not looked up)"),
      ("192.0.2", ["add", "3", "192.0.2"], "expected an IPv4 or IPv6 address"),
      ("192.0.2.1/33", ["add", "3", "192.0.2.1/33"], "a prefix length from 0 to 32"),
      ("192.0.2.1/", ["add", "3", "192.0.2.1/"], "a prefix length from 0 to 32"),
      ("::1/129", ["add", "3", "::1/129"], "a prefix length from 0 to 128"),
      ("fe80::1", ["add", "3", "fe80::1"], "a link-local address needs its interface, as in fe80::1%eth0"),
      ("fe80::1/64", ["modify", "1", "3", "fe80::1/64"], "a link-local address needs its interface"),
      ("fe80::1%", ["add", "3", "fe80::1%"], "an interface's name or index behind the %"),
      ("fe80::1/64%eth0/64", ["add", "3", "fe80::1/64%eth0/64"], "a prefix length from 0 to 128"),
      ("2001:db8::1%eth0", ["add", "3", "2001:db8::1%eth0"], "only an IPv6 link-local address"),
      ("192.0.2.1%eth0", ["watch", "--address", "192.0.2.1%eth0"], "only an IPv6 link-local address"),
      ("192.0.2.0/40", ["list", "--address", "192.0.2.0/40"], "a prefix length from 0 to 32"),
      ("''", ["list", "--interface", ""], "an interface's name or index"),
      ("0", ["list", "--interface", "0"], "an interface's name or index"),
      ("0", ["get", "0"], "expected a trigger's number"),
      ("seven", ["delete", "1", "seven"], "expected a trigger's number"),
      ("4294967296", ["modify", "4294967296", "3"], "expected a trigger's number"),
      ("<id>", ["get"], "Missing expected argument"),
      ("<id> ...", ["delete"], "Missing expected argument"),
      ("<type>", ["modify", "1"], "Missing expected argument"),
      ("17 addresses", ["add", "3"] + [String](repeating: "::1", count: 17), "a trigger has at most 16"),
      ("at most 64", ["list"] + (1...65).flatMap { ["--type", "\($0)"] }, "--type"),
      ("frobnicate", ["frobnicate"], "Unexpected argument"),
    ] as [(String, [String], String)])
  func usage(_ word: String, _ arguments: [String], _ expected: String) throws {
    let end = try Run(["--runtime-dir", "/nonexistent", "trigger"] + arguments).finished()
    #expect(end.status == 2)
    #expect(end.output == "")
    #expect(end.errors.contains(word))
    #expect(end.errors.contains(expected))
    #expect(end.errors.contains("Usage: mifctl trigger"))
  }

  @Test(
    "interfaces are the agent's",
    arguments: [
      ["add", "200", "fe80::1%eth7"], ["list", "--interface", "eth7"], ["watch", "--address", "fe80::/64%eth7"],
    ])
  func interfaces(_ arguments: [String]) throws {
    let agent = try FakeAgent()
    defer { agent.remove() }
    let end = try Run(["--runtime-dir", agent.directory, "trigger"] + arguments).finished()
    #expect(end.status == 2)
    #expect(
      end.errors
        == "mifctl: there is no interface 'eth7': expected one that the agent has (wan0), or an index.\n")
  }

  // MARK: Refusals

  /// What an agent answers, the command, and what a person reads. The user is whoever runs the tests.
  @Test(
    "each refusal in a sentence",
    arguments: [
      (1, ["add", "3"], "may not add triggers of type IF_ADDRCHANGED (EPERM): root may, and whom trigger-write in"),
      (1, ["get", "17"], "may not read trigger 17 (EPERM): root may, and whom trigger-read in"),
      (1, ["modify", "17", "3"], "may not change trigger 17 (EPERM): root may, and the user that added it where"),
      (1, ["delete", "17"], "may not delete trigger 17 (EPERM): root may, and the user that added it where"),
      (1, ["list"], "may read no trigger (EPERM): root may, and whom trigger-read in"),
      (1, ["watch"], "may read no trigger (EPERM): root may, and whom trigger-read in"),
      (2, ["get", "17"], "mifctl: there is no trigger 17 (ENOENT): mifctl trigger list shows those that there are\n"),
      (2, ["modify", "17", "3"], "there is no trigger 17 (ENOENT)"),
      (
        2, ["delete", "17", "18"],
        "there is no trigger 17 (ENOENT): mifctl trigger list shows those that there are\nmifctl: there is no trigger 18"
      ),
      (28, ["add", "3"], "the agent stores no further trigger: it has as many triggers of clients as it may"),
      (22, ["add", "3"], "refused ADD: it is malformed (EINVAL): mifctl and mifd are of different versions"),
      (90, ["add", "3"], "refused ADD: a message has the wrong length (EMSGSIZE): mifctl and mifd are of different"),
      (93, ["get", "1"], "refused GET: it speaks another version of the protocol (EPROTONOSUPPORT): mifctl and mifd"),
      (95, ["list"], "refused REGISTER: it does not serve this request (EOPNOTSUPP): mifctl and mifd are of"),
      (97, ["modify", "1", "3", "::1"], "refused MODIFY: an address is neither IPv4 nor IPv6 (EAFNOSUPPORT): mifctl"),
      (5, ["add", "3"], "refused ADD: Input/output error"),
    ] as [(UInt8, [String], String)])
  func refusals(_ errno: UInt8, _ arguments: [String], _ sentence: String) throws {
    let agent = try FakeAgent(trigger: { header, _ in [FakeAgent.refusal(errno, to: header)] })
    defer { agent.remove() }
    let end = try Run(["--runtime-dir", agent.directory, "trigger"] + arguments).finished()
    #expect(end.status == 1)
    #expect(end.output == "")
    #expect(end.errors.contains(sentence), "\(end.errors)")
  }

  @Test("an agent that says nothing, or goes away: what was asked for may have been done")
  func unanswered() throws {
    let agent = try FakeAgent(trigger: { _, _ in [] })
    defer { agent.remove() }
    let silent = try Run(["--runtime-dir", agent.directory, "trigger", "add", "200"])
    while agent.trigger.connected == 0 {}
    usleep(50_000)
    agent.stop()
    let end = try silent.finished()
    #expect(end.status == 1)
    #expect(
      end.errors
        == "mifctl: the agent closed \(agent.directory)/trigger.sock: it ended or is being restarted; try again; what was asked for may have been done all the same (mifctl trigger list)\n"
    )
  }

  @Test("the agent's own triggers are said to be its own")
  func agentsOwn() throws {
    let agent = try LiveAgent()
    defer { agent.remove() }
    agent.link(3, "up0")
    for (arguments, verb) in [(["delete", "1"], "delete"), (["modify", "1", "3"], "change")] {
      let end = try Run(["--runtime-dir", agent.directory, "trigger"] + arguments).finished()
      #expect(end.status == 1)
      #expect(
        end.errors == "mifctl: trigger 1 is the agent's own, from kernel (EPERM): nobody else may \(verb) it\n")
    }
  }

  // MARK: Output

  @Test("list, which triggers is too", arguments: [["triggers"], ["trigger"], ["trigger", "list"]])
  func list(_ command: [String]) throws {
    let agent = try FakeAgent()
    defer { agent.remove() }
    let arguments = ["--runtime-dir", agent.directory] + command
    #expect(
      try Run(arguments, environment: ["TZ": "UTC"]).finished().output == """
        ID  TRIGGER           ADDRESSES                   INTERFACE  SOURCE                 COUNT  SINCE
        42  DEST_UNREACHABLE  192.0.2.10 -> 198.51.100.7  wan0       ICMP host unreachable      1  2025-11-21 03:56:08.123456

        """)
    #expect(
      try Run(arguments + ["--json"]).finished().output
        == #"{"id":42,"type":6,"name":"DEST_UNREACHABLE","addresses":["192.0.2.10/24","198.51.100.7/32"],"origin":{"source":"ICMP","icmp":{"version":4,"type":3,"code":1,"text":"host unreachable"},"interface":"wan0","ifindex":3,"pvd":2,"count":1,"flags":[],"timestamp":1763697368123456789}}"#
        + "\n")
  }

  @Test("the environment says where the agent is, and the option wins")
  func environment() throws {
    let agent = try LiveAgent()
    defer { agent.remove() }
    let environment = ["MIFD_RUNTIME_DIR": agent.directory]
    #expect(try Run(["trigger", "add", "200"], environment: environment).finished().output == "added #1 TYPE_200\n")
    let elsewhere = try Run(["trigger", "--runtime-dir", "/nonexistent"], environment: environment).finished()
    #expect(elsewhere.errors.contains("/nonexistent/trigger.sock"))
    #expect(elsewhere.status == 1)
    let neither = try Run(["trigger"], environment: ["MIFD_RUNTIME_DIR": ""]).finished()
    #expect(neither.status == 0 || neither.errors.contains("/run/mifd/trigger.sock"))
  }

  @Test("a trigger's life")
  func life() throws {
    let agent = try LiveAgent()
    defer { agent.remove() }
    agent.link(3, "up0")
    func run(_ words: String, status: Int32 = 0) throws -> String {
      let arguments = ["trigger", "--runtime-dir", agent.directory] + words.split(separator: " ").map { String($0) }
      let end = try Run(arguments).finished()
      #expect(end.status == status, "\(end.errors)")
      return end.output
    }
    // Trigger 1 is the interface's.
    #expect(
      try run("get 1").hasPrefix("id         1\ntype       IF_ADDED (1)\ninterface  up0 (3)\nsource     kernel\n"))
    #expect(try run("add if-addrchanged 192.0.2.1/24") == "added #2 IF_ADDRCHANGED 192.0.2.1/24\n")
    #expect(
      try run("add dest-unreachable 192.0.2.1 198.51.100.7") == "added #3 DEST_UNREACHABLE 192.0.2.1 -> 198.51.100.7\n")
    #expect(
      try run("add --json 200 fe80::1/64%up0 ::ffff:192.0.2.1")
        == #"{"id":4,"type":200,"name":"TYPE_200","addresses":["fe80::1%3/64","::ffff:192.0.2.1/128"]}"# + "\n")
    let lines = try run("get 2").split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }
    #expect(
      lines.dropLast() == ["id 2", "type IF_ADDRCHANGED (3)", "address 192.0.2.1/24", "source client", "count 1"])
    // Its addresses stay, and are shown.
    #expect(try run("modify 2 conn-lost") == "changed #2 CONN_LOST 192.0.2.1/24\n")
    #expect(try run("modify 2 7 ::1") == "changed #2 TYPE_7 ::1\n")
    #expect(try run("list --type 7 --type 200").split(separator: "\n").count == 3)
    #expect(try run("list --address 192.0.0.0/16 --json").hasPrefix(#"{"id":3,"#))
    #expect(try run("list --interface up0").contains("IF_ADDED"))
    #expect(try run("list --address fe80::/64%up0").contains("TYPE_200"))
    #expect(
      try run("delete #2 99 4", status: 1)
        == "deleted #2 TYPE_7 ::1\ndeleted #4 TYPE_200 fe80::1%3/64, ::ffff:192.0.2.1\n")
    let gone = try JSONSerialization.jsonObject(with: Data(run("delete --json 3").utf8)) as! [String: Any]
    #expect(gone["addresses"] as? [String] == ["192.0.2.1/32", "198.51.100.7/32"])
    #expect(try run("list").split(separator: "\n").count == 2)
  }

  @Test("watch: what exists, changes, an agent that restarts, SIGTERM")
  func watch() throws {
    let agent = try LiveAgent()
    defer { agent.remove() }
    agent.link(3, "up0")
    let connection = try TriggerConnection(runtimeDirectory: agent.directory)
    _ = try connection.add(.connectionLost, addresses: [IPPrefix("192.0.2.1")!])
    let run = try Run(["--runtime-dir", agent.directory, "trigger", "watch", "--type", "if-added", "--type", "200"])
    func line() throws -> String { String(try run.line().dropFirst(17)) }
    #expect(try line() == "agent      connected  on \(agent.directory)")
    #expect(try line() == "trigger    is         #1 IF_ADDED on up0: kernel")
    #expect(try line() == "agent      complete   that is what exists; what follows is news")
    let own = TriggerKind(rawValue: 200)
    let added = try connection.add(own, addresses: [IPPrefix("2001:db8::1/64")!])
    _ = try connection.modify(added.identifier, own, addresses: [IPPrefix("2001:db8::2/64")!])
    _ = try connection.modify(added.identifier, .connectionLost)
    #expect(try line() == "trigger    new        #3 TYPE_200 2001:db8::1/64: client")
    #expect(try line() == "trigger    changed    #3 TYPE_200 2001:db8::2/64: client")
    #expect(try line().hasPrefix("trigger    gone       #3"))
    agent.stop()
    #expect(try line() == "agent      gone       waiting for it on \(agent.directory)")
    let next = try LiveAgent(directory: agent.directory)
    defer { next.stop() }
    #expect(try line() == "agent      connected  on \(agent.directory) again")
    // Whether the session or the link is first there.
    let rest = try [line(), line()]
    #expect(rest.contains("agent      complete   that is what exists; what follows is news"))
    #expect(rest.contains("trigger    gone       #1 IF_ADDED on up0"))
    next.link(4, "up1")
    #expect(try line() == "trigger    new        #1 IF_ADDED on up1: kernel")
    run.signal(SIGTERM)
    let end = try run.finished()
    #expect(end.status == 0)
    #expect(end.errors == "")
  }

  @Test("watch --json: what monitor has")
  func watchJSON() throws {
    let agent = try LiveAgent()
    defer { agent.remove() }
    agent.link(3, "up0")
    let run = try Run(["--runtime-dir", agent.directory, "trigger", "watch", "--json"])
    var events: [String] = []
    while events.last != "agent complete" {
      let object = try JSONSerialization.jsonObject(with: Data(run.line().utf8)) as! [String: Any]
      events.append("\(object["event"]!) \(object["change"]!)")
      #expect(object["time_ns"] is NSNumber)
      if let trigger = object["trigger"] as? [String: Any] { #expect(trigger["name"] as? String == "IF_ADDED") }
    }
    #expect(events == ["agent connected", "trigger exists", "agent complete"])
    run.closeOutput()
    #expect(try run.finished().status == 0)
  }

  @Test("help is a page to work from", arguments: [["trigger", "--help"], ["help", "trigger"]])
  func help(_ arguments: [String]) throws {
    let end = try Run(arguments).finished()
    #expect(end.status == 0)
    for word in [
      "mifctl trigger add if-addrchanged 192.0.2.1/24", "TDB_TTYPE_", "fe80::1%eth0", "dest-unreachable",
      "trigger-write", "\"addresses\"", "watch", "modify",
    ] {
      #expect(end.output.contains(word))
    }
    #expect(end.output.split(separator: "\n").allSatisfy { $0.count <= 80 })
  }
}
