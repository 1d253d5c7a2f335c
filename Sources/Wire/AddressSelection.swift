/// One of this host's addresses on the interface that packets leave by, as source address selection sees it
/// (RFC 6724 5). All candidates of a selection are on one interface: they are those of one provisioning domain.
package struct SourceCandidate: Hashable, Sendable {
  /// The address with its host bits, and the length of the prefix that it is in.
  package var prefix: IPPrefix
  /// Its preferred lifetime has run out (rule 3).
  package var isDeprecated: Bool
  /// A temporary address (RFC 8981; rule 7).
  package var isTemporary: Bool
  /// A secondary IPv4 address of its subnet: the kernel never chooses one by itself, so it comes last.
  package var isSecondary: Bool
  /// The next hop towards the destination advertised its prefix, or the route there names it (rule 5.5).
  package var isOfNextHop: Bool

  package init(
    _ prefix: IPPrefix, isDeprecated: Bool = false, isTemporary: Bool = false, isSecondary: Bool = false,
    isOfNextHop: Bool = false
  ) {
    self.prefix = prefix
    self.isDeprecated = isDeprecated
    self.isTemporary = isTemporary
    self.isSecondary = isSecondary
    self.isOfNextHop = isOfNextHop
  }

  package var address: IPAddress { prefix.address }

  /// CommonPrefixLen(S, D) of RFC 6724 2.2: no longer than the source's own prefix.
  fileprivate func commonPrefixLength(_ destination: IPAddress) -> UInt8 {
    min(address.commonPrefixLength(destination), prefix.length)
  }

  fileprivate func hasLabel(of destination: IPAddress) -> Bool {
    AddressPolicy(of: address).label == AddressPolicy(of: destination).label
  }

  /// The rules of RFC 6724 5 as one number, the first rule in its highest bits: the larger one is preferred. Of two
  /// that are equal it leaves the choice open. Rule 4 (home addresses) has no subject here, rule 5 (outgoing
  /// interface) is kept by whoever puts the candidates together.
  fileprivate func rank(towards destination: IPAddress) -> UInt64 {
    let scope = UInt64(address.scope.rawValue)
    let needed = UInt64(destination.scope.rawValue)
    var rank: UInt64 = address == destination ? 1 : 0  // rule 1
    // Rule 2: the smallest of those that suffice, else the largest of those that don't.
    rank = rank << 5 | (scope >= needed ? 31 - scope : scope)
    rank = rank << 1 | (isDeprecated ? 0 : 1)  // rule 3
    rank = rank << 1 | (isOfNextHop ? 1 : 0)  // rule 5.5
    rank = rank << 1 | (hasLabel(of: destination) ? 1 : 0)  // rule 6
    rank = rank << 1 | (isTemporary ? 1 : 0)  // rule 7
    rank = rank << 8 | UInt64(commonPrefixLength(destination))  // rule 8
    return rank << 1 | (isSecondary ? 0 : 1)
  }

  /// Which of `candidates` a packet to `destination` leaves from: RFC 6724 5, for IPv4 too (RFC 6724 3.2). Of equals
  /// the first.
  ///
  /// - Returns: its place; nil if none is of the destination's family.
  package static func select(among candidates: [SourceCandidate], for destination: IPAddress) -> Int? {
    var chosen: (place: Int, rank: UInt64)?
    for (place, candidate) in candidates.enumerated() where candidate.address.family == destination.family {
      let rank = candidate.rank(towards: destination)
      if chosen == nil || rank > chosen!.rank { chosen = (place, rank) }
    }
    return chosen?.place
  }
}

/// One way to a node: one of its addresses, through one provisioning domain.
package struct DestinationCandidate: Hashable, Sendable {
  package var destination: IPAddress
  /// What `SourceCandidate.select` chose among that domain's addresses; nil if there is none.
  package var source: SourceCandidate?
  /// The provisioning domain; for the caller, who finds it here again after sorting.
  package var pvd: UInt32
  /// How much this domain is wanted compared with the others, the larger one more: RFC 4191's 1, 0 and -1, or
  /// whatever the caller knows better.
  package var preference: Int16
  /// Whether this way is not known to be broken (rule 1).
  package var isReachable: Bool

  package init(
    _ destination: IPAddress, from source: SourceCandidate?, pvd: UInt32, preference: Int16 = 0,
    isReachable: Bool = true
  ) {
    self.destination = destination
    self.source = source
    self.pvd = pvd
    self.preference = preference
    self.isReachable = isReachable
  }

  package var isUsable: Bool { source != nil && isReachable }

  /// The rules of RFC 6724 6 as one number, the first rule in its highest bits: the larger one is tried first. The
  /// domain's preference comes between the rules that say whether a way is likely to work (1 to 5) and those of
  /// taste (6 to 9). Rule 4 (home addresses) and rule 7 (encapsulation, which a host rarely knows of) have no subject.
  /// Rule 9 compares addresses of one family only; those of two never come so far, their precedences differ.
  fileprivate var rank: UInt64 {
    var rank: UInt64 = isUsable ? 1 : 0  // rule 1
    rank = rank << 1 | (source?.address.scope == destination.scope ? 1 : 0)  // rule 2
    rank = rank << 1 | (source?.isDeprecated == false ? 1 : 0)  // rule 3
    rank = rank << 1 | (source?.hasLabel(of: destination) == true ? 1 : 0)  // rule 5
    rank = rank << 16 | UInt64(UInt16(bitPattern: preference) ^ 0x8000)
    rank = rank << 8 | UInt64(AddressPolicy(of: destination).precedence)  // rule 6
    rank = rank << 4 | UInt64(0xF - destination.scope.rawValue)  // rule 8
    return rank << 8 | UInt64(source?.commonPrefixLength(destination) ?? 0)  // rule 9
  }

  /// Puts the ways to a node into the order in which they are to be tried (RFC 6724 6); unusable ones stand last.
  /// Equals stay as they were (rule 10): in the order in which the name server gave them.
  package static func sort(_ candidates: inout [DestinationCandidate]) {
    var ranked: [(place: Int, rank: UInt64)] = []
    ranked.reserveCapacity(candidates.count)
    for (place, candidate) in candidates.enumerated() { ranked.append((place, candidate.rank)) }
    ranked.sort { $0.rank != $1.rank ? $0.rank > $1.rank : $0.place < $1.place }
    let former = candidates
    for (place, entry) in ranked.enumerated() { candidates[place] = former[entry.place] }
  }
}
