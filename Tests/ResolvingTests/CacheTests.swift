import CLinux
import Testing
import Wire

@testable import Platform
@testable import Resolving

/// What servers said before: RFC 1035, 3.2.1 and 7.4.
@Suite struct CacheTests {
  private func bench(ttl: UInt32, limit: Int = 16) throws -> Bench {
    let server = try FakeServer { question, _ in
      let isV4 = question.type == 1
      return [.answer(DNSAnswer(question, [isV4 ? .a("192.0.2.1", ttl: ttl) : .aaaa("2001:db8::1", ttl: ttl + 10)]))]
    }
    return try Bench([server]) { $0.cachedAnswers = limit }
  }

  @Test func askedOnce() throws {
    let bench = try bench(ttl: 300)
    let first = try bench.resolve("www.example.org")
    let second = try bench.resolve("www.example.org")
    #expect(Set(second.addresses) == Set(first.addresses) && second.verdict == .complete)
    #expect(bench.servers[0].questions.count == 2 && bench.counter("resolver.cached") == 2)
    #expect(second.ttls.allSatisfy { (298...310).contains($0) })
  }

  @Test func noLongerThanItsTTL() throws {
    let bench = try bench(ttl: 1)
    _ = try bench.resolve("www.example.org")
    try bench.run(seconds: 1.1)
    #expect(try bench.resolve("www.example.org").verdict == .complete)
    // The AAAA record has eleven seconds.
    #expect(bench.servers[0].questions.map(\.type).sorted() == [1, 1, 28])
  }

  /// RFC 1035, 3.2.1: a TTL of 0 is for the transaction in progress alone.
  @Test func notAtAll() throws {
    let bench = try bench(ttl: 0)
    for _ in 0..<2 { _ = try bench.resolve("www.example.org") }
    #expect(bench.servers[0].questions.filter { $0.type == 1 }.count == 2)
  }

  /// What one domain's servers said is nothing to another domain, be it through the same server.
  @Test func ofThisDomainOnly() throws {
    let bench = try bench(ttl: 300)
    _ = try bench.resolve("www.example.org")
    _ = try bench.resolve("www.example.org", bench.domain(sources: ["127.0.0.7"]))
    #expect(bench.servers[0].questions.count == 4 && bench.counter("resolver.cached") == 0)
  }

  @Test func bounded() {
    func key(_ number: UInt8) -> AnswerCache.Key { AnswerCache.Key(servers: [], labels: [1, number, 0], family: .v4) }
    var cache = AnswerCache(limit: 3)
    for number in 0..<9 {
      cache.store(
        [(.v4(IPv4Address(1)), ttl: number < 2 ? 1 : 60)], key(UInt8(number)), at: UInt64(number) * 1_000_000_000)
      #expect(cache.count <= 3)
      #expect(cache.addresses(key(UInt8(number)), at: UInt64(number) * 1_000_000_000)?.count == 1)
    }
  }

  @Test func noLongerThanADay() {
    let key = AnswerCache.Key(servers: [], labels: [0], family: .v4)
    var cache = AnswerCache(limit: 1)
    cache.store([(.v4(IPv4Address(1)), ttl: 0x7FFF_FFFF)], key, at: 0)
    #expect(cache.addresses(key, at: 86_399_000_000_000)?.map { $0.ttl } == [1])
    #expect(cache.addresses(key, at: 86_400_000_000_000) == nil)
  }
}
