/// Translates a name to addresses as one provisioning domain sees it: in this host's table of hosts, or by that domain's
/// own DNS servers and through its interface.
///
///     for try await address in translate("www.example.org", in: domain) { print(address) }
///
/// - Parameter name: at most 255 bytes of UTF-8.
public func translate(
  _ name: String, in domain: ProvisioningDomain, runtimeDirectory: String = defaultRuntimeDirectory
) -> NameTranslation {
  NameTranslation(name: name, domain: domain.identifier, path: runtimeDirectory)
}

/// The addresses that a name stands for, each once, as they are found. It ends when there are no more, and throws
/// `notTranslated` where there are none; `refused` as `notFound` where the domain is gone.
///
/// Each iteration is a translation of its own over a connection of its own, which closes with the iterator: that, or the
/// task's cancellation, stops the translation.
public struct NameTranslation: AsyncSequence, Sendable {
  public typealias Element = IPAddress
  public typealias Failure = ClientError

  fileprivate let name: String
  fileprivate let domain: UInt32
  fileprivate let path: String

  public func makeAsyncIterator() -> Iterator { Iterator(translation: self) }

  /// Belongs to one task at a time.
  public struct Iterator: AsyncIteratorProtocol {
    /// The connection is made by the first `next`, which may throw.
    private enum Stage {
      case new
      case underWay(ProvisioningConnection)
      case ended
    }
    private let translation: NameTranslation
    private var stage = Stage.new

    fileprivate init(translation: NameTranslation) { self.translation = translation }

    /// The next address; nil after the last one, and where the task is cancelled.
    public mutating func next(
      isolation actor: isolated (any Actor)? = #isolation
    ) async throws(ClientError) -> IPAddress? {
      do throws(ClientError) {
        let address = try await advance(actor)
        if address == nil { stage = .ended }
        return address
      } catch {
        stage = .ended
        throw error
      }
    }

    private mutating func advance(_ actor: isolated (any Actor)?) async throws(ClientError) -> IPAddress? {
      let connection: ProvisioningConnection
      switch stage {
      case .new:
        connection = try ProvisioningConnection(runtimeDirectory: translation.path)
        try connection.post(.translateName(translation.name, domain: translation.domain, transaction: 1))
        stage = .underWay(connection)
      case .underWay(let open): connection = open
      case .ended: return nil
      }
      while !Task.isCancelled {
        guard let message = try connection.next(timeout: .zero) else {
          await Readiness.wait(for: connection.fileDescriptor)
          continue
        }
        switch message.content {
        case .nameTranslation(let address, _, _): return address
        case .nameTranslationEnded(let failure?, _): throw .notTranslated(name: translation.name, failure)
        case .nameTranslationEnded(nil, _): return nil
        case .refused(let refusal): throw .refused(request: "TRANSLATE_NAME", refusal)
        default: continue
        }
      }
      return nil
    }
  }
}
