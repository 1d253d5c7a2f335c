import CLinux
import Messages
import Platform
import Sessions
import Wire

/// A socket connected to a host, and the way that it goes. It blocks, as one of socket(2) does, is closed on exec, and
/// belongs to this process: what the agent has to do with it has ended.
public struct ConnectedSocket: Sendable {
  /// Closed with the last copy of this value, unless it was taken.
  public let descriptor: OwnedDescriptor
  public let transport: Transport
  /// The provisioning domain that it goes through, and with it the interface.
  public let domain: ProvisioningDomain
  public let localEndpoint: Endpoint
  public let remoteEndpoint: Endpoint

  init(_ descriptor: consuming Descriptor, over transport: Transport, _ winner: HappyEyeballs.Winner) {
    remoteEndpoint = Endpoint(winner.destination)
    domain = ProvisioningDomain(winner.domain.pvd, on: winner.domain.interface)
    self.transport = transport
    localEndpoint = Endpoint(localAddress(of: descriptor.number) ?? SocketAddress(.v6(.unspecified)))
    self.descriptor = OwnedDescriptor(descriptor)
  }

  public var fileDescriptor: Int32 { descriptor.fileDescriptor }

  /// Gives the socket away: the caller closes it. Once.
  public func takeDescriptor() -> Int32 { descriptor.take() }
}

/// What was tried on the way to a host, and what became of it.
public struct ConnectionAttempt: Hashable, Sendable, CustomStringConvertible {
  public enum Outcome: Hashable, Sendable {
    case underWay
    case connected
    case failed(NetworkFailure)
  }

  public let domain: ProvisioningDomain
  /// nil: the name led to no address in this domain.
  public let remoteEndpoint: Endpoint?
  public let outcome: Outcome

  init(_ trial: HappyEyeballs.Trial) {
    domain = ProvisioningDomain(trial.domain.pvd, on: trial.domain.interface)
    remoteEndpoint = trial.destination.map { Endpoint($0) }
    if trial.isConnected {
      outcome = .connected
    } else if let failure = trial.failure {
      // A name that led nowhere, and nothing failed: none of its addresses is of the family that was asked for.
      outcome = .failed(NetworkFailure(failure) ?? NetworkFailure(errno: ENODATA, .resolver(rcode: 0)))
    } else {
      outcome = .underWay
    }
  }

  /// "wan0-dhcpv4-192.0.2.1: 198.51.100.7:80: Connection refused".
  public var description: String {
    let end =
      switch outcome {
      case .underWay: "no answer yet"
      case .connected: "connected"
      case .failed(let failure): failure.description
      }
    return "\(domain.name): " + (remoteEndpoint.map { "\($0)" } ?? "the name") + ": " + end
  }
}
