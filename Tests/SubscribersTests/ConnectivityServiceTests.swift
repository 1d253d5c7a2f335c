import Glibc
import Messages
import Platform
import Provisioning
import Testing
import Wire

@testable import Subscribers

/// Messages 28 to 32 and 40 on the socket; what follows from them is ConnectivityTests' subject.
@Suite struct ConnectivityServiceTests {
  private static func settings() -> Subscribers.Settings {
    var settings = Subscribers.Settings()
    settings.connectivityManagers = [AccessRule(.user(geteuid()))]
    settings.connectivity.interfaces = [InterfacePattern(Array("up*".utf8)[...])!]
    settings.connectivity.hooks = [.connectHook, .idleHook]
    return settings
  }

  private func link(_ index: UInt32, up: Bool, carrier: Bool? = nil) -> KernelEvent {
    .link(Link(index: index, name: InterfaceName("up\(index)".utf8), isUp: up, hasCarrier: carrier ?? up))
  }

  private func errands(_ server: Server) -> [Errand] {
    var errands: [Errand] = []
    while let errand = server.subscribers.nextErrand() { errands.append(errand) }
    return errands
  }

  @Test func `the answer comes before the news, and others hear them too`() throws {
    let server = try Server(Self.settings())
    try server.apply(link(3, up: false))
    let client = try server.mifClient()
    let other = try server.mifClient()
    let deaf = try server.mifClient()
    _ = try client.askMIF(server, MIF.interfaces())
    _ = try other.askMIF(server, MIF.interfaces())
    let messages = try client.askMIF(server, message(28))
    #expect(messages.map { $0.header.type } == [28, 32])
    #expect(messages.first?.header.error == .some(.none) && messages.first?.header.length == 2)
    #expect(messages.last?.header.sequence == 1 && messages.last?.header.pid == 0)
    #expect(try other.mifMessages().map { $0.header.type } == [32])
    #expect(try deaf.askMIF(server, message(28)).map { $0.header.type } == [28], "it did not ask for interfaces")
    #expect(errands(server) == [Errand(.setUp, 3), Errand(.connectHook, 3)])

    // The kernel says so too: told once.
    try server.apply(link(3, up: true, carrier: false), link(3, up: true))
    #expect(try other.mifMessages().map { $0.header.type } == [3, 3])
    _ = try client.mifMessages()
    let down = try client.askMIF(server, message(40, MIF.interface(3), [1, 0, 11, 0, 0, 0, 0, 0]))
    #expect(down.map { $0.header.type } == [40, 31])
    #expect(try other.mifMessages().map { $0.header.type } == [31])
    server.subscribers.advance(at: server.now, server.state, server.poller)
    #expect(errands(server) == [Errand(.setDown, 3)])
  }

  @Test func `what somebody else sets up is told when it does not run yet`() throws {
    let server = try Server(Self.settings())
    try server.apply(link(3, up: false))
    let client = try server.mifClient()
    _ = try client.askMIF(server, MIF.interfaces())
    try server.apply(link(3, up: true, carrier: false), link(3, up: true), link(3, up: true, carrier: false))
    #expect(try client.mifMessages().map { $0.header.type } == [3, 32, 3, 3])
    try server.apply(link(3, up: false), link(3, up: true), link(4, up: true, carrier: false))
    #expect(try client.mifMessages().map { $0.header.type } == [3, 3, 3, 32])
  }

  @Test func `a subscriber that goes takes its stake along`() throws {
    let server = try Server(Self.settings())
    try server.apply(link(3, up: true))
    let client = try server.mifClient()
    _ = try client.askMIF(server, MIF.interfaces())
    var busy: Client? = try server.mifClient()
    _ = try busy!.askMIF(server, message(29, MIF.pvd(0)), message(28))
    _ = try client.mifMessages()
    #expect(try client.askMIF(server, message(29, MIF.pvd(0))).map { $0.header.type } == [29])
    busy = nil
    try server.run(untilConnected: 1)
    #expect(server.subscribers.deadline == 0, "there is something to tell")
    server.subscribers.advance(at: server.now, server.state, server.poller)
    #expect(try client.mifMessages().map { $0.header.type } == [31])
    #expect(errands(server).map { $0.kind } == [.connectHook])
  }
}
