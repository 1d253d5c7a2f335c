import Platform
import Provisioning
import Wire

/// The kernel's answers to whether there is a flow, one question at a time.
struct KernelFlows: ~Copyable {
  private var sockets: SocketDiagnosis
  private var listing: SocketListing

  init() throws(SystemFailure) {
    sockets = try SocketDiagnosis()
    listing = SocketListing()
  }

  var unaskable: [StaticString] {
    var kinds: [StaticString] = []
    if !sockets.canAsk(.tcp, .v4) { kinds.append("TCP over IPv4 (no inet_diag)") }
    if !sockets.canAsk(.tcp, .v6) { kinds.append("TCP over IPv6 (no inet_diag)") }
    if !sockets.canAsk(.udp, .v4) { kinds.append("UDP over IPv4 (no udp_diag)") }
    if !sockets.canAsk(.udp, .v6) { kinds.append("UDP over IPv6 (no udp_diag)") }
    if !listing.isReadable { kinds.append("ICMP echo and other protocols (no /proc/thread-self/net)") }
    return kinds
  }

  /// - Parameter findAssociation: looks for the ESP state with an SPI and a destination.
  mutating func ask(
    _ question: FlowQuestion, findAssociation: (UInt32, IPAddress) -> SecurityAssociations.Answer
  ) -> FlowAnswer {
    let error = question.error
    switch error.flow {
    case .tcp(let source, let destination, _): return find(.tcp, question, source, destination)
    case .udp(let source, let destination, let spi):
      let socket = find(.udp, question, source, destination)
      guard socket == .live, let spi else { return socket }
      // Where the kernel has no ESP at all, the socket's program does it itself.
      return findAssociation(spi, error.quotedDestination) == .none ? .none : .live
    case .echo(let identifier):
      let ping = listing.find(.ping, number: identifier, local: error.quotedSource, remote: error.quotedDestination)
      return ping == .none ? findRaw(error) : ping
    case .esp(let spi):
      switch findAssociation(spi, error.quotedDestination) {
      case .found: return .live
      case .none: return .none
      case .noneAtAll: return findRaw(error)
      case .unaskable: return .unaskable
      }
    case .other: return findRaw(error)
    }
  }

  private mutating func find(
    _ transport: SocketDiagnosis.Transport, _ question: FlowQuestion, _ localPort: UInt16, _ remotePort: UInt16
  ) -> FlowAnswer {
    let ends = SocketDiagnosis.Ends(
      local: question.error.quotedSource, remote: question.error.quotedDestination, localPort: localPort,
      remotePort: remotePort)
    let answer = sockets.find(transport, ends, interface: question.interface)
    guard answer == .none, question.otherInterface != 0 else { return answer }
    return sockets.find(transport, ends, interface: question.otherInterface)
  }

  /// A raw socket of the quoted packet's protocol.
  private mutating func findRaw(_ error: ICMPError) -> FlowAnswer {
    listing.find(
      .raw, number: UInt16(error.quotedProtocol.rawValue), local: error.quotedSource,
      remote: error.quotedDestination)
  }
}
