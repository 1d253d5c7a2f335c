/// Why bytes from a stranger were refused. Each is a counter; its name is stable, and what operators see.
///
/// Reasons up to `dhcpv6ServerIdentifier` refuse a whole packet; those after it refuse one option, and the packet
/// lives on without it.
package enum Refusal: UInt8, Error, CaseIterable, Sendable {
  // Not what this agent listens for.
  case notOursProtocol
  case notOursPort
  case notOursOutgoing

  // IPv4 (RFC 791, 1122) and IPv6 (RFC 8200).
  case ipTruncated
  case ipVersion
  case ipHeaderLength
  case ipTotalLength
  case ipChecksum
  case ipFragment
  case ipExtensionLength
  case ipExtensionCount
  case ipExtensionOrder
  case ipRoutingHeader

  // UDP (RFC 768).
  case udpLength
  case udpChecksum

  // ICMP (RFC 792) and ICMPv6 (RFC 4443).
  case icmpLength
  case icmpChecksum
  case icmpType
  case icmpQuoteShort
  case icmpQuoteVersion
  case icmpQuoteFragment
  case icmpQuoteSource

  // Router Advertisements (RFC 4861, 6.1.2; RFC 6980, 5).
  case raFragment
  case raSource
  case raHopLimit
  case raLength
  case raCode
  case raOptionLength
  case raOptionOverrun

  // Redirects (RFC 4861, 8.1; RFC 1122, 3.2.2.2; RFC 6980, 5).
  case redirectFragment
  case redirectSource
  case redirectHopLimit
  case redirectLength
  case redirectCode
  case redirectTarget
  case redirectDestination
  case redirectOption

  // DHCPv4 (RFC 2131, 2132).
  case dhcpv4Length
  case dhcpv4Operation
  case dhcpv4HardwareLength
  case dhcpv4Cookie
  case dhcpv4OptionOverrun
  case dhcpv4MessageType
  case dhcpv4ServerIdentifier

  // DHCPv6 (RFC 8415).
  case dhcpv6Length
  case dhcpv6Relay
  case dhcpv6MessageType
  case dhcpv6OptionOverrun
  case dhcpv6ClientIdentifier
  case dhcpv6ServerIdentifier

  // One option of a Router Advertisement.
  case pioLength
  case pioPrefixLength
  case pioScope
  case rioLength
  case rioPrefixLength
  case rioPreference
  case rdnssLength
  case dnsslLength
  case dnsslName
  case mtuLength
  case advertisementIntervalLength
  case homeAgentLength
  case homeAgentLifetime
  case mtuValue
  case pvdLength
  case pvdName
  case pvdOption
  case pvdRepeated
  case pvdNested
  case captivePortalURI
  case pref64Length
  case pref64PrefixLength
  case dnrLength
  case dnrName

  // One option of a DHCPv4 message.
  case dhcpv4OptionLength
  case dhcpv4OptionValue
  case dhcpv4OptionSegments

  // One option of a DHCPv6 message.
  case dhcpv6OptionLength
  case dhcpv6OptionValue
  case dhcpv6NestedOverrun
  case dhcpv6Timers
  case dhcpv6Lifetimes
  case dhcpv6PrefixLength
  case dhcpv6Name

  package var name: StaticString {
    switch self {
    case .notOursProtocol: "not-ours.protocol"
    case .notOursPort: "not-ours.port"
    case .notOursOutgoing: "not-ours.outgoing"
    case .ipTruncated: "ip.truncated"
    case .ipVersion: "ip.version"
    case .ipHeaderLength: "ip.header-length"
    case .ipTotalLength: "ip.total-length"
    case .ipChecksum: "ip.checksum"
    case .ipFragment: "ip.fragment"
    case .ipExtensionLength: "ip.extension-length"
    case .ipExtensionCount: "ip.extension-count"
    case .ipExtensionOrder: "ip.extension-order"
    case .ipRoutingHeader: "ip.routing-header"
    case .udpLength: "udp.length"
    case .udpChecksum: "udp.checksum"
    case .icmpLength: "icmp.length"
    case .icmpChecksum: "icmp.checksum"
    case .icmpType: "icmp.type"
    case .icmpQuoteShort: "icmp.quote-short"
    case .icmpQuoteVersion: "icmp.quote-version"
    case .icmpQuoteFragment: "icmp.quote-fragment"
    case .icmpQuoteSource: "icmp.quote-source"
    case .raFragment: "ra.fragment"
    case .raSource: "ra.source"
    case .raHopLimit: "ra.hop-limit"
    case .raLength: "ra.length"
    case .raCode: "ra.code"
    case .raOptionLength: "ra.option-length"
    case .raOptionOverrun: "ra.option-overrun"
    case .redirectFragment: "redirect.fragment"
    case .redirectSource: "redirect.source"
    case .redirectHopLimit: "redirect.hop-limit"
    case .redirectLength: "redirect.length"
    case .redirectCode: "redirect.code"
    case .redirectTarget: "redirect.target"
    case .redirectDestination: "redirect.destination"
    case .redirectOption: "redirect.option"
    case .dhcpv4Length: "dhcpv4.length"
    case .dhcpv4Operation: "dhcpv4.operation"
    case .dhcpv4HardwareLength: "dhcpv4.hardware-length"
    case .dhcpv4Cookie: "dhcpv4.cookie"
    case .dhcpv4OptionOverrun: "dhcpv4.option-overrun"
    case .dhcpv4MessageType: "dhcpv4.message-type"
    case .dhcpv4ServerIdentifier: "dhcpv4.server-identifier"
    case .dhcpv6Length: "dhcpv6.length"
    case .dhcpv6Relay: "dhcpv6.relay"
    case .dhcpv6MessageType: "dhcpv6.message-type"
    case .dhcpv6OptionOverrun: "dhcpv6.option-overrun"
    case .dhcpv6ClientIdentifier: "dhcpv6.client-identifier"
    case .dhcpv6ServerIdentifier: "dhcpv6.server-identifier"
    case .pioLength: "ra.pio.length"
    case .pioPrefixLength: "ra.pio.prefix-length"
    case .pioScope: "ra.pio.scope"
    case .rioLength: "ra.rio.length"
    case .rioPrefixLength: "ra.rio.prefix-length"
    case .rioPreference: "ra.rio.preference"
    case .rdnssLength: "ra.rdnss.length"
    case .dnsslLength: "ra.dnssl.length"
    case .dnsslName: "ra.dnssl.name"
    case .mtuLength: "ra.mtu.length"
    case .advertisementIntervalLength: "ra.advertisement-interval.length"
    case .homeAgentLength: "ra.home-agent.length"
    case .homeAgentLifetime: "ra.home-agent.lifetime"
    case .mtuValue: "ra.mtu.value"
    case .pvdLength: "ra.pvd.length"
    case .pvdName: "ra.pvd.name"
    case .pvdOption: "ra.pvd.option"
    case .pvdRepeated: "ra.pvd.repeated"
    case .pvdNested: "ra.pvd.nested"
    case .captivePortalURI: "captive-portal.uri"
    case .pref64Length: "ra.pref64.length"
    case .pref64PrefixLength: "ra.pref64.prefix-length"
    case .dnrLength: "dnr.length"
    case .dnrName: "dnr.name"
    case .dhcpv4OptionLength: "dhcpv4.option-length"
    case .dhcpv4OptionValue: "dhcpv4.option-value"
    case .dhcpv4OptionSegments: "dhcpv4.option-segments"
    case .dhcpv6OptionLength: "dhcpv6.option-length"
    case .dhcpv6OptionValue: "dhcpv6.option-value"
    case .dhcpv6NestedOverrun: "dhcpv6.nested-overrun"
    case .dhcpv6Timers: "dhcpv6.timers"
    case .dhcpv6Lifetimes: "dhcpv6.lifetimes"
    case .dhcpv6PrefixLength: "dhcpv6.prefix-length"
    case .dhcpv6Name: "dhcpv6.name"
    }
  }

  /// Whether one option was refused, and not the packet.
  package var isOption: Bool { rawValue > Refusal.dhcpv6ServerIdentifier.rawValue }
}
