import CLinux
import Foundation
import Messages
import Testing

@testable import MIF

/// mifctl resolve and mifctl connect as they are run, against an agent that plays a network.
@Suite(.timeLimit(.minutes(1))) struct MifctlConnectTests {
  private static let v6 = "2001:db8:80::1"
  private static let v4 = "198.51.100.7"
  private static let first = "pvd.example.org"
  private static let second = "wan0-dhcpv4-192.0.2.1"

  private static let network = FakeNetwork(
    names: [1: ([v6, v4], .good), 2: ([], .failure(FakeNetwork.noSuchName))], hosts: [v6: .good])

  private static func agent(_ network: FakeNetwork = network, _ pairs: TCPPairs = TCPPairs()) throws -> FakeAgent {
    try FakeAgent(mif: { network.answer($0, $1) }, passing: { pairs.next() })
  }

  private static func run(_ agent: FakeAgent, _ arguments: String...) throws -> Run {
    try Run(arguments + ["--runtime-dir", agent.directory])
  }

  /// Without the time that it took.
  private static func lines(_ output: String) -> Set<String> {
    Set(output.split(separator: "\n").map { String($0).replacing(/after \d+ ms/, with: "after - ms") })
  }

  @Test("resolve: every domain's addresses, and how it ended")
  func resolve() throws {
    let agent = try Self.agent()
    defer { agent.remove() }
    let end = try Self.run(agent, "resolve", "www.example.org").finished()
    #expect(end.status == 0 && end.errors == "")
    #expect(
      Self.lines(end.output) == [
        "pvd.example.org        2001:db8:80::1  5m", "pvd.example.org        198.51.100.7  5m",
        "pvd.example.org        -- 2 addresses, after - ms",
        "wan0-dhcpv4-192.0.2.1  -- no such name (NXDOMAIN), after - ms",
      ])
    for chosen in ["2", Self.second] {
      let one = try Self.run(agent, "resolve", "www.example.org", "--pvd", chosen).finished()
      #expect(one.status == 1)
      #expect(Self.lines(one.output) == ["wan0-dhcpv4-192.0.2.1  -- no such name (NXDOMAIN), after - ms"])
      #expect(one.errors == "mifctl: wan0-dhcpv4-192.0.2.1 (id 2) has no address for www.example.org\n")
    }
    let interface = try Self.run(agent, "resolve", "www.example.org", "--interface", "wan0", "--pvd", "1").finished()
    #expect(interface.status == 0 && Self.lines(interface.output).count == 3)
  }

  @Test("resolve --json: one object a line")
  func resolveJSON() throws {
    let agent = try Self.agent()
    defer { agent.remove() }
    let end = try Self.run(agent, "resolve", "www.example.org", "--json").finished()
    let objects = try end.output.split(separator: "\n").map {
      try JSONSerialization.jsonObject(with: Data($0.utf8)) as! [String: Any]
    }
    #expect(objects.count == 4)
    let found = objects.filter { $0["address"] != nil }
    #expect(Set(found.map { $0["address"] as! String }) == [Self.v6, Self.v4])
    #expect(found.allSatisfy { $0["ttl"] as? Int == 300 && ($0["pvd"] as! [String: Any])["id"] as? Int == 1 })
    let ends = objects.filter { $0["end"] != nil }
    #expect(Set(ends.map { "\($0["end"]!) \($0["addresses"]!)" }) == ["complete 2", "failed 0"])
    let failure = ends.compactMap { $0["failure"] as? [String: Any] }
    #expect(failure.count == 1)
    #expect(failure[0]["from"] as? String == "resolver" && failure[0]["rcode"] as? Int == 3)
    #expect(failure[0]["errno"] as? Int32 == ENOENT)
  }

  @Test("resolve: a domain that is gone, an agent that ends")
  func resolveFailures() throws {
    var network = Self.network
    network.names[2] = nil
    network.names[1] = ([Self.v6], .silence)
    let agent = try Self.agent(network)
    defer { agent.remove() }
    let run = try Self.run(agent, "resolve", "www.example.org")
    var lines: [String] = []
    for _ in 0..<2 { lines.append(try run.line().replacing(/after \d+ ms/, with: "after - ms")) }
    #expect(
      Set(lines) == [
        "pvd.example.org        2001:db8:80::1  5m",
        "wan0-dhcpv4-192.0.2.1  -- the provisioning domain is gone (ENOENT), after - ms",
      ])
    agent.stop()
    let end = try run.finished()
    #expect(end.status == 1)
    #expect(end.errors.hasPrefix("mifctl: the agent closed \(agent.directory)/mif.sock"))
  }

  @Test("connect: both directions, each to its end")
  func connect() throws {
    let pairs = TCPPairs()
    let agent = try Self.agent(Self.network, pairs)
    defer { agent.remove() }
    let run = try Self.run(agent, "connect", "www.example.org", "80", "-v", "--pvd", "1")
    try run.write("a question\n")
    while pairs.count == 0 { usleep(1000) }
    #expect(pairs.receive() == "a question\n")
    pairs.send("an answer\n")
    #expect(try run.line() == "an answer")
    try run.closeInput()
    #expect(pairs.receive() == "")
    // The other end goes on.
    pairs.send("and more\n")
    #expect(try run.line() == "and more")
    shutdown(pairs.kept, Int32(SHUT_WR))
    let end = try run.finished()
    #expect(end.status == 0 && end.output == "")
    #expect(
      end.errors.wholeMatch(
        of:
          /mifctl: connected to \[2001:db8:80::1\]:80 from 127\.0\.0\.1:\d+ through pvd\.example\.org \(id 1\) on wan0\n/
      ) != nil, "\(end.errors)")
  }

  @Test("connect: the other end ends first; what is still to be sent is sent")
  func halfClosed() throws {
    let pairs = TCPPairs()
    let agent = try Self.agent(Self.network, pairs)
    defer { agent.remove() }
    let run = try Self.run(agent, "connect", "www.example.org", "80")
    while pairs.count == 0 { usleep(1000) }
    pairs.send("bye\n")
    shutdown(pairs.kept, Int32(SHUT_WR))
    #expect(try run.line() == "bye")
    try run.write("the rest")
    #expect(pairs.receive() == "the rest")
    try run.closeInput()
    #expect(pairs.receive() == "")
    #expect(try run.finished().status == 0)
  }

  @Test("connect: much, both ways at once, with readers that take their time")
  func bulk() throws {
    let pairs = TCPPairs()
    let agent = try Self.agent(Self.network, pairs)
    defer { agent.remove() }
    let run = try Self.run(agent, "connect", "www.example.org", "80")
    while pairs.count == 0 { usleep(1000) }
    let kept = pairs.kept
    let size = 8_000_000
    // Sends everything before it reads anything, as standard input does.
    let peer = Thread {
      let text = String(repeating: "y", count: size)
      _ = unsafe CLinux.send(kept, text, text.utf8.count, Int32(MSG_NOSIGNAL))
      while let text = TCPPairs.receive(from: kept), text != "" {}
      shutdown(kept, Int32(SHUT_WR))
    }
    peer.start()
    nonisolated(unsafe) let writing = run
    let writer = Thread {
      try? unsafe writing.write(String(repeating: "x", count: size))
      try? unsafe writing.closeInput()
    }
    writer.start()
    let end = try run.finished()
    #expect(end.status == 0)
    #expect(end.output.utf8.count == size)
  }

  @Test("connect: a connection that breaks, standard output that nobody reads")
  func broken() throws {
    let pairs = TCPPairs()
    let agent = try Self.agent(Self.network, pairs)
    defer { agent.remove() }
    let run = try Self.run(agent, "connect", "www.example.org", "80")
    while pairs.count == 0 { usleep(1000) }
    var abort = linger(l_onoff: 1, l_linger: 0)
    unsafe setsockopt(pairs.kept, SOL_SOCKET, SO_LINGER, &abort, socklen_t(MemoryLayout<linger>.size))
    pairs.closeKept()
    let end = try run.finished()
    #expect(end.status == 1)
    #expect(end.errors == "mifctl: the connection to [2001:db8:80::1]:80 broke: Connection reset by peer\n")

    let unread = try Self.run(agent, "connect", "www.example.org", "80")
    unread.closeOutput()
    #expect(try unread.finished().status == 0)
  }

  @Test("connect: nothing leads there")
  func notConnected() throws {
    var network = Self.network
    network.hosts[Self.v6] = .failure(FakeNetwork.refusal)
    let agent = try Self.agent(network)
    defer { agent.remove() }
    let end = try Self.run(agent, "connect", "www.example.org", "80").finished()
    #expect(end.status == 1 && end.output == "")
    #expect(
      end.errors == """
        mifctl: cannot connect to www.example.org port 80: Connection refused
        mifctl:   pvd.example.org: [2001:db8:80::1]:80: Connection refused
        mifctl:   pvd.example.org: 198.51.100.7:80: there is no address to reach it from
        mifctl:   wan0-dhcpv4-192.0.2.1: the name: no such name (NXDOMAIN)

        """)
    network.hosts = [:]
    let silent = try Self.agent(network)
    defer { silent.remove() }
    let late = try Self.run(silent, "connect", "www.example.org", "80", "--timeout", "300ms", "--pvd", "1").finished()
    #expect(late.status == 1)
    #expect(late.errors.hasPrefix("mifctl: cannot connect to www.example.org port 80: Connection timed out\n"))
  }

  @Test("connect --udp ends a second after standard input")
  func datagrams() throws {
    let agent = try Self.agent()
    defer { agent.remove() }
    let run = try Self.run(agent, "connect", "www.example.org", "53", "--udp")
    let start = ContinuousClock.now
    try run.closeInput()
    #expect(try run.finished().status == 0)
    #expect(ContinuousClock.now - start > .milliseconds(900))
  }

  @Test(
    "called wrongly",
    arguments: [
      ["resolve"], ["resolve", ""], ["resolve", String(repeating: "x", count: 256)], ["resolve", "a", "--pvd", ""],
      ["resolve", "a", "--pvd", "0"], ["resolve", "a", "--interface", "0"], ["connect", "a"], ["connect", "a", "0"],
      ["connect", "a", "65536"], ["connect", "a", "http"], ["connect", "", "80"],
      ["connect", "a", "80", "--timeout", "5"], ["connect", "a", "80", "--timeout", "2h"],
    ])
  func usage(_ arguments: [String]) throws {
    let end = try Run(arguments).finished()
    #expect(end.status == 2 && end.output == "")
    #expect(end.errors.contains("Usage: mifctl"))
  }

  @Test("domains and interfaces that there are not; none at all")
  func selection() throws {
    let agent = try Self.agent()
    defer { agent.remove() }
    for command in [["resolve", "a"], ["connect", "a", "80"]] {
      for domain in ["9", "nowhere"] {
        let end = try Run(command + ["--pvd", domain, "--runtime-dir", agent.directory]).finished()
        #expect(end.status == 2)
        #expect(
          end.errors == "mifctl: there is no provisioning domain '\(domain)': expected one of "
            + "pvd.example.org (id 1), wan0-dhcpv4-192.0.2.1 (id 2).\n")
      }
      let end = try Run(command + ["--interface", "wan9", "--runtime-dir", agent.directory]).finished()
      #expect(end.status == 2 && end.errors.contains("there is no interface 'wan9'"))
    }
    let empty = try FakeAgent(mif: { header, _ in [FakeAgent.answer("snapshot-end", to: header)] })
    defer { empty.remove() }
    let end = try Self.run(empty, "resolve", "a").finished()
    #expect(end.status == 1)
    #expect(end.errors.hasPrefix("mifctl: there is no provisioning domain: no network is configured"))
    let none = try Run(["connect", "a", "80", "--runtime-dir", "/nonexistent"]).finished()
    #expect(none.status == 1 && none.errors.hasPrefix("mifctl: no agent answers on /nonexistent/mif.sock"))
  }
}
