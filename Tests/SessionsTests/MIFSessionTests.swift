import CLinux
import Messages
import Platform
import Sessions
import Testing
import Wire

/// POST MESSAGE and GET MESSAGE against an agent whose every word is written here.
@Suite(.serialized) struct MIFSessionTests {
  let agent: ScriptedAgent

  init() throws { agent = try ScriptedAgent() }

  private func openSession() throws -> Client {
    let session = try Client(path: agent.path)
    try agent.accept()
    return session
  }

  @Test func `a request goes out, its answers come back under its seq`() throws {
    let session = try openSession()
    let sequence = try session.post(.announcePvDs(interface: 3))
    let requests = try agent.requests()
    #expect(requests.map(\.request) == [.announcePvDs(interface: 3)])
    let header = try #require(requests.first?.header)
    #expect(header.sequence == sequence)
    #expect(try session.next() == nil)
    try agent.end(header)
    let message = try #require(try session.next())
    #expect(message.content == .snapshotEnd)
    #expect(session.isAnswer(message, to: sequence))
    #expect(try session.next() == nil)
  }

  @Test func `the socket beside CONNECTED is taken, or closed`() throws {
    let session = try openSession()
    let pipes = try (0..<3).map { _ in try Pipe() }
    for pipe in pipes {
      let request = try session.post(.connectToPvD(1))
      let header = try #require(try agent.requests().last).header
      try agent.say(beside: pipe.end) { writer throws(MessageOverflow) in
        try writer.connected(to: header, Transaction(identifier: 7))
      }
      pipe.closeEnd()
      #expect(try session.next()?.header.sequence == request)
    }
    #expect(pipes.map(\.isOpenElsewhere) == [false, false, true])
    var socket = session.takeSocket()
    #expect(session.takeSocket() == nil)
    #expect(clinux_fcntl(try #require(socket).descriptor.number, F_GETFD, 0) == FD_CLOEXEC)
    #expect(try session.next() == nil)
    #expect(pipes[2].isOpenElsewhere)
    socket = nil
    #expect(!pipes[2].isOpenElsewhere)
  }

  @Test func `the end is told, and polled, for ever`() throws {
    let session = try openSession()
    agent.close()
    for _ in 0..<3 {
      #expect(try session.wait(milliseconds: 1000))
      #expect(throws: MIFFailure.disconnected(.connectionReset)) { try session.next() }
      #expect(throws: MIFFailure.disconnected(.connectionReset)) { try session.post(.announceInterfaces) }
    }
    #expect(!session.isConnected)
  }

  @Test func `last words say why, also where a request was on its way`() throws {
    let session = try openSession()
    try agent.say { writer throws(MessageOverflow) in
      try writer.header(type: 0, error: .noSpace, sequence: 0, pid: 0)
    }
    _ = try session.post(.announceInterfaces)
    agent.close()
    // A process that another test has just forked may hold the other end for a moment more.
    var end: MIFFailure?
    for _ in 0..<100 where end == nil {
      do throws(MIFFailure) {
        if try session.next() == nil { _ = try? session.wait(milliseconds: 20) }
      } catch { end = error }
    }
    #expect(end == .disconnected(.noSpace))
  }

  @Test func `what is no message ends the session`() throws {
    for nonsense: [UInt8] in [[1, 2, 3], Array(repeating: 0xFF, count: 16), [2, 3] + Array(repeating: 0, count: 14)] {
      let session = try openSession()
      agent.send(nonsense)
      #expect(throws: MIFFailure.disconnected(.protocolError)) { try session.next() }
      #expect(agent.isLeft)
    }
  }

  @Test func `posting never waits`() throws {
    let session = try openSession()
    var posted = 0
    let failure = #expect(throws: MIFFailure.self) {
      while posted < 100_000 {
        _ = try session.post(.announceInterfaces)
        posted += 1
      }
    }
    #expect(failure == .wouldBlock)
    #expect(try !session.wait(for: .write, milliseconds: 0))
    #expect(try agent.requests().count == posted)
    #expect(try session.wait(for: .write, milliseconds: 1000))
    #expect(try session.post(.announceInterfaces) == UInt32(posted + 1), "what was not posted has no seq")
  }

  @Test func `a name too long is refused`() throws {
    let session = try openSession()
    let name = NodeName([UInt8](repeating: 97, count: 256))
    #expect(throws: MIFFailure.nameTooLong) {
      try session.post(.translateName(pvd: 1, Transaction(identifier: 1), name))
    }
  }
}
