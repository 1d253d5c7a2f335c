import Glibc
import Messages
import Platform
import Provisioning
import Subscribers
import Testing
import Wire

/// Who may do what in the Trigger Database (draft-schilcher-mobike-trigger-api-00, section 8), by SO_PEERCRED and
/// SO_PEERGROUPS: clients of other users and groups connect from a process of root's that becomes one for a moment.
@Suite struct AccessTests {
  struct Case: Sendable, Codable, CustomTestStringConvertible {
    var testDescription: String
    var read: [Rule] = [Rule()]
    var write: [Rule] = []
    /// Answers to ADD of type 7 and of type 8, GET of a trigger of type 7 and of type 8, REGISTER.
    var errors: [UInt8]
    /// Ids of what it is told of the two triggers and then of two that come later.
    var told: [UInt32]
    var user: UInt32 = 1000
    var group: UInt32 = 100
    var supplementary: [UInt32] = []
  }

  struct Rule: Sendable, Codable {
    var user: UInt32?
    var group: UInt32?
    var types: [ClosedRange<UInt16>] = [1...65_535]

    var rule: AccessRule {
      AccessRule(user.map { .user($0) } ?? group.map { .group($0) } ?? .anybody, TriggerTypes(types))
    }
  }

  static let permitted: UInt8 = 0
  static let eperm: UInt8 = 1

  static let cases: [Case] = [
    Case(testDescription: "by default all read and none writes", errors: [1, 1, 0, 0, 0], told: [1, 2, 3, 4]),
    Case(
      testDescription: "root may everything", read: [], errors: [0, 0, 0, 0, 0], told: [1, 2, 3, 4, 5, 6], user: 0),
    Case(
      testDescription: "a user writes", write: [Rule(user: 1000)], errors: [0, 0, 0, 0, 0], told: [1, 2, 3, 4, 5, 6]),
    Case(
      testDescription: "another user does not", write: [Rule(user: 1001)], errors: [1, 1, 0, 0, 0], told: [1, 2, 3, 4]),
    Case(
      testDescription: "a user writes a type", write: [Rule(user: 1000, types: [8...9])], errors: [1, 0, 0, 0, 0],
      told: [1, 2, 3, 4, 5]),
    Case(
      testDescription: "a group writes", write: [Rule(group: 100)], errors: [0, 0, 0, 0, 0],
      told: [1, 2, 3, 4, 5, 6]),
    Case(
      testDescription: "a supplementary group writes", write: [Rule(group: 7), Rule(group: 50, types: [7...7])],
      errors: [0, 1, 0, 0, 0], told: [1, 2, 3, 4, 5], supplementary: [40, 50]),
    Case(
      testDescription: "of many supplementary groups the last", write: [Rule(group: 299)], errors: [0, 0, 0, 0, 0],
      told: [1, 2, 3, 4, 5, 6], supplementary: Array(200..<300)),
    Case(
      testDescription: "rules add up", write: [Rule(user: 1000, types: [7...7]), Rule(types: [8...8])],
      errors: [0, 0, 0, 0, 0], told: [1, 2, 3, 4, 5, 6]),
    Case(testDescription: "nobody reads", read: [], errors: [1, 1, 1, 1, 1], told: []),
    Case(
      testDescription: "a user reads a type", read: [Rule(user: 1000, types: [8...8])], errors: [1, 1, 1, 0, 0],
      told: [2, 4]),
    Case(
      testDescription: "who may only write hears nothing", read: [Rule(user: 1)], write: [Rule(user: 1000)],
      errors: [0, 0, 1, 1, 1], told: []),
  ]

