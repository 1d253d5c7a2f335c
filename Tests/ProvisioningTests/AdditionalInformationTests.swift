import Messages
import PacketBuilders
import Testing
import Wire

@testable import Provisioning

/// When PvD Additional Information is fetched and how long it counts (RFC 8801 section 4).
@Suite struct AdditionalInformationTests {
  private static let name = "pvd.example.net"
  private let name = AdditionalInformationTests.name
  private let address = IPPrefix(v6(0x10), 64)
  private let text = Array(#"{"identifier":"pvd.example.net"}"#.utf8)

  private static func host(seed: UInt64 = 0) -> Host {
    let host = Host.withLink()
    host.state.fetchesInformation = true
    host.state.random = RandomTimes(seed: seed)
    return host
  }

  /// H, and the delay.
  private func ra(
    http: Bool = true, sequence: Int = 1, delay: Int = 0, name: String = name, from router: UInt64 = 1,
    _ prefixes: [IPv6Address] = [prefix(1)]
  ) -> [UInt8] {
    let flags = (http ? 0x8000 : 0) | delay
    return Build.ra(
      [Build.pvd(Build.name(name), flags: flags, sequence: sequence, prefixes.map { Build.pio($0) })],
      source: fe80(router))
  }

  /// A host with an address in the PvD, asked once, and not answered yet.
  private func asking() throws -> (Host, InformationFetch) {
    let host = Self.host()
    host.hear(ra())
    host.address(address)
    host.wait(2)
    let fetch = try #require(host.state.takeInformationFetches().first)
    host.told()
    return (host, fetch)
  }

  private func known(_ host: Host, for seconds: UInt64 = 3600, _ prefixes: [IPPrefix]? = nil) -> InformationReport {
    .known(
      expires: host.moment.timestamp / 1_000_000_000 + seconds, prefixes: prefixes ?? [IPPrefix(.v6(prefix(1)), 48)],
      text: text)
  }

  private func information(_ host: Host) -> [ConfigurationItem] {
    host.items(.additionalInformation, of: .routerAdvertisement, in: name)
  }

  // MARK: Asking

  @Test func `With H it is fetched once, through the PvD that asks for it`() throws {
    let (host, fetch) = try asking()
    let domain = try #require(host.state.domains(of: Host.up0)?.first)
    #expect(fetch.pvd == domain.id && fetch.name == Array(name.utf8) && fetch.interface == Host.up0)
    host.hear(ra())
    host.wait(600)
    #expect(host.state.takeInformationFetches() == [])
    #expect(host.count(.informationRequests) == 1)
  }

  @Test func `Without H hosts MUST NOT ask`() {
    let host = Self.host()
    host.hear(ra(http: false))
    host.address(address)
    host.wait(3600)
    #expect(host.state.takeInformationFetches() == [])
    host.told()
  }

  @Test(arguments: [0, 1, 5, 15])
  func `It is fetched after a random time between zero and 2^(10 + Delay) milliseconds`(_ delay: Int) {
    var times: Set<UInt64> = []
    for seed in 0..<32 {
      let host = Self.host(seed: UInt64(seed))
      host.hear(ra(delay: delay))
      host.address(address)
      let start = host.moment.instant.nanoseconds
      let most = UInt64(1) << (10 + UInt64(delay)) * 1_000_000
      guard case .waiting(let time) = host.state.interfaces[0].information.entries.first?.phase else {
        Issue.record("it waits for nothing")
        continue
      }
      #expect(time.nanoseconds >= start && time.nanoseconds <= start + most)
      times.insert(time.nanoseconds)
      host.told()
    }
    #expect(times.count > 30)
  }

  @Test func `It waits for an address of the PvD to ask from`() {
    let host = Self.host()
    host.hear(ra())
    host.wait(100)
    #expect(host.state.takeInformationFetches() == [])
    host.address(address, .tentative)
    #expect(host.state.takeInformationFetches() == [])
    host.address(address)
    #expect(host.state.takeInformationFetches().count == 1)
    host.told()
  }

  @Test func `Nobody fetches where nobody is to`() {
    let host = Self.host()
    host.state.fetchesInformation = false
    host.hear(ra())
    host.address(address)
    host.wait(100)
    #expect(host.state.takeInformationFetches() == [])
    host.told()
  }

  // MARK: What is known

  @Test func `A checked object is data of the element, and news`() throws {
    let (host, fetch) = try asking()
    host.state.informationFetched(fetch, known(host), at: host.moment)
    #expect(host.told() == ["ELEMENT \(name) RA"])
    #expect(information(host).map { $0.value } == [.text(text)])
    #expect(information(host).map { $0.validLifetime } == [3600])
    // An advertisement that says the same is none.
    host.hear(ra())
    #expect(host.told() == [])
  }

  @Test func `Whenever the expiry date is reached, hosts MUST stop using it`() throws {
    let (host, fetch) = try asking()
    host.state.informationFetched(fetch, known(host, for: 100), at: host.moment)
    host.told()
    host.wait(99)
    #expect(information(host).count == 1)
    host.wait(1)
    #expect(information(host).isEmpty)
    #expect(host.told() == ["ELEMENT \(name) RA"])
  }

  @Test func `An update is fetched at a random time in the second half of its life, and replaces it`() throws {
    let (host, fetch) = try asking()
    host.state.informationFetched(fetch, known(host, for: 1000), at: host.moment)
    host.told()
    host.wait(499)
    #expect(host.state.takeInformationFetches() == [])
    host.wait(501)
    let again = try #require(host.state.takeInformationFetches().first)
    host.state.informationFetched(again, known(host, for: 1000), at: host.moment)
    #expect(information(host).map { $0.validLifetime } == [1000])
    host.told()
  }

  @Test func `An object that has expired is refused`() throws {
    let (host, fetch) = try asking()
    host.state.informationFetched(fetch, known(host, for: 0), at: host.moment)
    #expect(information(host).isEmpty && host.count(.informationRefused) == 1)
    #expect(host.told() == [])
  }

  @Test func `Another sequence number: hosts MUST stop using it, and fetch it anew`() throws {
    let (host, fetch) = try asking()
    host.state.informationFetched(fetch, known(host), at: host.moment)
    host.told()
    host.wait(60)
    host.hear(ra(sequence: 2))
    #expect(information(host).isEmpty)
    #expect(host.told() == ["ELEMENT \(name) RA"])
    host.wait(2)
    #expect(host.state.takeInformationFetches().count == 1)
  }

  @Test func `A sequence number that changes during a fetch makes its answer worthless`() throws {
    let (host, fetch) = try asking()
    host.hear(ra(sequence: 2))
    host.told()
    host.state.informationFetched(fetch, known(host), at: host.moment)
    #expect(information(host).isEmpty)
    host.wait(12)
    #expect(host.state.takeInformationFetches().count == 1)
  }

  @Test func `Two routers of a PvD that count apart are no change`() throws {
    let (host, fetch) = try asking()
    host.hear(ra(sequence: 9, from: 2))
    host.wait(20)
    host.state.informationFetched(fetch, known(host), at: host.moment)
    host.wait(20)
    let again = try #require(host.state.takeInformationFetches().first)
    host.state.informationFetched(again, known(host), at: host.moment)
    host.told()
    for _ in 0..<10 {
      host.hear(ra())
      host.hear(ra(sequence: 9, from: 2))
      host.wait(30)
    }
    #expect(host.told() == [] && host.state.takeInformationFetches() == [])
  }

  @Test func `H gone: what it led to is dropped`() throws {
    let (host, fetch) = try asking()
    host.state.informationFetched(fetch, known(host), at: host.moment)
    host.told()
    host.hear(ra(http: false))
    #expect(information(host).isEmpty)
    #expect(host.told() == ["ELEMENT \(name) RA"])
    host.wait(7000)
    #expect(host.state.takeInformationFetches() == [])
    host.told()
  }

  @Test func `The PvD gone: an answer that comes then is nobody's, and nothing is left`() throws {
    let (host, fetch) = try asking()
    host.link(isUp: false)
    host.state.informationFetched(fetch, known(host), at: host.moment)
    host.wait(20)
    #expect(host.state.interfaces[0].information.entries.isEmpty)
    host.told()
  }

  // MARK: Prefixes

  @Test(arguments: [
    (IPPrefix(.v6(prefix(1)), 48), true), (IPPrefix(.v6(prefix(1)), 64), true), (IPPrefix(.v6(prefix(0)), 47), true),
    (IPPrefix(.v6(prefix(1)), 65), false), (IPPrefix(.v6(prefix(2)), 48), false), (IPPrefix(v6(7), 64), true),
  ])
  func `Every PIO must be covered, bit by bit`(_ listed: IPPrefix, _ isCovered: Bool) throws {
    let (host, fetch) = try asking()
    host.state.informationFetched(fetch, known(host, [listed]), at: host.moment)
    #expect(information(host).isEmpty != isCovered)
    host.told()
  }

  @Test func `A router that then advertises another prefix is misconfigured: it MUST NOT be used`() throws {
    let (host, fetch) = try asking()
    host.state.informationFetched(fetch, known(host), at: host.moment)
    host.told()
    host.hear(ra([prefix(1), prefix(2)]))
    #expect(information(host).isEmpty && host.count(.informationRefused) == 1)
    #expect(host.told() == ["ELEMENT \(name) RA"])
  }

  // MARK: Failures and limits

  @Test func `Refused: it MUST NOT be requested again as long as the host is attached`() throws {
    let (host, fetch) = try asking()
    host.state.informationFetched(fetch, .refused, at: host.moment)
    host.hear(ra(sequence: 2))
    host.wait(7000)
    #expect(host.state.takeInformationFetches() == [])
    host.link(hasCarrier: false)
    host.link()
    host.hear(ra(sequence: 2))
    host.address(address)
    host.wait(2)
    #expect(host.state.takeInformationFetches().count == 1)
    host.told()
  }

  @Test func `Not reached: tried again after ten seconds, then ever more rarely`() throws {
    var (host, fetch) = try asking()
    var waits: [UInt64] = []
    for _ in 0..<12 {
      host.state.informationFetched(fetch, .notReached, at: host.moment)
      let start = host.moment.instant.nanoseconds
      var fetches: [InformationFetch] = []
      while fetches.isEmpty {
        host.hear(ra())
        host.wait(1)
        fetches = host.state.takeInformationFetches()
      }
      fetch = fetches[0]
      waits.append((host.moment.instant.nanoseconds - start) / 1_000_000_000)
    }
    #expect(waits[0] >= 10 && waits[0] <= 13 && waits.last! >= 3600 && waits.last! <= 4501)
    #expect(zip(waits, waits.dropFirst()).prefix(7).allSatisfy { $0 < $1 })
    host.told()
  }

  @Test func `Two requests for one PvD are at least 10 seconds apart`() throws {
    var (host, fetch) = try asking()
    let first = host.moment.instant.nanoseconds
    for sequence in 2..<40 {
      host.state.informationFetched(fetch, known(host), at: host.moment)
      host.hear(ra(sequence: sequence))
      host.wait(0.5)
      guard let next = host.state.takeInformationFetches().first else { continue }
      fetch = next
      let passed = Double(host.moment.instant.nanoseconds - first) / 1e9 + 2
      #expect(Double(host.count(.informationRequests) - 1) <= passed / 10)
    }
    #expect(host.count(.informationRequests) >= 2)
    host.told()
  }

  @Test func `Also where the PvD was away meanwhile`() throws {
    let (host, fetch) = try asking()
    host.state.informationFetched(fetch, known(host), at: host.moment)
    host.hear(ra(http: false))
    host.hear(ra())
    host.wait(5)
    #expect(host.state.takeInformationFetches() == [])
    host.wait(6)
    #expect(host.state.takeInformationFetches().count == 1)
    host.told()
  }

  @Test func `No more than five requests on a network within 10 seconds, one at a time`() {
    let host = Self.host()
    for number in 0..<12 { host.hear(ra(name: "pvd\(number).example.net", from: UInt64(1 + number))) }
    host.address(address)
    var asked: [UInt64] = []
    for _ in 0..<300 {
      host.wait(0.1)
      let fetches = host.state.takeInformationFetches()
      #expect(fetches.count <= 1)
      for fetch in fetches {
        asked.append(host.moment.instant.nanoseconds)
        host.state.informationFetched(fetch, known(host), at: host.moment)
      }
    }
    #expect(asked.count == 12)
    for (first, sixth) in zip(asked, asked.dropFirst(5)) { #expect(sixth >= first + 9_900_000_000) }
    host.told()
  }

  @Test func `After ten failures nothing more is requested on that network`() {
    let host = Self.host()
    for number in 0..<16 { host.hear(ra(name: "pvd\(number).example.net", from: UInt64(1 + number))) }
    host.address(address)
    var count = 0
    for _ in 0..<600 {
      host.wait(0.1)
      for fetch in host.state.takeInformationFetches() {
        count += 1
        host.state.informationFetched(fetch, .refused, at: host.moment)
      }
    }
    #expect(count == 10)
    host.told()
  }
}
