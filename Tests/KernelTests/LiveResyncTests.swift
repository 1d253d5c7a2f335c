import Foundation
import Kernel
import Provisioning
import Testing
import Wire

/// What is lost is found again, and nothing is told twice.
@Suite("Resync, live", .serialized, .enabled(if: hasRoot, "needs root: network namespaces"))
struct LiveResyncTests {
  @Test("a burst overruns the socket: the difference is told, and nothing else")
  func overrun() async throws {
    try await inNamespace {
      try LiveTests.pair("up1", "peer1")
      try LiveTests.pair("up2", "peer2")
      try ip("address add 192.0.2.1/24 dev up1")
      try ip("route add default via 192.0.2.254")
      try ipBatch((0..<300).map { "address add 10.0.\($0 >> 8).\($0 & 255)/32 dev up1" })
      let observer = try Observer(receiveBuffer: 8192)
      try observer.settle()
      _ = observer.take()
      // All of this while nobody reads.
      try ip("address add 192.0.2.2/24 dev up1")
      try ipBatch((0..<150).map { "address delete 10.0.0.\($0)/32 dev up1" })
      try ipBatch((0..<200).map { "address add 10.1.0.\($0)/32 dev up1" })
      try ip("link delete up2")
      try ip("link add up3 type veth peer name peer3")
      try ip("route replace default via 192.0.2.253")
      try observer.settle()

      #expect(observer.counter(.overruns) >= 1)
      #expect(observer.counter(.resyncs) >= 1)
      try observer.expectTruth()
      let lines = observer.take()
      #expect(lines.filter { $0.hasPrefix("-address up1 10.0.0.") }.count == 150)
      #expect(lines.filter { $0.hasPrefix("address up1 10.1.0.") }.count == 200)
      // What stayed is not told again.
      #expect(!lines.contains { $0.hasPrefix("address up1 10.0.") })
      #expect(!lines.contains { $0.contains(" lo") || $0.hasPrefix("link up1") || $0.hasPrefix("-link up1") })
      #expect(lines.filter { $0.hasPrefix("-link") }.sorted() == ["-link peer2", "-link up2"])
      #expect(lines.filter { $0.contains("route") } == ["route v4 up1 192.0.2.253", "-route v4 up1 192.0.2.254"])
      #expect(!lines.contains("snapshot"))
      #expect(Set(lines).count == lines.count, "told twice")
    }
  }

  @Test("a link that an overrun hid goes after what was on it")
  func lostDeletion() async throws {
    try await inNamespace {
      try LiveTests.pair("up1", "peer1")
      try LiveTests.pair("up2", "peer2")
      try ip("address add 192.0.1.1/24 dev up1")
      try ip("address add 2001:db8:1::1/64 dev up1")
      try ip("route add default via 192.0.1.254")
      let observer = try Observer(receiveBuffer: 4096)
      try observer.settle()
      _ = observer.take()
      try ipBatch((0..<500).map { "address add 10.0.\($0 >> 8).\($0 & 255)/32 dev up2" })
      try ip("link delete up1")
      try observer.settle()
      #expect(
        observer.take(about: "up1").map { String($0.prefix { $0 != " " }) } == [
          "-route", "-address", "-address", "-link",
        ])
      try observer.expectTruth()
    }
  }

  @Test("a storm that goes on while it is read: overruns over overruns, and the truth in the end")
  func storm() async throws {
    try await inNamespace {
      try LiveTests.pair("up1", "peer1")
      let observer = try Observer(receiveBuffer: 4096)
      let commands = (0..<3000).map { "address \($0 & 1 == 0 ? "add" : "delete") 10.0.0.\($0 / 2 % 250)/32 dev up1" }
      for part in 0..<10 {
        try ipBatch(Array(commands[part * 300..<(part + 1) * 300]) + ["address add 10.1.0.\(part)/32 dev up1"])
        try observer.step(limit: 2)
      }
      try observer.settle()
      try observer.expectTruth()
      #expect(observer.counter(.overruns) > 0)
      #expect(observer.counter(.resyncs) <= observer.counter(.overruns))
      #expect(observer.heldAddresses.filter { $0.contains("10.1.0.") }.count == 10)
    }
  }

  @Test("tables that change under their dump are dumped again, and addresses wait for their links")
  func interrupted() async throws {
    try await inNamespace {
      try ipBatch((0..<300).map { "link add v\($0) type veth peer name w\($0)" })
      try ipBatch((0..<300).map { "address add 10.0.\($0 >> 8).\($0 & 255)/32 dev v\($0)" })
      let observer = try Observer(waiting: false)
      var changes = 0
      while observer.snapshots == 0 {
        try observer.step(limit: 1)
        // An address on the last link, which the dump of links hasn't come to, and a link that comes or goes.
        if changes < 60 {
          try ip("address \(changes & 1 == 0 ? "add" : "delete") 10.9.0.1/32 dev v299")
          try ip(changes & 1 == 0 ? "link add extra type veth peer name extra2" : "link delete extra")
          changes += 1
        }
      }
      try observer.settle()
      #expect(observer.counter(.dumpsInterrupted) > 0)
      #expect(observer.snapshots == 1)
      #expect(observer.links.count == 601)
      try observer.expectTruth()
    }
  }

  @Test("bites: a call reads no more than it was told to")
  func bites() async throws {
    try await inNamespace {
      try LiveTests.pair("up1", "peer1")
      let observer = try Observer()
      try observer.settle()
      let before = observer.counter(.datagrams)
      try ipBatch((0..<50).map { "address add 10.0.0.\($0)/32 dev up1" })
      #expect(try observer.step(limit: 7))
      #expect(observer.counter(.datagrams) == before + 7)
      try observer.settle()
      #expect(observer.counter(.datagrams) == before + 50)
    }
  }
}
