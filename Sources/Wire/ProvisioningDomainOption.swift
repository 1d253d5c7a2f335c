/// PvD option (RFC 8801, 3.1), type 21: the name of a provisioning domain, and the options that belong to it.
package struct ProvisioningDomainOption: ~Escapable {
  private enum Field {
    static let flags = 2
    static let sequence = 4
    static let name = 6
    static let unit = 8
  }

  private enum Flag {
    static let http: UInt16 = 0x8000
    static let legacy: UInt16 = 0x4000
    static let routerAdvertisement: UInt16 = 0x2000
    static let delay: UInt16 = 0x000F
  }

  private let option: RawSpan
  /// That of `name` on the wire.
  private let nameLength: UInt8

  @_lifetime(copy option)
  init(_ option: RawSpan) throws(Refusal) {
    guard let name = DomainName(option, at: Field.name), !name.isRoot else { throw .pvdName }
    self.option = option
    nameLength = UInt8(name.bytes.byteCount)
    guard option.byteCount >= nestedOffset else { throw .pvdLength }
    do {
      try NeighbourDiscoveryOptions.check(option.slice(from: nestedOffset))
    } catch {
      throw .pvdOption
    }
  }

  /// The flags field: H 0x8000, L 0x4000, R 0x2000, the delay in the low 4 bits.
  package var flags: UInt16 { option.u16(Field.flags) }
  package var sequence: UInt16 { option.u16(Field.sequence) }
  /// The PvD ID; never the root.
  package var name: DomainName {
    @_lifetime(copy self) get { DomainName(checked: option.slice(Field.name, Int(nameLength))) }
  }
  /// The RA header for hosts that know PvDs, in place of the outer one; only with R.
  package var header: RouterAdvertisementHeader? {
    hasHeader ? RouterAdvertisementHeader(option.slice(headerOffset, RouterAdvertisementHeader.byteCount)) : nil
  }

  private var hasHeader: Bool { flags & Flag.routerAdvertisement != 0 }
  /// Behind the name, padded to whole units.
  private var headerOffset: Int { (Field.name + Int(nameLength) + Field.unit - 1) / Field.unit * Field.unit }
  private var nestedOffset: Int { headerOffset + (hasHeader ? RouterAdvertisementHeader.byteCount : 0) }

  /// H: there is more to be had by HTTPS (RFC 8801, 4).
  package var hasAdditionalInformation: Bool { flags & Flag.http != 0 }
  /// L: what DHCPv4 on this link provides belongs to this PvD too.
  package var includesLegacyIPv4: Bool { flags & Flag.legacy != 0 }
  /// The additional information is fetched after a random time from 0 to 2^(10 + delay) milliseconds (RFC 8801, 4.1).
  package var delay: UInt8 { UInt8(truncatingIfNeeded: flags & Flag.delay) }

  /// The options of this PvD; a PvD option among them is yielded as malformed.
  package var options: NeighbourDiscoveryOptions {
    @_lifetime(copy self) get { NeighbourDiscoveryOptions(checked: option.slice(from: nestedOffset), isNested: true) }
  }
}
