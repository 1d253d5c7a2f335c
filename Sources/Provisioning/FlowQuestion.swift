package import Wire

/// Whether the packet that an ICMP error quotes belongs to a live flow of this host (RFC 5927, 4). State has no sockets:
/// whoever drives it finds out.
package struct FlowQuestion: Sendable {
  package var error: ICMPError
  /// Where the error arrived. A socket that is bound to an interface hears errors from there only.
  package var interface: UInt32
  /// A second interface whose bound sockets are meant too, or 0: the VRF that `interface` belongs to, or the holder of
  /// the address where the kernel told the host itself, over the loopback interface.
  package var otherInterface: UInt32
  /// This very flow made the path's trigger, or kept it.
  package var isRenewal: Bool

  package init(error: ICMPError, interface: UInt32, otherInterface: UInt32 = 0, isRenewal: Bool = false) {
    self.error = error
    self.interface = interface
    self.otherInterface = otherInterface
    self.isRenewal = isRenewal
  }
}

package enum FlowVerdict: Hashable, Sendable {
  case live
  case notOurs
  /// Nobody could be asked now: told to nobody.
  case unverified
}

extension ICMPError {
  /// The flow without what differs from packet to packet.
  package var flowIdentity: Flow {
    guard case .tcp(let source, let destination, _) = flow else { return flow }
    return .tcp(source: source, destination: destination, sequence: nil)
  }

  /// A Packet Too Big below the least MTU that there is (IPv6: RFC 8200, 5; IPv4: RFC 791, 3.2) is to be discarded
  /// (RFC 8201, 4; RFC 1191, 3).
  var isBelowLeastMTU: Bool {
    guard let mtu = advertisedMTU else { return false }
    return mtu < (family == .v4 ? 68 : 1280)
  }
}

extension NetworkState {
  mutating func question(_ error: ICMPError, on interface: UInt32, isRenewal: Bool) -> FlowQuestion {
    var question = FlowQuestion(error: error, interface: interface, isRenewal: isRenewal)
    guard let place = place(of: interface) else { return question }
    let link = interfaces[place].link
    if link.isLoopback {
      question.otherInterface =
        interfaces.first { $0.addresses.contains { $0.ip == error.quotedSource } }?.link.index ?? 0
    } else {
      question.otherInterface = link.master
    }
    return question
  }
}
