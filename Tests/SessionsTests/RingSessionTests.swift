import CLinux
import Messages
import Platform
import Provisioning
import Sessions
import Subscribers
import Testing

/// A session whose news are on the ring: the same story, and how it is waited for.
extension SessionTests {
  @Test func `news come on the ring where nothing is filtered, and on the socket where something is`() throws {
    var session = try TriggerSession(path: agent.path)
    try session.register(TriggerInterest())
    #expect(try told(&session) == ["in step"])
    try agent.link(3, "up0")
    #expect(try told(&session) == ["added 1 up0"])
    #expect(agent.counter("ring.records") == 1 && agent.counter("subscribers.news") == 0)
    try session.register(TriggerInterest(filter: TriggerFilter(types: [.interfaceRemoved])))
    #expect(try told(&session) == ["deleted 1 up0", "in step"])
    try agent.unlink(3)
    #expect(try told(&session) == ["added 2 up0"])
    #expect(agent.counter("ring.records") == 1)
    // And back: its place is still there.
    try session.register(TriggerInterest())
    #expect(try told(&session) == ["in step"])
    try agent.link(4, "up1")
    #expect(try told(&session) == ["added 1 up1"])
    #expect(agent.counter("ring.records") == 2)
  }

  @Test func `answers come between the news of the ring`() throws {
    var session = try TriggerSession(path: agent.path)
    try session.register(TriggerInterest())
    #expect(try told(&session) == ["in step"])
    for index in 3...202 as ClosedRange<UInt32> { try agent.link(index, "up\(index)") }
    let seq = try session.submit(.get(1))
    let words = try told(&session)
    let place = try #require(words.firstIndex(of: "answer \(seq) errno 0"))
    #expect(place < 80, "not behind all that is on the ring")
  }

  @Test func `woken once for as much as came, and the descriptor falls silent when all is heard`() throws {
    var session = try TriggerSession(path: agent.path)
    try session.register(TriggerInterest())
    #expect(try told(&session) == ["in step"])
    for index in 3...5 as ClosedRange<UInt32> { try agent.link(index, "up\(index)") }
    #expect(agent.counter("ring.wakes") == 1)
    #expect(try waitReadable(session.descriptor))
    #expect(try told(&session).count == 3)
    #expect(try !waitReadable(session.descriptor, milliseconds: 20))
    // What leads to nothing is heard in bites; more than one of them is not slept on.
    for _ in 0..<40 { try agent.link(3, "up3") }
    #expect(try told(&session).isEmpty)
  }

  @Test func `who spins is never woken`() throws {
    try agent.link(3, "up0")
    var session = try TriggerSession(path: agent.path, spins: true)
    try session.register(TriggerInterest())
    #expect(try told(&session) == ["added 1 up0", "in step"])
    #expect(try !session.wait(milliseconds: 1))
    try agent.link(4, "up1")
    #expect(try session.wait(milliseconds: 10_000))
    #expect(try told(&session) == ["added 1 up1"])
    #expect(agent.counter("ring.wakes") == 0)
    agent.stop()
    #expect(try session.wait(milliseconds: 10_000), "what is not on the ring is heard as well")
    #expect(try told(&session) == ["disconnected"])
  }

  @Test func `lapped in its sleep it comes into step by itself`() throws {
    var settings = Subscribers.Settings()
    settings.ringSize = 4096
    let agent = try Agent(settings)
    try agent.start()
    var session = try TriggerSession(path: agent.path)
    try session.register(TriggerInterest())
    func read() throws -> (added: Int, steps: Int) {
      var (added, steps) = (0, 0)
      for _ in 0..<10 {
        try agent.run()
        while let happening = try session.next() {
          switch happening {
          case .news(.added): added += 1
          case .news(.inStep): steps += 1
          default: Issue.record("\(happening)")
          }
        }
      }
      return (added, steps)
    }
    #expect(try read() == (0, 1))
    for index in 1...100 as ClosedRange<UInt32> { try agent.link(index, "if\(index)") }
    #expect(try waitReadable(session.descriptor), "it is woken to find that out")
    #expect(try read() == (100, 1))
    try agent.link(101, "if101")
    #expect(try read() == (1, 0))
  }

  @Test func `without a ring the socket is as good`() throws {
    var settings = Subscribers.Settings()
    settings.ringSize = 0
    let agent = try Agent(settings)
    try agent.start()
    var session = try TriggerSession(path: agent.path)
    try session.register(TriggerInterest())
    try agent.run()
    #expect(try session.next() == .news(.inStep))
    try agent.link(3, "up0")
    #expect(try waitReadable(session.descriptor))
    guard case .news(.added) = try session.next() else {
      Issue.record("no news")
      return
    }
    #expect(agent.counter("ring.records") == 0 && agent.counter("ring.refused") == 1)
  }
}
