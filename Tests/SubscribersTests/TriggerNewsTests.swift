import Glibc
import Messages
import Platform
import Provisioning
import Subscribers
import Testing
import Wire

/// REGISTER and NOTIFY without REPLAY.
@Suite struct TriggerNewsTests {
  let server: Server

  init() throws { server = try Server() }

  @Test func `a writer has its answer before its own NOTIFY`() throws {
    let client = try server.triggerClient()
    let messages = try client.ask(server, TDB.register(), TDB.add(2), TDB.modify(1, 3), TDB.delete(1, 4))
    #expect(
      messages.map { $0.type } == [.register, .add, .notify, .modify, .notify, .delete, .notify])
  }

  @Test func `everybody hears every change once, in one order`() throws {
    let clients = try (0..<5).map { _ in try server.triggerClient() }
    for client in clients { _ = try client.ask(server, TDB.register(TDB.cause | TDB.origin)) }
    for round in 0..<20 {
      for client in clients { client.send(TDB.add(UInt32(round))) }
      clients[round % 5].send(TDB.delete(UInt32(round * 5 + 1)))
      try server.apply(
        .link(Link(index: 3, name: InterfaceName("up0".utf8), isUp: round % 2 == 0, hasCarrier: true)))
      try server.run()
    }
    let stories = try clients.map { try $0.triggerMessages().filter { $0.type == .notify } }
    #expect(stories[0].count > 100)
    for story in stories {
      #expect(story.map { $0.header.sequence } == (1...UInt32(story.count)).map { $0 })
      #expect(story.map { $0.trigger } == stories[0].map { $0.trigger })
      #expect(story.map { $0.cause } == stories[0].map { $0.cause })
    }
  }

  @Test func `without extensions NOTIFY is the bare draft`() throws {
    let client = try server.triggerClient()
    let writer = try server.triggerClient()
    _ = try client.ask(server, TDB.register())
    _ = try writer.ask(server, TDB.add(type: 6, 9, addresses: TDB.address(192, 0, 2, 1, prefix: 24)), TDB.delete(1))
    let pid = UInt32(getpid())
    let body = bytes(UInt16(7)) + [0, 0]
    let payloads = TDB.trigger(type: 6, id: 1) + TDB.address(192, 0, 2, 1, prefix: 24)
    #expect(
      client.receiveAll() == [
        [1, 5, 0, 0] + body + bytes(UInt32(1)) + bytes(pid) + payloads,
        [1, 5, 0, 0] + body + bytes(UInt32(2)) + bytes(pid) + payloads,
      ])
  }

  @Test func `CAUSE and ORIGIN`() throws {
    let client = try server.triggerClient()
    let answer = try #require(client.ask(server, TDB.register(TDB.cause | TDB.origin)).first)
    #expect(answer.header.flags == TDB.cause | TDB.origin && answer.header.length == 2)
    let messages = try client.ask(server, TDB.add(), TDB.modify(1), TDB.delete(1)).filter { $0.type == .notify }
    #expect(messages.map { $0.cause } == [.add, .modify, .delete])
    #expect(messages.map { $0.origin?.source } == [.client, .client, .client])
    #expect(messages.map { $0.origin?.reason } == [.some(.none), .some(.none), .deleted])
    try server.apply(.link(Link(index: 3, name: InterfaceName("up0".utf8), isUp: true, hasCarrier: true)))
    let news = try #require(client.triggerMessages().first)
    #expect(news.header.pid == 0, "the agent itself")
    #expect(news.origin?.interface == 3 && news.origin?.interfaceName.bytes == Array("up0".utf8))
    let got = try #require(client.ask(server, TDB.get(2)).first)
    #expect(got.origin?.source == .kernel)
  }

  @Test(arguments: [0x08, 0x20, 0x80, 0xEF] as [UInt8])
  func `only what is served is granted`(_ flags: UInt8) throws {
    let client = try server.triggerClient()
    let answer = try #require(client.ask(server, TDB.register(flags)).first)
    #expect(answer.header.error == .none && answer.header.flags == flags & 0x0F)
  }

  @Test func `a second REGISTER replaces the extensions and not the registration`() throws {
    let client = try server.triggerClient()
    _ = try client.ask(server, TDB.register(TDB.cause), TDB.register(TDB.origin))
    let news = try client.ask(server, TDB.add()).filter { $0.type == .notify }
    #expect(news.count == 1)
    #expect(news.first?.header.flags == 0 && news.first?.origin != nil)
    #expect(news.first?.header.sequence == 1)
  }

  @Test func `a thousand subscribers`() throws {
    var settings = Subscribers.Settings()
    settings.limit = 1100
    let server = try Server(settings)
    var clients: [Client] = []
    for _ in 0..<1000 {
      let client = try server.triggerClient()
      client.send(TDB.register(TDB.cause))
      clients.append(client)
      // The listener's backlog is 128.
      if clients.count % 64 == 0 { try server.run() }
    }
    let writer = try server.triggerClient()
    _ = try writer.ask(server, TDB.add(1), TDB.add(2))
    for client in clients {
      let messages = try client.triggerMessages()
      #expect(messages.map { $0.header.sequence } == [1, 1, 2])
      #expect(messages.compactMap { $0.trigger?.identifier } == [1, 2])
    }
    // Every second one goes; the rest hear the next change, and each one once.
    let rest = clients.enumerated().filter { $0.offset % 2 == 0 }.map { $0.element }
    clients = []
    try server.run(untilConnected: 501)
    _ = try writer.ask(server, TDB.delete(1))
    #expect(server.counter("subscribers.connected") == 501)
    for client in rest { #expect(try client.triggerMessages().map { $0.header.sequence } == [3]) }
  }
}
