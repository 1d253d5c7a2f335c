import Glibc
import Messages
import Platform
import Provisioning
import Subscribers
import Testing
import Wire

/// Connections that come, go, half go, and are too many.
@Suite struct ConnectionTests {
  @Test func `who is gone is forgotten`() throws {
    let server = try Server()
    var clients: [Client] = []
    for _ in 0..<3 {
      clients.append(try server.triggerClient())
      clients.append(try server.mifClient())
    }
    for client in clients { client.send(message(4)) }
    try server.run()
    #expect(server.counter("subscribers.connected") == 6)
    clients = []
    try server.run(untilConnected: 0)
    #expect(server.counter("subscribers.connected") == 0)
    #expect(server.counter("subscribers.closed") == 6)
    let next = try server.triggerClient()
    #expect(try next.ask(server, TDB.register(), TDB.add()).count == 3)
  }

  @Test func `what a client sent before it went is done`() throws {
    let server = try Server()
    let witness = try server.triggerClient()
    _ = try witness.ask(server, TDB.register())
    var client: Client? = try server.triggerClient()
    for number in 1...60 { client?.send(TDB.add(UInt32(number))) }
    client = nil
    try server.run(untilConnected: 1)
    #expect(server.state.triggers.count == 60)
    #expect(try witness.triggerMessages().count == 60)
    #expect(server.counter("subscribers.connected") == 1)
  }

  @Test func `the same with answers that it had not read`() throws {
    let server = try Server()
    var client: Client? = try server.triggerClient()
    client?.send(TDB.register())
    try server.run()
    for number in 1...60 { client?.send(TDB.add(UInt32(number))) }
    client = nil
    try server.run(untilConnected: 0)
    #expect(server.state.triggers.count == 60)
    #expect(server.counter("subscribers.connected") == 0)
  }

  @Test func `a client that listens to nothing may still ask`() throws {
    let server = try Server()
    let client = try server.triggerClient()
    client.send(TDB.register())
    try server.run()
    shutdown(client.descriptor, Int32(SHUT_RD))
    for number in 1...60 { client.send(TDB.add(UInt32(number))) }
    try server.run()
    #expect(server.state.triggers.count == 60)
  }

  @Test func `a client that says that it has sent its last is closed`() throws {
    let server = try Server()
    let client = try server.triggerClient()
    client.send(TDB.add())
    shutdown(client.descriptor, Int32(SHUT_WR))
    try server.run()
    #expect(try client.triggerMessages().map { $0.type } == [.add])
    #expect(server.counter("subscribers.connected") == 0)
  }

  @Test func `a client that shuts down both ways with answers waiting does not make the loop spin`() throws {
    let server = try Server()
    let client = try server.triggerClient()
    _ = try client.ask(server, TDB.add())
    var sent: UInt32 = 0
    while server.counter("subscribers.held-back") == 0 {
      sent += 1
      client.send(TDB.get(1, sent))
      try server.run()
    }
    client.send(TDB.delete(1))
    shutdown(client.descriptor, Int32(SHUT_RDWR))
    try server.run()
    #expect(server.state.triggers.count == 0, "what it sent before is done")
    #expect(server.counter("subscribers.connected") == 0)
  }

  @Test func `a descriptor that is used anew is another subscriber`() throws {
    let server = try Server()
    var first: Client? = try server.triggerClient()
    _ = try first?.ask(server, TDB.register())
    for _ in 0..<50 {
      first?.send(TDB.get(1))
      first = nil
      let second = try server.triggerClient()
      second.send(TDB.add())
      try server.run()
      // Not registered: nothing but its answer.
      #expect(try second.triggerMessages().map { $0.type } == [.add])
      first = try server.triggerClient()
      _ = try first?.ask(server, TDB.register())
    }
  }

