import Messages
package import Wire

/// What the whole agent knows: interfaces, provisioning domains, configuration, addresses, triggers.
///
/// Without clock, socket or file; nobody else holds anything of it. Each event changes it and appends to `announcements` what subscribers
/// are to be told, in order; whoever drives it empties that list after each event. The same state runs live, from a
/// capture file, in a simulation and in a benchmark.
package struct NetworkState: ~Copyable {
  package let limits: Limits
  /// Which kinds of ICMP error make a DEST_UNREACHABLE.
  package var unreachableKinds: UnreachableKinds
  /// Whether every address that an ICMP error is sent to counts as this host's: for a capture file, where no kernel
  /// says which are.
  package var assumesAddresses = false
  package internal(set) var announcements: [Announcement] = []
  /// Those of `announcements` that are about triggers.
  package private(set) var triggerNews: [TriggerNews] = []
  package internal(set) var triggers = TriggerTable()
  /// Whether somebody fetches PvD Additional Information (RFC 8801 section 4): `takeInformationFetches` is then called
  /// after each event, and `informationFetched` once for each fetch that it gave.
  package var fetchesInformation = false
  /// Where random times come from.
  package var random = RandomTimes(seed: 0)

  var interfaces: [Interface] = []
  /// Memory for `reconcile` to note in what there should be; empty in between.
  var spareWanted: [WantedDomain] = []
  /// Places in `interfaces` by ifindex.
  var places: [UInt32: Int] = [:] { didSet { recentPlace = nil } }
  /// What was found there last: what comes together comes from one interface.
  private var recentPlace: (index: UInt32, place: Int)?
  /// How many interfaces hand what arrives on to a master.
  var ports = 0
  /// How many interfaces hold an address; what an ICMP error must quote. By the two words that an IPv6 address is.
  var localAddresses: [IPv6Address: UInt32] = [:] { didSet { recentAddress = nil } }
  /// Who was found there last.
  private var recentAddress: IPv6Address?
  /// Kernel events whose link is not known yet.
  var parked: [KernelEvent] = []
  var deadlines = Deadlines<TimedSubject>()
  /// Deadlines of triggers that go by themselves, by trigger id.
  var holds: [UInt32: Deadlines<TimedSubject>.Handle] = [:]
  /// IF_REMOVED triggers that stand, by name.
  var removedInterfaces: [InterfaceName: UInt32] = [:]
  /// CONN_LOST triggers of interfaces that are gone.
  var lostConnections: [LostConnection: UInt32] = [:]
  var unreachable = UnreachablePaths()
  var clientTriggers = 0
  /// How many of them each user has; no entry for none.
  var triggersOfUsers: [UInt32: Int] = [:]
  /// Fetches that nobody has taken yet.
  var informationFetches: [InformationFetch] = []
  var lastDomain: UInt32 = 0
  /// Whether `lastDomain` has been through all numbers, so that the next may be in use.
  var hasWrappedDomains = false
  /// Serials of sources and of addresses.
  var lastSerial: UInt64 = 0
  private var counts = [UInt64](repeating: 0, count: StateCounter.allCases.count)
  private var refusals = [UInt64](repeating: 0, count: Refusal.allCases.count)

  package init(limits: Limits = Limits(), unreachableKinds: UnreachableKinds = .default) {
    self.limits = limits
    self.unreachableKinds = unreachableKinds
  }

  /// Lets the tables that an ICMP error makes grow to so many rows, or to their bounds, without being copied while an event
  /// waits. It takes address space, and memory only where something is written.
  package mutating func reserve(_ most: Int) {
    let paths = limits.unreachablePaths * 5 / 4
    unreachable.reserve(min(paths, most))
    deadlines.reserve(min(paths + limits.interfaces, most))
    triggers.reserve(min(paths + limits.clientTriggers + limits.interfaces, most))
  }

  /// Makes rows for what comes next, where there are none: to be called when nobody waits. New memory is a page fault, which
  /// takes as long as a part of an event.
  package mutating func stock() {
    unreachable.stock()
    deadlines.stock()
    triggers.stock()
  }

  /// When `advance` has something to do next.
  package var nextDeadline: Instant { deadlines.next }

  /// Empties the list of announcements and keeps its room.
  package mutating func clearAnnouncements() {
    while announcements.popLast() != nil {}
    while triggerNews.popLast() != nil {}
  }

  mutating func announce(_ change: TriggerChange, _ trigger: Trigger) {
    announcements.append(.trigger(triggerNews.count))
    triggerNews.append(TriggerNews(change: change, trigger: trigger))
  }

  package mutating func count(_ counter: StateCounter) { counts[counter.rawValue] &+= 1 }
  package mutating func count(_ refusal: Refusal) { refusals[Int(refusal.rawValue)] &+= 1 }
  package func value(_ counter: StateCounter) -> UInt64 { counts[counter.rawValue] }
  package func value(_ refusal: Refusal) -> UInt64 { refusals[Int(refusal.rawValue)] }

  /// Every counter by name.
  package func forEachCounter(_ body: (StaticString, UInt64) -> Void) {
    for counter in StateCounter.allCases { body(counter.name, value(counter)) }
    for refusal in Refusal.allCases { body(refusal.name, value(refusal)) }
  }

  /// Lets time pass: what has run out by then goes, in the order in which it ran out.
  package mutating func advance(to moment: Moment) {
    while deadlines.next <= moment.instant {
      let end = deadlines.next
      guard let subject = deadlines.due(end) else { return }
      switch subject {
      case .source(let interface, let serial): expireSource(interface, serial, end, moment)
      case .hold(let trigger): expireHold(trigger, moment)
      case .path(let place): expirePath(place, moment)
      case .information(let interface, let serial): informationIsDue(interface, serial, moment)
      }
    }
  }

  /// The place of an interface, counting it as unknown if there is none.
  mutating func known(_ index: UInt32) -> Int? {
    guard let place = place(of: index) else {
      count(.unknownInterface)
      return nil
    }
    recentPlace = (index, place)
    return place
  }

  func place(of index: UInt32) -> Int? {
    if let recentPlace, recentPlace.index == index { return recentPlace.place }
    return places[index]
  }

  mutating func isLocal(_ address: IPAddress) -> Bool {
    let address = address.asIPv6
    if recentAddress == address { return true }
    guard localAddresses[address] != nil else { return false }
    recentAddress = address
    return true
  }
}

/// Rows of a table that are made at once, ahead of when they are wanted.
enum Stock {
  static var rows: Int { 16 }
}

/// What a deadline is about.
enum TimedSubject: Sendable {
  case source(interface: UInt32, serial: UInt64)
  /// A trigger that goes when its hold time is over.
  case hold(trigger: UInt32)
  /// A path that is forgotten, or a folded trigger that may be told again.
  case path(UnreachablePaths.Place)
  /// The PvD Additional Information of an explicit PvD.
  case information(interface: UInt32, serial: UInt64)
}
