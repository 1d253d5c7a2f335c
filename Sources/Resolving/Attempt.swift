import CAres
import CLinux
import Platform
import Wire

/// One question sent to one server.
final class Attempt {
  let lane: Lane
  /// Whose question it is: the translation's key, the family asked for, and which of its questions.
  let key: UInt64
  let family: Family
  let question: UInt64
  let labels: [UInt8]
  let id: UInt16
  let hasOPT: Bool
  /// When it was sent.
  let start: UInt64
  /// False while it waits for its turn.
  var isSent = false
  /// Nobody waits for it any more.
  var isWithdrawn = false
  var outcome: Outcome?
  /// The server ended the TCP connection after it had answered others over it.
  var isLeftOver = false

  init(
    _ lane: Lane, key: UInt64, _ family: Family, question: UInt64, _ labels: [UInt8], id: UInt16, hasOPT: Bool,
    at start: UInt64
  ) {
    self.lane = lane
    self.key = key
    self.family = family
    self.question = question
    self.labels = labels
    self.id = id
    self.hasOPT = hasOPT
    self.start = start
  }
}

/// What became of an attempt.
enum Outcome {
  case addresses([(IPAddress, ttl: UInt32)])
  /// The name is an alias (CNAME) of this one, and the server left it there.
  case alias([UInt8])
  /// No address: NOERROR and NXDOMAIN are answers, any other code a refusal.
  case code(UInt8, hasAdditional: Bool)
  case truncated
  /// Not to be understood: EBADMSG.
  case garbled
  case unreachable(Int32)
  case timedOut
}

extension Outcome {
  /// Looks into an answer that c-ares took for one: id and question are right.
  init(_ bytes: UnsafeMutablePointer<UInt8>, _ count: Int32, _ family: Family, atMost most: Int) {
    // c-ares looks at neither the length past the header nor QR: a reflected question is no answer.
    let header = 12
    guard count >= header, unsafe bytes[2] & 0x80 != 0 else {
      self = .garbled
      return
    }
    if unsafe bytes[2] & 0x02 != 0 {
      self = .truncated
      return
    }
    let code = unsafe bytes[3] & 0x0F
    let hasAuthority = unsafe bytes[8] | bytes[9] != 0
    let hasAdditional = unsafe bytes[10] | bytes[11] != 0
    let hasAnswer = unsafe bytes[6] | bytes[7] != 0
    guard code == RCODE.noError, hasAnswer else {
      self = .code(code, hasAdditional: hasAdditional)
      return
    }
    let (status, addresses, alias) = unsafe Outcome.parse(bytes, count, family, most)
    if status != ARES_SUCCESS && status != ARES_ENODATA {
      self = .garbled
    } else if !addresses.isEmpty {
      self = .addresses(addresses)
    } else if let alias, !hasAuthority {
      // A server that followed it to a name without such addresses says so in the authority section (RFC 2308, 2.2).
      self = .alias(alias)
    } else {
      self = .code(RCODE.noError, hasAdditional: hasAdditional)
    }
  }

  private static func parse(
    _ bytes: UnsafePointer<UInt8>, _ count: Int32, _ family: Family, _ most: Int
  ) -> (Int32, [(IPAddress, ttl: UInt32)], [UInt8]?) {
    var host: UnsafeMutablePointer<hostent>?
    var number = Int32(most)
    var addresses: [(IPAddress, ttl: UInt32)] = []
    let status: Int32
    switch family {
    case .v4:
      let found = UnsafeMutableBufferPointer<ares_addrttl>.allocate(capacity: most)
      defer { unsafe found.deallocate() }
      status = unsafe ares_parse_a_reply(bytes, count, &host, found.baseAddress, &number)
      if status == ARES_SUCCESS {
        for index in 0..<Int(number) {
          let value = unsafe UInt32(bigEndian: found[index].ipaddr.s_addr)
          addresses.append((.v4(IPv4Address(value)), unsafe seconds(found[index].ttl)))
        }
      }
    case .v6:
      let found = UnsafeMutableBufferPointer<ares_addr6ttl>.allocate(capacity: most)
      defer { unsafe found.deallocate() }
      status = unsafe ares_parse_aaaa_reply(bytes, count, &host, found.baseAddress, &number)
      if status == ARES_SUCCESS {
        for index in 0..<Int(number) {
          let (high, low) = unsafe withUnsafeBytes(of: &found[index].ip6addr) {
            unsafe ($0.loadUnaligned(as: UInt64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
          }
          let address = IPv6Address(UInt64(bigEndian: high), UInt64(bigEndian: low))
          addresses.append((.v6(address), unsafe seconds(found[index].ttl)))
        }
      }
    }
    guard let host = unsafe host else { return (status, addresses, nil) }
    defer { unsafe ares_free_hostent(host) }
    // It has aliases if there was a CNAME; then its name is where the first one leads (not the last).
    guard let name = unsafe host.pointee.h_name, let aliases = unsafe host.pointee.h_aliases,
      unsafe aliases.pointee != nil
    else { return (status, addresses, nil) }
    return (status, addresses, unsafe Platform.bytes(ofCString: name))
  }

  /// RFC 2181, 8: a TTL with its highest bit set is 0.
  private static func seconds(_ ttl: Int32) -> UInt32 { ttl < 0 ? 0 : UInt32(ttl) }
}
