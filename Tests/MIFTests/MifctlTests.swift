import CLinux
import Foundation
import Testing

/// The command line as it is run, against an agent that plays golden vectors.
@Suite struct MifctlTests {
  @Test("interfaces")
  func interfaces() throws {
    let agent = try FakeAgent()
    defer { agent.remove() }
    let run = try Run(["--runtime-dir", agent.directory, "interfaces"])
    #expect(
      try run.finished().output == """
        INDEX  NAME  STATE  PVDS
            3  wan0  UP     pvd.example.org, wan0-dhcpv4-192.0.2.1

        """)
    let json = try Run(["interfaces", "--json", "--runtime-dir", agent.directory])
    #expect(
      try json.finished().output
        == #"{"index":3,"name":"wan0","flags":["up","carrier"],"pvds":["pvd.example.org","wan0-dhcpv4-192.0.2.1"]}"#
        + "\n")
  }

  @Test("pvds")
  func pvds() throws {
    let agent = try FakeAgent()
    defer { agent.remove() }
    #expect(
      try Run(["--runtime-dir", agent.directory, "pvds"]).finished().output == """
        pvd.example.org: explicit, on wan0, id 1
            address     2001:db8:1::10/64 advertised                         preferred 4h, valid 1d
            dns         192.0.2.53                                           10m                     RA
            search      corp.example.org                                     10m                     RA
            mtu         1480                                                 forever                 RA
            prefix      2001:db8:1::/64 on-link autoconf                     preferred 4h, valid 1d  RA
            route       2001:db8:2::/48 via fe80::1%wan0 low                 30m                     RA
            route       10.0.0.0/8 on-link                                   1h                      RA
            router      fe80::1%wan0 high                                    30m                     RA
            pvd-option  sequence 258 http legacy                             forever                 RA
            lease       from 192.0.2.1, renewal T1 30m, rebinding T2 52m30s  1h                      RA
            option-252  6874747073                                           forever                 RA

        wan0-dhcpv4-192.0.2.1: implicit, on wan0, id 2
            address  192.0.2.10/24 permanent  forever

        """)
    let lines = try Run(["--runtime-dir", agent.directory, "pvds", "--json"]).finished().output.split(separator: "\n")
    #expect(lines.count == 2)
    let object = try JSONSerialization.jsonObject(with: Data(lines[0].utf8)) as! [String: Any]
    #expect(object["name"] as? String == "pvd.example.org")
    let elements = object["elements"] as! [[String: Any]]
    #expect((elements[0]["data"] as! [[String: Any]]).count == 10)
  }

  @Test("stats")
  func stats() throws {
    let agent = try FakeAgent()
    defer { agent.remove() }
    #expect(
      try Run(["--runtime-dir", agent.directory, "stats"]).finished().output == """
        a                                            1
        capture.control.received  18446744073709551615

        """)
    #expect(
      try Run(["--runtime-dir", agent.directory, "stats", "--json"]).finished().output
        == #"{"a":1,"capture.control.received":18446744073709551615}"# + "\n")
  }

  @Test("monitor: what exists, news, an agent that restarts, SIGTERM")
  func monitor() throws {
    let agent = try FakeAgent()
    defer { agent.remove() }
    let run = try Run(["--runtime-dir", agent.directory, "monitor"])
    func line() throws -> String {
      let line = try run.line()
      // The time, to the microsecond.
      #expect(line.prefix(15).wholeMatch(of: /\d\d:\d\d:\d\d\.\d{6}/) != nil, "\(line)")
      return String(line.dropFirst(17))
    }
    #expect(try line() == "agent      connected  on \(agent.directory)")
    // Two sockets: their lines may come in any order.
    let existing = try Set((0..<7).map { _ in try line() })
    #expect(
      existing == [
        "interface  is         wan0: UP",
        "pvd        is         wan0 pvd.example.org: explicit, id 1",
        "pvd        is         wan0 wan0-dhcpv4-192.0.2.1: implicit, id 2",
        "element    is         wan0 pvd.example.org: RA",
        "address    is         wan0 pvd.example.org: 2001:db8:1::10/64, preferred 4h, valid 1d, advertised",
        "address    is         wan0 wan0-dhcpv4-192.0.2.1: 192.0.2.10/24, permanent",
        "trigger    is         #42 DEST_UNREACHABLE 192.0.2.10 -> 198.51.100.7 on wan0: ICMP host unreachable (type 3 code 1)",
      ])
    #expect(try line() == "agent      complete   that is what exists; what follows is news")

    agent.trigger.push(FakeAgent.news("notify-delete"))
    #expect(
      try line() == "trigger    gone       #42 DEST_UNREACHABLE 2001:db8:1::10 -> 2001:db8:ffff::7 on wan0: expired")
    agent.trigger.push(FakeAgent.news("notify-cause-origin"))
    let unreachable = try line()
    #expect(
      unreachable.hasPrefix(
        "trigger    new        #42 DEST_UNREACHABLE 192.0.2.10 -> 198.51.100.7 on wan0: ICMP host unreachable (type 3 code 1), "
      ))
    #expect(unreachable.hasSuffix(" µs after the packet"))
    agent.mif.push(FakeAgent.news("no-interface", 1))
    #expect(try line() == "interface  gone       wan0")
    agent.mif.push(FakeAgent.news("overrun", 42))
    #expect(try line() == "agent      lost       40 news of the network: asking for everything again")
    #expect(try line() == "interface  is         wan0: UP")
    for _ in 0..<5 { _ = try line() }
    #expect(try line() == "agent      complete   that is what exists; what follows is news")

    agent.stop()
    #expect(try line() == "agent      gone       waiting for it on \(agent.directory)")
    let next = try FakeAgent(directory: agent.directory)
    defer { next.stop() }
    #expect(try line() == "agent      connected  on \(agent.directory) again")
    // The network anew; of the triggers none is different.
    for _ in 0..<6 { #expect(try !line().hasPrefix("trigger")) }
    #expect(try line() == "agent      complete   that is what exists; what follows is news")

    run.signal(SIGTERM)
    let end = try run.finished()
    #expect(end.status == 0)
    #expect(end.errors == "")
  }

  @Test("monitor --json: one object a line")
  func monitorJSON() throws {
    let agent = try FakeAgent()
    defer { agent.remove() }
    let run = try Run(["--runtime-dir", agent.directory, "monitor", "--json"])
    var events: [String: Int] = [:]
    while true {
      let object = try JSONSerialization.jsonObject(with: Data(run.line().utf8)) as! [String: Any]
      let event = "\(object["event"]!) \(object["change"]!)"
      events[event, default: 0] += 1
      #expect(object["time_ns"] is NSNumber)
      if event == "agent complete" { break }
    }
    #expect(
      events == [
        "agent connected": 1, "interface exists": 1, "pvd exists": 2, "element exists": 1, "address exists": 2,
        "trigger exists": 1, "agent complete": 1,
      ])
    run.signal(SIGINT)
    #expect(try run.finished().status == 0)
  }

  @Test("monitor ends when nobody reads it any more")
  func closedOutput() throws {
    let agent = try FakeAgent()
    defer { agent.remove() }
    let run = try Run(["--runtime-dir", agent.directory, "monitor"])
    _ = try run.line()
    run.closeOutput()
    #expect(try run.finished().status == 0)
  }

  @Test(
    "no agent: what, where, what to do",
    arguments: ["interfaces", "pvds", "triggers", "monitor", "stats"])
  func noAgent(_ command: String) throws {
    let end = try Run(["--runtime-dir", "/nonexistent", command]).finished()
    let socket = command == "triggers" || command == "monitor" ? "trigger.sock" : "mif.sock"
    #expect(end.status == 1)
    #expect(end.output == "")
    #expect(
      end.errors
        == "mifctl: no agent answers on /nonexistent/\(socket): is mifd running? (--runtime-dir and MIFD_RUNTIME_DIR name another directory)\n"
    )
  }

  @Test("called wrongly", arguments: [["frobnicate"], ["interfaces", "--frob"], ["monitor", "extra"]])
  func usage(_ arguments: [String]) throws {
    let end = try Run(arguments).finished()
    #expect(end.status == 2)
    #expect(end.output == "")
    #expect(end.errors.contains("Usage: mifctl"))
  }

  @Test("help")
  func help() throws {
    let end = try Run(["monitor", "--help"]).finished()
    #expect(end.status == 0)
    #expect(end.output.contains("USAGE: mifctl monitor"))
    #expect(end.output.contains("time_ns"))
  }

  @Test("names from the network move no cursor")
  func printable() throws {
    let agent = try FakeAgent(mif: { header, request in
      FakeAgent.mif(header, request).map { message in
        // The name in INTERFACE and the one in PVD of the same announcement.
        guard message[1] == 7, message[3] == 1 else { return message }
        var message = message
        message[16 + 32 + 12] = 0x1B
        return message
      }
    })
    defer { agent.remove() }
    let output = try Run(["--runtime-dir", agent.directory, "interfaces"]).finished().output
    #expect(output.contains("?vd.example.org"))
    let json = try Run(["--runtime-dir", agent.directory, "interfaces", "--json"]).finished().output
    #expect(json.contains(#"\u001bvd.example.org"#))
  }
}
