/// What state counts beside the refusals of the decoders: one name each, shown by `mifctl stats`.
package enum StateCounter: Int, CaseIterable, Sendable {
  case routerAdvertisements, routerAdvertisementOptionsRefused, routersFull
  case dhcpv4Requests, dhcpv4Replies, dhcpv4ForeignTransaction, dhcpv4ForeignClient, dhcpv4Unconfiguring
  case dhcpv6Requests, dhcpv6Replies, dhcpv6ForeignTransaction, dhcpv6ForeignClient, dhcpv6Unconfiguring
  case serversFull
  case icmpErrors, icmpForeignAddress, icmpKindIgnored, icmpFolded, icmpPathsFull
  case icmpBelowLeastMTU, icmpFlowNotOurs, icmpFlowUnverified
  case redirects, redirectsForeign
  case dhcpForeignRequest
  case informationRequests, informationKnown, informationRefused, informationNotReached
  case unknownInterface, heardOnPort, parked, parkedFull
  case interfacesFull, addressesFull, routesFull, itemsFull
  case triggersAdded, triggersModified, triggersRemoved, triggersRefused

  package var name: StaticString {
    switch self {
    case .routerAdvertisements: "ra.heard"
    case .routerAdvertisementOptionsRefused: "ra.options-refused"
    case .routersFull: "ra.routers-full"
    case .dhcpv4Requests: "dhcpv4.requests-seen"
    case .dhcpv4Replies: "dhcpv4.replies-heard"
    case .dhcpv4ForeignTransaction: "dhcpv4.foreign-transaction"
    case .dhcpv4ForeignClient: "dhcpv4.foreign-client"
    case .dhcpv4Unconfiguring: "dhcpv4.configures-nothing"
    case .dhcpv6Requests: "dhcpv6.requests-seen"
    case .dhcpv6Replies: "dhcpv6.replies-heard"
    case .dhcpv6ForeignTransaction: "dhcpv6.foreign-transaction"
    case .dhcpv6ForeignClient: "dhcpv6.foreign-client"
    case .dhcpv6Unconfiguring: "dhcpv6.configures-nothing"
    case .serversFull: "dhcp.servers-full"
    case .icmpErrors: "icmp.errors-heard"
    case .icmpForeignAddress: "icmp.address-not-ours"
    case .icmpKindIgnored: "icmp.kind-ignored"
    case .icmpFolded: "icmp.folded"
    case .icmpPathsFull: "icmp.paths-full"
    case .icmpBelowLeastMTU: "icmp.mtu-below-minimum"
    case .icmpFlowNotOurs: "icmp.flow-not-ours"
    case .icmpFlowUnverified: "icmp.flow-unverified"
    case .informationRequests: "pvd-info.requests"
    case .informationKnown: "pvd-info.known"
    case .informationRefused: "pvd-info.refused"
    case .informationNotReached: "pvd-info.not-reached"
    case .redirects: "redirect.heard"
    case .redirectsForeign: "redirect.not-from-first-hop"
    case .unknownInterface: "state.unknown-interface"
    case .heardOnPort: "state.heard-on-port"
    case .dhcpForeignRequest: "dhcp.request-of-another-host"
    case .parked: "state.parked"
    case .parkedFull: "state.parked-full"
    case .interfacesFull: "state.interfaces-full"
    case .addressesFull: "state.addresses-full"
    case .routesFull: "state.routes-full"
    case .itemsFull: "state.items-full"
    case .triggersAdded: "triggers.added"
    case .triggersModified: "triggers.modified"
    case .triggersRemoved: "triggers.removed"
    case .triggersRefused: "triggers.refused"
    }
  }
}
