/// What a resolver counts: one name each, shown by `mifctl stats`.
enum ResolverCounter: Int, CaseIterable {
  case translations, cancelled
  /// Answered without a server: addresses as names, the hosts table, localhost.
  case local
  /// Questions answered from what servers said before.
  case cached
  case refusedName, refusedServers, refusedFull, refusedChannel
  case queries, answers, truncated, withoutEDNS
  /// Followed from an answer that left an alias there.
  case aliases
  /// A server had its time and the next one was asked as well; a question was given up.
  case late, timedOut
  case unreachable, refusals, garbled
  /// Addresses past the most that a translation tells.
  case addressesDropped
  /// Datagrams that a socket had no room for.
  case unsent
  case pollerFailed
  case hostsRead, hostsFailed

  var name: StaticString {
    switch self {
    case .translations: "resolver.translations"
    case .cancelled: "resolver.cancelled"
    case .local: "resolver.local"
    case .cached: "resolver.cached"
    case .refusedName: "resolver.refused.name"
    case .refusedServers: "resolver.refused.servers"
    case .refusedFull: "resolver.refused.full"
    case .refusedChannel: "resolver.refused.channel"
    case .queries: "resolver.queries"
    case .answers: "resolver.answers"
    case .truncated: "resolver.truncated"
    case .withoutEDNS: "resolver.without-edns"
    case .aliases: "resolver.aliases"
    case .late: "resolver.servers.late"
    case .timedOut: "resolver.timed-out"
    case .unreachable: "resolver.servers.unreachable"
    case .refusals: "resolver.servers.refused"
    case .garbled: "resolver.garbled"
    case .addressesDropped: "resolver.addresses-dropped"
    case .unsent: "resolver.unsent"
    case .pollerFailed: "resolver.poller-failed"
    case .hostsRead: "resolver.hosts.read"
    case .hostsFailed: "resolver.hosts.failed"
    }
  }
}
