import Messages
package import Platform
package import Provisioning

/// Application connectivity management on the MIF API's socket (draft-ietf-mif-api-extension-05, section 3.2.7.26), and
/// TAKE_INTERFACE_DOWN.
extension Subscribers {
  func manageConnectivity(
    _ request: MIFRequest, _ header: FrameHeader, _ subscriber: Subscriber, _ state: borrowing NetworkState,
    at now: UInt64
  ) {
    guard subscriber.access.managesConnectivity else {
      refuse(subscriber)
      return fail(subscriber, header, .notPermitted)
    }
    switch request {
    case .wantsToConnect:
      connectivity.wantsToConnect(subscriber.token, state.linkConditions, at: now)
      connectivity.advance(to: now) { state.condition(of: $0) }
    case .connectionIdle(let pvd):
      guard vote(.idle, on: pvd, subscriber, state, at: now) else { return fail(subscriber, header, .noSuchEntry) }
    case .connectionCanBeBroken(let pvd):
      guard vote(.breakable, on: pvd, subscriber, state, at: now) else { return fail(subscriber, header, .noSuchEntry) }
    case .takeInterfaceDown(let interface, let grace):
      guard state.link(interface) != nil else { return fail(subscriber, header, .noSuchEntry) }
      connectivity.takeDown(interface, after: grace.map { UInt64($0) * 1_000_000 }, at: now)
    default: return fail(subscriber, header, .operationNotSupported)
    }
    // The answer comes before the news of what follows from it.
    acknowledge(header, subscriber)
    carryOut(state)
  }

  /// A PvD of 0 is every interface here, and not the one that CONNECT_TO_PVD selected. False if there is no such PvD.
  private func vote(
    _ vote: Connectivity.Vote, on pvd: UInt32, _ subscriber: Subscriber, _ state: borrowing NetworkState, at now: UInt64
  ) -> Bool {
    if pvd == 0 {
      connectivity.vote(vote, by: subscriber.token, on: nil, at: now)
      return true
    }
    guard let domain = state.domain(pvd) else { return false }
    connectivity.vote(vote, by: subscriber.token, on: domain.interface, at: now)
    return true
  }

  /// Tells what connectivity management has to tell, and keeps what is to be done for `nextErrand`.
  func carryOut(_ state: borrowing NetworkState) {
    while let action = connectivity.nextAction() {
      switch action {
      case .tellGoingUp(let interface):
        guard let link = state.link(interface) else { continue }
        tell(.interfaceGoingUp(InterfaceDescription(link))) { $0.wantsInterfaces }
      case .tellGoingAway(let interface):
        guard let link = state.link(interface) else { continue }
        tell(.interfaceGoingAway(InterfaceDescription(link))) { $0.wantsInterfaces }
      case .run(let errand): errands.append(errand)
      }
    }
  }

  /// What the keeper is to do, in order; nil if there is nothing left.
  package func nextErrand() -> Errand? { errands.isEmpty ? nil : errands.removeFirst() }

  /// The links that there are when the first subscriber is served; later ones come as announcements.
  package func learn(_ state: borrowing NetworkState, at now: UInt64) {
    for link in state.links { connectivity.note(link) }
    connectivity.seekRouters(state.linkConditions, at: now)
  }

  /// False for what has been told already.
  func follow(_ announcement: Announcement, at now: UInt64) -> Bool {
    switch announcement {
    case .interface(let link): connectivity.note(link)
    case .interfaceGone(let link): connectivity.forget(link.index)
    case .interfaceGoingUp(let link): return connectivity.isGoingUpNews(link.index, at: now)
    case .pvd, .pvdGone, .element, .elementGone, .address, .addressGone, .trigger: break
    }
    return true
  }
}
