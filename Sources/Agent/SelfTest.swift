import Messages
import Platform
import Provisioning
import Subscribers
import Wire

/// `mifd --self-test`: whether this file decodes, keeps and tells as it should on the processor that it runs on, found out
/// on built-in captures. No network, no privilege and no file is needed, so an emulator of the processor alone will do.
package struct SelfTest: ~Copyable {
  /// A line for each check: what it was about, and what was wrong.
  package private(set) var report: [UInt8] = []
  package private(set) var hasPassed = true

  private var state = NetworkState(unreachableKinds: [.network, .protocolOrPort])
  private var seconds: UInt64 = 1_000

  private static let interface: UInt32 = 3
  /// What the captures' interface would be called here.
  private static let name = InterfaceName("wan0".utf8)

  package init(_ captures: SelfTestCaptures = SelfTestCaptures()) {
    // Which addresses are this host's is the kernel's to say, and no kernel is asked.
    state.assumesAddresses = true
    state.apply(.link(Link(index: SelfTest.interface, name: SelfTest.name, isUp: true, hasCarrier: true)), at: moment)
    checkRouterAdvertisement(captures)
    checkDHCPv4(captures)
    checkDHCPv6(captures)
    checkICMPError(
      "ICMP error", captures.icmpv4Error, .v4, from: "10.1.0.10", to: "10.9.0.2", type: 3, code: 3)
    checkICMPError(
      "ICMPv6 error", captures.icmpv6Error, .v6, from: "2001:db8:1::10", to: "2001:db8:9::2", type: 1, code: 0)
    checkLifetimes()
    checkNotification(captures.notification)
    checkAnnouncement(captures.announcement)
    checkConfiguration()
  }

  private var moment: Moment { Moment(Instant(nanoseconds: seconds * 1_000_000_000), timestamp: 0) }
}

// MARK: - Packets

extension SelfTest {
  private mutating func checkRouterAdvertisement(_ captures: SelfTestCaptures) {
    let refusals = hear(captures.routerAdvertisement, .v6)
    expect(
      "Router Advertisement", refusals, pvd: "wan0/ra/fe80::ff:fe00:101", .routerAdvertisement,
      [
        ConfigurationItem(.hopLimit, .number(61)),
        ConfigurationItem(.mtu, .number(1480)),
        ConfigurationItem(
          .prefixes, .prefix(IPPrefix(address("2001:db8:1::"), 64), flags: 0xC0), preferredLifetime: 1800,
          validLifetime: 3600),
        ConfigurationItem(
          .dnsServers, .address(address("2001:db8:9::53")), preferredLifetime: 1200, validLifetime: 1200),
        ConfigurationItem(.searchList, .text(text("lab.example")), preferredLifetime: 1200, validLifetime: 1200),
      ])
  }

  private mutating func checkDHCPv4(_ captures: SelfTestCaptures) {
    let refusals =
      hear(captures.dhcpv4Request, .v4, outgoing: true) + hear(captures.dhcpv4Acknowledgement, .v4)
    expect(
      "DHCPv4 acknowledgement", refusals, pvd: "wan0/dhcpv4/10.1.0.1", .dhcpv4,
      [
        ConfigurationItem(
          .lease, .lease(server: address("10.1.0.1"), renewal: 60, rebinding: 105), preferredLifetime: 120,
          validLifetime: 120),
        ConfigurationItem(.dnsServers, .address(address("10.9.0.53")), preferredLifetime: 120, validLifetime: 120),
        ConfigurationItem(.domainName, .text(text("lab.example")), preferredLifetime: 120, validLifetime: 120),
      ])
  }

  /// The advertisement has the M flag and the prefix that holds the address, so the reply joins its PvD.
  private mutating func checkDHCPv6(_ captures: SelfTestCaptures) {
    let refusals = hear(captures.dhcpv6Request, .v6, outgoing: true) + hear(captures.dhcpv6Reply, .v6)
    expect(
      "DHCPv6 reply", refusals, pvd: "wan0/ra/fe80::ff:fe00:101", .dhcpv6,
      [
        ConfigurationItem(.dnsServers, .address(address("2001:db8:9::53")), preferredLifetime: 120, validLifetime: 120),
        ConfigurationItem(.searchList, .text(text("lab.example")), preferredLifetime: 120, validLifetime: 120),
      ])
  }

