import CLinux
import CNetlink
import Wire

/// A neighbour's identity: an address on an interface.
struct NeighbourKey: Hashable, Sendable {
  var interface: UInt32
  var address: IPAddress
}

/// The classic BPF program on the route socket. It keeps away what would only cost a wake-up: routes other than
/// default ones, bridges' forwarding entries, neighbours that are nobody's gateway. The kernel runs it on a
/// dump's datagrams too, over the first message alone, so whatever belongs to a dump (NLM_F_MULTI) passes.
///
/// Netlink headers are in host order and BPF loads in network order: `order` turns a constant round.
enum RouteFilter {
  /// Beyond as many gateways all neighbours pass: an instruction list grows, and every message pays for it.
  static let gatewayLimit = 16

  static func program(gateways: some Collection<NeighbourKey>) -> [sock_filter] {
    var code = Code()
    code.load(.half, at: 6)  // nlmsg_flags
    code.accept(ifAny: order(UInt16(NLM_F_MULTI)))
    code.load(.half, at: 4)  // nlmsg_type
    for type in [NLMSG_ERROR, NLMSG_DONE, NLMSG_OVERRUN] { code.accept(if: order(UInt16(type))) }
    for type in [RTM_NEWADDR, RTM_DELADDR, RTM_NEWNEXTHOP, RTM_DELNEXTHOP] { code.accept(if: order(UInt16(type))) }

    // The first byte of each header is the family. AF_UNSPEC is a link, AF_BRIDGE its membership in a bridge.
    code.on([RTM_NEWLINK, RTM_DELLINK]) {
      $0.load(.byte, at: 16)
      $0.accept(if: UInt32(AF_UNSPEC))
      $0.drop()
    }
    code.on([RTM_NEWROUTE, RTM_DELROUTE]) {
      $0.load(.byte, at: 17)  // rtm_dst_len
      $0.accept(if: 0)
      $0.drop()
    }
    code.on([RTM_NEWNEIGH, RTM_DELNEIGH]) { code in
      code.load(.byte, at: 26)  // ndm_flags
      code.accept(ifAny: UInt32(NTF_ROUTER))
      if gateways.count > gatewayLimit {
        code.load(.byte, at: 16)
        code.accept(if: UInt32(AF_INET))
        code.accept(if: UInt32(AF_INET6))
      } else {
        // The address is the first attribute (neigh_fill_info): its type at 30, its bytes from 32 on.
        for gateway in gateways {
          var last: UInt32 = 0
          var offset: UInt32 = 32
          switch gateway.address {
          case .v4(let address): last = address.value
          case .v6(let address):
            last = UInt32(truncatingIfNeeded: address.low)
            offset = 44
          }
          code.load(.word, at: 20)  // ndm_ifindex
          code.skip(2, unless: gateway.interface.bigEndian)
          code.load(.word, at: offset)
          code.accept(if: last)
        }
      }
      code.drop()
    }
    code.drop()
    return code.instructions
  }

  private static func order(_ value: UInt16) -> UInt32 { UInt32(value.bigEndian) }

  /// Writes instructions (linux/filter.h). `skip` counts what `accept` adds as two.
  private struct Code {
    enum Width: Int32 {
      case word = 0x00
      case half = 0x08
      case byte = 0x10
    }
    var instructions: [sock_filter] = []

    mutating func add(_ code: Int32, _ value: UInt32, then: UInt8 = 0, else: UInt8 = 0) {
      instructions.append(sock_filter(code: UInt16(code), jt: then, jf: `else`, k: value))
    }
    mutating func load(_ width: Width, at offset: UInt32) { add(BPF_LD | BPF_ABS | width.rawValue, offset) }
    mutating func drop() { add(BPF_RET | BPF_K, 0) }
    mutating func accept(if value: UInt32) {
      add(BPF_JMP | BPF_JEQ | BPF_K, value, else: 1)
      add(BPF_RET | BPF_K, .max)
    }
    mutating func accept(ifAny bits: UInt32) {
      add(BPF_JMP | BPF_JSET | BPF_K, bits, else: 1)
      add(BPF_RET | BPF_K, .max)
    }
    /// Unless the accumulator is `value` the next load and accept are skipped.
    mutating func skip(_ count: UInt8, unless value: UInt32) {
      add(BPF_JMP | BPF_JEQ | BPF_K, value, else: count + 1)
    }
    /// `body` runs for messages of these types, and ends them; for all others it is jumped over.
    mutating func on(_ types: [Int], _ body: (inout Code) -> Void) {
      var inner = Code()
      body(&inner)
      add(BPF_JMP | BPF_JEQ | BPF_K, order(UInt16(types[0])), then: 1)
      add(BPF_JMP | BPF_JEQ | BPF_K, order(UInt16(types[1])), else: UInt8(inner.instructions.count))
      instructions += inner.instructions
    }
  }
}