  /// Found by fuzzing: the loop waited for ever, and busily, for a socket that took what nobody sent.
  @Test func `who reads no more and asks for a replay again keeps nobody busy`() throws {
    let server = try Server()
    let client = try server.triggerClient()
    _ = try client.ask(server, TDB.add())
    shutdown(client.descriptor, CInt(SHUT_RD))
    client.send(TDB.add(2))
    try server.run()
    client.send(TDB.register(TDB.cause | TDB.replay, 3))
    client.send(TDB.add(4))
    try server.run()
    #expect(server.state.triggers.count == 3, "what it asks is carried out all the same")
  }

  @Test func `one too many is turned away, and may come when another has gone`() throws {
    var settings = Subscribers.Settings()
    settings.limit = 3
    let server = try Server(settings)
    var clients = try (0..<3).map { _ in try server.triggerClient() }
    let late = try server.mifClient()
    try server.run()
    #expect(
      late.receiveAll() == [[1, 0, 28, 0, 2, 0, 0, 0] + [UInt8](repeating: 0, count: 8)], "it is told why: ENOSPC")
    #expect(late.hasEnded)
    #expect(server.counter("subscribers.refused-full") == 1)
    for client in clients { #expect(try client.ask(server, TDB.get(1)).count == 1) }
    clients.removeLast()
    try server.run(untilConnected: 2)
    let next = try server.mifClient()
    #expect(try next.askMIF(server, MIF.interfaces()).count == 1)
  }

  @Test func `ten thousand that connect and vanish leave nothing behind`() throws {
    let server = try Server()
    let stays = try server.triggerClient()
    _ = try stays.ask(server, TDB.register())
    let before = openDescriptors()
    for round in 0..<100 {
      var crowd: [Client] = []
      for number in 0..<100 {
        let client = number % 2 == 0 ? try server.triggerClient() : try server.mifClient()
        switch number % 5 {
        case 0: break
        case 1: client.send(message(4))
        case 2: client.send(message(1))
        case 3: client.send([])
        default: client.send(TDB.get(1))
        }
        crowd.append(client)
      }
      if round % 2 == 0 { try server.turn() }
      crowd = []
      try server.run()
    }
    try server.run(untilConnected: 1)
    #expect(server.counter("subscribers.connected") == 1)
    #expect(server.counter("subscribers.accepted") == 10_001)
    // Other tests open some at the same time.
    #expect(openDescriptors() < before + 500)
    #expect(try stays.ask(server, TDB.add()).count == 2)
  }

  private func openDescriptors() -> Int {
    guard let directory = unsafe opendir("/proc/self/fd") else { return 0 }
    defer { unsafe closedir(directory) }
    var count = 0
    while unsafe readdir(directory) != nil { count += 1 }
    return count
  }

  @Test func `without descriptors left the loop rests, and goes on when there are some`() async {
    await #expect(processExitsWith: .success) {
      let server = try Server()
      let first = try server.triggerClient()
      _ = try first.ask(server, TDB.register())
      let waiting = [try server.triggerClient(), try server.mifClient()]
      // What the process may open is used up: the next descriptor would be past the limit.
      let probe = dup(0)
      close(probe)
      var limit = rlimit()
      unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      let enough = limit.rlim_cur
      limit.rlim_cur = rlim_t(probe)
      unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      var turns = 0
      let end = Clock.bootTime() + 350_000_000
      while Clock.bootTime() < end {
        try server.turn(wait: 20)
        turns += 1
      }
      // 350 ms in waits of 20 ms, and a retry now and then.
      guard turns < 40, server.counter("subscribers.accept-failed") > 0 else { exit(1) }
      // Those who are in are served.
      guard try first.ask(server, TDB.add()).count == 2 else { exit(2) }
      limit.rlim_cur = enough
      unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      for client in waiting { client.send(message(1, TDB.trigger(type: 7))) }
      let patience = Clock.bootTime() + 2_000_000_000
      while server.counter("subscribers.connected") < 3, Clock.bootTime() < patience { try server.turn(wait: 20) }
      try server.run()
      guard waiting[0].receiveAll().count == 1, waiting[1].receiveAll().count == 1 else { exit(3) }
    }
  }
}
