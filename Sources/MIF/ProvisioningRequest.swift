import Messages
import Wire

/// What is asked of the MIF API: the messages from the subscriber of draft-ietf-mif-api-extension-05, section 3.2.7, and
/// what docs/protocol.md adds. Interfaces are named by their index, provisioning domains by their identifier: domain 0 is
/// the one that `connectToDomain` selected.
///
/// A transaction is a number of the caller's own for a translation or connection. It is in all answers, and free again
/// after the last of them; one that is in use is refused as `exists`.
public enum ProvisioningRequest: Hashable, Sendable {
  /// What exists comes first, then `complete`, then news. The same holds for the other announcements.
  case announceInterfaces
  case stopAnnouncingInterfaces
  case announceDomains(interface: UInt32)
  case stopAnnouncingDomains(interface: UInt32)
  case announceElements(domain: UInt32)
  case stopAnnouncingElements(domain: UInt32)
  case announceAddresses(domain: UInt32)
  case stopAnnouncingAddresses(domain: UInt32)
  /// Answered by `configuration`. Without a key: everything of this element.
  case getConfiguration(domain: UInt32, ConfigurationElement, key: ConfigurationKey? = nil)
  /// Answered by `nameTranslation` for each address, then `nameTranslationEnded`.
  case translateName(String, domain: UInt32, transaction: UInt32)
  /// No more comes of it, once this is answered.
  case stopTranslatingName(transaction: UInt32)
  /// Selects the domain that later requests of this session mean by 0.
  case connectToDomain(UInt32)
  /// Answered by `connected` or `notConnected`. Without a source address the agent chooses one of the domain's
  /// (RFC 6724).
  case connectToAddress(
    Endpoint, from: Endpoint? = nil, over: Transport = .tcp, domain: UInt32, transaction: UInt32)
  /// Gets interfaces up and configured. Refused with EPERM unless this user is root or one that the agent's configuration
  /// allows it; so are the next two and `takeDown`.
  case wantsToConnect
  /// A vote: nothing is to be sent or received on this domain's interface now; 0: on any.
  case connectionIdle(domain: UInt32)
  /// A vote: connections on this domain's interface may be broken; 0: on any.
  case connectionCanBeBroken(domain: UInt32)
  /// Not in the draft. Takes an interface down after a grace time, rounded up to milliseconds; nil: as long as the
  /// agent's configuration says.
  case takeDown(interface: UInt32, after: Duration? = nil)
  /// Not in the draft. Answered by `statistics`, as often as it takes, then `complete`.
  case getStatistics

  var wire: MIFRequest {
    switch self {
    case .announceInterfaces: .announceInterfaces
    case .stopAnnouncingInterfaces: .stopAnnouncingInterfaces
    case .announceDomains(let interface): .announcePvDs(interface: interface)
    case .stopAnnouncingDomains(let interface): .stopAnnouncingPvDs(interface: interface)
    case .announceElements(let domain): .announceElements(pvd: domain)
    case .stopAnnouncingElements(let domain): .stopAnnouncingElements(pvd: domain)
    case .announceAddresses(let domain): .announceAddresses(pvd: domain)
    case .stopAnnouncingAddresses(let domain): .stopAnnouncingAddresses(pvd: domain)
    case .getConfiguration(let domain, let element, let key):
      .getConfigurationData(pvd: domain, ElementReference(element, key))
    case .translateName(let name, let domain, let transaction):
      .translateName(pvd: domain, Transaction(identifier: transaction), NodeName(Array(name.utf8)))
    case .stopTranslatingName(let transaction): .stopTranslatingName(Transaction(identifier: transaction))
    case .connectToDomain(let domain): .connectToPvD(domain)
    case .connectToAddress(let destination, let source, let transport, let domain, let transaction):
      .connect(
        pvd: domain, Transaction(identifier: transaction),
        to: Messages.Endpoint(transport.wire, .destination, destination.wire),
        from: source.map { Messages.Endpoint(transport.wire, .source, $0.wire) })
    case .wantsToConnect: .wantsToConnect
    case .connectionIdle(let domain): .connectionIdle(pvd: domain)
    case .connectionCanBeBroken(let domain): .connectionCanBeBroken(pvd: domain)
    case .takeDown(let interface, let grace):
      .takeInterfaceDown(interface: interface, grace: grace?.wholeMilliseconds)
    case .getStatistics: .getStatistics
    }
  }
}

extension ElementReference {
  /// Without a key: everything.
  init(_ element: ConfigurationElement, _ key: ConfigurationKey?) {
    self.init(type: element.rawValue, identifier: InformationIdentifier(rawValue: key?.rawValue ?? 0))
  }
}

extension Duration {
  /// Rounded up; as much of it as fits.
  var wholeMilliseconds: UInt32 {
    let (seconds, attoseconds) = components
    let rest = (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
    return UInt32(clamping: seconds.multipliedReportingOverflow(by: 1000).overflow ? .max : seconds * 1000 + rest)
  }
}
