import CLinux
import CNetlink
package import Platform
package import Wire

/// Ways that packets with a mark of ours take, and no others: each in a table of its own, with a rule that leads there.
extension RouteChanges {
  /// "mf", and a number: of the table, and the mark (SO_MARK).
  private static var firstTable: UInt32 { 0x6D66_0000 }
  /// Tables at most.
  private static var limit: Int { 64 }
  /// Behind the table of local addresses, before everybody else's.
  private static var priority: UInt32 { 1 }

  /// One that has a table.
  struct Way {
    let via: RouteVia
    let family: Family
    /// Marks that were given out and not taken back.
    var users = 1
  }

  /// The mark with which packets leave by this interface and this router, whatever else the routes say, until it is
  /// taken back. ENOBUFS where there are too many already.
  package func mark(for via: RouteVia, _ family: Family) throws(Errno) -> UInt32 {
    var via = via
    via.source = nil
    if let index = aside.firstIndex(where: { $0?.via == via && $0?.family == family }) {
      let table = RouteChanges.firstTable | UInt32(index)
      // Again: it goes with its link.
      try add(via, family, table: table)
      aside[index]?.users += 1
      return table
    }
    let index = aside.firstIndex { $0 == nil } ?? aside.count
    guard index < RouteChanges.limit else { throw .noBufferSpace }
    let table = RouteChanges.firstTable | UInt32(index)
    try add(via, family, table: table)
    do throws(Errno) {
      try changeRule(Int32(RTM_NEWRULE), NLM_F_CREATE | NLM_F_EXCL, family, table: table)
    } catch {
      try remove(via, family, table: table)
      throw error
    }
    if index == aside.count { aside.append(nil) }
    aside[index] = Way(via: via, family: family)
    return table
  }

  /// Takes a mark back; with the last one for a way its table goes.
  package func release(mark: UInt32) throws(Errno) {
    let index = Int(mark & ~RouteChanges.firstTable)
    guard index < aside.count, let way = aside[index] else { return }
    if way.users > 1 {
      aside[index]?.users -= 1
      return
    }
    aside[index] = nil
    try changeRule(Int32(RTM_DELRULE), 0, way.family, table: mark)
    try remove(way.via, way.family, table: mark)
  }

  /// Takes all of them back, those of an earlier process as well.
  /// - Parameter routes: all with our protocol number.
  func releaseAside(_ routes: [ListedRoute]) throws(Errno) {
    aside = []
    for family in Family.allCases {
      for table in try listRules(family) { try changeRule(Int32(RTM_DELRULE), 0, family, table: table) }
    }
    for route in routes where route.table & ~0xFF == RouteChanges.firstTable {
      if let via = route.via { try remove(via, route.family, table: route.table) }
    }
  }

  private func remove(_ via: RouteVia, _ family: Family, table: UInt32) throws(Errno) {
    try deleteIfThere(Int32(RTM_DELROUTE), header(family, via)) { request in
      RouteChanges.fill(&request, via, family, table: table)
    }
  }

  private func add(_ via: RouteVia, _ family: Family, table: UInt32) throws(Errno) {
    try exchange.ask(Int32(RTM_NEWROUTE), NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, header(family, via)) { request in
      RouteChanges.fill(&request, via, family, table: table)
    }
  }

  private func header(_ family: Family, _ via: RouteVia) -> rtmsg {
    var header = rtmsg()
    header.rtm_family = RouteChanges.number(family)
    header.rtm_protocol = RouteChanges.owner
    header.rtm_type = UInt8(RTN_UNICAST)
    header.rtm_scope = UInt8(via.gateway == nil ? RT_SCOPE_LINK.rawValue : RT_SCOPE_UNIVERSE.rawValue)
    return header
  }

  private static func fill(_ request: inout Request, _ via: RouteVia, _ family: Family, table: UInt32) {
    request.put(RTA_TABLE, table)
    request.put(RTA_OIF, via.interface)
    if let gateway = via.gateway { request.put(gateway: gateway, ofRoute: family) }
    // charon considers the routes of all tables: this one comes last.
    request.put(RTA_PRIORITY, UInt32.max - 1)
  }

  private func changeRule(_ type: Int32, _ flags: Int32, _ family: Family, table: UInt32) throws(Errno) {
    var header = fib_rule_hdr()
    header.family = RouteChanges.number(family)
    header.action = UInt8(FR_ACT_TO_TBL)
    let fill = { (request: inout Request) in
      request.put(Int32(FRA_TABLE), table)
      request.put(Int32(FRA_FWMARK), table)
      request.put(Int32(FRA_FWMASK), UInt32.max)
      request.put(Int32(FRA_PRIORITY), RouteChanges.priority)
      request.put(Int32(FRA_PROTOCOL), byte: RouteChanges.owner)
    }
    if flags == 0 {
      try deleteIfThere(type, header, fill)
      return
    }
    do throws(Errno) {
      try exchange.ask(type, NLM_F_ACK | flags, header, filling: fill)
    } catch {
      if error != .exists { throw error }
    }
  }

  /// The tables that rules of ours lead to.
  private func listRules(_ family: Family) throws(Errno) -> [UInt32] {
    var header = fib_rule_hdr()
    header.family = RouteChanges.number(family)
    return try exchange.list(Int32(RTM_GETRULE), header, limit: RouteChanges.listLimit) { message in
      var (table, owner): (UInt32?, UInt8?)
      message.attributes(after: fib_rule_hdr.self) { attribute in
        if attribute.type == FRA_TABLE { table = attribute.uint32 }
        if attribute.type == FRA_PROTOCOL { owner = attribute.uint8 }
      }
      return owner == RouteChanges.owner ? table : nil
    }
  }
}
