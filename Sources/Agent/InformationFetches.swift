import CLinux
import Messages
import Platform
import Provisioning

/// The fetches of PvD Additional Information under way: each has a process of its own, at the other end of a socket.
struct InformationFetches {
  private struct Fetch {
    let fetch: InformationFetch
    let socket: PassedDescriptor
  }

  private var underWay: [Fetch] = []

  /// What the keeper is to run for them; nil if nothing is to be fetched.
  static func fetcher(
    _ configuration: Configuration, _ directory: [UInt8], _ identity: (user: UInt32, group: UInt32)?
  ) throws(SystemFailure) -> Fetcher? {
    if !configuration.fetchesInformation { return nil }
    let program = configuration.informationProgram
    try File.check(program)
    return Fetcher(
      program: program, directory: directory, roots: configuration.informationRoots, identity: identity)
  }

  /// Begins the fetches that are due.
  mutating func begin(
    _ state: inout NetworkState, _ keeper: Keeper, _ poller: borrowing Poller, token: UInt64, at now: () -> Moment
  ) {
    for fetch in state.takeInformationFetches() {
      let question = InformationRequest(pvd: fetch.pvd, name: fetch.name).bytes
      guard let socket = keeper.fetchInformation(for: fetch.interface, question),
        (try? poller.add(socket.number, token: token, .read)) != nil
      else {
        state.informationFetched(fetch, .notReached, at: now())
        continue
      }
      underWay.append(Fetch(fetch: fetch, socket: PassedDescriptor(socket)))
    }
  }

  /// Takes the answers that have come. Who ends without one has reached nobody.
  mutating func take(_ state: inout NetworkState, _ poller: borrowing Poller, at moment: Moment) {
    var place = 0
    while place < underWay.count {
      let number = underWay[place].socket.descriptor.number
      // One byte more than there may be, to see whether there is one.
      var bytes = [UInt8](repeating: 0, count: InformationReport.largest + 1)
      let count = unsafe bytes.withUnsafeMutableBytes {
        unsafe recv(number, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT))
      }
      if count < 0 && (Errno.current == .wouldBlock || Errno.current == .interrupted) {
        place += 1
        continue
      }
      bytes.removeLast(bytes.count - max(count, 0))
      let report = count > 0 ? InformationReport(unsafe bytes.span.bytes) : nil
      _ = try? poller.remove(number)
      let fetch = underWay.remove(at: place).fetch
      state.informationFetched(fetch, report ?? .notReached, at: moment)
    }
  }
}
