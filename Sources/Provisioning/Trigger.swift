package import Messages
import Wire

/// One entry of the Trigger Database.
package struct Trigger: Sendable {
  /// Counts all triggers ever added; the id is its low 32 bits.
  var serial: UInt64 = 0
  package var id: UInt32 { UInt32(truncatingIfNeeded: serial) }
  package var type: TriggerType
  package var owner: Owner
  package var addresses: Addresses
  package var origin: Origin

  /// Who may change or delete a trigger beside root.
  package enum Owner: Hashable, Sendable {
    /// The agent itself: nobody else may.
    case agent
    case user(uid: UInt32)
  }

  /// The trigger's ADDRESS payloads, in order, at most 16; up to two are kept in place.
  package struct Addresses: RandomAccessCollection, Equatable, Sendable {
    package static var limit: Int { TriggerAddresses.capacity }
    private static let none = TriggerAddress(.v4(.unspecified), prefixLength: 0)
    private var first = none
    private var second = none
    private var rest: [TriggerAddress] = []
    package private(set) var endIndex = 0

    package init() {}
    package init(_ first: TriggerAddress, _ second: TriggerAddress? = nil) {
      self.first = first
      self.second = second ?? Addresses.none
      endIndex = second == nil ? 1 : 2
    }

    package var startIndex: Int { 0 }
    package subscript(index: Int) -> TriggerAddress {
      precondition(index < endIndex, "there is no such address")
      return index == 0 ? first : index == 1 ? second : rest[index - 2]
    }

    /// What a message carries, and back.
    package init(_ addresses: TriggerAddresses) {
      for index in 0..<addresses.count { append(addresses[index]) }
    }
    package var payloads: TriggerAddresses {
      var payloads = TriggerAddresses()
      for address in self {
        // Both hold at most 16.
        do { try payloads.append(address) } catch { break }
      }
      return payloads
    }

    /// False if the limit is reached; nothing is added then.
    @discardableResult
    package mutating func append(_ address: TriggerAddress) -> Bool {
      if count == Addresses.limit { return false }
      switch endIndex {
      case 0: first = address
      case 1: second = address
      default: rest.append(address)
      }
      endIndex += 1
      return true
    }
  }
}
