import Messages
import Platform
import Sessions

/// What the MIF API says: the messages to the subscriber of draft-ietf-mif-api-extension-05, section 3.2.7, and what
/// docs/protocol.md adds.
public struct ProvisioningMessage: Sendable {
  public enum Content: Sendable {
    case interface(Interface)
    case noInterface(Interface)
    case domain(ProvisioningDomain, Interface)
    case noDomain(ProvisioningDomain, Interface)
    /// Told again: something that the element configures has changed.
    case element(ConfigurationElement, domain: UInt32)
    case noElement(ConfigurationElement, domain: UInt32)
    case address(DomainAddress, domain: UInt32)
    case noAddress(DomainAddress, domain: UInt32)
    case interfaceGoingAway(Interface)
    case interfaceGoingUp(Interface)
    /// The items that were asked for; none where there is nothing of the kind.
    case configuration([Configuration], domain: UInt32)
    /// One of the addresses that a name stands for. One that is not from the DNS holds for ever.
    case nameTranslation(IPAddress, timeToLive: Lifetime, transaction: UInt32)
    /// The last of a translation. nil: it has come to its end, after at least one address.
    case nameTranslationEnded(NetworkFailure?, transaction: UInt32)
    /// The socket is this process's own; nil: it could not be received, as too many descriptors are open.
    case connected(OwnedDescriptor?, transaction: UInt32)
    case notConnected(NetworkFailure, transaction: UInt32)
    case statistics([Statistic])
    /// All that there is of what a request asked for has been told.
    case complete
    /// A request was carried out that has no items of its own.
    case done
    case refused(Refusal)
    /// News were lost, because this session was not read fast enough, and every announcement has ended: forget what was
    /// told, and ask for it again. Translations and connections go on.
    case overrun
  }

  public let content: Content
  /// The number that `post` gave for the request that this answers; nil for news.
  public let request: UInt32?

  /// nil for what a client skips. `interface` gives the interface of a domain, for the scope of link-local addresses.
  init?(_ message: MIFMessage, _ request: UInt32?, _ socket: consuming Descriptor?, interface: (UInt32) -> UInt32) {
    self.request = request
    switch message.content {
    case .announcement(let announcement): content = Content(announcement)
    case .configurationData(let domain, _, let items):
      let scope = interface(domain)
      content = .configuration(items.map { Configuration($0, scope: scope) }, domain: domain)
    case .noConfigurationData(let domain, _): content = .configuration([], domain: domain)
    case .statistics(let counters): content = .statistics(counters.map { Statistic($0) })
    case .snapshotEnd: content = .complete
    case .overrun: content = .overrun
    case .nameTranslation(let transaction, let found):
      content = .nameTranslation(
        IPAddress(found.address, scope: found.scope), timeToLive: Lifetime(found.validLifetime),
        transaction: transaction.identifier)
    case .nameTranslationEnded(let transaction, let failure):
      content = .nameTranslationEnded(NetworkFailure(failure), transaction: transaction.identifier)
    case .connected(let transaction):
      content = .connected(OwnedDescriptor(socket), transaction: transaction.identifier)
    case .notConnected(let transaction, let failure):
      content = .notConnected(
        NetworkFailure(failure) ?? NetworkFailure(errno: Int32(failure.error), .host),
        transaction: transaction.identifier)
    case .answer:
      let error = message.header.error
      content = error == .none ? .done : .refused(Refusal(error))
    case .other: return nil
    }
  }
}

extension ProvisioningMessage.Content {
  fileprivate init(_ announcement: MIFAnnouncement) {
    self =
      switch announcement {
      case .interface(let interface): .interface(Interface(interface))
      case .noInterface(let interface): .noInterface(Interface(interface))
      case .pvd(let interface, let pvd):
        .domain(ProvisioningDomain(pvd, on: interface.identifier), Interface(interface))
      case .noPvD(let interface, let pvd):
        .noDomain(ProvisioningDomain(pvd, on: interface.identifier), Interface(interface))
      case .element(let pvd, let element): .element(ConfigurationElement(element), domain: pvd)
      case .noElement(let pvd, let element): .noElement(ConfigurationElement(element), domain: pvd)
      case .address(let pvd, let address): .address(DomainAddress(address), domain: pvd)
      case .noAddress(let pvd, let address): .noAddress(DomainAddress(address), domain: pvd)
      case .interfaceGoingAway(let interface): .interfaceGoingAway(Interface(interface))
      case .interfaceGoingUp(let interface): .interfaceGoingUp(Interface(interface))
      }
  }
}

extension Statistic {
  init(_ counter: Counter) { self.init(name: String(decoding: counter.name, as: UTF8.self), value: counter.value) }
}
