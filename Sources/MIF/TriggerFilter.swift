import Messages
import Wire

/// Which triggers are told. A trigger passes if its kind is one of `kinds`, its interface is the one, and one of its
/// addresses lies in the prefix. One that is changed so that it passes comes as added, one that no longer passes as
/// deleted. The agent filters: what does not pass costs this process nothing.
public struct TriggerFilter: Hashable, Sendable {
  /// Empty for every kind; at most 64.
  public var kinds: Set<TriggerKind>
  /// The interface's index. A trigger of which no interface is known passes only where this is nil.
  public var interface: UInt32?
  /// nil for any address, and for triggers without one. A link-local prefix without scope is one on any interface.
  public var prefix: IPPrefix?

  public init(kinds: Set<TriggerKind> = [], interface: UInt32? = nil, prefix: IPPrefix? = nil) {
    self.kinds = kinds
    self.interface = interface
    self.prefix = prefix
  }

  var wire: Messages.TriggerFilter {
    Messages.TriggerFilter(
      types: kinds.map { TriggerType(rawValue: $0.rawValue) }.sorted { $0.rawValue < $1.rawValue },
      interface: interface ?? 0, prefix: prefix.map { Wire.IPPrefix($0.address.wire, $0.length) },
      scope: prefix?.address.scope ?? 0)
  }
}

extension Messages.TriggerFilter {
  /// What nothing passes: no trigger is of type 0. REGISTER with it asks for ORIGIN in the answers to GET, and for no
  /// news.
  static let nothing = Messages.TriggerFilter(types: [TriggerType(rawValue: 0)])
}
