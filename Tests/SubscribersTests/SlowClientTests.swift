import Glibc
import Messages
import Platform
import Provisioning
import Subscribers
import Testing
import Wire

/// docs/protocol.md, "Queue": bounded news, answers that are never lost, and nobody else affected.
@Suite struct SlowClientTests {
  @Test func `the oldest news go, and the gap tells how many`() throws {
    var settings = Subscribers.Settings()
    settings.queueLimit = 4096
    let server = try Server(settings)
    let slow = try server.triggerClient()
    let quick = try server.triggerClient()
    _ = try slow.ask(server, TDB.register())
    _ = try quick.ask(server, TDB.register())
    try add(server, 3000) {
      let heard = try quick.triggerMessages()
      #expect(heard.count == 100)
    }
    let first = try readAll(slow, server)
    let sequences = first.map { $0.header.sequence }
    // What the kernel held came whole; then a gap; then the youngest.
    let gap = try #require(sequences.indices.dropFirst().first { sequences[$0] != sequences[$0 - 1] + 1 })
    #expect(sequences[..<gap].elementsEqual(1...UInt32(gap)))
    #expect(sequences[gap...].elementsEqual(3000 - UInt32(sequences.count - gap) + 1...3000))
    #expect(server.counter("subscribers.news-dropped") == UInt64(3000 - sequences.count))
    try add(server, 1) {}
    #expect(try slow.triggerMessages().map { $0.header.sequence } == [3001], "in step again")
  }

  private func add(_ server: Server, _ count: Int, _ everyHundred: () throws -> Void) throws {
    for number in 1...count {
      try server.happen { state, moment in
        _ = try? state.addTrigger(TriggerType(rawValue: 7), addresses: Trigger.Addresses(), user: 0, at: moment)
      }
      if number % 100 == 0 { try everyHundred() }
    }
  }

  private func readAll(_ client: Client, _ server: Server) throws -> [TriggerMessage] {
    var all: [TriggerMessage] = []
    while true {
      let messages = try client.triggerMessages()
      if messages.isEmpty { return all }
      all += messages
      try server.run()
    }
  }

  @Test func `an answer is never dropped, however many news come`() throws {
    var settings = Subscribers.Settings()
    settings.queueLimit = 4096
    let server = try Server(settings)
    let client = try server.triggerClient()
    _ = try client.ask(server, TDB.register())
    try add(server, 1000) {}
    // Behind the news that wait now; then more news than there is room for.
    client.send(TDB.get(1, 70))
    try server.run()
    try add(server, 1000) {}
    let messages = try readAll(client, server)
    let answer = try #require(messages.firstIndex { $0.type == .get })
    #expect(messages[answer].header.sequence == 70)
    #expect(messages[..<answer].allSatisfy { $0.header.sequence <= 1000 })
    #expect(messages[(answer + 1)...].allSatisfy { $0.header.sequence > 1000 })
    #expect(messages.last?.header.sequence == 2000)
  }

  @Test func `who does not read answers is not read from until it does`() throws {
    let server = try Server()
    let client = try server.triggerClient()
    let other = try server.triggerClient()
    _ = try client.ask(server, TDB.add())
    var sent: UInt32 = 0
    var heard: [UInt32] = []
    while sent < 5000 {
      // As much as the sockets take.
      while sent < 5000, client.send(TDB.get(1, sent + 1)) == .sent {
        sent += 1
        if sent % 100 == 0 { try server.run() }
      }
      try server.run()
      #expect(try other.ask(server, TDB.get(1)).count == 1)
      heard += try client.triggerMessages().map { $0.header.sequence }
    }
    for _ in 0..<1000 where heard.count < 5000 {
      try server.run()
      heard += try client.triggerMessages().map { $0.header.sequence }
    }
    #expect(heard == (1...5000).map { $0 })
    #expect(server.counter("subscribers.held-back") > 0)
  }

  @Test func `one answer that waits is enough to be held, and the requests behind it are served afterwards`() throws {
    let server = try Server()
    let client = try server.triggerClient()
    _ = try client.ask(server, TDB.add())
    var sent: UInt32 = 0
    while server.counter("subscribers.held-back") == 0 {
      sent += 1
      client.send(TDB.get(1, sent))
      try server.run()
    }
    let answered = server.counter("tdb.requests")
    for _ in 0..<5 {
      sent += 1
      client.send(TDB.get(1, sent))
      try server.run()
    }
    #expect(server.counter("tdb.requests") == answered, "not read from")
    var heard: [UInt32] = []
    for _ in 0..<10 {
      heard += try client.triggerMessages().map { $0.header.sequence }
      try server.run()
    }
    #expect(heard == (1...sent).map { $0 })
  }

  @Test(.enabled(if: memoryIsCounted)) func `a client that never reads costs bounded memory`() async {
    await #expect(processExitsWith: .success) {
      let server = try Server()
      let client = try server.triggerClient()
      _ = try client.ask(server, TDB.register(), TDB.add())
      func change(_ count: Int) throws {
        for number in 0..<count {
          try server.happen { state, moment in
            _ = try? state.modifyTrigger(
              1, type: TriggerType(rawValue: UInt16(1 + number % 60_000)), addresses: Trigger.Addresses(), user: 0,
              at: moment)
          }
        }
      }
      try change(20_000)
      let before = residentPages()
      try change(400_000)
      let after = residentPages()
      // 1 MiB: a byte or two for each of the news would be less.
      if after > before + 256 { exit(1) }
      guard server.counter("subscribers.news-dropped") > 400_000 else { exit(2) }
    }
  }

  @Test(.enabled(if: memoryIsCounted)) func `a client that never reads and asks all the time costs bounded memory`()
    async
  {
    await #expect(processExitsWith: .success) {
      let server = try Server()
      let client = try server.mifClient()
      for index in 1...200 {
        try server.apply(
          .link(Link(index: UInt32(index), name: InterfaceName("up".utf8), isUp: true, hasCarrier: true)))
      }
      func ask(_ count: Int) throws {
        for number in 1...count {
          client.send(MIF.interfaces(UInt32(number)))
          try server.run()
        }
      }
      try ask(1000)
      let before = residentPages()
      try ask(20_000)
      if residentPages() > before + 256 { exit(1) }
    }
  }
}

/// Not under the address sanitizer, which keeps what was freed for a while.
private let memoryIsCounted = unsafe dlsym(nil, "__asan_init") == nil

/// Pages of this process that are in memory: the second number of /proc/self/statm.
func residentPages() -> Int {
  guard let text = try? File.read(Array("/proc/self/statm".utf8), limit: 256) else { return 0 }
  let words = text.split(separator: UInt8(ascii: " "))
  return words[1].reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
}
