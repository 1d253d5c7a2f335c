package import Messages
package import Wire

/// What changed, in the order in which subscribers are to be told. State fills a list of these; whoever drives it
/// empties the list after each event.
package enum Announcement: Sendable {
  /// A link exists, or its name or flags changed.
  case interface(Link)
  /// A link became administratively up and is not running yet; its `interface` has been told.
  case interfaceGoingUp(Link)
  case interfaceGone(Link)
  indirect case pvd(ProvisioningDomain)
  /// Its addresses and elements have been taken back before.
  indirect case pvdGone(ProvisioningDomain)
  /// An element is complete, or what it configures changed; new lifetimes alone are no change.
  case element(pvd: UInt32, ElementType)
  case elementGone(pvd: UInt32, ElementType)
  /// A usable address, or new lifetimes of one.
  case address(pvd: UInt32, InterfaceAddress)
  case addressGone(pvd: UInt32, IPPrefix)
  /// The place in `NetworkState.triggerNews`: an announcement is copied several times on its way, and these are large.
  case trigger(Int)
}

/// What happened to a trigger.
package struct TriggerNews: Sendable {
  package let change: TriggerChange
  /// As it is now, for a removal as it was.
  package let trigger: Trigger
}

package enum TriggerChange: Sendable {
  case added
  case modified
  /// Its type, its addresses or its interface changed, which is what a filter looks at; this is what it was.
  indirect case turned(from: Trigger)
  case removed
}
