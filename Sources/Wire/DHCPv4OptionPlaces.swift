/// By option that is read, where its value begins in a message, behind its length; 0 where there is none. Each has a
/// variable of its own: what is read of a table by number is a copy of the table first.
struct DHCPv4OptionPlaces {
  /// The option is there more than once.
  static let repeated: UInt16 = .max

  private var messageType: UInt16 = 0
  private var serverIdentifier: UInt16 = 0
  private var leaseTime: UInt16 = 0
  private var renewalTime: UInt16 = 0
  private var rebindingTime: UInt16 = 0
  private var subnetMask: UInt16 = 0
  private var routers: UInt16 = 0
  private var domainNameServers: UInt16 = 0
  private var hostName: UInt16 = 0
  private var domainName: UInt16 = 0
  private var interfaceMTU: UInt16 = 0
  private var staticRoutes: UInt16 = 0
  private var ntpServers: UInt16 = 0
  private var overload: UInt16 = 0
  private var posixTimeZone: UInt16 = 0
  private var timeZoneName: UInt16 = 0
  private var ipv6OnlyPreferred: UInt16 = 0
  private var captivePortal: UInt16 = 0
  private var domainSearch: UInt16 = 0
  private var classlessRoutes: UInt16 = 0
  private var encryptedDNS: UInt16 = 0
  private var rapidCommit: UInt16 = 0

  /// Takes down that the value of option `code` begins at `place`, if that is one that is read.
  @inline(__always)
  mutating func note(_ code: UInt8, at place: UInt16) {
    switch code {
    case DHCPv4Option.messageType: DHCPv4OptionPlaces.note(&messageType, place)
    case DHCPv4Option.serverIdentifier: DHCPv4OptionPlaces.note(&serverIdentifier, place)
    case DHCPv4Option.leaseTime: DHCPv4OptionPlaces.note(&leaseTime, place)
    case DHCPv4Option.renewalTime: DHCPv4OptionPlaces.note(&renewalTime, place)
    case DHCPv4Option.rebindingTime: DHCPv4OptionPlaces.note(&rebindingTime, place)
    case DHCPv4Option.subnetMask: DHCPv4OptionPlaces.note(&subnetMask, place)
    case DHCPv4Option.routers: DHCPv4OptionPlaces.note(&routers, place)
    case DHCPv4Option.domainNameServers: DHCPv4OptionPlaces.note(&domainNameServers, place)
    case DHCPv4Option.hostName: DHCPv4OptionPlaces.note(&hostName, place)
    case DHCPv4Option.domainName: DHCPv4OptionPlaces.note(&domainName, place)
    case DHCPv4Option.interfaceMTU: DHCPv4OptionPlaces.note(&interfaceMTU, place)
    case DHCPv4Option.staticRoutes: DHCPv4OptionPlaces.note(&staticRoutes, place)
    case DHCPv4Option.ntpServers: DHCPv4OptionPlaces.note(&ntpServers, place)
    case DHCPv4Option.overload: DHCPv4OptionPlaces.note(&overload, place)
    case DHCPv4Option.posixTimeZone: DHCPv4OptionPlaces.note(&posixTimeZone, place)
    case DHCPv4Option.timeZoneName: DHCPv4OptionPlaces.note(&timeZoneName, place)
    case DHCPv4Option.ipv6OnlyPreferred: DHCPv4OptionPlaces.note(&ipv6OnlyPreferred, place)
    case DHCPv4Option.captivePortal: DHCPv4OptionPlaces.note(&captivePortal, place)
    case DHCPv4Option.domainSearch: DHCPv4OptionPlaces.note(&domainSearch, place)
    case DHCPv4Option.classlessRoutes: DHCPv4OptionPlaces.note(&classlessRoutes, place)
    case DHCPv4Option.encryptedDNS: DHCPv4OptionPlaces.note(&encryptedDNS, place)
    case DHCPv4Option.rapidCommit: DHCPv4OptionPlaces.note(&rapidCommit, place)
    default: break
    }
  }

  @inline(__always)
  private static func note(_ known: inout UInt16, _ place: UInt16) { known = known == 0 ? place : repeated }

  subscript(code: UInt8) -> UInt16 {
    @inline(__always) get {
      switch code {
      case DHCPv4Option.messageType: messageType
      case DHCPv4Option.serverIdentifier: serverIdentifier
      case DHCPv4Option.leaseTime: leaseTime
      case DHCPv4Option.renewalTime: renewalTime
      case DHCPv4Option.rebindingTime: rebindingTime
      case DHCPv4Option.subnetMask: subnetMask
      case DHCPv4Option.routers: routers
      case DHCPv4Option.domainNameServers: domainNameServers
      case DHCPv4Option.hostName: hostName
      case DHCPv4Option.domainName: domainName
      case DHCPv4Option.interfaceMTU: interfaceMTU
      case DHCPv4Option.staticRoutes: staticRoutes
      case DHCPv4Option.ntpServers: ntpServers
      case DHCPv4Option.overload: overload
      case DHCPv4Option.posixTimeZone: posixTimeZone
      case DHCPv4Option.timeZoneName: timeZoneName
      case DHCPv4Option.ipv6OnlyPreferred: ipv6OnlyPreferred
      case DHCPv4Option.captivePortal: captivePortal
      case DHCPv4Option.domainSearch: domainSearch
      case DHCPv4Option.classlessRoutes: classlessRoutes
      case DHCPv4Option.encryptedDNS: encryptedDNS
      case DHCPv4Option.rapidCommit: rapidCommit
      default: 0
      }
    }
  }
}
