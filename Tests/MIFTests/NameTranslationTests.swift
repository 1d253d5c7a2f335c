import CLinux
import Messages
import Testing

@testable import MIF

/// Translating names, against an agent that plays a network.
@Suite(.timeLimit(.minutes(1))) struct NameTranslationTests {
  private static func agent(_ names: [UInt32: (addresses: [String], end: FakeNetwork.Outcome)]) throws -> FakeAgent {
    let network = FakeNetwork(names: names)
    return try FakeAgent(mif: { network.answer($0, $1) })
  }

  private static func domains(_ agent: FakeAgent) throws -> [ProvisioningDomain] {
    let connection = try MIFConnection(runtimeDirectory: agent.directory)
    return try connection.domains(on: connection.interfaces()[0])
  }

  @Test("the addresses, then the end")
  func addresses() async throws {
    let agent = try Self.agent([1: (["2001:db8:80::1", "198.51.100.7"], .good)])
    defer { agent.remove() }
    let domains = try Self.domains(agent)
    var found: [String] = []
    for try await address in translate("www.example.org", in: domains[0], runtimeDirectory: agent.directory) {
      found.append(address.description)
    }
    #expect(found == ["2001:db8:80::1", "198.51.100.7"])
    #expect(try await until { agent.mif.left == 2 })

    // Of a domain that has gone meanwhile.
    await #expect(throws: ClientError.refused(request: "TRANSLATE_NAME", .notFound)) {
      for try await _ in translate("www.example.org", in: domains[1], runtimeDirectory: agent.directory) {}
    }
  }

  @Test("the verdict")
  func verdict() async throws {
    let servfail = Failure(error: UInt16(EREMOTEIO), from: .resolver, resolverStatus: 2)
    let agent = try Self.agent([
      1: ([], .failure(FakeNetwork.noSuchName)), 2: (["198.51.100.7"], .failure(servfail)),
    ])
    defer { agent.remove() }
    let domains = try Self.domains(agent)
    var events = translate("www.example.org", in: domains[0], runtimeDirectory: agent.directory).makeAsyncIterator()
    let error = await #expect(throws: ClientError.self) { try await events.next() }
    #expect(error == .notTranslated(name: "www.example.org", NetworkFailure(errno: ENOENT, .resolver(rcode: 3))))
    #expect(error?.errno == ENOENT)
    #expect(error?.description == "cannot translate www.example.org: no such name (NXDOMAIN)")
    #expect(try await events.next() == nil)

    events = translate("www.example.org", in: domains[1], runtimeDirectory: agent.directory).makeAsyncIterator()
    #expect(try await events.next()?.description == "198.51.100.7")
    let late = await #expect(throws: ClientError.self) { try await events.next() }
    #expect(late?.description == "cannot translate www.example.org: the DNS server answers SERVFAIL")
  }

  @Test("a loop that is left, and a task that is cancelled, stop it")
  func cancellation() async throws {
    let agent = try Self.agent([1: (["2001:db8:80::1"], .silence)])
    defer { agent.remove() }
    let domain = try Self.domains(agent)[0]
    for try await _ in translate("www.example.org", in: domain, runtimeDirectory: agent.directory) { break }
    #expect(try await until { agent.mif.left == 2 })
    for count in 1...20 {
      let task = Task {
        var found = 0
        for try await _ in translate("www.example.org", in: domain, runtimeDirectory: agent.directory) { found += 1 }
        return found
      }
      #expect(try await until { agent.mif.connected == 2 + count })
      if count % 2 == 0 { try await Task.sleep(for: .milliseconds(count)) }
      task.cancel()
      #expect(try await task.value <= 1)
    }
    #expect(try await until { agent.mif.left == 22 })
  }

  @Test("a name that can't be sent; nobody there")
  func failures() async throws {
    let agent = try Self.agent([:])
    defer { agent.remove() }
    let domain = try Self.domains(agent)[0]
    let long = String(repeating: "x", count: 256)
    let error = await #expect(throws: ClientError.unusableName(long)) {
      for try await _ in translate(long, in: domain, runtimeDirectory: agent.directory) {}
    }
    #expect(error?.errno == ENAMETOOLONG)
    await #expect(throws: ClientError.noAgent(path: "/nonexistent/mif.sock")) {
      for try await _ in translate("www.example.org", in: domain, runtimeDirectory: "/nonexistent") {}
    }
  }

  @Test(
    "failures in words",
    arguments: [
      (Failure(error: UInt16(ECONNREFUSED), from: .peer), "Connection refused"),
      (Failure(error: UInt16(EHOSTUNREACH), from: .icmp, icmpType: 3, icmpCode: 1), "ICMP host unreachable"),
      (
        Failure(error: UInt16(ENETUNREACH), from: .icmpv6, icmpType: 1, icmpCode: 0),
        "ICMPv6 no route to destination"
      ),
      (Failure(error: UInt16(ETIMEDOUT), from: .timeOut), "no answer in time"),
      (Failure(error: UInt16(EADDRNOTAVAIL), from: .local), "there is no address to reach it from"),
      (Failure(error: UInt16(EDESTADDRREQ), from: .local), "no DNS server is known"),
      (Failure(error: UInt16(ENETDOWN), from: .local), "Network is down"),
      (Failure(error: UInt16(ENODATA), from: .resolver), "the name has no address"),
      (Failure(error: UInt16(ECONNREFUSED), from: .resolver), "Connection refused"),
      (Failure(error: UInt16(EACCES), from: .resolver, resolverStatus: 5), "the DNS server answers REFUSED"),
      (Failure(error: UInt16(EPROTO), from: .resolver, resolverStatus: 11), "the DNS server answers RCODE 11"),
    ])
  func words(_ failure: Failure, _ text: String) throws {
    let failure = try #require(NetworkFailure(failure))
    #expect(failure.description == text)
    #expect(failure.errno != 0)
  }
}
