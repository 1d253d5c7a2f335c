import Messages
import Wire

/// What has to be known to sort one address into PvDs without looking at all others.
extension Interface {
  /// What decides which PvD an address belongs in, beside the address: as long as it is the same, each address stays where
  /// it is.
  struct Addressing: Equatable, Sendable {
    fileprivate var isUp: Bool
    /// Of who configures addresses.
    fileprivate var sources: UInt64 = 0
  }

  var addressing: Addressing {
    var addressing = Addressing(isUp: link.isUp)
    for source in sources { addressing.sources &+= Fingerprint(source.serial, UInt64(source.addressing)).value }
    return addressing
  }

  /// Addresses that nobody on the network was heard to configure.
  struct ByHand: Sendable {
    var count = 0
    /// Of their prefixes, each one once, whatever their order.
    var prefixes: UInt64 = 0
  }

  /// Whether an address belongs in any PvD at all.
  func sorts(_ record: Address) -> Bool { link.isUp && record.isUsable && !record.ip.isLinkLocal }

  /// The place of an address in the list, which is in the order of the serials.
  func index(ofAddress serial: UInt64) -> Int? {
    let index = addresses.search { $0.serial < serial }
    return index < addresses.count && addresses[index].serial == serial ? index : nil
  }

  /// `own` are the places of all addresses that nobody configures, in order.
  func setByHand(_ own: [Int]) {
    byHand = ByHand()
    var next = 0
    var prefixes: Set<IPPrefix> = []
    for index in addresses.indices {
      let isByHand = next < own.count && own[next] == index
      addresses[index].isByHand = isByHand
      if !isByHand { continue }
      next += 1
      byHand.count += 1
      let prefix = addresses[index].address.prefix.masked
      if prefixes.insert(prefix).inserted { byHand.prefixes &+= Fingerprint(prefix).value }
    }
  }

  /// Notes of one address whether nobody configures it.
  func setByHand(_ isByHand: Bool, _ index: Int) {
    if addresses[index].isByHand == isByHand { return }
    addresses[index].isByHand = false
    if isByHand { enterByHand(addresses[index].address.prefix) } else { leaveByHand(addresses[index].address.prefix) }
    addresses[index].isByHand = isByHand
  }

  private func enterByHand(_ prefix: IPPrefix) {
    byHand.count += 1
    if !hasByHand(prefix.masked) { byHand.prefixes &+= Fingerprint(prefix.masked).value }
  }

  /// An address by hand is one no more; it is out of the list, or not marked.
  func leaveByHand(_ prefix: IPPrefix) {
    byHand.count -= 1
    if !hasByHand(prefix.masked) { byHand.prefixes &-= Fingerprint(prefix.masked).value }
  }

  private func hasByHand(_ prefix: IPPrefix) -> Bool {
    addresses.contains {
      $0.isByHand && $0.address.prefix.length == prefix.length && $0.address.prefix.masked == prefix
    }
  }
}

/// The address that an event was about.
struct ChangedAddress {
  let serial: UInt64
  /// Its place in the interface's list, nil if it has gone.
  let index: Int?
  /// The PvDs that it belongs in.
  let homes: [ProvisioningDomain.Key]
}

extension ProvisioningDomain {
  /// Where an address with this serial stands, or would stand.
  func position(ofAddress serial: UInt64) -> Int { addresses.search { $0.serial < serial } }
}

extension Array {
  /// The place of the first element that `isBefore` is not true of; it is true of all before that, and of none behind.
  /// `range`, if given, is where that place is.
  ///
  /// - Complexity: O(log n).
  @inline(__always)
  func search(_ range: Range<Int>? = nil, _ isBefore: (Element) -> Bool) -> Int {
    var (low, high) = (range?.lowerBound ?? 0, range?.upperBound ?? count)
    while low < high {
      let middle = (low + high) / 2
      if isBefore(self[middle]) { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// Lets one more fit, and a quarter: twice as many would be a megabyte of nothing on a host of ten thousand addresses.
  mutating func makeRoom() {
    if count == capacity { reserveCapacity(count + count / 4 + 2) }
  }
}
