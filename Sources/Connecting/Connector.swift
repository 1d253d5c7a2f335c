package import Platform
package import Wire

/// Connections on their way: TCP handshakes that are waited for without blocking, and UDP sockets, which are there at
/// once. The caller's poller tells what happens to them, and the caller takes the results out one by one.
///
/// An ICMP or ICMPv6 error ends an attempt at once: whoever connects has other ways to try.
package struct Connector: ~Copyable {
  package struct Settings: Sendable {
    /// TCP attempts under way, at most 65,536; a further one fails with ENOBUFS and is counted (`connector.full`).
    package var limit = 4096

    package init() {}
  }

  private struct Attempt {
    let key: UInt64
    let socket: InternetSocket
    let source: IPAddress
    let interface: UInt32
    /// Nanoseconds of CLOCK_BOOTTIME.
    let deadline: UInt64
  }

  /// A place for an attempt. The generation tells an event of the present one from those of its predecessors.
  private struct Place {
    var attempt: Attempt?
    var generation: UInt16 = 0
  }

  private let tokenBase: UInt64
  private let limit: Int
  private var places: [Place] = []
  private var free: [UInt16] = []
  private var placeOfKey: [UInt64: UInt16] = [:]
  /// No attempt's deadline is earlier; looked at again when it has passed.
  private var earliest = UInt64.max
  /// nil where it was taken.
  private var results: [ConnectResult?] = []
  private var firstResult = 0
  private var counts = [UInt64](repeating: 0, count: ConnectCounter.allCases.count)

  /// - Parameter tokenBase: what its descriptors are called in the poller, beside the low 32 bits, which are 0 here.
  package init(tokenBase: UInt64, settings: Settings) {
    self.tokenBase = tokenBase
    limit = min(settings.limit, 1 << 16)
  }

  /// When `advance` is to be called next, nanoseconds of CLOCK_BOOTTIME; nil where nothing is under way.
  package var deadline: UInt64? { placeOfKey.isEmpty ? nil : earliest }

  package func forEachCounter(_ body: (StaticString, UInt64) -> Void) {
    body("connector.under-way", UInt64(placeOfKey.count))
    for counter in ConnectCounter.allCases { body(counter.name, counts[counter.rawValue]) }
  }

  // MARK: Orders

  /// Begins to connect. Its result may be there when this returns.
  package mutating func connect(_ order: ConnectOrder, at now: UInt64, _ poller: borrowing Poller) {
    count(.orders)
    do throws(ConnectFailure) {
      guard order.transport == .udp || placeOfKey.count < limit else {
        count(.full)
        throw ConnectFailure(.noBufferSpace, .local)
      }
      let socket = try InternetSocket(order)
      if order.transport == .udp {
        connected(order.key, socket)
      } else {
        try wait(for: socket, order, at: now, poller)
      }
    } catch {
      fail(order.key, error)
    }
  }

  /// Forgets an attempt, or its result where that was not taken yet, and closes its socket. A key that is not known
  /// is none of its business any more.
  package mutating func cancel(key: UInt64) {
    if let place = placeOfKey[key] {
      vacate(place)
      count(.cancelled)
      return
    }
    for index in firstResult..<results.count where results[index]?.key == key {
      results.remove(at: index)
      count(.cancelled)
      return
    }
  }

  /// An address is gone from its interface: what waits for answers to it waits in vain, and fails with EADDRNOTAVAIL.
  package mutating func withdraw(_ source: IPAddress, interface: UInt32) {
    failAll(ConnectFailure(Errno.addressNotAvailable, .local)) { $0.source == source && $0.interface == interface }
  }

  // MARK: What happens

  /// Serves an event whose token begins with `tokenBase`.
  package mutating func handle(_ event: Poller.Event, at _: UInt64, _ poller: borrowing Poller) {
    let place = UInt16(truncatingIfNeeded: event.token)
    let generation = UInt16(truncatingIfNeeded: event.token >> 16)
    guard Int(place) < places.count, places[Int(place)].generation == generation,
      let attempt = places[Int(place)].attempt
    else { return }
    do throws(ConnectFailure) {
      guard try attempt.socket.isConnected() else { return }
      // It is the program's soon, and closing it here then doesn't remove it.
      try? poller.remove(attempt.socket.number)
      vacate(place)
      connected(attempt.key, attempt.socket)
    } catch {
      vacate(place)
      fail(attempt.key, error)
    }
  }

  /// Ends what has waited long enough.
  package mutating func advance(at now: UInt64, _: borrowing Poller) {
    if placeOfKey.isEmpty || now < earliest { return }
    failAll(ConnectFailure(.timedOut, .timeOut)) { $0.deadline <= now }
    earliest = .max
    for place in places { if let attempt = place.attempt { earliest = min(earliest, attempt.deadline) } }
  }

  /// The oldest result that was not taken yet.
  package mutating func nextResult() -> ConnectResult? {
    guard firstResult < results.count else {
      results.removeAll(keepingCapacity: results.capacity <= 64)
      firstResult = 0
      return nil
    }
    let result = results[firstResult]
    // Its descriptor is the caller's alone.
    results[firstResult] = nil
    firstResult += 1
    return result
  }

  // MARK: Attempts and results

  private mutating func wait(
    for socket: InternetSocket, _ order: ConnectOrder, at now: UInt64, _ poller: borrowing Poller
  ) throws(ConnectFailure) {
    if free.isEmpty {
      free.append(UInt16(truncatingIfNeeded: places.count))
      places.append(Place())
    }
    let place = free[free.count - 1]
    let generation = places[Int(place)].generation
    do throws(Errno) {
      try poller.add(socket.number, token: tokenBase | UInt64(generation) << 16 | UInt64(place), .write)
    } catch {
      throw ConnectFailure(error, .local)
    }
    free.removeLast()
    let (sum, overflow) = now.addingReportingOverflow(order.timeout)
    let deadline = overflow ? UInt64.max : sum
    places[Int(place)].attempt = Attempt(
      key: order.key, socket: socket, source: order.source, interface: order.interface, deadline: deadline)
    placeOfKey[order.key] = place
    earliest = min(earliest, deadline)
  }

  private mutating func vacate(_ place: UInt16) {
    guard let attempt = places[Int(place)].attempt else { return }
    places[Int(place)].attempt = nil
    places[Int(place)].generation &+= 1
    free.append(place)
    placeOfKey[attempt.key] = nil
    if placeOfKey.isEmpty { earliest = .max }
  }

  private mutating func connected(_ key: UInt64, _ socket: InternetSocket) {
    do throws(ConnectFailure) {
      try socket.prepareToPass()
      count(.connected)
      results.append(.connected(key: key, socket.descriptor))
    } catch {
      fail(key, error)
    }
  }

  private mutating func fail(_ key: UInt64, _ failure: ConnectFailure) {
    count(failure.origin.counter)
    results.append(.failed(key: key, failure))
  }

  private mutating func failAll(_ failure: ConnectFailure, where isMeant: (Attempt) -> Bool) {
    for place in places.indices {
      guard let attempt = places[place].attempt, isMeant(attempt) else { continue }
      vacate(UInt16(truncatingIfNeeded: place))
      fail(attempt.key, failure)
    }
  }

  private mutating func count(_ counter: ConnectCounter) { counts[counter.rawValue] &+= 1 }
}