  @Test(arguments: cases) func `who may do what`(_ test: Case) async {
    await #expect(processExitsWith: .success) { [test] in
      guard geteuid() == 0 else { return }
      var settings = Subscribers.Settings()
      settings.triggerReaders = test.read.map { $0.rule }
      settings.triggerWriters = test.write.map { $0.rule }
      let server = try Server(settings)
      let root = try server.triggerClient()
      let client = try AccessTests.connect(server, test.user, test.group, test.supplementary)
      _ = try root.ask(server, TDB.add(type: 7), TDB.add(type: 8))
      let answers = try client.ask(
        server, TDB.register(TDB.cause | TDB.replay, 5), TDB.add(type: 7, 1), TDB.add(type: 8, 2), TDB.get(1, 3),
        TDB.get(2, 4))
      let errors = (1...5).map { sequence in
        answers.first { $0.type != .notify && $0.header.sequence == UInt32(sequence) }!.header.error.rawValue
      }
      guard errors == test.errors else {
        print(errors)
        exit(1)
      }
      let later = try root.ask(server, TDB.add(type: 7), TDB.add(type: 8))
      guard later.allSatisfy({ $0.header.error == .none }) else { exit(2) }
      let told = (answers + (try client.triggerMessages())).filter { $0.type == .notify }
        .compactMap { $0.trigger?.identifier }
      guard told == test.told else {
        print(told)
        exit(3)
      }
    }
  }

  static func connect(_ server: Server, _ user: UInt32, _ group: UInt32, _ supplementary: [UInt32]) throws -> Client {
    // SO_PEERCRED says who connected.
    _ = unsafe setgroups(supplementary.count, supplementary)
    _ = setegid(group)
    _ = seteuid(user)
    defer {
      _ = seteuid(0)
      _ = setegid(0)
      _ = setgroups(0, nil)
    }
    return try server.triggerClient()
  }

  @Test func `changing a type takes the right to both, and what can no longer be read is gone`() async {
    await #expect(processExitsWith: .success) {
      guard geteuid() == 0 else { return }
      var settings = Subscribers.Settings()
      settings.triggerReaders = [AccessRule(.anybody, TriggerTypes([7...7]))]
      settings.triggerWriters = [AccessRule(.anybody, TriggerTypes([7...8]))]
      let server = try Server(settings)
      let client = try AccessTests.connect(server, 1000, 100, [])
      let answers = try client.ask(
        server, TDB.register(TDB.cause | TDB.origin), TDB.add(type: 7), TDB.modify(1, type: 9), TDB.modify(1, type: 8),
        TDB.get(1), TDB.modify(1, type: 7), TDB.delete(2), TDB.delete(1))
      let errors = answers.filter { $0.type != .notify }.map { $0.header.error }
      guard errors == [.none, .none, .notPermitted, .none, .notPermitted, .none, .noSuchEntry, .none] else { exit(1) }
      let causes = answers.filter { $0.type == .notify }.map { $0.cause }
      guard causes == [.add, .delete, .add, .delete] else { exit(2) }
      guard answers.filter({ $0.type == .notify })[1].origin?.reason == .unmatched else { exit(3) }
    }
  }

  @Test func `quotas of a user: triggers and connections`() async {
    await #expect(processExitsWith: .success) {
      guard geteuid() == 0 else { return }
      var settings = Subscribers.Settings()
      settings.triggerWriters = [AccessRule(.anybody)]
      settings.limitPerUser = 2
      var limits = Limits()
      limits.triggersPerUser = 3
      let server = try Server(settings, limits: limits)
      let first = try AccessTests.connect(server, 1000, 100, [])
      var second: Client? = try AccessTests.connect(server, 1000, 100, [])
      let other = try AccessTests.connect(server, 1001, 100, [])
      let root = try server.triggerClient()
      // All connections of one user count together.
      guard try first.ask(server, TDB.add(), TDB.add()).allSatisfy({ $0.header.error == .none }) else { exit(1) }
      let answers = try second!.ask(server, TDB.add(), TDB.add(), TDB.delete(1), TDB.add())
      guard answers.map({ $0.header.error }) == [.none, .noSpace, .none, .none] else { exit(2) }
      guard try other.ask(server, TDB.add()).first?.header.error == .some(.none) else { exit(3) }
      guard try root.ask(server, TDB.add(), TDB.add(), TDB.add(), TDB.add()).allSatisfy({ $0.header.error == .none })
      else { exit(4) }
      // A third connection is told why and closed; another one that goes makes room.
      let third = try AccessTests.connect(server, 1000, 100, [])
      try server.run()
      guard third.receiveAll() == [[1, 0, 28, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]], third.hasEnded else { exit(5) }
      guard server.counter("subscribers.refused-full") == 1 else { exit(6) }
      second = nil
      try server.run(untilConnected: 3)
      let fourth = try AccessTests.connect(server, 1000, 100, [])
      guard try fourth.ask(server, TDB.get(2)).first?.header.error == .some(.none) else { exit(7) }
    }
  }

  @Test func `a refusal is counted each time and logged once for a process`() async throws {
    let result = await #expect(processExitsWith: .success, observing: [\.standardErrorContent]) {
      guard geteuid() == 0 else { return }
      let server = try Server()
      // Two connections of one process are one process.
      for _ in 0..<2 {
        let client = try AccessTests.connect(server, 1000, 100, [])
        _ = try client.ask(server, TDB.add(), TDB.delete(1), TDB.add())
      }
      let other = try AccessTests.connect(server, 1001, 100, [])
      _ = try other.ask(server, TDB.add())
      guard server.counter("subscribers.not-permitted") == 7 else { exit(1) }
    }
    guard geteuid() == 0 else { return }
    let log = String(decoding: try #require(result).standardErrorContent, as: UTF8.self)
    let lines = log.split(separator: "\n").filter { $0.contains("refused") }
    #expect(lines.count == 2, "\(log)")
    #expect(lines.first?.contains("of user 1000 was refused a request to the trigger database (EPERM)") == true)
  }
}
