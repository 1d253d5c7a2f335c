package import Wire

extension NetworkState {
  /// Decodes a packet and applies it; what is refused is counted under its reason.
  ///
  /// - Parameters:
  ///   - bytes: the packet from its network header on.
  ///   - instant: now on the clock that state runs on; `arrival.timestamp` is what subscribers are told.
  ///   - verify: finds out whether the flow that an ICMP error quotes is one of this host's.
  package mutating func hear(
    _ bytes: RawSpan, _ family: Family, _ arrival: Arrival, at instant: Instant,
    verify: (FlowQuestion) -> FlowVerdict = { _ in .live }
  ) {
    // Heard again on the master, if it is for this host.
    if ports > 0, let place = places[arrival.interface], interfaces[place].link.handsFramesOn {
      return count(.heardOnPort)
    }
    let moment = Moment(instant, timestamp: arrival.timestamp)
    if hearAgain(bytes, family, arrival, at: moment) { return }
    do throws(Refusal) {
      switch try Packet.decode(bytes, family: family, arrival: arrival) {
      case .routerAdvertisement(let advertisement): hear(advertisement, on: arrival.interface, at: moment)
      case .dhcpv4(let datagram):
        var places = DHCPv4OptionPlaces()
        let message = try DHCPv4Message(datagram, &places)
        if !message.isToClient, isForeign(arrival) { return count(.dhcpForeignRequest) }
        hear(message, on: arrival.interface, at: moment)
      case .dhcpv6(let message):
        if !message.isToClient, isForeign(arrival) { return count(.dhcpForeignRequest) }
        hear(message, on: arrival.interface, at: moment)
      case .icmpError(let message):
        if hear(try ICMPError(message), on: arrival.interface, at: moment, verify: verify) {
          unreachable.packet.hold(bytes, family, arrival)
        }
      case .redirect(let message): hear(try Redirect(message), on: arrival.interface)
      }
    } catch {
      count(error)
    }
  }

  /// Only what went out from here is a request of this host's. A capture file may not say what went out.
  private func isForeign(_ arrival: Arrival) -> Bool { !arrival.outgoing && !assumesAddresses }
}
