import CLinux
import Platform
import Testing
import Wire

@testable import Resolving

private let good = always("192.0.2.1", "2001:db8::1")
private let addresses: Set = ["192.0.2.1", "2001:db8::1"]

/// Servers that are not there, not in time, or not who they say.
@Suite struct Servers {
  @Test(arguments: [2, 4, 5, 9] as [UInt16])
  func oneThatRefusesGivesWayAtOnce(_ code: UInt16) throws {
    let bench = try Bench(try Bench.servers([always(code: code), good]))
    let outcome = try bench.resolve("www.example")
    #expect(Set(outcome.addresses) == addresses && outcome.duration < 100)
  }

  /// What a server says about the name is believed: NXDOMAIN is no reason to ask another.
  @Test func oneThatDeniesIsBelieved() throws {
    let bench = try Bench(try Bench.servers([always(code: 3), good]))
    #expect(try bench.resolve("www.example").verdict == nameError())
    #expect(bench.servers[1].questions.isEmpty)
  }

  @Test func oneThatIsNotThereGivesWayAtOnce() throws {
    let bench = try Bench(try Bench.servers([silent, good]))
    bench.servers[0].shut()
    let first = try bench.resolve("www.example")
    #expect(Set(first.addresses) == addresses && first.duration < 100)
    let unreachable = bench.counter("resolver.servers.unreachable")
    #expect((1...2).contains(unreachable))
    // It is asked last now, for a while.
    let second = try bench.resolve("www.example")
    #expect(Set(second.addresses) == addresses)
    #expect(bench.counter("resolver.servers.unreachable") == unreachable)
  }

  @Test func nobodyThere() throws {
    let bench = try Bench(try Bench.servers([silent, silent]))
    for server in bench.servers { server.shut() }
    let outcome = try bench.resolve("www.example")
    #expect(outcome.verdict == .failed(rcode: 0, errno: ECONNREFUSED) && outcome.duration < 100)
  }

  @Test func oneThatIsSilentIsOvertaken() throws {
    let bench = try Bench(try Bench.servers([silent, good]))
    let first = try bench.resolve("www.example")
    #expect(Set(first.addresses) == addresses)
    #expect((150..<400).contains(first.duration))
    // The question that the silent one still has is ended, and it is asked last from now on.
    #expect(bench.resolver.questionCount == 0)
    let second = try bench.resolve("other.example")
    #expect(Set(second.addresses) == addresses && second.duration < 100)
    #expect(bench.servers[0].questions.count == 2)
  }

  @Test func everybodySilent() throws {
    let bench = try Bench(try Bench.servers([silent, silent])) { $0.tries = 2 }
    let outcome = try bench.resolve("www.example")
    #expect(outcome.verdict == .timedOut)
    #expect((600..<900).contains(outcome.duration))
    #expect(bench.servers.map(\.questions.count) == [4, 4])
    #expect(bench.resolver.questionCount == 0)
  }

  @Test func patienceEnds() throws {
    let bench = try Bench(try Bench.servers([silent, silent])) { $0.patience = 350 }
    let outcome = try bench.resolve("www.example")
    #expect(outcome.verdict == .timedOut)
    #expect((350..<600).contains(outcome.duration))
  }

  @Test func aLateAnswerStillCounts() throws {
    let late: FakeServer.Script = { question, _ in
      [.answer(DNSAnswer(question, [.address(question, v4: "192.0.2.9", v6: "2001:db8::9")]), after: 0.25)]
    }
    let bench = try Bench(try Bench.servers([late, silent]))
    let outcome = try bench.resolve("www.example")
    #expect(Set(outcome.addresses) == ["192.0.2.9", "2001:db8::9"])
    #expect((240..<450).contains(outcome.duration))
  }

  @Test func whatAServerSaidCountsMoreThanSilence() throws {
    let bench = try Bench(try Bench.servers([silent, always(code: 2)])) { $0.tries = 1 }
    #expect(try bench.resolve("www.example").verdict == .failed(rcode: 2, errno: EREMOTEIO))
  }

  @Test(arguments: ["another id", "another question", "another type", "no question", "another port", "short", "empty"])
  func forgeriesAreNotHeard(_ lie: String) throws {
    let bench = try Bench([
      try FakeServer { question, _ in
        var forged = DNSAnswer(question, [.address(question, v4: "203.0.113.66", v6: "2001:db8::66")])
        let right = Reply.answer(
          DNSAnswer(question, [.address(question, v4: "192.0.2.1", v6: "2001:db8::1")]), after: 0.05)
        switch lie {
        case "another id": forged.id &+= 1
        case "another question": forged.question = labels("bank.example") + forged.question.suffix(4)
        case "another type": forged.question[forged.question.count - 3] ^= 0x40
        case "no question": forged.question = []
        case "another port": return [.sendFromElsewhere(forged.bytes), right]
        case "short": return [.send(Array(forged.bytes.prefix(11))), right]
        default: return [.send([]), right]
        }
        return [.answer(forged), right]
      }
    ])
    let outcome = try bench.resolve("www.example")
    #expect(Set(outcome.addresses) == addresses && outcome.verdict == .complete)
  }

