import CNetlink
import Fuzzing

/// What the kernel sends when a host comes up and goes down.
enum NetlinkSeeds {
  static var all: [(name: String, input: [UInt8])] {
    let up = [link, address4, address6, route4, route6, neighbour]
    let down = [message(RTM_DELROUTE, route4Body), message(RTM_DELADDR, address4Body), message(RTM_DELLINK, linkBody)]
    let dump = [link, address4, address6, route4, route6, neighbour].flatMap { [dumped($0), done] }
    return [
      ("up", datagrams(up)), ("down", datagrams(up + down)), ("together", datagrams([Array((up + down).joined())])),
      ("dump", datagrams(dump)), ("dump-of-nothing", datagrams([done, done, done, done, done])),
      ("address-before-link", datagrams([address6, address4, link])), ("multipath", datagrams([link, multipath])),
      ("nexthop", datagrams([link, message(RTM_NEWNEXTHOP, zeros(8) + attribute(1, number(UInt32(7))))])),
      ("refused", datagrams([message(Int(NLMSG_ERROR), number(Int32(-95)))])), ("late", [0, 0x80] + datagrams(up)),
    ]
  }

  private static func datagrams(_ messages: [[UInt8]]) -> [UInt8] {
    messages.flatMap { number(UInt16($0.count)) + $0 }
  }

  private static func message(_ type: Int, flags: UInt16 = 0, _ body: [UInt8]) -> [UInt8] {
    number(UInt32(16 + body.count)) + number(UInt16(type)) + number(flags) + number(UInt32(1)) + number(UInt32(0))
      + body
  }

  /// The same with NLM_F_MULTI.
  private static func dumped(_ message: [UInt8]) -> [UInt8] { message[..<6] + [2, 0] + message[8...] }
  private static var done: [UInt8] { message(Int(NLMSG_DONE), flags: 2, number(Int32(0))) }

  private static func attribute(_ type: UInt16, _ payload: [UInt8]) -> [UInt8] {
    let bytes = number(UInt16(4 + payload.count)) + number(type) + payload
    return bytes + zeros((4 - bytes.count % 4) % 4)
  }

  private static let gateway6: [UInt8] = [0xFE, 0x80] + zeros(13) + [1]

  /// ifinfomsg with IFLA_ADDRESS 1, IFLA_IFNAME 3, IFLA_MTU 4.
  private static let linkBody =
    [0, 0, 1, 0] + number(Int32(2)) + number(UInt32(0x11043)) + zeros(4) + attribute(1, [2, 0, 0, 0, 1, 1])
    + attribute(3, Array("up2".utf8) + [0]) + attribute(4, number(UInt32(1500)))
  private static var link: [UInt8] { message(RTM_NEWLINK, linkBody) }

  /// ifaddrmsg with IFA_ADDRESS 1, IFA_LOCAL 2, IFA_CACHEINFO 6, IFA_FLAGS 8.
  private static let address4Body =
    [2, 24, 0x80, 0] + number(UInt32(2)) + attribute(1, [192, 0, 2, 10]) + attribute(2, [192, 0, 2, 10])
  private static var address4: [UInt8] { message(RTM_NEWADDR, address4Body) }
  private static var address6: [UInt8] {
    message(
      RTM_NEWADDR,
      [10, 64, 0, 0] + number(UInt32(2)) + attribute(1, [0x20, 1, 0x0D, 0xB8] + zeros(11) + [1])
        + attribute(6, number(UInt32(1800)) + number(UInt32(3600)) + zeros(8)) + attribute(8, number(UInt32(0x100))))
  }

  /// rtmsg with RTA_OIF 4, RTA_GATEWAY 5, RTA_PRIORITY 6.
  private static let route4Body =
    [2, 0, 0, 0, 254, 16, 0, 1] + zeros(4) + attribute(5, [192, 0, 2, 1]) + attribute(4, number(UInt32(2)))
    + attribute(6, number(UInt32(100)))
  private static var route4: [UInt8] { message(RTM_NEWROUTE, route4Body) }
  private static var route6: [UInt8] {
    message(
      RTM_NEWROUTE,
      [10, 0, 0, 0, 254, 9, 0, 1] + zeros(4) + attribute(5, gateway6) + attribute(4, number(UInt32(2))))
  }

  /// RTA_MULTIPATH 9: rtnexthop, one with RTA_GATEWAY 5, one with RTA_VIA 18.
  private static var multipath: [UInt8] {
    let first = attribute(5, [192, 0, 2, 1])
    let second = attribute(18, [10, 0] + gateway6)
    let hops =
      number(UInt16(8 + first.count)) + [0, 0] + number(Int32(2)) + first + number(UInt16(8 + second.count)) + [0, 0]
      + number(Int32(2)) + second
    return message(RTM_NEWROUTE, [2, 0, 0, 0, 254, 3, 0, 1] + zeros(4) + attribute(9, hops))
  }

  /// ndmsg with NDA_DST 1: a router that is reachable.
  private static var neighbour: [UInt8] {
    message(RTM_NEWNEIGH, [10, 0, 0, 0] + number(Int32(2)) + [2, 0, 0x80, 0] + attribute(1, gateway6))
  }
}
