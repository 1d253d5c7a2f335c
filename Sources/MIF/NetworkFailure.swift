import CLinux
import Messages

/// Why a connection or a translation of a name came to nothing, and who said so. Its description is a few words.
public struct NetworkFailure: Hashable, Sendable, CustomStringConvertible {
  public enum Origin: Hashable, Sendable {
    /// The agent or this host's kernel: nothing was sent, or the way out is gone.
    case host
    /// A router on the way, or the host at its end.
    case icmp(ICMPError)
    /// The provisioning domain's DNS servers: the DNS RCODE (RFC 6895), 0 where the name is there without addresses.
    case resolver(rcode: UInt32)
    /// Nobody answered in time.
    case timeOut
    /// The other end: a TCP reset.
    case peer
  }

  /// A number of `<errno.h>`.
  public let errno: Int32
  public let origin: Origin

  init(errno: Int32, _ origin: Origin) {
    self.errno = errno
    self.origin = origin
  }

  /// nil where nothing failed.
  init?(_ failure: Failure) {
    let origin: Origin
    switch failure.from {
    case .nothing where failure.error == 0: return nil
    case .nothing, .local: origin = .host
    case .icmp: origin = .icmp(ICMPError(isIPv6: false, type: failure.icmpType, code: failure.icmpCode))
    case .icmpv6: origin = .icmp(ICMPError(isIPv6: true, type: failure.icmpType, code: failure.icmpCode))
    case .resolver: origin = .resolver(rcode: failure.resolverStatus)
    case .timeOut: origin = .timeOut
    case .peer: origin = .peer
    }
    self.init(errno: Int32(failure.error), origin)
  }

  /// RFC 1035 section 4.1.1, RFC 6895 section 2.3.
  private static let rcodes: [UInt32: String] = [
    1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED",
  ]

  public var description: String {
    let words = message(ofError: errno)
    switch origin {
    // Its turn had not come when the time was over.
    case .host where errno == ECANCELED: return "not tried"
    case .host where errno == EADDRNOTAVAIL: return "there is no address to reach it from"
    // What the resolver says before it asks anybody.
    case .host where errno == EDESTADDRREQ: return "no DNS server is known"
    case .host where errno == EILSEQ: return "the name is not UTF-8"
    case .host, .peer: return words
    case .icmp(let error): return "\(error.isIPv6 ? "ICMPv6" : "ICMP") \(error)"
    case .timeOut: return "no answer in time"
    case .resolver(0): return errno == ENODATA ? "the name has no address" : words
    case .resolver(3): return "no such name (NXDOMAIN)"
    case .resolver(let rcode): return "the DNS server answers \(NetworkFailure.rcodes[rcode] ?? "RCODE \(rcode)")"
    }
  }
}