  /// The question sent back, as it is: no answer.
  @Test func aReflectedQuestion() throws {
    let reflect: FakeServer.Script = { question, _ in
      var answer = DNSAnswer(question)
      answer.flags = 0x0100
      return [.answer(answer)]
    }
    let bench = try Bench(try Bench.servers([reflect, good]))
    #expect(Set(try bench.resolve("www.example").addresses) == addresses)
  }

  @Test func identifiersDiffer() throws {
    let bench = try Bench([try FakeServer(good)])
    for index in 0..<50 { _ = try bench.resolve("host\(index).example") }
    #expect(Set(bench.servers[0].questions.map(\.id)).count > 95)
  }

  // MARK: From where

  @Test func theSourceAddressIsTheDomains() throws {
    let bench = try Bench([try FakeServer(good)])
    let outcome = try bench.resolve("www.example", bench.domain(sources: ["::1", "127.0.0.7", "127.0.0.8"]))
    #expect(Set(outcome.addresses) == addresses)
    #expect(Set(bench.servers[0].senders) == [.v4(IPv4Address(0x7F00_0007))])
  }

  @Test func overIPv6() throws {
    let bench = try Bench([try FakeServer(at: "::1", good)])
    #expect(Set(try bench.resolve("www.example").addresses) == addresses)
    #expect(Set(bench.servers[0].senders) == [.v6(IPv6Address(0, 1))])
  }

  /// SO_BINDTOIFINDEX on the one interface that is there without privilege.
  @Test func boundToTheInterface() throws {
    let bench = try Bench([try FakeServer(good)])
    let loopback = unsafe if_nametoindex("lo")
    #expect(Set(try bench.resolve("www.example", bench.domain(interface: loopback)).addresses) == addresses)
    let gone = try bench.resolve("www.example", bench.domain(interface: 0x7FFF_FFFF))
    #expect(gone.verdict == .failed(rcode: 0, errno: ENODEV))
  }

  @Test func anAddressThatIsNotOurs() throws {
    let bench = try Bench([try FakeServer(good)])
    let outcome = try bench.resolve("www.example", bench.domain(sources: ["192.0.2.77"]))
    #expect(outcome.verdict == .failed(rcode: 0, errno: EADDRNOTAVAIL))
  }

  @Test func nobodyToAsk() throws {
    let bench = try Bench()
    #expect(try bench.resolve("www.example").verdict == .refused(errno: EDESTADDRREQ))
    let servers = ResolverServers(interface: 0, servers: [.v4(IPv4Address(0x7F00_0001))], sources: [])
    #expect(try bench.resolve("www.example", servers).verdict == .refused(errno: EADDRNOTAVAIL))
    let odd = ResolverServers(
      interface: 0,
      servers: ["0.0.0.0", "224.0.0.1", "::", "ff02::1", "::ffff:127.0.0.1"].compactMap { IPAddress($0) },
      sources: [.v4(IPv4Address(0x7F00_0001)), .v6(IPv6Address(0, 1))])
    #expect(try bench.resolve("www.example", odd).verdict == .refused(errno: EDESTADDRREQ))
    #expect(bench.counter("resolver.refused.servers") == 3)
  }

  @Test func sourcesByFamilyAndScope() {
    func endpoints(_ servers: [String], _ sources: [String]) -> [String]? {
      Endpoint.all(
        of: ResolverServers(
          interface: 2, servers: servers.compactMap { IPAddress($0) }, sources: sources.compactMap { IPAddress($0) })
      )?.map { "\($0.server) from \($0.source.map { "\($0)" } ?? "any")" }
    }
    #expect(endpoints(["fe80::1"], ["2001:db8::2", "fe80::2"]) == ["fe80::1 from fe80::2"])
    #expect(endpoints(["fe80::1"], ["2001:db8::2"]) == ["fe80::1 from 2001:db8::2"])
    // The kernel takes the link's own.
    #expect(endpoints(["fe80::1"], ["192.0.2.2"]) == ["fe80::1 from any"])
    #expect(endpoints(["2001:db8::53"], ["fe80::2", "2001:db8::2"]) == ["2001:db8::53 from 2001:db8::2"])
    #expect(endpoints(["192.0.2.53", "2001:db8::53"], ["192.0.2.2"]) == ["192.0.2.53 from 192.0.2.2"])
    #expect(endpoints(["192.0.2.53", "192.0.2.53"], ["192.0.2.2"]) == ["192.0.2.53 from 192.0.2.2"])
    #expect(endpoints(["192.0.2.53"], ["2001:db8::2"]) == nil)
    #expect(endpoints((1...12).map { "192.0.2.\($0)" }, ["192.0.2.99"])?.count == 8)
  }
}
