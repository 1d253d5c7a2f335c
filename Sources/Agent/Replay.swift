import Platform
import Provisioning

#if Pcap
  import Capture
  import Messages
  import Wire
#endif

/// Hears a capture file instead of the network, on the file's clock, and prints what subscribers would have been told,
/// a line each.
///
/// No kernel speaks in a capture: links exist from their first packet on, and every address that an ICMP error is
/// sent to counts as this host's. What runs out after the last packet is not waited for.
package func replay(_ path: [UInt8], _ configuration: Configuration) throws(StartFailure) {
  #if Pcap
    var state = NetworkState(limits: configuration.limits, unreachableKinds: configuration.unreachableKinds)
    state.assumesAddresses = true
    // A capture's clock may have been set back; time in the state never goes back.
    var clock: UInt64 = 0
    do throws(CaptureFileError) {
      var file = try CaptureFile(path: path)
      while try file.next({
        clock = max(clock, $2.timestamp)
        hear($0, $1, $2, &state, clock)
      }) {}
    } catch {
      throw .replay(error.message)
    }
  #else
    throw .replay(Array("cannot replay ".utf8) + path + Array(": this mifd was built without libpcap".utf8))
  #endif
}

#if Pcap
  private func hear(
    _ bytes: RawSpan, _ family: Family, _ arrival: Arrival, _ state: inout NetworkState, _ clock: UInt64
  ) {
    let moment = Moment(Instant(nanoseconds: clock), timestamp: arrival.timestamp)
    state.advance(to: moment)
    printAnnouncements(&state, moment)
    if state.link(arrival.interface) == nil {
      var name = Array("if".utf8)
      append(decimal: arrival.interface, to: &name)
      state.apply(
        .link(
          Link(index: arrival.interface, name: InterfaceName(name), isUp: true, hasCarrier: true, mtu: 65_535)),
        at: moment)
    }
    state.hear(bytes, family, arrival, at: moment.instant)
    printAnnouncements(&state, moment)
  }

  private func printAnnouncements(_ state: inout NetworkState, _ moment: Moment) {
    var text: [UInt8] = []
    for announcement in state.announcements {
      append(decimal: moment.timestamp / 1_000_000_000, to: &text)
      text.append(UInt8(ascii: "."))
      let fraction = moment.timestamp % 1_000_000_000 / 1000
      var digits: UInt64 = 100_000
      while digits > fraction, digits > 1 {
        text.append(UInt8(ascii: "0"))
        digits /= 10
      }
      append(decimal: fraction, to: &text)
      text.append(UInt8(ascii: " "))
      announcement.describe(to: &text, state)
      text.append(UInt8(ascii: "\n"))
    }
    state.clearAnnouncements()
    Output.write(text)
  }
#endif
