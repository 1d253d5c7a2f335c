import Capture
import Platform
import Provisioning
import Wire

/// The taps on interfaces where DHCP clients run.
///
/// A tap must be open before a client's first request goes out, and no client waits for us: so there is one wherever a
/// client is to be expected (`NetworkState.expectsDHCPClient`), where next to nothing flows that a tap could slow
/// down. Where an address came from elsewhere it is closed again, unless the kernel shows a client's sockets there or
/// a DHCP server was heard. The kernel does not tell when a client starts on such an interface, and to ask all the
/// time would wake an idle host: it is asked when something happens that a client causes or waits for, and again
/// some times within the next seconds.
struct ClientTaps: ~Copyable {
  /// Interfaces with a tap at once; clients on further ones are counted (`capture.taps-full`) and not followed.
  private static var limit: Int { 64 }
  /// When to ask after something happened: a client that a link event starts needs a moment, nanoseconds.
  private static let delays: [UInt64] = [0, 100_000_000, 300_000_000, 1_000_000_000, 3_000_000_000]

  private final class Tap {
    var tap: ClientTap
    /// A DHCP server was heard on this interface: it answers somebody.
    var hasHeardServer = false
    init(_ tap: consuming ClientTap) { self.tap = tap }
  }

  /// Opens sockets for an engine that has given up the right to.
  private let keeper: Keeper
  private var taps: [Tap] = []
  /// Interfaces whose tap could not be opened: not tried again until they change, or every packet would.
  private var refused: [UInt32] = []
  private var since: UInt64 = 0
  private var nextDelay = delays.count
  private var full: UInt64 = 0
  private var failed: UInt64 = 0
  private var asked: UInt64 = 0

  init(keeper: Keeper) { self.keeper = keeper }

  private func openSocket(_ interface: UInt32) throws(SystemFailure) -> Descriptor {
    guard let descriptor = try keeper.ask(.openClientTap, Keeper.Argument(number: interface)) else {
      throw SystemFailure("have the keeper open a socket", [], .protocolError)
    }
    return descriptor
  }

  /// When to ask next (CLOCK_BOOTTIME), nil for not until something happens.
  var deadline: UInt64? { nextDelay < Self.delays.count ? since + Self.delays[nextDelay] : nil }

  func isTapped(_ interface: UInt32) -> Bool { taps.contains { $0.tap.interface == interface } }

  /// Something of an interface changed: taps it if a client is to be expected there, and asks for clients soon.
  mutating func consider(
    _ interface: UInt32, _ state: borrowing NetworkState, at now: UInt64, _ poller: borrowing Poller, token: UInt64
  ) {
    if refused.contains(interface) { return }
    if !isTapped(interface), state.expectsDHCPClient(interface) { open(interface, poller, token: token) }
    since = now
    nextDelay = 0
  }

  /// A DHCP server was heard on an interface.
  mutating func heardServer(
    on interface: UInt32, _ state: borrowing NetworkState, at now: UInt64, _ poller: borrowing Poller, token: UInt64
  ) {
    if !isTapped(interface) {
      open(interface, poller, token: token)
      since = now
      nextDelay = 0
    }
    for tap in taps where tap.tap.interface == interface { tap.hasHeardServer = true }
  }

  /// The deadline has come: asks where clients run, opens taps there, and closes at last those for which nothing speaks.
  mutating func ask(_ state: borrowing NetworkState, at now: UInt64, _ poller: borrowing Poller, token: UInt64) {
    while let due = self.deadline, due <= now { nextDelay += 1 }
    asked += 1
    var interfaces: [UInt32] = []
    var isSomewhere = false
    _ = try? DHCPClientProbe.ask(ignoring: taps.map { $0.tap.inode }) { sighting in
      switch sighting {
      case .interface(let interface): interfaces.append(interface)
      case .address(let address): if let interface = state.interface(holding: address) { interfaces.append(interface) }
      case .anywhere: isSomewhere = true
      }
    }
    for interface in interfaces where state.link(interface) != nil && !isTapped(interface) {
      open(interface, poller, token: token)
    }
    if nextDelay < Self.delays.count { return }
    refused.removeAll()
    // A client that does not show where it is may be on any of those that are tapped.
    if isSomewhere { return }
    taps.removeAll {
      let interface = $0.tap.interface
      return !$0.hasHeardServer && !interfaces.contains(interface) && !state.expectsDHCPClient(interface)
    }
  }

  private mutating func open(_ interface: UInt32, _ poller: borrowing Poller, token: UInt64) {
    if refused.contains(interface) { return }
    if taps.count >= Self.limit {
      full += 1
      refused.append(interface)
      return
    }
    do throws(SystemFailure) {
      let tap = try ClientTap(taking: openSocket(interface), interface: interface)
      do throws(Errno) {
        try poller.add(tap.descriptor.number, token: token, .read)
      } catch {
        throw SystemFailure("watch a packet socket", [], error)
      }
      taps.append(Tap(tap))
    } catch {
      failed += 1
      refused.append(interface)
      Log.warning("DHCP on interface \(interface) is not followed: \(error)")
    }
  }

  mutating func close(_ interface: UInt32) {
    taps.removeAll { $0.tap.interface == interface }
    refused.removeAll { $0 == interface }
  }

  /// Hands on what clients sent. No system call.
  func drain(_ body: (RawSpan, Family, Arrival) -> Void) {
    for tap in taps { _ = tap.tap.drain(limit: 64, body) }
  }

  /// A link that went down is an error on its tap's socket: taken away, or the poller would go on about it.
  func takeErrors() {
    for tap in taps { _ = tap.tap.takeError() }
  }

  func forEachCounter(_ body: (StaticString, UInt64) -> Void) {
    body("capture.taps", UInt64(taps.count))
    body("capture.taps-asked", asked)
    body("capture.taps-full", full)
    body("capture.taps-failed", failed)
    var requests: UInt64 = 0
    for tap in taps { requests += tap.tap.counters.packets }
    body("capture.taps.packets", requests)
  }
}