  @inline(never)
  private mutating func checkICMPError(
    _ subject: StaticString, _ packet: [UInt8], _ family: Family, from source: StaticString,
    to destination: StaticString, type: UInt8, code: UInt8
  ) {
    let refusals = hear(packet, family)
    for news in state.triggerNews where news.trigger.type == .destinationUnreachable {
      guard case .added = news.change else { continue }
      let trigger = news.trigger
      guard trigger.addresses.count == 2, trigger.addresses[0].address == address(source),
        trigger.addresses[1].address == address(destination)
      else { return fail(subject, "the quoted packet's addresses were read wrongly") }
      guard trigger.origin.icmpType == type, trigger.origin.icmpCode == code,
        trigger.origin.interfaceName == SelfTest.name
      else { return fail(subject, "type, code or interface were told wrongly") }
      return pass(subject)
    }
    fail(subject, "no DEST_UNREACHABLE", refusals)
  }

  /// The DHCPv4 lease lasts two minutes, and a DHCPv6 one; the router an hour at most.
  private mutating func checkLifetimes() {
    let subject: StaticString = "Lifetimes"
    state.clearAnnouncements()
    seconds += 119
    state.advance(to: moment)
    for case .pvdGone in state.announcements { return fail(subject, "a PvD is gone before its time") }
    seconds += 2
    state.advance(to: moment)
    guard let domains = state.domains(of: SelfTest.interface), domains.count == 1, case .router = domains[0].key else {
      return fail(subject, "after two minutes there is more, or less, than the router's PvD")
    }
    pass(subject)
  }

  /// Hears a packet of the interface; gives the names of what refused it, or something of it.
  private mutating func hear(_ packet: [UInt8], _ family: Family, outgoing: Bool = false) -> [UInt8] {
    let before = Refusal.allCases.map { state.value($0) }
    state.clearAnnouncements()
    state.hear(
      packet.rawSpan, family, Arrival(interface: SelfTest.interface, outgoing: outgoing), at: moment.instant)
    var names: [UInt8] = []
    for (refusal, count) in zip(Refusal.allCases, before) where state.value(refusal) != count {
      append(", ", to: &names)
      append(refusal.name, to: &names)
    }
    return names
  }

  /// Announced: an element of the PvD of this name; and among what it configures are these.
  private mutating func expect(
    _ subject: StaticString, _ refusals: [UInt8], pvd name: StaticString, _ element: ElementType,
    _ items: [ConfigurationItem]
  ) {
    guard let domain = state.domains(of: SelfTest.interface)?.first(where: { $0.name == text(name) }) else {
      return fail(subject, "no PvD of the name that it should have", refusals)
    }
    var isAnnounced = false
    for case .element(domain.id, element) in state.announcements { isAnnounced = true }
    guard isAnnounced else { return fail(subject, "its element was not announced", refusals) }
    var found: [ConfigurationItem] = []
    state.forEachItem(.all, of: element, in: domain, at: moment.instant) { found.append($0) }
    for item in items where !found.contains(item) {
      var what = text("wrong or missing: item ")
      append(decimal: item.identifier.rawValue, to: &what)
      return fail(subject, "it was read wrongly", text(", ") + what + refusals)
    }
    pass(subject)
  }
}

// MARK: - Messages

extension SelfTest {
  private mutating func checkNotification(_ golden: [UInt8]) {
    var addresses = TriggerAddresses()
    let trigger = TriggerPayload(type: .destinationUnreachable, identifier: 42)
    let origin = Origin(
      interface: 3, interfaceName: SelfTest.name, pvd: 2, source: .icmp, icmpType: 3, icmpCode: 1,
      timestamp: 1_763_697_368_123_456_789)
    let subject: StaticString = "NOTIFY"
    var written: [UInt8] = []
    do throws(MessageRefusal) {
      try addresses.append(TriggerAddress(address("192.0.2.10"), prefixLength: 24))
      try addresses.append(TriggerAddress(address("198.51.100.7"), prefixLength: 32))
      written = write { writer throws(MessageOverflow) in
        let notification = try writer.notification(trigger, addresses: addresses, origin: origin, pid: 0)
        writer.prepare(notification, cause: .add, sequence: 1, extensions: [.cause, .origin])
      }
      guard written == golden else { return fail(subject, "encoded wrongly") }
      let frame = try Frame(golden.rawSpan, accepts: { $0 == TriggerMessageType.notify.rawValue })
      var payloads = frame.payloads
      var read = TriggerAddresses()
      while let payload = try payloads.next() {
        switch payload.type {
        case TriggerPayloadType.trigger:
          guard try TriggerPayload(payload) == trigger else { return fail(subject, "TRIGGER decoded wrongly") }
        case TriggerPayloadType.address: try read.append(try TriggerAddress(payload))
        default:
          guard try Origin(payload) == origin else { return fail(subject, "ORIGIN decoded wrongly") }
        }
      }
      guard frame.header.sequence == 1, read == addresses else { return fail(subject, "decoded wrongly") }
    } catch {
      return fail(subject, "not decoded")
    }
    pass(subject)
  }

