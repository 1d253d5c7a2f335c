import Messages
import Wire

@testable import Provisioning

/// What a subscriber to everything knows, and whether what it is told next keeps the rules of order of both protocols:
/// nothing is taken back that was not told, nothing is told of what is gone, a PvD's addresses and elements go before
/// it and an interface's PvDs before that, a trigger is added and removed once.
struct Watcher {
  private struct Domain {
    var name: String
    var interface: UInt32
    var elements: Set<ElementType> = []
    var addresses: Set<IPPrefix> = []
  }

  private var links: [UInt32: Link] = [:]
  private var domains: [UInt32: Domain] = [:]
  private var triggers: [UInt32: TriggerType] = [:]
  private var names: [UInt32: String] = [:]
  private var lastTrigger: UInt32 = 0
  private var lastDomain: UInt32 = 0

  /// Takes one of a state's announcements in; says what was wrong with it.
  mutating func see(_ announcement: Announcement, of state: borrowing NetworkState) -> String? {
    switch announcement {
    case .interface(let link):
      links[link.index] = link
    case .interfaceGoingUp(let link):
      if links[link.index] != link || !link.isUp || link.hasCarrier { return "an interface goes up that does not" }
    case .interfaceGone(let link):
      if links.removeValue(forKey: link.index) == nil { return "an interface goes that never came" }
      if domains.values.contains(where: { $0.interface == link.index }) { return "an interface goes before its PvDs" }
    case .pvd(let domain):
      if links[domain.interface] == nil { return "a PvD of an interface that is not there" }
      if domain.id <= lastDomain { return "a PvD identifier comes back" }
      lastDomain = domain.id
      let name = String(decoding: domain.name, as: UTF8.self)
      names[domain.id] = name
      if domains.values.contains(where: { $0.name == name && $0.interface == domain.interface }) {
        return "a PvD is there twice"
      }
      domains[domain.id] = Domain(name: name, interface: domain.interface)
    case .pvdGone(let domain):
      guard let gone = domains.removeValue(forKey: domain.id) else { return "a PvD goes that never came" }
      if !gone.elements.isEmpty { return "a PvD goes before its elements" }
      if !gone.addresses.isEmpty { return "a PvD goes before its addresses" }
    case .element(let pvd, let type):
      if domains[pvd] == nil { return "an element of a PvD that is not there" }
      domains[pvd]!.elements.insert(type)
    case .elementGone(let pvd, let type):
      if domains[pvd]?.elements.remove(type) == nil { return "an element goes that never came" }
    case .address(let pvd, let address):
      if domains[pvd] == nil { return "an address of a PvD that is not there" }
      domains[pvd]!.addresses.insert(address.prefix)
    case .addressGone(let pvd, let prefix):
      if domains[pvd]?.addresses.remove(prefix) == nil { return "an address goes that never came" }
    case .trigger(let place): return see(state.triggerNews[place])
    }
    return nil
  }

  private mutating func see(_ news: TriggerNews) -> String? {
    let trigger = news.trigger
    switch news.change {
    case .added:
      if trigger.id <= lastTrigger { return "a trigger's id does not count up" }
      lastTrigger = trigger.id
      triggers[trigger.id] = trigger.type
    case .modified, .turned:
      if triggers[trigger.id] == nil { return "a trigger changes that is not there" }
      if trigger.origin.reason != .none { return "a trigger that stands has a reason to go" }
    case .removed:
      if triggers.removeValue(forKey: trigger.id) == nil { return "a trigger goes that is not there" }
      if trigger.origin.reason == .none { return "a trigger goes without a reason" }
    }
    return nil
  }

  /// Whether what was told is what the state has.
  func compare(with state: borrowing NetworkState) -> String? {
    if state.triggers.count != triggers.count { return "the TDB holds other triggers than were told" }
    if state.interfaces.count != links.count { return "there are other interfaces than were told" }
    var count = 0
    for interface in state.interfaces {
      for domain in interface.domains {
        count += 1
        guard let told = domains[domain.id] else { return "a PvD was not told" }
        if told.elements != Set(domain.elementTypes) { return "elements of \(told.name) differ from what was told" }
        if told.addresses != Set(domain.addresses.map { $0.address.prefix })
          || told.addresses.count != domain.addresses.count
        {
          return "addresses of \(told.name) differ from what was told"
        }
      }
    }
    return count == domains.count ? nil : "a PvD was not taken back"
  }

  func describe(_ announcement: Announcement, of state: borrowing NetworkState) -> String {
    func name(_ pvd: UInt32) -> String { names[pvd] ?? "PvD \(pvd)" }
    switch announcement {
    case .interface(let link): return "INTERFACE \(String(decoding: link.name.bytes, as: UTF8.self))"
    case .interfaceGoingUp(let link): return "GOING_UP \(String(decoding: link.name.bytes, as: UTF8.self))"
    case .interfaceGone(let link): return "NO_INTERFACE \(String(decoding: link.name.bytes, as: UTF8.self))"
    case .pvd(let domain): return "PVD \(name(domain.id))"
    case .pvdGone(let domain): return "NO_PVD \(name(domain.id))"
    case .element(let pvd, let type): return "ELEMENT \(name(pvd)) \(text(type))"
    case .elementGone(let pvd, let type): return "NO_ELEMENT \(name(pvd)) \(text(type))"
    case .address(let pvd, let address): return "ADDRESS \(name(pvd)) \(ProvisioningTests.text(address.prefix))"
    case .addressGone(let pvd, let prefix): return "NO_ADDRESS \(name(pvd)) \(ProvisioningTests.text(prefix))"
    case .trigger(let place): return describe(state.triggerNews[place])
    }
  }

  private func describe(_ news: TriggerNews) -> String {
    let trigger = ProvisioningTests.describe(news.trigger)
    return switch news.change {
    case .added: "ADD \(trigger)"
    case .modified, .turned: "MODIFY \(trigger)"
    case .removed: "DELETE \(trigger) \(news.trigger.origin.reason)"
    }
  }

  private func text(_ type: ElementType) -> String {
    switch type {
    case .routerAdvertisement: "RA"
    case .dhcpv6: "DHCPv6"
    case .dhcpv4: "DHCPv4"
    case .kernel: "KERNEL"
    }
  }
}
