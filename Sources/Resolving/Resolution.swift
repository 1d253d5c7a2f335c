package import Wire

/// What a provisioning domain says about names: whom to ask, from where, and what to append.
package struct ResolverServers: Hashable, Sendable {
  /// The ifindex that every socket is bound to (SO_BINDTOIFINDEX) and that a link-local server is on. 0 binds to none.
  package var interface: UInt32
  /// DNS servers in order of preference; more than 8 are not looked at.
  package var servers: [IPAddress]
  /// The domain's own addresses, best first. A server is asked from one of its own family, a link-local server from a
  /// link-local address if there is one.
  package var sources: [IPAddress]
  /// Domain names as text, in order; more than 8 are not looked at.
  package var searchList: [[UInt8]]

  package init(interface: UInt32, servers: [IPAddress], sources: [IPAddress], searchList: [[UInt8]] = []) {
    self.interface = interface
    self.servers = servers
    self.sources = sources
    self.searchList = searchList
  }

  static let most = 8
}

/// How a translation came to its end.
package enum ResolverVerdict: Hashable, Sendable {
  /// At least one address was found, and no more will come.
  case complete
  /// No address. `rcode` is the DNS RCODE (RFC 6895) that a server gave, 0 where none did or where the name is there
  /// without addresses; `errno` says it in `<errno.h>`'s words, see `errno(ofRCODE:)`, or why no server was reached.
  case failed(rcode: UInt8, errno: Int32)
  /// No server answered in time.
  case timedOut
  /// Nobody was asked. EINVAL, EILSEQ (not UTF-8), ENAMETOOLONG: the name; EDESTADDRREQ: no server; EADDRNOTAVAIL: no
  /// source address for any of them; EAGAIN: too many translations are under way; ENOMEM, EMFILE ...: no room.
  case refused(errno: Int32)
}

/// What `Resolver.nextResult` gives.
package enum ResolverResult: Hashable, Sendable {
  /// One more address, each once. `ttl` in seconds; 0xFFFFFFFF, for ever, where it is not from the DNS.
  case address(key: UInt64, IPAddress, ttl: UInt32)
  /// The last result for this key.
  case ended(key: UInt64, ResolverVerdict)
}

extension Resolver {
  /// Everything that can be configured. Times in milliseconds.
  package struct Settings: Sendable {
    /// How long a server has before the next one is asked as well. Its answer still counts after that.
    package var timeout: UInt32 = 2000
    /// How often each server is asked one question.
    package var tries: UInt8 = 3
    /// After so long a question is given up, whoever is still to be asked.
    package var patience: UInt32 = 15_000
    /// A channel that nobody used for so long is dropped; a server that did not answer is asked last for as long.
    package var idle: UInt32 = 30_000
    /// Questions that a server is sent by UDP before it has answered others, or `pause` milliseconds have passed in which
    /// it could read them: an ordinary server's socket has room for some 250 (net.core.rmem_default), and loses the rest.
    package var burst: Int = 128
    package var pause: UInt32 = 50
    /// The UDP payload that EDNS announces: what passes everywhere unfragmented. At most 4096.
    package var payloadSize: UInt16 = 1232
    package var hostsFile: [UInt8] = Array("/etc/hosts".utf8)
    /// A hosts file of more bytes is not read.
    package var hostsFileLimit: Int = 16 << 20
    /// A name with at least as many dots is tried as it is before the search list is.
    package var ndots: Int = 1
    /// Answers that are kept as long as their TTL says, each some 300 bytes with its name; 0 keeps none.
    package var cachedAnswers: Int = 1024
    /// Translations under way at once; more are refused with EAGAIN.
    package var translations: Int = 4096
    /// c-ares channels (one for each server, source and transport) at once, of about 75 KB each.
    package var channels: Int = 64
    /// Addresses that one translation tells; more are dropped.
    package var addresses: Int = 64
    /// Where servers listen.
    package var port: UInt16 = 53

    package init() {}
  }
}
