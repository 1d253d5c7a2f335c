import Glibc
import Messages
import Platform
import Provisioning
import Subscribers
import Testing
import Wire

/// NOTIFYs that come together are sent together: nobody can tell but by the clock.
@Suite struct BatchTests {
  let server: Server

  init() throws { server = try Server() }

  /// So many triggers in one turn.
  private func add(_ count: Int, addresses: Int = 0, to server: Server) throws {
    try server.happen { state, moment in
      for number in 0..<count {
        var all = TriggerAddresses()
        for each in 0..<addresses {
          let address = IPv6Address(0x2001_0DB8 << 32, UInt64(number << 8 | each))
          _ = try? all.append(TriggerAddress(.v6(address), prefixLength: 128))
        }
        _ = try? state.addTrigger(TriggerType(rawValue: 7), addresses: Trigger.Addresses(all), user: 0, at: moment)
      }
    }
  }

  private static let variants = [0, TDB.cause, TDB.origin, TDB.cause | TDB.origin]

  @Test(arguments: [1, 2, 15, 16, 17, 40], [0, 16])
  func `each subscriber hears all, in order, in its own variant`(_ count: Int, _ addresses: Int) throws {
    var clients: [(Client, flags: UInt8, heard: UInt32)] = []
    for flags in Self.variants {
      let client = try server.triggerClient()
      _ = try client.ask(server, TDB.register(flags))
      clients.append((client, flags, 0))
      // So each has another number for the same news.
      try add(1, to: server)
      for index in clients.indices { clients[index].heard += UInt32(try clients[index].0.triggerMessages().count) }
    }
    #expect(clients.map { $0.heard } == [4, 3, 2, 1])
    try add(count, addresses: addresses, to: server)
    for (client, flags, heard) in clients {
      let messages = try client.triggerMessages()
      #expect(messages.map { $0.header.sequence } == (1...UInt32(count)).map { $0 + heard })
      #expect(messages.map { $0.trigger?.identifier } == (1...UInt32(count)).map { $0 + 4 })
      #expect(messages.allSatisfy { $0.type == .notify && $0.addresses.count == addresses })
      #expect(messages.allSatisfy { ($0.cause == .add) == (flags & TDB.cause != 0) })
      #expect(messages.allSatisfy { ($0.origin != nil) == (flags & TDB.origin != 0) })
    }
  }

  @Test func `news before a request are told before its answer`() throws {
    let client = try server.triggerClient()
    _ = try client.ask(server, TDB.register(TDB.cause))
    client.send(TDB.get(2, 70))
    client.send(TDB.register(TDB.origin))
    // They are kept back for the end of the turn in which the requests are read.
    server.keep { state, moment in
      for _ in 0..<3 {
        _ = try? state.addTrigger(TriggerType(rawValue: 7), addresses: Trigger.Addresses(), user: 0, at: moment)
      }
    }
    try server.run()
    try add(1, to: server)
    let messages = try client.triggerMessages()
    #expect(messages.map { $0.type } == [.notify, .notify, .notify, .get, .register, .notify])
    #expect(messages.map { $0.cause } == [.add, .add, .add, nil, nil, nil])
    #expect(messages.map { $0.origin != nil } == [false, false, false, false, false, true])
    #expect(messages.filter { $0.type == .notify }.map { $0.header.sequence } == [1, 2, 3, 4])
  }

  @Test func `who goes on to the ring has what was kept back first`() throws {
    let client = try server.triggerClient()
    _ = try client.ask(server, TDB.register(TDB.cause))
    client.send(TDB.register(TDB.cause | TDB.ring))
    server.keep { state, moment in
      _ = try? state.addTrigger(TriggerType(rawValue: 7), addresses: Trigger.Addresses(), user: 0, at: moment)
    }
    try server.run()
    let news = try client.receiveWithDescriptors()
    #expect(news.0.type == .notify && news.0.header.sequence == 1 && news.1.isEmpty)
    let answer = try client.receiveWithDescriptors()
    #expect(answer.0.type == .register && !answer.1.isEmpty)
  }

  @Test func `a socket that fills up in the middle loses nothing and gets nothing twice`() throws {
    var settings = Subscribers.Settings()
    settings.sendBuffer = 4096
    settings.queueLimit = 1_000_000
    let server = try Server(settings)
    let slow = try server.triggerClient()
    _ = try slow.ask(server, TDB.register(TDB.cause))
    for _ in 0..<20 { try add(16, addresses: 3, to: server) }
    var sequences: [UInt32] = []
    while true {
      let messages = try slow.triggerMessages()
      if messages.isEmpty { break }
      sequences += messages.map { $0.header.sequence }
      try server.run()
    }
    #expect(sequences == (1...320).map { $0 })
    #expect(server.counter("subscribers.news") == 320)
    #expect(server.counter("subscribers.news-dropped") == 0)
  }

  @Test func `one that has hung up in between is let go, and the others are told`() throws {
    let clients = try (0..<3).map { _ in try server.triggerClient() }
    for client in clients { _ = try client.ask(server, TDB.register()) }
    shutdown(clients[1].descriptor, Int32(SHUT_RDWR))
    try add(20, to: server)
    try server.run()
    for client in [clients[0], clients[2]] {
      #expect(try client.triggerMessages().map { $0.header.sequence } == (1...20).map { $0 })
    }
    #expect(server.counter("subscribers.connected") == 2)
  }
}