  private mutating func checkAnnouncement(_ golden: [UInt8]) {
    let interface = InterfaceDescription(identifier: 3, name: SelfTest.name, flags: [.up, .carrier])
    let pvd = PvDDescription(identifier: 1, isExplicit: true, name: text("pvd.example.org"))
    let mark = MIFMark.snapshot(of: FrameHeader(type: 0, sequence: 3, pid: 1000))
    let announcement = MIFAnnouncement.pvd(interface: interface, pvd)
    let subject: StaticString = "PVD_ANNOUNCEMENT"
    let written = write { writer throws(MessageOverflow) in try writer.announcement(announcement, mark) }
    guard written == golden else { return fail(subject, "encoded wrongly") }
    do throws(MessageRefusal) {
      let frame = try Frame(golden.rawSpan, accepts: { $0 == MIFMessageType.pvdAnnouncement.rawValue })
      var payloads = frame.payloads
      while let payload = try payloads.next() {
        if payload.type == MIFPayloadType.interface {
          guard try InterfaceDescription(payload) == interface else {
            return fail(subject, "INTERFACE decoded wrongly")
          }
        } else {
          guard try PvDDescription(payload) == pvd else { return fail(subject, "PVD decoded wrongly") }
        }
      }
      guard frame.header.sequence == mark.sequence, frame.header.pid == mark.pid else {
        return fail(subject, "decoded wrongly")
      }
    } catch {
      return fail(subject, "not decoded")
    }
    pass(subject)
  }

  /// The message that `body` writes, empty where it has no room.
  private func write(_ body: (inout MessageWriter) throws(MessageOverflow) -> Void) -> [UInt8] {
    var memory = InlineArray<256, UInt8>(repeating: 0)
    var message: [UInt8] = []
    var span = memory.mutableSpan
    var writer = MessageWriter(unsafe span.mutableBytes)
    do throws(MessageOverflow) { try body(&writer) } catch { return [] }
    writer.message.append(to: &message)
    return message
  }
}

// MARK: - The configuration

extension SelfTest {
  /// Numbers that are larger than an `Int` of 32 bits, where they may stand and where they may not.
  private mutating func checkConfiguration() {
    let subject: StaticString = "Configuration"
    do throws(Configuration.Mistake) {
      let configuration = try Configuration(parsing: text("socket-group = 4294967294\nhold-time = 86400\n"))
      guard configuration.subscribers.socketGroup == 4_294_967_294, configuration.limits.holdTime == 86_400_000_000_000
      else {
        return fail(subject, "read wrongly")
      }
    } catch {
      return fail(subject, "a large number was refused")
    }
    do throws(Configuration.Mistake) {
      _ = try Configuration(parsing: text("ring-size = 99999999999"))
    } catch {
      return pass(subject)
    }
    fail(subject, "a number out of range was taken")
  }
}

// MARK: - The report

extension SelfTest {
  @inline(never)
  private mutating func pass(_ subject: StaticString) {
    append("ok      ", to: &report)
    append(subject, to: &report)
    append("\n", to: &report)
  }

  @inline(never)
  private mutating func fail(_ subject: StaticString, _ what: StaticString, _ detail: [UInt8] = []) {
    hasPassed = false
    append("FAILED  ", to: &report)
    append(subject, to: &report)
    append(": ", to: &report)
    append(what, to: &report)
    report += detail
    append("\n", to: &report)
  }
}

@inline(never)
private func text(_ literal: StaticString) -> [UInt8] {
  var bytes: [UInt8] = []
  append(literal, to: &bytes)
  return bytes
}

/// An address that stands in this file.
@inline(never)
private func address(_ literal: StaticString) -> IPAddress {
  IPAddress(parsing: text(literal)) ?? .v4(.unspecified)
}
